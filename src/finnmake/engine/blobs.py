"""The blobs of a store: content by its SHA-256, listings of folders, and files made from them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path

from finnmake.engine.folders import clone, keep_only, link, mode_of, open_folder, remove_tree, seal, wary
from finnmake.engine.state import checked_tree
from finnmake.engine.temporary import Temporary
from finnmake.errors import Location, StoreError
from finnmake.hashing import canonical_json, digest_bytes, digest_file
from finnmake.whole import written_whole

#: Blobs carry this time stamp (seconds since the epoch), so that a blob that somebody edited is seen.
_BLOB_MTIME = 1
_BLOB_MTIME_NS = _BLOB_MTIME * 10**9

#: From this size on (bytes) outputs are hard links instead of copies where the file system cannot reflink.
_LINK_FROM = 1 << 20

#: Ends the entry of an executable file in the listing of a folder.
_EXECUTABLE = "+x"


class DamagedBlob(Exception):
    """A blob is missing or is not what its name says; it was put aside and must be made again."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


class Blobs(Temporary):
    """Content-addressed files. A blob is named by a ref: `<sha256>-<size in bytes>`."""

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
        self.put_aside(self.blob_path(ref))
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
        """The folder again: relative POSIX path -> entry. Raises DamagedBlob, for what is no listing too."""
        data = self.read(ref)
        if digest_bytes(data) != ref[:64]:
            self.put_aside(self.blob_path(ref))
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
        with written_whole(target) as temporary:
            # A link shares the blob's mode, so an executable file is always a copy.
            may_link = int(ref[65:]) >= _LINK_FROM and not entry.endswith(_EXECUTABLE)
            if not clone(source, temporary, unless=link if may_link else None):
                temporary.chmod(0o555 if entry.endswith(_EXECUTABLE) else 0o444)
