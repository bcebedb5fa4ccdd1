"""`doit reproduce ARCHIVE`: builds what `doit export` has packed again, and compares byte for byte."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnmake.engine.archive import unpack
from finnmake.errors import FinnmakeError, Location, WorkspaceError, from_os_error
from finnmake.tasks.command import DONE, FAILED, HELP, NamingCommand, flag, text_option
from finnmake.tasks.reproduce_environment import environment_for
from finnmake.tasks.reproduction import Outcome, reproduce, tell, working_folder


class Reproduce(NamingCommand):
    """The command."""

    name = "reproduce"
    takes = "an archive"
    doc_purpose = "build what an archive of `doit export` holds again, and compare byte for byte"
    doc_usage = "ARCHIVE [--keep FOLDER] [--json]"
    doc_description = """The archive is unpacked into a temporary folder and checked; its configuration is
built there with an empty store. This environment does it where its Python, its packages and finnmake are
those of the archive; otherwise the archive's own lock file makes one, as `doitw` does.

Steps and plugins in an archive are programs that are run: take archives from people whom you trust, or
build in the container.

Exit code 0: every output is the same. 1: something differs, and the table says what, or the build failed.
3: the archive cannot be used."""
    cmd_options = (
        text_option(
            "keep",
            "FOLDER",
            "work in this new or empty folder, which stays: the archive, the new build and its store",
        ),
        flag("json", "the outcome as JSON"),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Unpack, check, build, compare and tell. Raises FinnmakeError."""
        self.check_asked()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # the build is ended, and the folder goes
        try:
            with working_folder(options["keep"]) as work:
                outcome = _reproduced(Path(self.asked), work)
        except OSError as error:
            raise _in_words(error) from error
        if options["json"]:
            print(json.dumps(outcome.to_dict(), indent=2))
        else:
            sys.stdout.write(tell(outcome, options["keep"]))
        return DONE if outcome.same else FAILED


def _reproduced(path: Path, work: Path) -> Outcome:
    if not path.is_file():
        raise WorkspaceError(
            f"there is no archive {path}", cure="Give the path of a file that `doit export` wrote."
        )
    _say(f"unpacking {path}")
    unpacked, again = work / "archive", work / "again"
    unpacked.mkdir()
    again.mkdir()
    return reproduce(unpack(path, unpacked), again, _say, environment_for)


def _in_words(error: OSError) -> FinnmakeError:
    found = from_os_error(error)
    found.where = found.where if found.where.path else Location(key="reproduce")
    return found


def _say(line: str) -> None:
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)
