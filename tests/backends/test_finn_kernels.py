"""Kernels chosen in a blueprint, with real FINN: the backend of each layer, attributes, what is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest

from finnmake.blueprint.tables import KERNELS_FIELD, STEP_MODULE
from finnmake.engine.files import FileDigests
from finnmake.engine.pool import PoolSettings, WorkerPool
from finnmake.engine.realize import Engine, Flow, StepOutcome
from finnmake.engine.runtime import Places
from finnmake.engine.runtime.local import LocalRuntime
from finnmake.engine.state import StepCall
from finnmake.engine.store import Store
from finnmake.engine.toolchain import Toolchain
from finnmake.errors import StepError
from tests.projects import REPOSITORY

pytestmark = [pytest.mark.finn, pytest.mark.slow]

STEPS = (
    "step_qonnx_to_finn",
    "step_tidy_up",
    "step_streamline",
    "step_convert_to_hw",
    "step_minimize_bit_width_initial",
    "step_create_dataflow_partition",
    "step_specialize_layers",
    "step_target_fps_parallelization",
    "step_generate_estimate_reports",
)

SPECIALIZE = "step_specialize_layers"

#: DSP48E1; FINN's RTL layers of a matrix product want 4 bits unless they are preferred.
PART = "xc7z020clg400-1"


@dataclass
class Layer:
    """A node: what FINN made of it, and the attributes that are set."""

    backend: str
    attributes: dict[str, Any]

    @classmethod
    def of(cls, node: onnx.NodeProto) -> Layer:
        values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        return cls(
            node.op_type,
            {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()},
        )


@dataclass
class Flows:
    """Real FINN on the example networks, step by step."""

    root: Path
    store: Store
    pool: WorkerPool

    def run(self, model: str, kernels: Mapping[str, Any] | None, **fields: Any) -> list[StepOutcome]:
        """The outcome of every step; fields beside those that the tests have in common."""
        flags = {"fpga_part": PART, "synth_clk_period_ns": 10.0, "target_fps": 1000, **fields}
        flags["standalone_thresholds"] = fields.get("standalone_thresholds", True)
        if kernels is not None:
            flags[KERNELS_FIELD] = kernels
        ref = self.store.put_file(REPOSITORY / "models" / f"{model}.onnx")
        calls = [
            StepCall(name, "step", f"{STEP_MODULE}:{name}", {}, position)
            for position, name in enumerate(STEPS)
        ]
        outcomes: list[StepOutcome] = []
        engine = Engine(self.store, self.pool, self.root, Toolchain({}, "kernels"), FileDigests())
        engine.realize(Flow(calls, ref, flags, 300.0), lambda *_: None, outcomes)
        return outcomes

    def layers(self, outcomes: list[StepOutcome], kernel: str, step: str = SPECIALIZE) -> list[Layer]:
        """A kernel's nodes after a step."""
        outcome = next(each for each in outcomes if each.call.name == step)
        model = onnx.load(self.store.checked(outcome.state.model))
        return [Layer.of(node) for node in model.graph.node if node.op_type.rpartition("_")[0] == kernel]

    def backends(self, outcomes: list[StepOutcome], kernel: str) -> list[str]:
        return [layer.backend for layer in self.layers(outcomes, kernel)]

    def file(self, name: str, entries: Mapping[str, Any]) -> str:
        """A specialize-layers file of the user's."""
        (self.root / name).write_text(json.dumps(entries))
        return name


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    folder = tmp_path_factory.mktemp("kernels")
    root = folder / "project"
    (root / "plugins").mkdir(parents=True)
    store = Store(folder / "store").open()
    settings = PoolSettings("finnmake.backends.finn", Places(store.root, root, root / "plugins"), {})
    pool = WorkerPool(settings, LocalRuntime())
    yield Flows(root, store, pool)
    pool.close()


def choose(*backends: str, **attributes: Any) -> dict[str, Any]:
    return {"backends": list(backends), "attributes": attributes}


@pytest.fixture(scope="module")
def plain(flows: Flows) -> list[StepOutcome]:
    """The MLP without a word on kernels."""
    return flows.run("digits_mlp_w2a2", None)


@pytest.fixture(scope="module")
def rtl(flows: Flows, plain: list[StepOutcome]) -> list[StepOutcome]:
    """The MLP with matrix products in RTL, after the one without."""
    return flows.run("digits_mlp_w2a2", {"MVAU": choose("MVAU_rtl")})


