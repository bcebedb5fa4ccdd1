"""The store: blobs by content, an action cache of traces, and locks. Plain files and atomic renames.

Layout (see docs/engine.md): `VERSION`, `blobs/ab/cdef…`, `actions/ab/<key>/<trace digest>.json`,
`work/<action>/`, `tmp/`, `locks/`, `quarantine/`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from finnmake.engine.folders import (
    WARY,
    clone,
    keep_only,
    link,
    mode_of,
    open_folder,
    remove_tree,
    seal,
    wary,
)
from finnmake.engine.processes import owner_ended, process_ended, process_space
from finnmake.engine.state import checked_tree
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
            for folder in (self.tmp, self.blobs, self.work, self.locks, self.quarantine):
                if folder.is_symlink():
                    raise StoreError(
                        "this is a link, and what is done here would be done elsewhere",
                        where=Location(path=folder),
                        cure="Remove the link: a step may have put it there.",
                    )
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
        seal(temporary, _BLOB_MTIME)
        if target.parent.is_symlink():
            target.parent.unlink(missing_ok=True)
        target.parent.mkdir(exist_ok=True)
        temporary.replace(target)

    def _is_whole(self, ref: str) -> bool:
        """Whether the blob is there and untouched; one that was touched is hashed, and put aside if wrong."""
        path = self.blob_path(ref)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        same = stat.S_ISREG(found.st_mode) and found.st_size == int(ref[65:])
        if same and found.st_mtime_ns == _BLOB_MTIME_NS:
            return True
        if same and digest_file(path) == ref[:64]:
            with suppress(OSError):  # somebody else's blob: it is hashed each time
                seal(path, _BLOB_MTIME)
            return True
        self._put_aside(ref)
        return False

    def _put_aside(self, ref: str) -> None:
        with suppress(FileNotFoundError):
            self.blob_path(ref).replace(self.quarantine / f"{ref}.{uuid.uuid4().hex[:8]}")

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
        """The folder again: relative POSIX path -> entry. Raises DamagedBlob, for what is no listing too."""
        data = self.read(ref)
        if digest_bytes(data) != ref[:64]:
            self._put_aside(ref)
            raise DamagedBlob(ref)
        try:
            return checked_tree(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise DamagedBlob(ref) from error

    def pack(self, path: Path) -> str:
        """Keep one file of a folder: its ref, marked where the file is executable."""
        return self.put_file(path) + (_EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else "")

    def unpack(self, entry: str, target: Path) -> None:
        """Write one file of a folder, writable, for a step to work on. Raises DamagedBlob."""
        target.parent.mkdir(parents=True, exist_ok=True)
        clone(self.checked(entry.removesuffix(_EXECUTABLE)), target)
        if entry.endswith(_EXECUTABLE):
            with wary(target) as descriptor:
                os.fchmod(descriptor, 0o755)

    def restore(self, listing: str, folder: Path) -> None:
        """Make `folder` hold what the listing says and nothing else; files that already do stay.

        A step may have put links anywhere in the folder, or in its place: they go, none is followed.
        Raises DamagedBlob.
        """
        tree = self.read_tree(listing)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open_folder(folder.parent) as parent, open_folder(folder.name, parent) as top:
            try:
                keep_only(tree, top)
            except RecursionError as error:
                raise StoreError(
                    "a step nested folders without end",
                    where=Location(path=folder),
                    cure="Remove this folder.",
                ) from error
            for below, names in groupby(sorted(tree), os.path.dirname):
                with ExitStack() as stack:
                    place = top
                    for part in below.split("/") if below else ():
                        place = stack.enter_context(open_folder(part, place))
                    for name in names:
                        self._restore_file(tree[name], os.path.basename(name), place)

    def _restore_file(self, entry: str, name: str, folder: int) -> None:
        if self._entry(name, folder) != entry:
            with self._temporary() as temporary:
                self.unpack(entry, temporary)
                if stat.S_ISDIR(mode_of(name, folder)):
                    remove_tree(Path(f"/proc/self/fd/{folder}", name))
                os.replace(temporary, name, dst_dir_fd=folder)

    def _entry(self, name: str, folder: int) -> str | None:
        """The entry that this file of an open folder would have in a listing; None for what is no file."""
        try:
            with wary(name, folder) as descriptor, open(descriptor, "rb", 0, closefd=False) as stream:
                found = os.fstat(descriptor)
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return None
        return f"{digest}-{found.st_size}{_EXECUTABLE if found.st_mode & stat.S_IXUSR else ''}"

    def place(self, entry: str, target: Path) -> None:
        """Put the content at `target`, read-only, swapped in by rename. Raises DamagedBlob, OSError."""
        ref = entry.removesuffix(_EXECUTABLE)
        source = self.checked(ref)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            # A link shares the blob's mode, so an executable file is always a copy.
            may_link = int(ref[65:]) >= _LINK_FROM and not entry.endswith(_EXECUTABLE)
            if not clone(source, temporary, unless=link if may_link else None):
                temporary.chmod(0o555 if entry.endswith(_EXECUTABLE) else 0o444)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    # action cache

    def trace_names(self, key: str) -> list[str]:
        """The names of the traces under a key, in a stable order."""
        try:
            return sorted(name for name in os.listdir(self._trace_folder(key)) if name.endswith(".json"))
        except FileNotFoundError:
            return []

    def trace(self, key: str, name: str) -> tuple[Path, dict[str, Any]] | None:
        """A trace and its file; None where it is gone. A file that is no trace is put aside."""
        path = self._trace_folder(key) / name
        try:
            trace = json.loads(path.read_bytes())
            if trace_digest(trace) != name[:-5]:
                raise ValueError(name)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError):
            self.drop_trace(path)
            return None
        return path, trace

    def _trace_folder(self, key: str) -> Path:
        return self.actions / key[:2] / key

    def add_trace(self, key: str, trace: Mapping[str, Any]) -> Path:
        """Keep a trace under `key`: a new file, visible only when whole."""
        folder = self._trace_folder(key)
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
        descriptor = os.open(self.locks / name, os.O_RDWR | os.O_CREAT | WARY, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

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


def trace_digest(trace: Mapping[str, Any]) -> str:
    """The name of a trace: digest of what was read and what came of it, not of times and logs."""
    return digest_value("trace", {"reads": trace["reads"], "output": trace["output"]})
