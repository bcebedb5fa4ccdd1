"""`doit waves config_001`: simulates a design that the backend open_rtl built, and writes its waveform.

`doit build:config_001 --waves` does so after the build.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from finnmake.engine import parts
from finnmake.engine.parts import Parts
from finnmake.engine.temporary import default_root
from finnmake.errors import Location, StepError, WorkspaceError, from_os_error
from finnmake.tasks.amounts import counted, long, size_text
from finnmake.tasks.command import DONE, FAILED, HELP, NamingCommand, refuse, text_option
from finnmake.tasks.waves_design import take
from finnmake.tasks.workspace import Workspace, workspace
from finnmake.whole import written_whole

if TYPE_CHECKING:
    from finnmake.backends.open_rtl.design import Design
    from finnmake.backends.open_rtl.measured import Measured
    from finnmake.records import BuildConfig

#: The ending of a file of the kind that is written.
_ENDING = ".fst"

#: How many inferences, where nothing else is said.
_INFERENCES = 3

#: Different random inputs; of more inferences, they come over and over.
_INPUTS = 100

#: `FIRST:LAST`, of which either may be left out.
_CYCLES = re.compile(r"([0-9]{0,18}):([0-9]{0,18})")


@dataclass(frozen=True)
class _Asked:
    """What is to be written: from one cycle to another (None: to the end) of so many inferences."""

    first: int
    last: int | None
    inferences: int


class Waves(NamingCommand):
    """The command."""

    name = "waves"
    doc_purpose = "simulate a design that the backend open_rtl built, and write its waveform"
    doc_usage = "CONFIGURATION [--cycles FIRST:LAST] [-o FILE] [--inferences N] [blueprint=NAME]"
    doc_description = """CONFIGURATION is config_001 or build:config_001. Its design is simulated as it was
built, up to date or not, on this machine and with random inputs, the same every time.

The file is FST, which GTKWave and Surfer show. Cycle 0 is the first one after reset; cycle N begins at
time 2 N. Nothing in the project or the store's results changes.

Exit code 1: the design deadlocks, a tool is missing or fails. 3: there is no such design."""
    cmd_options = (
        text_option(
            "cycles",
            "FIRST:LAST",
            "write these cycles alone, and end after the last; either may be left out",
            default=":",
        ),
        text_option(
            "output",
            "FILE",
            f"the waveform [default: BLUEPRINT-CONFIGURATION{_ENDING} in this folder]",
            short="o",
        ),
        text_option("inferences", "N", "simulate N inferences, one after another", default=str(_INFERENCES)),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Simulate, write the file and say what is in it. Raises FinnmakeError."""
        asked = self._asked(options)
        self.check_asked()
        ws = workspace()
        check_backend(ws)
        ws.asked = (self.asked.removeprefix("build:"),)
        config = ws.configs[0]
        target = Path(options["output"]).absolute() if options["output"] else _target(config)
        _check_target(target)
        return _written(ws, config, asked, target)

    def _asked(self, options: Mapping[str, Any]) -> _Asked:
        """What the options ask for. Raises WorkspaceError."""
        cycles, count = options["cycles"], options["inferences"]
        found = _CYCLES.fullmatch(cycles)
        first = int(found[1] or 0) if found else 0
        last = int(found[2]) if found and found[2] else None
        if found is None or (last is not None and last < first):
            raise self._wrong(f"option --cycles takes FIRST:LAST, as 100:2000, not {cycles!r}")
        if re.fullmatch(r"[0-9]{1,9}", count) is None or int(count) == 0:
            raise self._wrong(f"option --inferences takes a whole number from 1 on, not {count!r}")
        return _Asked(first, last, int(count))


def write_all(names: Sequence[str]) -> int:
    """Write the waveforms of configurations that were just built into this folder; gives the exit code.

    Raises FinnmakeError.
    """
    ws = workspace()
    if not names:
        raise WorkspaceError(
            "no configuration is built by these tasks, so there is no waveform",
            cure="Name one, as build:config_001, or leave --waves away.",
        )
    asked = _Asked(0, None, _INFERENCES)
    configs = {config.id: config for config in ws.configs}
    return max(_written(ws, configs[name], asked, _target(configs[name])) for name in names)


