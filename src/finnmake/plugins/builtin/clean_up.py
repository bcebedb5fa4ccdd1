"""`graph_optimization`: the clean-up of a graph, through QONNX's own transformations."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from qonnx.transformation.remove import RemoveIdentityOps, RemoveUnusedNodes

#: Operators that stay although their inputs are constants: they say how weights are quantised.
_QUANTISERS = (
    "Quant",
    "IntQuant",
    "FloatQuant",
    "BipolarQuant",
    "Trunc",
    "QuantizeLinear",
    "DequantizeLinear",
)


def graph_optimization() -> Transformation:
    """Clean a model up, its results as they were.

    What is constant is worked out (weight quantisers stay), what does nothing or is used by nothing is
    removed, every node and tensor gets a shape, a datatype and a readable name: `MatMul_0`, `MatMul_0_out0`.
    A factor within 1e-5 of 1 counts as 1. The input becomes `global_in`, the output `global_out`; several are
    numbered. Applied again it changes nothing.
    """
    return _CleanUp()


class _CleanUp(Transformation):  # type: ignore[misc]
    """QONNX's clean-up (`qonnx.util.cleanup`), with the removal of what does nothing, and datatypes."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for transformation in (
            InferShapes(),
            GiveUniqueParameterTensors(),
            FoldConstants(exclude_op_types=list(_QUANTISERS)),
            FoldTransposeIntoQuantInit(),
            RemoveIdentityOps(atol=0.0),
            RemoveUnusedNodes(),
            RemoveUnusedTensors(),
            RemoveStaticGraphInputs(),
            InferShapes(),
            InferDataTypes(),
            GiveUniqueNodeNames(),
            GiveReadableTensorNames(),
        ):
            model = model.transform(transformation, make_deepcopy=False)
        return model, False
