"""The projects that use a store, noted in it: what their builds need is not cleaned up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from finnmake.engine.temporary import Temporary
from finnmake.hashing import canonical_json, digest_value


class Standing(Enum):
    """What can be said of a project from here."""

    HERE = "here"
    GONE = "gone"
    UNSURE = "unsure"


class Root(NamedTuple):
    """A project's folder, as a run saw it.

    Attributes:
        path: its absolute path there.
        device: st_dev of the folder.
        inode: st_ino of the folder.
        machine: the name of the machine, or of the container.
        top: st_dev and st_ino of `/`: containers have another one, and another idea of paths.
        since: when this was noted first (seconds since the epoch).
    """

    path: str
    device: int
    inode: int
    machine: str
    top: list[int]
    since: float

    @classmethod
    def of(cls, project: Path) -> Root:
        """The project, as this process sees it. Raises OSError."""
        found, top = os.stat(project), os.stat("/")
        machine = os.uname().nodename
        return cls(str(project), found.st_dev, found.st_ino, machine, [top.st_dev, top.st_ino], time.time())

    @property
    def name(self) -> str:
        """The name of its note: by folder, so that short-lived containers of one project leave one."""
        return digest_value("root", [self.path, self.device, self.inode])

    @property
    def _seen_from_here(self) -> bool:
        """Whether paths meant the same where it was noted."""
        top = os.stat("/")
        return self.machine == os.uname().nodename and self.top == [top.st_dev, top.st_ino]

    def standing(self) -> Standing:
        """Gone only where that is sure: another machine's folder, or a disk not mounted, may come back."""
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            gone = self._seen_from_here and self._disk_is_here()
            return Standing.GONE if gone else Standing.UNSURE
        except OSError:
            return Standing.UNSURE
        same = (found.st_dev, found.st_ino) == (self.device, self.inode)
        return Standing.HERE if same or self._seen_from_here else Standing.UNSURE

    def _disk_is_here(self) -> bool:
        """Whether the nearest folder above it that exists lies on the disk on which it lay."""
        for above in Path(self.path).parents:
            try:
                return os.stat(above).st_dev == self.device
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return False
        return False


def note(store: Temporary, project: Path) -> None:
    """Note that a project uses the store; where there is none yet, nothing happens. Raises OSError."""
    root = Root.of(project)
    path = store.roots / root.name
    try:
        os.utime(path)
    except FileNotFoundError:
        with suppress(FileNotFoundError):
            store.write(path, canonical_json(root._asdict()))


def noted(store: Temporary) -> Iterator[tuple[Path, Root | None]]:
    """The notes and what they say; None for a damaged one."""
    with suppress(FileNotFoundError):
        for path in sorted(store.roots.iterdir()):
            yield path, _read(path)


def _read(path: Path) -> Root | None:
    try:
        data = json.loads(path.read_bytes())
        root = Root(**{name: data[name] for name in Root._fields})
        return root if root.name == path.name and isinstance(root.since, (int, float)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Survey(NamedTuple):
    """The projects that use a store.

    Attributes:
        here: their folders -> since when they are known to use it (seconds since the epoch).
        gone: notes of projects that are surely no more.
        unsure: notes of projects that cannot be seen from here, with the path and since when.
    """

    here: dict[Path, float]
    gone: dict[Path, str]
    unsure: dict[Path, tuple[str, float]]


def survey(store: Temporary, own: Path) -> Survey:
    """All projects noted, and `own`, whether it is noted or not. Raises OSError."""
    found = Survey({own: 0.0}, {}, {})
    notes = [(path, root, root.standing() if root else Standing.UNSURE) for path, root in noted(store)]
    seen = {(root.device, root.inode) for _, root, standing in notes if root and standing is Standing.HERE}
    for path, root, standing in notes:
        if root is None:
            found.unsure[path] = f"{path} (this note is damaged)", 0.0
        elif standing is Standing.GONE:
            found.gone[path] = root.path
        elif standing is Standing.UNSURE and (root.device, root.inode) not in seen:
            found.unsure[path] = f"{root.path} (noted on {root.machine})", root.since
        elif standing is Standing.HERE:
            known = found.here.get(Path(root.path)) or root.since
            found.here[Path(root.path)] = min(known, root.since)
    return found
