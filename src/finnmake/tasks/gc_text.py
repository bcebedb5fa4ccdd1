"""The text of `doit gc`: what was removed, what stays, and what could not be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finnmake.exploration.drawing import printable
from finnmake.tasks.amounts import counted, size_text

#: What is removed -> its name, for one and for many.
_THINGS = {
    "results": ("result of a step", "results of steps"),
    "blobs": ("blob", "blobs"),
    "folders": ("build folder", "build folders"),
    "broken": ("file that was no result (put aside)", "files that were no results (put aside)"),
    "locks": ("lock file", "lock files"),
    "quarantined": ("damaged file put aside", "damaged files put aside"),
    "history": ("old history", "old histories"),
    "parts": ("result of a part of a step", "results of parts of steps"),
    "notes": ("note of a project that is gone", "notes of projects that are gone"),
}


def gc_text(told: Mapping[str, Any], size: int | None) -> str:
    """What `doit gc --json` tells, in words.

    Args:
        size: bytes that the store was to hold at the most; None for no limit.
    """
    return "".join(f"{printable(line)}\n" for line in _lines(told, size))


def _lines(told: Mapping[str, Any], size: int | None) -> Iterator[str]:
    would = "would remove" if told["dry_run"] else "removed"
    kept, projects = told["kept"], told["projects"]
    for each in told["builds"]:
        yield f"{would} {each}"
    yield f"store    {told['store']}"
    found = [counted(told["removed"][name], *words) for name, words in _THINGS.items()]
    found = [text for name, text in zip(_THINGS, found, strict=True) if told["removed"][name]]
    yield f"{would}  {', '.join(found) or 'nothing'}"
    yield f"{'would free' if told['dry_run'] else 'freed'}  {size_text(told['freed_bytes'])}"
    builds = f"{counted(kept['builds'], 'build')} of {counted(len(projects['here']), 'project')}"
    yield (
        f"kept  {size_text(kept['bytes'])}: {counted(kept['needed'], 'result')} that {builds} need, "
        f"{counted(kept['recent'], 'other')} of late"
    )
    yield from (f"gone: {each}" for each in projects["gone"])
    for each in projects["unsure"]:
        yield f"not seen from here: {each}; what was used since its first run is kept"
        yield "  -> Make it visible, or forget it: doit gc --forget PATH"
    for each in told["unreadable"]:
        yield f"not readable: {each}; what was used since the first run of its project is kept"
    if size is not None and kept["bytes"] > size:
        yield f"warning: {size_text(kept['bytes'])} are more than {size_text(size)}: current builds need them"
        yield "  -> Remove builds, or give --all as well: they are then built anew when they change."
    yield from (f"not removed: {each}" for each in told["errors"])