def _target(config: BuildConfig) -> Path:
    return Path(f"{config.design_space_id}-{config.id}{_ENDING}").absolute()


def _written(ws: Workspace, config: BuildConfig, asked: _Asked, target: Path) -> int:
    """Simulate, write the file and say what is in it; gives the exit code. Raises FinnmakeError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # programs are ended, and no file stays
    try:
        with TemporaryDirectory(prefix="waves") as place:
            scratch = Path(place)
            design = take(ws.root / config.output_dir, config, scratch / "rtl")
            measured = _simulated(design, scratch, asked, config.id)
            _check_reached(measured, asked)
            with written_whole(target) as beside:
                shutil.copyfile(scratch / f"waves{_ENDING}", beside)
    except StepError as error:
        refuse(error)
        return FAILED
    except OSError as error:
        raise from_os_error(error) from error
    return _told(measured, asked, target)


def check_backend(ws: Workspace) -> None:
    """Raise WorkspaceError where there can be no waveforms."""
    if ws.backend.name != OPEN_RTL:
        raise WorkspaceError(
            f"waveforms are of designs of the backend {OPEN_RTL}, and this blueprint's is {ws.space.backend}",
            where=Location(path=ws.space.path, key="backend"),
            cure=f"Build it with backend: {OPEN_RTL}, or name another blueprint: blueprint=NAME",
        )


def _check_target(target: Path) -> None:
    """Raise WorkspaceError for a file that could not be made, before any work."""
    if target.is_dir() or target.suffix != _ENDING:
        what = "this is a folder" if target.is_dir() else f"a waveform's name ends in {_ENDING}"
    elif not target.parent.is_dir():
        what = f"there is no folder {target.parent}"
    else:
        return
    raise WorkspaceError(what, where=Location(path=target), cure="Give the name of a file with -o.")


def _simulated(design: Design, scratch: Path, asked: _Asked, name: str) -> Measured:
    """Simulate the design in `rtl`, and write the waveform beside it. Raises ToolError, StepError."""
    from finnmake.backends.open_rtl import simulate, stimuli, tools  # these take NumPy

    tools.check()
    store = default_root()
    kept = store / parts.FOLDER / OPEN_RTL
    with long("waves", f"compiling the simulation of {name}"):
        program = simulate.build(
            design,
            scratch / "rtl",
            scratch / "program",
            observe=True,
            waves=True,
            runtime=Parts(kept / "runtime") if store.is_dir() else None,
            programs=Parts(kept / "programs") if store.is_dir() else None,
        )
    count = min(asked.inferences, _INPUTS)
    inputs = {port.tensor: stimuli.random_values(port, count, seed=0) for port in design.inputs}
    window = simulate.Window(scratch / f"waves{_ENDING}", asked.first)
    run = simulate.Run(inferences=asked.inferences, waves=window)
    if asked.last is not None:
        window = simulate.Window(window.file, asked.first, asked.last)
        run = simulate.Run(inferences=asked.inferences, waves=window, limit=asked.last + 1)
    with long("waves", f"simulating {counted(asked.inferences, 'inference')} of {name}"):
        return simulate.run(program, inputs, run)[0]


def _check_reached(measured: Measured, asked: _Asked) -> None:
    if measured.cycles <= asked.first:
        raise WorkspaceError(
            f"the simulation ends after {measured.cycles:,} cycles, before cycle {asked.first:,}",
            cure="Name earlier cycles, or simulate more inferences: --inferences N",
        )


def _told(measured: Measured, asked: _Asked, target: Path) -> int:
    """Say what was written; gives the exit code."""
    shown = os.path.relpath(target) if target.is_relative_to(Path.cwd()) else str(target)
    print(
        f"{shown}: cycles {asked.first:,} to {measured.cycles - 1:,}, "
        f"{len(measured.finish)} of {counted(asked.inferences, 'inference')} to the end, "
        f"{size_text(target.stat().st_size)}"
    )
    if measured.deadlock is None:
        return DONE
    refuse(WorkspaceError(measured.deadlock.message, cure="The end of the waveform shows it."))
    return FAILED
