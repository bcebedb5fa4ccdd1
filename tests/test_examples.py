"""The blueprints in `blueprints/`: they can be read, and between them show every kind of axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from finnmake.blueprint.document import Item, read_document
from finnmake.blueprint.json_schema import SCHEMA_FILE, json_schema
from finnmake.blueprint.loader import forge
from finnmake.blueprint.slots import FIELD, KERNEL, STEP, TRANSFORM, Slot
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import Location
from finnmake.runner import devices
from tests.catalogs import ProjectNames

REPOSITORY = Path(__file__).parents[1]
FILES = sorted((REPOSITORY / "blueprints").glob("*.yaml"))

#: Name -> combinations of all axes, configurations that the constraints leave.
COUNTS = {
    "digits": (8, 8),
    "digits_cnn": (4, 4),
    "digits_cnn_open": (24, 24),
    "digits_cnn_sample": (18_432, 18_432),
    "digits_explore": (288, 138),
    "digits_float": (4, 4),
}

_validate = fastjsonschema.compile(json_schema())


def load(name: str) -> DesignSpace:
    file = REPOSITORY / "blueprints" / f"{name}.yaml"
    return forge(file, REPOSITORY, known=ProjectNames(), known_parts=devices)


def written(name: str) -> Item:
    text = (REPOSITORY / "blueprints" / f"{name}.yaml").read_text()
    return read_document(text, Location())


def test_no_blueprint_is_left_out() -> None:
    assert [file.stem for file in FILES] == sorted(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_it_is_read_and_has_as_many_configurations_as_it_says(name: str) -> None:
    space = load(name)
    assert space.name == name
    assert space.validate() == []
    assert not space.notes
    assert (space.size, space.get_total_combinations()) == COUNTS[name]
    assert sum(1 for _ in space) == COUNTS[name][1]


@pytest.mark.parametrize("name", COUNTS)
def test_editors_find_its_schema_in_the_first_line_and_nothing_wrong(name: str) -> None:
    file = REPOSITORY / "blueprints" / f"{name}.yaml"
    modeline, _, _ = file.read_text().partition("\n")
    schema = modeline.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / schema).resolve() == SCHEMA_FILE
    _validate(written(name).plain())


@pytest.mark.parametrize("name", COUNTS)
def test_the_first_lines_say_how_to_use_it(name: str) -> None:
    head = "".join((REPOSITORY / "blueprints" / f"{name}.yaml").read_text().splitlines(True)[:4])
    assert "doit" in head


def is_branch_of(slot: Slot, length: int) -> bool:
    """Whether at least two of the alternatives are so many entries long."""
    return sum(len(option) == length for option in slot.options) > 1


def parameter_axis(slot: Slot) -> bool:
    """Whether alternatives differ in a parameter's value only."""
    entries = [option[0] for option in slot.options if len(option) == 1 and isinstance(option[0], dict)]
    return len({entry.get("step") or entry.get("name") for entry in entries}) < len(entries)


def of_config(files: list[Any], *keys: str) -> bool:
    """Whether a field is written as a mapping with these keys."""
    fields = [value for file in files for value in (file["design_space"].get("config") or {}).values()]
    return any(isinstance(value, dict) and set(value) == set(keys) for value in fields)


AXES = {
    "list of a field": lambda slot: slot.kind == FIELD,
    "branch of steps": lambda slot: slot.kind == STEP and is_branch_of(slot, 1) and not parameter_axis(slot),
    "branch of sequences": lambda slot: slot.kind == STEP and is_branch_of(slot, 2),
    "optional step": lambda slot: slot.kind == STEP and len(slot.options) == 2 and slot.options[1] == (),
    "parameter of a step": lambda slot: slot.kind == STEP and parameter_axis(slot),
    "optional transform": lambda slot: slot.kind == TRANSFORM and slot.options[1:] == ((),),
    "alternative transforms": lambda slot: slot.kind == TRANSFORM and is_branch_of(slot, 1),
    "sequence of transforms": lambda slot: slot.kind == TRANSFORM and max(map(len, slot.options)) > 1,
    "parameter of a transform": lambda slot: slot.kind == TRANSFORM and parameter_axis(slot),
    "named stage": lambda slot: slot.kind == TRANSFORM and slot.name not in ("pre_proc", "post_proc"),
    "kernel's backends": lambda slot: (
        slot.kind == KERNEL and len({tuple(each["backends"]) for each in slot.options}) > 1
    ),
    "kernel's attribute": lambda slot: (
        slot.kind == KERNEL and len({str(each["attributes"]) for each in slot.options}) > 1
    ),
}


@pytest.mark.parametrize("kind", AXES)
def test_between_them_they_show_every_kind_of_axis(kind: str) -> None:
    axes = [slot for name in COUNTS for slot in load(name).hw_compiler_space.axes]
    assert any(map(AXES[kind], axes))


def test_between_them_they_show_every_construct() -> None:
    files = [written(name).plain() for name in COUNTS]
    keys = {key for file in files for key in file}
    assert {"extends", "constraints", "objectives", "limits", "search"} <= keys
    assert of_config(files, "from", "to", "step")
    assert of_config(files, "from", "to", "factor")
    assert {file.get("search", {}).get("strategy") for file in files} >= {None, "random"}
    items = [item for file in files for item in file["design_space"]["steps"] if isinstance(item, dict)]
    operations = {key for item in items for key in item}
    assert {"before", "replace", "remove"} <= operations


def test_the_explored_space_is_of_choices_between_which_figures_decide() -> None:
    space = load("digits_explore")
    assert 60 <= space.get_total_combinations() <= 150
    assert space.backend == "finn"
    assert space.global_config["output_stage"] == "ESTIMATES"
    assert len(space.objectives) > 1
    assert len(space.constraints) > 1
    assert space.limits
