"""Where the steps' Python finds installed modules: less than this process has on its search path."""

from __future__ import annotations

import os
import site
import sys

#: What the steps' Python does not see of the search path of this one.
_UNSEEN = {
    "",
    *map(os.path.abspath, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
    site.getusersitepackages(),
}


def search_path() -> tuple[str, ...]:
    """The folders of installed modules; not the current folder, PYTHONPATH and the user's own packages."""
    return tuple(place for place in sys.path if place not in _UNSEEN)
