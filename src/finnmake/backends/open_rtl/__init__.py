"""The backend open_rtl: FINN's layers as RTL, stitched, simulated and synthesised with open tools alone.

This module is its adapter for the engine, which is FINN's: the backend is a list of steps. Those that are not
FINN's are in `steps`, which the worker imports when it runs one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.backends import finn
from finnmake.backends.finn import load, preload, save
from finnmake.engine import parts
from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

__all__ = ["PARTS_FOLDER", "load", "preload", "run", "save"]

#: Variable: the folder of the store for results of parts of steps, see `finnmake.engine.parts`.
PARTS_FOLDER = "FINNMAKE_OPEN_RTL_PARTS"


def run(call: StepCall, loaded: ModelWrapper, config: RecordedFields, work: Path) -> ModelWrapper:
    """Run one step, transform or analysis, as the backend finn does. Raises what they raise."""
    os.environ[PARTS_FOLDER] = str(work.parents[1] / parts.FOLDER / "open_rtl")
    return finn.run(call, loaded, config, work)
