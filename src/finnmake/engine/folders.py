"""Files and folders that a step may have tampered with: no link in them is followed, no pipe waited for."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

#: Opens what a step may have put there: never follows a link, never waits for the other end of a pipe.
WARY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_FICLONE = 0x40049409


@contextmanager
def wary(name: str | Path, folder: int | None = None) -> Iterator[int]:
    """A descriptor of a plain file (of an open folder) to read. Raises OSError for a link or a pipe."""
    descriptor = os.open(name, os.O_RDONLY | WARY, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(name))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_folder(name: str | Path, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a folder (in an open one: made, and whatever else is there goes). Raises OSError."""
    if parent is not None:
        if mode_of(name, parent) and not stat.S_ISDIR(mode_of(name, parent)):
            os.unlink(name, dir_fd=parent)
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | WARY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mode_of(name: str | Path, folder: int) -> int:
    """The mode of what stands in an open folder, links not followed; 0 where there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def keep_only(tree: Mapping[str, str], top: int) -> None:
    """Remove every file and link below an open folder that is not in the listing."""
    for parent, folders, names, place in os.fwalk(".", dir_fd=top):
        for name in (*names, *folders):
            wanted = os.path.normpath(f"{parent}/{name}") in tree
            if not wanted and not stat.S_ISDIR(mode_of(name, place)):
                os.unlink(name, dir_fd=place)


def seal(path: Path, mtime: int) -> None:
    """Make a file read-only and set its time (seconds since the epoch). Raises OSError for a link."""
    with wary(path) as descriptor:
        os.fchmod(descriptor, 0o444)
        os.utime(descriptor, (mtime, mtime))


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


def link(source: Path, target: Path) -> bool:
    """Make a hard link; whether that was possible."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a folder, read-only parts included, or a link or file; what cannot be removed stays."""
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            path.unlink()
        return
    with suppress(RecursionError):  # a step may nest folders without end
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                _open_up(folder)
        shutil.rmtree(path, ignore_errors=True)


def _open_up(folder: str) -> None:
    """Give the owner all rights to a folder, never to what a link in its place names. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IRWXU)
    finally:
        os.close(descriptor)
