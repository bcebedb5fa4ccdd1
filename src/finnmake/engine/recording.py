"""What a step reads, recorded while it runs, in the forked child and in whatever it forks.

Every record is one line appended to a file, so that a pool of processes that a step starts counts as well.
Recorded are configuration fields, files opened, folders listed, files whose presence was asked for, and
local modules imported (their sources are files opened). The toolchain's own files are not: they belong to
the toolchain identity. What a step reads through a program that it starts is not seen.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finnmake.engine.files import digest_listing
from finnmake.engine.paths import Boundary, portable
from finnmake.engine.trace import ALL_FIELDS, kind_of, presence
from finnmake.hashing import digest_file


class Recorder:
    """Appends what is read to `log`, once a name.

    Args:
        log: the file that collects the records.
        boundary: which files are inputs, and their names.
    """

    def __init__(self, log: Path, boundary: Boundary) -> None:
        self._file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log = log
        self._boundary = boundary
        # Shared with whatever is forked: a record that was lost there is lost.
        self._lost = mmap.mmap(-1, 1)
        self._seen: set[tuple[str, str]] = set()
        self._written: set[str] = set()
        # What this class itself opens is no input. A flag a thread: another one's reads count meanwhile.
        self._busy = threading.local()

    def note_field(self, name: str) -> None:
        """The step read the configuration field `name`."""
        self._append("fields", name, lambda: True)

    def note_open(self, path: str, mode: str) -> None:
        """The step opens `path` to `read`, to `replace` it, to `create` it, or only to `write` into it.

        What the step replaced is no input any more; what it could not create was there before.
        """
        place = self._place(path)
        if place is None or place in self._written or mode == "write":
            return
        if mode == "create" and not os.path.lexists(place):
            self._append("presence", place, lambda: "missing")
        if mode == "replace" or (mode == "create" and not os.path.lexists(place)):
            self._written.add(place)
            return
        if not os.path.isfile(place) and not self._boundary.above(place):
            self._append("presence", place, lambda: presence(place))  # which error it gets
        self._append("files", place, lambda: _digest_or_none(place))

    def note_listing(self, path: str) -> None:
        """The step lists the folder `path`."""
        place = self._place(path)
        if place is not None:
            self._append("listings", place, lambda: digest_listing(place))

    def note_presence(self, path: str, kind: str) -> None:
        """The step asked whether `path` is there and learned `kind` (see `trace.presence`)."""
        place = self._place(path)
        if place is not None and place not in self._written and not self._boundary.above(place):
            self._append("presence", place, lambda: kind)

    def _place(self, path: str) -> str | None:
        """Absolute name of an input; None for what is none and for what the recorder itself looks at."""
        if getattr(self._busy, "now", False):
            return None
        self._busy.now = True
        try:
            return self._boundary.place(path)
        finally:
            self._busy.now = False

    def _append(self, kind: str, name: str, value: Callable[[], Any]) -> None:
        if (kind, name) in self._seen:
            return
        self._busy.now = True
        try:
            self._seen.add((kind, name))
            key = name if kind == "fields" else portable(name, self._boundary.project)
            self._write(json.dumps([kind, key, value()]).encode() + b"\n")
        finally:
            self._busy.now = False

    def _write(self, record: bytes) -> None:
        try:
            if os.write(self._file, record) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._lost[0] = error.errno or errno.EIO
            raise

    @property
    def failure(self) -> OSError | None:
        """Why a record was lost, as on a full disk: a step may take the error for a file that is missing."""
        return OSError(self._lost[0], os.strerror(self._lost[0])) if self._lost[0] else None

    def discard(self) -> None:
        """Nothing that was recorded counts."""
        os.close(self._file)
        self._log.unlink()

    def close(self) -> dict[str, dict[str, Any]]:
        """All records, by kind and name; the first of a name counts."""
        os.close(self._file)
        records: dict[str, dict[str, Any]] = {"fields": {}, "files": {}, "listings": {}, "presence": {}}
        for line in self._log.read_text().splitlines():
            kind, name, value = json.loads(line)
            records[kind].setdefault(name, value)
        self._log.unlink()
        for name, digest in records["files"].items():
            if digest is not None:
                records["presence"].pop(name, None)
        return records


def _digest_or_none(path: str) -> str | None:
    try:
        return digest_file(Path(path)) if os.path.isfile(path) else None
    except OSError:
        return None


class RecordedFields(Mapping[str, Any]):
    """The configuration as a step sees it: reading a field notes it, setting one is a result."""

    def __init__(self, values: Mapping[str, Any], recorder: Recorder) -> None:
        self._values = dict(values)
        self._recorder = recorder
        #: Fields that the step set, as JSON values: later steps see them.
        self.overrides: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        self._recorder.note_field(name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        self._recorder.note_field(str(name))
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        self._recorder.note_field(ALL_FIELDS)
        return iter(self._values)

    def __len__(self) -> int:
        self._recorder.note_field(ALL_FIELDS)
        return len(self._values)

    def note(self, name: str) -> None:
        """The step read `name` by another way than this mapping."""
        self._recorder.note_field(name)

    def raw(self) -> dict[str, Any]:
        """All values without noting anything: for whoever builds a recording object of its own."""
        return dict(self._values)


# Audit hooks cannot be taken out again: one for the process, which writes to whatever recorder is active.
_active: Recorder | None = None
_installed = False

_REAL = {name: getattr(os, name) for name in ("stat", "lstat", "access", "open")}


def activate(recorder: Recorder | None) -> None:
    """Record into `recorder` from now on; None stops recording."""
    global _active, _installed
    _active = recorder
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        noted: dict[str, Callable[..., Any]]
        noted = {"stat": _stat, "lstat": _lstat, "access": _access, "open": _open}
        for name, noting in noted.items():
            setattr(os, name, noting)
            for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
                if _REAL[name] in able:
                    able.add(noting)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    handler = _EVENTS.get(event)
    if _active is not None and handler is not None:
        handler(_active, arguments)


def _on_open(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    if not isinstance(arguments[0], int):
        recorder.note_open(os.fsdecode(arguments[0]), _mode(arguments[1], arguments[2]))


def _on_listing(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    target = "." if arguments[0] is None else arguments[0]
    recorder.note_listing(_path_of(target) if isinstance(target, int) else os.fsdecode(target))


def _on_library(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    """A compiled library: `ctypes.CDLL(path)`, or an extension module."""
    library = next((name for name in arguments[:2] if isinstance(name, str) and os.sep in name), None)
    if library is not None:
        recorder.note_open(library, "read")


def _on_database(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    """SQLite opens the file itself."""
    if isinstance(arguments[0], (str, bytes, os.PathLike)) and arguments[0] != ":memory:":
        recorder.note_open(os.fsdecode(arguments[0]), "read")


def _on_link(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    """What a link points to becomes readable under a name of the step's own."""
    recorder.note_open(os.fsdecode(arguments[0]), "read")


