"""`input_normalization`: the model gives for raw values what it gave for normalised ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from qonnx.core.datatype import DataType

from finnmake.errors import BlueprintError
from finnmake.plugins.builtin.checks import TransformError
from finnmake.plugins.builtin.normalization import input_normalization
from tests.plugins.float_models import convolution, dense, floats, model_of, node, operators, run

POSITIVE = st.floats(0.125, 10, width=32)
ANY = st.floats(-10, 10, width=32)


def one_or(values: st.SearchStrategy[float], channels: int) -> st.SearchStrategy[Any]:
    """A number, or a list with one for each channel."""
    return st.one_of(values, st.lists(values, min_size=channels, max_size=channels))


def shaped(value: float | Sequence[float]) -> np.ndarray:
    return np.asarray(value, np.float32).reshape(-1, 1, 1)


@given(mean=one_or(ANY, 2), std=one_or(POSITIVE, 2), scale=one_or(POSITIVE, 2))
@settings(max_examples=15, deadline=None)
def test_raw_values_give_what_normalised_ones_gave(mean: Any, std: Any, scale: Any) -> None:
    if all(np.all(np.asarray(each) == same) for each, same in ((mean, 0), (std, 1), (scale, 1))):
        return
    raw = floats(3, 2, 2, 6, 6) * 10
    before = convolution()
    after = before.transform(input_normalization(mean=mean, std=std, scale=scale))
    expected = run(before, (raw * shaped(scale) - shaped(mean)) / shaped(std))
    np.testing.assert_allclose(run(after, raw), expected, rtol=1e-3, atol=1e-2)


def test_the_operators_stand_before_the_first_user_of_the_input() -> None:
    model = dense().transform(input_normalization(mean=0.5, std=0.25, scale=1 / 255))
    assert operators(model)[:4] == ["Mul", "Sub", "Div", "MatMul"]
    assert model.graph.input[0].name == model.graph.node[0].input[0] == "x"
    assert model.get_tensor_shape(model.graph.node[2].output[0]) == [1, 6]
    onnx.checker.check_model(model.model)


def test_what_changes_nothing_is_left_out() -> None:
    assert operators(dense().transform(input_normalization(mean=2)))[:2] == ["Sub", "MatMul"]
    assert operators(dense().transform(input_normalization(std=[2] * 6)))[:2] == ["Div", "MatMul"]


def test_all_users_of_the_input_get_normalised_values() -> None:
    model = model_of([node("Relu", "x", "a"), node("Add", "a x", "y")], {}, [1, 3])
    after = model.transform(input_normalization(std=2))
    raw = floats(0, 4, 3)
    np.testing.assert_allclose(run(after, raw), run(model, raw / 2), rtol=1e-6)


def test_the_input_keeps_its_datatype() -> None:
    model = dense()
    model.set_tensor_datatype("x", DataType["UINT8"])
    after = model.transform(input_normalization(mean=8, std=4))
    assert after.get_tensor_datatype("x").name == "UINT8"
    assert after.get_tensor_datatype(after.graph.node[1].output[0]).name == "FLOAT32"


REFUSED = {
    "std of 0": ({"std": 0}, "input_normalization.std: a value is not above 0"),
    "negative scale": ({"scale": [1, -1]}, "input_normalization.scale: a value is not above 0"),
    "a word": ({"mean": "half"}, "input_normalization.mean: 'half' is no finite number"),
    "too large": (
        {"mean": 1e39},
        "input_normalization.mean: a value is beyond single precision, which ends at 3.4e38",
    ),
    "not finite": ({"mean": [0, float("nan")]}, "input_normalization.mean: nan is no finite number"),
    "no values": ({"mean": []}, "input_normalization.mean: there is no value"),
    "nothing": ({}, "input_normalization: it would change nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_that_cannot_be(case: str) -> None:
    parameters, message = REFUSED[case]
    with pytest.raises(BlueprintError) as caught:
        input_normalization(**parameters)
    assert caught.value.located() == message
    assert caught.value.cure


def test_values_for_other_channels_than_the_input_has() -> None:
    with pytest.raises(
        TransformError, match=r"mean: 3 values, where the input \[1, 2, 6, 6\] has 2 channels"
    ):
        convolution().transform(input_normalization(mean=[1, 2, 3]))


def test_an_input_that_is_no_float() -> None:
    model = model_of([node("Cast", "x", "y", to=TensorProto.FLOAT)], {}, [1, 3], TensorProto.UINT8)
    with pytest.raises(TransformError, match="the input 'x' is UINT8, not FLOAT"):
        model.transform(input_normalization(mean=1))
