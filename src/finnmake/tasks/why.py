"""`doit why`: the exact reason why a task would run: what differs, where, the old and the new value."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from finnmake.errors import WorkspaceError
from finnmake.tasks.command import DONE, HELP, JSON, ascii_only, flag
from finnmake.tasks.planning import Planner
from finnmake.tasks.question import AskingCommand
from finnmake.tasks.reasons import Reason, Reasons
from finnmake.tasks.standing import Standing
from finnmake.tasks.why_text import why_text
from finnmake.tasks.workspace import workspace

#: So many tasks are told, unless all are asked for.
_SHOWN = 10


class Why(AskingCommand):
    """The command."""

    name = "why"
    doc_purpose = "why a task would run: what differs, where, old and new value"
    doc_usage = "TASK ... [--all] [--json] [blueprint=NAME]"
    doc_description = """TASK is a task, a group or a configuration: config_001, finn:config_001,
segment:902e507c649c, 'build:config_00*'.

What a task used and left when it last ran is compared with now; of its steps the first that would run is
compared with the nearest earlier run of it in the store.

Nothing is built and nothing changes."""
    cmd_options = (
        flag("all", "leave nothing out: all tasks, all differences, all lines"),
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the reasons. Raises WorkspaceError where no task is named."""
        if not self.asked:
            raise WorkspaceError("doit why: it takes the name of a task", cure="Try: doit why config_001")
        with self.quietly():
            ws = workspace()
            standing = Standing(ws, self.asked)
            reasons = Reasons(ws, standing, Planner(ws, standing))
            shown = standing.asked if options["all"] or options["json"] else standing.asked[:_SHOWN]
            found = {name: reasons.chain(name) for name in shown}
        if options["json"]:
            print(json.dumps({"tasks": [described(name, chain) for name, chain in found.items()]}, indent=2))
            return DONE
        texts = [why_text(name, chain, options["all"]) for name, chain in found.items()]
        if len(standing.asked) > len(shown):
            texts.append(f"and {len(standing.asked) - len(shown):,} more tasks (--all shows them)\n")
        text = "\n".join(texts)
        sys.stdout.write(text.replace("…", "...") if ascii_only() else text)
        return DONE


def described(task: str, chain: list[Reason]) -> dict[str, Any]:
    """Why a task would run, as JSON values."""
    return {"task": task, "stands": chain[-1].stands, "reasons": [asdict(reason) for reason in chain]}
