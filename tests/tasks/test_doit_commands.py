"""doit's own commands behave as a doit user expects."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import Project, contents, sha256, traces

pytestmark = pytest.mark.finn

IDS = [f"config_{number:03d}" for number in range(1, 9)]


@pytest.fixture(scope="module")
def all_built(tmp_path_factory: pytest.TempPathFactory, copy_of_built: Callable[[Path], Project]) -> Project:
    """The project with all eight configurations, built by two threads."""
    project = copy_of_built(tmp_path_factory.mktemp("all") / "here")
    project.succeed("-n", "2", "-P", "thread", "build")
    return project


def test_list_names_the_groups(built: Project) -> None:
    output = built.succeed("list").output
    found = [line.split()[0] for line in output.splitlines() if line.strip()]
    assert found == [*("analyze", "build", "estimate", "finn", "metrics", "preprocess", "report", "segment")]


def test_list_all_tells_what_is_up_to_date(project: Project) -> None:
    project.succeed("build:config_001")
    output = project.succeed("list", "--all", "-s").output
    assert "U build:config_001" in output
    assert "R build:config_002" in output
    assert "fpga_part=xc7z020clg400-1, synth_clk_period_ns=5.0, target_fps=10000" in output


def test_info_tells_what_a_task_needs_and_makes(built: Project) -> None:
    output = built.succeed("info", "build:config_001").output
    assert "metrics.json" in output
    assert "result.json" in output


def test_info_and_list_build_nothing(empty_project: Project) -> None:
    empty_project.succeed("list", "--all", "-s")
    empty_project.run("info", "build:config_001")
    assert not empty_project.folder().exists()
    assert not empty_project.store.exists()


def test_clean_removes_the_folder_and_the_next_run_brings_it_back(project: Project) -> None:
    before = contents(project.folder())
    project.succeed("clean", "build:config_001")
    assert not project.folder().exists()
    run = project.succeed("build:config_001")
    assert run.steps == []
    assert contents(project.folder()) == before


def test_clean_with_dependencies(project: Project) -> None:
    project.succeed("clean", "-c", "build:config_001")
    assert not project.folder().exists()
    assert not list((project.root / "builds" / "digits" / "segments").glob("*.json"))
    assert project.succeed("build:config_001").steps == []


def test_clean_dry_run_removes_nothing(project: Project) -> None:
    before = contents(project.folder())
    project.succeed("clean", "-n", "build:config_001")
    assert contents(project.folder()) == before


def test_forget_looks_again_and_runs_no_step(project: Project) -> None:
    project.succeed("forget", "--all")
    run = project.succeed("build:config_001")
    assert run.steps == []
    assert "came from the store" in run.output


def test_all_configurations_in_two_threads(all_built: Project) -> None:
    for name in IDS:
        assert all_built.read("result.json", config=name)["status"] == "SUCCESS"
        assert all_built.read("config.json", config=name)["id"] == name
    assert all_built.read("metrics.json", config="config_003")["clock_frequency"] == 100.0
    assert "nothing to do" in all_built.succeed("build").output


@pytest.mark.slow
def test_two_threads_and_one_make_the_same(all_built: Project, project: Project) -> None:
    run = project.succeed("build")
    assert {task for task, _ in run.steps_by_task} >= {"finn:config_008"}
    for name in IDS:
        assert contents(project.folder(config=name)) == contents(all_built.folder(config=name))


def test_no_step_runs_twice_in_two_threads(all_built: Project) -> None:
    """One trace a (key, fields read) pair: what configurations share was run once."""
    assert all(len(names) <= 4 for names in traces(all_built.store).values())
    streamline = all_built.read("manifest.json")["steps"][3]
    assert streamline["name"] == "step_streamline"
    assert len(traces(all_built.store)[streamline["action_key"]]) == 1


def test_lines_of_two_threads_are_whole(project: Project) -> None:
    """Trap: doit mixes the output of parallel tasks."""
    project.succeed("forget", "--all")
    shutil.rmtree(project.root / "builds")
    run = project.succeed("-n", "2", "-P", "thread", "build:config_001", "build:config_002")
    for line in run.output.splitlines():
        assert line.count("build:") + line.count("finn:") + line.count("segment:") <= 1, line
    assert len(run.steps_by_task) == len(
        [line for line in run.output.splitlines() if line.endswith(" s")]
    ) - (run.output.count("came from the store"))


@pytest.mark.parametrize("name", ["digits_cnn", "blueprints/digits_cnn.yaml"])
def test_blueprint_by_name_or_path(all_built: Project, name: str) -> None:
    all_built.succeed(f"blueprint={name}", "build:config_001")
    metrics = all_built.read("metrics.json", "digits_cnn")
    assert metrics["throughput"] >= 1000
    assert 0 < metrics["lut_utilization"] < 1  # the part is known from the board
    assert "nothing to do" in all_built.succeed(f"blueprint={name}", "build:config_001").output


def test_blueprints_do_not_disturb_each_other(all_built: Project) -> None:
    all_built.succeed("blueprint=digits_cnn", "build:config_001")
    assert "nothing to do" in all_built.succeed("build").output


def test_tampered_and_deleted_outputs_come_back(project: Project) -> None:
    """Trap: doit takes a tampered target as up to date."""
    folder = project.folder()
    before = contents(folder)
    project.succeed("build:config_001")
    for name in ("artifacts/report/estimate_layer_cycles.json", "final_model.onnx", "metrics.json"):
        path = folder / name
        path.chmod(0o644)
        path.write_text("{}")
        run = project.succeed("build:config_001")
        assert run.steps == []
        assert contents(folder) == before, name
    for name in ("artifacts/intermediate_models/step_tidy_up.onnx", "report.html", "result.json"):
        (folder / name).unlink()
        assert project.succeed("build:config_001").steps == []
        assert contents(folder) == before, name
        assert (folder / name).exists()


SLOW_TRANSFORM = """\
import os
import time
from pathlib import Path

from finnmake.plugins import transform
from qonnx.transformation.base import Transformation


@transform(stage="pre_proc")
class Dawdle(Transformation):
    def apply(self, model):
        Path(os.environ["FINNMAKE_STORE"], "tmp", "dawdling").touch()
        time.sleep(1)
        return model, False
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["preprocess", "build"])
def test_edit_during_a_run_is_not_taken_as_up_to_date(project: Project, task: str) -> None:
    """Trap: doit keeps the state of a dependency after the action, so that an edit meanwhile is lost."""
    project.plugin("dawdling.py", SLOW_TRANSFORM)
    project.blueprint(transforms={"pre_proc": ["Dawdle"]}, steps=["step_qonnx_to_finn"])
    model = project.root / "models" / "digits_mlp_w2a2.onnx"
    other = project.root / "models" / "digits_cnn_w4a4.onnx"
    with project.start(task) as process:
        deadline = time.monotonic() + 60
        while not (project.store / "tmp" / "dawdling").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        model.write_bytes(other.read_bytes())
        process.communicate(timeout=60)
    run = project.succeed("build:config_001")
    assert "nothing to do" not in run.output
    assert sha256(project.folder("tiny") / "model.onnx") == sha256(other)
    assert project.read("manifest.json", "tiny")["model"]["sha256"] == sha256(other)
    assert "nothing to do" in project.succeed("build:config_001").output
