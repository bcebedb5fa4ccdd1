"""Runs Yosys' commands: first those that several designs share, then each design in a fork of that state.

Started as a file by `finnmake.backends.open_rtl.yosys.run` with a file of JSON, as Yosys prints, and ends
its process on errors; it imports nothing of finnmake. A fork has the same state whatever ran before it: names
that Yosys numbers, and so the order of its work, do not depend on other designs.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: A command that starts so is run only where the design has memories: it takes two seconds to do nothing.
IF_MEMORY = "if-memory "


def main(path: Path) -> int:
    """Run what the file says; how many parts failed."""
    job = json.loads(path.read_text())
    importlib.import_module("pyosys")
    vars(sys)["_pyosys_share_dirname"] = job["share"]
    yosys = importlib.import_module("pyosys.libyosys")
    design = yosys.Design()
    _run(yosys, design, job["shared"])
    failed = running = 0
    for part in job["parts"]:
        if running >= job["at_once"]:
            failed += os.wait()[1] != 0
            running -= 1
        running += 1
        _flush()
        if os.fork() == 0:
            log = os.open(part["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            _run(yosys, design, part["commands"])
            _flush()
            os._exit(0)
    for _ in range(running):
        failed += os.wait()[1] != 0
    return failed


def _run(yosys: Any, design: Any, commands: Sequence[str]) -> None:
    for command in commands:
        if not command.startswith(IF_MEMORY) or _has_memory(design):
            yosys.run_pass(command.removeprefix(IF_MEMORY), design)


def _has_memory(design: Any) -> bool:
    return any(
        cell.type.str().startswith("$mem")
        for module in design.modules_.values()
        for cell in module.cells_.values()
    )


def _flush() -> None:
    """Write out what C and Python hold back: a fork would write it again, or lose it."""
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
