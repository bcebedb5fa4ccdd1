"""Where a store keeps what, and what is being made in it: names in `tmp/` that tell whose they are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from finnmake.engine.folders import remove_tree
from finnmake.engine.processes import owner_ended, process_ended, process_space

#: What another machine's process left is removed after this time (seconds): a week.
_LEFT_OVER = 7 * 86400


def default_root() -> Path:
    """`$FINNMAKE_STORE`, else `$XDG_CACHE_HOME/finnmake`, else `~/.cache/finnmake`."""
    chosen = os.environ.get("FINNMAKE_STORE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "finnmake"


class Temporary:
    """The folders of a store, and `tmp/` in it: files get their own names by rename, when they are whole.

    Args:
        root: the store's folder.
        owner: names the process for which this one works, where others cannot see this one (a worker in a
            container); as `processes.owner_name` gives it.
    """

    def __init__(self, root: Path, owner: str = "") -> None:
        self.root = root
        self._owner = owner or process_space()
        self.blobs = root / "blobs"
        self.actions = root / "actions"
        self.work = root / "work"
        self.tmp = root / "tmp"
        self.locks = root / "locks"
        self.roots = root / "roots"
        self.quarantine = root / "quarantine"

    def write(self, path: Path, data: bytes) -> None:
        """Make or replace a file of the store, visible only when whole."""
        with self._temporary() as temporary:
            temporary.write_bytes(data)
            temporary.replace(path)

    def put_aside(self, path: Path) -> None:
        """Move what is damaged to `quarantine/`; what is gone already stays so."""
        with suppress(FileNotFoundError):
            path.replace(self.quarantine / f"{path.name}.{os.urandom(4).hex()}")

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A new name in `tmp/`; what is still there at the end, after an error, is removed."""
        path = self._own_name()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _own_name(self) -> Path:
        """A name in `tmp/` that tells whose it is, for `sweep`."""
        return self.tmp / f"run-{self._owner}-{os.getpid()}-{os.urandom(16).hex()}"

    def new_folder(self) -> Path:
        """An empty folder for one run of steps; whoever asked for it removes it, or `sweep` later."""
        path = self._own_name()
        path.mkdir()
        return path

    def new_file(self) -> tuple[Path, BinaryIO]:
        """An empty file of this process's, likewise, open: a step may put another one in its place."""
        path = self._own_name()
        return path, open(path, "x+b")

    def sweep(self, process: int | None = None) -> None:
        """Remove from `tmp/` what is left of processes that have ended, or of this owner's `process`.

        Processes of another machine or container cannot be seen from here: theirs goes after a week, unless
        they worked for one that can be seen and has ended. The inode's own time tells: the other one of what
        becomes a blob is set long ago.
        """
        old = time.time() - _LEFT_OVER
        for entry in self._left():
            head, _, pid = entry.name.rpartition("-")[0].rpartition("-")
            if process:
                left = head == f"run-{self._owner}" and pid == str(process)
            else:
                left = _ended(head.removeprefix("run-"), pid) or _older(entry, old)
            if left:
                remove_tree(Path(entry.path))

    def _left(self) -> list[os.DirEntry[str]]:
        """What is in `tmp/`; nothing where a step has put a link in its place."""
        return [] if self.tmp.is_symlink() else list(os.scandir(self.tmp))

    def sweep_owner(self, owner: str) -> None:
        """Remove from `tmp/` all that was made for `owner` by processes that cannot be seen from here."""
        for entry in self._left():
            if entry.name.startswith(f"run-{owner}-"):
                remove_tree(Path(entry.path))


def _ended(owner: str, pid: str) -> bool:
    """Whether a process has ended, or the one that it worked for."""
    if "." in owner:
        return owner_ended(owner)
    return owner == process_space() and pid.isdigit() and process_ended(int(pid))


def _older(entry: os.DirEntry[str], time: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_ctime < time
    except OSError:  # it has become a blob meanwhile
        return False
