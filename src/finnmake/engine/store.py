"""The store: blobs by content, an action cache of traces, and locks. Plain files and atomic renames.

Layout (see docs/engine.md): `VERSION`, `blobs/ab/cdef…`, `actions/ab/<key>/<group>/<values>-<digest>.json`,
`work/<action>/`, `tmp/`, `locks/`, `roots/`, `history/`, `quarantine/`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from finnmake.engine import sharing
from finnmake.engine.actions import Actions, trace_digest
from finnmake.engine.blobs import Blobs, DamagedBlob
from finnmake.engine.folders import WARY
from finnmake.errors import Location, StoreError

__all__ = ["DamagedBlob", "Store", "trace_digest"]

#: Layout of the folder. A store of another version is refused, never misread.
STORE_VERSION = "2"

#: What to do about that.
OTHER_LAYOUT = (
    "Remove the folder (its results are built again), set FINNMAKE_STORE to another one, "
    "or use the finnmake that made it."
)

#: The lock that runs share, among the locks.
SHARED = "store"

#: What is wrong with the disk, not with the rights to it.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Store(Blobs, Actions):
    """Content-addressed results on disk, and what of steps they are the results.

    A process that opens it shares it with others until `close` or its end: nothing is cleaned up meanwhile.

    Args:
        root: its folder.
        owner: see `Temporary`.
        told: told in words where opening it has to wait.
    """

    def __init__(self, root: Path, owner: str = "", told: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(root, owner)
        self._told = told
        self._held: weakref.finalize[[int], Store] | None = None

    def open(self) -> Store:
        """Make the folders, check the version and that the store can be written. Raises StoreError."""
        self.close()
        with self._writing():
            self._prepare()
            self._hold(sharing.hold(self.locks / SHARED, self._told))
            with self._temporary() as probe:
                probe.touch()
        return self

    def open_to_clean(self, alone: bool = True) -> Store:
        """The same to clean up, also where the disk is full: alone, or to see what there is to do.

        Raises StoreError where it is in use.
        """
        self.close()
        with self._writing():
            self._prepare()
            lock = self.locks / SHARED
            self._hold(sharing.hold_alone(lock) if alone else sharing.hold(lock, self._told))
        return self

    def close(self) -> None:
        """Let others clean up."""
        if self._held is not None:
            self._held()

    def _hold(self, descriptor: int) -> None:
        self._held = weakref.finalize(self, os.close, descriptor)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the system says of a store that cannot be written, as a StoreError."""
        try:
            yield
        except OSError as error:
            cure = "Give yourself the right to write there, or set FINNMAKE_STORE to another folder."
            if error.errno in _FULL:
                cure = "Free space (`doit gc` may help), or set FINNMAKE_STORE to a folder on a larger disk."
            raise StoreError(
                f"the store cannot be written: {error.strerror}", where=Location(path=self.root), cure=cure
            ) from error

    def _prepare(self) -> None:
        """The folders, and nothing else in their places."""
        made = (self.blobs, self.actions, self.work, self.locks, self.roots, self.quarantine)
        self.tmp.mkdir(parents=True, exist_ok=True)
        self._check_version()
        for folder in made:
            folder.mkdir(exist_ok=True)
        for folder in (self.tmp, *made):
            if folder.is_symlink() and folder != self.actions:
                raise StoreError(
                    "this is a link, and what is done here would be done elsewhere",
                    where=Location(path=folder),
                    cure="Remove the link: a step may have put it there.",
                )

    def _check_version(self) -> None:
        version = self.root / "VERSION"
        try:
            found = version.read_text(errors="replace").strip()
        except FileNotFoundError:
            self.write(version, STORE_VERSION.encode())
            return
        if found != STORE_VERSION:
            raise StoreError(
                f"the store has layout {found!r}, this finnmake writes layout {STORE_VERSION!r}",
                where=Location(path=self.root),
                cure=OTHER_LAYOUT,
            )

    @contextmanager
    def lock(self, name: str) -> Iterator[int]:
        """Hold the lock `name`; waits for another holder. The kernel frees it when the holder dies.

        Gives its descriptor: a process to which that is passed on holds the lock too, should this one die.
        """
        descriptor = os.open(self.locks / name, os.O_RDWR | os.O_CREAT | WARY, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # whoever else may still have it open
            os.close(descriptor)
