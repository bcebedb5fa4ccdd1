"""Broken blueprints, hundreds of them: each is refused, with the line of the mistake and a cure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken_cases import GOOD, REPOSITORY, Case, all_cases
from mutations import places

from finnmake.blueprint.loader import forge
from finnmake.blueprint.problems import BlueprintErrors
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError
from finnmake.runner import devices
from tests.catalogs import ProjectNames

CASES = all_cases()

#: In messages that say by themselves what to write.
_WANTED = (", wanted ", "unknown key ", "is not a finite number", "the alias lies inside its own anchor")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all good blueprints."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(REPOSITORY / "plugins", root / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "models").mkdir()
    for name in ("digits_mlp_w2a2.onnx", "digits_mlp_float.onnx", "digits_cnn_w4a4.onnx", "folding.json"):
        (root / "models" / name).write_text("{}")
    (root / "blueprints").mkdir()
    for name, text in GOOD.items():
        (root / "blueprints" / name).write_text(text)
    return root


@pytest.fixture
def broken(project: Path, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A broken blueprint in its place; the good one comes back afterwards."""
    case: Case = request.param
    file = project / "blueprints" / case.file
    file.write_text(case.text)
    yield case
    file.write_text(GOOD[case.file])


def load(project: Path, file: str) -> DesignSpace:
    return forge(
        project / "blueprints" / file,
        project,
        known=ProjectNames(project / "plugins"),
        known_parts=devices,
        variables=["FINNMAKE_TEST_UNSET"],
    )


@pytest.mark.parametrize("file", GOOD)
def test_what_is_broken_here_is_good_before(project: Path, file: str) -> None:
    assert load(project, file).validate() == []


def test_there_are_hundreds_of_different_ones() -> None:
    assert len({(case.file, case.text) for case in CASES}) == len(CASES)
    assert len({case.text for case in CASES}) >= 200
    assert all(case.text != GOOD[case.file] for case in CASES)


@pytest.mark.parametrize("broken", CASES, ids=lambda case: f"{case.file}: {case.what}"[:80], indirect=True)
def test_it_is_refused_with_the_line_and_a_cure(
    project: Path, broken: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"a tag was constructed: {command}"))
    with pytest.raises(BlueprintError) as caught:
        load(project, broken.file)
    error = caught.value
    errors = error.errors if isinstance(error, BlueprintErrors) else (error,)
    file = Path("blueprints") / broken.file
    assert (file, broken.line) in {(each.where.path, each.where.line) for each in errors}
    for each in errors:
        assert each.message
        assert each.cure or any(part in each.message for part in _WANTED), each
        assert each.where.line


def test_a_circle_is_shown_whole(project: Path) -> None:
    (project / "blueprints/start.yaml").write_text("name: start\nextends: circle.yaml\n")
    (project / "blueprints/circle.yaml").write_text("extends: start.yaml\n")
    with pytest.raises(BlueprintError) as caught:
        load(project, "start.yaml")
    message = str(caught.value)
    assert message.startswith("blueprints/circle.yaml:1:10: extends: ")
    assert "blueprints/start.yaml -> blueprints/circle.yaml -> blueprints/start.yaml" in message


@pytest.mark.parametrize("file", GOOD)
def test_a_tag_constructs_nothing(project: Path, file: str) -> None:
    mark = project / "touched"
    place = next(
        place for place in places(GOOD[file]) if place.path == ("description",) or place.path == ("name",)
    )
    start = place.value.start_mark.index
    text = f'{GOOD[file][:start]}!!python/object/apply:os.system ["touch {mark}"]\n'
    (project / "blueprints/tagged.yaml").write_text(text)
    with pytest.raises(BlueprintError, match=r"the tag !!python/object/apply:os\.system is not allowed"):
        load(project, "tagged.yaml")
    assert not mark.exists()
