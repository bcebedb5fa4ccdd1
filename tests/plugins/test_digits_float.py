"""`blueprints/digits_float.yaml` on real FINN: the float network, quantised, keeps its accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.projects import REPORTS, REPOSITORY, Project

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: Configuration -> bits of weights and activations, and what the accuracy may differ by from the float one.
CASES = {"config_001": (4, 0.05), "config_004": (8, 0.01)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("digits_float")
    made = Project.clone(folder / "project", folder / "store")
    made.succeed("blueprint=digits_float", *(f"build:{name}" for name in CASES))
    return made


@pytest.fixture(scope="module")
def trained() -> float:
    """The float network's accuracy, by the training script."""
    records = json.loads((REPOSITORY / "models" / "digits_accuracy.json").read_text())
    accuracy: float = records["digits_mlp_float.onnx"]["top1"]
    return accuracy


@pytest.mark.parametrize("name", CASES)
def test_accuracy_is_kept_after_every_step(name: str, project: Project, trained: float) -> None:
    _, points = CASES[name]
    result = project.read("result.json", "digits_float", name)
    assert result["status"] == "SUCCESS"
    models = project.read("postprocessing/accuracy_validation.json", "digits_float", name)["models"]
    assert models[0]["top1"] == trained
    assert len(models) > 10
    for model in models:
        assert model["not_executable"] is None, model
        assert abs(model["top1"] - trained) <= points, model
    assert abs(result["metrics"]["accuracy"] - trained) <= points


@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_hardware_of_the_asked_width_and_the_class_is_chosen_there(
    name: str, project: Project
) -> None:
    bits, _ = CASES[name]
    folder = project.folder("digits_float", name)
    layers = onnx.load(folder / "final_model.onnx").graph.node
    assert [layer.op_type.split("_")[0] for layer in layers] == ["MVAU"] * 3 + ["LabelSelect"]
    for layer in layers[:3]:
        assert attribute(layer, "weightDataType") == f"INT{bits}"
    kinds = [attribute(layer, "inputDataType") for layer in layers]
    assert kinds == ["UINT8", f"UINT{bits}", f"UINT{bits}", "INT8"]
    reports = {path.name for path in (folder / "artifacts" / "report").iterdir()}
    assert reports >= REPORTS


def attribute(node: onnx.NodeProto, name: str) -> str:
    (found,) = (each for each in node.attribute if each.name == name)
    return found.s.decode()


def test_a_data_file_is_an_input_of_the_step(project: Project, tmp_path: Path) -> None:
    data = project.root / "models" / "digits_calibration.npz"
    kept = data.read_bytes()
    data.unlink()
    run = project.fail("blueprint=digits_float", "build:config_001")
    assert "digits_calibration.npz cannot be read: No such file or directory" in run.output
    data.write_bytes(kept)
    assert project.succeed("blueprint=digits_float", "build:config_001").steps == []
