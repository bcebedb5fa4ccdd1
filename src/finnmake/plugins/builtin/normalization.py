"""`input_normalization`: the normalisation of a model's input, as operators of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnmake.plugins.builtin.checks import TransformError, number, refused

_NAME = "input_normalization"

#: Parameter -> (operator that it becomes, value that leaves things as they are), in the order of the graph.
_OPERATORS = {"scale": ("Mul", 1.0), "mean": ("Sub", 0.0), "std": ("Div", 1.0)}


def input_normalization(
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    scale: float | Sequence[float] = 1.0,
) -> Transformation:
    """Normalise the input within the model: `(x * scale - mean) / std`, so that it takes raw values.

    `scale` becomes a Mul, `mean` a Sub and `std` a Div before whatever uses the input, which keeps its name
    and datatype; one that would change nothing is left out. FINN makes them part of the thresholds of the
    quantiser that follows. With `scale: 0.00392156862745098` (1/255) an image in bytes takes the mean and
    deviation of one in 0 to 1.

    Args:
        mean: in the unit of `x * scale`: one number, or one for each channel (the input's second dimension).
        std: above 0, likewise.
        scale: above 0, likewise.

    From this transform on models take raw values, and those before it normalised ones: an
    `accuracy_validation` of such a flow is given both, raw ones as `images` and the others as
    `original_images`.

    In a blueprint a list is an axis: one value for each channel is a list in a list.
    Raises BlueprintError for numbers that cannot be, TransformError where they do not fit the input.
    """
    values = {name: _numbers(name, given) for name, given in (("scale", scale), ("mean", mean), ("std", std))}
    for name in ("std", "scale"):
        if not (values[name] > 0).all():
            raise refused(f"{_NAME}.{name}", "a value is not above 0", "Write positive numbers.")
    wanted = {name: value for name, value in values.items() if not (value == _OPERATORS[name][1]).all()}
    if not wanted:
        raise refused(
            _NAME,
            "it would change nothing",
            "Give `mean`, `std` or `scale`, or take it out of the blueprint.",
        )
    return _Normalisation(wanted)


def _numbers(name: str, given: Any) -> npt.NDArray[np.float32]:
    """`[1]` or `[channels]`. Raises BlueprintError."""
    parameter = f"{_NAME}.{name}"
    values = given if isinstance(given, (list, tuple)) else [given]
    if not values:
        raise refused(parameter, "there is no value", "Write a number, or one for each channel.")
    with np.errstate(over="ignore"):
        found = np.array([number(parameter, value) for value in values], np.float32)
    if not np.isfinite(found).all():
        raise refused(parameter, "a value is beyond single precision, which ends at 3.4e38", "Write less.")
    return found


class _Normalisation(Transformation):  # type: ignore[misc]
    """Puts the operators before the users of the first input."""

    def __init__(self, values: Mapping[str, npt.NDArray[np.float32]]) -> None:
        super().__init__()
        self._values = values

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        model = model.transform(InferShapes(), make_deepcopy=False)
        name = _the_input(model)
        users = model.find_consumers(name)
        shape = model.get_tensor_shape(name)
        tensor = name
        for at, (parameter, values) in enumerate(self._values.items()):
            constant = model.make_new_valueinfo_name()
            model.set_initializer(constant, _by_channel(values, shape, parameter))
            result = model.make_new_valueinfo_name()
            model.set_tensor_shape(result, shape)
            operator = _OPERATORS[parameter][0]
            node = onnx.helper.make_node(operator, [tensor, constant], [result], name=f"{_NAME}_{parameter}")
            model.graph.node.insert(at, node)
            tensor = result
        for user in users:
            for at, used in enumerate(user.input):
                if used == name:
                    user.input[at] = tensor
        return model.transform(InferDataTypes(), make_deepcopy=False), False


def _the_input(model: ModelWrapper) -> str:
    """The name of the input. Raises TransformError where there is not one, of floating point."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        raise TransformError(
            f"the model has {len(inputs)} inputs", cure="Normalise a model of several inputs by a plugin."
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        raise TransformError(
            f"the input {inputs[0].name!r} is {onnx.TensorProto.DataType.Name(kind)}, not FLOAT",
            cure="Export the model with an input in single precision.",
        )
    name: str = inputs[0].name
    return name


def _by_channel(
    values: npt.NDArray[np.float32], shape: Sequence[int] | None, parameter: str
) -> npt.NDArray[np.float32]:
    """The values as `[]` or `[1, channels, 1, ...]`. Raises TransformError where they do not fit."""
    if len(values) == 1:
        return values.reshape(())
    channels = shape[1] if shape is not None and len(shape) > 1 else 1
    if shape is None or channels != len(values):
        raise TransformError(
            f"{_NAME}.{parameter}: {len(values)} values, where the input {list(shape or ())} has {channels} "
            f"channel{'s' if channels != 1 else ''}",
            cure="Give one value, or one for each channel.",
        )
    return values.reshape(1, -1, *[1] * (len(shape) - 2))
