"""The FINN backend's adapter for the engine, and all of FINN's quirks.

The worker imports this module by name and calls `preload`, `load`, `run` and `save`. Steps, QONNX
transforms and analyses are found by their dotted target; FINN's own steps through FINN's table of steps.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from finnmake.backends import placeholders
from finnmake.backends.finn_checks import check_folding
from finnmake.backends.finn_kernels import specialize
from finnmake.backends.finn_nodes import explain
from finnmake.backends.finn_tools import check_tools
from finnmake.backends.passthrough import passed_over
from finnmake.blueprint.tables import KERNELS_FIELD, SPECIALIZE_STEP, path_fields
from finnmake.engine.paths import PROJECT_LINK
from finnmake.engine.recording import RecordedFields
from finnmake.engine.session import ARTIFACTS, INPUTS
from finnmake.engine.state import StepCall
from finnmake.error_patterns import find_pattern
from finnmake.errors import BlueprintError, FinnmakeError, StepError, ToolError

if TYPE_CHECKING:
    from finn.builder.build_dataflow_config import DataflowBuildConfig
    from qonnx.core.modelwrapper import ModelWrapper

#: FINN's own steps are looked up in its table of steps under this module.
_STEPS = "finn.builder.build_dataflow_steps"

#: Steps that apply a file of node attributes -> the field that names the file.
_CHECKED = {f"{_STEPS}:step_apply_folding_config": "folding_config_file"}

#: How many things FINN and Vivado do at once within a step, unless NUM_DEFAULT_WORKERS says it.
_WORKERS = "4"

#: Attributes by which a configuration is copied or written out whole.
_WHOLE = frozenset(("__dict__", "__getstate__", "__reduce__", "__reduce_ex__"))


def preload() -> None:
    """Import FINN, QONNX and ONNX: 2 to 8 s, once a run."""
    placeholders.install()
    os.environ["FINN_SETTINGS"] = os.devnull + "/none"
    os.environ["FINN_BUILD_DIR"] = os.environ["HOME"]
    settings = importlib.import_module("finn.util.settings")
    settings.initialize_dummy_settings()
    _prepare_vivado(settings.get_settings())
    _import_steps()
    importlib.import_module("qonnx.transformation.general")
    _recording_class()


def _prepare_vivado(settings: Any) -> None:
    """The variables that FINN's command line sets: the scripts that it writes for Vivado read them."""
    # FINN's default depends on the processors of the machine, and gets into scripts that it writes.
    settings.num_default_workers = os.environ.get("NUM_DEFAULT_WORKERS", _WORKERS)
    os.environ["FINN_RTLLIB"] = str(settings.finn_rtllib)
    os.environ["FINN_CUSTOM_HLS"] = str(settings.finn_custom_hls)
    os.environ["XILINX_LOCAL_USER_DATA"] = "no"  # parallel runs would share a folder in the home folder


def _import_steps() -> None:
    """Import FINN's steps, and have them say in words why there is no RTL simulation.

    They import the name of the simulation engine, for annotations alone. FINN's look-up behind that name
    compiles an extension against Vivado: only a step that simulates shall do that.
    """
    xsi = importlib.import_module("finn.xsi")
    names = vars(xsi)
    names["SimEngine"] = object
    importlib.import_module(_STEPS)
    del names["SimEngine"]
    names["ensure_available"] = functools.partial(_simulation, xsi.is_available)


def _simulation(is_available: Callable[[], bool]) -> bool:
    """Whether RTL simulation can run: FINN's own check, which compiles what is missing.

    Raises ToolError with what it lacks, where FINN's check only prints that.
    """
    if is_available():
        return True
    lacking = importlib.import_module("finn.xsi.setup").check_prerequisites()
    raise ToolError(
        "RTL simulation needs FINN's extension xsi.so, which cannot be made here: "
        + ("; ".join(reason.rstrip(".") for reason in lacking) or "the log says why"),
        cure="Mend that, or take the step out: synthesis and stitched IP do not need simulation.",
    )


