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


FAILING = """\
from finnmake.plugins import analysis


@analysis
def hasty(build):
    print("hello from hasty")
    return {"ratio": 1 / 0}
"""


@pytest.mark.finn
def test_a_failing_analysis_is_told_in_its_own_words_alone(empty_project: Project) -> None:
    """No tip of FINN's for a division of the user's; its log is what it printed, not the whole build's."""
    empty_project.plugin("failing.py", FAILING)
    empty_project.blueprint(
        config={"fpga_part": "xc7z020clg400-1"},
        steps=["step_qonnx_to_finn", "step_tidy_up"],
        transforms={"post_proc": ["hasty"]},
    )
    empty_project.succeed("build")
    told = "postprocessing: analysis hasty: plugins/failing.py:7: ZeroDivisionError: division by zero"
    assert told in empty_project.read("result.json", "tiny")["warnings"]
    log = (empty_project.folder("tiny") / "postprocessing" / "hasty.log").read_text()
    assert "hello from hasty" in log and "step_tidy_up" not in log
    assert "Failed: hasty" in (empty_project.folder("tiny") / "report.html").read_text()
