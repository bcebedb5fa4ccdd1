"""What is left of a transform that failed where the build goes on: a file in FINN's output folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

from finnmake.engine.session import ARTIFACTS
from finnmake.engine.state import StepCall
from finnmake.errors import FinnmakeError

#: The folder in FINN's output folder.
FOLDER = "preprocessing"

#: Where an object lies in memory, which differs from run to run: results that are kept must not.
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def passed_over(call: StepCall, error: Exception) -> None:
    """Write down that a transform failed and the model stayed as it was: `preprocessing/NNN_<name>.json`.

    NNN is its place in the flow: a transform may stand there twice.
    """
    words = error.message if isinstance(error, FinnmakeError) else f"{type(error).__name__}: {error}"
    value = {"transform": call.name, "on_error": "passthrough", "error": _ADDRESS.sub("0x...", words)}
    target = Path(ARTIFACTS, FOLDER, f"{call.position:03}_{call.name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
