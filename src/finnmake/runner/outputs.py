"""The folder of one configuration: what is written there, under which names, always by rename."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.engine.folders import wary
from finnmake.engine.state import is_ref
from finnmake.engine.store import Store
from finnmake.errors import StepError
from finnmake.whole import written_whole

if TYPE_CHECKING:
    from finnmake.engine.realize import StepOutcome

#: Where an analysis puts its file inside the step's output folder (see the adapter).
_ANALYSES = "postprocessing/"

#: What a file is called until it is whole, here and where the store places one.
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}", re.DOTALL)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a file with this text, visible only when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by this JSON value, laid out for people."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def remove_partial(builds: Path) -> None:
    """Remove what a run that was killed has left of files that it was writing. None may be writing now."""
    for parent, _, names in os.walk(builds):
        for name in filter(_PARTIAL.fullmatch, names):
            Path(parent, name).unlink(missing_ok=True)


def place_artifacts(
    store: Store, outcomes: Sequence[StepOutcome], folder: Path, checkpoints: bool
) -> dict[str, str]:
    """Make `folder` FINN's output folder after these steps; gives relative name -> store entry.

    With `checkpoints`, the model after each step stands in `intermediate_models/<step>.onnx`, as FINN's
    own builder keeps it. Files of an earlier build that this one does not have are removed.
    """
    wanted = dict(store.read_tree(outcomes[-1].state.tree))
    if checkpoints:
        for outcome in outcomes:
            if outcome.call.kind == "step":
                name = outcome.call.name.rpartition(".")[2]
                wanted[f"intermediate_models/{name}.onnx"] = outcome.state.model
    for name, entry in wanted.items():
        store.place(entry, folder / name)
    _remove_others(folder, wanted)
    return wanted


def _remove_others(folder: Path, wanted: Mapping[str, str]) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent) / name
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()
        if not os.listdir(parent) and Path(parent) != folder:
            Path(parent).rmdir()


def analysis_entry(store: Store, outcome: StepOutcome) -> str:
    """The store entry of the JSON file that an analysis wrote."""
    return store.read_tree(outcome.state.tree)[f"{_ANALYSES}{outcome.call.name}.json"]


def log_of(store: Store, outcomes: Sequence[StepOutcome], failure: StepError | None = None) -> str:
    """What the steps printed, one after another; the steps' own words are kept as they came."""
    parts = []
    for outcome in outcomes:
        info = outcome.trace["info"]
        how = "from the store" if outcome.hit else f"ran {info['seconds']:.2f} s"
        said = text_of(store.blob_path(info["log"])) if is_ref(info.get("log")) else None
        said = "(its log is no longer in the store)\n" if said is None else said
        parts.append(f"==== {outcome.call.name} ({how})\n{said}")
    if failure is not None and failure.log is not None:
        said = text_of(failure.log)
        said = "(its log is gone)\n" if said is None else said
        parts.append(f"==== {failure.step} (failed)\n{said}")
    return "\n".join(parts)


def text_of(path: Path) -> str | None:
    """What a plain file says; None for anything else: a step may have put a link or a pipe there."""
    try:
        with wary(path) as descriptor, open(descriptor, errors="replace", closefd=False) as stream:
            return stream.read()
    except OSError:
        return None
