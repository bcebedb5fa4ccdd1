"""Synthesis of a stitched design with Yosys: what it takes of the device, by layer and flat.

By layer, each instance of the top is synthesised out of context, and equal ones once; what crosses between
two instances is not optimised. Flat is the whole design at once. There is no Fmax: no open tool knows the
timing of these devices.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.backends.open_rtl import instances
from finnmake.backends.open_rtl.design import Design
from finnmake.backends.open_rtl.instances import WRAPPER, Instance
from finnmake.backends.open_rtl.yosys import run as yosys
from finnmake.backends.open_rtl.yosys.resources import Resources, of_cells, total
from finnmake.backends.open_rtl.yosys.run import Target
from finnmake.engine.parts import Parts
from finnmake.errors import StepError, ToolError
from finnmake.hashing import digest_bytes, digest_value

#: Families of devices, as Yosys calls them, by the start of a part's name.
_FAMILIES = (
    (re.compile(r"x[caq]7[akvsz]"), "xc7"),
    (re.compile(r"x[caq](zu|au)\d|xck2[46]|xc[kv]u\d+p|xcu[x\d]"), "xcup"),
    (re.compile(r"xc[kv]u\d"), "xcu"),
)

#: The memory that streams a layer's weights is the layer's.
_WEIGHTS = "_weights"


@dataclass(frozen=True)
class Report:
    """What synthesis found.

    Attributes:
        part: the FPGA part.
        family: of the part, as Yosys calls it.
        tool: what counted, with its version.
        method: `flat`, or `by layer`.
        total: of the whole design.
        layers: by layer, its memory of weights with it; none where flat.
        fifos: by FIFO; none where flat.
        equal: names of layers, weights and FIFOs that are equal and were synthesised once.
    """

    part: str
    family: str
    tool: str
    method: str
    total: Resources
    layers: Mapping[str, Resources]
    fifos: Mapping[str, Resources]
    equal: tuple[tuple[str, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON holds it; the same design gives the same."""
        return {
            "part": self.part,
            "family": self.family,
            "source": f"synthesis by {self.tool}, {self.method}",
            "total": self.total.counts(),
            "layers": {name: found.counts() for name, found in self.layers.items()},
            "fifos": {name: found.counts() for name, found in self.fifos.items()},
            "equal": [list(names) for names in self.equal],
            "fmax_mhz": None,
            "fmax_note": "No open tool knows the timing of these devices.",
        }


def target(part: str, *, uram: bool = False) -> Target:
    """What to synthesise for.

    Args:
        part: the FPGA part, e.g. xc7z020clg400-1.
        uram: whether the device has UltraRAM.

    Raises:
        ToolError: Yosys has no cells of this part's family.
    """
    for pattern, family in _FAMILIES:
        if pattern.match(part.lower()):
            return Target(family, uram and family == "xcup")
    raise ToolError(
        f"Yosys cannot synthesise for {part}: it knows 7-series, UltraScale and UltraScale+ devices",
        cure="Stop at output_stage: RTL, which needs no synthesis, or name another fpga_part.",
    )


def flat(design: Design, folder: Path, part: str, log: Path, *, uram: bool = False) -> Report:
    """Synthesise the whole design at once.

    Args:
        design: the stitched design.
        folder: where its sources and data lie.
        part: the FPGA part.
        log: the file for what Yosys says.
        uram: whether the device has UltraRAM.

    Raises:
        StepError: Yosys refuses the sources.
        ToolError: Yosys is missing, or does not know the part.
    """
    into = target(part, uram=uram)
    with tempfile.TemporaryDirectory(prefix="yosys") as place:
        scratch = _scratch(place)
        statistics = scratch / "cells.json"
        commands = [*yosys.synthesise(design.sources, design.top, into), _statistics(statistics)]
        yosys.run(yosys.prepare(), {design.top: commands}, folder, scratch, log)
        if not statistics.exists():
            raise yosys.refuse(design.top, log)
        found = _count(_cells(statistics))
    return Report(part, into.family, _tool(), "flat", found, {}, {}, ())


