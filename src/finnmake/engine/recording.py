"""What a step reads, recorded while it runs, in the forked child and in whatever it forks.

Every record is one line appended to a file, so that a pool of processes that a step starts counts as well.
Recorded are configuration fields, files opened, folders listed, files whose presence was asked for, and
local modules imported (their sources are files opened). The toolchain's own files are not: they belong to
the toolchain identity. What a step reads through a program that it starts is not seen.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from finnmake.engine.files import digest_listing
from finnmake.engine.paths import portable
from finnmake.hashing import digest_file

#: Folders of the machine and its toolchain: what is read there is part of the toolchain identity.
_MACHINE = ("/proc", "/dev", "/sys", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt/conda")

_REAL_STAT = os.stat


class Recorder:
    """Appends what is read to `log`, once a name.

    Args:
        log: the file that collects the records.
        project: the user's project folder (absolute, no links): files in it are named relative to it.
        own: folders whose files are the engine's own or the step's own, not inputs.
    """

    def __init__(self, log: Path, project: Path, own: Sequence[Path]) -> None:
        self._file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log = log
        self._project = str(project)
        self._own = tuple(f"{folder}/" for folder in own)
        self._seen: set[tuple[str, str]] = set()
        self._written: set[str] = set()
        self._busy = False

    def note_field(self, name: str) -> None:
        """The step read the configuration field `name`."""
        self._append("fields", name, True)

    def note_open(self, path: str, writes: bool) -> None:
        """The step opens `path`: what it wrote itself is no input."""
        place = self._place(path)
        if place is None or place in self._written:
            return
        if writes:
            self._written.add(place)
            return
        self._append("files", place, lambda: _digest_or_none(place))

    def note_listing(self, path: str) -> None:
        """The step lists the folder `path`."""
        place = self._place(path)
        if place is not None:
            self._append("listings", place, lambda: digest_listing(place))

    def note_presence(self, path: str, kind: str) -> None:
        """The step asked whether `path` is there and learned `kind` (`file`, `folder` or `missing`)."""
        place = self._place(path)
        if place is not None and place not in self._written:
            self._append("presence", place, kind)

    def _place(self, path: str) -> str | None:
        """Absolute name of an input file, or None for the toolchain's, the engine's and the step's own."""
        place = os.path.abspath(path)
        link = f"{os.getcwd()}/project"
        if place == link or place.startswith(f"{link}/"):
            place = self._project + place[len(link) :]
        if any(place.startswith(folder) or place + "/" == folder for folder in self._own):
            return None
        if not place.startswith(self._project + "/") and place.startswith(tuple(f"{m}/" for m in _MACHINE)):
            return None
        return place

    def _append(self, kind: str, name: str, value: Any) -> None:
        if self._busy or (kind, name) in self._seen:
            return
        self._busy = True
        try:
            self._seen.add((kind, name))
            found = value() if callable(value) else value
            key = name if kind == "fields" else portable(name, self._project)
            os.write(self._file, json.dumps([kind, key, found]).encode() + b"\n")
        finally:
            self._busy = False

    def close(self) -> dict[str, dict[str, Any]]:
        """All records, by kind and name; the first of a name counts."""
        os.close(self._file)
        records: dict[str, dict[str, Any]] = {"fields": {}, "files": {}, "listings": {}, "presence": {}}
        for line in self._log.read_text().splitlines():
            kind, name, value = json.loads(line)
            records[kind].setdefault(name, value)
        self._log.unlink()
        for name in records["files"]:
            records["presence"].pop(name, None)
        return records


def _digest_or_none(path: str) -> str | None:
    try:
        return digest_file(Path(path))
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
        for name in self._values:
            self._recorder.note_field(name)
        return iter(self._values)

    def __len__(self) -> int:
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


def activate(recorder: Recorder | None) -> None:
    """Record into `recorder` from now on; None stops recording."""
    global _active, _installed
    _active = recorder
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        os.stat = _stat


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _active is None or event not in ("open", "os.listdir", "os.scandir"):
        return
    target = arguments[0]
    if isinstance(target, int):
        return
    path = os.fsdecode(target) if target is not None else "."
    if event == "open":
        _active.note_open(path, _writes(arguments[1], arguments[2]))
    else:
        _active.note_listing(path)


def _writes(mode: Any, flags: Any) -> bool:
    """Whether an open replaces what was there: opening for update reads first."""
    if isinstance(mode, str):
        return mode[:1] in ("w", "x")
    return isinstance(flags, int) and bool(flags & (os.O_TRUNC | os.O_EXCL))


def _stat(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    """`os.stat` that notes whether something was there: a step may decide by that alone."""
    recorder = _active
    if recorder is None or dir_fd is not None or isinstance(path, int):
        return _REAL_STAT(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    try:
        found = _REAL_STAT(path, follow_symlinks=follow_symlinks)
    except (FileNotFoundError, NotADirectoryError):
        recorder.note_presence(os.fsdecode(path), "missing")
        raise
    recorder.note_presence(os.fsdecode(path), kind_of(found))
    return found


def kind_of(found: os.stat_result) -> str:
    """`file` or `folder`."""
    return "folder" if (found.st_mode & 0o170000) == 0o040000 else "file"


class LocalFinder(importlib.abc.MetaPathFinder):
    """Finds modules in the project's folders, after all installed ones, and compiles them from source.

    No bytecode cache is read or written: a stale `.pyc` would hide an edit. The names tried are noted, so
    that a module that appears later, or shadows another, is seen.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [str(folder) for folder in folders]
        #: Whether a local module was imported: what it left in memory must not reach the next step.
        self.used = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a local module, or None."""
        tail = fullname.rpartition(".")[2]
        for folder in self._folders if path is None else path:
            package = f"{folder}/{tail}/__init__.py"
            for name, roots in ((package, [f"{folder}/{tail}"]), (f"{folder}/{tail}.py", None)):
                if not os.path.isfile(name):
                    continue
                self.used = True
                return importlib.util.spec_from_file_location(
                    fullname, name, loader=_SourceLoader(fullname, name), submodule_search_locations=roots
                )
        return None


class _SourceLoader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return compile(self.get_data(path), path, "exec", dont_inherit=True)
