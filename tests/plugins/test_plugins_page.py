"""docs/plugins.md: its examples work, its tables name what there is and nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from finnmake.plugins.build import Build
from finnmake.plugins.builtin import BUILTINS
from finnmake.plugins.definitions import KINDS
from tests.plugins.crafted import crafted, layers
from tests.projects import REPOSITORY, Project

PAGE = (REPOSITORY / "docs/plugins.md").read_text()


def block(kind: str) -> str:
    """The first block of a kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.M)
    assert found is not None
    return found[1]


def rows(head: str) -> list[list[str]]:
    """The cells of the table that starts with this line."""
    _, _, rest = PAGE.partition(f"{head}\n")
    table, _, _ = rest.partition("\n\n")
    lines = table.splitlines()[1:]
    assert lines, f"there is no table {head}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


COMMANDS = [line.partition("  ")[0] for line in PAGE.splitlines() if line.startswith("./doitw plugins")]


def test_the_first_example_can_be_used(empty_project: Project) -> None:
    empty_project.plugin("example.py", block("python"))
    empty_project.blueprint(**yaml.safe_load(block("yaml"))["design_space"])
    fixed = {
        each["name"] or "steps": each["option"]
        for each in json.loads(empty_project.succeed("space", "--json", "--no-model").output)["fixed"]
    }
    assert fixed["post_proc"] == [{"name": "slowest_layers", "parameters": {"count": 5}}]
    for name in ("prefer_rtl", "FoldInputScale", "slowest_layers"):
        assert "example.py" in empty_project.succeed("plugins", name).output


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_work(empty_project: Project, command: str) -> None:
    empty_project.succeed(*shlex.split(command)[1:])


def test_the_table_of_built_in_plugins_has_them_all() -> None:
    found = [(name.strip("`"), kind.replace("`", "")) for name, kind, _ in rows("| name | kind | what |")]
    stages = {"transform": "transform, pre_proc", "analysis": "analysis"}
    assert found == [(name, stages[each.kind]) for name, each in BUILTINS.items()]


def test_the_table_of_what_an_analysis_is_given_has_all_fields() -> None:
    found = [name.strip("`").removeprefix("build.") for name, _ in rows("| attribute | what |")]
    assert found == [field.name for field in dataclasses.fields(Build)]


def test_the_table_of_decorators_has_them_all() -> None:
    found = [
        re.sub(r"\(.*", "", row[0].strip("`@"))
        for row in rows("| decorator | marks | is called with | gives |")
    ]
    assert tuple(found) == KINDS


def test_the_parameters_of_the_built_in_plugins_are_there() -> None:
    head = "parameter | type | default | meaning |"
    shown = {
        (cells[0].strip("`"), cells[1].strip("`"), cells[3])
        for kind in ("transform", "analysis")
        for cells in rows(f"| {kind} | {head}")
    }
    actual = set()
    for name, each in BUILTINS.items():
        module, _, attribute = each.target.partition(":")
        parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
        for parameter in [*parameters.values()][each.kind == "analysis" :]:
            default = "" if parameter.default is parameter.empty else parameter.default
            actual.add((name, parameter.name, "null" if default is None else str(default)))
    assert shown == actual


def test_the_keys_of_the_results_are_there(tmp_path: Path) -> None:
    """Of the analyses that a written build is enough for; that of accuracy has its own tests."""
    shown: dict[str, list[str]] = {}
    for name, key, _ in rows("| analysis | key | meaning |"):
        shown.setdefault(name.strip("`"), []).append(key.strip("`"))
    assert set(shown) == {name for name, each in BUILTINS.items() if each.kind == "analysis"}
    build = crafted(tmp_path, layers(("A", ["x"])), {})
    for name in shown.keys() - {"accuracy_validation"}:
        module, _, attribute = BUILTINS[name].target.partition(":")
        found = getattr(importlib.import_module(module), attribute)(build)
        assert [*found] == [*shown[name], "warnings"], name
    source = inspect.getsource(importlib.import_module("finnmake.plugins.builtin.accuracy"))
    assert all(f'"{key}":' in source for key in shown["accuracy_validation"])
