"""One run at a time builds in a project's folder: it holds a lock, whose file names its process."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from finnmake.errors import Location, WorkspaceError


class Hold:
    """A run's hold on a project's builds, to the end of its process or to `release`.

    Args:
        root: the project's folder.

    Raises WorkspaceError where another run holds them.
    """

    def __init__(self, root: Path) -> None:
        path = root / "builds" / ".lock"
        path.parent.mkdir(exist_ok=True)
        self._file = open(path, "a+")  # noqa: SIM115 (held as long as the process lives)
        self._file.seek(0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with self._file:
                holder = self._file.read().strip() or "unknown"
            raise WorkspaceError(
                f"another run is building in this folder (process {holder})",
                where=Location(path=root),
                cure="Wait for it, or stop it; runs in other clones may share the store.",
            ) from error
        if self._file.read():  # whoever wrote it did not come to its end
            from finnmake.runner.outputs import remove_partial

            remove_partial(path.parent)
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let go; the next run takes this one for one that came to its end."""
        with suppress(OSError), self._file:
            if threading.active_count() == 1:  # of a run that was stopped, some may still be writing
                self._file.truncate(0)
