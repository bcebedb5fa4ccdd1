"""Where the steps' Python finds installed modules: less than this process has on its search path."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator

#: What the steps' Python does not see of the search path of this one.
_UNSEEN = {
    "",
    *map(os.path.abspath, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
    site.getusersitepackages(),
}

#: How the groups of entry points begin by which a package brings plugins or backends.
_ENTRY_POINTS = "[finnmake."


def search_path() -> tuple[str, ...]:
    """The folders of installed modules; not the current folder, PYTHONPATH and the user's own packages."""
    return tuple(place for place in sys.path if place not in _UNSEEN)


def bringing(place: str) -> Iterator[str]:
    """The metadata folders of the packages in a folder that bring plugins or backends, by name."""
    try:
        entries = sorted(os.listdir(place))
    except OSError:
        return
    for entry in entries:
        if entry.endswith((".dist-info", ".egg-info")):
            metadata = os.path.join(place, entry)
            try:
                with open(f"{metadata}/entry_points.txt", encoding="utf-8", errors="replace") as stream:
                    brings = _ENTRY_POINTS in stream.read()
            except OSError:
                continue
            if brings:
                yield metadata
