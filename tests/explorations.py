"""Blueprints for the backend mock and the tables that `doit explore` leaves: what its tests stand on."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.projects import Project

PART = "xc7z020clg400-1"

#: Two steps that read nothing, one that reads clock and rate, and the one that writes the figures.
STEPS = [
    "step_tidy_up",
    "step_streamline",
    "step_target_fps_parallelization",
    "step_generate_estimate_reports",
]

#: Columns that tell how a run went, not what it came to.
RUN = ("duration_seconds",)


def fields(**axes: Any) -> dict[str, Any]:
    """Two clocks and two rates on one device, unless other values are given."""
    return {
        "fpga_part": PART,
        "synth_clk_period_ns": [5.0, 10.0],
        "target_fps": [1000, 100000],
        **axes,
    }


def mock_space(
    project: Project,
    *,
    config: Mapping[str, Any] | None = None,
    steps: Sequence[Any] = STEPS,
    keys: Mapping[str, Any] | None = None,
    **design_space: Any,
) -> Path:
    """Write the blueprint `tiny` for the backend mock; four configurations unless `config` says otherwise."""
    return project.blueprint(
        keys={"backend": "mock", **(keys or {})}, config=config or fields(), steps=list(steps), **design_space
    )


def built_space(folder: Path) -> Project:
    """A new project below a folder, with these four configurations built."""
    project = Project.clone(folder / "project", folder / "store")
    mock_space(project)
    project.succeed("build")
    return project


def folder(project: Project, name: str = "tiny") -> Path:
    """Where an exploration leaves its tables."""
    return project.root / "builds" / name / "exploration"


def record(project: Project, name: str = "tiny") -> dict[str, Any]:
    """results.json."""
    found: dict[str, Any] = json.loads((folder(project, name) / "results.json").read_text())
    return found


def table(project: Project, name: str = "tiny", without: Sequence[str] = RUN) -> list[dict[str, str]]:
    """The rows of results.csv."""
    with (folder(project, name) / "results.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key not in without} for row in csv.DictReader(file)
        ]


def statuses(project: Project, name: str = "tiny") -> dict[str, str]:
    """Configuration -> its status in results.json."""
    return {each["config_id"]: each["status"] for each in record(project, name)["results"]}


def messages(project: Project, name: str = "tiny") -> dict[str, str]:
    """Configuration -> its message in results.json, empty where all went well."""
    return {each["config_id"]: each["error_message"] or "" for each in record(project, name)["results"]}
