"""`on_error` of a transform: what fails stops the build, or leaves the model as it was and is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project, sha256

pytestmark = [pytest.mark.finn, pytest.mark.slow]

PLUGINS = """
from finnmake.plugins import transform
from qonnx.transformation.base import Transformation


@transform(stage="pre_proc")
class Fails(Transformation):
    def __init__(self, how="value"):
        super().__init__()
        self.how = how

    def apply(self, model):
        model.graph.node[0].name = "half done"
        if self.how == "file":
            open("project/models/absent.npy")
        if self.how == "model":
            return None, False
        raise ValueError(f"cannot do it with {object()}")
"""

MESSAGE = "transform Fails failed and was left out: ValueError: cannot do it with <object object at 0x...>"


def blueprint(project: Project, name: str, *transforms: Any, **keys: Any) -> None:
    """A blueprint of few steps, with these transforms before them."""
    stages = {"pre_proc": ["GiveUniqueNodeNames", *transforms]}
    project.blueprint(name, keys=keys, transforms=stages, steps=["step_qonnx_to_finn"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with transforms that fail; each test writes its own blueprint."""
    folder = tmp_path_factory.mktemp("passthrough")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("failing.py", PLUGINS)
    return project


def test_passthrough_goes_on_with_the_model_as_it_was(shop: Project) -> None:
    blueprint(shop, "without")
    shop.succeed("build:config_001")
    blueprint(shop, "passing", {"name": "Fails", "on_error": "passthrough"})
    run = shop.succeed("build:config_001")
    assert MESSAGE in run.output
    result = shop.read("result.json", "passing")
    assert (result["status"], result["warnings"][0]) == ("SUCCESS", MESSAGE)
    said = shop.read("artifacts/preprocessing/001_Fails.json", "passing")
    assert (said["transform"], said["on_error"]) == ("Fails", "passthrough")
    page = (shop.folder("passing") / "report.html").read_text()
    assert "transform Fails failed and was left out: ValueError: cannot do it" in page
    model = "processed_model.onnx"
    assert sha256(shop.folder("passing") / model) == sha256(shop.folder("without") / model)
    assert "Traceback" in (shop.folder("passing") / "build.log").read_text()
    # Found in the store, it is told again.
    (shop.folder("passing") / "result.json").unlink()
    assert shop.succeed("build:config_001").steps == []
    assert shop.read("result.json", "passing")["warnings"][0] == MESSAGE


@pytest.mark.parametrize("written", ["Fails", {"name": "Fails", "on_error": "fail"}])
def test_a_failure_stops_the_build_where_nothing_else_is_said(shop: Project, written: Any) -> None:
    blueprint(shop, "failing", written)
    run = shop.fail("build:config_001")
    assert "cannot do it with" in run.output
    assert shop.read("result.json", "failing")["status"] == "FAILED"


def test_a_transform_that_returns_no_model_is_passed_over(shop: Project) -> None:
    blueprint(shop, "nothing", {"name": "Fails", "parameters": {"how": "model"}, "on_error": "passthrough"})
    shop.succeed("build:config_001")
    assert "Fails failed and was left out" in shop.read("result.json", "nothing")["warnings"][0]


WRONG = {
    "parameters": (
        {"name": "Fails", "parameters": {"bits": 4}},
        "the transform 'Fails' has no parameter 'bits'",
    ),
    "a file": ({"name": "Fails", "parameters": {"how": "file"}}, "absent.npy"),
    "values": (
        {"name": "input_normalization", "parameters": {"std": 0}},
        "input_normalization.std: a value is not above 0",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_blueprint_says_wrongly_is_an_error_all_the_same(shop: Project, case: str) -> None:
    entry, message = WRONG[case]
    blueprint(shop, "wrong", {**entry, "on_error": "passthrough"})
    assert message in shop.fail("build:config_001").output


def test_the_mock_passes_over_alike(tmp_path: Path) -> None:
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    entry = {"name": "FoldConstants", "parameters": {"fail": True}}
    blueprint(project, "mocked", {**entry, "on_error": "passthrough"}, backend="mock")
    project.succeed("build:config_001")
    (warning, *_) = project.read("result.json", "mocked")["warnings"]
    assert warning.startswith("transform FoldConstants failed and was left out: simulated failure")
    blueprint(project, "mocked", entry, backend="mock")
    project.fail("build:config_001")


def test_what_was_left_out_is_told_where_the_build_fails(shop: Project) -> None:
    shop.plugin(
        "late.py",
        "from finnmake.plugins import step\n\n\n@step\ndef late(model, cfg):\n    raise ValueError('no')\n",
    )
    stages = {"pre_proc": [{"name": "Fails", "on_error": "passthrough"}]}
    shop.blueprint("failing", transforms=stages, steps=["step_qonnx_to_finn", "late"])
    shop.fail("build")
    assert shop.read("result.json", "failing")["warnings"] == [MESSAGE]
    page = (shop.folder("failing") / "failure.html").read_text()
    assert "transform Fails failed and was left out" in page
