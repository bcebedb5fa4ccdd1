"""Builds an unpacked archive again, compares, and tells: what `doit reproduce` and an archive's script run.

Works with the standard library alone, as `archived` does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.tasks import archived as archives
from finnmake.tasks.archived import EXPECTED, Archived
from finnmake.tasks.comparison import DIFFERS, Comparison, compare
from finnmake.tasks.comparison_text import comparison_text
from finnmake.tasks.rebuild import build_again, built

#: Exit codes: all is the same; something differs, or the build failed; the archive cannot be used.
SAME, OTHER, WRONG = 0, 1, 3


@dataclass(frozen=True)
class Environment:
    """Which environment builds: its Python, or empty for one that doitw makes, and why, in words."""

    python: str
    why: str


#: For an archive without finnmake around it.
OWN = Environment("", "its own, made from project/requirements.lock")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        archived: what the archive says of itself.
        problems: files of the archive that are not as exported; nothing was built then.
        environment: which one built it, in words.
        code: the exit code of the build; None where there was none.
        status: how it ended by its result.json.
        comparison: of the outputs; None where nothing was built.
    """

    archived: Archived
    problems: Sequence[str] = ()
    environment: str = ""
    code: int | None = None
    status: str = ""
    comparison: Comparison | None = None

    @property
    def same(self) -> bool:
        """Whether the archive is whole, the build ended as before, and every output is the same."""
        ended = self.code == 0 and self.status == self.archived.status
        return not self.problems and ended and self.comparison is not None and self.comparison.same

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        found = self.comparison
        return {
            "archive": self.archived.name,
            "simulated": self.archived.simulated,
            "same": self.same,
            "problems": list(self.problems),
            "environment": self.environment,
            "exit_code": self.code,
            "status": self.status,
            "files": [vars(row) for row in found.rows] if found else [],
            "environment_differences": list(found.environment) if found else [],
            "first_step_that_differs": found.first if found else "",
        }


def reproduce(
    folder: Path,
    work: Path,
    say: Callable[[str], None],
    choose: Callable[[Path, Archived], Environment] = lambda folder, archived: OWN,
) -> Outcome:
    """Check an unpacked archive, build it in the empty folder `work`, and compare.

    Args:
        say: told what happens, a line each.
        choose: gives the environment to build in.

    Raises WorkspaceError where the archive says nothing of itself, OSError.
    """
    archived = archives.read(folder)
    say(f"{archived.name}{' (simulated)' if archived.simulated else ''}: checking every file")
    problems = archives.problems(folder)
    if problems:
        return Outcome(archived, problems)
    chosen = choose(folder, archived)
    say(f"environment: {chosen.why}")
    say(f"building {archived.config_id} of {archived.blueprint} with an empty store")
    code = build_again(folder, work, archived, python=chosen.python)
    again = built(work, archived)
    comparison = compare(folder / EXPECTED, again) if code == 0 else None
    return Outcome(archived, (), chosen.why, code, _status(again / "result.json"), comparison)


def _status(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return "without a result"


@contextmanager
def working_folder(keep: str) -> Iterator[Path]:
    """An empty folder to work in: that of this name, which stays, or one that goes at the end.

    Raises WorkspaceError where the named folder holds something.
    """
    if not keep:
        with tempfile.TemporaryDirectory(prefix="finnmake-reproduce-", ignore_cleanup_errors=True) as folder:
            yield Path(folder).resolve()
        return
    path = Path(keep).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise WorkspaceError(
            "there is something already, and it stays as it is",
            where=Location(path=path),
            cure="Name a new or an empty folder.",
        )
    path.mkdir(parents=True, exist_ok=True)
    yield path.resolve()


def tell(outcome: Outcome, kept: str = "") -> str:
    """The outcome in words and as a table; `kept` is the folder in which all of it stays."""
    lines = [f"not as exported: {problem}" for problem in outcome.problems]
    if outcome.problems:
        lines.append("nothing was built: get the archive again, or ask where it comes from")
    elif outcome.comparison is None:
        lines.append(f"the build failed (exit code {outcome.code}): what it said is above")
    else:
        lines += comparison_text(outcome.comparison)
        if outcome.status != outcome.archived.status:
            lines.append(f"the build ended as {outcome.status}, in the archive as {outcome.archived.status}")
        if outcome.archived.paths and any(row.state == DIFFERS for row in outcome.comparison.rows):
            lines.append(_PATHS)
    if kept:
        lines.append(f"kept in {kept}")
    mark = " (simulated)" if outcome.archived.simulated else ""
    said = "reproduced: every output is the same, byte for byte" if outcome.same else "not reproduced"
    return "\n".join([*lines, f"{outcome.archived.name}: {said}{mark}\n"])


_PATHS = (
    "note: steps of this build generate code, whose files hold the path of the store; only in a container or "
    "sandbox is that the same everywhere"
)


def main(folder: Path, arguments: Sequence[str]) -> int:
    """What an archive's own script does; gives the exit code."""
    parser = argparse.ArgumentParser("reproduce.py", description="Build again, and compare byte for byte.")
    parser.add_argument("--keep", metavar="FOLDER", default="", help="work in this folder, which stays")
    keep = parser.parse_args(arguments).keep
    try:
        with working_folder(keep) as work:
            outcome = reproduce(folder, work, _say)
            sys.stdout.write(tell(outcome, keep))
    except (FinnmakeError, OSError) as error:
        _say(f"ERROR: {error}")
        return WRONG
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    return SAME if outcome.same else OTHER


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
