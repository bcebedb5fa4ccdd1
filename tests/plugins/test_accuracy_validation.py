"""Every model of the flow classifies the digits as the one that was trained, or the change is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.plugins import Build
from finnmake.plugins.builtin.accuracy import accuracy_validation
from tests.plugins.real_flow import CNN, MLP, REPOSITORY, STEPS, Step, build, changed

pytestmark = pytest.mark.finn

DATA = "models/digits_heldout.npz"

FIGURES = json.loads((REPOSITORY / "models" / "digits_accuracy.json").read_text())


@pytest.fixture(scope="module", params=[MLP, CNN], ids=lambda path: path.stem)
def flow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Build]:
    """A digits model after FINN's steps, with the code of its layers written."""
    steps = (*STEPS, "step_hw_codegen")
    made = build(tmp_path_factory.mktemp("flow"), request.param, steps, target_fps=100_000)
    return request.param.name, made


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The MLP up to its dataflow partition."""
    return build(tmp_path_factory.mktemp("short"), MLP, STEPS[:6])


def broken_weight(model: Any, config: Any) -> Any:
    """A step that loses the weights of one class."""
    node = [node for node in model.graph.node if node.op_type in ("MVAU", "MatMul")][-1]
    weights = model.get_initializer(node.input[1]).copy()
    weights[:, 7] = 0
    model.set_initializer(node.input[1], weights)
    return model


def test_all_models_reach_the_figure_of_the_training_script(flow: tuple[str, Build]) -> None:
    name, made = flow
    found = accuracy_validation(made, DATA)
    names = [
        "original",
        "processed",
        *(f"{at:03}_{step}" for at, step in enumerate((*STEPS, "step_hw_codegen"))),
    ]
    assert [row["model"] for row in found["models"]] == names
    for row in found["models"]:
        assert row["correct"] == FIGURES[name]["correct"], row
        assert row["top1"] == FIGURES[name]["top1"], row
        assert row["not_executable"] is None
        assert row["changed_predictions"] in ((None, 0) if row["model"] == "original" else (0,))
        assert row["changed_outputs"] in ((None, 0) if row["model"] == "original" else (0,))
    assert found["accuracy"] == FIGURES[name]["top1"]
    assert found["images"] == FIGURES[name]["images"]
    assert found["first_change"] is None
    assert found["warnings"] == []
    json.dumps(found, allow_nan=False)


def test_a_broken_weight_is_named_by_its_step(tmp_path: Path) -> None:
    steps: list[Step] = [*STEPS[:3], ("lose_a_class", broken_weight), *STEPS[3:6]]
    found = accuracy_validation(build(tmp_path, MLP, steps), DATA)
    change = found["first_change"]
    assert change["after"] == ["003_lose_a_class"]
    assert change["top1_before"] == FIGURES[MLP.name]["top1"]
    assert change["top1_after"] < 0.95
    assert change["predictions"] > 20
    assert found["accuracy"] == change["top1_after"]
    (warning,) = found["warnings"]
    assert warning.startswith("predictions change after lose_a_class: for ")
    changes = {row["model"]: row["changed_predictions"] for row in found["models"]}
    assert [name for name, count in changes.items() if count] == ["003_lose_a_class"]


def test_a_broken_weight_of_a_specialised_layer_is_named_too(tmp_path: Path) -> None:
    def late(model: Any, config: Any) -> Any:
        (node,) = [node for node in model.graph.node if node.name == "MVAU_hls_2"]
        model.set_initializer(node.input[1], -model.get_initializer(node.input[1]))
        return model

    made = build(tmp_path, MLP, [*STEPS[:7], ("turn_round", late)])
    assert accuracy_validation(made, DATA, limit=50)["first_change"]["after"] == ["007_turn_round"]


def test_outputs_that_change_no_prediction_are_counted(tmp_path: Path) -> None:
    def doubled(model: Any, config: Any) -> Any:
        name = model.graph.node[-1].input[1]
        model.set_initializer(name, 2 * model.get_initializer(name))
        return model

    made = build(tmp_path, MLP, [*STEPS[:3], ("double", doubled)])
    found = accuracy_validation(made, DATA, limit=40)
    assert found["models"][-1]["changed_outputs"] == 40
    assert found["models"][-1]["changed_predictions"] == 0
    assert found["first_change"] is None


def test_ranks_in_hardware_are_compared_with_scores(tmp_path: Path) -> None:
    def ranked(model: Any, config: Any) -> Any:
        from qonnx.transformation.insert_topk import InsertTopK

        return model.transform(InsertTopK(k=1))

    found = accuracy_validation(build(tmp_path, MLP, [("InsertTopK", ranked), *STEPS]), DATA, limit=60)
    assert {row["changed_predictions"] for row in found["models"][1:]} == {0}
    rows = {row["model"]: row for row in found["models"]}
    assert rows["000_InsertTopK"]["changed_outputs"] is None
    assert rows["004_step_convert_to_hw"]["changed_outputs"] == 0


def test_without_the_model_around_it_the_accelerator_runs_alone(tmp_path: Path) -> None:
    made = build(tmp_path, CNN, STEPS[:7], save_intermediate_models=False)
    found = accuracy_validation(made, DATA, limit=30)
    last = found["models"][-1]
    assert "FINN has kept no dataflow_parent.onnx" in last["note"]
    assert last["changed_predictions"] == 0


def test_equal_models_run_once(short: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finnmake.plugins.builtin import accuracy

    ran: list[str] = []
    answers = accuracy._answers

    def counted(network: Any, name: str, *rest: Any) -> Any:
        ran.append(name)
        return answers(network, name, *rest)

    monkeypatch.setattr(accuracy, "_answers", counted)
    found = accuracy_validation(short, DATA, limit=5)
    different = {path.read_bytes() for path in short.models.rglob("*.onnx")}
    assert len(ran) == len(different) < len(found["models"])


def test_what_only_vivado_can_run_is_told_and_no_failure(tmp_path: Path) -> None:
    def with_dma(model: Any, config: Any) -> Any:
        first, out = model.graph.node[0], "from_memory"
        source = model.graph.input[0].name
        model.graph.value_info.append(helper.make_tensor_value_info(out, 1, model.get_tensor_shape(source)))
        node = helper.make_node(
            "IODMA_hls", [source], [out], name="IODMA_hls_0", domain="finn.custom_op.fpgadataflow.hls"
        )
        first.input[0] = out
        model.graph.node.insert(0, node)
        return model

    made = build(tmp_path, MLP, [*STEPS[:7], ("insert_dma", with_dma)])
    found = accuracy_validation(made, DATA, limit=20)
    last = found["models"][-1]
    assert last["correct"] is None
    assert last["not_executable"] == (
        "FINN runs these layers in simulation alone, which needs Vivado: IODMA_hls (IODMA_hls_0)"
    )
    assert found["accuracy"] == found["models"][-2]["top1"] is not None
    assert found["accuracy_of"] == found["models"][-2]["model"] != last["model"]
    assert found["first_change"] is None
    assert found["warnings"] == [
        "the accuracy is not that of the final model, it is that after step_specialize_layers: "
        + last["not_executable"]
    ]


def half_weights(model: Any, config: Any) -> Any:
    """A step after which weights are not what the model says they are."""
    node = [node for node in model.graph.node if node.op_type == "MatMul"][-1]
    assert model.get_tensor_datatype(node.input[1]).name == "INT2"
    model.set_initializer(node.input[1], model.get_initializer(node.input[1]) * 0.3 + 0.25)
    return model


def narrow_weights(model: Any, config: Any) -> Any:
    """A step after which a product is of matrices that do not go together."""
    node = [node for node in model.graph.node if node.op_type == "MatMul"][-1]
    model.set_initializer(node.input[1], model.get_initializer(node.input[1])[:-1])
    return model


@pytest.mark.parametrize(
    ("step", "reason"), [(half_weights, "is annotated as INT2 and is not whole"), (narrow_weights, "MatMul")]
)
def test_a_step_that_leaves_a_model_at_odds_with_itself_is_named(
    tmp_path: Path, step: Any, reason: str
) -> None:
    found = accuracy_validation(build(tmp_path, MLP, [*STEPS[:3], ("spoil", step)]), DATA, limit=40)
    assert found["first_change"]["after"] == ["003_spoil"]
    assert found["first_change"]["top1_before"] == found["models"][0]["top1"] > 0.9
    assert found["first_change"]["top1_after"] is None
    assert reason in found["first_change"]["reason"]
    assert (found["accuracy"], found["accuracy_of"]) == (None, None)
    named, final = found["warnings"]
    assert named.startswith("the model is at odds with itself after spoil: ") and reason in named
    assert final.startswith("the accuracy is not that of the final model, there is none: ")
    json.dumps(found, allow_nan=False)


def test_a_model_that_nothing_here_runs_has_no_accuracy(tmp_path: Path) -> None:
    def unknown(model: Any, config: Any) -> Any:
        model.graph.node[0].domain = "somebody.else"
        return model

    found = accuracy_validation(build(tmp_path, MLP, [*STEPS[:3], ("strange", unknown)]), DATA, limit=40)
    assert (found["accuracy"], found["first_change"]) == (None, None)
    (warning,) = found["warnings"]
    assert "there is none: nothing runs" in warning


def test_a_change_from_the_original_names_it(short: Build, tmp_path: Path) -> None:
    import shutil

    from qonnx.core.modelwrapper import ModelWrapper

    models = tmp_path / "models"
    shutil.copytree(short.models, models)
    model = ModelWrapper(str(models / "original.onnx"))
    model.graph.node[0].domain = "somebody.else"
    for name in ("original.onnx", "processed.onnx"):
        model.save(str(models / name))
    broken = ModelWrapper(str(models / "after" / "002_step_streamline.onnx"))
    broken_weight(broken, None).save(str(models / "after" / "003_late.onnx"))
    for name in ("000_step_qonnx_to_finn", "001_step_tidy_up", "002_step_streamline"):
        shutil.copyfile(models / "original.onnx", models / "after" / f"{name}.onnx")
    found = accuracy_validation(changed(short, models=models), DATA, limit=80)
    assert found["models"][0]["model"] == "original"
    assert not any("or  or" in warning for warning in found["warnings"])


def test_before_a_normalization_models_get_images_of_their_own(tmp_path: Path) -> None:
    """The digits at 16 times what the model was trained on."""
    from finnmake.plugins.builtin.normalization import input_normalization

    def normalised(model: Any, config: Any) -> Any:
        return model.transform(input_normalization(scale=1 / 16))

    def tidied(model: Any, config: Any) -> Any:
        model.set_metadata_prop("tidied", "yes")
        return model

    with np.load(REPOSITORY / DATA) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    np.savez(tmp_path / "both.npz", raw=images.astype(np.float32) * 16, images=images, labels=labels)
    steps: list[Step] = [("tidied", tidied), ("input_normalization", normalised), STEPS[0]]
    made = changed(build(tmp_path / "flow", MLP, steps), project=tmp_path)
    found = accuracy_validation(made, "both.npz", images="raw", original_images="images")
    assert {row["top1"] for row in found["models"]} == {FIGURES[MLP.name]["top1"]}
    assert found["accuracy"] == FIGURES[MLP.name]["top1"] and found["first_change"] is None
    confused = accuracy_validation(made, "both.npz", images="images")
    assert confused["accuracy"] < 0.5


def test_a_change_behind_models_that_cannot_run_is_put_down_to_all_of_them(
    short: Build, tmp_path: Path
) -> None:
    import shutil

    from qonnx.core.modelwrapper import ModelWrapper

    models = tmp_path / "models"
    shutil.copytree(short.models, models)
    unknown, broken = models / "after" / "006_strange.onnx", models / "after" / "007_late.onnx"
    model = ModelWrapper(str(models / "after" / "002_step_streamline.onnx"))
    broken_weight(model, None).save(str(broken))
    model.graph.node[0].domain = "somebody.else"
    model.save(str(unknown))
    found = accuracy_validation(changed(short, models=models), DATA, limit=80)
    assert found["first_change"]["after"] == ["006_strange", "007_late"]
    assert "after strange or late" in found["warnings"][0]


def test_images_of_another_size_fit_no_model(short: Build, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=np.zeros((3, 5, 5)), labels=np.zeros(3))
    with pytest.raises(FinnmakeError, match=r"no model can be run on other\.npz: an image has the shape 5x5"):
        accuracy_validation(changed(short, project=tmp_path), "other.npz")


def test_a_label_that_no_output_stands_for_is_told(short: Build, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=np.zeros((2, 64)), labels=np.array([3, 10]))
    with pytest.raises(FinnmakeError, match="there are labels up to 10, and 10 outputs"):
        accuracy_validation(changed(short, project=tmp_path), "other.npz")


def test_a_wrong_parameter_names_itself(short: Build) -> None:
    with pytest.raises(BlueprintError, match="data: there is no file nowhere"):
        accuracy_validation(short, "nowhere.npz")
