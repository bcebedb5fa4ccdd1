"""`backend: mock` from the command line: marked as simulated everywhere, never taken for FINN's results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from finnmake.backends import mock, onnx_metadata
from tests.projects import Project, Run, contents, traces

MOCK = {"backend": "mock"}
CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": [5.0, 10.0], "target_fps": [10000, 100000]}
PLUGIN = """
from finnmake.plugins import analysis, step

@step
def own_step(model, cfg):
    raise RuntimeError("this must not run")

@analysis
def own_analysis(build):
    raise RuntimeError("this must not run")
"""
STEPS = ["step_tidy_up", "own_step", "step_target_fps_parallelization", "step_generate_estimate_reports"]


def failing(**parameters: Any) -> list[Any]:
    return ["step_tidy_up", {"step": "step_streamline", **parameters}]


def simulated(project: Project, config: str = "config_001") -> Mapping[str, Any]:
    """The marks in a configuration's files."""
    folder = project.folder("tiny", config)
    metrics = json.loads((folder / "metrics.json").read_text())
    return {
        "manifest": json.loads((folder / "manifest.json").read_text())["simulated"],
        "result": json.loads((folder / "result.json").read_text())["simulated"],
        "metrics": metrics["sources"]["throughput"].endswith("(simulated)"),
        "page": "Simulated." in (folder / "report.html").read_text(),
        "model": any(
            key.startswith(mock.KEY)
            for key, _ in onnx_metadata.read((folder / "final_model.onnx").read_bytes())
        ),
        "log": "simulated by finnmake's backend mock" in (folder / "build.log").read_text(),
    }


def every(mark: bool) -> Mapping[str, bool]:
    return dict.fromkeys(("manifest", "result", "metrics", "page", "model", "log"), mark)


@pytest.fixture(scope="module")
def mocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """Four configurations with plugins, built by two threads: the project, not to be changed, and the run."""
    folder = tmp_path_factory.mktemp("mocked")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("own.py", PLUGIN)
    stages = {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["own_analysis"]}
    project.blueprint(keys=MOCK, config=CONFIG, transforms=stages, steps=STEPS)
    return project, project.succeed("-n", "2", "-P", "thread", "build")


def test_every_output_says_that_it_was_simulated(mocked: tuple[Project, Run]) -> None:
    project, _ = mocked
    for number in range(1, 5):
        assert simulated(project, f"config_00{number}") == every(True)


def test_the_screen_says_so_on_every_line(mocked: tuple[Project, Run]) -> None:
    lines = mocked[1].output.splitlines()
    assert len(lines) > 5
    assert all(line.endswith(" (simulated)") for line in lines)
    assert "loading FINN" not in mocked[1].output


FAILING = {"delay": 0.001, "failures": {"synthesis": 0.4, "timing": 0.3}}


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """Sixteen configurations, of which some fail, one analysis that does, and limits that all break."""
    folder = tmp_path_factory.mktemp("explored")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("own.py", PLUGIN)
    config = {
        **CONFIG,
        "target_fps": [10**power for power in range(3, 7)],
        "minimize_bit_width": [False, True],
    }
    project.blueprint(
        keys={**MOCK, "mock": FAILING, "limits": ["lut_utilization <= 0.0001"]},
        config=config,
        transforms={"post_proc": ["own_analysis", {"name": "verify_ops", "parameters": {"fail": True}}]},
        steps=STEPS,
    )
    return project, project.run("explore", "-n", "2")


def test_some_fail_as_the_blueprint_asks_the_same_ones_each_time(
    explored: tuple[Project, Run], tmp_path: Path
) -> None:
    project, _ = explored
    results = [project.read("result.json", "tiny", f"config_{number:03}") for number in range(1, 17)]
    found = [result["error_category"] for result in results]
    assert set(found) == {None, "synthesis", "timing"}
    assert all(result["simulated"] for result in results)
    assert all(
        "simulated failure" in result["error_message"] for result in results if result["error_category"]
    )
    other = Project.clone(tmp_path / "project", tmp_path / "store")
    for part in ("blueprints", "plugins"):
        shutil.copytree(project.root / part, other.root / part, dirs_exist_ok=True)
    shutil.copy(project.root / "pyproject.toml", other.root)
    other.run("build")
    again = [other.read("result.json", "tiny", f"config_{number:03}") for number in range(1, 17)]
    assert [result["error_category"] for result in again] == found
    assert [result["metrics"] for result in again] == [result["metrics"] for result in results]


def test_every_file_says_so(explored: tuple[Project, Run], mocked: tuple[Project, Run]) -> None:
    """But for the user's own model, and lists of warnings without one."""
    for project, _ in (explored, mocked):
        folder = project.root / "builds"
        files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        unmarked = {
            path.name
            for path in files
            if b"imulated" not in path.read_bytes() and path.read_bytes().strip() != b"[]"
        }
        assert unmarked <= {"model.onnx", "processed_model.onnx"}
        assert {path.suffix for path in files} >= {".json", ".log", ".html"}
    tables = {path.suffix for path in (explored[0].root / "builds/tiny/exploration").iterdir()}
    assert tables >= {".csv", ".json", ".parquet"}


def test_the_screen_says_so_on_every_line_also_of_failures_and_warnings(
    explored: tuple[Project, Run],
) -> None:
    lines = [line for line in explored[1].output.splitlines() if line.strip()]
    assert [line for line in lines if not line.endswith(" (simulated)")] == []
    assert any("FAILED" in line for line in lines) and any("warning:" in line for line in lines)
    assert not any(line.count("(simulated)") > 1 for line in lines)


