"""Two builds of one configuration, file by file and byte by byte: what is the same and what differs.

Works with the standard library alone, as `archived` does.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAME, DIFFERS, MISSING, NEW, ASIDE = "same", "differs", "missing", "new", "not compared"

#: Files that hold times: how the build ended is compared, not their bytes.
TIMED = ("build.log", "result.json")

MANIFEST, REPORT, METRICS = "manifest.json", "report.html", "metrics.json"

#: Differences of one file that are told; more are counted.
_TOLD = 4

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Row:
    """One file.

    Attributes:
        name: relative to the configuration's outputs.
        state: `SAME`, `DIFFERS`, `MISSING` (not built again), `NEW` (not in the archive) or `ASIDE`.
        detail: in what it differs, or why it is not compared.
    """

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two builds.

    Attributes:
        rows: every file, in the order of the names.
        environment: in what the toolchains differ, a line each.
        first: the first step whose model differs; empty where none does.
    """

    rows: tuple[Row, ...]
    environment: tuple[str, ...] = ()
    first: str = ""

    @property
    def same(self) -> bool:
        """Whether every file that is compared is the same."""
        return all(row.state in (SAME, ASIDE) for row in self.rows)


def compare(expected: Path, built: Path) -> Comparison:
    """Compare the outputs of a configuration as they were exported with those of a new build."""
    was, now = _json(expected / MANIFEST), _json(built / MANIFEST)
    environment = tuple(_environment(was.get("toolchain"), now.get("toolchain")))
    names = {*_files(expected), *_files(built)} - set(TIMED)
    rows = (_row(name, expected, built, bool(environment)) for name in sorted(names))
    return Comparison(tuple(rows), environment, _first_step(was, now))


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _row(name: str, expected: Path, built: Path, other_tools: bool) -> Row:
    was, now = expected / name, built / name
    if not now.is_file():
        return Row(name, MISSING, "the new build has no such file")
    if not was.is_file():
        return Row(name, NEW, "only the new build has it")
    place = _first_byte(was, now)
    if place is None:
        return Row(name, SAME)
    if other_tools and name == MANIFEST:
        found = list(_changes(_without_tools(_json(was)), _without_tools(_json(now))))
        return Row(name, DIFFERS, _told(found)) if found else Row(name, SAME, "but for the environment")
    if other_tools and name == REPORT:
        return Row(name, ASIDE, "it shows the environment, which is another")
    if name.endswith(".json"):
        found = list(_changes(_json(was), _json(now)))
        return Row(name, DIFFERS, _told(found) if found else "in its layout alone")
    sizes = f"{was.stat().st_size:,} bytes in the archive, {now.stat().st_size:,} here"
    return Row(name, DIFFERS, f"from byte {place:,} on; {sizes}")


def _first_byte(one: Path, other: Path) -> int | None:
    """The 0-based place of the first byte that differs; None where the files are the same."""
    at = 0
    with open(one, "rb") as left, open(other, "rb") as right:
        while True:
            ours, theirs = left.read(_CHUNK), right.read(_CHUNK)
            if ours != theirs:
                pairs = enumerate(itertools.zip_longest(ours, theirs))
                return at + next(place for place, (a, b) in pairs if a != b)
            if not ours:
                return None
            at += len(ours)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _changes(was: Any, now: Any, key: str = "") -> Iterator[str]:
    """The values that differ, as `throughput: 48,828.1 in the archive, 61,035.2 here`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys()):
            inner = f"{key}.{name}" if key else name
            yield from _changes(was.get(name, _ABSENT), now.get(name, _ABSENT), inner)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for place, (a, b) in enumerate(zip(was, now, strict=True)):
            yield from _changes(a, b, f"{key}[{place}]")
    elif type(was) is not type(now) or was != now:
        yield f"{key or 'value'}: {_shown(was)} in the archive, {_shown(now)} here"


_ABSENT = object()


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _told(found: Sequence[str]) -> str:
    more = f"; {len(found) - _TOLD:,} more" if len(found) > _TOLD else ""
    return "; ".join(found[:_TOLD]) + more


def _without_tools(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without what follows from the toolchain alone."""
    steps = [{name: step[name] for name in step if name != "action_key"} for step in manifest["steps"]]
    return {**manifest, "toolchain": None, "steps": steps}


def _environment(was: Any, now: Any) -> Iterator[str]:
    return _changes(was or {}, now or {})


def _first_step(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    pairs = zip(was.get("steps", ()), now.get("steps", ()), strict=False)
    return next((str(a["name"]) for a, b in pairs if a["output"] != b["output"]), "")
