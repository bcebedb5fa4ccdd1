"""Whether what a step once read is the same now."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finnmake.engine.files import FileDigests, digest_listing
from finnmake.engine.paths import absolute
from finnmake.hashing import canonical_json

#: In place of a field: the names of all fields that the configuration sets.
ALL_FIELDS = "*"

#: Stands for a field that the configuration leaves to FINN's default.
_ABSENT: list[Any] = []


def field_value(flags: Mapping[str, Any], name: str) -> list[Any]:
    """A field as a trace keeps it: `[value]`, or `[]` where the configuration does not set it."""
    if name == ALL_FIELDS:
        return [sorted(flags)]
    return [flags[name]] if name in flags else _ABSENT


def fields_of(flags: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The fields that were read, with their values."""
    return {name: field_value(flags, name) for name in sorted(names)}


def kind_of(found: os.stat_result) -> str:
    """`folder`, or `file` with its size in bytes: what a step can learn by asking, times aside."""
    return "folder" if stat.S_ISDIR(found.st_mode) else f"file {found.st_size}"


def presence(path: Path | str) -> str:
    """What `kind_of` tells of a path, or `missing`."""
    try:
        return kind_of(os.stat(path))
    except OSError:
        return "missing"


def first_difference(
    reads: Mapping[str, Any],
    flags: Mapping[str, Any],
    project: Path,
    digests: FileDigests,
    paths: Sequence[str],
) -> tuple[str, str] | None:
    """The first thing read that is not the same now, as (kind, name); None where all is the same.

    Args:
        paths: the store and the Python environment, as steps see them; they count for steps that generated
            code, whose files hold these paths.
    """
    if reads.get("paths", paths) != paths:
        return "paths", " ".join(reads["paths"])
    for name, value in reads["fields"].items():
        # Compared as JSON: 1, 1.0 and True are equal in Python but not to a step that prints them.
        if canonical_json(field_value(flags, name)) != canonical_json(value):
            return "field", name
    for name, digest in reads["files"].items():
        if digests.digest(absolute(name, project)) != digest:
            return "file", name
    for name, digest in reads["listings"].items():
        if digest_listing(absolute(name, project)) != digest:
            return "folder", name
    for name, kind in reads["presence"].items():
        if presence(absolute(name, project)) != kind:
            return "presence of", name
    return None
