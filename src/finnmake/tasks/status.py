"""`doit status`: the configurations with state, age and key figures; builds nothing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from finnmake.tasks.command import DONE, HELP, JSON, ascii_only, columns, flag
from finnmake.tasks.question import AskingCommand
from finnmake.tasks.standing import Standing
from finnmake.tasks.status_rows import rows
from finnmake.tasks.status_text import status_text
from finnmake.tasks.workspace import workspace


class Status(AskingCommand):
    """The command."""

    name = "status"
    doc_purpose = "the configurations: state, age of the result, key figures"
    doc_usage = "[CONFIGURATION ...] [--all] [--json] [blueprint=NAME]"
    doc_description = """built: its result is there and right. stale: something that it depends on has changed
since. failed, timeout, skipped: how its last build ended. not built: its build was begun and did not end.
never: nothing of it is there.

Of more than 20 configurations those are listed that are not built. Nothing is built and nothing changes."""
    cmd_options = (
        flag("all", "list all configurations"),
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the table."""
        with self.quietly():
            ws = workspace()
            found = list(rows(ws, Standing(ws, self.asked)))
        if options["json"]:
            count = Counter(row.state for row in found)
            print(json.dumps({"count": count, "configurations": [asdict(row) for row in found]}, indent=2))
            return DONE
        text = status_text(found, columns(), options["all"])
        sys.stdout.write(text.replace("…", "...").replace("µ", "u") if ascii_only() else text)
        return DONE
