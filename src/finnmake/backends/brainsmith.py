"""The Brainsmith backend's adapter for the engine: all steps of a configuration are one build of Brainsmith.

`marshal` writes the configuration as files of Brainsmith 0.1, `explore` runs Brainsmith on them and puts what
comes of it where FINN's outputs belong. Transforms before the steps and analyses run as with the backend
`finn`. Where Brainsmith is not installed, `explore` fails, and the files are there to be taken elsewhere.

Brainsmith: https://github.com/microsoft/Brainsmith, `brainsmith/dse/api.py` and `brainsmith/dse/types.py`.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.backends import qonnx_calls
from finnmake.backends.brainsmith_blueprint import as_yaml, blueprint, files, specification
from finnmake.engine.paths import PROJECT_LINK
from finnmake.engine.recording import RecordedFields
from finnmake.engine.session import ARTIFACTS
from finnmake.engine.state import StepCall
from finnmake.error_patterns import classify
from finnmake.errors import BlueprintError, StepError, ToolError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

#: Where the marshalled files lie, in FINN's output folder.
FOLDER = Path(ARTIFACTS, "brainsmith")
BLUEPRINT = FOLDER / "blueprint.yaml"
SPECIFICATION = FOLDER / "specification.json"

#: What Brainsmith leaves in a build's folder that is no output: copies of models, and what tells the time.
_NO_OUTPUT = frozenset(("input.onnx", "output.onnx", "time_per_step.json"))

#: So much of the logs of a build that failed is looked through for what is known.
_TAIL = 20_000


def preload() -> None:
    """Import QONNX, FINN where it is finn-plus, and Brainsmith, which imports its own FINN, where it is."""
    qonnx_calls.preload()
    _brainsmith()


@functools.cache
def _brainsmith() -> tuple[Callable[..., Any] | None, str]:
    """Brainsmith's `explore_design_space`, or why there is none."""
    try:
        return importlib.import_module("brainsmith").explore_design_space, ""
    except Exception as error:  # whatever its modules do when they are imported
        return None, f"{type(error).__name__}: {error}"


def load(model: Path) -> ModelWrapper:
    """The ONNX file as QONNX's ModelWrapper."""
    return qonnx_calls.load(model)


def save(loaded: ModelWrapper) -> bytes:
    """The bytes of an ONNX file."""
    return qonnx_calls.save(loaded)


def run(call: StepCall, loaded: ModelWrapper, config: RecordedFields, work: Path) -> ModelWrapper:
    """Run one call: a transform, an analysis, `marshal` or `explore`. Raises what they raise."""
    target = call.target.removeprefix(f"{__name__}:")
    if target == "marshal":
        return marshal(call, loaded, config)
    if target == "explore":
        return explore(call, loaded, work)
    return qonnx_calls.run(call, loaded, config, work)


def marshal(call: StepCall, loaded: ModelWrapper, config: RecordedFields) -> ModelWrapper:
    """Write the blueprint, what it names, and the specification. Raises BlueprintError."""
    flags = dict(config)
    text = as_yaml(blueprint(call.parameters, flags))
    told = specification(call.parameters, flags)
    FOLDER.mkdir(parents=True, exist_ok=True)
    BLUEPRINT.write_text(text)
    SPECIFICATION.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    for name, path in files(flags).items():
        _copy(path, FOLDER / name)
    print(text)
    return loaded


def _copy(path: str, target: Path) -> None:
    source = Path(path) if os.path.isabs(path) else Path(PROJECT_LINK, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise BlueprintError(
            f"{path} cannot be read: {error.strerror}", cure="Correct the path in the blueprint."
        ) from error


def explore(call: StepCall, loaded: ModelWrapper, work: Path) -> ModelWrapper:
    """Run Brainsmith on the marshalled files; gives the final model. Raises ToolError, StepError."""
    explore_design_space, reason = _brainsmith()
    if explore_design_space is None:
        raise ToolError(
            f"Brainsmith cannot be imported where the steps run ({reason})",
            cure="Install it there (https://github.com/microsoft/Brainsmith); or take this configuration's "
            f"processed_model.onnx and {FOLDER}/ to a machine that has it: "
            f"smith processed_model.onnx {BLUEPRINT}.",
        )
    model, out = Path("model.onnx").absolute(), Path("brainsmith").absolute()
    model.write_bytes(save(loaded))
    os.environ["FINN_BUILD_DIR"] = os.environ["BSMITH_BUILD_DIR"] = str(work)
    try:
        results = explore_design_space(str(model), str(BLUEPRINT.absolute()), output_dir=str(out))
        segment = _last_segment(results)
    except Exception as error:
        raise _failure(call, str(error) or type(error).__name__, out) from error
    _take_outputs(Path(segment.output_dir))
    return load(Path(segment.output_model))


def _last_segment(results: Any) -> Any:
    """The result of the last segment: a blueprint without branches has one. Raises ValueError."""
    segments = list(results.segment_results.values())
    failed = [each for each in segments if each.status.value != "completed"]
    if failed or not segments:
        words = [f"{each.segment_id}: {each.error or each.status.value}" for each in failed]
        raise ValueError("; ".join(words) or "Brainsmith built nothing")
    return segments[-1]


def _failure(call: StepCall, message: str, out: Path) -> StepError:
    """The error for a build that failed: of its kind by what the logs say, which this prints."""
    said = "".join(_logs(out))
    print(said, file=sys.stderr)
    category, cure = classify([message, said])
    return StepError(call.name, f"Brainsmith: {message}", category=category, cure=cure)


def _logs(out: Path) -> Iterator[str]:
    for path in sorted(out.rglob("*.log")):
        text = path.read_text(errors="replace")
        yield f"---- {path.relative_to(out)}\n{text[-_TAIL:]}\n"


def _take_outputs(folder: Path) -> None:
    """Put FINN's outputs (reports, models, IP) where those of the backend `finn` lie."""
    for source in sorted(folder.rglob("*")):
        name = source.relative_to(folder)
        if source.is_file() and source.suffix != ".log" and str(name) not in _NO_OUTPUT:
            target = ARTIFACTS / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
