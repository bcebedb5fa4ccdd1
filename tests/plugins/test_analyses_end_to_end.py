"""The analyses that come with finnmake, in a build: their files, their warnings, and when they run again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.projects import Project

pytestmark = [pytest.mark.finn, pytest.mark.slow]

DATA = "models/digits_heldout.npz"

#: A step that loses the weights of one class, in whatever the model is made of at that point.
PLUGIN = """\
from finnmake.plugins import step


@step
def lose_a_class(model, cfg):
    weights = model.graph.node[-1].input[1]
    kept = model.get_initializer(weights).copy()
    kept[:, 7] = 0
    model.set_initializer(weights, kept)
    return model
"""

ANALYSES = [
    "performance_analysis",
    "resource_analysis",
    {"name": "accuracy_validation", "parameters": {"data": DATA}},
    {"name": "roofline", "parameters": {"memory_bandwidth_gb_s": 2.1}},
    "verify_ops",
]

CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 1_000_000_000}


def results(project: Project, *names: str) -> list[dict]:
    return [project.read(f"postprocessing/{name}.json", "tiny") for name in names]


def test_the_analyses_of_a_build(empty_project: Project) -> None:
    empty_project.plugin("loss.py", PLUGIN)
    steps = [{"after": "step_streamline", "insert": "lose_a_class"}]
    empty_project.blueprint(config=CONFIG, transforms={"post_proc": ANALYSES}, steps=steps)
    first = empty_project.succeed("build")

    performance, resources, accuracy, roof, ops = results(
        empty_project, *(each if isinstance(each, str) else each["name"] for each in ANALYSES)
    )
    metrics = empty_project.read("metrics.json", "tiny")
    assert performance["measured"]["throughput"] == metrics["throughput"]
    assert performance["target"]["met"] is False
    assert resources["device"]["name"] == "xc7z020"
    assert accuracy["first_change"]["after"] == ["003_lose_a_class"]
    assert accuracy["accuracy"] == accuracy["first_change"]["top1_after"] < 0.95
    assert roof["bound"] == "memory"
    assert ops["ok"] is True

    told = empty_project.read("result.json", "tiny")["warnings"]
    assert [warning.partition(":")[0] for warning in told] == ["performance_analysis", "accuracy_validation"]
    assert "after lose_a_class" in told[1]
    assert f"warning: {told[1]}" in first.output
    page = (empty_project.folder("tiny") / "report.html").read_text()
    assert all(name in page for name in ("performance_analysis", "accuracy_validation", "lose_a_class"))

    assert empty_project.succeed("build").steps == []
    file = empty_project.root / DATA
    with np.load(file) as arrays:
        np.savez(file, images=arrays["images"][:100], labels=arrays["labels"][:100])
    assert empty_project.succeed("build").steps == ["accuracy_validation"]
    assert results(empty_project, "accuracy_validation")[0]["images"] == 100


def test_the_metric_of_an_analysis_follows_it_whatever_the_page_shows(empty_project: Project) -> None:
    """The page names no analysis, so that nothing but the result itself hangs on their files."""
    (empty_project.root / "templates/report.html.j2").write_text("{{ config_id }}")
    wanted = [{"name": "accuracy_validation", "parameters": {"data": DATA}}]
    empty_project.blueprint(config=CONFIG, transforms={"post_proc": wanted}, steps=["step_qonnx_to_finn"])
    empty_project.succeed("build")
    before = empty_project.read("result.json", "tiny")["metrics"]["accuracy"]
    file = empty_project.root / DATA
    with np.load(file) as arrays:
        np.savez(file, images=arrays["images"], labels=(arrays["labels"] + 1) % 10)
    empty_project.succeed("build")
    after = empty_project.read("result.json", "tiny")["metrics"]["accuracy"]
    assert after == results(empty_project, "accuracy_validation")[0]["accuracy"] < 0.5 < before
    assert "nothing to do" in empty_project.succeed("build").output


def test_data_that_is_not_there_is_a_warning_that_says_so(empty_project: Project) -> None:
    missing = {"name": "accuracy_validation", "parameters": {"data": "models/none.npz"}}
    empty_project.blueprint(config=CONFIG, transforms={"post_proc": [missing, "verify_ops"]})
    output = empty_project.succeed("build").output
    assert (
        "analysis accuracy_validation: data: there is no file models/none.npz "
        "-> Write its path as seen from the project's folder."
    ) in output
    folder = empty_project.folder("tiny")
    assert not (folder / "postprocessing" / "accuracy_validation.json").exists()
    assert json.loads((folder / "result.json").read_text())["status"] == "SUCCESS"
    assert results(empty_project, "verify_ops")[0]["ok"] is True


OWN = """\
import numpy

from finnmake.plugins import analysis


@analysis
def ordered(build):
    return {"zeta": "µs", "alpha": [1, 2], "warnings": ["look here", 7]}


@analysis
def short(build):
    return {"warnings": "look there"}


@analysis
def wrong(build):
    return {"warnings": {"a": 1}}


@analysis
def endless(build):
    return {"figure": float("inf")}


@analysis
def foreign(build):
    return {"figure": numpy.float32(1)}
"""


def test_results_keep_their_order_and_are_json(empty_project: Project) -> None:
    empty_project.plugin("own.py", OWN)
    names = ["ordered", "endless", "foreign", "short", "wrong"]
    empty_project.blueprint(config=CONFIG, transforms={"post_proc": names}, steps=["step_qonnx_to_finn"])
    output = empty_project.succeed("build").output
    assert list(results(empty_project, "ordered")[0]) == ["zeta", "alpha", "warnings"]
    assert "warning: ordered: look here" in output and "warning: ordered: 7" in output
    assert "warning: short: look there" in output
    assert 'warning: wrong: its `warnings` are no list of texts: {"a": 1}' in output
    assert "endless: the analysis returned what JSON cannot hold: Out of range float" in output
    assert "foreign: the analysis returned what JSON cannot hold: Object of type float32" in output
    folder = empty_project.folder("tiny") / "postprocessing"
    made = ["ordered.json", "short.json", "warnings.json", "wrong.json"]
    assert sorted(path.name for path in folder.glob("*.json")) == made
