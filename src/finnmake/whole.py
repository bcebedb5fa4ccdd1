"""Files that appear whole or not at all, in place of those that were there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a name beside `path`, hidden, to write to; what is there takes its place in the end.

    Where writing fails, the file stays as it was. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
