"""docs/blueprint.md: every example in it can be read, and no key is missing from its table."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from finnmake.blueprint import schema
from finnmake.blueprint.json_schema import json_schema
from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.runner import devices
from tests.catalogs import ProjectNames

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "docs/blueprint.md", REPOSITORY / "docs/plugins.md"]
TEXT = PAGES[0].read_text()

MODEL = "digits_mlp_w2a2.onnx"

#: What a fragment is put into.
MINIMAL = {
    "name": "fragment",
    "model": f"../models/{MODEL}",
    "design_space": {"config": {"fpga_part": "xc7z020clg400-1"}},
}

_validate = fastjsonschema.compile(json_schema())


def examples(page: Path) -> list[str]:
    """The YAML blocks of a page."""
    return re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


EXAMPLES = examples(PAGES[0])


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Mappings key by key, all else from the second."""
    found = dict(base)
    for key, value in more.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def completed(example: str) -> str:
    """An example with a name is whole; its first key says where another belongs."""
    fragment = yaml.safe_load(example)
    first = next(iter(fragment))
    if "name" in fragment:
        return example
    if first in schema.SPACE_KEYS:
        fragment = {"design_space": fragment}
    assert set(fragment) <= set(schema.TOP_KEYS), f"where does {first} belong?"
    return yaml.safe_dump(merged(MINIMAL, fragment), sort_keys=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for folder in ("blueprints", "plugins"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "models").mkdir()
    (root / "models" / MODEL).touch()
    return root


def load(project: Path, text: str, own: tuple[str, ...] = ()) -> DesignSpace:
    (project / "blueprints/example.yaml").write_text(text)
    model = f"models/{MODEL}" if "model:" not in text and "extends:" not in text else None
    return forge(
        Path("blueprints/example.yaml"),
        project,
        known=ProjectNames(project / "plugins", own),
        known_parts=devices,
        model=model,
    )


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10
    assert TEXT.count("```yaml") == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split("\n")[0])
def test_it_can_be_read(project: Path, example: str) -> None:
    text = completed(example)
    space = load(project, text)
    assert space.validate() == []
    if "clock_ns" not in text:
        assert not space.notes
        _validate(yaml.safe_load(text))


@pytest.mark.parametrize("example", examples(PAGES[1]))
def test_the_examples_of_plugins_can_be_read(project: Path, example: str) -> None:
    assert (
        load(project, completed(example), ("FoldInputScale", "prefer_rtl", "slowest_layers")).validate() == []
    )


def test_the_first_example_is_that_of_the_project(project: Path) -> None:
    whole = (project / "blueprints/digits.yaml").read_text()
    shown, real = load(project, EXAMPLES[0]), load(project, whole)
    assert shown.hw_compiler_space == real.hw_compiler_space


def test_ranges_have_the_values_that_the_text_says(project: Path) -> None:
    (example,) = [example for example in EXAMPLES if "from: 8" in example]
    config = load(project, completed(example)).hw_compiler_space.config
    assert config["synth_clk_period_ns"] == (8.0, 6.0, 4.0)
    assert config["target_fps"] == (1000, 2000, 4000, 8000)


def rows() -> dict[str, list[str]]:
    """Key -> the other columns of the table of keys."""
    found = {}
    for line in TEXT.splitlines():
        if line.startswith("| `"):
            first, *others = [cell.strip() for cell in line.strip("|").split(" | ")]
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), others)
    return found


def test_the_table_has_every_key_of_the_schema_and_no_other() -> None:
    whole = json_schema()["properties"]
    space = whole["design_space"]["properties"]
    keys = [
        *whole,
        *(f"design_space.{key}" for key in space),
        *(f"design_space.transforms.{key}" for key in [*space["transforms"]["properties"], "NAME"]),
        *(f"search.{key}" for key in whole["search"]["properties"]),
        *schema.RANGE_KEYS,
        *schema.KERNEL_KEYS,
        schema.ON_ERROR,
        *(f"mock.{key}" for key in schema.MOCK_KEYS),
    ]
    assert sorted(rows()) == sorted(keys)


def test_the_defaults_in_the_table_are_those_of_the_schema() -> None:
    whole = json_schema()["properties"]
    for key, found in {
        **whole,
        **{f"search.{key}": item for key, item in whole["search"]["properties"].items()},
    }.items():
        if "default" in found:
            default = rows()[key][-1].strip("`| ")
            assert yaml.safe_load(default) == found["default"], key


def test_the_choices_in_the_table_are_those_of_the_schema() -> None:
    whole = json_schema()["properties"]
    for key, choices in (("backend", "examples"), ("output_stage", "enum")):
        assert re.findall(r"`([^`]+)`", rows()[key][1]) == [each for each in whole[key][choices] if each]


def test_every_operation_metric_and_stage_is_shown() -> None:
    for word in (*schema.OPERATIONS, *schema.METRICS, *schema.BACKEND_STAGES, *schema.STRATEGIES):
        assert re.search(rf"[`{{ ]{word}[`:,]", TEXT), word


def test_the_files_that_it_names_are_there() -> None:
    for name in re.findall(r"`(\w+\.yaml)`", TEXT):
        assert (REPOSITORY / "blueprints" / name).is_file(), name
