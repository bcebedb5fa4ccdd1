"""Cleans up a store: what no build of a project and no recent run needs goes, the oldest first where asked.

Traces go before what they refer to, so that a clean-up that is killed leaves a whole store.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from finnmake.engine import parts
from finnmake.engine.folders import WARY, remove_tree
from finnmake.engine.gc_contents import Blob, Kept, Listings, Told, Trace, read_blobs, read_traces, size_of
from finnmake.engine.gc_needs import Ends, Needs, taken_of
from finnmake.engine.roots import Survey, survey
from finnmake.engine.store import SHARED, Store

_DAY = 86400.0

#: What is used within one hour (seconds) counts as used at once: then the last steps of a flow go first.
_AT_ONCE = 3600.0

#: How sure it is when a project was noted and when it used something, by clocks of several machines.
_CLOCKS = _DAY

#: What runs have left behind and nobody holds.
_FOLDERS = ("quarantined", "history", "parts", "notes")


@dataclass(frozen=True)
class Wish:
    """What is to be cleaned up.

    Attributes:
        days: what was used in so many days stays, unless there is too much.
        size: bytes that the store is to hold at the most; None for no limit.
        everything: whether what builds need may go too where there is too much.
        without: folders of builds and segment files that are going to be removed: they need nothing.
    """

    days: float
    size: int | None = None
    everything: bool = False
    without: Collection[Path] = ()


@dataclass
class Plan:
    """What stays and what goes.

    Attributes:
        projects: whose builds were read.
        traces, broken: traces that go, and files among them that are none.
        blobs, work: SHA-256 and blob, build folder and bytes, that go.
        left: lock files, notes, history, results of parts of steps and damaged things put aside that go.
        needed, recent: how many traces stay, as builds need them or as they were used lately.
        holds: bytes that stay.
        frees: bytes that the disk gets back.
    """

    projects: Survey
    builds: int = 0
    unreadable: list[Path] = field(default_factory=list)
    traces: list[Kept] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    work: dict[Path, int] = field(default_factory=dict)
    left: dict[str, list[Path]] = field(default_factory=dict)
    needed: int = 0
    recent: int = 0
    holds: int = 0
    frees: int = 0


def plan(store: Store, own: Path, wish: Wish, told: Told) -> Plan:
    """What a clean-up removes; nothing is changed.

    Args:
        own: the project at hand, noted in the store or not.
        told: told how far it is.
    """
    found = Plan(survey(store, own))
    now = time.time()
    since, needs = _needs(found, wish, told)
    traces = _traces(store, needs, found, told)
    cutoff = min(now - wish.days * _DAY, since)
    stay = [each for each in traces if each.needed or each.used >= cutoff]
    blobs, work = read_blobs(store, told), {path: size_of(path) for path in _names(store.work)}
    live = _Live(stay, set() if wish.everything else needs.files, Listings(store), blobs, work)
    going = _too_much(stay, live, wish) if wish.size is not None else set()
    stay = [each for each in stay if each.path not in going]
    left = {each.path for each in stay}
    found.traces = [each for each in traces if each.path not in left]
    found.blobs = {sha: blob for sha, blob in blobs.items() if not live.has(sha)}
    found.work = {path: size for path, size in work.items() if not live.works[path.name]}
    found.needed = sum(each.needed for each in stay)
    found.recent = len(stay) - found.needed
    found.left = _left(store, found.projects, now - wish.days * _DAY)
    found.holds = live.bytes
    found.frees = _frees(found)
    return found


def _needs(found: Plan, wish: Wish, told: Told) -> tuple[float, Needs]:
    """What the projects need; and since when all results are to stay, as some project cannot be read."""
    needs = Needs()
    since = [since for _, since in found.projects.unsure.values()]
    for project, known in found.projects.here.items():
        before = len(needs.unreadable)
        needs.add_project(project, wish.without, told)
        since += [known] if len(needs.unreadable) > before else []
    found.builds, found.unreadable = needs.builds, needs.unreadable
    return min((each - _CLOCKS for each in since), default=float("inf")), needs


def _traces(store: Store, needs: Needs, found: Plan, told: Told) -> list[Kept]:
    """All traces, those marked that builds need."""
    ends, traces, analyses = Ends(), list[Kept](), list[Trace]()
    doubtful: dict[str, list[Kept]] = {}
    met: set[str] = set()
    for each in read_traces(store, told):
        if isinstance(each, Path):
            found.broken.append(each)
            continue
        kept, key = each.kept, each.kept.key
        traces.append(kept)
        if key in needs.steps:
            taken = taken_of(each.said, each.after)
            kept.needed = taken in needs.steps[key]
            met.update([key] if kept.needed else [])
            doubtful.setdefault(key, []).append(kept)
            for end, toolchain in needs.ends.get(key, ()):
                if end == taken:
                    ends.add(each.after, toolchain)
        elif key in needs.segments:
            kept.needed = True
        elif each.said["step"]["kind"] == "analysis":
            analyses.append(each)
    for key, those in doubtful.items():
        if key not in met:  # a build took one of them, and which is not known
            for kept in those:
                kept.needed = True
    _mark_analyses(analyses, ends)
    return traces


def _mark_analyses(analyses: Iterable[Trace], ends: Ends) -> None:
    for each in analyses:
        with suppress(TypeError):
            each.kept.needed = ends.starts(each.kept.key, each.said["step"])


class _Live:
    """What the traces that stay refer to, counted, so that traces can be taken out again."""

    def __init__(
        self,
        stay: Iterable[Kept],
        pinned: Collection[str],
        listings: Listings,
        blobs: dict[str, Blob],
        work: dict[Path, int],
    ) -> None:
        self._listings, self._blobs, self._pinned = listings, blobs, pinned
        self._sizes = {path.name: size for path, size in work.items()}
        self._files: Counter[str] = Counter()
        self._lists: Counter[str] = Counter()
        self.works: Counter[str] = Counter()
        self.bytes = sum(blobs[sha].size for sha in set(pinned) & blobs.keys())
        for kept in stay:
            self._count(kept, 1)

    def has(self, sha: str) -> bool:
        """Whether a blob is needed."""
        return self._files[sha] > 0 or sha in self._pinned

    def drop(self, kept: Kept) -> None:
        """A trace goes."""
        self._count(kept, -1)

    def _count(self, kept: Kept, by: int) -> None:
        self.bytes += by * kept.size
        for sha in kept.files:
            self._file(sha, by)
        for sha in kept.listings:
            self._lists[sha] += by
            if self._lists[sha] == (by > 0):
                for file in self._listings.files(sha):
                    self._file(file, by)
        for name in kept.work:
            self.works[name] += by
            if self.works[name] == (by > 0):
                self.bytes += by * self._sizes.get(name, 0)

    def _file(self, sha: str, by: int) -> None:
        self._files[sha] += by
        if self._files[sha] == (by > 0) and sha not in self._pinned and sha in self._blobs:
            self.bytes += by * self._blobs[sha].size


def _too_much(stay: Iterable[Kept], live: _Live, wish: Wish) -> set[str]:
    """The traces that go so that what is left fits: the least recently used first."""
    going = set()
    may_go = [each for each in stay if wish.everything or not each.needed]
    may_go.sort(key=lambda each: (each.needed, each.used // _AT_ONCE, -each.position, each.used))
    for each in may_go:
        if wish.size is None or live.bytes <= wish.size:
            break
        live.drop(each)
        going.add(each.path)
    return going


def _left(store: Store, projects: Survey, before: float) -> dict[str, list[Path]]:
    """What runs have left behind, by what it is."""
    return {
        "locks": [path for path in _names(store.locks) if path.name != SHARED],
        "quarantined": [path for path in _names(store.quarantine) if path.lstat().st_ctime < before],
        "history": [path for path in _names(store.root / "history") if path.lstat().st_mtime < before],
        "parts": [path for path in _files(store.root / parts.FOLDER) if path.lstat().st_mtime < before],
        "notes": list(projects.gone),
    }


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in sorted(names))


def _frees(found: Plan) -> int:
    kept = sum(each.size for each in found.traces) + sum(found.work.values())
    left = sum(size_of(path) for paths in found.left.values() for path in paths)
    return kept + left + sum(blob.size for blob in found.blobs.values() if not blob.linked)


def _names(folder: Path) -> list[Path]:
    if not folder.is_dir() or folder.is_symlink():
        return []
    return [folder / name for name in sorted(os.listdir(folder))]


def carry_out(store: Store, found: Plan, told: Told) -> list[OSError]:
    """Remove what is planned, on a store that nobody else uses; gives what could not be removed."""
    errors: list[OSError] = []
    done = 0
    store.sweep()
    for act, path in _acts(store, found):
        done += 1
        told("removing", done)
        try:
            act(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            errors.append(error)
    return errors


def _acts(store: Store, found: Plan) -> Iterator[tuple[Callable[[Path], None], Path]]:
    """What is to be done to which path, in an order in which it may stop anywhere."""
    for path in found.broken:
        yield store.put_aside, path
    for kept in found.traces:
        yield os.unlink, Path(kept.path)
    groups = {Path(kept.path).parent for kept in found.traces} | {path.parent for path in found.broken}
    for folder in (*groups, *{group.parent for group in groups}):
        yield _remove_if_empty, folder
    for path in found.work:
        yield _remove_folder, path
    for sha in found.blobs:
        yield os.unlink, store.blob_path(sha)
    for path in found.left["locks"]:
        yield _remove_unheld, path
    for name in _FOLDERS:
        for path in found.left[name]:
            yield _remove_folder, path


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _remove_folder(path: Path) -> None:
    """Remove a folder or file. Raises OSError for what stays."""
    remove_tree(path)
    if os.path.lexists(path):
        raise PermissionError(1, "it cannot be removed", str(path))


def _remove_unheld(path: Path) -> None:
    """Remove a lock's file that nobody holds. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | WARY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
