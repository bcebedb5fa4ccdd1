"""Simulating a design: data, cycles, pauses, deadlock, captures and waveforms."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnmake.backends.open_rtl import simulate, stimuli
from finnmake.backends.open_rtl.measured import DEADLOCK, DONE, LIMIT
from finnmake.backends.open_rtl.simulate import Program, Run, Window
from finnmake.engine.parts import Parts
from finnmake.errors import StepError
from tests.backends.open_rtl import handmade

pytestmark = [pytest.mark.finn, pytest.mark.slow]  # stimuli need QONNX's datatypes

PATIENCE = 1000


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Program:
    folder = tmp_path_factory.mktemp("plain")
    design = handmade.write(folder / "rtl")
    return simulate.build(design, folder / "rtl", folder, optimise="-O0", runtime=runtime)


def check(program: Program, asked: Run, inferences: int = 20, seed: int = 1) -> simulate.Measured:
    """Simulate random inputs; all outputs have to be right."""
    fed = handmade.inputs(inferences, seed)
    measured, out = simulate.run(program, fed, asked)
    expected = handmade.expected(fed)
    for port in program.design.outputs:
        np.testing.assert_array_equal(out[port.tensor], expected[port.tensor])
    return measured


def test_outputs_are_right_and_cycles_the_same_whether_observed_or_not(plain: Program, observed: Program):
    first = check(plain, Run())
    second = check(observed, Run())
    assert first.verdict == DONE
    assert first.activity is None
    assert (first.cycles, first.start, first.finish) == (second.cycles, second.start, second.finish)
    assert first.stable_interval == 32
    assert first.is_settled


class Compiler:
    """Stands in for Verilator: makes programs that are told apart by when they were made."""

    def __init__(self) -> None:
        self.made = 0

    def verilate(self, sources: object, top: str, main: Path, folder: Path, **options: object) -> Path:
        self.made += 1
        (folder / "sim").write_text(f"program {self.made}")
        return folder / "sim"


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    found = Compiler()
    monkeypatch.setattr(simulate.tools, "verilate", found.verilate)
    return found


def test_a_program_of_the_same_sources_is_taken_from_where_it_is_kept(
    tmp_path: Path, compiler: Compiler
) -> None:
    kept = Parts(tmp_path / "kept")
    design = handmade.write(tmp_path / "rtl")
    first = simulate.build(design, tmp_path / "rtl", tmp_path / "a", programs=kept)
    (tmp_path / "rtl" / design.data[0]).write_text("0\n")  # data are read when it runs
    second = simulate.build(design, tmp_path / "rtl", tmp_path / "b", programs=kept)
    assert compiler.made == 1
    assert first.binary.read_bytes() == second.binary.read_bytes() == b"program 1"
    assert os.access(second.binary, os.X_OK) and second.folder == tmp_path / "rtl"


@pytest.mark.parametrize("what", ["source", "name", "observe", "waves", "threads", "g++", "tool"])
def test_whatever_a_program_is_made_of_makes_another(
    tmp_path: Path, compiler: Compiler, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    kept, rtl = Parts(tmp_path / "kept"), tmp_path / "rtl"
    design = handmade.write(rtl)
    simulate.build(design, rtl, tmp_path / "a", programs=kept)
    options: dict[str, Any] = {"observe": {"observe": True}, "waves": {"waves": True}}.get(what, {})
    options |= {"threads": {"threads": 2}, "g++": {"optimise": "-O0"}}.get(what, {})
    if what == "source":
        path = rtl / design.sources[0]
        path.write_text(path.read_text() + "\n")
    elif what == "name":
        (rtl / design.sources[0]).rename(rtl / "other.sv")
        design = dataclasses.replace(design, sources=("other.sv", *design.sources[1:]))
    elif what == "tool":
        monkeypatch.setattr(simulate.tools, "identity", lambda: ["another"])
    simulate.build(design, rtl, tmp_path / "b", programs=kept, **options)
    assert compiler.made == 2


def test_a_damaged_program_is_made_again(tmp_path: Path, compiler: Compiler) -> None:
    kept = Parts(tmp_path / "kept")
    design = handmade.write(tmp_path / "rtl")
    simulate.build(design, tmp_path / "rtl", tmp_path / "a", programs=kept)
    (path,) = kept.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    simulate.build(design, tmp_path / "rtl", tmp_path / "b", programs=kept)
    assert compiler.made == 2


@pytest.mark.parametrize("seed", range(4))
def test_pauses_change_cycles_and_no_values(observed: Program, seed: int):
    asked = Run(stall_in=0.3, stall_out=0.4, seed=seed)
    measured = check(observed, asked)
    assert measured.cycles > check(observed, Run()).cycles
    assert check(observed, asked) == measured, "not the same in every run"
    assert check(observed, dataclasses.replace(asked, seed=seed + 10)).finish != measured.finish


def test_inferences_come_at_the_interval(observed: Program):
    measured = check(observed, Run(interval=50))
    assert [start - measured.start[0] for start in measured.start] == [50 * k for k in range(20)]
    assert set(measured.intervals) == {50}


def test_inputs_are_fed_over_and_over(plain: Program):
    fed = handmade.inputs(3)
    measured, out = simulate.run(plain, fed, Run(inferences=10))
    assert len(measured.finish) == 10
    np.testing.assert_array_equal(out["out0"], handmade.expected(fed)["out0"][np.arange(10) % 3])


def test_activity_adds_up(observed: Program):
    measured = check(observed, Run(), inferences=30)
    activity = measured.activity
    assert activity is not None
    for waiting in activity.layers.values():
        assert waiting.busy + waiting.blocked + waiting.starved == measured.cycles
    # hold_0 is what all wait for.
    assert activity.layers["hold_0"].blocked == 0
    assert activity.layers["duplicate_0"].blocked > measured.cycles // 3
    assert activity.beats["sum"] == 30 * handmade.BEATS
    line = activity.timeline
    assert measured.cycles / line.width <= 256
    assert max(line.fill["fifo_0"]) == activity.fifos["fifo_0"].peak
    for name, waiting in activity.layers.items():
        assert sum(line.blocked[name]) == waiting.blocked
        assert sum(line.starved[name]) == waiting.starved


def test_a_fifo_too_shallow_is_a_deadlock_that_names_it(observed: Program):
    measured, _ = simulate.run(observed, handmade.inputs(2), Run(depths={"fifo_0": 2}, patience=PATIENCE))
    assert measured.verdict == DEADLOCK
    assert measured.deadlock is not None
    assert measured.deadlock.full == ("fifo_0",)
    assert measured.deadlock.waiting == ("add_0",)
    assert check(observed, Run(depths={"fifo_0": 9}, patience=PATIENCE)).verdict == DONE


def test_a_fifo_too_shallow_by_design_is_a_deadlock(tmp_path: Path, plain: Program):
    program = dataclasses.replace(plain, folder=tmp_path, resizable=True)
    handmade.write(tmp_path)
    measured, out = simulate.run(program, handmade.inputs(2), Run(depths={"fifo_0": 5}, patience=PATIENCE))
    assert (measured.verdict, measured.deadlock, len(out["out0"])) == (DEADLOCK, None, 0)


def test_it_ends_at_the_limit(plain: Program):
    measured, out = simulate.run(plain, handmade.inputs(9), Run(limit=100))
    assert (measured.verdict, measured.cycles, len(measured.finish), len(out["out0"])) == (LIMIT, 100, 3, 3)


def test_captured_streams_hold_what_the_layers_give(observed: Program, tmp_path: Path):
    fed = handmade.inputs(4)
    simulate.run(observed, fed, Run(capture=tmp_path, capture_from=2, stall_out=0.3))
    expected = handmade.expected(fed)
    for stream in observed.design.streams:
        beats = np.fromfile(tmp_path / f"{stream.name}.bin", np.uint8)
        cycles = np.fromfile(tmp_path / f"{stream.name}.cycles", "<u8")
        inferences = len(beats) * 8 // stream.width // stream.beats
        assert inferences == 2
        np.testing.assert_array_equal(stimuli.unpack(beats, stream), expected[stream.tensor][2:])
        assert (np.diff(cycles.astype(np.int64)) > 0).all()


def test_a_waveform_of_a_window_is_smaller_than_that_of_the_run(observed: Program, tmp_path: Path):
    fed = handmade.inputs(50)
    simulate.run(observed, fed, Run(waves=Window(tmp_path / "all.fst")))
    simulate.run(observed, fed, Run(waves=Window(tmp_path / "part.fst", 100, 150)))
    whole, part = ((tmp_path / f"{name}.fst").stat().st_size for name in ("all", "part"))
    assert 0 < part < whole


@pytest.mark.parametrize("wanted", ["depths", "capture", "waves"])
def test_what_the_program_cannot_do_is_refused(plain: Program, wanted: str, tmp_path: Path):
    asked = {"depths": {"fifo_0": 2}, "capture": tmp_path, "waves": Window(tmp_path / "waves.fst")}
    with pytest.raises(StepError, match=f"not built for {wanted}"):
        simulate.run(plain, handmade.inputs(1), Run(**{wanted: asked[wanted]}))


def test_a_run_out_of_time_says_so(plain: Program):
    with pytest.raises(StepError, match=r"not simulated in 0\.2 s") as caught:
        simulate.run(plain, handmade.inputs(1), Run(inferences=10**9, timeout=0.2))
    assert caught.value.timed_out


def test_missing_weights_are_an_error(plain: Program, tmp_path: Path):
    with pytest.raises(StepError, match=r"scale\.dat.*readmem"):
        simulate.run(dataclasses.replace(plain, folder=tmp_path), handmade.inputs(1))


def test_sigterm_ends_it_with_a_report(plain: Program, tmp_path: Path):
    for index, port in enumerate(plain.design.inputs):
        stimuli.pack(handmade.inputs(1)[port.tensor], port).tofile(tmp_path / f"in{index}")
    files = [f"{name}={tmp_path / name}" for name in ("in0", "in1", "out0", "out1", "report")]
    with subprocess.Popen(
        [plain.binary, *files, "inferences=1000000000"], cwd=plain.folder, stdout=subprocess.DEVNULL
    ) as process:
        try:
            while not (tmp_path / "out0").exists() or (tmp_path / "out0").stat().st_size == 0:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert '"verdict": "terminated"' in (tmp_path / "report").read_text()
