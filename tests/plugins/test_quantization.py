"""`quantize_model`: what it makes of float models, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from finnmake.errors import BlueprintError
from finnmake.plugins.builtin import calibration
from finnmake.plugins.builtin.checks import TransformError
from finnmake.plugins.builtin.normalization import input_normalization
from finnmake.plugins.builtin.quantization import quantize_model
from tests.plugins.float_models import (
    MODELS,
    Array,
    convolution,
    dense,
    floats,
    model_of,
    node,
    operators,
    project,
    run,
)

__all__ = ["project"]

DATA = "data.npy"


def quantised(model: ModelWrapper, samples: Array, folder: Path, **parameters: Any) -> ModelWrapper:
    """The model, quantised to 8 bits unless the parameters say otherwise."""
    np.save(folder / DATA, samples)
    given = {"weight_bits": 8, "activation_bits": 8, "calibration": DATA, **parameters}
    return model.transform(quantize_model(**given))


def quant_of(model: ModelWrapper, layer: str, place: int) -> onnx.NodeProto:
    """The quantiser before an input of the layer of that name."""
    (found,) = (each for each in model.graph.node if each.name == layer)
    quant = model.find_producer(found.input[place])
    assert quant.op_type == "Quant"
    assert quant.domain == "qonnx.custom_op.general"
    return quant


def said_of(model: ModelWrapper, quant: onnx.NodeProto) -> tuple[float, int, int]:
    """Bits, signed and narrow of a quantiser, of which the zero-point is 0."""
    operator = getCustomOp(quant)
    assert model.get_initializer(quant.input[2]) == 0
    assert operator.get_nodeattr("rounding_mode") == "ROUND"
    bits = float(model.get_initializer(quant.input[3]))
    return bits, operator.get_nodeattr("signed"), operator.get_nodeattr("narrow")


# accuracy on real data


@pytest.fixture(scope="module")
def heldout() -> tuple[Array, Array]:
    with np.load(MODELS / "digits_heldout.npz") as data:
        return data["images"].reshape(-1, 64).astype(np.float32), data["labels"]


@pytest.mark.parametrize(
    ("bits", "points", "method"), [(8, 0.01, "max"), (4, 0.05, "mse"), (4, 0.05, "percentile")]
)
def test_the_digits_keep_their_accuracy(
    bits: int, points: float, method: str, heldout: tuple[Array, Array], project: Path
) -> None:
    images, labels = heldout
    accuracy = json.loads((MODELS / "digits_accuracy.json").read_text())["digits_mlp_float.onnx"]["top1"]
    (project / "models").symlink_to(MODELS)
    model = ModelWrapper(str(MODELS / "digits_mlp_float.onnx")).transform(
        quantize_model(bits, bits, "models/digits_calibration.npz", method=method)
    )
    top1 = np.mean(run(model, images).argmax(axis=1) == labels)
    assert abs(top1 - accuracy) <= points


# weights


@given(
    seed=st.integers(0, 1000),
    sizes=st.tuples(*[st.integers(2, 7)] * 3),
    bits=st.integers(2, 9),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_lie_on_a_grid_for_each_output_channel(
    seed: int, sizes: tuple[int, int, int], bits: int, project: Path
) -> None:
    model = quantised(dense(seed, sizes), floats(seed, 9, sizes[0]), project, weight_bits=bits)
    for layer, axis in (("MatMul_a", 1), ("Gemm_y", 0)):
        quant = quant_of(model, layer, 1)
        assert said_of(model, quant) == (bits, 1, 1)
        weights, scale = (model.get_initializer(name) for name in quant.input[:2])
        assert scale.size == scale.shape[axis] == weights.shape[axis]
        outcome = execute_onnx(
            model, {"x": np.zeros((1, sizes[0]), np.float32)}, return_full_exec_context=True
        )
        steps = outcome[quant.output[0]] / scale
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        assert np.abs(steps).max() <= 2 ** (bits - 1) - 1
        # No weight is further off than half a step, unless it is clipped.
        off = np.abs(outcome[quant.output[0]] - weights) / scale
        assert (off[np.abs(np.round(steps)) < 2 ** (bits - 1) - 1] <= 0.5 + 1e-3).all()


@given(seed=st.integers(0, 1000), sizes=st.tuples(*[st.integers(2, 7)] * 3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_many_bits_outputs_are_those_of_the_float_model(
    seed: int, sizes: tuple[int, int, int], project: Path
) -> None:
    samples = floats(seed, 30, sizes[0])
    before = dense(seed, sizes)
    wide = {"weight_bits": 16, "activation_bits": 16, "input_bits": 16, "method": "max"}
    after = quantised(before, samples, project, **wide)
    off = np.abs(run(after, samples) - run(before, samples))
    assert off.max() <= 2e-3 * max(1.0, np.abs(run(before, samples)).max())


def test_a_convolution_has_a_scale_for_each_filter(project: Path) -> None:
    model = quantised(convolution(), floats(1, 10, 2, 6, 6), project, weight_bits=4)
    for layer, filters in (("Conv_a", 4), ("Conv_d", 5)):
        quant = quant_of(model, layer, 1)
        assert model.get_initializer(quant.input[1]).shape == (filters, 1, 1, 1)
        assert said_of(model, quant) == (4, 1, 1)


# activations


def test_every_tensor_that_a_layer_takes_in_is_quantised_once(project: Path) -> None:
    samples = floats(1, 20, 2, 6, 6)
    before = convolution()
    after = quantised(before, samples, project, activation_bits=7)
    # The input, both ReLUs (the max-pool passes integers on), the mean; and three weights.
    assert operators(after).count("Quant") == 7
    assert operators(after)[:2] == ["Quant", "Quant"]
    kinds = {
        each.input[0]: said_of(after, each)
        for each in after.graph.node
        if each.op_type == "Quant" and after.get_initializer(each.input[0]) is None
    }
    assert kinds == {"x": (8, 1, 0), "b_float": (7, 0, 0), "e_float": (7, 0, 0), "f_float": (7, 0, 0)}
    exact, ours = run(before, samples), run(after, samples)
    assert np.abs(ours - exact).max() < 0.05 * np.abs(exact).max()
    assert (after.graph.input[0].name, after.graph.output[0].name) == ("x", "y")


def test_the_same_data_give_the_same_bytes(project: Path) -> None:
    samples = floats(1, 20, 6)
    first, second = (quantised(dense(), samples, project).model.SerializeToString() for _ in range(2))
    assert first == second


def test_batches_of_any_size_give_what_single_samples_give(project: Path) -> None:
    samples = floats(1, 130, 6)
    single = quantised(dense(), samples, project)
    several = quantised(dense(batch="batch"), samples, project)
    for layer in ("MatMul_a", "Gemm_y"):
        one, other = quant_of(single, layer, 0), quant_of(several, layer, 0)
        assert single.get_initializer(one.input[1]) == several.get_initializer(other.input[1])


def test_pixels_in_bytes_need_no_quantiser(project: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6)).astype(np.uint8)
    model = quantised(dense(), pixels, project)
    assert model.get_tensor_datatype("x").name == "UINT8"
    assert model.find_consumers("x")[0].op_type == "MatMul"


def test_whole_numbers_that_fit_keep_their_value(project: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 16, (20, 6))
    model = quantised(dense(), pixels, project, input_bits=5)
    quant = quant_of(model, "MatMul_a", 0)
    assert said_of(model, quant) == (5, 0, 0)
    assert model.get_initializer(quant.input[1]) == 1


@pytest.mark.parametrize(("mean", "annotated", "signed"), [(0, "UINT8", 0), (100, "INT9", 1)])
def test_normalised_pixels_are_quantised_after_it(
    mean: float, annotated: str, signed: int, project: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6)).astype(np.uint8)
    model = dense().transform(input_normalization(mean=mean, std=50))
    after = quantised(model, pixels, project, input_bits=6)
    assert after.get_tensor_datatype("x").name == annotated
    quant = quant_of(after, "MatMul_a", 0)
    assert said_of(after, quant) == (6, signed, 0)
    assert after.find_producer(quant.input[0]).op_type == "Div"


def test_output_bits_leave_integers_at_the_output(project: Path) -> None:
    samples = floats(1, 40, 6)
    after = quantised(dense(), samples, project, output_bits=6)
    last = after.find_producer("y")
    assert said_of(after, last) == (6, 1, 0)
    steps = run(after, samples) / after.get_initializer(last.input[1])
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert len(np.unique(np.round(steps))) > 10


def test_layers_without_stored_weights_stay_as_they_are(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Transpose", "a", "b"), node("MatMul", "a b", "y")]
    after = quantised(model_of(nodes, {"w": floats(0, 6, 4)}, [1, 6]), floats(1, 9, 6), project)
    assert operators(after).count("Quant") == 2
    assert "MatMul_y has no stored matrix of weights" in capfd.readouterr().out


# what is refused

PARAMETERS = {
    "weight_bits": (1, "1 is no possible value", "Write a whole number, 2 to 16."),
    "activation_bits": (True, "True is no possible value", "Write a whole number, 2 to 16."),
    "input_bits": (8.0, "8.0 is no possible value", "Write a whole number, 2 to 16."),
    "output_bits": (17, "17 is no possible value", "Write a whole number, 2 to 16."),
    "calibration": (None, "None is no path", "Name a .npy or .npz file."),
    "method": ("kl", "'kl' is not known", "Write one of mse, percentile, max."),
    "percentile": (50, "50 is out of range", "Above 50, up to 100."),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_cannot_be(name: str) -> None:
    value, message, cure = PARAMETERS[name]
    parameters: dict[str, Any] = {"weight_bits": 8, "activation_bits": 8, "calibration": DATA, name: value}
    with pytest.raises(BlueprintError) as caught:
        quantize_model(**parameters)
    assert str(caught.value) == f"quantize_model.{name}: {message}\n  -> {cure}"


FILES: dict[str, tuple[str, Any, str]] = {
    "none": ("absent.npy", None, "absent.npy cannot be read: No such file or directory"),
    "no numbers": ("text.npy", b"text", "text.npy is no .npy or .npz file of numbers"),
    "words": ("x.npy", np.array(["a"]), "the samples for 'x' in x.npy are no finite numbers"),
    "infinite": ("x.npy", np.array([[np.inf] * 6]), "the samples for 'x' in x.npy are no finite numbers"),
    "another shape": ("x.npy", floats(0, 9, 5), "a sample for 'x' in x.npy is [5], the model takes [6]"),
    "empty": ("x.npy", floats(0, 0, 6), "x.npy holds 0 samples, the model takes 1 at once"),
    "several": (
        "x.npz",
        {"a": floats(0, 2, 6), "b": floats(0, 2, 6)},
        "x.npz holds 'a', 'b', nothing for 'x'",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_data_that_cannot_be(case: str, project: Path) -> None:
    name, content, message = FILES[case]
    if isinstance(content, bytes):
        (project / name).write_bytes(content)
    elif isinstance(content, dict):
        np.savez(project / name, **content)
    elif content is not None:
        np.save(project / name, content)
    with pytest.raises(BlueprintError) as caught:
        dense().transform(quantize_model(8, 8, name))
    assert str(caught.value).startswith(f"quantize_model.calibration: {message}")
    assert caught.value.cure


@pytest.mark.parametrize("content", ["cut", "changed"])
def test_a_damaged_file(content: str, project: Path) -> None:
    path = project / "x.npz"
    np.savez_compressed(path, x=floats(0, 400, 6))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data[: len(data) // 2] if content == "cut" else data)
    with pytest.raises(BlueprintError) as caught:
        dense().transform(quantize_model(8, 8, "x.npz"))
    assert str(caught.value).startswith(
        "quantize_model.calibration: x.npz is no .npy or .npz file of numbers"
    )


def test_a_model_that_onnx_runtime_gives_other_numbers_than_it_takes(project: Path) -> None:
    nodes = [node("Cast", "x", "a", to=TensorProto.FLOAT), node("MatMul", "a w", "y")]
    model = model_of(nodes, {"w": floats(0, 6, 4)}, [1, 6], TensorProto.INT64)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(TransformError, match=r"ONNX Runtime cannot run the model: .*int64") as caught:
        quantised(model, floats(0, 9, 6), project)
    assert "single precision" in caught.value.cure


def test_memory_that_runs_out_is_no_fault_of_the_model(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> Any:
        raise RuntimeError(
            "[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 9"
        )

    monkeypatch.setattr(calibration.onnxruntime.InferenceSession, "run", short)
    with pytest.raises(MemoryError, match=r"ONNX Runtime: .* Failed to allocate"):
        quantised(dense(), floats(0, 9, 6), project)


def test_a_model_that_is_quantised_already(project: Path) -> None:
    once = quantised(dense(), floats(0, 9, 6), project)
    with pytest.raises(TransformError, match=r"the model is quantised already: '.*' is a Quant") as caught:
        quantised(once, floats(0, 9, 6), project)
    assert caught.value.cure


def test_a_model_without_layers(project: Path) -> None:
    with pytest.raises(TransformError, match="nothing to quantise"):
        quantised(model_of([node("Relu", "x", "y")], {}, [1, 6]), floats(0, 9, 6), project)


def test_a_model_in_double_precision(project: Path) -> None:
    stored = {"w": floats(0, 6, 4).astype(np.float64)}
    model = model_of([node("MatMul", "x w", "y")], stored, [1, 6], TensorProto.DOUBLE)
    with pytest.raises(TransformError, match="is DOUBLE, not FLOAT") as caught:
        quantised(model, floats(0, 9, 6), project)
    assert "DoubleToSingleFloat" in caught.value.cure


def test_a_model_that_gives_no_numbers(project: Path) -> None:
    nodes = [node("Log", "x", "a"), node("MatMul", "a w", "y")]
    with pytest.raises(TransformError, match="infinite or undefined values at 'a'"):
        quantised(model_of(nodes, {"w": floats(0, 6, 4)}, [1, 6]), floats(0, 9, 6), project)
