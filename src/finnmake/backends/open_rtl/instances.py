"""The instances in a stitched top, each as a module of its own, and a key by which equal ones are found.

A module is synthesised as the top uses it: inputs that the top ties to constants are tied, outputs that
nothing reads are left open, and pins on one net are one input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.backends.open_rtl.design import Design
from finnmake.errors import StepError
from finnmake.hashing import digest_value

#: The module that holds an instance on its own.
WRAPPER = "finnmake_instance"

#: In place of an instance's own name, where instances are compared.
_NAMELESS = "instance"

_DEFINED = re.compile(r"^\s*(?:module|package|interface)\s+(?:automatic\s+|static\s+)?(\w+)", re.M)
_WORD = re.compile(r"\w+")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


@dataclass(frozen=True)
class Instance:
    """A module in the top, on its own.

    Attributes:
        name: in the top.
        module: what it is an instance of.
        wrapper: SystemVerilog of the module `WRAPPER` around it.
        sources: the files that it needs, in compile order.
        key: equal for instances that are equal but for their names.
    """

    name: str
    module: str
    wrapper: str
    sources: tuple[str, ...]
    key: str


def modules(design: Design, folder: Path) -> list[str]:
    """The modules that the top instantiates, as far as the design's own sources define them."""
    top = (folder / design.sources[-1]).read_text()
    defined = _definitions(design.sources, folder)
    return sorted((defined.keys() & set(_WORD.findall(top))) - {design.top})


def find(design: Design, folder: Path, netlist: Mapping[str, Any], flow: str) -> list[Instance]:
    """The instances of the top, by name.

    Args:
        design: the stitched design.
        folder: where its sources lie.
        netlist: of the top alone, with its instances as black boxes, as Yosys' `write_json` has it.
        flow: enters the keys: what else the result depends on.

    Raises:
        StepError: an instance in the netlist is not in the text of the top.
    """
    top = netlist["modules"][design.top]
    text = (folder / design.sources[-1]).read_text()
    texts = {name: (folder / name).read_text() for name in design.sources[:-1]}
    defined = _definitions(texts, folder)
    read = _read_bits(top)
    found = []
    for name, cell in sorted(top["cells"].items()):
        if cell["type"].startswith("$"):
            continue
        wrapper = _wrapper(name, cell, _parameters(name, cell["type"], text), read)
        sources = _reachable(cell["type"], design.sources[:-1], texts, defined)
        parts = [(each, texts[each]) for each in sources]
        data = _data(design.data, (wrapper, *(part for _, part in parts)), folder)
        key = digest_value("instance", [flow, _nameless(name, cell["type"], [("", wrapper), *parts, *data])])
        found.append(Instance(name, cell["type"], wrapper, tuple(sources), key))
    return found


def _parameters(name: str, module: str, text: str) -> str:
    """The parameters of an instance as the top writes them, `#(...)` or nothing."""
    found = re.search(rf"^\s*{re.escape(module)}\s*(#\(.*\))?\s*\b{re.escape(name)}\s*\(", text, re.M)
    if found is None:
        raise StepError(
            "synthesise",
            f"the top has no line for the instance {name} of {module}",
            category="synthesis",
            cure="Report this: finnmake writes each instance's module, parameters and name in one line.",
        )
    return found[1] or ""


def _read_bits(top: Mapping[str, Any]) -> set[int]:
    """The nets of the top that something reads: an instance, its logic, or an output."""
    read = {bit for port in top["ports"].values() if port["direction"] == "output" for bit in port["bits"]}
    for cell in top["cells"].values():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                read |= set(bits)
    return read


def _wrapper(name: str, cell: Mapping[str, Any], parameters: str, read: set[int]) -> str:
    """The module around an instance: `i` has each net that leads in once, `o` each one that is read."""
    nets: dict[int, int] = {}
    wires, pins, outputs = [], [], []
    for pin, bits in sorted(cell["connections"].items()):
        if cell["port_directions"][pin] == "input":
            ties = [
                f"1'b{bit}" if isinstance(bit, str) else f"i[{nets.setdefault(bit, len(nets))}]"
                for bit in bits
            ]
            pins.append(f".{pin}({{{', '.join(reversed(ties))}}})")
            continue
        used = [place for place, bit in enumerate(bits) if bit in read]
        if used:
            wires.append(f"\twire [{len(bits) - 1}:0] w_{pin};\n")
            pins.append(f".{pin}(w_{pin})")
            outputs += [f"w_{pin}[{place}]" for place in used]
    return (
        f"module {WRAPPER} (input [{max(len(nets) - 1, 0)}:0] i, output [{max(len(outputs) - 1, 0)}:0] o);\n"
        + "".join(wires)
        + (f"\tassign o = {{{', '.join(reversed(outputs))}}};\n" if outputs else "")
        + f"\t{cell['type']} {parameters} u ({', '.join(pins)});\nendmodule\n"
    )


def _definitions(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Module, package or interface -> its file."""
    return {word: name for name in names for word in _DEFINED.findall((folder / name).read_text())}


def _reachable(
    module: str, order: Sequence[str], texts: Mapping[str, str], defined: Mapping[str, str]
) -> list[str]:
    """The files that a module needs, in compile order: those whose names occur, comments included."""
    needed: set[str] = set()
    waiting = [defined[module]]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [defined[word] for word in set(_WORD.findall(texts[name])) & defined.keys()]
    return [name for name in order if name in needed]


def _data(names: Iterable[str], texts: Sequence[str], folder: Path) -> list[tuple[str, str]]:
    """The files of data that the texts may read, by a literal that is the name or starts it; with content."""
    literals = {word.removeprefix("./") for text in texts for word in _LITERAL.findall(text) if word}
    return [
        (name, (folder / name).read_text())
        for name in sorted(names)
        if any(name.startswith(literal) for literal in literals)
    ]


def _nameless(name: str, module: str, parts: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Names of files and their texts without the names of the instance, longest first."""
    own = sorted({name, module if module.startswith(name) else name}, key=len, reverse=True)
    names = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(each)}(?![0-9A-Za-z])" for each in own))
    return [[names.sub(_NAMELESS, part) for part in pair] for pair in parts]


def load(path: Path) -> dict[str, Any]:
    """A netlist that Yosys wrote."""
    netlist: dict[str, Any] = json.loads(path.read_text())
    return netlist
