"""`doit why` names what was edited, with old and new value."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.projects import Project
from tests.tasks.two_clocks import FINN_STEPS, STEPS, clocked, made, stamps


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A built project on the mock; whoever changes it changes it back."""
    return made(tmp_path_factory.mktemp("why"), "mock")


@pytest.fixture(scope="module")
def finn(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same on FINN."""
    return made(tmp_path_factory.mktemp("why"), "finn")


@contextmanager
def edited(path: Path, edit: Callable[[str], str]) -> Iterator[None]:
    """A text file, changed for a while."""
    text = path.read_text()
    path.write_text(edit(text))
    try:
        yield
    finally:
        path.write_text(text)


@contextmanager
def blueprint(project: Project, **changed: object) -> Iterator[None]:
    """The blueprint, changed for a while."""
    path = project.root / "blueprints/tiny.yaml"
    with edited(path, str):
        clocked(project, **{"clocks": [5.0, 10.0], **changed})  # type: ignore[arg-type]
        yield


def why(project: Project, *tasks: str) -> str:
    before = stamps(project.root), stamps(project.store)
    output = project.succeed("why", *tasks).output
    assert (stamps(project.root), stamps(project.store)) == before, "a question changes nothing"
    assert "does not say" not in output
    return output


def test_what_is_up_to_date_says_what_it_uses(mock: Project) -> None:
    output = why(mock, "finn:config_001")
    assert output.startswith("finn:config_001 is up to date\n")
    assert "  it uses builds/tiny/config_001/processed_model.onnx\n" in output
    assert "  it uses plugins/ticking.py\n" in output


def test_a_field(mock: Project) -> None:
    with blueprint(mock, clocks=[4.0, 10.0]):
        output = why(mock, "config_001")
        assert "  field synth_clk_period_ns: 5.0 -> 4.0\n" in output
        assert "of config_001 would run:" in output
        assert "content_id" not in output
        assert "is up to date" in why(mock, "config_002")


def test_the_step_list(mock: Project) -> None:
    with blueprint(mock, steps=[*STEPS[:2], *STEPS[3:]]):
        output = why(mock, "config_001")
        assert "  step 3: tick -> none\n" in output


def test_a_parameter_of_a_step(mock: Project) -> None:
    steps = [*STEPS[:2], {"step": "tick", "beats": 4}, STEPS[3]]
    with (
        edited(
            mock.root / "plugins/ticking.py",
            lambda text: text.replace("(model, cfg)", "(model, cfg, beats=3)"),
        ),
        blueprint(mock, steps=steps),
    ):
        assert "  step 3: tick -> tick(beats=4)\n" in why(mock, "config_001")


def test_the_model(mock: Project) -> None:
    path = mock.root / "models/digits_mlp_w2a2.onnx"
    data = path.read_bytes()
    path.write_bytes(data + b"\x72\x00")
    try:
        assert "  file models/digits_mlp_w2a2.onnx: content " in why(mock, "config_001")
    finally:
        path.write_bytes(data)


def test_the_toolchain(mock: Project) -> None:
    other = Project(mock.root, mock.store, {"LIVENESS_THRESHOLD": "5"})
    assert '  toolchain variables.LIVENESS_THRESHOLD: not set -> "5"\n' in why(other, "finn:config_001")


def test_an_output_that_was_removed_and_one_that_was_touched(tmp_path: Path) -> None:
    project = made(tmp_path, "mock")
    folder = project.folder("tiny")
    (folder / "final_model.onnx").unlink()
    metrics = folder / "metrics.json"
    metrics.write_text(metrics.read_text() + " ")
    output = why(project, "config_001")
    assert (
        "finn:config_001 would run:\n  output builds/tiny/config_001/final_model.onnx: it is missing\n"
        in output
    )
    assert "  output builds/tiny/config_001/metrics.json: it was touched\n" in output
    assert "build:config_001 would run if " in output


def test_a_configuration_that_was_never_built_has_a_nearest(mock: Project) -> None:
    with blueprint(mock, clocks=[5.0, 10.0, 9.0]):
        output = why(mock, "config_003")
        assert "  it has not been built in this folder yet" in output
        assert "  the nearest that was built is config_001; this one differs in:\n" in output
        assert "    field synth_clk_period_ns: 5.0 -> 9.0\n" in output


def test_nothing_was_built(empty_project: Project) -> None:
    output = why_of_empty(empty_project)
    assert "has not been built in this folder yet" in output
    assert "nearest" not in output
    assert not empty_project.store.exists()


def why_of_empty(project: Project) -> str:
    project.blueprint(keys={"backend": "mock"})
    output = project.succeed("why", "config_001").output
    assert not (project.root / "builds").exists()
    return output


def test_a_build_that_failed(empty_project: Project) -> None:
    empty_project.plugin(
        "ticking.py", "from finnmake.plugins import step\n@step\ndef tick(model, cfg):\n    1 / 0\n"
    )
    empty_project.blueprint(steps=["tick"])
    empty_project.fail("run", "build")
    output = empty_project.succeed("why", "finn:config_001").output
    assert "finn:config_001 would run:\n  its last build ended as FAILED: " in output
    assert "ZeroDivisionError" in output
    assert json.loads(empty_project.succeed("status", "--json").output)["count"] == {"failed": 1}


def test_a_pattern(mock: Project) -> None:
    with blueprint(mock, clocks=[4.0, 10.0]):
        output = why(mock, "build:*")
        assert "field synth_clk_period_ns: 5.0 -> 4.0" in output
        assert "build:config_002 is up to date" in output


def test_a_segment(finn: Project) -> None:
    with edited(finn.root / "plugins/ticking.py", lambda text: text.replace("return", "pass\n    return")):
        output = why(finn, "segment:*")
        assert "segment:" in output
        assert "  file plugins/ticking.py line 5\n    +     pass\n" in output
        assert "step 10 of 12" in output


def test_lines_of_a_plugin_and_the_step_that_reads_it(finn: Project) -> None:
    with edited(finn.root / "plugins/ticking.py", lambda text: text.replace("return model", "return  model")):
        output = why(finn, "config_001")
    assert (
        "preprocess, finn and analyze of config_001 would run:\n"
        "  file plugins/ticking.py line 5\n"
        "    -     return model\n"
        "    +     return  model\n"
        f"  the first step to run is tick, step {FINN_STEPS.index('tick') + 1} of {len(FINN_STEPS)}, "
        "for file plugins/ticking.py\n"
    ) in output


def test_lines_are_not_told_where_the_old_ones_are_gone(finn: Project) -> None:
    with edited(finn.root / "plugins/counting.py", lambda text: text + "# more\n"):
        kept = finn.store.with_name("kept")
        shutil.move(finn.store / "blobs", kept)
        try:
            output = why(finn, "analyze:config_001")
        finally:
            shutil.move(kept, finn.store / "blobs")
    assert "  file plugins/counting.py: content " in output


def test_json(mock: Project) -> None:
    with blueprint(mock, clocks=[4.0, 10.0]):
        (told,) = json.loads(mock.succeed("why", "--json", "finn:config_001").output)["tasks"]
    assert told["task"] == "finn:config_001"
    assert told["stands"] == "stale"
    differences = told["reasons"][-1]["differences"]
    assert {"field"} == {each["kind"] for each in differences}
    assert [(each["name"], each["old"], each["new"]) for each in differences] == [
        ("synth_clk_period_ns", 5.0, 4.0)
    ]


@pytest.mark.parametrize("arguments", [(), ("biuld:config_001",), ("config_099",), ("--evrything",)])
def test_wrong_questions(mock: Project, arguments: tuple[str, ...]) -> None:
    run = mock.fail("why", *arguments)
    assert run.code == 3
    assert "  -> " in run.output
