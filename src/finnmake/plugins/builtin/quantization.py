"""`quantize_model`: post-training quantisation of a float model to QONNX `Quant` nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnmake.plugins.builtin.calibration import Array, inputs_of, observe, read_samples
from finnmake.plugins.builtin.checks import TransformError, choice, number, refused, whole_number
from finnmake.plugins.builtin.float_graph import (
    Layer,
    check_float,
    input_behind,
    layers_of,
    never_negative,
    source_of,
)
from finnmake.plugins.builtin.quant_nodes import quantise_tensor, quantise_weights
from finnmake.plugins.builtin.quantizers import METHODS, Grid, activation_scale, row_scales

_NAME = "quantize_model"


@dataclass(frozen=True)
class _Settings:
    """The parameters, checked."""

    weights: Grid
    activation_bits: int
    input_bits: int
    output_bits: int | None
    calibration: str
    method: str
    percentile: float


def quantize_model(
    weight_bits: int,
    activation_bits: int,
    calibration: str,
    input_bits: int = 8,
    output_bits: int | None = None,
    method: str = "mse",
    percentile: float = 99.9,
) -> Transformation:
    """Quantise a float model after training, to QONNX's `Quant` nodes (zero-point 0, rounding half to even).

    Conv, Gemm and MatMul with stored weights get integer weights: symmetric, in narrow range, with a scale
    for each output channel, that of the least mean square error. What they take in gets one quantiser a
    tensor, and so does every ReLU's output: unsigned where values cannot be negative, signed elsewhere.
    Biases and batch norms stay as they are: FINN makes thresholds of them. An input whose samples are bytes
    is annotated UINT8 or INT8 (INT9, which FINN needs, where bytes are normalised to negative values), and
    goes without a quantiser where a layer takes it as it is and it is no wider than `input_bits`.

    Args:
        weight_bits: 2 to 16.
        activation_bits: 2 to 16; FINN makes thresholds of up to 8.
        calibration: file of samples like those that the model will see, some hundred: its path relative to
            the project. A `.npy` for a model of one input; or `.npz` with an array for each input, under the
            input's name where there are several. `[samples, ...]`, with as many values a sample as the input.
        input_bits: of the quantiser at an input, or after its normalisation, 2 to 16; whole numbers that fit
            keep their value.
        output_bits: 2 to 16 for a quantiser at each output, so that no float arithmetic follows the last
            layer (`InsertTopK` needs that to become FINN's LabelSelect); none for floating point.
        method: how activations are scaled: `mse`, the least mean square error; `percentile`, larger
            magnitudes are clipped; `max`, none is.
        percentile: for `percentile`: above 50, up to 100.

    Raises BlueprintError for a parameter or file that cannot be, TransformError for a model that is quantised
    already, has no such layer or that ONNX Runtime cannot run.
    """
    if not isinstance(calibration, str) or not calibration:
        raise refused(f"{_NAME}.calibration", f"{calibration!r} is no path", "Name a .npy or .npz file.")
    limit = number(f"{_NAME}.percentile", percentile)
    if not 50 < limit <= 100:
        raise refused(f"{_NAME}.percentile", f"{percentile} is out of range", "Above 50, up to 100.")
    return _Quantisation(
        _Settings(
            weights=Grid(_bits("weight_bits", weight_bits), signed=True, narrow=True),
            activation_bits=_bits("activation_bits", activation_bits),
            input_bits=_bits("input_bits", input_bits),
            output_bits=None if output_bits is None else _bits("output_bits", output_bits),
            calibration=calibration,
            method=choice(f"{_NAME}.method", method, METHODS),
            percentile=limit,
        )
    )


def _bits(name: str, value: Any) -> int:
    return whole_number(f"{_NAME}.{name}", value, 2, 16)


@dataclass(frozen=True)
class _Place:
    """A tensor that gets a quantiser of so many bits; `origin`: the input that it is, be it normalised."""

    tensor: str
    bits: int
    origin: str | None


class _Quantisation(Transformation):  # type: ignore[misc]
    """Finds the places, calibrates them on the float model, then puts the quantisers in."""

    def __init__(self, settings: _Settings) -> None:
        super().__init__()
        self._settings = settings

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for transformation in (InferShapes(), FoldConstants(), InferShapes()):
            model = model.transform(transformation, make_deepcopy=False)
        check_float(model)
        layers = list(layers_of(model))
        if not layers:
            raise TransformError(
                "there is no Conv, Gemm or MatMul with stored weights: nothing to quantise",
                cure="Look at the model; weights that are computed have to be folded into constants first.",
            )
        self._quantise_activations(model, layers)
        grid = self._settings.weights
        for layer in layers:
            quantise_weights(model, layer, row_scales(layer.rows(model), grid), grid)
        for transformation in (InferShapes(), InferDataTypes()):
            model = model.transform(transformation, make_deepcopy=False)
        return model, False

    def _quantise_activations(self, model: ModelWrapper, layers: Sequence[Layer]) -> None:
        samples = read_samples(f"{_NAME}.calibration", self._settings.calibration, inputs_of(model))
        in_bytes = _annotate_bytes(model, samples)
        places = list(self._places(model, layers))
        values = observe(model, [place.tensor for place in places], samples)
        grids = {place: _grid(model, place, values[place.tensor]) for place in places}
        for place, grid in grids.items():
            whole = place.tensor in samples and samples[place.tensor].dtype.kind in "iu"
            quantise_tensor(model, place.tensor, self._scale(grid, values[place.tensor], whole), grid)
            if grid.signed and place.origin in in_bytes:
                # finn-plus 1.6.1 fails on thresholds below 0 of an unsigned input (Thresholding's
                # minimize_weight_bit_width).
                model.set_tensor_datatype(place.origin, DataType["INT9"])

    def _places(self, model: ModelWrapper, layers: Sequence[Layer]) -> Iterator[_Place]:
        """Every tensor that gets a quantiser, once."""
        settings = self._settings
        relus = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
        sources = [source_of(model, layer.node.input[0]) for layer in layers]
        inside = dict.fromkeys([*sources, *relus])
        for tensor in inside:
            origin = input_behind(model, tensor)
            bits = settings.activation_bits if origin is None else settings.input_bits
            if tensor != origin or not _fits(model, tensor, bits):
                yield _Place(tensor, bits, origin)
        for output in model.graph.output:
            if settings.output_bits is not None and source_of(model, output.name) not in inside:
                yield _Place(output.name, settings.output_bits, None)

    def _scale(self, grid: Grid, values: Array, whole: bool) -> float:
        """The scale of a quantiser; 1 for whole numbers that fit."""
        if whole and grid.least <= values.min() and values.max() <= grid.most:
            return 1.0
        return activation_scale(values, grid, self._settings.method, self._settings.percentile)


def _grid(model: ModelWrapper, place: _Place, values: Array) -> Grid:
    """Unsigned where operators leave no negative values, or where an input has none.

    Raises TransformError where the model gives no finite numbers.
    """
    if not np.isfinite(values).all():
        raise TransformError(
            f"the model gives infinite or undefined values at {place.tensor!r} on the calibration data",
            cure="Look at the data: do they have the range that the model was trained with?",
        )
    if place.origin is not None:
        return Grid(place.bits, signed=bool(values.min() < 0))
    return Grid(place.bits, signed=not never_negative(model, place.tensor))


def _annotate_bytes(model: ModelWrapper, samples: Mapping[str, Array]) -> set[str]:
    """Say of inputs given in bytes that they are such integers, where nothing is said; gives the unsigned."""
    unsigned = set()
    for name, array in samples.items():
        if array.dtype.itemsize == 1 and model.get_tensor_datatype(name) == DataType["FLOAT32"]:
            model.set_tensor_datatype(name, DataType["UINT8" if array.dtype.kind == "u" else "INT8"])
            unsigned |= {name} if array.dtype.kind == "u" else set()
    return unsigned


def _fits(model: ModelWrapper, tensor: str, bits: int) -> bool:
    """Whether a tensor is an integer of so many bits already."""
    datatype = model.get_tensor_datatype(tensor)
    return bool(datatype.is_integer() and datatype.bitwidth() <= bits)
