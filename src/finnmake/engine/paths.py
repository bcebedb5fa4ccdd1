"""Names of files that are the same in every checkout, and which files are inputs of a step at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

#: The link in a step's folder through which it sees the project, by the same path in every checkout.
PROJECT_LINK = "project"

#: Folders of the machine and its toolchain: what is read there is part of the toolchain identity.
MACHINE = ("/proc", "/dev", "/sys", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt/conda")


def portable(path: str, project: str) -> str:
    """`path` (absolute) as a key: relative to `project` where it lies inside it, else as it is."""
    if path == project:
        return "."
    prefix = project.rstrip(os.sep) + os.sep
    if path.startswith(prefix):
        return path[len(prefix) :].replace(os.sep, "/")
    return path


def absolute(key: str, project: Path | str) -> str:
    """The path on this machine for what `portable` gave; text, as a null build makes very many."""
    return key if key.startswith("/") else f"{project}/{key}"


class Boundary:
    """Tells a step's inputs from what is its own, the engine's or the toolchain's.

    Args:
        folder: the folder in which the step runs.
        project: the user's project folder (absolute, no links).
        own: folders whose files are no inputs: the store, the toolchain, this package.
    """

    def __init__(self, folder: Path, project: Path, own: Sequence[Path]) -> None:
        self._folders = (f"{folder}/", f"{os.path.realpath(folder)}/")
        self.project = str(project)
        # The innermost folder decides: a toolchain inside the project, a project inside /usr/src.
        sides = {f"{machine}/": False for machine in MACHINE}
        sides.update({f"{path}/": False for path in own})
        sides.update({f"{os.path.realpath(path)}/": False for path in own})
        sides.update({f"{self.project}/": True, **dict.fromkeys(self._folders, False)})
        self._sides = sorted(sides.items(), key=lambda side: len(side[0]), reverse=True)

    def place(self, path: str) -> str | None:
        """Absolute name of an input, or None for what is none. Links in the step's folder are followed."""
        place = os.path.abspath(path)
        if "/.." in f"/{path}" or f"{place}/".startswith(self._folders):
            place = self._follow(os.path.join(os.getcwd(), path))
        inside = f"{place}/"
        for folder, counts in self._sides:
            if inside.startswith(folder):
                return place if counts else None
        return place

    def _follow(self, path: str) -> str:
        """`path` with links in the step's folder followed, and with `..` meaning what the kernel makes of it.

        Links elsewhere stay: turned to another file, they are another input.
        """
        place, parts, left = "", path.split("/")[::-1], 40
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                place = os.path.dirname(os.path.realpath(place or "/")).rstrip("/")
                continue
            place = f"{place}/{part}"
            if left and place.startswith(self._folders) and os.path.islink(place):
                left -= 1
                target = os.readlink(place)
                place = "" if target.startswith("/") else os.path.dirname(place)
                parts += target.split("/")[::-1]
        return place or "/"

    def above(self, place: str) -> bool:
        """Whether the project lies in the folder `place`, which is therefore there in every checkout."""
        return f"{self.project}/".startswith(f"{place.rstrip('/')}/")
