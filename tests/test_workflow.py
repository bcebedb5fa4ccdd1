"""The workflow for users' CI: it can be read, its scripts are shell, and results are kept after a failure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
PATHS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)  # BaseLoader: `on` is no boolean
    return workflow


def steps() -> list[dict[str, Any]]:
    return [step for path in PATHS for job in load(path)["jobs"].values() for step in job["steps"]]


SCRIPTS = [step["run"] for step in steps() if "run" in step]


def test_there_is_one() -> None:
    assert [path.name for path in PATHS] == ["ci.yml"]
    assert SCRIPTS


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_it_may_read_only_and_one_run_a_branch(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "github.ref" in workflow["concurrency"]["group"]
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_actions_have_a_major_version() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z/-]+@v\d+", name) for name in used)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_shell(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_holds_no_expression(script: str) -> None:
    """What GitHub puts into a script is not quoted by anyone."""
    assert "${{" not in script


def test_the_store_is_saved_for_the_toolchain_that_it_was_restored_for() -> None:
    restored, saved = (
        next(step["with"] for step in steps() if step.get("name") == f"{verb} the store")
        for verb in ("Restore", "Save")
    )
    assert restored["key"] == saved["key"]
    assert restored["path"] == saved["path"]
    assert restored["key"].startswith(restored["restore-keys"])
    toolchain = next(step for step in steps() if step.get("id") == "toolchain")
    assert "steps.toolchain.outputs.digest" in restored["restore-keys"]
    assert "'requirements.lock', 'docker/image.lock.json'" in toolchain["env"]["DIGEST"]


def test_files_are_hashed_in_steps_only() -> None:
    """Elsewhere GitHub knows no hashFiles."""
    everywhere = sum(path.read_text().count("hashFiles(") for path in PATHS)
    assert everywhere == sum(str(step).count("hashFiles(") for step in steps())


def test_reports_are_kept_after_a_failure() -> None:
    upload = next(step for step in steps() if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "${{ !cancelled() }}"
    assert {"builds/**/report.html", "builds/**/manifest.json", "builds/**/result.json"} <= set(
        upload["with"]["path"].split()
    )
