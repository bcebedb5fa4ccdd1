"""`doit list`: doit's own, for readers that see enough before its end."""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_list import List as DoitList

from finnmake.tasks.command import DONE, reader_left


class List(DoitList):  # type: ignore[misc]
    """The tasks."""

    name = "list"

    def execute(self, params: Any, args: Any) -> Any:
        """List them; gives the exit code."""
        try:
            code = super().execute(params, args)
            sys.stdout.flush()
        except BrokenPipeError:
            reader_left()
            return DONE
        return code