def test_a_kernel_is_made_with_the_backend_that_was_chosen(
    flows: Flows, plain: list[StepOutcome], rtl: list[StepOutcome]
) -> None:
    assert flows.backends(plain, "MVAU") == ["MVAU_hls"] * 3
    assert flows.backends(rtl, "MVAU") == ["MVAU_rtl"] * 3
    assert flows.backends(rtl, "Thresholding") == flows.backends(plain, "Thresholding")


def test_the_other_way_round_too(flows: Flows) -> None:
    assert flows.backends(flows.run("digits_cnn_w4a4", None), "MVAU") == ["MVAU_rtl"] * 3
    chosen = {"MVAU": choose("MVAU_hls"), "Thresholding": choose("Thresholding_hls")}
    outcomes = flows.run("digits_cnn_w4a4", chosen)
    assert flows.backends(outcomes, "MVAU") == ["MVAU_hls"] * 3
    assert set(flows.backends(outcomes, "Thresholding")) == {"Thresholding_hls"}


def test_only_specialize_layers_reads_the_kernels(plain: list[StepOutcome], rtl: list[StepOutcome]) -> None:
    for outcomes in (plain, rtl):
        reading = [each.call.name for each in outcomes if KERNELS_FIELD in each.trace["reads"]["fields"]]
        assert reading == [SPECIALIZE]
    before = STEPS.index(SPECIALIZE)
    assert [each.hit for each in rtl] == [True] * before + [False] * (len(STEPS) - before)


def test_a_choice_that_changes_nothing_runs_that_step_alone(flows: Flows, plain: list[StepOutcome]) -> None:
    again = flows.run("digits_mlp_w2a2", {"MVAU": choose("MVAU_hls")})
    assert [each.call.name for each in again if not each.hit] == [SPECIALIZE]
    assert again[-1].state == plain[-1].state


def test_a_list_is_a_preference(flows: Flows) -> None:
    first = flows.run("digits_mlp_w2a2", {"MVAU": choose("MVAU_rtl", "MVAU_hls")})
    assert flows.backends(first, "MVAU") == ["MVAU_rtl"] * 3
    chosen = {"MVAU": choose("MVAU_rtl", "MVAU_hls")}
    inside = flows.run("digits_mlp_w2a2", chosen, standalone_thresholds=False)
    assert flows.backends(inside, "MVAU") == ["MVAU_hls", "MVAU_hls", "MVAU_rtl"]


def test_what_finn_cannot_make_is_an_error_with_its_reason(flows: Flows) -> None:
    with pytest.raises(StepError) as caught:
        flows.run("digits_mlp_w2a2", {"MVAU": choose("MVAU_rtl")}, standalone_thresholds=False)
    assert caught.value.category == "kernel"
    assert caught.value.message.endswith(
        "MVAU_0, MVAU_1: MVAU_rtl was chosen, FINN made MVAU_hls (its thresholds are part of the layer)"
    )
    assert caught.value.cure == (
        "Set standalone_thresholds: true, or list MVAU_hls among the backends of MVAU."
    )


def test_an_attribute_arrives_at_every_node_of_the_kernel(flows: Flows) -> None:
    chosen = {
        "MVAU": choose("MVAU_rtl", ram_style="distributed", pumpedCompute=True, runtime_writeable_weights=1)
    }
    outcomes = flows.run("digits_mlp_w2a2", chosen)
    for step in (SPECIALIZE, STEPS[-1]):
        for layer in flows.layers(outcomes, "MVAU", step):
            assert layer.attributes["ram_style"] == "distributed"
            assert layer.attributes["pumpedCompute"] == 1
            assert layer.attributes["runtime_writeable_weights"] == 1


def test_an_attribute_of_one_backend_is_meant_for_its_nodes(flows: Flows) -> None:
    chosen = {"MVAU": choose("MVAU_rtl", "MVAU_hls", pumpedCompute=1)}
    outcomes = flows.run("digits_mlp_w2a2", chosen, standalone_thresholds=False)
    layers = flows.layers(outcomes, "MVAU")
    assert {layer.backend: layer.attributes.get("pumpedCompute") for layer in layers} == {
        "MVAU_hls": None,
        "MVAU_rtl": 1,
    }


