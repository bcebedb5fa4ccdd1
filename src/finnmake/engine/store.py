"""The store: blobs by content, an action cache of traces, and locks. Plain files and atomic renames.

Layout (see docs/engine.md): `VERSION`, `blobs/ab/cdef…`, `actions/ab/<key>/<trace digest>.json`,
`work/<action>/`, `tmp/`, `locks/`, `quarantine/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from finnmake.engine.processes import owner_ended, process_space
from finnmake.errors import Location, StoreError
from finnmake.hashing import canonical_json, digest_bytes, digest_file, digest_value

#: Layout of the folder. A store of another version is refused, never misread.
STORE_VERSION = "1"

#: Blobs carry this time stamp (seconds since the epoch), so that a blob that somebody edited is seen.
_BLOB_MTIME = 1
_BLOB_MTIME_NS = _BLOB_MTIME * 10**9

#: From this size on (bytes) outputs are hard links instead of copies where the file system cannot reflink.
_LINK_FROM = 1 << 20

#: What another machine's process left is removed after this time (seconds): a week.
_LEFT_OVER = 7 * 86400

#: Ends the entry of an executable file in the listing of a folder.
_EXECUTABLE = "+x"

_FICLONE = 0x40049409


class DamagedBlob(Exception):
    """A blob is missing or is not what its name says; it was put aside and must be made again."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


