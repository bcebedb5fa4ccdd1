"""What the commands that answer a question about tasks have in common: names as arguments, no stray words."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from doit.exceptions import InvalidCommand, InvalidDodoFile

from finnmake.errors import WorkspaceError, from_os_error
from finnmake.tasks.command import SpaceCommand, refuse


class AskingCommand(SpaceCommand):
    """A command that takes names."""

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse the arguments, in any order, and run."""
        return super().parse_execute(sorted(in_args, key=lambda each: not each.startswith("-")))

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        self.asked = list(pos_args)
        try:
            return super().execute(opt_values, ())
        except (InvalidCommand, InvalidDodoFile) as error:
            return refuse(WorkspaceError(str(error)))
        except OSError as error:
            return refuse(from_os_error(error))

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """What is said while the answer is worked out is no part of it."""
        with contextlib.redirect_stdout(sys.stderr):
            yield
