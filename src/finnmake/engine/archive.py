"""Archives: the same bytes for the same files, and an unpacking that trusts nothing in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.hashing import digest_file
from finnmake.whole import written_whole

#: The list of all other files with their SHA-256, as `sha256sum --check` reads it.
SUMS = "SHA256SUMS"

#: The time of every file (seconds since the epoch): 1 January 1980, before which zip files know no time, and
#: the installation of a Python package may make one.
_TIME = 315532800

#: More files than an archive of a build has.
_MOST_FILES = 500_000

#: What is unpacked may be so many times larger than the archive, or this large (bytes) however small it is.
_MOST_TIMES = 200
_SMALL = 1 << 30

#: What reading a file that is no archive, or not a whole one, raises.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError)

#: A file to pack: where it lies, or its content.
Source = Path | bytes


def pack(
    target: Path,
    top: str,
    files: Mapping[str, Source],
    *,
    folders: Collection[str] = (),
    executable: Collection[str] = (),
    expected: Mapping[str, str] | None = None,
    say: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Write a `.tar.gz` that depends on names and contents alone, visible only when whole.

    Args:
        target: the archive.
        top: the one folder in it.
        files: relative POSIX name -> where it lies or what it holds; `SUMS` is added.
        folders: names of folders that are to be there even when they are empty.
        executable: names of files that can be run.
        expected: name -> SHA-256 that the file must have.
        say: told after each file how many bytes are packed, and of how many.

    Returns:
        The SHA-256 of the archive.

    Raises:
        WorkspaceError: a file is not, or no longer, what was expected.
        OSError: a file cannot be read, or the archive cannot be written.
    """
    with written_whole(target) as temporary:
        with open(temporary, "xb") as raw:
            # 6 is what every zlib is tuned for; the name and the time in the header would tell two apart.
            with (
                gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
            ):
                _write(archive, top, files, folders, frozenset(executable), expected or {}, say)
            raw.flush()
            os.fsync(raw.fileno())
        return digest_file(temporary)


def _write(
    archive: tarfile.TarFile,
    top: str,
    files: Mapping[str, Source],
    folders: Collection[str],
    executable: frozenset[str],
    expected: Mapping[str, str],
    say: Callable[[int, int], None],
) -> None:
    for name in files:
        if "\n" in name or "\\" in name:
            raise WorkspaceError(
                f"a file cannot be packed by its name: {name!r}",
                cure=f"Rename it: {SUMS} has a line for each file.",
            )
    sizes = {name: _size(source) for name, source in files.items()}
    total, done, sums = sum(sizes.values()), 0, []
    for name in sorted(folders):
        archive.addfile(_entry(f"{top}/{name}", 0o755, 0, tarfile.DIRTYPE))
    for name in sorted(files):
        mode = 0o755 if name in executable else 0o644
        digest = _add(archive, files[name], _entry(f"{top}/{name}", mode, sizes[name]))
        if digest != expected.get(name, digest):
            raise WorkspaceError(
                "this file changed while it was being packed, or since it was built from",
                where=Location(path=Path(name)),
                cure="Build again, then export.",
            )
        sums.append(f"{digest}  {name}\n")
        done += sizes[name]
        say(done, total)
    listed = "".join(sums).encode("utf-8", "surrogateescape")
    _add(archive, listed, _entry(f"{top}/{SUMS}", 0o644, len(listed)))


def _size(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _entry(name: str, mode: int, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """A header without anything of this machine: owner and group 0 without names, a fixed time."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size, entry.type, entry.mtime = mode, size, kind, _TIME
    return entry


def _add(archive: tarfile.TarFile, source: Source, entry: tarfile.TarInfo) -> str:
    """Add a file; gives the SHA-256 of what was added. Raises OSError where the file has become shorter."""
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
        reader = _Hashing(stream)
        archive.addfile(entry, reader)
    return reader.digest.hexdigest()


class _Hashing:
    """A stream that takes the digest of all that is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def unpack(path: Path, folder: Path) -> Path:
    """Unpack an archive that `pack` made into an empty folder; gives the one folder in it.

    Only plain files and folders below one name are taken, with tarfile's data filter besides; nothing
    larger than the archive can explain, or than the disk has room for.

    Raises WorkspaceError for anything else, and where the file is no archive or not a whole one.
    """
    seen: set[str] = set()
    left = min(max(_SMALL, path.stat().st_size * _MOST_TIMES), shutil.disk_usage(folder).free)
    try:
        with tarfile.open(path, "r:*") as archive:
            for entry in archive:
                name = _checked_name(entry, seen, path)
                left -= entry.size
                if left < 0 or len(seen) > _MOST_FILES:
                    raise _refused(path, entry.name, "it unpacks to more than an archive of a build can hold")
                seen.add(name)
                entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
                archive.extract(entry, folder, filter="data", set_attrs=True)
    except _BROKEN as error:
        raise WorkspaceError(
            f"this is no archive of `doit export`, or not a whole one: {error}",
            where=Location(path=path),
            cure="Get the file again; its SHA-256 is what `doit export` printed.",
        ) from error
    tops = {name.partition("/")[0] for name in seen}
    if len(tops) != 1 or not (folder / next(iter(tops))).is_dir():
        raise _refused(path, "", "it does not hold one folder")
    return folder / next(iter(tops))


def _checked_name(entry: tarfile.TarInfo, seen: set[str], path: Path) -> str:
    parts = PurePosixPath(entry.name).parts
    if not parts or entry.name.startswith("/") or ".." in parts or "\0" in entry.name:
        raise _refused(path, entry.name, "it names a place outside of its folder")
    if not (entry.isreg() or entry.isdir()):
        raise _refused(path, entry.name, "it holds a link or a device")
    name = "/".join(parts)
    if name in seen:
        raise _refused(path, entry.name, "it holds a name twice")
    return name


def _refused(path: Path, name: str, why: str) -> FinnmakeError:
    return WorkspaceError(
        f"not unpacked: {why}",
        where=Location(path=path, key=name or None),
        cure="Use an archive as `doit export` writes it.",
    )


def check_sums(folder: Path) -> list[str]:
    """What is not as `SUMS` says, a line each: files that changed, are missing, or are not listed."""
    try:
        listed = dict(_listed(folder / SUMS))
    except (OSError, ValueError) as error:
        return [f"{SUMS} cannot be read: {error}"]
    wrong = []
    for name in sorted(listed.keys() | set(_names(folder))):
        if name not in listed:
            wrong.append(f"{name} is not listed in {SUMS}")
        elif not (folder / name).is_file():
            wrong.append(f"{name} is missing")
        elif digest_file(folder / name) != listed[name]:
            wrong.append(f"{name} is not the file that was exported")
    return wrong


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    *lines, rest = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    if rest:
        raise ValueError("its last line is not whole")
    for line in lines:
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{line!r} is no line of it")
        yield name, digest


def _names(folder: Path) -> Iterator[str]:
    """All files in the folder but the list itself, and what Python leaves when a script is run."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            relative = (Path(parent) / name).relative_to(folder).as_posix()
            if relative != SUMS:
                yield relative


def read_json(path: Path) -> Any:
    """A JSON file of an archive. Raises WorkspaceError where it is missing or none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"cannot be read: {error}", where=Location(path=path), cure="Get the archive again."
        ) from error
