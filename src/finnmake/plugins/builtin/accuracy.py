"""The analysis `accuracy_validation`: top-1 of every model of the flow, and what changes predictions."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.errors import FinnmakeError
from finnmake.plugins.build import ORIGINAL, PROCESSED, Build
from finnmake.plugins.builtin.dataset import DataSet, fitted, read
from finnmake.plugins.builtin.execution import Network
from finnmake.plugins.builtin.nodes import HOST, PARTITION, kind_of
from finnmake.plugins.builtin.operators import Contradiction, NeedsSimulation, NotExecutable

Array = npt.NDArray[Any]

_log = logging.getLogger(__name__)

#: Seconds of silence that a user takes for work.
_PATIENCE = 2.0

#: The transform behind which models take raw values.
_NORMALIZATION = "input_normalization"

#: How far outputs may lie apart, absolute and relative: FINN's `verification_atol` and `verification_rtol`.
_ATOL, _RTOL = 1e-3, 1e-5


@dataclass(frozen=True)
class _Answers:
    """What a model says of all images.

    Attributes:
        classes: the class of each image, the first of equals.
        outputs: `[images, …]`; of a model that gives places of the largest values, these.
        indices: whether it gives these.
        note: how it was run, where that is not plain.
    """

    classes: Array
    outputs: Array
    indices: bool
    note: str = ""


@dataclass(frozen=True)
class _Entry:
    """One model of the flow, and what it says or why it cannot be run.

    Attributes:
        name: after which transform or step it is, `NNN_<name>`.
        answers: what it says.
        reason: why it says nothing.
        simulated: whether it says nothing because FINN runs a layer of it in simulation alone.
        broken: whether it says nothing because it is at odds with itself.
    """

    name: str
    answers: _Answers | None
    reason: str = ""
    simulated: bool = False
    broken: bool = False


class AccuracyError(FinnmakeError):
    """No model of the flow can be run on the data."""

    category = "postprocessing"


def accuracy_validation(
    build: Build,
    data: str,
    images: str = "images",
    labels: str = "labels",
    limit: int | None = None,
    original_images: str | None = None,
) -> dict[str, Any]:
    """Run the model at every point of its flow on a data set: top-1, and where predictions change.

    All models get the same images, as they are in the file, in the shape that the model takes; with
    `original_images` those before `input_normalization` get these instead, as what they take is normalised
    already. The accuracy is always that on what the final model takes. Layers of the
    accelerator run in FINN's own Python, inside the model around it (`dataflow_parent.onnx`) where FINN kept
    it; what FINN runs in simulation alone is `not executable here`. Equal models are run once.

    Args:
        build: the finished build.
        data: an `.npz` file, relative to the project.
        images: the array in it that holds the images, `[count, …]`, values as the final model takes them.
        labels: the array that holds the class of each, `[count]`.
        limit: take that many images from the start.
        original_images: the array with the same images as the original model takes them, for the models
            before the transform `input_normalization`, or where the flow has none for the original alone.

    Returns:
        `accuracy`, top-1 of the final model (0 to 1), and `images`, how many there were; `accuracy_of`, the
        model that it is of: the one before where FINN runs the final one in simulation alone, which needs
        Vivado or generated code. A final model that does not run for another reason has no accuracy (null);
        `models` in the order of the flow: `correct`, `top1`, the images for which `changed_predictions` and
        `changed_outputs` differ from the model before (outputs: by more than FINN's verification allows, null
        where one gives scores and the other classes), and `not_executable`, the reason;
        `first_change`: after which transform or step predictions change first, or a model is at odds with
        itself and runs no more (`reason`); null where neither happens.
    """
    given = read(build.project, data, images, labels, limit, original_images)
    entries = list(_entries(build, given))
    rows = _rows(entries, given)
    if not any(entry.answers for entry in entries):
        reasons = "; ".join(dict.fromkeys(entry.reason for entry in entries))
        raise AccuracyError(
            f"no model can be run on {data}: {reasons}", cure="The build itself is not at fault."
        )
    change = _first_change(entries, rows)
    measured = _measured(entries, rows)
    told = [] if change is None else [_said(change)]
    return {
        "data": data,
        "images": len(given.labels),
        "accuracy": None if measured is None else measured["top1"],
        "accuracy_of": None if measured is None else measured["model"],
        "models": rows,
        "first_change": change,
        "warnings": [*told, *_said_of_the_final(rows[-1], measured)],
    }


def _measured(entries: list[_Entry], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the model whose accuracy is the build's; None where that is not known."""
    for entry, row in zip(reversed(entries), reversed(rows), strict=True):
        if not entry.simulated:
            return row if entry.answers is not None else None
    return None


def _said_of_the_final(final: dict[str, Any], measured: dict[str, Any] | None) -> list[str]:
    """A warning where the final model cannot be run."""
    if final["not_executable"] is None:
        return []
    known = "there is none" if measured is None else f"it is that after {_step_of(measured['model'])}"
    return [f"the accuracy is not that of the final model, {known}: {final['not_executable']}"]


def _step_of(model: str) -> str:
    """The transform or step after which a model is, without its number."""
    return model.partition("_")[2] or model


def _entries(build: Build, given: DataSet) -> Iterator[_Entry]:
    """The models of the flow: the original, after each transform and step; the processed one in between."""
    known: dict[tuple[bytes, bool], _Entry] = {}
    files = {"original": build.models / ORIGINAL, **build.after()}
    early = [*files][: 0 if given.original is None else _before_normalization([*files])]
    processed = _digest(build.models / PROCESSED)
    told = False
    for name, path in files.items():
        key = _digest(path), name in early
        if key not in known:
            images = given.original if name in early and given.original is not None else given.images
            known[key] = _answer(build, name, path, images, given.labels)
        yield replace(known[key], name=name)
        if key[0] == processed and not told:
            told = True
            yield replace(known[key], name="processed")


