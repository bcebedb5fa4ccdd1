"""What stands in the outputs is what was built, whatever happened on the way."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.projects import Project, sha256

pytestmark = pytest.mark.finn

STEPS = ["step_qonnx_to_finn", "step_tidy_up"]

ANALYSIS = """
from finnmake.plugins import analysis

@analysis
def opinion(build):
    return {"opinion": "WORD"}
"""

STRIPPING = """
from finnmake.plugins import transform
from qonnx.transformation.base import Transformation

@transform(stage="pre_proc")
class StripNotes(Transformation):
    def apply(self, model):
        model.model.doc_string = ""
        return model, False
"""

GENERATING = """
import os
from pathlib import Path
from finnmake.plugins import step

@step
def generate(model, cfg):
    top = Path(os.environ["FINN_BUILD_DIR"]) / "top.v"
    top.write_text("WORD")
    model.model.doc_string = str(top)
    return model
"""


def change(project: Project, change: Callable[[onnx.ModelProto], None]) -> Path:
    """A changed copy of the digits MLP, `models/own.onnx`."""
    path = project.root / "models" / "own.onnx"
    model = onnx.load(project.root / "models" / "digits_mlp_w2a2.onnx")
    change(model)
    onnx.save(model, path)
    return path


def test_report_follows_an_edited_analysis(project: Project) -> None:
    project.plugin("opinions.py", ANALYSIS.replace("WORD", "FIRST"))
    project.blueprint(transforms={"post_proc": ["opinion"]}, steps=STEPS)
    project.succeed("build:config_001")
    report = project.folder("tiny") / "report.html"
    assert "FIRST" in report.read_text()
    project.plugin("opinions.py", ANALYSIS.replace("WORD", "SECOND"))
    project.succeed("build:config_001")
    assert "SECOND" in report.read_text()
    assert "FIRST" not in report.read_text()
    assert "nothing to do" in project.succeed("build:config_001").output


def test_model_edited_during_a_run_and_back_is_built_again(project: Project) -> None:
    other = change(project, lambda model: setattr(model.graph, "name", "OTHER")).read_bytes()
    model = change(project, lambda model: setattr(model.graph, "name", "FIRST"))
    first = model.read_bytes()
    project.blueprint(keys={"model": "../models/own.onnx"}, steps=STEPS)
    with project.start("build") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("loading"):
                model.write_bytes(other)
    model.write_bytes(first)
    project.succeed("build")
    assert b"OTHER" not in (project.folder("tiny") / "final_model.onnx").read_bytes()
    assert project.read("manifest.json", "tiny")["model"]["sha256"] == sha256(model)


def test_manifest_names_the_model_as_it_is(project: Project) -> None:
    project.plugin("stripping.py", STRIPPING)
    project.blueprint(
        keys={"model": "../models/own.onnx"}, transforms={"pre_proc": ["StripNotes"]}, steps=STEPS
    )
    change(project, lambda model: setattr(model, "doc_string", "one"))
    project.succeed("build")
    model = change(project, lambda model: setattr(model, "doc_string", "two"))
    project.succeed("build")
    manifest = project.read("manifest.json", "tiny")
    assert manifest["model"]["sha256"] == sha256(model)
    shutil.rmtree(project.root / "builds")
    project.succeed("build")
    assert project.read("manifest.json", "tiny") == manifest


def test_generated_code_is_that_of_the_model(project: Project) -> None:
    project.blueprint(steps=["step_qonnx_to_finn", "generate"])
    for word in ("FIRST", "SECOND", "FIRST"):
        project.plugin("generating.py", GENERATING.replace("WORD", word))
        project.succeed("build")
        top = Path(onnx.load(project.folder("tiny") / "final_model.onnx").doc_string)
        assert top.read_text() == word
    top.write_text("touched")
    project.succeed("build")
    assert top.read_text() == "FIRST"
    shutil.rmtree(top.parent)
    shutil.rmtree(project.root / "builds")
    project.succeed("build")
    assert top.read_text() == "FIRST"
    assert "nothing to do" in project.succeed("build").output


def test_large_outputs_that_share_a_blob_stay_up_to_date(project: Project) -> None:
    change(project, lambda model: model.metadata_props.add(key="pad", value="x" * 1_500_000))
    project.blueprint(
        keys={"model": "../models/own.onnx"},
        config={"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": [5.0, 10.0]},
        steps=STEPS,
    )
    project.succeed("build")
    assert "nothing to do" in project.succeed("build").output
    first, second = (project.folder("tiny", f"config_00{number}") / "final_model.onnx" for number in (1, 2))
    assert sha256(first) == sha256(second)
    os.chmod(first, 0o644)
    first.write_bytes(b"touched")
    project.succeed("build")
    assert sha256(first) == sha256(second) == project.read("manifest.json", "tiny")["steps"][-1]["output"]


def test_config_json_follows_the_blueprint(project: Project) -> None:
    project.blueprint(config={"fpga_part": ["xc7z020clg400-1"]}, steps=STEPS)
    project.succeed("build:config_001")
    parts = ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"]
    project.blueprint(keys={"timeout": 100}, config={"fpga_part": parts}, steps=STEPS)
    assert not project.succeed("build").steps
    config = project.read("config.json", "tiny")
    assert config["total_combinations"] == 2
    assert config["global_config"]["timeout_seconds"] == 100
