"""`doit plan` says what the next `doit build` does, and changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import Project, Run
from tests.tasks.two_clocks import STEPS, clocked, made, stamps


def planned(project: Project, *arguments: str) -> dict:
    return json.loads(project.succeed("plan", "--json", *arguments).output)


def first_steps(plan: dict, how: str = "run") -> list[str]:
    """The steps of which that is said."""
    return sorted(
        step["name"]
        for each in plan["planned"]
        for step in each["steps"]
        if step["how"] == how and not step["shared"]
    )


def check(project: Project, *arguments: str) -> tuple[dict, Run]:
    """The plan, and the build after it, which must agree."""
    before = stamps(project.root), stamps(project.store) if project.store.exists() else None
    plan = planned(project, *arguments)
    after = stamps(project.root), stamps(project.store) if project.store.exists() else None
    assert after == before, "a plan changes nothing"
    run = project.run("run", *(arguments or ("build",)))
    may = first_steps(plan, "unknown")
    for name in first_steps(plan):
        assert name in run.steps, f"{name} was to run\n{run.output}"
    left = list(run.steps)
    for name in first_steps(plan):
        left.remove(name)
    for name in left:
        assert name in may, f"{name} was not to run\n{run.output}"
        may.remove(name)
    assert planned(project, *arguments)["planned"] == [] or run.code
    return plan, run


def copied(source: Project, folder: Path) -> Project:
    """A copy, to change at will."""
    shutil.copytree(source.root, folder / "project", symlinks=True)
    shutil.copytree(source.store, folder / "store", symlinks=True)
    copy = Project(folder / "project", folder / "store")
    copy.succeed("build")  # inodes are others
    return copy


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A built project on the mock. Not to be changed."""
    return made(tmp_path_factory.mktemp("plan"), "mock")


@pytest.fixture(scope="module")
def ready_finn(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same on FINN. Not to be changed."""
    return made(tmp_path_factory.mktemp("plan"), "finn")


@pytest.fixture
def project(ready: Project, tmp_path: Path) -> Project:
    return copied(ready, tmp_path)


@pytest.fixture
def finn_project(ready_finn: Project, tmp_path: Path) -> Project:
    return copied(ready_finn, tmp_path)


def edit_plugin(project: Project) -> None:
    path = project.root / "plugins/ticking.py"
    path.write_text(path.read_text() + "# a comment\n")


def edit_analysis(project: Project) -> None:
    path = project.root / "plugins/counting.py"
    path.write_text(path.read_text().replace('{"throughput"', '{"more": 1, "throughput"'))


def edit_model(project: Project) -> None:
    path = project.root / "models/digits_mlp_w2a2.onnx"
    path.write_bytes(path.read_bytes() + b"\x72\x00")  # an empty metadata_props


def edit_field(project: Project) -> None:
    clocked(project, [4.0, 10.0])


def edit_steps(project: Project) -> None:
    clocked(project, [5.0, 10.0], [*STEPS[:1], "tick", *STEPS[1:]])


def touch_output(project: Project) -> None:
    project.folder("tiny").joinpath("final_model.onnx").unlink()


def touch_model(project: Project) -> None:
    path = project.folder("tiny").joinpath("processed_model.onnx")
    path.unlink()
    path.write_bytes(b"tampered")


def remove_builds(project: Project) -> None:
    shutil.rmtree(project.root / "builds")


def remove_store(project: Project) -> None:
    remove_builds(project)
    shutil.rmtree(project.store)


def nothing(project: Project) -> None:
    pass


@pytest.mark.parametrize(
    ("edit", "run", "unknown"),
    [
        (nothing, [], 0),
        (edit_model, ["step_tidy_up"], None),
        (edit_field, None, None),
        (edit_steps, ["tick"], None),
        (touch_output, [], 0),
        (touch_model, [], 0),
        (remove_builds, [], 0),
        (remove_store, ["step_tidy_up"], None),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_planned_is_what_then_happens(
    project: Project, edit: Callable[[Project], None], run: list[str] | None, unknown: int | None
) -> None:
    edit(project)
    plan, _ = check(project)
    assert bool(plan["planned"]) == (edit is not nothing)
    assert run is None or first_steps(plan) == run
    assert unknown is None or plan["unknown"] == unknown


def test_an_edit_of_a_plugin(finn_project: Project) -> None:
    edit_plugin(finn_project)
    plan, run = check(finn_project)
    assert first_steps(plan) == ["tick"]
    assert plan["unknown"] == 5, "two steps of which one reads the clock, and an analysis of each"
    assert run.steps == ["tick"], "its output is the same"
    assert plan["without_seconds"] == 0
    assert 0 < plan["seconds"] <= plan["seconds_at_most"]


def test_an_edit_of_an_analysis(finn_project: Project) -> None:
    edit_analysis(finn_project)
    plan, _ = check(finn_project)
    assert first_steps(plan) == ["counted", "counted"]
    assert plan["unknown"] == 0


def test_a_task_alone(finn_project: Project) -> None:
    edit_plugin(finn_project)
    plan, _ = check(finn_project, "finn:config_002")
    assert [each["name"] for each in plan["planned"]] == ["config_002"]
    assert (
        plan["planned"][0]["stale"] == ["finn:config_002"]
        or "preprocess:config_002" in plan["planned"][0]["stale"]
    )
    assert first_steps(plan) == ["tick"]


@pytest.mark.parametrize("asked", ["config_002", "build:config_002", "build:*2", "build", "segment"])
def test_names_of_tasks(ready: Project, asked: str) -> None:
    assert planned(ready, asked)["planned"] == []


@pytest.mark.parametrize("asked", ["config_009", "build:config_009", "biuld", "build:x*", "finn:"])
def test_names_that_do_not_exist(ready: Project, asked: str) -> None:
    run = ready.fail("plan", asked)
    assert run.code == 3
    assert "  -> " in run.output


def test_a_blob_that_is_missing_is_no_hit(project: Project) -> None:
    remove_builds(project)
    for path in (project.store / "blobs").glob("*/*"):
        path.unlink()
    plan, run = check(project)
    assert first_steps(plan), "a trace whose blobs are gone is no hit"
    assert run.steps


def test_a_blob_that_is_damaged_is_no_hit(project: Project) -> None:
    final = project.read("manifest.json", "tiny")["steps"][-1]["output"]
    remove_builds(project)
    path = project.store / "blobs" / final[:2] / final[2:]
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    plan, _ = check(project)
    assert first_steps(plan)


def test_another_run_in_the_folder_does_not_keep_it_from_answering(project: Project) -> None:
    import fcntl

    with open(project.root / "builds/.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert planned(project)["planned"] == []


def test_a_model_that_is_gone_is_told(project: Project) -> None:
    (project.root / "models/digits_mlp_w2a2.onnx").write_bytes(b"")
    run = project.succeed("plan")
    assert "cannot be built: " in run.output and "no ONNX graph" in run.output