def load(model: Path) -> ModelWrapper:
    """The ONNX file as QONNX's ModelWrapper."""
    wrapper = importlib.import_module("qonnx.core.modelwrapper")
    return wrapper.ModelWrapper(str(model))


def save(loaded: ModelWrapper) -> bytes:
    """The bytes of an ONNX file; maps inside it are written in a fixed order."""
    data: bytes = loaded.model.SerializeToString(deterministic=True)
    return data


def run(call: StepCall, loaded: ModelWrapper, config: RecordedFields, work: Path) -> ModelWrapper:
    """Run one step, transform or analysis.

    Raises FinnmakeError, or NodeFailure from whatever the step raises.
    """
    _prepare(work)
    runners = {"transform": _transform, "step": _step, "analysis": _analysis}
    try:
        return runners[call.kind](call, loaded, config)
    except FinnmakeError:
        raise
    except Exception as error:
        raise explain(error, loaded) from error


def _prepare(work: Path) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stderr, force=True
    )
    os.environ["FINN_BUILD_DIR"] = str(work)
    if "finn.util.settings" in sys.modules:  # other releases of FINN than finn-plus have no such module
        sys.modules["finn.util.settings"].get_settings().finn_build_dir = work


def _target(call: StepCall) -> Any:
    """What the call names. Raises StepError where the module has no such name."""
    module_name, _, attribute = call.target.partition(":")
    if module_name == _STEPS:
        return importlib.import_module(_STEPS).build_dataflow_step_lookup[attribute]
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise StepError(
            call.name,
            f"module {module_name!r} has no {attribute!r}",
            category="config",
            cure="Correct the name in the blueprint, or define it in the plugin.",
        )
    return getattr(module, attribute)


def _transform(call: StepCall, loaded: ModelWrapper, config: RecordedFields) -> ModelWrapper:
    """Apply a transform to a copy of the model. What it raises is told, not raised, where it may fail.

    Wrong parameters, an unknown name and trouble with memory or files are no failures of the transform.
    """
    transformation = _target(call)(**call.parameters)
    try:
        return _checked(call, loaded.transform(transformation))
    except (MemoryError, OSError, BlueprintError):
        raise
    except Exception as error:
        if not call.passthrough or _ran_out_of_memory(error):
            raise
        traceback.print_exc()
        passed_over(call, error)
        return loaded


def _ran_out_of_memory(error: Exception) -> bool:
    """Whether a message of ONNX Runtime's, or of a tool, means that; they raise no MemoryError."""
    found = find_pattern(f"{type(error).__name__}: {error}")
    return found is not None and found.category == "memory"


def _step(call: StepCall, loaded: ModelWrapper, config: RecordedFields) -> ModelWrapper:
    function = _target(call)
    recording, values = _recording_config(config)
    module, _, own_step = call.target.partition(":")
    if module == _STEPS:
        check_tools(own_step, recording, loaded, os.environ)
    field = _CHECKED.get(call.target)
    if field is not None and getattr(recording, field) is not None:
        path = getattr(recording, field)
        check_folding(loaded, path, str(path).removeprefix(f"{PROJECT_LINK}/"))

    def apply(model: ModelWrapper) -> ModelWrapper:
        return _checked(call, function(model, recording, **call.parameters))

    # Only the step that needs them reads the kernels: all others are the same whatever is chosen.
    if call.target == SPECIALIZE_STEP and KERNELS_FIELD in config:
        result = specialize(call.name, loaded, recording, config[KERNELS_FIELD], apply)
    else:
        result = apply(loaded)
    _keep_changes(call, recording, values, config)
    return result


