"""`doit verify`: hashes the store and the builds, and puts aside what is damaged."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finnmake.engine.files import signature
from finnmake.engine.store import Store
from finnmake.engine.temporary import default_root
from finnmake.engine.verify import Verifier
from finnmake.engine.verify_builds import expected_outputs
from finnmake.tasks.amounts import Patience
from finnmake.tasks.command import DONE, FAILED, HELP, JSON, SpaceCommand
from finnmake.tasks.fresh import RECORD
from finnmake.tasks.verify_text import verify_text
from finnmake.tasks.workspace import Workspace, workspace


class Verify(SpaceCommand):
    """The command."""

    name = "verify"
    doc_purpose = "hash the store and this project's builds, and put aside what is damaged"
    doc_usage = "[--json]"
    doc_description = """What is put aside is made again by the next build that needs it.

A build itself hashes only what was touched since it was made. This finds what a disk has changed without
a trace in sizes and times.

Exit code 0: all is whole. 1: something was damaged. 3: another run is building here, or the store cannot
be used."""
    cmd_options = (
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Look at everything and tell; gives 1 where something is damaged."""
        ws = workspace()
        ws.lock()
        told = _looked_through(ws)
        if options["json"]:
            print(json.dumps(told, indent=2))
        else:
            sys.stdout.write(verify_text(told))
        return FAILED if told["damaged"] or told["incomplete"] else DONE


def _looked_through(ws: Workspace) -> dict[str, Any]:
    with closing(Store(default_root()).open()) as store:
        verifier = Verifier(store, Patience("verify").told)
        verifier.run()
        verifier.outputs({**_seen_by_tasks(ws.root), **expected_outputs(ws.root)})
    found = verifier.found
    damaged = sorted(found.damaged, key=lambda each: (each.what, each.path))
    return {
        "store": str(store.root),
        "checked": dict(sorted(found.checked.items())),
        "bytes": found.size,
        "damaged": [{**asdict(each), "path": str(each.path)} for each in damaged],
        "incomplete": found.incomplete,
    }


def _seen_by_tasks(project: Path) -> dict[Path, set[str]]:
    """Files in builds/ that nothing has touched since a task used them, with what they held then."""
    found: dict[Path, set[str]] = {}
    for state in sorted((project / "builds").glob("*/.doit.sqlite")):
        for path, known, sha in _depends(state):
            if Path(path).is_relative_to(project / "builds") and _untouched(path, known):
                found.setdefault(Path(path), set()).add(sha)
    return found


def _depends(state: Path) -> Iterator[tuple[str, Any, str]]:
    """Path, signature and SHA-256 of the files that tasks used; nothing where the state is damaged."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as database:
        for (row,) in database.execute("SELECT data FROM tasks"):
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                for path, (known, sha) in json.loads(row)["_values_:"][RECORD]["depends"].items():
                    if known is not None and sha is not None:
                        yield path, tuple(known), sha


def _untouched(path: str, known: Any) -> bool:
    with suppress(OSError):
        return bool(signature(Path(path).stat()) == known)
    return False
