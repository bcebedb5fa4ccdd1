"""Builds and runs the simulation of a stitched design.

Data goes in and out by files of beats. What it measures is cycles alone, and so the same in every run; how
fast it simulated goes to the log. Programs start in the folder of the design, whose weight files they read.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl import stimuli, testbench, tools
from finnmake.backends.open_rtl.design import OBSERVE, Design
from finnmake.backends.open_rtl.measured import DEADLOCK, DONE, LIMIT, Measured, from_report
from finnmake.engine.parts import Parts
from finnmake.errors import StepError
from finnmake.hashing import digest_file, digest_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The name of the step in messages.
STEP = "simulate"

#: Our model of FINN's FIFO, and the file of FINN's that it stands for.
FIFO_MODEL = Path(__file__).parent / "sim" / "fifo.sv"

#: What Verilator says of weights that it cannot read, as a warning: they would all be 0.
_NO_DATA = "$readmem"

_BENCH = "testbench.cpp"
_SOURCES = "sources"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Program:
    """A compiled simulation.

    Attributes:
        binary: the program.
        folder: where the design is, with its weight files.
        design: what it simulates.
        observe: whether it sees the streams between the layers.
        waves: whether it can write waveforms.
        resizable: whether `Run.depths` counts.
    """

    binary: Path
    folder: Path
    design: Design
    observe: bool = False
    waves: bool = False
    resizable: bool = False


@dataclass(frozen=True)
class Window:
    """A waveform: an FST file, and its first and last cycle."""

    file: Path
    first: int = 0
    last: int = 2**63


@dataclass(frozen=True)
class Run:
    """What to run.

    Attributes:
        inferences: how many; inputs are fed over and over. 0: as many as there are inputs.
        interval: least cycles from one inference to the next at the inputs; 0: back to back.
        stall_in: share of cycles in which an input pauses at random, 0 to below 1.
        stall_out: likewise, an output.
        seed: of the pauses.
        patience: cycles without any beat after which it is a deadlock. A layer computes for long between two
            beats: more than the longest of them takes for an inference is safe.
        limit: cycles after which it ends in any case.
        depths: FIFO -> words; 0: without end. Others are as in the design. Of resizable programs.
        capture: folder for the beats of all streams; of programs that observe.
        capture_from: the first inference that is captured.
        waves: of programs with waveforms.
        timeout: seconds.
    """

    inferences: int = 0
    interval: int = 0
    stall_in: float = 0
    stall_out: float = 0
    seed: int = 0
    patience: int = 1_000_000
    limit: int | None = None
    depths: Mapping[str, int] = field(default_factory=dict)
    capture: Path | None = None
    capture_from: int = 0
    waves: Window | None = None
    timeout: float = 3600


def build(
    design: Design,
    source: Path,
    folder: Path,
    *,
    observe: bool = False,
    waves: bool = False,
    resizable: bool = False,
    threads: int = 1,
    optimise: str = "-O1",
    runtime: Parts | None = None,
    programs: Parts | None = None,
) -> Program:
    """Compile a simulation.

    Args:
        design: as in `source/design.json`.
        source: the design's folder.
        folder: for the program, its test bench and its log.
        observe: see the streams between the layers; needed for activity, captures and the names of deadlocks.
        waves: be able to write waveforms; it is slower.
        resizable: take our model of FINN's FIFO, whose depth can be set for each run.
        threads: with which the program runs.
        optimise: g++'s option. `-O0` compiles fastest and runs five times slower; `-O2` takes a third longer
            to compile and runs no faster: Verilator has optimised before.
        runtime: see `tools.verilate`.
        programs: where programs are kept by all that they are made of. Weights and thresholds are no part of
            that: a program reads them when it runs.

    Raises:
        ToolError: a tool is missing.
        StepError: Verilator or g++ refuses it; or `resizable`, and the design has no fifo.sv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bench = folder / _BENCH
    bench.write_text(testbench.render(design, observe=observe, waves=waves))
    place = source
    if resizable:
        if FIFO_MODEL.name not in design.sources:
            raise StepError(
                STEP,
                f"the design in {source} has no {FIFO_MODEL.name}, so it has no FIFOs to size",
                category="config",
                cure="Insert FIFOs first.",
            )
        place = folder / _SOURCES
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name in design.sources:
            shutil.copyfile(FIFO_MODEL if name == FIFO_MODEL.name else source / name, place / name)
    defines = (OBSERVE,) if observe else ()

    def make() -> Path:
        return tools.verilate(
            design.sources,
            design.top,
            bench,
            folder,
            cwd=place,
            defines=defines,
            waves=waves,
            threads=threads,
            optimise=optimise,
            runtime=runtime,
        )

    made_of = [
        *(design.top, list(defines), waves, threads, optimise, digest_file(bench)),
        *([name, digest_file(place / name)] for name in design.sources),
    ]
    binary = make() if programs is None else _kept(programs, made_of, folder / tools.BINARY, make)
    return Program(binary, source, design, observe, waves, resizable)


