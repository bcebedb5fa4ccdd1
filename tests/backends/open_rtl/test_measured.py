"""What is made of the test bench's report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finnmake.backends.open_rtl import deadlock, measured
from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl.deadlock import Deadlock
from finnmake.backends.open_rtl.design import Design
from tests.backends.open_rtl import handmade


def report(**changes: Any) -> dict[str, Any]:
    return {"verdict": "done", "cycles": 100, "start": [], "finish": [], **changes}


def test_intervals_and_latency_come_from_the_cycles():
    found = measured.from_report(
        handmade.design(), report(start=[5, 10, 15, 20, 25], finish=[30, 37, 50, 60, 70])
    )
    assert found.latency == 25
    assert found.intervals == (7, 13, 10, 10)
    assert found.stable_interval == 10
    assert found.is_settled


def test_an_interval_that_changes_is_not_settled():
    found = measured.from_report(handmade.design(), report(start=[0] * 5, finish=[1, 11, 21, 30, 41]))
    assert found.stable_interval == 10
    assert not found.is_settled


def test_one_inference_has_no_interval():
    found = measured.from_report(handmade.design(), report(start=[0], finish=[9]))
    assert (found.latency, found.stable_interval, found.is_settled) == (9, None, False)


def test_is_json():
    found = measured.from_report(handmade.design(), report(start=[0, 0], finish=[9, 20]))
    assert json.loads(json.dumps(found.to_dict()))["stable_interval"] == 11


def explained(
    valid: set[str], ready: set[str], moved: dict[str, int] | None = None, design: Design | None = None
) -> Deadlock:
    design = design or handmade.design()
    names = [stream.name for stream in design.streams]
    return deadlock.explain(
        design,
        {
            "valid": [int(name in valid) for name in names],
            "ready": [int(name in ready) for name in names],
            "transfers": [(moved or {}).get(name, 0) for name in names],
        },
    )


def test_a_join_that_lacks_one_branch_is_named_with_the_full_fifo():
    found = explained({"in0", "short", "short_q"}, {"held_q", "held", "long"})
    assert found == Deadlock(("fifo_0",), ("add_0",), "FIFO fifo_0 is full, and add_0 waits for held_q")


def test_fifos_before_the_fork_are_not_named():
    design = designs.read(Path(__file__).parent / "golden/residual")
    lacking = "StreamingFIFO_rtl_22_out0"
    before = [f"StreamingFIFO_rtl_{number}" for number in range(7)]
    around = ["StreamingFIFO_rtl_7", "StreamingFIFO_rtl_10", "StreamingFIFO_rtl_12"]
    held = {stream.name for stream in design.streams if stream.consumer in {*before, *around}}
    held.add("StreamingFIFO_rtl_12_out0")
    free = {stream.name for stream in design.streams} - held
    found = explained(held, free, design=design)
    assert found.full == tuple(around)
    assert found.waiting == ("ElementwiseAdd_hls_0",)
    assert found.message.endswith(f"are full, and ElementwiseAdd_hls_0 waits for {lacking}")


def test_a_layer_that_neither_takes_nor_gives_is_named():
    found = explained({"in0", "short", "long"}, {"short_q", "sum_q"})
    assert found.waiting == ("hold_0",)
    assert "hold_0 neither takes the beat at its input nor gives one; FIFO fifo_0 is full" in found.message


@pytest.mark.parametrize("lost", ["hold_0", "scale_0"])
def test_a_layer_that_swallows_beats_is_named(lost: str):
    design = handmade.design()
    outputs = {name for layer in design.layers if layer.name == lost for name in layer.outputs}
    found = explained(set(), set(), {s.name: s.beats - (s.name in outputs) for s in design.streams})
    assert found.full == ()
    assert found.waiting == (lost,)
