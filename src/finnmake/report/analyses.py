"""What a report shows of the analyses: what each found, as tables, what it warns of, and which failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnmake.blueprint.slots import entry_name
from finnmake.report.tables import Table, cells, is_plain, pairs, rows, text

if TYPE_CHECKING:
    from finnmake.report.view import Build

#: Their folder in a build's, and the file of finnmake's own in it.
FOLDER = "postprocessing"
WARNINGS = "warnings"

#: A list with a longer text in it is one of sentences.
_WORD = 40
#: Levels of nesting that get tables of their own.
_DEEPEST = 4


@dataclass(frozen=True)
class Part:
    """One piece of a result: a table, or sentences. The figures that stand alone have no label."""

    label: str
    table: Table | None = None
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """One analysis: what it found; or, where it failed, why."""

    name: str
    parts: tuple[Part, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: str = ""


def analyses(build: Build) -> list[Analysis]:
    """Those that failed, in the order of the blueprint, then the results in the order of their names."""
    files = sorted((build.folder / FOLDER).glob("*.json"))
    names = [file.stem for file in files if file.stem != WARNINGS]
    found = [(name, build.value(f"{FOLDER}/{name}.json")) for name in names]
    results = [_result(name, value) for name, value in found if value is not None]
    return [*_failed(build, names), *results]


def _failed(build: Build, left: list[str]) -> Iterator[Analysis]:
    """The analyses of the configuration that left no file, each with what finnmake said of it."""
    stages = build.config.get("transforms_by_stage")
    entries = stages.get("post_proc") if isinstance(stages, Mapping) else None
    said = build.value(f"{FOLDER}/{WARNINGS}.json")
    told = [each for each in said if isinstance(each, str)] if isinstance(said, list) else []
    for name in dict.fromkeys(map(_name, entries if isinstance(entries, list) else [])):
        failure = re.compile(rf"\w+: analysis {re.escape(name)}: (.*)", re.DOTALL)
        reasons = [match[1] for match in map(failure.fullmatch, told) if match]
        if name not in left and reasons:
            yield Analysis(name, failure="; ".join(reasons))


def _name(entry: Any) -> str:
    """The name of an entry, which may be anything."""
    if isinstance(entry, Mapping) and not isinstance(entry.get("name"), str):
        return ""
    return entry_name(entry) if isinstance(entry, str | Mapping) else ""


def _result(name: str, value: Any) -> Analysis:
    if not isinstance(value, Mapping):
        return Analysis(name, tuple(_parts({"": value})))
    said = value.get("warnings", [])
    warnings = [text(each) for each in (said if isinstance(said, list) else [said])]
    rest = {key: entry for key, entry in value.items() if key != "warnings"}
    return Analysis(name, tuple(_parts(rest)), tuple(warnings))


def _parts(value: Mapping[str, Any]) -> list[Part]:
    """A table of the figures that stand alone, then one for each list or mapping of rows."""
    if (table := rows(value)) is not None:
        return [Part("", table)]
    alone: list[tuple[str, str]] = []
    others = list(_others(value, "", alone, _DEEPEST))
    return [Part("", pairs(alone)), *others] if alone else others


def _others(
    value: Mapping[str, Any], before: str, alone: list[tuple[str, str]], depth: int
) -> Iterator[Part]:
    """The parts below a mapping, in its order; figures that stand alone are added to `alone`."""
    for key, entry in value.items():
        label = f"{before}{key}"
        table = rows(entry)
        if entry == [] or entry == {}:
            alone.append((label, "none"))
        elif table is not None:
            yield Part(label, table)
        elif isinstance(entry, list) and _are_sentences(entry):
            yield Part(label, sentences=tuple(map(text, entry)))
        elif isinstance(entry, Mapping) and depth:
            yield from _others(entry, f"{label}.", alone, depth - 1)
        else:
            alone.extend(cells(entry, label))


def _are_sentences(entries: list[Any]) -> bool:
    return all(map(is_plain, entries)) and any(
        isinstance(each, str) and len(each) > _WORD for each in entries
    )
