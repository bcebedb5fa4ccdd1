"""What an ONNX or QONNX model is: inputs, outputs, operators, quantisation, parameters, MACs."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.errors import Location, ModelError
from finnmake.records import ModelInfo, TensorInfo

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

#: Operators that multiply by weights, the second input: those that QONNX's `inference_cost` counts.
_MULTIPLY = ("Conv", "Gemm", "MatMul")

#: An activation in FINN's form: it counts the thresholds that its input reaches.
_THRESHOLDS = "MultiThreshold"

#: QONNX's quantisers.
_QUANTISERS = ("BipolarQuant", "FloatQuant", "IntQuant", "Quant", "Trunc")


def read_model_info(path: Path) -> ModelInfo:
    """What the model in the file is; QONNX's `inference_cost` counts parameters and multiply-accumulates.

    Takes under a second for small models, imports QONNX and leaves the file as it is. What QuantizeLinear and
    DequantizeLinear quantise counts as float: FINN takes such models only after QONNX's QCDQToQuant.

    Raises:
        ModelError: the file cannot be read, is no ONNX model, or QONNX cannot analyse it.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model = _load(path)
        try:
            return _info(path, model)
        except (
            Exception
        ) as error:  # whatever QONNX and ONNX Runtime raise about a model that they do not know
            raise ModelError(
                f"QONNX cannot analyse the model: {_words(error)}",
                where=Location(path=path),
                cure="Look at the node named, or export the model again for a lower opset.",
            ) from error


def _load(path: Path) -> ModelWrapper:
    where = Location(path=path)
    try:
        loaded = importlib.import_module("onnx").load(str(path))
    except OSError as error:
        cure = "Correct the model's path."
        raise ModelError(f"cannot be read: {error.strerror}", where=where, cure=cure) from error
    except (
        Exception
    ) as error:  # protobuf's own, which only onnx knows, and what its checks of external data raise
        cure = "Copy or export it again (a Git-LFS pointer: git lfs pull)."
        raise ModelError(f"this is not an ONNX model: {_words(error)}", where=where, cure=cure) from error
    if not loaded.graph.node:
        raise ModelError("the file holds no ONNX graph", where=where, cure="Export the model again.")
    wrapper: ModelWrapper = importlib.import_module("qonnx.core.modelwrapper").ModelWrapper(loaded)
    return wrapper


def _words(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _info(path: Path, model: ModelWrapper) -> ModelInfo:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_tensor(model, each.name) for each in model.graph.input if each.name not in stored)
    operators = Counter(node.op_type for node in model.graph.node)
    quantisation = _quantisation(model)
    inferred, cost = _inferred(model), _cost(model)
    return ModelInfo(
        path=str(path),
        inputs=inputs,
        outputs=tuple(_tensor(inferred, each.name) for each in inferred.graph.output),
        operators=dict(sorted(operators.items())),
        quantisation=quantisation,
        parameters=round(cost["total_mem_w_elems"]),
        parameter_bits=round(cost["total_mem_w_bits"]),
        macs=round(cost["total_macs"]) if all(math.prod(tensor.shape) for tensor in inputs) else None,
    )


def _tensor(model: ModelWrapper, name: str) -> TensorInfo:
    shape = tuple(model.get_tensor_shape(name) or ())
    return TensorInfo(name, shape, model.get_tensor_datatype(name).name)


def _cost(model: ModelWrapper) -> Mapping[str, float]:
    """QONNX's counts; it takes Quant nodes for the integers that they make."""
    analysis = importlib.import_module("qonnx.util.inference_cost")
    total: dict[str, float] = analysis.inference_cost(model, discount_sparsity=False)["total_cost"]
    return total


def _inferred(model: ModelWrapper) -> ModelWrapper:
    """A copy in which tensors have the shapes and datatypes that QONNX infers."""
    for module, name in (("infer_shapes", "InferShapes"), ("infer_datatypes", "InferDataTypes")):
        transformation = getattr(importlib.import_module(f"qonnx.transformation.{module}"), name)
        model = model.transform(transformation())
    return model


def _quantisation(model: ModelWrapper) -> dict[str, dict[str, int]]:
    """`weights` and `activations` -> datatype -> how many, see `ModelInfo`."""
    constants = {
        tensor.name: model.get_tensor_datatype(tensor.name).name for tensor in model.graph.initializer
    }
    weights: Counter[str] = Counter()
    activations: Counter[str] = Counter()
    for node in model.graph.node:
        made = _made(node, model)
        if node.op_type in _MULTIPLY:
            weights.update(constants[name] for name in node.input[:2] if name in constants)
        if all(name in constants for name in node.input if name):
            # Transposing or reshaping a constant leaves its datatype.
            inherited = constants[node.input[0]] if node.input else "FLOAT32"
            constants.update(dict.fromkeys(node.output, made or inherited))
        elif made:
            activations[made] += 1
    return {"weights": dict(sorted(weights.items())), "activations": dict(sorted(activations.items()))}


def _made(node: NodeProto, model: ModelWrapper) -> str | None:
    """The datatype that a quantiser makes, without its scale; None for all other nodes."""
    if node.op_type not in (*_QUANTISERS, _THRESHOLDS):
        return None
    operator: Any = importlib.import_module("qonnx.custom_op.registry").getCustomOp(node)
    if node.op_type == _THRESHOLDS:
        return str(operator.get_nodeattr("out_dtype"))
    integer = getattr(operator, "get_integer_datatype", operator.get_output_dtype)
    return str(integer(model).name)
