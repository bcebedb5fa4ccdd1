"""Digests of input files, computed once a process for each state of a file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from finnmake.hashing import digest_file, digest_value

#: A file changed this recently (nanoseconds) may change again without its time stamps showing it:
#: kernels stamp files from a clock of up to 10 ms; network file systems are coarser.
_RACY_NS = 100_000_000

#: What identifies one state of a file: size, mtime_ns, ctime_ns, inode. The ctime cannot be set by
#: a program, so "same mtime, other content" is seen.
Signature = tuple[int, int, int, int]


def signature(found: os.stat_result) -> Signature:
    """The state of a file as its inode tells it."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def settled(known: Signature, seen_ns: int) -> bool:
    """Whether a change after `seen_ns` (ns since the epoch) must show in the signature."""
    return seen_ns - max(known[1], known[2]) >= _RACY_NS


class FileDigests:
    """SHA-256 of files by path, remembered while the file's signature stays the same.

    Thread-safe: each change is one operation on a dictionary, which is never taken apart.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Signature, str]] = {}
        self._first: dict[str, tuple[Signature | None, str | None]] = {}
        self._worked_out: dict[str, tuple[Signature, str]] = {}

    def digest(self, path: Path | str) -> str | None:
        """SHA-256 of the file's content, or None where there is no readable file."""
        return self.state(path)[1]

    def state(self, path: Path | str) -> tuple[Signature | None, str | None]:
        """Signature and SHA-256 of a file; a signature too young to be trusted later is None."""
        name = os.fspath(path)
        try:
            found = os.stat(name)
        except OSError:
            return None, None
        if not stat.S_ISREG(found.st_mode):
            return None, None  # reading a pipe would wait for a writer
        now = signature(found)
        known = self._known.get(name)
        if known is not None and known[0] == now:
            return known
        return self._hash(name)

    def _hash(self, name: str) -> tuple[Signature | None, str | None]:
        try:
            before = signature(os.stat(name))
            started = time.time_ns()
            digest = digest_file(Path(name))
            after = signature(os.stat(name))
        except OSError:
            return None, None
        if before != after or not settled(after, started):
            return None, digest
        self._known[name] = self._worked_out[name] = (after, digest)
        return after, digest

    def first(self, path: Path | str) -> tuple[Signature | None, str | None]:
        """The file as this process first saw it: what an action used is no older."""
        name = os.fspath(path)
        return self._first.get(name) or self._first.setdefault(name, self.state(name))

    def forget(self, path: Path | str) -> None:
        """Look at the file anew when it is asked for again: of ten thousand builds, all are too many."""
        self._known.pop(os.fspath(path), None)
        self._worked_out.pop(os.fspath(path), None)
        self._first.pop(os.fspath(path), None)

    def remember(self, path: Path | str, known: Signature, digest: str) -> None:
        """Take a digest from an earlier run: it counts only while the file still has that signature."""
        self._known.setdefault(os.fspath(path), (known, digest))

    def worked_out(self, folder: str) -> Iterator[tuple[str, Signature, str]]:
        """Path, signature and digest of the files below a folder that were read, not remembered."""
        for name, known in list(self._worked_out.items()):
            if name.startswith(f"{folder}/"):
                yield name, *known


def digest_listing(path: Path | str) -> str | None:
    """Digest of the names in a folder, or None where there is no such folder."""
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return None
    return _digest_names(*(name for name in names if name != "__pycache__"))


@lru_cache  # folders of many configurations hold the same names
def _digest_names(*names: str) -> str:
    return digest_value("listing", list(names))
