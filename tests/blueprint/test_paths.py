"""Blueprints by name and by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnmake.blueprint.loader import resolve_blueprint
from finnmake.errors import BlueprintError


@pytest.fixture
def blueprints(project: Path) -> Path:
    for name in ("digits.yaml", "digits_cnn.yml", "notes.txt"):
        (project / "blueprints" / name).write_text("")
    return project


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("digits", "blueprints/digits.yaml"),
        ("digits_cnn", "blueprints/digits_cnn.yml"),
        ("blueprints/digits.yaml", "blueprints/digits.yaml"),
        (Path("blueprints/digits_cnn.yml"), "blueprints/digits_cnn.yml"),
    ],
)
def test_found(blueprints: Path, asked: str | Path, found: str) -> None:
    assert resolve_blueprint(asked, blueprints) == blueprints / found


def test_an_absolute_path_is_taken_as_it_is(blueprints: Path) -> None:
    file = blueprints / "blueprints/digits.yaml"
    assert resolve_blueprint(str(file), Path("/nowhere")) == file


@pytest.mark.parametrize("asked", ["digit", "digits.yaml", "", "\0", "x" * 5000])
def test_not_found_lists_those_that_exist(blueprints: Path, asked: str) -> None:
    with pytest.raises(BlueprintError, match=r"Those in blueprints/ are digits, digits_cnn\.$"):
        resolve_blueprint(asked, blueprints)


def test_not_found_names_the_nearest(blueprints: Path) -> None:
    with pytest.raises(BlueprintError) as caught:
        resolve_blueprint("digitz", blueprints)
    assert str(caught.value) == (
        "there is no blueprint 'digitz'\n"
        "  -> Did you mean digits or digits_cnn? Those in blueprints/ are digits, digits_cnn."
    )


def test_none_yet(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match="blueprints/ holds none yet"):
        resolve_blueprint("digits", tmp_path)
