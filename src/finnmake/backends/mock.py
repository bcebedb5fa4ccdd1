"""The mock backend's adapter for the engine: runs no FINN, and says so in all that it leaves.

For trying blueprints, design spaces and the engine itself at scale. Every step, transform and plugin of the
blueprint is simulated: none of their code is run. A step appends one entry to the ONNX file's
`metadata_props`, `finnmake.mock.1`, `finnmake.mock.2` …, which says so; the graph stays as it came. Its
result depends on what the FINN step of that name reads, so that configurations share steps as with FINN.
The estimate reports come from a toy model (`mock_figures`). Of an analysis nothing is known: its file
says `{"simulated": true}`.

Two parameters, of any step, transform or analysis, are for trying what goes wrong: `sleep: SECONDS` waits
first, `fail: true` then fails, or `fail: CATEGORY` with an error of that category. `mock` in the blueprint
gives them to the steps of its configurations (`mock_failures`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.backends import onnx_metadata
from finnmake.backends.mock_figures import DEFAULT_CLOCK_NS, Design, reports
from finnmake.backends.passthrough import passed_over
from finnmake.blueprint.tables import KERNELS_FIELD, STEP_MODULE, boards, path_fields
from finnmake.engine.paths import PROJECT_LINK
from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall
from finnmake.errors import Location, ModelError, StepError
from finnmake.hashing import digest_bytes, digest_file, digest_value

#: FINN's step -> the configuration fields that it reads, as measured with finn-plus 1.6. What is not listed
#: (other steps, transforms, plugins) reads none. `board` is read besides, where there is no `fpga_part`.
FIELDS = {
    "step_qonnx_to_finn": ("max_multithreshold_bit_width", "verify_steps"),
    "step_tidy_up": ("verify_steps",),
    "step_streamline": ("verify_steps",),
    "step_convert_to_hw": ("standalone_thresholds", "requant_bitwidth_threshold", "infer_shuffle_skip_first"),
    "step_minimize_bit_width_initial": ("minimize_bit_width",),
    "step_create_dataflow_partition": ("output_dir", "save_intermediate_models"),
    "step_specialize_layers": ("fpga_part", "specialize_layers_config_file", KERNELS_FIELD),
    "step_target_fps_parallelization": (
        "target_fps",
        "synth_clk_period_ns",
        "mvau_wwidth_max",
        "folding_two_pass_relaxation",
        "output_dir",
    ),
    "step_apply_folding_config": ("folding_config_file",),
    "step_minimize_bit_width": ("minimize_bit_width", "verify_steps"),
    "step_generate_estimate_reports": (
        "generate_outputs",
        "fpga_part",
        "synth_clk_period_ns",
        "multi_dnn_config_path",
        "output_dir",
    ),
    "step_hw_codegen": ("fpga_part", "synth_clk_period_ns", "hls_clk_period_ns", "debug_fifo"),
}

#: Fields that the toy model's formulas use, or that say only where files go: they do not change its flavour.
_IN_FORMULAS = frozenset(
    (
        *("board", "fpga_part", "generate_outputs", "output_dir", "save_intermediate_models"),
        *("synth_clk_period_ns", "target_fps", KERNELS_FIELD),
    )
)

#: Parameters that say how a call behaves, not what it would do.
_BEHAVIOUR = frozenset(("sleep", "fail"))

#: Keys of the entries that steps leave, before their number: ONNX wants every key once.
KEY = "finnmake.mock."

#: Seconds; what is asked for beyond is a mistake.
_LONGEST_SLEEP = 86_400

#: Category of errors -> what a simulated failure says has happened.
FAILURES = {
    "model_load": "the model cannot be read",
    "preprocessing": "a transform before the steps fails",
    "transform": "a transformation of the graph fails",
    "kernel": "an operator has no hardware layer",
    "synthesis": "synthesis ends without a result",
    "timing": "timing is not met",
    "resource": "the design does not fit the device",
    "memory": "there is not enough memory",
    "environment": "a tool is missing",
    "config": "the configuration is wrong",
    "postprocessing": "an analysis fails",
    "unknown": "something fails that nobody has foreseen",
}

#: What stands in for the JSON of an analysis.
_NO_ANALYSIS = {"simulated": True}


@dataclass(frozen=True)
class Simulated:
    """The model between steps: the ONNX file's bytes, and what its last entry says.

    Attributes:
        data: the file.
        entries: how many steps have left an entry.
        digest: of everything that led here.
        design: what the toy model goes by.
    """

    data: bytes
    entries: int
    digest: str
    design: Design = field(default_factory=Design)


def preload() -> None:
    """Read the table of FINN's fields, once for all children."""
    path_fields()


def load(model: Path) -> Simulated:
    """The ONNX file, with what the last simulated step left. Raises ModelError."""
    data = model.read_bytes()
    try:
        values = [value for key, value in onnx_metadata.read(data) if key.startswith(KEY)]
    except ValueError as error:
        raise ModelError(str(error), where=Location(path=model), cure="Export it again.") from error
    if not values:
        return Simulated(data, 0, digest_bytes(data))
    last = json.loads(values[-1])
    return Simulated(data, len(values), last["digest"], Design.from_dict(last["design"]))


def save(loaded: Simulated) -> bytes:
    """The bytes of the ONNX file."""
    return loaded.data


