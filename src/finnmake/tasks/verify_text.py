"""The text of `doit verify`: what was looked at, and what is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finnmake.exploration.drawing import printable
from finnmake.tasks.amounts import counted, size_text

#: What -> its name, for one and for many.
_THINGS = {
    "blob": ("blob", "blobs"),
    "result": ("result of a step", "results of steps"),
    "folder": ("file in a build folder", "files in build folders"),
    "output": ("output", "outputs"),
}


def verify_text(told: Mapping[str, Any]) -> str:
    """What `doit verify --json` tells, in words."""
    return "".join(f"{printable(line)}\n" for line in _lines(told))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    for each in told["damaged"]:
        yield f"damaged {_THINGS[each['what']][0]}: {each['path']}"
    checked = [counted(number, *_THINGS[what]) for what, number in told["checked"].items()]
    yield f"looked at {', '.join(checked) or 'nothing'}: {size_text(told['bytes'])}"
    if told["incomplete"]:
        yield (
            f"{counted(told['incomplete'], 'result of a step', 'results of steps')} put aside, "
            "as files that belong to it are damaged or missing"
        )
    if told["damaged"] or told["incomplete"]:
        yield f"{len(told['damaged'])} damaged, put aside in {told['store']}/quarantine"
        yield "  -> Run `doit build`: what is needed is made again."
    else:
        yield "all is whole"
