"""The packages of this environment beside requirements.lock: another version, missing, edited."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from finnmake.engine.editable import editable_address

LOCK = "requirements.lock"

#: One requirement of the lock, as uv and pip-compile write it.
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)

#: Packages in which an edited file changes results: the others are never edited in place.
_COUNTED = ("finn_plus", "qonnx")


@dataclass(frozen=True)
class Differences:
    """In what an environment differs from the lock; names are normalised (`finn_plus`).

    Attributes:
        missing: packages that the lock names and that are not installed.
        other: package -> (version installed, version in the lock).
        beside: packages that the lock does not name.
    """

    missing: tuple[str, ...]
    other: Mapping[str, tuple[str, str]]
    beside: tuple[str, ...]


def normal(name: str) -> str:
    """The name of a package as the toolchain identity has it: `finn_plus` for `finn-plus`."""
    return re.sub(r"[-_.]+", "_", name).lower()


def read_lock(text: str) -> dict[str, str]:
    """Normalised name -> version of every package in a lock file's text."""
    return {normal(name): version for name, version in _REQUIREMENT.findall(text)}


def installed_versions() -> dict[str, str]:
    """Normalised name -> version of every package that this Python finds, finnmake aside."""
    found = {normal(each.metadata["Name"]): each.version for each in _distributions()}
    return {name: version for name, version in found.items() if name != "finnmake"}


def differences(installed: Mapping[str, str], locked: Mapping[str, str]) -> Differences:
    """What is not as the lock says; pip, which every environment has, is not told."""
    return Differences(
        missing=tuple(sorted(locked.keys() - installed.keys())),
        other={
            name: (installed[name], locked[name])
            for name in sorted(locked.keys() & installed.keys())
            if installed[name] != locked[name]
        },
        beside=tuple(sorted(installed.keys() - locked.keys() - {"pip", "setuptools", "wheel"})),
    )


def editable() -> dict[str, str]:
    """Normalised name -> address of every package that is installed editable, finnmake aside.

    Raises WorkspaceError where a package does not say whether it is.
    """
    found = {normal(each.metadata["Name"]): editable_address(each) for each in _distributions()}
    return {name: address for name, address in found.items() if address and name != "finnmake"}


def edited() -> dict[str, list[str]]:
    """Package -> its files that are not what was installed, of those packages whose code is in results."""
    found = {}
    for each in _distributions():
        name = normal(each.metadata["Name"])
        if name in _COUNTED and (changed := list(_edited_files(each))):
            found[name] = changed
    return found


def _edited_files(package: metadata.Distribution) -> Iterator[str]:
    """The files whose digest is not that in RECORD, or which are gone."""
    for row in csv.reader((package.read_text("RECORD") or "").splitlines()):
        if len(row) < 2 or not row[1].startswith("sha256="):
            continue
        path = Path(str(package.locate_file(row[0])))
        try:
            digest = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            yield row[0]
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != row[1].removeprefix("sha256="):
            yield row[0]


def _distributions() -> Iterator[metadata.Distribution]:
    """Every installed package once, as the import system would find it; broken metadata is passed over."""
    seen = set()
    for each in metadata.distributions():
        name = each.metadata["Name"] if each.metadata is not None else None
        if name and normal(name) not in seen:
            seen.add(normal(name))
            yield each
