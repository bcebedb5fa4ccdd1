"""`graph_optimization`: a tidy graph with the same results."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.plugins.builtin.clean_up import graph_optimization
from tests.plugins.float_models import MODELS, convolution, dense, floats, model_of, node, operators, run


def untidy() -> ModelWrapper:
    """A dense layer among what does nothing, is constant, or is used by nothing."""
    nodes = [
        node("Identity", "x", "a"),
        node("Add", "a zero", "b"),
        node("Transpose", "w", "v", perm=[1, 0]),
        node("Mul", "v two", "u"),
        node("MatMul", "b u", "c"),
        node("Relu", "b", "unused"),
        node("Mul", "c one", "d"),
        node("Relu", "d", "y"),
    ]
    stored = {
        "w": floats(0, 4, 6),
        "zero": np.zeros(6, np.float32),
        "one": np.ones((), np.float32),
        "two": np.float32(2) * np.ones((), np.float32),
        "left": floats(1, 3),
    }
    return model_of(nodes, stored, [1, 6])


def cleaned(model: ModelWrapper) -> ModelWrapper:
    return model.transform(graph_optimization())


def test_what_does_nothing_is_constant_or_unused_is_gone() -> None:
    before = untidy()
    after = cleaned(before)
    assert operators(after) == ["MatMul", "Relu"]
    assert [each.name for each in after.graph.node] == ["MatMul_0", "Relu_0"]
    assert [each.name for each in after.graph.initializer] == ["MatMul_0_param0"]
    assert [each.name for each in after.graph.input] == ["global_in"]
    assert [each.name for each in after.graph.output] == ["global_out"]
    assert after.get_tensor_shape("MatMul_0_out0") == [1, 4]
    samples = floats(2, 5, 6)
    np.testing.assert_allclose(run(after, samples), run(before, samples), rtol=1e-6)
    onnx.checker.check_model(after.model)


@given(seed=st.integers(0, 1000), wide=st.booleans())
@settings(max_examples=10, deadline=None)
def test_results_stay_as_they_were(seed: int, wide: bool) -> None:
    before = convolution(seed) if wide else dense(seed)
    samples = floats(seed, 3, 2, 6, 6) if wide else floats(seed, 3, 6)
    np.testing.assert_array_equal(run(cleaned(before), samples), run(before, samples))


@pytest.mark.parametrize("name", ["digits_mlp_float", "digits_mlp_w2a2", "digits_cnn_w4a4"])
def test_a_second_time_changes_nothing(name: str) -> None:
    once = cleaned(ModelWrapper(str(MODELS / f"{name}.onnx")))
    assert cleaned(once).model.SerializeToString() == once.model.SerializeToString()


def test_an_untidy_graph_is_tidy_after_one_time() -> None:
    once = cleaned(untidy())
    assert cleaned(once).model.SerializeToString() == once.model.SerializeToString()


@pytest.mark.parametrize("name", ["digits_mlp_w2a2", "digits_cnn_w4a4"])
def test_quantisers_of_weights_stay(name: str) -> None:
    before = ModelWrapper(str(MODELS / f"{name}.onnx"))
    after = cleaned(before)
    assert operators(after).count("Quant") == operators(before).count("Quant") > 3
    with np.load(MODELS / "digits_heldout.npz") as data:
        shape = before.get_tensor_shape(before.graph.input[0].name)
        images = data["images"][:20].astype(np.float32).reshape(-1, *shape[1:])
    np.testing.assert_array_equal(run(after, images), run(before, images))
    assert after.get_tensor_datatype("global_in").name == "UINT8"
