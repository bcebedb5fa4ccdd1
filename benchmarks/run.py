"""The benchmarks of finnmake, each beside its peer in the same run: `./doitw bench [--only NAME]`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import engine
import exploration
import open_rtl
from container import CONTAINER, container
from measure import REPOSITORY, Row, machine

import builds

RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"

#: Words about a section, and its rows.
Found = tuple[str, list[Row]]


@dataclass(frozen=True)
class Section:
    """A table of the results.

    Attributes:
        name: for `--only`.
        title: its heading.
        benchmarks: name -> the benchmark, which takes the number of runs.
        words: what is said before the table, besides what the benchmarks themselves say.
    """

    name: str
    title: str
    benchmarks: dict[str, Callable[[int], Found]]
    words: str = ""

    def wanted(self, only: str | None) -> list[str]:
        """Those of its benchmarks that are asked for."""
        return [each for each in self.benchmarks if only in (None, self.name, each)]


def sections(base: str | None) -> list[Section]:
    """All of them; `base` is what the image of the container starts from, None for the project's setting."""
    return [
        _section("builds", "Builds", builds.BENCHMARKS, builds.WORDS),
        _section("exploration", "Exploring a design space", exploration.BENCHMARKS, exploration.WORDS),
        _section("engine", "The engine", engine.BENCHMARKS, engine.WORDS),
        _section("scale", "The engine at scale", engine.SCALE, engine.SCALE_WORDS),
        _section("open_rtl", "Hardware with open tools", open_rtl.BENCHMARKS, open_rtl.WORDS),
        _section("foldings", "24 foldings with open tools", open_rtl.FOLDINGS, open_rtl.FOLDINGS_WORDS),
        Section(CONTAINER, "In the container", {CONTAINER: lambda runs: container(runs, base)}),
    ]


def _section(name: str, title: str, measured: dict[str, Callable[[int], list[Row]]], words: str) -> Section:
    """A section whose benchmarks give rows alone."""
    benchmarks = {
        each: lambda runs, measure=measure: ("", measure(runs)) for each, measure in measured.items()
    }
    return Section(name, title, benchmarks, words.strip("\n"))


def main() -> int:
    """Run the benchmarks that were asked for, print their tables, and keep them where that is wanted."""
    known = sections(None)
    names = {each for section in known for each in (section.name, *section.benchmarks)}
    parser = argparse.ArgumentParser(prog="./doitw bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default 5)")
    parser.add_argument("--only", choices=sorted(names), help="one benchmark or one section alone")
    parser.add_argument("--base", help="what the image of the container benchmark starts from, by name")
    parser.add_argument(
        "--write", action="store_true", help="replace the measured sections of benchmarks/RESULTS.md"
    )
    asked = parser.parse_args()
    if asked.runs < 1:
        parser.error("--runs is at least 1")
    measured = [
        (section, wanted) for section in sections(asked.base) if (wanted := section.wanted(asked.only))
    ]
    if asked.write and any(len(wanted) < len(section.benchmarks) for section, wanted in measured):
        parser.error("--write takes a whole section")
    for section, wanted in measured:
        text = f"## {section.title}\n\n{_told(section, wanted, asked.runs, asked.base)}\n"
        print(text)
        if asked.write:
            _keep(RESULTS, text)
    return 0


def _told(section: Section, wanted: Iterable[str], runs: int, base: str | None) -> str:
    """What was measured with, words, and the table."""
    words, rows = [section.words], []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        said, found = section.benchmarks[name](runs)
        words.append(said)
        rows += found
    given = f" --base {base}" if base and section.name == CONTAINER else ""
    command = f"`./doitw bench --only {section.name} --runs {runs}{given} --write`"
    how = f"Medians of {runs} runs" if runs > 1 else "One run of each"
    how += "; finnmake and its peer are measured in turn, in the same run of the script."
    table = "\n".join(_lines(rows)) if rows else ""
    return "\n\n".join(filter(None, [f"Command: {command}. Machine: {machine()}.", how, *words, table]))


def _lines(rows: list[Row]) -> Iterator[str]:
    yield "| measured | finnmake | peer | ratio | goal | met |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        yield (
            f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.goal} "
            f"| {'yes' if row.met else 'no'} |"
        )


def _keep(file: Path, section: str) -> None:
    """Put a section into the file, in place of the one with its heading."""
    head, *others = re.split(r"^(?=## )", file.read_text(), flags=re.MULTILINE)
    title = section.partition("\n")[0]
    same = [at for at, each in enumerate(others) if each.partition("\n")[0] == title]
    at = same[0] if same else len(others)
    others[at : at + 1] = [section]
    file.write_text("\n\n".join(part.strip("\n") for part in (head, *others)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
