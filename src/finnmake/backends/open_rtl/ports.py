"""The input pins of a Verilog module, from its header: all of FINN's and our modules declare them there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from finnmake.errors import StepError

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*(?!\)).*?\*\)", re.S)
_DIRECTIONS = ("input", "output", "inout")
_NAME = re.compile(r"(\w+)\s*$")
_OPENING, _CLOSING = "([{", ")]}"


def input_pins(text: str, module: str) -> tuple[str, ...]:
    """The names of a module's inputs, in their order. Raises StepError where it has no such header."""
    code = _COMMENT.sub(" ", text)
    found = re.search(rf"\bmodule\s+{re.escape(module)}\b", code)
    header = "" if found is None else _ports(code[found.end() :])
    direction, pins = "", []
    for declaration in _split(header):
        words = declaration.split()
        if words and words[0] in _DIRECTIONS:
            direction = words[0]
        name = _NAME.search(declaration)
        if name is not None and direction == "input":
            pins.append(name[1])
    if not pins:
        raise StepError(
            "stitch",
            f"the ports of the module {module} cannot be read",
            cure="Report this: finnmake knows the modules of finn-plus 1.6.1.",
        )
    return tuple(pins)


def _ports(code: str) -> str:
    """What stands in the list of ports, behind the name of the module and its list of parameters."""
    code = re.sub(r"^\s*(?:import\s[^;]*;\s*)*", "", code)
    if code.startswith("#"):
        code = code[_end(code, code.index("(")) + 1 :].lstrip()
    return code[1 : _end(code, 0)] if code.startswith("(") else ""


def _end(code: str, start: int) -> int:
    """Where the bracket closes that opens at `start`."""
    depth = 0
    for place in range(start, len(code)):
        depth += (code[place] in _OPENING) - (code[place] in _CLOSING)
        if depth == 0:
            return place
    return len(code)


def _split(header: str) -> Iterator[str]:
    """The declarations, between commas that stand in no brackets."""
    depth, start = 0, 0
    for place, sign in enumerate(header):
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if sign == "," and depth == 0:
            yield header[start:place]
            start = place + 1
    yield header[start:]