def default_root() -> Path:
    """`$FINNMAKE_STORE`, else `$XDG_CACHE_HOME/finnmake`, else `~/.cache/finnmake`."""
    chosen = os.environ.get("FINNMAKE_STORE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "finnmake"


class Store:
    """Content-addressed results on disk. A blob is named by a ref: `<sha256>-<size in bytes>`.

    Args:
        root: its folder.
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
        self.quarantine = root / "quarantine"

    def open(self) -> Store:
        """Make the folders, check the version and that the store can be written. Raises StoreError."""
        try:
            self.tmp.mkdir(parents=True, exist_ok=True)
            self._check_version()
            for folder in (self.blobs, self.actions, self.work, self.locks, self.quarantine):
                folder.mkdir(exist_ok=True)
            with self._temporary() as probe:
                probe.touch()
        except OSError as error:
            raise StoreError(
                f"the store cannot be written: {error.strerror}",
                where=Location(path=self.root),
                cure="Give yourself the right to write there, or set FINNMAKE_STORE to another folder.",
            ) from error
        return self

    def _check_version(self) -> None:
        version = self.root / "VERSION"
        try:
            found = version.read_text(errors="replace").strip()
        except FileNotFoundError:
            self._write(version, STORE_VERSION.encode())
            return
        if found != STORE_VERSION:
            raise StoreError(
                f"the store has layout {found!r}, this finnmake writes layout {STORE_VERSION!r}",
                where=Location(path=self.root),
                cure="Set FINNMAKE_STORE to another folder, or use the finnmake that made this one.",
            )

    # blobs

    def blob_path(self, ref: str) -> Path:
        """Where the blob lies, or would lie."""
        return self.blobs / ref[:2] / ref[2:64]

    def put_bytes(self, data: bytes) -> str:
        """Keep `data`; gives its ref."""
        ref = f"{digest_bytes(data)}-{len(data)}"
        if not self._is_whole(ref):
            with self._temporary() as temporary:
                temporary.write_bytes(data)
                self._adopt(temporary, ref)
        return ref

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file's content; gives its ref. The file itself stays as it is."""
        before = path.stat()
        ref = f"{digest_file(path)}-{before.st_size}"
        if path.stat().st_size != before.st_size or not self._is_whole(ref):
            with self._temporary() as temporary:
                clone(path, temporary)
                if f"{digest_file(temporary)}-{temporary.stat().st_size}" != ref:
                    raise StoreError(
                        "the file changed while it was being kept",
                        where=Location(path=path),
                        cure="Run again.",
                    )
                self._adopt(temporary, ref)
        return ref

    def _adopt(self, temporary: Path, ref: str) -> None:
        target = self.blob_path(ref)
        temporary.chmod(0o444)
        os.utime(temporary, (_BLOB_MTIME, _BLOB_MTIME))
        target.parent.mkdir(exist_ok=True)
        temporary.replace(target)

    def _is_whole(self, ref: str) -> bool:
        """Whether the blob is there and untouched; one that was touched is hashed, and put aside if wrong."""
        path = self.blob_path(ref)
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        size = int(ref[65:])
        if found.st_size == size and found.st_mtime_ns == _BLOB_MTIME_NS:
            return True
        if found.st_size == size and digest_file(path) == ref[:64]:
            with suppress(OSError):  # somebody else's blob: it is hashed each time
                path.chmod(0o444)
                os.utime(path, (_BLOB_MTIME, _BLOB_MTIME))
            return True
        with suppress(FileNotFoundError):
            path.replace(self.quarantine / f"{ref}.{uuid.uuid4().hex[:8]}")
        return False

    def has(self, ref: str) -> bool:
        """Whether the blob is there and whole."""
        return self._is_whole(ref)

    def checked(self, ref: str) -> Path:
        """The blob's path. Raises DamagedBlob where it is missing or not what its name says."""
        if not self._is_whole(ref):
            raise DamagedBlob(ref)
        return self.blob_path(ref)

    def read(self, ref: str) -> bytes:
        """The blob's content. Raises DamagedBlob."""
        return self.checked(ref).read_bytes()

    def put_tree(self, tree: Mapping[str, str]) -> str:
        """Keep a folder, given as relative POSIX path -> entry; gives the ref of the listing."""
        return self.put_bytes(canonical_json(dict(tree)))

    def read_tree(self, ref: str) -> dict[str, str]:
        """The folder again: relative POSIX path -> entry. Raises DamagedBlob."""
        tree: dict[str, str] = json.loads(self.read(ref))
        return tree

    def pack(self, path: Path) -> str:
        """Keep one file of a folder: its ref, marked where the file is executable."""
        return self.put_file(path) + (_EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else "")

    def unpack(self, entry: str, target: Path) -> None:
        """Write one file of a folder, writable, for a step to work on. Raises DamagedBlob."""
        target.parent.mkdir(parents=True, exist_ok=True)
        clone(self.checked(entry.removesuffix(_EXECUTABLE)), target)
        if entry.endswith(_EXECUTABLE):
            target.chmod(0o755)

    def restore(self, listing: str, folder: Path) -> None:
        """Make `folder` hold what the listing says and nothing else; files that already do stay.

        Raises DamagedBlob.
        """
        tree = self.read_tree(listing)
        for parent, _, names in os.walk(folder):
            for other in (Path(parent, name) for name in names):
                if other.relative_to(folder).as_posix() not in tree:
                    other.unlink()
        for name, entry in tree.items():
            target = folder / name
            if target.is_symlink() or not target.is_file() or self._entry(target) != entry:
                if target.is_dir() and not target.is_symlink():
                    remove_tree(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._temporary() as temporary:
                    self.unpack(entry, temporary)
                    temporary.replace(target)

    def _entry(self, path: Path) -> str:
        """The entry that this file would have in a listing."""
        found = path.stat()
        mark = _EXECUTABLE if found.st_mode & stat.S_IXUSR else ""
        return f"{digest_file(path)}-{found.st_size}{mark}"

    def place(self, entry: str, target: Path) -> None:
        """Put the content at `target`, read-only, swapped in by rename. Raises DamagedBlob, OSError."""
        ref = entry.removesuffix(_EXECUTABLE)
        source = self.checked(ref)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            # A link shares the blob's mode, so an executable file is always a copy.
            may_link = int(ref[65:]) >= _LINK_FROM and not entry.endswith(_EXECUTABLE)
            if not clone(source, temporary, unless=_link if may_link else None):
                temporary.chmod(0o555 if entry.endswith(_EXECUTABLE) else 0o444)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    # action cache

    def traces(self, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The traces under a key, in a stable order; files that are not traces are put aside."""
        folder = self.actions / key[:2] / key
        try:
            names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".json"))
        except FileNotFoundError:
            return
        for name in names:
            path = folder / name
            try:
                trace = json.loads(path.read_bytes())
                if trace_digest(trace) != name[:-5]:
                    raise ValueError(name)
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError):
                self.drop_trace(path)
                continue
            yield path, trace

    def add_trace(self, key: str, trace: Mapping[str, Any]) -> Path:
        """Keep a trace under `key`: a new file, visible only when whole."""
        folder = self.actions / key[:2] / key
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{trace_digest(trace)}.json"
        self._write(path, canonical_json(trace))
        return path

    def drop_trace(self, path: Path) -> None:
        """Put a trace aside whose output is gone or which cannot be read."""
        with suppress(FileNotFoundError):
            path.replace(self.quarantine / f"{path.name}.{uuid.uuid4().hex[:8]}")

    def _write(self, path: Path, data: bytes) -> None:
        with self._temporary() as temporary:
            temporary.write_bytes(data)
            temporary.replace(path)

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
        return self.tmp / f"run-{self._owner}-{os.getpid()}-{uuid.uuid4().hex}"

    # locks and folders

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock `name`; waits for another holder. The kernel frees it when the holder dies."""
        with open(self.locks / name, "w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def new_folder(self) -> Path:
        """An empty folder for one run of steps; whoever asked for it removes it, or `sweep` later."""
        path = self._own_name()
        path.mkdir()
        return path

    def new_file(self) -> Path:
        """An empty file of this process's, likewise."""
        path = self._own_name()
        path.touch()
        return path

    def sweep(self, process: int | None = None) -> None:
        """Remove from `tmp/` what is left of processes that have ended, or of this owner's `process`.

        Processes of another machine or container cannot be seen from here: theirs goes after a week, unless
        they worked for one that can be seen and has ended.
        """
        old = time.time() - _LEFT_OVER
        for entry in list(os.scandir(self.tmp)):
            head, _, pid = entry.name.rpartition("-")[0].rpartition("-")
            if process:
                left = head == f"run-{self._owner}" and pid == str(process)
            else:
                left = _ended(head.removeprefix("run-"), pid)
                left = left or entry.stat(follow_symlinks=False).st_mtime < old
            if left:
                _remove(entry)

    def sweep_owner(self, owner: str) -> None:
        """Remove from `tmp/` all that was made for `owner` by processes that cannot be seen from here."""
        for entry in list(os.scandir(self.tmp)):
            if entry.name.startswith(f"run-{owner}-"):
                _remove(entry)


def _ended(owner: str, pid: str) -> bool:
    """Whether a process has ended, or the one that it worked for."""
    if "." in owner:
        return owner_ended(owner)
    return owner == process_space() and not Path(f"/proc/{pid}").exists()


def _remove(entry: os.DirEntry[str]) -> None:
    remove_tree(Path(entry.path))
    with suppress(OSError):
        os.unlink(entry.path)


def trace_digest(trace: Mapping[str, Any]) -> str:
    """The name of a trace: digest of what was read and what came of it, not of times and logs."""
    return digest_value("trace", {"reads": trace["reads"], "output": trace["output"]})


def clone(source: Path, target: Path, unless: Callable[[Path, Path], bool] | None = None) -> bool:
    """Copy a file's content: a reflink where the file system can, else `unless`, else bytes.

    Gives whether `unless` did it.
    """
    with open(source, "rb") as reader, open(target, "xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            return False
        except OSError:
            if unless is None:
                shutil.copyfileobj(reader, writer, 1 << 20)
                return False
    target.unlink()
    return unless(source, target) or clone(source, target)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a folder, read-only parts included, or a link; what is already gone is no error."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
