"""What a simulation is fed with: a data set of the user's, or random values; and how well it classifies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl import stimuli
from finnmake.backends.open_rtl.design import Port
from finnmake.engine.paths import PROJECT_LINK
from finnmake.errors import StepError
from finnmake.plugins.builtin import dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qonnx.core.modelwrapper import ModelWrapper

_STEP = "step_open_rtl_simulate"


def inputs(
    model: ModelWrapper, data: str | None, most: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64] | None]:
    """Inputs of a model by name, a row an inference, and their classes where there are any.

    Args:
        model: with its shapes and the datatypes of its inputs.
        data: an .npz file in the project, with `images` and `labels`; None for random values.
        most: inferences.

    Raises:
        BlueprintError: the file cannot be used.
        StepError: the model has several inputs, or takes images of another size.
    """
    if data is None:
        return {each.name: _random(model, each.name, most) for each in model.graph.input}, None
    found = dataset.read(Path(PROJECT_LINK), data, "images", "labels", most)
    names = [each.name for each in model.graph.input]
    try:
        if len(names) != 1:
            raise ValueError(f"a file of images feeds one input, and the model has {', '.join(names)}")
        return {names[0]: dataset.fitted(found.images, model.get_tensor_shape(names[0]))}, found.labels
    except ValueError as error:
        raise StepError(
            _STEP, f"{data}: {error}", category="config", cure="Leave `data` out for random inputs."
        ) from error


def _random(model: ModelWrapper, name: str, count: int) -> NDArray[Any]:
    shape = tuple(int(size) for size in model.get_tensor_shape(name))
    datatype = model.get_tensor_datatype(name).name
    return stimuli.random_values(Port(name, name, 0, 1, datatype, shape, shape), count, seed=0)


def accuracy(outputs: Mapping[str, NDArray[Any]], labels: NDArray[np.int64] | None) -> float | None:
    """The share of inputs whose class is the place of the largest output, or the output itself.

    None where no classes are known, or there are several outputs.
    """
    if labels is None or len(outputs) != 1:
        return None
    (rows,) = (values.reshape(len(labels), -1) for values in outputs.values())
    classes = rows[:, 0] if rows.shape[1] == 1 else rows.argmax(axis=1)
    return float((classes == labels).mean())