def test_plugins_are_not_run(mocked: tuple[Project, Run]) -> None:
    project, run = mocked
    assert "own_step" in run.steps and "own_analysis" in run.steps
    assert project.read("postprocessing/own_analysis.json", "tiny") == {"simulated": True}
    assert project.read("result.json", "tiny")["warnings"] == []


def test_configurations_share_what_reads_none_of_their_fields(mocked: tuple[Project, Run]) -> None:
    project, run = mocked
    assert run.steps.count("step_tidy_up") == run.steps.count("own_step") == 1
    assert run.steps.count("step_target_fps_parallelization") == 4
    metrics = [project.read("metrics.json", "tiny", f"config_00{number}") for number in range(1, 5)]
    figures = {(found["throughput"], found["lut_utilization"]) for found in metrics}
    assert len(figures) == 4


def test_a_second_run_does_nothing_and_says_so(mocked: tuple[Project, Run]) -> None:
    output = mocked[0].succeed("build").output
    assert output.strip() == "nothing to do: everything is up to date (simulated)"


def test_two_builds_from_scratch_are_byte_identical(mocked: tuple[Project, Run], tmp_path: Path) -> None:
    other = Project.clone(tmp_path / "project", tmp_path / "store")
    other.plugin("own.py", PLUGIN)
    stages = {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["own_analysis"]}
    other.blueprint(keys=MOCK, config=CONFIG, transforms=stages, steps=STEPS)
    other.succeed("build")
    for number in range(1, 5):
        name = f"config_00{number}"
        assert contents(other.folder("tiny", name)) == contents(mocked[0].folder("tiny", name))


@pytest.mark.finn
def test_finn_and_the_mock_share_nothing(empty_project: Project) -> None:
    """Otherwise the same blueprint, on one store and in one folder: from one to the other and back."""
    steps = ["step_qonnx_to_finn", "step_tidy_up"]
    project, shown = empty_project, {}
    built: dict[str, dict[str, set[str]]] = {}
    for backend in ("mock", "finn"):
        project.blueprint(keys={"backend": backend}, steps=steps)
        before = traces(project.store)
        assert project.succeed("build").steps == steps
        found = traces(project.store)
        built[backend] = {key: names for key, names in found.items() if key not in before}
        assert {key: found[key] for key in before} == before
        shown[backend] = contents(project.folder("tiny"))
    assert len(built["mock"]) == len(built["finn"]) == len(steps)
    assert shown["mock"]["final_model.onnx"] != shown["finn"]["final_model.onnx"]
    assert project.read("manifest.json", "tiny")["simulated"] is False
    assert mock.KEY.encode() not in (project.folder("tiny") / "final_model.onnx").read_bytes()
    for backend in ("mock", "finn"):
        project.blueprint(keys={"backend": backend}, steps=steps)
        run = project.succeed("build")
        assert run.steps == [] and "nothing to do" not in run.output
        assert contents(project.folder("tiny")) == shown[backend]


@pytest.mark.finn
def test_real_results_bear_no_mark(built: Project) -> None:
    for file in ("manifest.json", "result.json"):
        assert built.read(file)["simulated"] is False
    assert built.read("metrics.json")["sources"]["throughput"].endswith("(estimate)")
    assert "simulated" not in (built.folder() / "report.html").read_text().partition("</style>")[2].lower()


@pytest.mark.finn
def test_another_backend_makes_every_task_stale(project: Project) -> None:
    def stale() -> set[str]:
        lines = project.succeed("list", "--all", "-s").output.splitlines()
        return {line.split()[1] for line in lines if line.startswith("R ") and "config_001" in line}

    project.succeed("build:config_001")
    assert stale() == set()
    path = project.root / "blueprints" / "digits.yaml"
    path.write_text(path.read_text().replace("backend: finn", "backend: mock"))
    groups = ("preprocess", "finn", "metrics", "analyze", "report", "build")
    assert stale() == {f"{group}:config_001" for group in groups}


def test_fail_fails_one_step_and_the_result_says_so(empty_project: Project) -> None:
    empty_project.blueprint(keys=MOCK, steps=failing(fail=True))
    run = empty_project.fail("build")
    assert "simulated failure, as the blueprint asks the backend mock for" in run.output
    assert run.output.splitlines()[-1].endswith("(simulated)")
    result = empty_project.read("result.json", "tiny")
    assert (result["status"], result["error_category"]) == ("FAILED", "transform")
    assert result["simulated"] is True


def test_sleep_runs_into_the_timeout(empty_project: Project) -> None:
    empty_project.blueprint(keys={**MOCK, "timeout": 1}, steps=failing(sleep=60))
    empty_project.fail("build")
    result = empty_project.read("result.json", "tiny")
    assert (result["status"], result["error_category"], result["simulated"]) == ("TIMEOUT", "timeout", True)


def test_a_stage_that_the_mock_does_not_reach_is_refused(empty_project: Project) -> None:
    empty_project.blueprint(keys={**MOCK, "output_stage": "BITFILE"}, steps=["step_tidy_up"])
    output = empty_project.fail("build").output
    assert "the backend mock does not go as far as BITFILE" in output
    assert "tiny.yaml:" in output and "ESTIMATES, DATAFLOW_GRAPH, RTL" in output
