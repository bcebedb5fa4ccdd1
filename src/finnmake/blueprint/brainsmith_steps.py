"""The names that steps have in Brainsmith alone, for blueprints that are built with it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from finnmake.blueprint import schema
from finnmake.blueprint.inherit import Chain
from finnmake.blueprint.names import NameCatalog

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

#: The one that chooses a backend for each kernel, as FINN's `step_specialize_layers` does.
SPECIALIZE_STEP = "brainsmith.registry:build_hw_graph"

#: A name with its source, e.g. `project:my_step`: Brainsmith looks it up there.
_QUALIFIED = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*")


class WithBrainsmith:
    """A `NameCatalog` with the names of another, and those of Brainsmith's steps."""

    def __init__(self, known: NameCatalog) -> None:
        self._known = known

    def find(self, kind: str, name: str) -> str | None:
        """The target of a name, or None; one of Brainsmith's steps leads to its registry."""
        found = self._known.find(kind, name)
        if found is None and kind == "step" and (name in STEPS or _QUALIFIED.fullmatch(name)):
            return f"brainsmith.registry:{name}"
        return found

    def names(self, kind: str) -> Iterable[str]:
        """All names of the kind, for suggestions."""
        return [*self._known.names(kind), *(STEPS if kind == "step" else ())]


def names_for(files: Chain, known: NameCatalog) -> NameCatalog:
    """The names that a blueprint may use: Brainsmith's too where it asks for that backend."""
    asked = next((root.value["backend"].value for root in files.files if "backend" in root.value), None)
    own = schema.BACKEND_ALIASES.get(asked, asked) if isinstance(asked, str) else None
    return WithBrainsmith(known) if own == "brainsmith" else known
