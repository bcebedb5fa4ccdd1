"""Names of files that are the same in every checkout: relative to the project, or absolute outside it."""

from __future__ import annotations

import os
from pathlib import Path


def portable(path: str, project: str) -> str:
    """`path` (absolute) as a key: relative to `project` where it lies inside it, else as it is."""
    prefix = project.rstrip(os.sep) + os.sep
    if path.startswith(prefix):
        return path[len(prefix) :].replace(os.sep, "/")
    return path


def absolute(key: str, project: Path) -> Path:
    """The path on this machine for what `portable` gave."""
    return project / key
