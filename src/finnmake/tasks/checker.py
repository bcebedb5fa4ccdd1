"""How doit sees that a file dependency changed: by content, looked at before the action runs."""

from __future__ import annotations

import os
from typing import Any

from doit.dependency import FileChangedChecker

from finnmake.tasks.workspace import workspace


class ContentChecker(FileChangedChecker):  # type: ignore[misc]
    """SHA-256; a signature (size, mtime, ctime, inode) that is the same spares the hashing.

    The digests are the workspace's, one for a run: a file that fifty tasks depend on is hashed once.
    """

    def __init__(self) -> None:
        self._digests = workspace().digests

    def info(self, file_path: str) -> os.stat_result:
        """The file's stat; from here on its state counts as what the task uses."""
        found = os.stat(file_path)
        self._digests.first(file_path)
        return found

    def check_modified(self, file_path: str, file_stat: os.stat_result, state: Any) -> bool:
        """Whether the content is not what the task used last time."""
        return bool(self._digests.first(file_path)[1] != state[1])

    def get_state(self, dep: str, current_state: Any) -> Any:
        """What the task used: the state before its action, even if the file was edited meanwhile."""
        state = list(self._digests.first(dep))
        return None if state == current_state else state
