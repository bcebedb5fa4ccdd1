"""README.md and the pages with Python: examples run, tables name what there is and nothing else."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import finnmake
from finnmake.exploration import hooks
from finnmake.exploration.axes import FIRST_COLUMNS, LAST_COLUMNS
from finnmake.records import BuildMetrics, BuildResult, BuildStatus
from finnmake.tasks.explore import Explore
from tests.projects import REPOSITORY, Project

README = REPOSITORY / "README.md"
PAGE = REPOSITORY / "docs/exploration.md"
API_PAGE = REPOSITORY / "docs/python-api.md"


def scripts(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


SCRIPTS = [(page.name, script) for page in (README, API_PAGE) for script in scripts(page)]


def first_cells(head: str, page: Path = PAGE) -> list[str]:
    """What stands in backquotes in the first column of the table that starts with this line."""
    _, _, rest = page.read_text().partition(f"{head}\n")
    table, _, _ = rest.partition("\n\n")
    assert table, f"there is no table {head}"
    return [name for line in table.splitlines() for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])]


@pytest.fixture
def simulated(tmp_path: Path) -> Project:
    """A project whose example of an exploration is simulated, and smaller."""
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    folder = project.root / "blueprints"
    (folder / "digits_explore.yaml").rename(folder / "whole.yaml")
    smaller = {
        "name": "digits_explore",
        "extends": "whole.yaml",
        "backend": "mock",
        "limits": None,
        "design_space": {"config": {"target_fps": 480000}},
    }
    (folder / "digits_explore.yaml").write_text(json.dumps(smaller))
    return project


def test_both_pages_have_a_script() -> None:
    assert {name for name, _ in SCRIPTS} == {README.name, API_PAGE.name}


@pytest.mark.parametrize(("page", "script"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_the_script_runs(simulated: Project, page: str, script: str) -> None:
    (simulated.root / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=simulated.root,
        env=simulated.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if "explore(" in script:
        assert "36 of 36 built" in done.stdout
        assert "results: builds/digits_explore/exploration/" in done.stdout
    last = done.stdout.rpartition("results:")[2]
    assert re.search(r"config_\d{3}", last), f"{page} prints no configuration"


def test_the_table_of_columns_is_that_of_the_results() -> None:
    named = first_cells("| column | unit | what |")
    assert named == [*FIRST_COLUMNS, *LAST_COLUMNS]


def test_the_table_of_options_is_that_of_the_command() -> None:
    options = " ".join(first_cells("| option | what |"))
    own = [
        each["long"] for each in Explore.cmd_options if each["name"] in ("fail_fast", "early_stop", "restart")
    ]
    assert options.split() == ["-n", "N", *(f"--{name}" for name in own)]


def test_the_table_of_statuses_has_all() -> None:
    assert first_cells("| status | when |") == [status.value for status in BuildStatus]


def test_the_table_of_hook_methods_has_them_all_with_their_arguments() -> None:
    methods = {
        f"{name}({', '.join(list(inspect.signature(method).parameters)[1:])})"
        for name, method in vars(hooks.ExplorationHook).items()
        if not name.startswith("_")
    }
    assert set(first_cells("| method | when |", API_PAGE)) == methods


def test_the_table_of_public_names_has_them_all() -> None:
    assert sorted(first_cells("| name | what |", API_PAGE)) == sorted(finnmake.__all__)


@pytest.mark.parametrize("record", [BuildResult, BuildMetrics])
def test_the_tables_of_records_have_all_their_fields(record: type[BuildResult | BuildMetrics]) -> None:
    unit = "unit |" if record is BuildMetrics else "|"
    named = first_cells(f"| `{record.__name__}` | {unit}", API_PAGE)
    assert sorted(named) == sorted(each.name for each in dataclasses.fields(record))
