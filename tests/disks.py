"""Small disks that fill up, and disks that can only be read: mounts, which need root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = 4096


class Disk:
    """A file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size: int) -> None:
        """Let it hold so many bytes."""
        _run("mount", "-o", f"remount,size={size}", str(self.path))

    def read_only(self, yes: bool = True) -> None:
        """Let nothing be written, or anything again."""
        _run("mount", "-o", f"remount,{'ro' if yes else 'rw'}", str(self.path))


@contextmanager
def disk(path: Path, size: int) -> Iterator[Disk]:
    """A disk of so many bytes at `path`; skips the test where there is no right to mount."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path))
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("needs the right to mount")
    try:
        yield Disk(path)
    finally:
        _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
