"""What lies in a store, and how much of it: the traces with what they refer to, blobs, build folders."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.engine.state import State, checked_reads, checked_tree
from finnmake.engine.store import Store

#: Told how many of something are done.
Told = Callable[[str, int], None]


@dataclass
class Kept:
    """A trace.

    Attributes:
        key: its action key.
        path: its file.
        used: when it was last made or taken (seconds since the epoch).
        size: of its file (bytes).
        position: of its step in the flow.
        files: SHA-256 of the blobs that it names itself.
        listings: SHA-256 of those that are listings, whose blobs it needs too.
        work: its build folders.
        needed: whether a build needs it.
    """

    key: str
    path: str
    used: float
    size: int
    position: int
    files: tuple[str, ...]
    listings: tuple[str, ...]
    work: tuple[str, ...]
    needed: bool = False


@dataclass(frozen=True)
class Trace:
    """A trace as it is read: all that it says, and the state that it leads to."""

    kept: Kept
    said: dict[str, Any]
    after: State


@dataclass
class Blob:
    """A file among the blobs: its size in bytes, and whether it has another name (an output) besides."""

    size: int
    linked: bool


def read_traces(store: Store, told: Told) -> Iterator[Trace | Path]:
    """Every trace, or the path of what is none."""
    number = 0
    for group in _folders(store.actions, levels=3):
        for entry in _files(group):
            number += 1
            told("reading the results of steps", number)
            yield _trace(entry, os.path.basename(os.path.dirname(group))) or Path(entry.path)


def _trace(entry: os.DirEntry[str], key: str) -> Trace | None:
    try:
        found = entry.stat(follow_symlinks=False)
        with open(entry.path, "rb") as stream:
            said = json.loads(stream.read())
        after = State.from_dict(said["output"])
        step, read = said["step"], checked_reads(said["reads"])["files"]
        if not isinstance(step["kind"], str):
            return None
        own = [
            after.model,
            after.tree,
            *after.work.values(),
            *step["inputs"].values(),
            said["info"].get("log"),
        ]
        kept = Kept(
            key,
            entry.path,
            found.st_mtime,
            found.st_size,
            int(step["position"]),
            tuple({str(ref)[:64] for ref in (*own, *read.values()) if ref}),
            tuple(ref[:64] for ref in {after.tree, *after.work.values()}),
            tuple(after.work),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Trace(kept, said, after)


@dataclass
class Listings:
    """Which blobs listings name, each listing read once."""

    store: Store
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def files(self, sha: str) -> tuple[str, ...]:
        """SHA-256 of what a listing names; nothing for one that is damaged: it will be made again."""
        if sha not in self.known:
            try:
                tree = checked_tree(json.loads(self.store.blob_path(sha).read_bytes()))
            except (OSError, ValueError, RecursionError):
                tree = {}
            self.known[sha] = tuple({entry[:64] for entry in tree.values()})
        return self.known[sha]


def read_blobs(store: Store, told: Told) -> dict[str, Blob]:
    """SHA-256 -> each blob; what has no such name is no blob."""
    found = {}
    for folder in _folders(store.blobs):
        for entry in _files(folder):
            seen = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(seen.st_mode):
                found[os.path.basename(folder) + entry.name] = Blob(seen.st_size, seen.st_nlink > 1)
        told("counting the blobs", len(found))
    return found


def size_of(path: Path) -> int:
    """Bytes in the plain files of a folder, or in one file; 0 for what has gone."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return sum(
        size_of(Path(parent, name)) for parent, _, names in os.walk(path, onerror=None) for name in names
    )


def _folders(top: Path, levels: int = 1) -> Iterator[str]:
    """The folders so many levels below `top`."""
    found = [str(top)]
    for _ in range(levels):
        found = [
            entry.path
            for folder in found
            for entry in _scanned(folder)
            if entry.is_dir(follow_symlinks=False)
        ]
    yield from sorted(found)


def _files(folder: str) -> list[os.DirEntry[str]]:
    return [entry for entry in _scanned(folder) if not entry.is_dir(follow_symlinks=False)]


def _scanned(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
