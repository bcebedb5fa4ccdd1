"""What the commands that show the design space have in common: they build nothing and change nothing."""

from __future__ import annotations

import getopt
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from doit import doit_cmd
from doit.cmd_base import Command

from finnmake.errors import FinnmakeError, ToolError, WorkspaceError
from finnmake.tasks.loader import check_variables

if TYPE_CHECKING:
    from finnmake.exploration.drawing import Detail

#: Exit codes: done; the answer is no, or a tool failed; the command or the project is wrong.
DONE, FAILED, WRONG = 0, 1, 3

#: Columns, where the output is no terminal.
_WIDTH = 110


def flag(name: str, means: str) -> dict[str, Any]:
    """An option that is given or not; among the options' values it has underscores."""
    return {"name": name.replace("-", "_"), "long": name, "type": bool, "default": False, "help": means}


def text_option(name: str, metavar: str, means: str, *, short: str = "", default: str = "") -> dict[str, Any]:
    """An option with a text."""
    given = {"name": name, "long": name, "type": str, "default": default, "metavar": metavar, "help": means}
    return {**given, "short": short} if short else given


HELP = flag("help", "say this")
JSON = flag("json", "as JSON")

#: Options of those that draw the tree.
DETAIL = (
    flag("all", "leave nothing out: all branches, all steps and all ids of configurations"),
    text_option("depth", "N", "only N segments down from the model"),
)


class SpaceCommand(Command):  # type: ignore[misc]
    """A command that shows something of the design space."""

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse the arguments and run; what doit cannot parse is refused in words."""
        short, long = self.cmdparser.get_short(), self.cmdparser.get_long()
        try:
            options, others = getopt.gnu_getopt(in_args, short, long)
        except getopt.GetoptError as error:
            return refuse(self._wrong(error.msg))
        # doit takes options before names only.
        first = [f"{name}={value}" if f"{name[2:]}=" in long else name + value for name, value in options]
        code: int = super().parse_execute([*first, *others])
        return code

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        if opt_values["help"]:
            print(self.help())
            return DONE
        check_variables(doit_cmd._CMDLINE_VARS or {})
        try:
            if pos_args:
                raise self._wrong(f"it takes no {pos_args[0]!r}")
            return self.show(opt_values)
        except FinnmakeError as error:
            return refuse(error)

    def show(self, options: Mapping[str, Any]) -> int:
        """Print what was asked for; gives the exit code. Raises FinnmakeError."""
        raise NotImplementedError

    def detail(self, options: Mapping[str, Any]) -> Detail:
        """What the options `DETAIL` ask for. Raises WorkspaceError."""
        from finnmake.exploration.drawing import Detail  # few commands draw

        depth = str(options["depth"])
        if depth and not (depth.isdecimal() and int(depth) > 0):
            raise self._wrong(f"option --depth takes a whole number from 1 on, not {depth!r}")
        return Detail(int(depth) if depth else None, everything=options["all"])

    def _wrong(self, message: str) -> WorkspaceError:
        return WorkspaceError(f"doit {self.name}: {message}", cure=f"See `doit help {self.name}`.")


class NamingCommand(SpaceCommand):
    """A command for one thing, whose name comes before or after the options."""

    #: What it takes the name of.
    takes = "a configuration, as config_001"

    #: The name that was given; empty where none was.
    asked: str

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse the arguments and run."""
        names = list(takewhile(lambda each: not each.startswith("-"), in_args))
        return super().parse_execute([*in_args[len(names) :], *names])

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        self.asked, *others = pos_args or [""]
        return super().execute(opt_values, others)

    def check_asked(self) -> None:
        """Raise WorkspaceError where no name was given."""
        if not self.asked:
            raise self._wrong(f"it needs the name of {self.takes}")


def columns() -> int:
    """The width of the terminal."""
    return shutil.get_terminal_size((_WIDTH, 0)).columns


def ascii_only() -> bool:
    """Whether standard output knows no characters beyond ASCII that pictures are drawn with."""
    try:
        "└─…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def refuse(error: FinnmakeError) -> int:
    """Say what is wrong; gives the exit code."""
    sys.stderr.write(f"ERROR: {error}\n")
    return FAILED if isinstance(error, ToolError) else WRONG