def _on_symlink(recorder: Recorder, arguments: tuple[Any, ...]) -> None:
    folder = os.path.dirname(os.fsdecode(arguments[1]))
    recorder.note_open(os.path.join(folder, os.fsdecode(arguments[0])), "read")


_EVENTS: dict[str, Callable[[Recorder, tuple[Any, ...]], None]] = {
    "open": _on_open,
    "os.listdir": _on_listing,
    "os.scandir": _on_listing,
    "os.link": _on_link,
    "os.symlink": _on_symlink,
    "import": _on_library,
    "ctypes.dlopen": _on_library,
    "sqlite3.connect": _on_database,
}


def _mode(mode: Any, flags: Any) -> str:
    """What an open is for, see `Recorder.note_open`: opening for update or to append reads first."""
    if isinstance(mode, str):
        kinds = {"w": "replace", "x": "create", "a": "read" if "+" in mode else "write"}
        return kinds.get(mode[:1], "read")
    if not isinstance(flags, int):
        return "read"
    if flags & os.O_EXCL:
        return "create"
    if flags & os.O_TRUNC:
        return "replace"
    return "write" if flags & os.O_ACCMODE == os.O_WRONLY else "read"


def _path_of(descriptor: int) -> str:
    """The name of what is open under a descriptor."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _at(path: Any, dir_fd: int | None) -> str:
    """`path` as seen from the folder `dir_fd`."""
    name = os.fsdecode(path)
    return name if dir_fd is None else os.path.join(_path_of(dir_fd), name)


def _note_presence(path: Any, dir_fd: int | None) -> None:
    """Note whether something was there: a step may decide by that alone."""
    if _active is None or isinstance(path, int):
        return
    try:
        found = _REAL["stat"](path, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        _active.note_presence(_at(path, dir_fd), "missing")
    except (OSError, ValueError, TypeError):
        return  # what was asked raises the same
    else:
        _active.note_presence(_at(path, dir_fd), kind_of(found))


def _stat(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Any:
    """`os.stat`, noted."""
    _note_presence(path, dir_fd)
    return _REAL["stat"](path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def _lstat(path: Any, *, dir_fd: int | None = None) -> Any:
    """`os.lstat`, noted."""
    _note_presence(path, dir_fd)
    return _REAL["lstat"](path, dir_fd=dir_fd)


def _access(path: Any, mode: int, *, dir_fd: int | None = None, **options: Any) -> Any:
    """`os.access`, noted."""
    _note_presence(path, dir_fd)
    return _REAL["access"](path, mode, dir_fd=dir_fd, **options)


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> Any:
    """`os.open`; what is named from an open folder is noted here, all else by the audit hook."""
    if _active is not None and dir_fd is not None:
        _active.note_open(_at(path, dir_fd), _mode(None, flags))
    return _REAL["open"](path, flags, mode, dir_fd=dir_fd)
