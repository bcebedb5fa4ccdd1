"""How doit sees that a file dependency changed: by content, looked at before the action runs."""

from __future__ import annotations

import os
from typing import Any

from doit.dependency import FileChangedChecker

from finnmake.tasks.workspace import workspace


class ContentChecker(FileChangedChecker):  # type: ignore[misc]
    """SHA-256; what spares the hashing stands in the task's record, see `fresh`.

    The digests are the workspace's, one for a run: a file that fifty tasks depend on is hashed once.
    """

    def __init__(self) -> None:
        self._digests = workspace().digests

    def info(self, file_path: str) -> str | None:
        """The file's digest; from here on this counts as what the task uses. Raises OSError."""
        found = self._digests.first(file_path)[1]
        if found is None:
            os.stat(file_path)
        return found

    def check_modified(self, file_path: str, file_stat: str | None, state: Any) -> bool:
        """Whether the content is not what the task used last time."""
        return bool(file_stat != state)

    def get_state(self, dep: str, current_state: Any) -> Any:
        """What the task used: the digest before its action, even if the file was edited meanwhile."""
        digest = self._digests.first(dep)[1]
        return None if digest == current_state else digest
