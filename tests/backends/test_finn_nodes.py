"""Which node a failure of FINN or QONNX is about: from the message, from the traceback, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finnmake.backends import finn
from finnmake.backends.finn_nodes import explain, unmapped
from finnmake.errors import NodeFailure

pytestmark = pytest.mark.finn

MODEL = Path(__file__).parents[2] / "models" / "digits_mlp_w2a2.onnx"


@pytest.fixture(scope="module")
def loaded():
    finn.preload()
    from qonnx.transformation.general import GiveUniqueNodeNames

    return finn.load(MODEL).transform(GiveUniqueNodeNames())


def failing(loaded, action: Callable[[], object]) -> NodeFailure:
    try:
        action()
    except Exception as error:
        return explain(error, loaded)
    raise AssertionError("it did not fail")


def fail(message: str) -> Callable[[], object]:
    def action() -> object:
        raise ValueError(message)

    return action


@pytest.mark.parametrize(
    ("message", "node"),
    [
        ("Quant_1: out_scale must be 1", "Quant_1"),
        ("MatMul_0 and then Quant_1", "MatMul_0"),
        ("IPGen failed: /x/code_gen_ipgen_MatMul_1_a2/project_MatMul_1/sol1 not found", "MatMul_1"),
        ("Quant_10 is not in this model", ""),
        ("xQuant_1 is not either", ""),
        ("nothing is named", ""),
    ],
)
def test_message_names_the_node(loaded, message: str, node: str) -> None:
    assert failing(loaded, fail(message)).node == node


def test_operator_in_the_traceback(loaded) -> None:
    """QONNX: `PE = … not in …` and `has no such attribute` name no node."""
    from qonnx.custom_op.registry import getCustomOp

    quant = next(node for node in loaded.graph.node if node.op_type == "Quant")
    found = failing(loaded, lambda: getCustomOp(quant).set_nodeattr("rounding_modus", "ROUND"))
    assert found.node == quant.name


def test_round_of_a_loop(loaded) -> None:
    def each() -> None:
        for node in loaded.graph.node:
            if node.name == "MatMul_1":
                raise ValueError("here")

    assert failing(loaded, each).node == "MatMul_1"


def test_what_a_loop_left_behind_is_not_blamed(loaded) -> None:
    def after() -> None:
        for _node in loaded.graph.node:
            pass
        raise ValueError("later")

    assert failing(loaded, after).node == ""


def test_a_cause_knows_the_node(loaded) -> None:
    def inner(node: object) -> None:
        raise KeyError("x")

    def outer() -> None:
        try:
            inner(loaded.graph.node[2])
        except KeyError as error:
            raise RuntimeError("the tool failed") from error

    assert failing(loaded, outer).node == loaded.graph.node[2].name


def test_left_over_operators_are_named(loaded) -> None:
    found = failing(loaded, fail("cycle-free graph violated: partition depends on itself"))
    assert found.remark.startswith("without a hardware layer: ")
    assert f"{loaded.graph.node[0].name} ({loaded.graph.node[0].op_type})" in found.remark
    assert found.remark.endswith(f"and {len(unmapped(loaded)) - 8} more")
    assert found.node == loaded.graph.node[0].name


def test_they_are_not_named_twice(loaded) -> None:
    names = ", ".join(node.name for node in loaded.graph.node)
    message = f"Unsupported/unmapped layer(s) found in between FINN operators: {names}"
    assert failing(loaded, fail(message)).remark == ""


def test_without_a_model() -> None:
    assert explain(ValueError("cycle-free graph violated"), None).node == ""
