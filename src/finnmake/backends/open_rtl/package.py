"""The design as a folder that Vivado takes as it is: sources, data, constraints, a script and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import rendering
from finnmake.backends.open_rtl.design import Design

#: FINN's name for the depths of FIFOs, for a build with Vivado later.
FIFO_CONFIG = "fifo_config.json"

#: Template -> the file that it becomes.
_RENDERED = {
    "package_readme.md.j2": "README.md",
    "package_constraints.xdc.j2": "constraints.xdc",
    "package_import.tcl.j2": "import.tcl",
}


@dataclass(frozen=True)
class Facts:
    """What the page tells besides the design.

    Attributes:
        part: the FPGA part.
        clock_ns: the period that the constraints ask for.
        interval: cycles from one inference to the next, as simulated; None where that is not known.
        latency: cycles of one inference, as simulated; None where that is not known.
        resources: name -> count, as synthesised; none where nothing was.
    """

    part: str
    clock_ns: float
    interval: float | None
    latency: int | None
    resources: Mapping[str, int]


def write(design: Design, source: Path, folder: Path, facts: Facts, fifo_config: Mapping[str, Any]) -> None:
    """Write the package.

    Args:
        design: what it is of.
        source: where the design lies.
        folder: where to; whatever was there goes.
        facts: for the page and the constraints.
        fifo_config: see `fifos.fifo_config`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (*design.sources, *design.data, designs.FILE, designs.FILE_LIST):
        shutil.copyfile(source / name, folder / name)
    (folder / FIFO_CONFIG).write_text(json.dumps(fifo_config, indent=1) + "\n")
    for template, name in _RENDERED.items():
        text = rendering.render(template, design=design, facts=facts, fifo_config=FIFO_CONFIG)
        (folder / name).write_text(text)