def _before_normalization(models: list[str]) -> int:
    """How many models from the start take what the original does."""
    steps = [_step_of(name) for name in models]
    return steps.index(_NORMALIZATION) if _NORMALIZATION in steps else 1


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _answer(build: Build, name: str, path: Path, images: Array, labels: Array) -> _Entry:
    """Run one model on all images."""
    try:
        network, note = _network(build, ModelWrapper(str(path)))
        return _Entry(name, _answers(network, name, images, labels, note))
    except (NotExecutable, ValueError) as error:
        _log.info("%s is not executable here: %s", name, error)
        simulated, broken = isinstance(error, NeedsSimulation), isinstance(error, Contradiction)
        return _Entry(name, None, str(error), simulated, broken)


def _network(build: Build, model: ModelWrapper) -> tuple[Network, str]:
    """The model ready to run: an accelerator inside the model around it, which takes what users give."""

    def partition(path: str) -> ModelWrapper:
        file = build.file(path)
        if file is None:
            raise NotExecutable(f"the model of a partition is missing: {path or 'it has no name'}")
        return ModelWrapper(str(file))

    if any(kind_of(node) in (HOST, PARTITION) for node in model.graph.node):
        return Network(model, partition), ""
    if build.dataflow_parent is None:
        return Network(
            model, partition
        ), "without what stays on the host: FINN has kept no dataflow_parent.onnx"
    parent = ModelWrapper(str(build.dataflow_parent))
    return Network(parent, lambda _: model), "inside dataflow_parent.onnx"


def _answers(network: Network, name: str, images: Array, labels: Array, note: str) -> _Answers:
    runs = fitted(images, network.input_shape)
    step, outputs, told = network.images_at_once, [], time.monotonic()
    for start in range(0, len(runs), step):
        outputs.append(network.run(runs[start : start + step]))
        if time.monotonic() - told > _PATIENCE:
            told = time.monotonic()
            _log.info("%s: %d of %d images", name, min(start + step, len(runs)), len(runs))
    found = _by_image(np.concatenate(outputs), len(runs), len(labels))
    classes = found[:, 0].astype(np.int64) if network.gives_indices else found.argmax(axis=1)
    if not network.gives_indices and labels.max() >= found.shape[1]:
        raise ValueError(f"there are labels up to {labels.max()}, and {found.shape[1]} outputs")
    return _Answers(classes, found, network.gives_indices, note)


def _by_image(outputs: Array, runs: int, images: int) -> Array:
    """`[runs, …]` -> `[images, values]`; several images a run lie in the first dimension of its output."""
    together = -(-images // runs)
    if together > 1 and outputs.shape[1] != together:
        raise ValueError(f"{together} images go in, and the output has the shape {outputs.shape[1:]}")
    return outputs.reshape(runs * together, -1)[:images]


def _rows(entries: list[_Entry], given: DataSet) -> list[dict[str, Any]]:
    """A row for each model, against the last one before it that could be run."""
    rows, before = [], None
    for entry in entries:
        rows.append(_row(entry, before, given))
        before = entry.answers or before
    return rows


def _row(entry: _Entry, before: _Answers | None, given: DataSet) -> dict[str, Any]:
    answers = entry.answers
    correct = None if answers is None else int((answers.classes == given.labels).sum())
    changed = None if before is None or answers is None else _changes(before, answers)
    return {
        "model": entry.name,
        "correct": correct,
        "top1": None if correct is None else round(correct / len(given.labels), 6),
        "changed_predictions": None if changed is None else changed[0],
        "changed_outputs": None if changed is None else changed[1],
        "note": answers.note if answers is not None else "",
        "not_executable": entry.reason if answers is None else None,
    }


def _changes(before: _Answers, now: _Answers) -> tuple[int, int | None]:
    """For how many images predictions and outputs differ; None for outputs that are not of one kind."""
    predictions = int((now.classes != before.classes).sum())
    if before.indices != now.indices or before.outputs.shape != now.outputs.shape:
        return predictions, None
    same = np.isclose(now.outputs, before.outputs, atol=_ATOL, rtol=_RTOL, equal_nan=True)
    return predictions, int((~same.all(axis=1)).sum())


def _first_change(entries: list[_Entry], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first model whose predictions are not those of the one before, or which is at odds with itself."""
    last = None
    skipped: list[str] = []
    for entry, row in zip(entries, rows, strict=True):
        if row["changed_predictions"] or (entry.broken and last is not None):
            return {
                "after": [*skipped, row["model"]],
                "predictions": row["changed_predictions"],
                "top1_before": last["top1"] if last else None,
                "top1_after": row["top1"],
                "reason": row["not_executable"],
            }
        if row["not_executable"] is not None:
            skipped.append(row["model"])
        else:
            last, skipped = row, []
    return None


def _said(change: dict[str, Any]) -> str:
    names = " or ".join(map(_step_of, change["after"]))
    if change["reason"] is not None:
        return f"the model is at odds with itself after {names}: {change['reason']}"
    before, after = (f"{100 * change[key]:.2f} %" for key in ("top1_before", "top1_after"))
    return f"predictions change after {names}: for {change['predictions']} images, top-1 {before} -> {after}"
