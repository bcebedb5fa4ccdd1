"""What is told of a model, against figures worked out by hand; and files that are no models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from finnmake.backends.model_info import read_model_info
from finnmake.errors import ModelError
from finnmake.records import ModelInfo, TensorInfo
from tests.projects import REPOSITORY, sha256

SHARED = Path(os.environ.get("FINNMAKE_SHARED_MODELS", REPOSITORY.parent / "shared" / "models"))

MLP = REPOSITORY / "models" / "digits_mlp_w2a2.onnx"
CNN = REPOSITORY / "models" / "digits_cnn_w4a4.onnx"


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not here")
    return SHARED / name


def test_the_digits_mlp() -> None:
    weights = 64 * 64 + 64 * 32 + 32 * 10
    assert read_model_info(MLP) == ModelInfo(
        path=str(MLP),
        inputs=(TensorInfo("global_in", (1, 64), "UINT8"),),
        outputs=(TensorInfo("global_out", (1, 10), "INT32"),),
        operators={"BatchNormalization": 2, "MatMul": 3, "Quant": 6, "Relu": 2},
        quantisation={"weights": {"INT2": 3}, "activations": {"UINT2": 2, "UINT5": 1}},
        parameters=weights,
        parameter_bits=2 * weights,
        macs=weights,
    )


def test_the_digits_cnn() -> None:
    info = read_model_info(CNN)
    first, second, dense = 3 * 3 * 1 * 16, 3 * 3 * 16 * 32, 32 * 10
    assert info.inputs == (TensorInfo("global_in", (1, 1, 8, 8), "UINT8"),)
    assert info.quantisation == {"weights": {"INT4": 3}, "activations": {"UINT4": 2, "UINT5": 1}}
    assert info.parameters == first + second + dense
    assert info.parameter_bits == 4 * info.parameters
    # 8x8 without padding gives 6x6, pooled to 3x3, of which one place is left.
    assert info.macs == 6 * 6 * first + 1 * second + dense
    assert info.operators["Conv"] == 2


def test_stored_weights_are_no_inputs() -> None:
    info = read_model_info(shared("tfc_2w2a.onnx"))
    weights = 784 * 64 + 64 * 64 + 64 * 64 + 64 * 10
    assert info.inputs == (TensorInfo("0", (1, 1, 28, 28), "FLOAT32"),)
    assert info.outputs == (TensorInfo("90", (1, 10), "FLOAT32"),)
    assert (info.parameters, info.parameter_bits, info.macs) == (weights, 2 * weights, weights)
    assert info.quantisation == {"weights": {"INT2": 4}, "activations": {"INT2": 4}}


def test_a_model_in_finns_form_has_thresholds_for_quantisers() -> None:
    info = read_model_info(shared("tfc_w1a1.onnx"))
    assert info.quantisation == {"weights": {"BIPOLAR": 4}, "activations": {"BIPOLAR": 4}}
    assert info.parameter_bits == info.parameters == 784 * 64 + 64 * 64 + 64 * 64 + 64 * 10


def test_a_float_model_has_float_weights(tmp_path: Path) -> None:
    info = read_model_info(written(tmp_path, [1, 3], onnx.helper.make_node("MatMul", ["x", "w"], ["y"])))
    assert info.quantisation == {"weights": {"FLOAT32": 1}, "activations": {}}
    assert (info.parameters, info.parameter_bits, info.macs) == (6, 6 * 32, 6)


def test_a_shape_that_is_not_fixed_leaves_the_work_open(tmp_path: Path) -> None:
    info = read_model_info(
        written(tmp_path, ["batch", 3], onnx.helper.make_node("MatMul", ["x", "w"], ["y"]))
    )
    assert info.inputs == (TensorInfo("x", (0, 3), "FLOAT32"),)
    assert (info.parameters, info.macs) == (6, None)


@pytest.mark.parametrize("path", [MLP, CNN], ids=lambda path: path.stem)
def test_the_record_survives_json(path: Path) -> None:
    info = read_model_info(path)
    assert ModelInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def test_nothing_is_printed_and_the_file_is_left_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    path = shared("tfc_w1a1.onnx")  # QONNX warns of its old-style domains
    before = sha256(path), path.stat().st_mtime_ns
    read_model_info(path)
    assert (sha256(path), path.stat().st_mtime_ns) == before
    assert capfd.readouterr() == ("", "")


def written(folder: Path, shape: list[int | str], node: onnx.NodeProto) -> Path:
    """A model of one node `(x, w) -> y`; w is 3x2."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, [shape[0], 2])],
        [helper.make_tensor("w", kind, [3, 2], [1.0, 0.0, -1.0, 2.0, 0.0, 0.0])],
    )
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def missing(path: Path) -> None:
    path.unlink()


def of_text(path: Path) -> None:
    path.write_text("no model at all")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, "cannot be read: No such file or directory"),
        (a_folder, "cannot be read: Is a directory"),
        (of_text, "this is not an ONNX model: Error parsing message"),
        (cut, "this is not an ONNX model: Error parsing message"),
        (empty, "the file holds no ONNX graph"),
    ],
)
def test_what_is_no_model_is_an_error(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MLP.read_bytes())
    spoil(path)
    with pytest.raises(ModelError) as caught:
        read_model_info(path)
    assert caught.value.message.startswith(words)
    assert caught.value.where.path == path
    assert caught.value.cure


def test_a_model_that_qonnx_cannot_analyse_is_an_error(tmp_path: Path) -> None:
    node = onnx.helper.make_node("MatMul", ["x", "absent"], ["y"], name="strange")
    with pytest.raises(ModelError, match="QONNX cannot analyse the model"):
        read_model_info(written(tmp_path, [1, 3], node))
