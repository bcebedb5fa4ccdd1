"""Hashes all that a store holds; what is damaged is put aside, so that it is made again.

Runs may go on meanwhile: what they add is whole, and what they work on is left to them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from finnmake.engine.actions import checked_trace
from finnmake.engine.files import FileDigests
from finnmake.engine.folders import WARY, remove_tree
from finnmake.engine.state import State, checked_info, checked_reads
from finnmake.engine.store import DamagedBlob, Store
from finnmake.engine.verify_builds import Expected
from finnmake.hashing import canonical_json, digest_file

#: More threads than this only wait for the disk.
_THREADS = 8


@dataclass(frozen=True)
class Damage:
    """Where something is damaged: a `blob`, a `result` of a step, a file in a build `folder`, an `output`."""

    what: str
    path: Path


@dataclass
class Findings:
    """What was looked at, and what is wrong with it.

    Attributes:
        checked: what -> how many.
        size: bytes that were hashed.
        damaged: what was not as it should be; it is put aside.
        incomplete: results of steps that were put aside, as blobs of theirs are damaged or missing.
    """

    checked: dict[str, int] = field(default_factory=dict)
    size: int = 0
    damaged: list[Damage] = field(default_factory=list)
    incomplete: int = 0


class Verifier:
    """Looks through a store that is open.

    Args:
        told: told how many of something are done.
    """

    def __init__(self, store: Store, told: Callable[[str, int], None]) -> None:
        self.store = store
        self.found = Findings()
        self._told = told
        self._lock = threading.Lock()
        self._threads = min(_THREADS, os.cpu_count() or 1)
        #: Build folder -> file in it -> what it may hold.
        self._work: dict[str, dict[str, set[str]]] = {}

    def run(self) -> None:
        """Look at blobs, then at traces, which name blobs, then at build folders, which traces tell of."""
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(self._blobs, _folders(self.store.blobs)):
                pass
            for _ in pool.map(self._traces, _folders(self.store.actions, levels=3)):
                pass
        for name in sorted(self._work):
            self._folder(name)

    def outputs(self, expected: Expected) -> None:
        """Look at outputs; those that are missing are damaged. The blobs must have been looked at before."""
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(self._output, expected.items()):
                pass

    def _blobs(self, folder: Path) -> None:
        for path in _entries(folder):
            try:
                found = path.lstat()
                whole = stat.S_ISREG(found.st_mode) and digest_file(path) == folder.name + path.name
            except FileNotFoundError:
                continue  # another process has put it aside
            self._count("blob", found.st_size)
            if not whole:
                self._put_aside("blob", path)

    def _traces(self, folder: Path) -> None:
        for path in _entries(folder):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError:
                data = b""
            self._count("result", len(data))
            try:
                if canonical_json(json.loads(data)) != data:
                    raise ValueError(path.name)
                trace = checked_trace(data, path)
                checked_reads(trace["reads"])
                checked_info(trace["info"])
                after = State.from_dict(trace["output"])
            except (ValueError, KeyError, TypeError, RecursionError):
                self._put_aside("result", path)
                continue
            self._complete(path, after)

    def _complete(self, path: Path, after: State) -> None:
        """Put a trace aside whose result is no longer there."""
        store = self.store
        try:
            store.checked(after.model)
            listings = {name: store.read_tree(ref) for name, ref in after.work.items()}
            for tree in (store.read_tree(after.tree), *listings.values()):
                for entry in tree.values():
                    store.checked(entry.removesuffix("+x"))
        except DamagedBlob:
            store.drop_trace(path)
            with self._lock:
                self.found.incomplete += 1
            return
        with self._lock:
            for name, tree in listings.items():
                files = self._work.setdefault(name, {})
                for file, entry in tree.items():
                    files.setdefault(file, set()).add(entry[:64])

    def _folder(self, name: str) -> None:
        """Look at a build folder, unless a step is working in it; other files than traces name stay."""
        descriptor = os.open(self.store.locks / f"work-{name}", os.O_RDWR | os.O_CREAT | WARY, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for file, right in self._work[name].items():
                path = self.store.work / name / file
                if path.is_file() and not path.is_symlink():
                    self._file("folder", path, right)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)

    def _output(self, expected: tuple[Path, Collection[str] | None]) -> None:
        self._file("output", *expected)

    def _file(self, what: str, path: Path, right: Collection[str] | None) -> None:
        self._count(what, path.stat().st_size if path.is_file() else 0)
        digest = FileDigests().digest(path)
        whole = digest is not None and (
            self.store.blob_path(digest).exists() if right is None else digest in right
        )
        if not whole:
            self._put_aside(what, path)

    def _count(self, what: str, size: int) -> None:
        with self._lock:
            self.found.checked[what] = self.found.checked.get(what, 0) + 1
            self.found.size += size
            self._told("looking at the store and the builds", sum(self.found.checked.values()))

    def _put_aside(self, what: str, path: Path) -> None:
        with self._lock:
            self.found.damaged.append(Damage(what, path))
        with suppress(FileNotFoundError):
            try:
                self.store.put_aside(path)
            except OSError:  # it lies on another disk
                with suppress(OSError):
                    shutil.copy2(path, self.store.quarantine)
                remove_tree(path)


def _folders(top: Path, levels: int = 1) -> list[Path]:
    found = [top]
    for _ in range(levels):
        found = [path for folder in found for path in _entries(folder) if path.is_dir()]
    return found


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []
