"""Parameters of an analysis reach it."""

from __future__ import annotations

import json

import pytest

from tests.projects import Project

PLUGIN = """\
from finnmake.plugins import analysis


@analysis
def scaled(build, factor=1, metrics=0):
    return {"throughput": factor * build.metrics["throughput"], "metrics": metrics}
"""


@pytest.mark.finn
def test_an_analysis_is_given_its_parameters(empty_project: Project) -> None:
    empty_project.plugin("scaling.py", PLUGIN)
    given = {"name": "scaled", "parameters": {"factor": [2, 3], "metrics": 7}}
    empty_project.blueprint(
        config={"fpga_part": "xc7z020clg400-1", "target_fps": 1000}, transforms={"post_proc": [given]}
    )
    empty_project.succeed("build")
    for config, factor in (("config_001", 2), ("config_002", 3)):
        folder = empty_project.folder("tiny", config)
        found = json.loads((folder / "postprocessing" / "scaled.json").read_text())
        metrics = json.loads((folder / "metrics.json").read_text())
        assert found == {"throughput": factor * metrics["throughput"], "metrics": 7}


@pytest.mark.finn
def test_a_parameter_that_it_does_not_have_is_a_warning(empty_project: Project) -> None:
    empty_project.plugin("scaling.py", PLUGIN)
    given = {"name": "scaled", "parameters": {"nonsense": 3}}
    empty_project.blueprint(
        config={"fpga_part": "xc7z020clg400-1", "target_fps": 1000}, transforms={"post_proc": [given]}
    )
    assert "nonsense" in empty_project.succeed("build").output
