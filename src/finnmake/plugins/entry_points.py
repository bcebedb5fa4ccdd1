"""What installed packages say they bring: the entry points of a group, read without importing anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import Distribution
from typing import NamedTuple

from finnmake.engine.search import bringing, search_path

#: The groups: modules with plugins, and backends.
PLUGINS = "finnmake.plugins"
BACKENDS = "finnmake.backends"


class EntryPointInfo(NamedTuple):
    """One entry point of an installed package.

    Attributes:
        distribution: the package's name, as its metadata has it.
        name: left of the `=`.
        value: right of it, `module` or `module:attribute`.
        version: the package's version.
    """

    distribution: str
    name: str
    value: str
    version: str

    @property
    def package(self) -> str:
        """The package as messages name it: name and version."""
        return f"{self.distribution} {self.version}"


def entry_points(group: str) -> Sequence[EntryPointInfo]:
    """The entry points of a group, sorted by package, then name; looked up once for each search path."""
    return _entry_points(group, search_path())


def distribution_of(entry: EntryPointInfo) -> Distribution:
    """The installed package that an entry point is of."""
    return next(each for each in _packages(search_path()) if each.name == entry.distribution)


@cache
def _entry_points(group: str, search: tuple[str, ...]) -> Sequence[EntryPointInfo]:
    return tuple(
        sorted(
            EntryPointInfo(package.name, each.name, each.value, package.version)
            for package in _packages(search)
            for each in package.entry_points
            if each.group == group
        )
    )


@cache
def _packages(search: tuple[str, ...]) -> Sequence[Distribution]:
    """The installed packages with entry points of ours; of two with one name the one that Python finds."""
    found: dict[str, Distribution] = {}
    for metadata in (each for place in search for each in bringing(place)):
        each = Distribution.at(metadata)
        found.setdefault(re.sub(r"[-_.]+", "-", each.name).lower(), each)
    return tuple(found.values())