def run(call: StepCall, loaded: Simulated, config: RecordedFields, work: Path) -> Simulated:
    """Pretend to run one step, transform or analysis. Raises StepError where its parameters ask for it."""
    print(f"{call.kind} {call.name}: simulated by finnmake's backend mock, nothing was run")
    try:
        _misbehave(call)
    except StepError as error:
        if not call.passthrough or error.category == "config":
            raise
        passed_over(call, error)
        return loaded
    if call.kind == "analysis":
        _write(Path("artifacts/postprocessing") / f"{call.name}.json", _NO_ANALYSIS)
        return loaded
    module, _, step = call.target.partition(":")
    step = step if module == STEP_MODULE else ""
    fields = _read_fields(call, step, config)
    design = _next_design(call, step, fields, loaded.design)
    if step == "step_generate_estimate_reports":
        _write_reports(fields, design)
    return _with_entry(call, fields, loaded, design)


def _misbehave(call: StepCall) -> None:
    """What the parameters `sleep` and `fail` ask for. Raises StepError."""
    asked = call.parameters.get("parameters", {}) if call.kind == "analysis" else call.parameters
    pause = asked.get("sleep", 0)
    if isinstance(pause, bool) or not isinstance(pause, (int, float)) or not 0 <= pause <= _LONGEST_SLEEP:
        raise StepError(
            call.name,
            f"the backend mock cannot sleep for {pause!r}",
            category="config",
            cure="Give `sleep` as seconds, e.g. 0.5.",
        )
    if pause:  # a sleep of nothing takes longer than the rest of the step
        time.sleep(pause)
    fail = asked.get("fail", False)
    if fail is True:
        fail = "postprocessing" if call.kind == "analysis" else "transform"
    if isinstance(fail, str) and fail in FAILURES:
        raise StepError(
            call.name,
            f"simulated failure, as the blueprint asks the backend mock for: {FAILURES[fail]}",
            category=fail,
            cure=f"Nothing is wrong: take `fail`, or {fail} below `mock.failures`, out of the blueprint.",
        )
    if fail is not False:
        raise StepError(
            call.name,
            f"the backend mock cannot fail with {fail!r}",
            category="config",
            cure=f"Give `fail` as true, or as one of {', '.join(FAILURES)}.",
        )


def _read_fields(call: StepCall, step: str, config: RecordedFields) -> dict[str, Any]:
    """The fields that FINN's step reads, with a digest in place of each file that one names."""
    names = FIELDS.get(step, ())
    fields = {name: config.get(name) for name in names}
    if "fpga_part" in names and fields["fpga_part"] is None:
        fields["board"] = config.get("board")
    for name in path_fields().intersection(fields):
        path = fields[name]
        fields[name] = None if path is None else _file_digest(call, name, path)
    return fields


def _file_digest(call: StepCall, name: str, path: str) -> str:
    """The digest of a file that the configuration names, which makes it an input. Raises StepError."""
    place = Path(path) if os.path.isabs(path) else Path(PROJECT_LINK, path)
    try:
        return digest_file(place)
    except OSError as error:
        raise StepError(
            call.name,
            f"{name}: {path} cannot be read: {error.strerror}",
            category="config",
            cure="Correct the path in the blueprint.",
        ) from error


def _next_design(call: StepCall, step: str, fields: Mapping[str, Any], design: Design) -> Design:
    """What the toy model goes by after this step."""
    if step == "step_target_fps_parallelization":
        design = design.folded(fields["target_fps"], _clock_ns(fields))
    if step == "step_specialize_layers":
        design = design.specialized(fields[KERNELS_FIELD] or {})
    others = {name: value for name, value in fields.items() if name not in _IN_FORMULAS}
    if attributes := _attributes(fields):
        others["attributes"] = attributes
    return design.flavoured([call.target, _parameters(call), others])


def _parameters(call: StepCall) -> dict[str, Any]:
    """What the call would do; how it behaves on the way changes no result."""
    return {name: value for name, value in call.parameters.items() if name not in _BEHAVIOUR}


def _attributes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of kernels that have any: the formulas name only the kernels and their backends."""
    kernels = fields.get(KERNELS_FIELD) or {}
    return {name: chosen["attributes"] for name, chosen in kernels.items() if chosen.get("attributes")}


def _clock_ns(fields: Mapping[str, Any]) -> float:
    return float(fields["synth_clk_period_ns"] or DEFAULT_CLOCK_NS)


def _write_reports(fields: Mapping[str, Any], design: Design) -> None:
    """FINN's estimate reports, where FINN would write them."""
    if "estimate_reports" not in (fields["generate_outputs"] or ()):
        return
    part = fields["fpga_part"] or boards().get(fields["board"] or "", "")
    for name, report in reports(design, _clock_ns(fields), part).items():
        _write(Path("artifacts/report") / name, report)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def _with_entry(call: StepCall, fields: Mapping[str, Any], loaded: Simulated, design: Design) -> Simulated:
    """The model with one more entry, which says what was simulated and carries what later steps need."""
    inputs = [call.target, _parameters(call), dict(fields), loaded.digest]
    digest = digest_value("mock", inputs)
    value = {
        "simulated": "by finnmake's backend mock: FINN did not run",
        "step": call.name,
        "digest": digest,
        "design": design.to_dict(),
    }
    key = f"{KEY}{loaded.entries + 1}"
    entry = onnx_metadata.entry(key, json.dumps(value, sort_keys=True))
    return Simulated(loaded.data + entry, loaded.entries + 1, digest, design)
