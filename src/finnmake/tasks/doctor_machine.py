"""Checks of the machine: the store and its disk, memory, cores, compilers, variables."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from finnmake.engine.folders import clone, link, remove_tree
from finnmake.engine.store import OTHER_LAYOUT, STORE_VERSION
from finnmake.engine.temporary import default_root
from finnmake.engine.toolchain import SWITCHES
from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Finding

#: Less than this is a problem, or a warning (bytes).
_DISK = (1 << 30, 10 << 30)
_MEMORY = (1 << 30, 4 << 30)

#: File systems on other machines. Locks and renames work there; looking at many small files is slow.
_REMOTE = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "ceph", "glusterfs", "9p")
)
#: File systems in memory.
_IN_MEMORY = frozenset(("tmpfs", "ramfs"))

#: Entries of the store that are looked at to tell what it takes; of more only that it is more.
_COUNTED = 50_000


def check_store(root: Path) -> Iterator[Finding]:
    """Whether the store can be used, its layout, its file system, and what it takes."""
    store = default_root()
    place = _existing(store)
    state = _writable(store, place)
    if state is not None:
        yield Finding("store", PROBLEM, f"{store}: {state}", _ELSEWHERE)
        return
    if not store.exists():
        yield Finding("store", OK, f"{store} is not there yet: the first build makes it")
    else:
        layout = _layout(store)
        if layout not in (None, STORE_VERSION):
            yield Finding(
                "store",
                PROBLEM,
                f"{store} has layout {layout!r}, this finnmake writes layout {STORE_VERSION!r}",
                OTHER_LAYOUT,
            )
            return
        yield Finding("store", OK, f"{store}: {_taken(store)}")
    yield from _file_system(place, root)


_ELSEWHERE = "Give yourself the right to write there, or set FINNMAKE_STORE to another folder."


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def _writable(store: Path, place: Path) -> str | None:
    """Why nothing can be written there, or None. Tried out: rights alone do not tell of a read-only disk."""
    if not place.is_dir():
        return f"{place} is no folder"
    inside = place / "tmp" if (place / "tmp").is_dir() and place == store else place
    probe = inside / f".doctor-{uuid.uuid4().hex[:8]}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"{inside} cannot be written: {error.strerror}"
    return None


def _layout(store: Path) -> str | None:
    try:
        return (store / "VERSION").read_text(errors="replace").strip()
    except OSError:
        return None


def _taken(store: Path) -> str:
    """What the store takes on disk, hard links counted once; `at least` where not all of it is counted."""
    size, count, seen = 0, 0, set()
    for parent, _, names in os.walk(store):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(parent, name))
                if found.st_ino not in seen:
                    seen.add(found.st_ino)
                    size += found.st_blocks * 512
            count += 1
        if count > _COUNTED:
            return f"at least {_size(size)} in {count:,} files"
    return f"{_size(size)} in {count:,} files"


def _file_system(place: Path, root: Path) -> Iterator[Finding]:
    kind = _kind(place)
    links = _links(place, root)
    text = f"{kind or 'unknown'}; {links}"
    if kind in _REMOTE:
        cure = "It works there; on a disk of this machine it is faster: set FINNMAKE_STORE."
        yield Finding("file system", WARNING, text, cure)
    elif kind in _IN_MEMORY:
        cure = "What is built is gone when the machine restarts: set FINNMAKE_STORE to a folder on a disk."
        yield Finding("file system", WARNING, text, cure)
    else:
        yield Finding("file system", OK, text)


def _kind(place: Path) -> str:
    """The type of the file system that a folder is on: that of the longest mount point above it."""
    real, found = f"{os.path.realpath(place)}/", ("", "")
    for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
        _, point, kind, *_ = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
        if real.startswith(f"{point.rstrip('/')}/") and len(point) >= len(found[0]):
            found = point, kind
    return found[1]


def _links(place: Path, root: Path) -> str:
    """How outputs come from the store into the project: tried out with a file in each."""
    name = f".doctor-{uuid.uuid4().hex[:8]}"
    source, target = place / name, _existing(root / "builds") / f"{name}.to"
    told: list[bool] = []

    def linked(one: Path, other: Path) -> bool:
        told.append(link(one, other))
        return told[-1]

    try:
        source.write_bytes(b"x" * 4096)
        clone(source, target, unless=linked)
    except OSError as error:
        return f"outputs cannot be placed: {error.strerror}"
    finally:
        remove_tree(source)
        remove_tree(target)
    if not told:
        return "outputs are reflinks of the store's files"
    return (
        "large outputs are hard links to the store's files" if told[0] else "outputs are copies: another disk"
    )


def check_disk(root: Path) -> Iterator[Finding]:
    """Free space for the store, the project and temporary files."""
    places = {"store": default_root(), "project": root, "temporary files": Path(tempfile.gettempdir())}
    devices: dict[int, list[str]] = {}
    for name, path in places.items():
        devices.setdefault(os.stat(_existing(path)).st_dev, []).append(name)
    for names in devices.values():
        free = shutil.disk_usage(_existing(places[names[0]])).free
        state = PROBLEM if free < _DISK[0] else WARNING if free < _DISK[1] else OK
        cure = "Free space, or set FINNMAKE_STORE (and TMPDIR) to a folder on a larger disk."
        yield Finding(
            "disk", state, f"{_size(free)} free for {', '.join(names)}", cure if state != OK else ""
        )


def check_memory(root: Path) -> Iterator[Finding]:
    """Memory that is available, and processors."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free, total = (int(told[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    state = PROBLEM if free < _MEMORY[0] else WARNING if free < _MEMORY[1] else OK
    cure = "Close other programs, or build one at a time: a build of FINN takes about 1 GB."
    yield Finding("memory", state, f"{_size(free)} available of {_size(total)}", cure if state != OK else "")
    cores = len(os.sched_getaffinity(0))
    yield Finding("processors", OK, f"{cores} usable: `doit -n {cores} build` uses all")


def check_programs(root: Path) -> Iterator[Finding]:
    """Programs that parts of FINN and finnmake start."""
    for names, needs, cure in (
        (("g++", "make"), "C++ and RTL simulation of layers", "Debian and Ubuntu: apt install g++ make"),
        (("dot",), "`doit graph -o FILE.svg`", "Debian and Ubuntu: apt install graphviz"),
        (("bwrap",), "runtime=bwrap", "Debian and Ubuntu: apt install bubblewrap"),
    ):
        missing = [name for name in names if shutil.which(name) is None]
        label = " and ".join(names)
        if missing:
            text = f"no {' and no '.join(missing)}: {needs} is not possible; estimates need neither"
            text = text if len(names) > 1 else f"no {label}: {needs} is not possible"
            yield Finding("programs", WARNING, text, cure)
        else:
            yield Finding("programs", OK, f"{label}, for {needs}")


def check_variables(root: Path) -> Iterator[Finding]:
    """Variables that change results."""
    found = {name: os.environ[name] for name in SWITCHES if os.environ.get(name)}
    if not found:
        yield Finding("variables", OK, "none is set that changes results")
    for name, value in sorted(found.items()):
        yield Finding(
            "variables",
            WARNING,
            f"{name}={value} is set, which FINN reads",
            f"It is part of every key; unset {name} to have the results of others.",
        )


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
