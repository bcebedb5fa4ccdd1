"""`doit diff` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.projects import Project
from tests.tasks.two_clocks import made, stamps


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two configurations with other clocks, built on the mock. Not to be changed."""
    return made(tmp_path_factory.mktemp("diff"), "mock")


def test_a_build_is_the_same_as_itself(project: Project) -> None:
    before = stamps(project.root), stamps(project.store)
    run = project.succeed("diff", "config_001", "config_001")
    assert (stamps(project.root), stamps(project.store)) == before
    assert "the same: inputs, configuration, steps, toolchain, outputs and figures\n" in run.output


def test_two_configurations(project: Project) -> None:
    run = project.run("diff", "config_001", "config_002")
    assert run.code == 1
    assert run.output.startswith("config_001 (simulated) -> config_002 (simulated)\n")
    assert "configuration\n  field synth_clk_period_ns: 5.0 -> 10.0\n" in run.output
    assert "the chains part at step " in run.output
    assert "read synth_clk_period_ns: 5.0 -> 10.0\n" in run.output
    assert "  clock_frequency (MHz)" in run.output


def test_json_of_two_configurations(project: Project) -> None:
    told = json.loads(project.run("diff", "--json", "config_001", "config_002").output)
    assert told["same"] is False
    (clock,) = (each for each in told["metrics"] if each["name"] == "clock_frequency")
    assert (clock["left"], clock["right"], clock["ratio"]) == (200.0, 100.0, 0.5)
    assert told["layers"]


def test_folders_and_manifests_of_other_clones(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(project.folder("tiny"), other)
    assert project.run("diff", "config_001", str(other)).code == 0
    assert project.run("diff", str(other / "manifest.json"), "builds/tiny/config_001").code == 0
    assert project.run("diff", "config_002", str(other)).code == 1


def test_a_manifest_alone_tells_fields_by_its_steps(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "old.json"
    shutil.copy(project.folder("tiny") / "manifest.json", copy)
    run = project.run("diff", str(copy), "config_002")
    assert run.code == 1
    assert "  field synth_clk_period_ns: 5.0 -> 10.0\n" in run.output


def test_inputs_and_toolchain_and_steps(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(project.folder("tiny"), other)
    path = other / "manifest.json"
    told = json.loads(path.read_text())
    told["inputs"]["plugins/x.py"] = "0" * 64
    told["toolchain"]["packages"]["numpy"] = "0.1"
    told["steps"].pop()
    path.unlink()
    path.write_text(json.dumps(told))
    output = project.run("diff", "config_001", str(other)).output
    assert "  file plugins/x.py: it was not there\n" in output
    assert ' -> "0.1"\n' in output
    assert ": step_generate_estimate_reports -> none\n" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "it takes two builds, not 0"),
        (("config_001",), "it takes two builds, not 1"),
        (("config_001", "config_009"), "config_009"),
        (("config_001", "nonesuch/"), "nonesuch/ has no manifest"),
        (("config_001", "pyproject.toml/x.json"), "has no manifest"),
        (("config_001", "builds/tiny/config_001/metrics.json"), "this is no manifest of a build"),
    ],
)
def test_what_cannot_be_compared(project: Project, arguments: tuple[str, ...], words: str) -> None:
    run = project.fail("diff", *arguments)
    assert run.code == 3
    assert words in run.output
    assert "  -> " in run.output
