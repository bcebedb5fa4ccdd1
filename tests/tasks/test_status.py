"""`doit status` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.projects import Project
from tests.tasks.two_clocks import STEPS, clocked, made, stamps


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two configurations, built on the mock."""
    return made(tmp_path, "mock")


def states(project: Project, *arguments: str) -> dict[str, str]:
    told = json.loads(project.succeed("status", "--json", *arguments).output)
    return {row["config_id"]: row["state"] for row in told["configurations"]}


def test_a_life(project: Project) -> None:
    before = stamps(project.root)
    output = project.succeed("status").output
    assert stamps(project.root) == before
    assert output.startswith("2 configurations: 2 built\nconfig_001  built  just now  ")
    assert output.count("(simulated)") == 2
    assert states(project) == {"config_001": "built", "config_002": "built"}

    clocked(project, [4.0, 10.0])
    assert states(project) == {"config_001": "stale", "config_002": "built"}
    assert "from preprocess on" in project.succeed("status").output

    clocked(project, [5.0, 10.0, 9.0])
    assert states(project)["config_003"] == "never"
    (project.folder("tiny", "config_003")).mkdir()
    assert states(project, "config_003") == {"config_003": "not built"}

    shutil.rmtree(project.root / "builds")
    assert states(project) == dict.fromkeys(("config_001", "config_002", "config_003"), "never")


def test_a_build_that_failed(tmp_path: Path) -> None:
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    steps = [*STEPS[:2], "step_generate_estimate_reports"]
    project.plugin("ticking.py", "")
    project.blueprint(keys={"backend": "mock"}, steps=steps)
    path = project.folder("tiny") / "result.json"
    project.succeed("run", "build")
    for status, state in (("FAILED", "failed"), ("TIMEOUT", "timeout"), ("SKIPPED", "skipped")):
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "status": status, "error_message": "it broke\nbadly"}))
        assert states(project) == {"config_001": state}
        assert "it broke" in project.succeed("status").output
        assert "badly" not in project.succeed("status").output
    path.write_text("{")
    assert states(project) == {"config_001": "not built"}
