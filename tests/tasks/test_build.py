"""`doit build:config_001`: what it leaves, and that the second run does nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.projects import REPORTS, Project, contents, sha256

pytestmark = pytest.mark.finn

FILES = (
    "artifacts",
    "build.log",
    "config.json",
    "final_model.onnx",
    "manifest.json",
    "metrics.json",
    "model.onnx",
    "postprocessing",
    "processed_model.onnx",
    "report.html",
    "result.json",
)


def test_build_leaves_every_file(built: Project) -> None:
    found = os.listdir(built.folder())
    assert set(FILES) <= set(found)
    assert not [name for name in found if name.startswith(".")]


def test_model_is_the_input_and_outputs_are_read_only(built: Project) -> None:
    folder = built.folder()
    assert sha256(folder / "model.onnx") == sha256(built.root / "models/digits_mlp_w2a2.onnx")
    assert not [
        name
        for name in ("model.onnx", "processed_model.onnx", "final_model.onnx")
        if (folder / name).stat().st_mode & 0o222
    ]


def test_reports_have_finns_names(built: Project) -> None:
    assert set(os.listdir(built.folder() / "artifacts" / "report")) == REPORTS


def test_result_says_success(built: Project) -> None:
    result = built.read("result.json")
    assert (result["config_id"], result["status"]) == ("config_001", "SUCCESS")
    assert result["error_message"] is None
    assert result["duration_seconds"] == pytest.approx(result["end_time"] - result["start_time"])
    assert result["metrics"]["throughput"] == built.read("metrics.json")["throughput"]
    for place in (*result["artifacts"].values(), *result["logs"].values()):
        assert (built.folder() / place).exists()


def test_metrics_come_from_finns_reports(built: Project) -> None:
    metrics = built.read("metrics.json")
    performance = built.read("artifacts/report/estimate_network_performance.json")
    resources = built.read("artifacts/report/estimate_layer_resources.json")["total"]
    assert metrics["throughput"] == performance["estimated_throughput_fps"]
    assert metrics["latency"] == pytest.approx(performance["estimated_latency_ns"] / 1000)
    assert metrics["clock_frequency"] == 200.0
    # XC7Z020: 53,200 LUTs and 140 block RAMs of 36 Kib (AMD DS190, table 1)
    assert metrics["lut_utilization"] == pytest.approx(resources["LUT"] / 53200)
    assert metrics["bram_utilization"] == pytest.approx(resources["BRAM_18K"] / 280)
    assert metrics["dsp_utilization"] == 0.0
    assert metrics["uram_utilization"] is None or metrics["uram_utilization"] == 0.0
    assert metrics["total_power"] is None
    assert metrics["accuracy"] is None
    assert metrics["raw_metrics"]


def test_manifest_tells_where_everything_came_from(built: Project) -> None:
    manifest = built.read("manifest.json")
    folder = built.folder()
    assert [step["name"] for step in manifest["steps"]][:2] == ["GiveUniqueNodeNames", "step_qonnx_to_finn"]
    assert manifest["steps"][-1]["output"] == sha256(folder / "final_model.onnx")
    assert manifest["steps"][0]["output"] == sha256(folder / "processed_model.onnx")
    assert manifest["inputs"]["models/digits_mlp_w2a2.onnx"] == sha256(folder / "model.onnx")
    assert manifest["outputs"] == contents(folder / "artifacts")
    assert all(len(step["action_key"]) == 64 for step in manifest["steps"])
    assert all(not os.path.isabs(name) for name in manifest["inputs"])
    assert manifest["toolchain"]["packages"]["qonnx"] == "1.0.0"


def test_manifest_names_the_fields_that_each_step_read(built: Project) -> None:
    fields = {step["name"]: step["fields"] for step in built.read("manifest.json")["steps"]}
    readers = [name for name, read in fields.items() if "synth_clk_period_ns" in read]
    assert readers == ["step_target_fps_parallelization", "step_generate_estimate_reports"]
    assert fields["step_specialize_layers"]["fpga_part"] == ["xc7z020clg400-1"]


def test_no_output_names_the_folder_of_the_build(built: Project) -> None:
    places = (str(built.root).encode(), str(built.store).encode())
    found = [
        name
        for name in contents(built.folder(), without=())
        if any(place in (built.folder() / name).read_bytes() for place in places)
    ]
    assert found == []


def test_second_run_does_nothing(project: Project) -> None:
    # copying gave the files new signatures: this run looks at them again
    project.succeed("build:config_001")
    before = {name: (project.folder() / name).stat() for name in FILES}
    run = project.succeed("build:config_001")
    assert run.output.strip() == "nothing to do: everything is up to date"
    after = {name: (project.folder() / name).stat() for name in FILES}
    assert [(name, stat.st_mtime_ns, stat.st_ino) for name, stat in before.items()] == [
        (name, stat.st_mtime_ns, stat.st_ino) for name, stat in after.items()
    ]


def test_second_clone_with_the_same_store_runs_no_step(built: Project, tmp_path: Path) -> None:
    clone = Project.clone(tmp_path / "elsewhere", built.store)
    run = clone.succeed("build:config_001")
    assert run.steps == []
    assert "loading FINN" not in run.output
    assert contents(clone.folder()) == contents(built.folder())


@pytest.mark.slow
def test_two_builds_from_scratch_are_byte_identical(built: Project, empty_project: Project) -> None:
    run = empty_project.succeed("build:config_001")
    assert "step_streamline" in run.steps
    assert contents(empty_project.folder()) == contents(built.folder())


def test_default_blueprint_differs_in_one_file_only(project: Project) -> None:
    """Outputs are replaced one by one: a file of artifacts/ that no build has any more goes."""
    stray = project.folder() / "artifacts" / "report" / "of_another_build.json"
    stray.write_text("{}")
    (project.folder() / "final_model.onnx").unlink()
    assert project.succeed("build:config_001").steps == []
    assert not stray.exists()
