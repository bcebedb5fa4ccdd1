"""Sizing FIFOs by simulation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from finnmake.backends.open_rtl import fifos, simulate
from finnmake.backends.open_rtl.fifos import Sizing
from finnmake.backends.open_rtl.measured import DONE
from finnmake.backends.open_rtl.simulate import Program, Run
from finnmake.errors import StepError
from tests.backends.open_rtl import handmade

pytestmark = [pytest.mark.finn, pytest.mark.slow]


@pytest.fixture(scope="module")
def sizing(observed: Program) -> Sizing:
    return fifos.size(observed, patience=1000)


def interval(program: Program, depths: dict[str, int]) -> float | None:
    measured, _ = simulate.run(program, handmade.inputs(1), Run(inferences=40, depths=depths, patience=1000))
    return measured.stable_interval if measured.verdict == DONE else None


def test_the_depths_keep_the_bottlenecks_interval(observed: Program, sizing: Sizing):
    # hold_0 takes a beat a cycle, and gives them back as fast: 16 + 16 cycles.
    assert sizing.interval == 2 * handmade.BEATS
    assert interval(observed, dict(sizing.depths)) == sizing.interval


def test_no_fifo_could_be_smaller(observed: Program, sizing: Sizing):
    for name, depth in sizing.depths.items():
        if depth > fifos.LEAST:
            smaller = interval(observed, {**sizing.depths, name: depth - 1})
            assert smaller is None or smaller > sizing.interval, name
    assert sizing.depths["fifo_0"] > fifos.HELD_AT_LEAST
    assert {sizing.depths[f"fifo_{k}"] for k in (1, 2, 3)} == {fifos.LEAST}


def test_memory_is_told_before_and_after(sizing: Sizing):
    widths = {fifo.name: fifo.width for fifo in handmade.design().fifos}
    assert sizing.bits["built"] == 16 * 8 + 2 * 8 + 2 * 16 + 2 * 72
    assert sizing.bits["depths"] == sum(widths[name] * depth for name, depth in sizing.depths.items())
    assert sizing.bits["depths"] < sizing.bits["gauged"] < sizing.bits["built"]
    assert json.loads(json.dumps(sizing.to_dict()))["interval_built"] == sizing.interval


def test_a_search_twice_is_the_same(observed: Program, sizing: Sizing):
    assert fifos.size(observed, patience=1000) == sizing


def test_finn_reads_the_depths(finn_layers: None, sizing: Sizing, tmp_path: Path):
    from finn.transformation.fpgadataflow.set_fifo_depths import ApplyFIFODepthsFromFile
    from onnx import TensorProto, helper
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp
    from qonnx.util.basic import qonnx_make_model

    nodes = [
        helper.make_node(
            "StreamingFIFO_rtl",
            [f"t{k}"],
            [f"t{k + 1}"],
            name=f"fifo_{k}",
            domain="finn.custom_op.fpgadataflow.rtl",
            depth=32,
            folded_shape=[1, 2],
            normal_shape=[1, 2],
            dataType="INT8",
        )
        for k in range(4)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("t0", "t4")]
    graph = helper.make_graph(nodes, "fifos", ends[:1], ends[1:])
    model = ModelWrapper(qonnx_make_model(graph))
    file = tmp_path / "fifo_config.json"
    file.write_text(json.dumps(fifos.fifo_config(handmade.design(), sizing.depths)))
    model = model.transform(ApplyFIFODepthsFromFile(file))
    assert {node.name: getCustomOp(node).get_nodeattr("depth") for node in model.graph.node} == sizing.depths


def test_what_no_fifo_can_mend_is_an_error(observed: Program, monkeypatch: pytest.MonkeyPatch):
    run = simulate.run

    def stopped(program: Program, fed: Any, asked: Run) -> Any:
        return run(program, fed, dataclasses.replace(asked, limit=3))

    monkeypatch.setattr(simulate, "run", stopped)
    with pytest.raises(StepError, match="with endless FIFOs the design ends in limit after 3 cycles"):
        fifos.size(observed, patience=1000)
