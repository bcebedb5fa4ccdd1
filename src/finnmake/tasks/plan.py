"""`doit plan`: what a build would run and what it would take from the store; runs and changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from finnmake.engine.explain_flow import RUN, STORE, UNKNOWN
from finnmake.tasks.command import DONE, HELP, JSON, ascii_only, flag
from finnmake.tasks.plan_text import plan_text
from finnmake.tasks.planning import Plan, Planner
from finnmake.tasks.question import AskingCommand
from finnmake.tasks.standing import Standing
from finnmake.tasks.workspace import workspace


class PlanCommand(AskingCommand):
    """The command."""

    name = "plan"
    doc_purpose = "what a build would run and what comes from the store; runs nothing"
    doc_usage = "[TASK ...] [--all] [--json] [blueprint=NAME]"
    doc_description = """TASK is a task, a group or a configuration: build, finn:config_001, config_001,
'build:config_00*'. Without any, it is `build`.

What a step that runs will leave is not known: if it is the same as before, what follows comes from the
store, and if not, it runs too. Times are those of earlier runs, added up as if one step ran at a time.

Nothing is built and nothing changes."""
    cmd_options = (
        flag("all", "all configurations, and every step by its name"),
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the plan."""
        with self.quietly():
            ws = workspace()
            plan = Planner(ws, Standing(ws, self.asked)).plan()
        if options["json"]:
            print(json.dumps(described(plan), indent=2))
            return DONE
        text = plan_text(plan, options["all"])
        sys.stdout.write(text.replace("…", "...") if ascii_only() else text)
        return DONE


def described(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    return {
        "planned": [asdict(each) for each in plan.planned],
        "up_to_date": plan.up_to_date,
        "simulated": plan.simulated,
        "run": len(plan.steps(RUN)),
        "from_store": len(plan.steps(STORE)),
        "unknown": len(plan.steps(UNKNOWN)),
        "seconds": plan.seconds(RUN),
        "seconds_at_most": plan.seconds(RUN) + plan.seconds(UNKNOWN),
        "without_seconds": plan.without_seconds,
    }
