"""Which environment builds an archive again: this one where it is the archive's, else one from its lock."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnmake.engine.archive import read_json
from finnmake.engine.files import FileDigests
from finnmake.engine.toolchain import digest_sources, installed
from finnmake.tasks.archived import EXPECTED, PROJECT, Archived
from finnmake.tasks.reproduction import Environment

_PACKAGE = Path(__file__).resolve().parent.parent

#: Differences that are named; more are counted.
_NAMED = 3


def environment_for(folder: Path, archived: Archived) -> Environment:
    """The environment for an unpacked archive."""
    reasons = list(_reasons(folder, archived))
    if not reasons:
        return Environment(
            sys.executable, "this one: its Python, its packages and finnmake are those of the archive"
        )
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    why = f"{'; '.join(reasons[:_NAMED])}{more}"
    return Environment("", f"the archive's own, made from its requirements.lock, as here {why}")


def _reasons(folder: Path, archived: Archived) -> Iterator[str]:
    """In what this environment is not the archive's. Packages of a container are those of its image."""
    digests = FileDigests()
    if digest_sources(folder / PROJECT / "src" / "finnmake", digests) != digest_sources(_PACKAGE, digests):
        yield "finnmake is another"
    if archived.runtime == "container":
        return
    was = read_json(folder / EXPECTED / "manifest.json")["toolchain"]
    now = installed(digests)
    if not _same_python(was["python"], now["python"]):
        yield f"Python is {now['python']}, not {was['python']}"
    yield from _packages(was["packages"], now["packages"])
    yield from (
        f"the files of {name} are others"
        for name in sorted(was["contents"].keys() | now["contents"].keys())
        if was["contents"].get(name) != now["contents"].get(name) and name in now["packages"]
    )


def _same_python(was: str, now: str) -> bool:
    """Whether it is the same; where results are shared with containers, the patch release is left out."""
    (kind, version, machine), (our_kind, ours, our_machine) = was.split(), now.split()
    return (kind, machine) == (our_kind, our_machine) and (ours == version or _minor(ours) == version)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _packages(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            here, there = now.get(name, "missing"), was.get(name, "not there")
            yield f"{name} is {here}, not {there}" if name in was else f"{name} {here} is installed besides"
