"""The steps that Brainsmith has, for blueprints that are built with it: its own, and those of its FINN."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from finnmake.blueprint import open_rtl_steps, schema, tables
from finnmake.blueprint.inherit import Chain
from finnmake.blueprint.names import NameCatalog, did_you_mean
from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from finnmake.errors import BlueprintError

#: The backend's name.
BRAINSMITH = "brainsmith"

#: The steps of Brainsmith 0.1 that FINN does not have: brainsmith/steps/ of microsoft/Brainsmith.
STEPS = (
    "apply_parallelization_config",
    "bert_cleanup",
    "bert_streamlining",
    "build_dataflow_graph",
    "build_hw_graph",
    "constrain_folding_and_set_pumped_compute",
    "explore_kernel_params",
    "normalize_dataflow_layouts",
    "shell_metadata_handover",
)

#: The steps up to the estimates, and what comes after them for `rtl` and `bitfile`, in the order of
#: `default_build_dataflow_steps`; all are in each release of the registry.
_ESTIMATES = (
    "qonnx_to_finn",
    "tidy_up",
    "streamline",
    "convert_to_hw",
    "create_dataflow_partition",
    "specialize_layers",
    "target_fps_parallelization",
    "apply_folding_config",
    "minimize_bit_width",
    "generate_estimate_reports",
)
_STITCHED_IP = ("hw_codegen", "hw_ipgen", "set_fifo_depths", "create_stitched_ip")
_BITFILE = (
    "measure_rtlsim_performance",
    "out_of_context_synthesis",
    "synthesize_bitfile",
    "make_driver",
    "deployment_package",
)

#: FINN's steps as FINN registers them with Brainsmith: `_discover_steps` of
#: src/finn/util/brainsmith_integration.py in Xilinx/finn, branch custom/transformer, commit 15fbf080b. An
#: earlier release does without `transpose_decomposition`. finn-plus has more steps, which are not there.
FINN_STEPS = (*_ESTIMATES, "transpose_decomposition", *_STITCHED_IP, *_BITFILE)

#: Output stage -> the steps that `default` stands for.
_DEFAULTS = {
    "ESTIMATES": _ESTIMATES,
    "STITCHED_IP": (*_ESTIMATES, *_STITCHED_IP),
    "BITFILE": (*_ESTIMATES, *_STITCHED_IP, *_BITFILE),
}

#: The one that chooses a backend for each kernel, as FINN's `step_specialize_layers` does.
SPECIALIZE_STEP = "brainsmith.registry:build_hw_graph"

#: A name with its source, e.g. `project:my_step`: Brainsmith looks it up there.
_QUALIFIED = re.compile(r"([A-Za-z_]\w*):([A-Za-z_]\w*)")

#: Keys of a blueprint that only Brainsmith's have.
_MARKS = ("clock_ns", "output", "board", "finn_config")

#: How finnmake and FINN begin the names of FINN's steps, and Brainsmith does not.
_STEP = "step_"


class WithBrainsmith:
    """A `NameCatalog` with the names of another, but of the steps those that Brainsmith has."""

    def __init__(self, known: NameCatalog) -> None:
        self._known = known

    def find(self, kind: str, name: str) -> str | None:
        """The target of a name, or None; one of Brainsmith's steps leads to its registry.

        Raises BlueprintError for a step that is known here and not there.
        """
        found = self._known.find(kind, name)
        if kind != "step":
            return found
        if found is not None or name in STEPS or _QUALIFIED.fullmatch(name):
            registered(name)
            return found or f"brainsmith.registry:{name}"
        return None

    def names(self, kind: str) -> Iterable[str]:
        """All names of the kind, for suggestions."""
        return _names() if kind == "step" else self._known.names(kind)

    def parameters(self, kind: str, name: str) -> Sequence[str] | None:
        """As the other's: none of Brainsmith's steps is a plugin here."""
        return self._known.parameters(kind, name)


def registered(name: str) -> str:
    """A step's name as Brainsmith registers it. Raises BlueprintError for a step that it does not have."""
    qualified = _QUALIFIED.fullmatch(name)
    if name in STEPS or (qualified and (qualified[1] != "finn" or qualified[2] in FINN_STEPS)):
        return name
    bare = name.removeprefix(_STEP)
    if bare != name and bare in FINN_STEPS:
        return bare
    if name in tables.step_names() or qualified:
        cure = f"{did_you_mean(name, _names())} It is a step of finn-plus: take it out"
    else:
        cure = "Let Brainsmith find it among its own and write it with its source, e.g. project:my_step"
    raise BlueprintError(
        f"Brainsmith has no step {name!r}", cure=f"{cure}, or build with the backend finn.".strip()
    )


def default_steps(backend: str, stage: str) -> tuple[str, ...]:
    """The steps that `default` stands for with a backend; beyond what Brainsmith reaches, its first ones."""
    if backend == OPEN_RTL:
        return open_rtl_steps.default_steps(stage)
    if backend != BRAINSMITH:
        return schema.default_steps(stage)
    return tuple(f"{_STEP}{name}" for name in _DEFAULTS.get(stage, _ESTIMATES))


def in_brainsmiths_words(files: Chain) -> bool:
    """Whether a blueprint, or one that it extends, is written in the words of Brainsmith."""
    return any(mark in root.value for root in files.files for mark in _MARKS)


def names_for(files: Chain, known: NameCatalog) -> NameCatalog:
    """The names that a blueprint may use: Brainsmith's where it asks for that backend."""
    asked = next((root.value["backend"].value for root in files.files if "backend" in root.value), None)
    own = schema.BACKEND_ALIASES.get(asked, asked) if isinstance(asked, str) else None
    return WithBrainsmith(known) if own == BRAINSMITH else known


def _names() -> list[str]:
    return [*(f"{_STEP}{name}" for name in FINN_STEPS), *STEPS]
