"""A data set in a NumPy file, and its images in the shape that a model takes."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finnmake.plugins.builtin.checks import refused, whole_number

Array = npt.NDArray[Any]

_MOST = 10**9

_ONE_EACH = "Give one class number for each image."


@dataclass(frozen=True)
class DataSet:
    """Images `[count, …]` and their classes `[count]`, 0 for the first.

    Attributes:
        images: as the final model takes them.
        labels: their classes.
        original: the same images as the original model takes them, where that is something else.
    """

    images: Array
    labels: Array
    original: Array | None = None


def read(
    folder: Path, data: Any, images: str, labels: str, limit: int | None, original: str | None = None
) -> DataSet:
    """The arrays `images`, `labels` and `original` of the file `data`, an `.npz`, as far as `limit`.

    Without `original` all models take the same.

    Raises BlueprintError, which names the parameter that is wrong.
    """
    arrays = _arrays(folder, data)
    named = {"images": images, "labels": labels}
    if original is not None:
        named["original_images"] = original
    found = {key: _array(arrays, data, key, name) for key, name in named.items()}
    classes = _classes(found["labels"], f"{labels!r} in {data}")
    for key in named.keys() - {"labels"}:
        if found[key].shape[:1] != classes.shape:
            counts = f"{_written(found[key].shape[:1])} {key} and {len(classes)} labels"
            raise refused("labels", f"{data} has {counts}", _ONE_EACH)
        if not np.isfinite(found[key]).all():
            raise refused(key, f"{named[key]!r} in {data} holds no finite numbers", "Look at the file.")
    most = len(classes) if limit is None else whole_number("limit", limit, 1, _MOST)
    others = found.get("original_images")
    return DataSet(found["images"][:most], classes[:most], None if others is None else others[:most])


def _classes(labels: Array, what: str) -> npt.NDArray[np.int64]:
    """The classes `[count]` of labels `[count]`, or with more dimensions of 1. Raises BlueprintError."""
    if labels.size != max(labels.shape, default=0):
        raise refused("labels", f"{what} has the shape {_written(labels.shape)}", _ONE_EACH)
    classes = labels.reshape(-1)
    with np.errstate(invalid="ignore"):
        wrong = classes[~((np.mod(classes, 1) == 0) & (classes >= 0) & (classes <= _MOST))]
    if wrong.size:
        raise refused("labels", f"{what} has {wrong[0]}, which is no class: 0, 1, 2 …", _ONE_EACH)
    return classes.astype(np.int64)


def _written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def fitted(images: Array, shape: Sequence[int]) -> Array:
    """The images as `[runs, *shape]` for a model with this input: one image a run, or as many as it takes.

    Values keep their order, but that a channel dimension moves where only that makes the shapes agree. The
    last run is filled up with the last image. Raises ValueError where the shapes have nothing to do with each
    other.
    """
    single, size = images.shape[1:], math.prod(images.shape[1:])
    if math.prod(shape) == size:
        together = 1
    elif math.prod(shape[1:]) == size:
        together = shape[0]
    else:
        raise ValueError(f"an image has the shape {_written(single)}, the model's input {_written(shape)}")
    axes = _moved(single, shape)
    values = images if axes is None else np.moveaxis(images, *axes)
    missing = -len(values) % together
    filled = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values
    return filled.reshape(-1, *shape)


def _moved(single: Sequence[int], shape: Sequence[int]) -> tuple[int, int] | None:
    """Which axis of the images goes where: channels first to channels last, or back; None where none does."""
    if len(single) != 3 or len(shape) != 4 or tuple(single) == tuple(shape[1:]):
        return None
    first, middle, last = single
    if (middle, last, first) == tuple(shape[1:]):
        return 1, 3
    return (3, 1) if (last, first, middle) == tuple(shape[1:]) else None


def _arrays(folder: Path, data: Any) -> dict[str, Array]:
    if not isinstance(data, str):
        raise refused("data", f"{data!r} is no file name", "Write the path of an .npz file in the project.")
    path = folder / data
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        cure = "Write its path as seen from the project's folder."
        raise refused("data", f"there is no file {data}", cure) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        cure = "Write it with numpy.savez(file, images=…, labels=…), arrays of numbers only."
        raise refused("data", f"{data} is no NumPy file of named arrays: {error}", cure) from error


def _array(arrays: dict[str, Array], data: str, key: str, name: Any) -> Array:
    if not isinstance(name, str):
        raise refused(key, f"{name!r} is no name of an array", f"It has {_listed(arrays)}.")
    if name not in arrays:
        raise refused(key, f"{data} has no array {name!r}", f"It has {_listed(arrays)}.")
    found = arrays[name]
    if found.dtype.kind not in "biuf" or not found.size:
        raise refused(key, f"{name!r} in {data} holds no numbers", "Give an array with at least one image.")
    return found


def _listed(arrays: dict[str, Array]) -> str:
    return ", ".join(sorted(arrays)) or "none"
