"""A data set in a NumPy file, and its images in the shape that a model takes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finnmake.plugins.builtin.checks import refused, whole_number

Array = npt.NDArray[Any]

_MOST = 10**9


@dataclass(frozen=True)
class DataSet:
    """Images `[count, …]` and their classes `[count]`, 0 for the first."""

    images: Array
    labels: Array


def read(folder: Path, data: Any, images: str, labels: str, limit: int | None) -> DataSet:
    """The arrays `images` and `labels` of the file `data`, an `.npz`, as far as `limit`.

    Raises BlueprintError, which names the parameter that is wrong.
    """
    arrays = _arrays(folder, data)
    found = {key: _array(arrays, data, key, name) for key, name in (("images", images), ("labels", labels))}
    classes = np.squeeze(found["labels"])
    whole = np.issubdtype(classes.dtype, np.integer) or bool(np.all(np.mod(classes, 1) == 0))
    if classes.ndim != 1 or not whole or classes.min() < 0:
        shape = "x".join(map(str, found["labels"].shape))
        raise refused(
            "labels", f"{labels!r} in {data} has the shape {shape}", "Give one class number for each image."
        )
    if len(classes) != len(found["images"]):
        counts = f"{len(found['images'])} images and {len(classes)} labels"
        raise refused("labels", f"{data} has {counts}", "Give one class number for each image.")
    most = len(classes) if limit is None else whole_number("limit", limit, 1, _MOST)
    return DataSet(found["images"][:most], classes[:most].astype(np.int64))


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
        written = "x".join(map(str, single)) or "1"
        raise ValueError(f"an image has the shape {written}, the model's input {'x'.join(map(str, shape))}")
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
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        cure = "Write it with numpy.savez(file, images=…, labels=…), arrays of numbers only."
        raise refused("data", f"{data} is no NumPy file of named arrays: {error}", cure) from error


def _array(arrays: dict[str, Array], data: str, key: str, name: Any) -> Array:
    if name not in arrays:
        raise refused(key, f"{data} has no array {name!r}", f"It has {', '.join(sorted(arrays)) or 'none'}.")
    found = arrays[name]
    if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool) or not found.size:
        raise refused(key, f"{name!r} in {data} holds no numbers", "Give an array with at least one image.")
    return found