def _analysis(call: StepCall, loaded: ModelWrapper, config: RecordedFields) -> ModelWrapper:
    """Run an analysis: its value becomes `postprocessing/<name>.json` in the output folder."""
    from finnmake.plugins import Build

    build = Build(
        config=dict(call.parameters["config"]),
        metrics=dict(call.parameters["metrics"]),
        artifacts=Path(ARTIFACTS),
        model=loaded,
        models=Path(INPUTS),
        project=Path(PROJECT_LINK),
    )
    value = _target(call)(build, **call.parameters["parameters"])
    if not isinstance(value, Mapping):
        raise StepError(
            call.name,
            f"the analysis returned {type(value).__name__}, not a dictionary",
            category="postprocessing",
            cure="Return what is to stand in postprocessing/<name>.json.",
        )
    target = Path(ARTIFACTS, "postprocessing") / f"{call.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_json(call, value))
    return loaded


def _json(call: StepCall, value: Mapping[Any, Any]) -> str:
    """What an analysis returned as JSON, in its own order. Raises StepError for what JSON cannot hold."""
    try:
        return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise StepError(
            call.name,
            f"the analysis returned what JSON cannot hold: {error}",
            category="postprocessing",
            cure="Return text, finite numbers, booleans, None, lists and dictionaries; of NumPy `tolist()`.",
        ) from error


def _checked(call: StepCall, result: Any) -> ModelWrapper:
    wrapper = importlib.import_module("qonnx.core.modelwrapper")
    if not isinstance(result, wrapper.ModelWrapper):
        raise StepError(
            call.name,
            f"the {call.kind} returned {type(result).__name__}, not a model",
            category="transform",
            cure="Return the ModelWrapper (a Transformation's apply returns the model and a flag).",
        )
    return result


@functools.cache
def _recording_class() -> Any:
    """DataflowBuildConfig that notes every field that is read in `notes`; made once, as that takes 30 ms."""
    base = importlib.import_module("finn.builder.build_dataflow_config").DataflowBuildConfig
    names = frozenset(base.__dataclass_fields__)

    class Recording(base):  # type: ignore[misc, valid-type]
        """FINN's configuration under recording."""

        notes: ClassVar[RecordedFields]

        def __getattribute__(self, name: str) -> Any:
            if name in names:
                Recording.notes.note(name)
            elif name in _WHOLE:
                for every in names:
                    Recording.notes.note(every)
            return object.__getattribute__(self, name)

    Recording.__name__ = Recording.__qualname__ = base.__name__
    return Recording


def _recording_config(config: RecordedFields) -> tuple[DataflowBuildConfig, dict[str, str]]:
    """FINN's configuration, which notes every field that is read, and its values as they are now."""
    recording = _recording_class()
    base = recording.__mro__[1]
    fields = {name: value for name, value in config.raw().items() if name != KERNELS_FIELD}
    values = base.from_dict({**_located(fields), "output_dir": ARTIFACTS})
    recording.notes = config
    values.__class__ = recording
    state = object.__getattribute__(values, "__dict__")
    return values, {name: repr(value) for name, value in state.items()}


def _located(values: Mapping[str, Any]) -> dict[str, Any]:
    """Paths inside the project, as the step's folder sees them: the same in every checkout."""
    relative = [
        name for name in path_fields() & values.keys() if values[name] and not os.path.isabs(values[name])
    ]
    return {**values, **{name: f"{PROJECT_LINK}/{values[name]}" for name in relative}}


def _keep_changes(
    call: StepCall, recording: DataflowBuildConfig, before: Mapping[str, Any], config: RecordedFields
) -> None:
    """Fields that the step changed are part of its result. Raises StepError for what JSON cannot hold."""
    for name, value in object.__getattribute__(recording, "__dict__").items():
        if before.get(name) == repr(value):
            continue
        try:
            config.overrides[name] = json.loads(json.dumps(value))
        except TypeError as error:
            raise StepError(
                call.name,
                f"the step set the configuration field {name!r} to a {type(value).__name__}",
                category="config",
                cure="Set plain values only: a later step must be able to see them.",
            ) from error
