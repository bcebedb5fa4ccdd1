"""Builds what an archive holds again: in a copy of its project, with an empty store.

Works with the standard library alone, as `archived` does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from finnmake.engine.toolchain import SWITCHES
from finnmake.tasks.archived import PROJECT, Archived

#: For a build that is told to stop (seconds): its worker ends and the store is swept up.
_PATIENCE = 30.0

#: Variables of the caller's that would make it another build.
_OWN = ("FINNMAKE_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def build_again(folder: Path, work: Path, archived: Archived, *, python: str = "") -> int:
    """Build in `work`; gives the exit code of the command. What it says goes to standard error.

    Args:
        folder: the unpacked archive, which stays as it is.
        work: an empty folder.
        python: of an environment that is known to be the same; empty for one that doitw makes.
    """
    project = work / PROJECT
    shutil.copytree(folder / PROJECT, project)
    command = [python, "-m", "finnmake"] if python else ["./doitw"]
    with subprocess.Popen(
        [*command, *archived.arguments, f"build:{archived.config_id}"],
        cwd=project,
        env=_environment(work, archived),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    ) as process:
        try:
            return process.wait()
        except BaseException:
            _stop(process)
            raise


def built(work: Path, archived: Archived) -> Path:
    """Where the outputs of the new build are."""
    return work / PROJECT / archived.outputs


def _environment(work: Path, archived: Archived) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in SWITCHES and (not name.startswith(_OWN) or name == "FINNMAKE_PYTHON")
    }
    project = str(work / PROJECT)
    variables = {name: os.path.join(project, value) for name, value in archived.variables.items()}
    # CI: what runs on after a build would keep files of a folder that goes.
    ours = {"FINNMAKE_STORE": str(work / "store"), "FINNMAKE_RUNTIME": archived.runtime, "CI": "1"}
    return {**kept, **variables, **archived.switches, **ours}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the build as Ctrl-C does; it may have had that signal from the terminal already."""
    with suppress(ProcessLookupError, KeyboardInterrupt):
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    process.kill()