def by_layer(
    design: Design,
    folder: Path,
    part: str,
    log: Path,
    *,
    uram: bool = False,
    kept: Parts | None = None,
    at_once: int = 1,
) -> Report:
    """Synthesise each instance of the top on its own, equal ones once.

    Args:
        design: the stitched design.
        folder: where its sources and data lie.
        part: the FPGA part.
        log: the file for what Yosys says.
        uram: whether the device has UltraRAM.
        kept: where results are kept by the content that they were made of, for any other design; several
            processes may share it.
        at_once: how many instances are synthesised at the same time, of some 0.3 GB of memory each.

    Raises:
        StepError: Yosys refuses the sources; with the name of the instance.
        ToolError: Yosys is missing, or does not know the part.
    """
    into = target(part, uram=uram)
    with tempfile.TemporaryDirectory(prefix="yosys") as place:
        scratch = _scratch(place)
        found = _instances(design, folder, into, scratch, log)
        known = {one.key: _known(kept, one.key) for one in found}
        missing = {one.key: one for one in found if known[one.key] is None}
        if missing:
            known |= _synthesise(missing, folder, into, scratch, log, at_once)
        if kept is not None:
            for key in missing:
                kept.put(key, json.dumps(known[key], sort_keys=True).encode())
        cells = {one.name: known[one.key] or {} for one in found}
    parts = {name: _count(counts) for name, counts in cells.items()}
    return Report(
        part,
        into.family,
        _tool(),
        "by layer",
        total(parts.values()),
        {layer.name: _of_layer(layer.name, parts) for layer in design.layers},
        {fifo.name: parts[fifo.name] for fifo in design.fifos},
        _equal(found),
    )


def _scratch(place: str) -> Path:
    if " " in place:
        raise ToolError(
            f"Yosys cannot work in {place}", cure="Set TMPDIR to a folder without spaces in its path."
        )
    return Path(place)


def _tool() -> str:
    return f"Yosys {yosys.version()}"


def _flow(into: Target) -> str:
    """Stands for all that results depend on beside the sources."""
    parts = [yosys.version(), *yosys.prepare(), *yosys.synthesise(["source.sv"], WRAPPER, into)]
    for path in (yosys.PRIMITIVES, yosys.SHIFT_REGISTERS):
        parts = [part.replace(str(path), path.name) for part in parts]
        parts.append(digest_bytes(path.read_bytes()))
    return digest_value("flow", parts)


def _instances(design: Design, folder: Path, into: Target, scratch: Path, log: Path) -> list[Instance]:
    """The instances of the top. Reads the whole design, but synthesises nothing."""
    work = scratch / "top"
    work.mkdir()
    netlist = work / "netlist.json"
    boxes = instances.modules(design, folder)
    commands = [yosys.read(design.sources, design.top, boxes=boxes), "opt_clean", f"write_json {netlist}"]
    yosys.run(commands, {}, folder, work, log)
    if not netlist.exists():
        raise yosys.refuse(design.top, log)
    return instances.find(design, folder, instances.load(netlist), _flow(into))


def _synthesise(
    missing: Mapping[str, Instance],
    folder: Path,
    into: Target,
    scratch: Path,
    log: Path,
    at_once: int,
) -> dict[str, dict[str, int]]:
    """Synthesise instances; gives the cells that each one takes, by its key."""
    work = scratch / "instances"
    work.mkdir()
    parts = {}
    for key, one in missing.items():
        wrapper = work / f"{key}.sv"
        wrapper.write_text(one.wrapper)
        commands = yosys.synthesise([*one.sources, str(wrapper)], WRAPPER, into)
        parts[key] = [*commands, _statistics(work / f"{key}.json")]
    yosys.run(yosys.prepare(), parts, folder, work, log, at_once=at_once)
    found = {}
    for key, one in missing.items():
        statistics = work / f"{key}.json"
        if not statistics.exists():
            raise yosys.refuse(f"{one.name} ({one.module})", log)
        found[key] = _cells(statistics)
        _count(found[key])
    return found


def _known(kept: Parts | None, key: str) -> dict[str, int] | None:
    """What was found out about an instance earlier."""
    data = None if kept is None else kept.get(key)
    found: dict[str, int] | None = None if data is None else json.loads(data)
    return found


def _statistics(path: Path) -> str:
    return f"tee -q -o {path} stat -json"


def _cells(path: Path) -> dict[str, int]:
    """Kind -> how many, from Yosys' statistics of a flat design."""
    counts: dict[str, int] = json.loads(path.read_text())["design"]["num_cells_by_type"]
    return counts


def _count(cells: Mapping[str, int]) -> Resources:
    """What cells take. Raises StepError for a kind that is not known."""
    try:
        return of_cells(cells)
    except ValueError as error:
        raise StepError(
            "synthesise",
            f"Yosys' netlist has {error}",
            category="synthesis",
            cure="Report this with model and folding: finnmake has to learn what these cells take.",
        ) from error


def _of_layer(name: str, parts: Mapping[str, Resources]) -> Resources:
    return total(parts[each] for each in (name, f"{name}{_WEIGHTS}") if each in parts)


def _equal(found: Sequence[Instance]) -> tuple[tuple[str, ...], ...]:
    """The names of equal instances, where there are several."""
    groups: dict[str, list[str]] = {}
    for one in found:
        groups.setdefault(one.key, []).append(one.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
