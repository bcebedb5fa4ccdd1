"""Yosys' commands for RTL of this backend, and its process."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finnmake.backends.open_rtl.yosys.child import IF_MEMORY
from finnmake.backends.open_rtl.yosys.resources import KINDS
from finnmake.errors import StepError, ToolError

_HERE = Path(__file__).parent

#: Black boxes that slang needs, and the map after which Yosys finds shift registers.
PRIMITIVES = _HERE / "primitives.sv"
SHIFT_REGISTERS = _HERE / "shift_registers.v"

#: What slang takes of the RTL. Never `--ignore-initial`: it would skip the loading of weights and thresholds.
_SLANG = ("--allow-use-before-declare", "--ignore-assertions", "--ignore-timing")

#: Yosys 0.70 gives single-port LUTRAM of 512 words 16 address bits, and then has no cell for it.
_LUTRAM = Path("xilinx/lutrams_xcu.txt")
_WRONG, _RIGHT = 'option "ABITS" 16 {\n\t\tabits 16;', 'option "ABITS" 9 {\n\t\tabits 9;'

#: Yosys' declarations of 328 cells, most of them of devices of long ago, and those of them that a netlist may
#: have. Each pass goes over all cells that are declared: with the few that are needed a small design is
#: synthesised in a quarter of the time.
_CELLS, _NEEDED = Path("xilinx/cells_xtra.v"), Path("xilinx/cells_needed.v")
_MODULE = re.compile(r"^module (\w+)\b.*?^endmodule\n", re.M | re.S)

_ERROR = re.compile(r"\bERROR: |\berror: ")
_SHOWN = 5

_CURE = "Install it: pip install pyosys==0.70. It needs no rights."


@dataclass(frozen=True)
class Target:
    """What is synthesised for.

    Attributes:
        family: of devices, as `synth_xilinx -family` takes it.
        uram: whether memories may become UltraRAM.
    """

    family: str
    uram: bool = False


def version() -> str:
    """The version of Yosys' wheel. Raises ToolError where it is not installed."""
    if importlib.util.find_spec("pyosys") is None:
        raise ToolError("Yosys' wheel pyosys is not installed in this Python environment", cure=_CURE)
    return importlib.metadata.version("pyosys")


def read(sources: Sequence[str], top: str, *, boxes: Sequence[str] = ()) -> str:
    """The command that reads SystemVerilog.

    Args:
        sources: files in compile order, without spaces in their names.
        top: the top module.
        boxes: modules whose instances stay as they are.
    """
    boxed = [word for name in boxes for word in ("--blackboxed-module", name)]
    return " ".join(("read_slang", "--top", top, *_SLANG, *boxed, str(PRIMITIVES), *sources))


def prepare() -> list[str]:
    """The commands that read Yosys' models of cells, once for several designs."""
    return [
        "read_verilog -lib -specify +/xilinx/cells_sim.v",
        f"read_verilog -lib +/{_NEEDED}",
    ]


def synthesise(sources: Sequence[str], top: str, target: Target) -> list[str]:
    """The commands that synthesise a module out of context and flat, after those of `prepare`."""
    uram = ["-uram"] if target.uram else []
    flow = " ".join(
        ("synth_xilinx", "-family", target.family, "-top", top, "-flatten", "-noiopad", "-noclkbuf", *uram)
    )
    return [
        read(sources, top),
        f"hierarchy -check -top {top}",
        f"{flow} -run prepare:map_memory",
        f"{IF_MEMORY}{flow} -run map_memory:map_ffram",
        f"{flow} -run map_ffram:fine",
        f"techmap -map {SHIFT_REGISTERS}",
        f"{flow} -run fine:check",
    ]


def run(
    shared: Sequence[str],
    parts: Mapping[str, Sequence[str]],
    folder: Path,
    scratch: Path,
    log: Path,
    *,
    at_once: int = 1,
) -> None:
    """Run Yosys in a folder; what it says goes into the log. Whether a part succeeded is seen by its files.

    Args:
        shared: commands that are run once.
        parts: name -> commands, each of which start where the shared ones ended.
        folder: where it runs: names of sources and of data files in RTL are relative to it.
        scratch: an empty folder without spaces in its path, for files of this call.
        log: the file for what it says; the path of `scratch` is left out.
        at_once: how many parts are run at the same time.
    """
    job = scratch / "job.json"
    logs = {name: scratch / f"{name}.log" for name in parts}
    told = {
        "share": f"{_share(scratch)}/",
        "shared": list(shared),
        "parts": [{"commands": list(parts[name]), "log": str(logs[name])} for name in parts],
        "at_once": at_once,
    }
    job.write_text(json.dumps(told))
    said = scratch / "said"
    with said.open("wb") as out:
        subprocess.run(
            [sys.executable, "-P", str(_HERE / "child.py"), str(job)],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    texts = [path.read_text(errors="replace") for path in (said, *logs.values()) if path.exists()]
    log.write_text("".join(texts).replace(f"{scratch}/", ""))


def refuse(what: str, log: Path) -> StepError:
    """The error for commands that did not run.

    Args:
        what: was being done, for the message.
        log: as `run` left it.
    """
    lines = log.read_text().splitlines()
    telling = [line for line in lines if _ERROR.search(line)][:_SHOWN] or lines[-_SHOWN:]
    return StepError(
        "synthesise",
        f"{what}: Yosys ended with\n" + "\n".join(telling),
        category="synthesis",
        cure="Look into the log. If a generated file is at fault, report it with model and folding.",
        log=log,
    )


def _share(scratch: Path) -> Path:
    """Yosys' data files by links, its table of LUTRAM corrected; with those cells that are needed.

    Raises ToolError for an unknown table.
    """
    version()
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None and spec.origin is not None
    theirs = Path(spec.origin).parent / "share"
    share = scratch / "share"
    for folder, places in ((share, theirs), (share / _LUTRAM.parent, theirs / _LUTRAM.parent)):
        folder.mkdir()
        for path in places.iterdir():
            if path.name not in (_LUTRAM.parent.name, _LUTRAM.name):
                os.symlink(path, folder / path.name)
    table = (theirs / _LUTRAM).read_text()
    if table.count(_WRONG) != 1:
        raise ToolError(f"{_LUTRAM} of pyosys {version()} is not the one that is known", cure=_CURE)
    (share / _LUTRAM).write_text(table.replace(_WRONG, _RIGHT))
    cells = _MODULE.finditer((theirs / _CELLS).read_text())
    (share / _NEEDED).write_text("\n".join(cell[0] for cell in cells if cell[1] in KINDS))
    return share
