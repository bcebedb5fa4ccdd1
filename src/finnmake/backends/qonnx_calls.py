"""Transforms and analyses for the adapters of other backends, run with QONNX as the backend `finn` runs them.

An adapter takes `load` and `save` from here as its own, calls `preload` in its own, and gives `run` the calls
that are not its business. Public: packages with a backend of their own may import it.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.backends import finn, placeholders
from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall
from finnmake.errors import StepError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

#: The kinds of calls that `run` takes.
KINDS = ("transform", "analysis")


def preload() -> None:
    """Import QONNX, and FINN where it is finn-plus: 2 to 8 s, once a run."""
    if importlib.util.find_spec("finn.util.settings") is not None:
        finn.preload()
        return
    placeholders.install()
    importlib.import_module("qonnx.core.modelwrapper")
    importlib.import_module("qonnx.transformation.general")


def load(model: Path) -> ModelWrapper:
    """The ONNX file as QONNX's ModelWrapper."""
    return finn.load(model)


def save(loaded: ModelWrapper) -> bytes:
    """The bytes of an ONNX file, the same for the same model."""
    return finn.save(loaded)


def run(call: StepCall, loaded: ModelWrapper, config: RecordedFields, work: Path) -> ModelWrapper:
    """Apply a transform, or run an analysis, which leaves `artifacts/postprocessing/<name>.json`.

    Args:
        call: as the adapter got it.
        loaded: the model.
        config: as the adapter got it.
        work: likewise.

    Raises:
        StepError: the call is of another kind.
        FinnmakeError, NodeFailure: from whatever the plugin raises.
    """
    if call.kind not in KINDS:
        raise StepError(
            call.name,
            f"a {call.kind} of the blueprint is none of {' and '.join(KINDS)}",
            category="config",
            cure="Take it out, or build with the backend finn.",
        )
    return finn.run(call, loaded, config, work)
