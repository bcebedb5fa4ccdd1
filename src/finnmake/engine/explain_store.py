"""A store that is only looked at: nothing in it changes, not even a time stamp."""

from __future__ import annotations

import stat
from pathlib import Path

from finnmake.engine.blobs import _BLOB_MTIME_NS
from finnmake.engine.store import Store
from finnmake.hashing import digest_bytes, digest_file


class StoreView(Store):
    """The store as it is, which need not be there. What is put into it is remembered, no more."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._put: dict[str, bytes | None] = {}
        self._whole: dict[str, bool] = {}

    def look(self) -> StoreView:
        """Check the version. Raises StoreError for a layout that cannot be read."""
        if (self.root / "VERSION").exists():
            self._check_version()
        return self

    def put_bytes(self, data: bytes) -> str:
        """The ref of `data`."""
        ref = f"{digest_bytes(data)}-{len(data)}"
        self._put[ref] = data
        return ref

    def put_file(self, path: Path) -> str:
        """The ref of the file's content. Raises OSError."""
        ref = f"{digest_file(path)}-{path.stat().st_size}"
        self._put[ref] = None
        return ref

    def assume(self, ref: str) -> None:
        """A run would put this blob into the store first."""
        self._put.setdefault(ref, None)

    def read(self, ref: str) -> bytes:
        """The blob's content. Raises DamagedBlob."""
        data = self._put.get(ref)
        return super().read(ref) if data is None else data

    def put_aside(self, path: Path) -> None:
        """What is damaged stays where it is."""

    def write(self, path: Path, data: bytes) -> None:
        """Nothing is written."""

    def _is_whole(self, ref: str) -> bool:
        if ref in self._put:
            return True
        if ref not in self._whole:
            self._whole[ref] = self._looks_whole(ref)
        return self._whole[ref]

    def _looks_whole(self, ref: str) -> bool:
        path = self.blob_path(ref)
        try:
            found = path.lstat()
            same = stat.S_ISREG(found.st_mode) and found.st_size == int(ref[65:])
            return same and (found.st_mtime_ns == _BLOB_MTIME_NS or digest_file(path) == ref[:64])
        except OSError:
            return False
