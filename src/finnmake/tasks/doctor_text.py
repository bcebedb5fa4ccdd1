"""The report of `doit doctor` as text: a line for each finding, and its cure below it."""

from __future__ import annotations

from collections.abc import Sequence

from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Finding

#: Columns of the state and of the name of a check.
_STATE, _CHECK = 8, 14

_INDENT = " " * (_STATE + _CHECK)


def finding_text(finding: Finding) -> str:
    """A finding, with its cure where it is not ok or there is something to do."""
    first, *others = finding.found.splitlines() or [""]
    lines = [f"{finding.state:<{_STATE}}{finding.check:<{_CHECK}}{first}".rstrip()]
    lines += [f"{_INDENT}{line}" for line in others]
    lines += [f"{_INDENT}-> {line}" for line in finding.cure.splitlines()]
    return "\n".join(lines) + "\n"


def summary_text(findings: Sequence[Finding]) -> str:
    """The last line."""
    states = [finding.state for finding in findings]
    problems, warnings, fine = states.count(PROBLEM), states.count(WARNING), states.count(OK)
    return f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}, {fine} ok\n"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