def _kept(programs: Parts, made_of: Sequence[Any], binary: Path, make: Callable[[], Path]) -> Path:
    """The program of before, where there is one; else it is made, and kept."""
    key = digest_value("program", [*tools.identity(), *made_of])
    data = programs.get(key)
    if data is None:
        programs.put(key, make().read_bytes())
    else:
        binary.write_bytes(data)
        binary.chmod(0o755)
    return binary


def run(
    program: Program, inputs: Mapping[str, NDArray[Any]], asked: Run = Run()
) -> tuple[Measured, dict[str, NDArray[Any]]]:
    """Simulate.

    Args:
        program: what to run.
        inputs: tensor of each input port -> values of one or more inferences, see `stimuli.pack`.
        asked: how.

    Returns:
        What was measured; and tensor of each output port -> values of the inferences that it gave whole,
        see `stimuli.unpack`. Deadlock and limit are results, for the caller to judge.

    Raises:
        StepError: an assertion of the RTL failed, the program died or the time ran out.
    """
    ports = program.design.inputs
    packed = [stimuli.pack(inputs[port.tensor], port) for port in ports]
    inferences = asked.inferences or len(packed[0])
    with tempfile.TemporaryDirectory(prefix="simulate") as place:
        scratch = Path(place)
        for index, beats in enumerate(packed):
            beats.tofile(scratch / f"in{index}")
        report = _run(program, scratch, inferences, asked)
        outputs = {}
        for index, port in enumerate(program.design.outputs):
            beats = np.fromfile(scratch / f"out{index}", np.uint8)
            whole = port.beats * port.width // 8
            outputs[port.tensor] = stimuli.unpack(beats[: len(beats) // whole * whole], port)[:inferences]
    return from_report(program.design, report), outputs


def _run(program: Program, scratch: Path, inferences: int, asked: Run) -> dict[str, Any]:
    """Run the program on files that are there. Gives its report."""
    report = scratch / "report.json"
    command = [str(program.binary.absolute()), *_arguments(program, scratch, inferences, asked)]
    try:
        done = subprocess.run(
            [*command, f"report={report}"],
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=asked.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(
            STEP,
            f"{inferences} inferences were not simulated in {asked.timeout:g} s",
            category="timeout",
            cure="Simulate fewer inferences, fold less, or raise the time limit.",
            timed_out=True,
        ) from error
    said = (done.stdout + done.stderr).strip()
    _LOG.info("%s%s", "with pauses: " if asked.stall_in or asked.stall_out else "", said)
    if done.returncode != 0 or _NO_DATA in said:
        raise _failure(said, done.returncode)
    result: dict[str, Any] = json.loads(report.read_text())
    if result["verdict"] not in (DONE, DEADLOCK, LIMIT):
        raise _failure(said, result["verdict"])
    return result


def _arguments(program: Program, scratch: Path, inferences: int, asked: Run) -> Sequence[str]:
    """The test bench's arguments, see there. Raises StepError for what the program cannot do."""
    for wanted, able in (
        ("depths", program.resizable),
        ("capture", program.observe),
        ("waves", program.waves),
    ):
        if getattr(asked, wanted) and not able:
            raise StepError(STEP, f"the program was not built for {wanted}", category="config")
    design = program.design
    values: dict[str, Any] = {
        **{f"in{index}": scratch / f"in{index}" for index in range(len(design.inputs))},
        **{f"out{index}": scratch / f"out{index}" for index in range(len(design.outputs))},
        "inferences": inferences,
        "interval": asked.interval,
        "stall_in": round(1000 * asked.stall_in),
        "stall_out": round(1000 * asked.stall_out),
        "seed": asked.seed,
        "patience": asked.patience,
    }
    if asked.limit is not None:
        values["cycles"] = asked.limit
    if asked.depths:
        values["depths"] = scratch / "depths"
        values["depths"].write_text("".join(f"{name} {depth}\n" for name, depth in asked.depths.items()))
    if asked.capture is not None:
        asked.capture.mkdir(parents=True, exist_ok=True)
        values |= {"capture": asked.capture.absolute(), "capture_from": asked.capture_from}
    if asked.waves is not None:
        window = asked.waves
        values |= {"waves": window.file.absolute(), "waves_from": window.first, "waves_to": window.last}
    return [f"{name}={value}" for name, value in values.items()]


def _failure(said: str, how: int | str) -> StepError:
    """What the program said when it ended before its time: an assertion's words come first."""
    lines = said.splitlines()
    marks = ("%Error", _NO_DATA, "test bench:")
    telling = [line for line in lines if any(mark in line for mark in marks)] or lines[-3:]
    return StepError(
        STEP,
        "\n".join(telling[:5]) or f"the simulation ended with {how}",
        category="timing",
        cure="An assertion of the RTL failed: report it, with the model and its folding.",
    )