def test_attributes_need_no_backends(flows: Flows) -> None:
    outcomes = flows.run("digits_mlp_w2a2", {"MVAU": {"attributes": {"resType": "lut"}}})
    assert [layer.attributes["resType"] for layer in flows.layers(outcomes, "MVAU")] == ["lut"] * 3


WRONG = [
    (
        {"MVAU": choose(ram_style="blok")},
        "ram_style of MVAU_hls is one of auto, block, distributed, ultra, not 'blok'",
    ),
    (
        {"MVAU": choose("MVAU_rtl", pumpedCompute="two")},
        "pumpedCompute of MVAU_rtl is one of 0, 1, not 'two'",
    ),
    ({"MVAU": choose(ram_stile="auto")}, "MVAU has no attribute 'ram_stile' to set (the nearest: ram_style"),
    ({"MVAU": choose(MW=3)}, "the kernel MVAU has no attribute 'MW' to set"),
    ({"MVAU": choose(PE=2)}, "PE of MVAU is the folding's (target_fps, folding_config_file)"),
    ({"MVAU": choose("MVAU_hls", pumpedCompute=1)}, "pumpedCompute is an attribute of MVAU_rtl alone"),
    ({"MVAU": choose("MVAU_vhdl")}, "MVAU has no backend 'MVAU_vhdl' (it has MVAU_hls, MVAU_rtl)"),
    ({"MVU": choose("MVU_rtl")}, "FINN has no kernel 'MVU' that it specialises"),
]


@pytest.mark.parametrize(("kernels", "words"), WRONG)
def test_what_finn_does_not_have_or_take_is_an_error(
    flows: Flows, kernels: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(StepError) as caught:
        flows.run("digits_mlp_w2a2", kernels)
    assert words in caught.value.message
    assert (caught.value.category, caught.value.cure) == ("config", "Correct `kernels` in the blueprint.")


def test_a_kernel_that_the_model_does_not_have_changes_nothing(
    flows: Flows, plain: list[StepOutcome]
) -> None:
    assert flows.run("digits_mlp_w2a2", {"VVAU": choose("VVAU_rtl")})[-1].state == plain[-1].state


def test_the_users_file_wins_node_by_node(flows: Flows) -> None:
    entries = {
        "MVAU_0": {"preferred_impl_style": "hls"},
        "MVAU_1": {"preferred_impl_style": "", "ram_style": "block"},
    }
    chosen = {"MVAU": choose("MVAU_rtl", ram_style="distributed")}
    outcomes = flows.run(
        "digits_mlp_w2a2", chosen, specialize_layers_config_file=flows.file("own.json", entries)
    )
    assert flows.backends(outcomes, "MVAU") == ["MVAU_hls", "MVAU_rtl", "MVAU_rtl"]
    styles = [layer.attributes["ram_style"] for layer in flows.layers(outcomes, "MVAU")]
    assert styles == ["distributed", "block", "distributed"]


def test_the_users_file_is_still_read_where_kernels_are_chosen(flows: Flows) -> None:
    chosen = {"MVAU": choose("MVAU_rtl")}
    name = flows.file("edited.json", {"MVAU_2": {"preferred_impl_style": "hls"}})
    first = flows.run("digits_mlp_w2a2", chosen, specialize_layers_config_file=name)
    flows.file("edited.json", {"MVAU_1": {"preferred_impl_style": "hls"}})
    second = flows.run("digits_mlp_w2a2", chosen, specialize_layers_config_file=name)
    assert flows.backends(first, "MVAU") == ["MVAU_rtl", "MVAU_rtl", "MVAU_hls"]
    assert flows.backends(second, "MVAU") == ["MVAU_rtl", "MVAU_hls", "MVAU_rtl"]


def test_a_file_alone_does_what_it_does_in_finn(flows: Flows) -> None:
    name = flows.file("alone.json", {"MVAU_1": {"preferred_impl_style": "rtl"}})
    alone = flows.run("digits_mlp_w2a2", None, specialize_layers_config_file=name)
    other = {"Thresholding": choose("Thresholding_rtl")}
    beside = flows.run("digits_mlp_w2a2", other, specialize_layers_config_file=name)
    assert flows.backends(alone, "MVAU") == ["MVAU_hls", "MVAU_rtl", "MVAU_hls"]
    assert beside[-1].state == alone[-1].state
