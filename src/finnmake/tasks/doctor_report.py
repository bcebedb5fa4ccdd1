"""The checks of `doit doctor` in their order, and the report. Runs without doit, where that is what lacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from finnmake.tasks import doctor_machine, doctor_project, doctor_python, doctor_tools
from finnmake.tasks.doctor_check import PROBLEM, Check, Finding, examine
from finnmake.tasks.doctor_text import finding_text, summary_text

#: The quick ones first.
CHECKS = (
    Check("Python", doctor_python.check_python),
    Check("toolchain", doctor_python.check_versions),
    Check("settings", doctor_project.check_settings),
    Check("variables", doctor_machine.check_variables),
    Check("processors", doctor_machine.check_memory),
    Check("disk", doctor_machine.check_disk),
    Check("programs", doctor_machine.check_programs),
    Check("workspace", doctor_project.check_lock),
    Check("tasks", doctor_project.check_state),
    Check("blueprint", doctor_project.check_blueprint),
    Check("plugins", doctor_project.check_plugins),
    Check("store", doctor_machine.check_store),
    Check("lock", doctor_python.check_lock),
    Check("packages", doctor_python.check_edited),
    Check("container", doctor_tools.check_container),
    Check("Vivado", doctor_tools.check_vivado, doctor_tools.vivado_takes),
    Check("open RTL", doctor_tools.check_open_rtl),
    Check("FINN", doctor_python.check_finn, doctor_python.finn_takes),
)


def report(root: Path, *, as_json: bool, quick: bool = False) -> bool:
    """Examine the project in `root` and print what was found; whether there is no problem.

    Args:
        quick: leave out what takes seconds.
    """
    findings: list[Finding] = []
    for finding in _examined(root, quick):
        findings.append(finding)
        if not as_json:
            sys.stdout.write(finding_text(finding))
            sys.stdout.flush()
    fine = all(finding.state != PROBLEM for finding in findings)
    if as_json:
        print(json.dumps({"ok": fine, "findings": [asdict(each) for each in findings]}, indent=2))
    else:
        sys.stdout.write(summary_text(findings))
    return fine


def _examined(root: Path, quick: bool) -> Iterator[Finding]:
    return examine([each for each in CHECKS if not (quick and each.slow and each.slow(root))], root, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """`doit doctor` where doit itself, or its settings, cannot be read; gives the exit code."""
    fine = report(Path.cwd(), as_json="--json" in arguments, quick="--quick" in arguments)
    return 0 if fine else 1
