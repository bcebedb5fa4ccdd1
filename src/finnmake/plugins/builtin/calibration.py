"""The values that come up in a float model on given data: what its quantisers are calibrated with."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.engine.paths import PROJECT_LINK
from finnmake.plugins.builtin.checks import TransformError, raise_if_memory_ran_out, refused

Array = npt.NDArray[Any]

#: Values that are kept of a tensor, evenly spread over all samples.
_KEPT = 1 << 18

#: Samples that go through the model at once, where its batch size is not fixed.
_BATCH = 64


@dataclass(frozen=True)
class Input:
    """An input of a model: `shape` with the batch first, 0 where a dimension is not fixed."""

    name: str
    shape: tuple[int, ...]

    @property
    def batch(self) -> int:
        """Samples that it takes at once; 0 for any number."""
        return self.shape[0] if self.shape else 1


def inputs_of(model: ModelWrapper) -> list[Input]:
    """The inputs that have to be given: no stored weights."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [
        Input(value.name, tuple(size.dim_value for size in value.type.tensor_type.shape.dim))
        for value in model.graph.input
        if value.name not in stored
    ]


def read_samples(parameter: str, name: str, inputs: Sequence[Input]) -> dict[str, Array]:
    """Input -> samples `[N, ...]`, as they stand in a file.

    Args:
        parameter: the parameter that names the file, for messages.
        name: the file, relative to the project: `.npy` for a model of one input, or `.npz` with an array of
            each input's name; one array alone goes to the one input.
        inputs: of the model. An array may have another shape with as many values a sample.

    Raises BlueprintError for a file that cannot be read or does not fit.
    """
    arrays = _read(parameter, name)
    if len(arrays) == len(inputs) == 1:
        arrays = {inputs[0].name: next(iter(arrays.values()))}
    missing = [each.name for each in inputs if each.name not in arrays]
    if missing:
        raise refused(
            parameter,
            f"{name} holds {_listed(arrays)}, nothing for {_listed(missing)}",
            "Name an array in it for each input of the model.",
        )
    samples = {each.name: _shaped(parameter, name, arrays[each.name], each) for each in inputs}
    if len(set(map(len, samples.values()))) > 1:
        raise refused(parameter, f"the arrays in {name} differ in length", "Give each input as many samples.")
    return samples


def _read(parameter: str, name: str) -> dict[str, Array]:
    try:
        with open(Path(PROJECT_LINK, name), "rb") as stream:
            found = np.load(stream, allow_pickle=False)
            return {"": found} if isinstance(found, np.ndarray) else dict(found)
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror or error}"
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        message = f"{name} is no .npy or .npz file of numbers: {error}"
    raise refused(
        parameter, message, "Write the path, relative to the project, of a file of numpy.save or savez."
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names) or "no array"


def _shaped(parameter: str, file: str, array: Array, each: Input) -> Array:
    """The samples in the shape that the input takes. Raises BlueprintError."""
    sizes = each.shape[1:]
    size = math.prod(sizes)
    if array.dtype.kind not in "fiu" or array.ndim == 0 or not np.isfinite(array).all():
        raise refused(
            parameter, f"the samples for {each.name!r} in {file} are no finite numbers", "Look at the file."
        )
    fits = array.shape[1:] == sizes or (size > 0 and math.prod(array.shape[1:]) == size)
    if not fits and (size > 0 or array.ndim != len(each.shape)):
        raise refused(
            parameter,
            f"a sample for {each.name!r} in {file} is {list(array.shape[1:])}, the model takes {list(sizes)}",
            f"Give an array [samples, {', '.join(map(str, sizes))}].",
        )
    if len(array) < max(each.batch, 1):
        raise refused(
            parameter,
            f"{file} holds {len(array)} samples, the model takes {each.batch} at once",
            "Give more: a hundred or so.",
        )
    return array.reshape(len(array), *sizes) if size > 0 else array


def observe(
    model: ModelWrapper, tensors: Collection[str], samples: Mapping[str, Array]
) -> dict[str, npt.NDArray[np.float32]]:
    """Tensor -> values that it takes on the samples, `[M]`, evenly spread where there are very many.

    Inputs of the model may be among the tensors. Raises TransformError where ONNX Runtime cannot run it.
    """
    session = _session(model, tensors)
    wanted = [output.name for output in session.get_outputs() if output.name in tensors]
    batches = list(_batches(inputs_of(model), samples))
    each = max(1, _KEPT // len(batches))
    found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in tensors}
    for batch in batches:
        given = _run(session, wanted, batch) if wanted else []  # for an empty list it gives all outputs
        values = {**batch, **dict(zip(wanted, given, strict=True))}
        for name, kept in found.items():
            kept.append(_spread(values[name].astype(np.float32), each))
    return {name: np.concatenate(kept) for name, kept in found.items()}


def _session(model: ModelWrapper, tensors: Collection[str]) -> onnxruntime.InferenceSession:
    """The model with these tensors among its outputs; one thread, as sums depend on how they are split."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.model)
    there = {value.name for value in [*proto.graph.output, *proto.graph.input]}
    proto.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in sorted(set(tensors) - there)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's own have no common base
        raise _not_run(error, "Quantise the float model before any transform that changes it.") from error


def _run(
    session: onnxruntime.InferenceSession, wanted: Sequence[str], batch: Mapping[str, Array]
) -> list[Array]:
    try:
        return list(session.run(wanted, batch))
    except Exception as error:
        raise _not_run(error, "Export the float model with inputs in single precision.") from error


def _not_run(error: Exception, cure: str) -> TransformError:
    """The error for a model that ONNX Runtime refuses. Raises MemoryError where memory ran out."""
    raise_if_memory_ran_out(error)
    return TransformError(f"ONNX Runtime cannot run the model: {error}", cure=cure)


def _batches(inputs: Sequence[Input], samples: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """What goes through the model at once; what does not fill the last of fixed size is left out."""
    fixed = max(each.batch for each in inputs)
    count = len(next(iter(samples.values())))
    size = fixed or min(_BATCH, count)
    for start in range(0, count - size + 1 if fixed else count, size):
        yield {name: array[start : start + size].astype(np.float32) for name, array in samples.items()}


def _spread(values: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """So many of the values at most, at even distances; the lowest and the highest are always there."""
    flat = values.reshape(-1)
    if len(flat) <= most:
        return flat
    places = np.linspace(0, len(flat) - 1, most).astype(np.int64)
    return np.concatenate([flat[places], [flat.min(), flat.max()]])
