"""An adapter without FINN: the model is a JSON list of strings; steps are functions in plugins."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall


class Config(MutableMapping[str, Any]):
    """What a step gets: reading is noted, writing is an override; `work` is its build folder."""

    def __init__(self, fields: RecordedFields, work: Path) -> None:
        self._fields = fields
        self.work = work

    def __getitem__(self, name: str) -> Any:
        return self._fields.overrides[name] if name in self._fields.overrides else self._fields[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields.overrides[name] = value

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError

    def __iter__(self):
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def preload() -> None:
    if os.environ.get("TOY_PRELOAD") == "die":
        os._exit(3)
    if os.environ.get("TOY_PRELOAD") == "raise":
        raise ImportError("no toy today")


def load(model: Path) -> list[str]:
    return json.loads(model.read_text())


def run(call: StepCall, loaded: list[str], config: RecordedFields, work: Path) -> list[str]:
    module, _, attribute = call.target.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    return function(loaded, Config(config, work), **call.parameters)


def save(loaded: list[str]) -> bytes:
    return json.dumps(loaded).encode()


def pid(model: list[str], config: Config) -> list[str]:
    """A step of the toolchain itself: the child that ran it can be used again."""
    print("pid", os.getpid())
    return [*model, "pid"]


def look_around(model: list[str], config: Config) -> list[str]:
    """A step of the toolchain that reports what it finds around it."""
    import sys
    import tempfile

    handle, name = tempfile.mkstemp()
    os.close(handle)
    print("look")
    around = [sorted(os.listdir(".")), os.environ.get("LEFT", ""), "left" in sys.path, Path(name).name]
    return [*model, json.dumps(around)]


def mess_up(model: list[str], config: Config) -> list[str]:
    """A step of the toolchain that leaves everything changed behind it."""
    import sys
    import tempfile

    tempfile.mkstemp()
    Path("rubbish").write_text("x")
    Path("artifacts/empty").mkdir()
    os.environ["LEFT"] = "1"
    sys.path.append("left")
    os.chdir("/")
    sys.stdout = None
    return [*model, "mess"]


def mess_up_elsewhere(model: list[str], config: Config) -> list[str]:
    """Changes a file of the output folder at once after the step before it wrote one of the same size."""
    Path("artifacts/x").write_text(f"{len(model)}")
    return [*model, "x"]
