"""`doit doctor`: whether everything that builds need is there and right, and what to do about what is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnmake.tasks.command import DONE, FAILED, HELP, JSON, SpaceCommand, flag
from finnmake.tasks.doctor_report import report


class Doctor(SpaceCommand):
    """The command."""

    name = "doctor"
    doc_purpose = "check Python, packages, store, disk, tools and licences, with a cure for each problem"
    doc_usage = "[--json] [--quick] [blueprint=NAME]"
    doc_description = """Every line is ok, a warning (it may be meant so) or a problem (builds will fail, or
not be what they seem), with what to do about it. It goes on past whatever is broken, and changes nothing.

Exit code 0: there is no problem. 1: there is."""
    cmd_options = (
        JSON,
        flag("quick", "leave out what takes seconds: loading FINN, starting Vivado"),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the report."""
        fine = report(Path.cwd().resolve(), as_json=options["json"], quick=options["quick"])
        return DONE if fine else FAILED
