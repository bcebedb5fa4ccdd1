"""Facts of FINN from `finn_tables.json`: configuration fields, steps, transformations, boards, kernels.

`finnmake.backends.generate_tables` writes the file. It is read once, when first asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from finnmake.blueprint import open_rtl_steps
from finnmake.blueprint.names import split_dotted
from finnmake.errors import BlueprintError

#: Beside this module.
TABLE_FILE = "finn_tables.json"

#: FINN's own steps are found in its table of steps under this module.
STEP_MODULE = "finn.builder.build_dataflow_steps"

#: The step that makes HLS or RTL layers of a model.
SPECIALIZE_STEP = f"{STEP_MODULE}:step_specialize_layers"

#: In the flags of a flow, beside the fields of `DataflowBuildConfig`: what the blueprint says of kernels,
#: kernel -> `backends` (in order of priority) and `attributes` (name -> value). Absent where it says nothing.
KERNELS_FIELD = "kernels"

#: Attributes of a kernel's nodes that the folding sets, whatever they were before.
FOLDING_ATTRIBUTES = ("PE", "SIMD")


class FieldType(NamedTuple):
    """What a field of `DataflowBuildConfig` may hold.

    Attributes:
        type: `float`, `int`, `bool`, `str`, `path`, `enum`, `list`, `dict` or `any`.
        optional: whether `null` is a value.
        choices: the values of an `enum`.
        item: the type of the items of a `list`.
    """

    type: str
    optional: bool = False
    choices: tuple[str, ...] = ()
    item: FieldType | None = None

    @property
    def depth(self) -> int:
        """How many lists are one inside the other in one value: 0 for a scalar."""
        if self.type != "list":
            return 0
        return 1 + (self.item.depth if self.item is not None else 0)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FieldType:
        """The type, from its entry in the table."""
        item = data.get("item")
        return cls(
            type=data["type"],
            optional=data.get("optional", False),
            choices=tuple(data.get("choices", ())),
            item=None if item is None else cls.from_dict(item),
        )


class KernelAttribute(NamedTuple):
    """A node attribute that can be set for all nodes of a kernel.

    Attributes:
        type: `int`, `float`, `str`, `ints`, `floats` or `strings`.
        choices: the values that FINN takes; empty where it takes any of the type.
        backends: those of the kernel's backends that have it.
    """

    type: str
    choices: tuple[int | str, ...] = ()
    backends: tuple[str, ...] = ()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name(TABLE_FILE).read_bytes())
    return table


def made_from() -> Mapping[str, str]:
    """Package -> version that the table was made from."""
    versions: dict[str, str] = _table()["made_from"]
    return versions


def config_field_names() -> Iterable[str]:
    """All fields of `DataflowBuildConfig`."""
    fields: dict[str, Any] = _table()["config_fields"]
    return fields.keys()


@cache
def config_field(name: str) -> FieldType | None:
    """The type of a field of `DataflowBuildConfig`; `None` where it has no such field."""
    entry = _table()["config_fields"].get(name)
    return None if entry is None else FieldType.from_dict(entry)


@cache
def path_fields() -> frozenset[str]:
    """The fields that hold a path, those too that FINN types as text."""
    return frozenset(name for name, entry in _table()["config_fields"].items() if entry["type"] == "path")


def step_names() -> Iterable[str]:
    """FINN's own steps."""
    names: list[str] = _table()["steps"]["names"]
    return names


def step_list(name: str) -> tuple[str, ...]:
    """One of FINN's lists of steps by its own name, e.g. `estimate_only_dataflow_steps`. Raises KeyError."""
    return tuple(_table()["steps"]["lists"][name])


def transform_names() -> Iterable[str]:
    """The transformation classes of QONNX and FINN."""
    transforms: dict[str, list[str]] = _table()["transforms"]
    return transforms.keys()


def transform_module(name: str) -> str | None:
    """The module that defines a transformation class; `None` where none does.

    Of a class that QONNX and FINN both define, QONNX's is meant. Raises BlueprintError where the name is
    ambiguous all the same.
    """
    modules: list[str] = _table()["transforms"].get(name, [])
    if len(modules) > 1:
        modules = [module for module in modules if module.startswith("qonnx.")] or modules
    if len(modules) > 1:
        raise BlueprintError(
            f"the transform {name!r} is defined in {' and in '.join(modules)}",
            cure=f"Write the one that is meant in full, e.g. {modules[0]}.{name}.",
        )
    return modules[0] if modules else None


def boards() -> Mapping[str, str]:
    """Board -> FPGA part, as FINN has it."""
    known: dict[str, str] = _table()["boards"]
    return known


def kernel_names() -> Iterable[str]:
    """The hardware layers that FINN specialises to HLS or RTL in `step_specialize_layers`."""
    kernels: dict[str, Any] = _table()["kernels"]
    return kernels.keys()


def kernel_backends(name: str) -> tuple[str, ...]:
    """The backends of a kernel; none where there is no such kernel."""
    return tuple(_table()["kernels"].get(name, {}).get("backends", ()))


def kernel_attributes(name: str) -> Iterable[str]:
    """The attributes that can be set for all nodes of a kernel.

    Not among them: what describes the model's layer (FINN requires it of every node), the folding, and FINN's
    own bookkeeping.
    """
    attributes: dict[str, Any] = _table()["kernels"].get(name, {}).get("attributes", {})
    return attributes.keys()


def kernel_attribute(kernel: str, name: str) -> KernelAttribute | None:
    """An attribute of `kernel_attributes`; `None` where the kernel has no such attribute."""
    if name not in kernel_attributes(kernel):
        return None
    entry = _table()["kernels"][kernel]["attributes"][name]
    backends = entry.get("backends", kernel_backends(kernel))
    return KernelAttribute(entry["type"], tuple(entry.get("choices", ())), tuple(backends))


class FinnCatalog:
    """The names that FINN and QONNX define, the steps of open_rtl, and any dotted name: without plugins."""

    def find(self, kind: str, name: str) -> str | None:
        """The target `module:attribute` of a name, or `None`. A dotted name is taken as it is."""
        if kind == "step" and name in step_names():
            return f"{STEP_MODULE}:{name}"
        if kind == "step" and name in open_rtl_steps.PARAMETERS:
            return f"{open_rtl_steps.MODULE}:{name}"
        module = transform_module(name) if kind == "transform" else None
        return f"{module}:{name}" if module else split_dotted(name)

    def names(self, kind: str) -> Iterable[str]:
        """All names of the kind, for suggestions."""
        own = open_rtl_steps.PARAMETERS if kind == "step" else ()
        return [*{"step": step_names, "transform": transform_names}.get(kind, tuple)(), *own]

    def parameters(self, kind: str, name: str) -> Sequence[str] | None:
        """Those of the backend open_rtl; nobody has read the signatures of FINN and QONNX."""
        return open_rtl_steps.PARAMETERS.get(name) if kind == "step" else None
