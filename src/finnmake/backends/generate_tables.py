"""Writes `blueprint/finn_tables.json`: facts of the installed FINN, so that reading a blueprint needs none.

    python -m finnmake.backends.generate_tables [--check]

Run it after a change of FINN's or QONNX's version; `--check` only says whether the table is up to date.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from finnmake.backends import finn
from finnmake.blueprint import tables

_CONFIG = "finn.builder.build_dataflow_config"
_STEPS = "finn.builder.build_dataflow_steps"
_STEP_LISTS = ("estimate_only_dataflow_steps", "hw_codegen_dataflow_steps", "default_build_dataflow_steps")
_TRANSFORM_PACKAGES = ("qonnx.transformation", "finn.transformation")
_PACKAGES = ("finn-plus", "qonnx")

#: Fields that FINN types as text and opens as files.
_PATH_SUFFIXES = ("_file", "_npy", "_path")

#: FINN's hardware layers; those specialised are in its subpackages `hls` and `rtl`.
_LAYERS = "finn.custom_op.fpgadataflow"

#: Layers that FINN inserts after `step_specialize_layers`: nothing can be chosen for them in that step.
_INSERTED_LATER = ("InnerShuffle", "OuterShuffle", "StreamingDataWidthConverter", "StreamingFIFO")

#: Attributes that say how a layer is built, from FINN's custom operators. All others say what it computes:
#: they follow from the model, and setting one would build another network.
_IMPLEMENTATION = frozenset(
    (
        *("deep_pipeline", "depth_trigger_bram", "depth_trigger_uram", "dynamic_mode", "ext_mem_width"),
        *("mac_resource", "mem_mode", "parallel_window", "pumpedCompute", "pumpedMemory", "ram_style"),
        *("ram_style_mask", "ram_style_thresholds", "resType", "runtime_writeable_weights"),
    )
)

#: Types of node attributes in ONNX.
_ATTRIBUTE_TYPES = {
    **{"i": "int", "f": "float", "s": "str"},
    **{"ints": "ints", "floats": "floats", "strings": "strings"},
}

_SCALARS = {float: "float", int: "int", bool: "bool", str: "str", Any: "any"}


def generate() -> dict[str, Any]:
    """The whole table. Imports all of FINN's and QONNX's transformations."""
    finn.preload()
    return {
        "made_from": {package: version(package) for package in _PACKAGES},
        "config_fields": _config_fields(),
        "steps": _steps(),
        "transforms": _transforms(),
        "kernels": _kernels(),
        "boards": dict(importlib.import_module("finn.util.basic").part_map),
    }


def as_text(table: dict[str, Any]) -> str:
    """The table as it is committed: sorted and indented, so that a change of FINN's reads well in a diff."""
    return json.dumps(table, indent=1, sort_keys=True) + "\n"


def _config_fields() -> dict[str, Any]:
    config = importlib.import_module(_CONFIG).DataflowBuildConfig
    hints = typing.get_type_hints(config)
    return {name: _field(name, hints[name]) for name in config.__dataclass_fields__}


def _field(name: str, hint: Any) -> dict[str, Any]:
    description = _describe(hint)
    if description["type"] == "str" and name.endswith(_PATH_SUFFIXES):
        description["type"] = "path"
    return description


def _describe(hint: Any) -> dict[str, Any]:
    """A type hint as `{type, optional, choices?, item?}`."""
    members = typing.get_args(hint) if _is_union(hint) else (hint,)
    optional = type(None) in members
    kinds = [_describe_one(member) for member in members if member is not type(None)]
    chosen = next((kind for kind in kinds if kind["type"] == "path"), kinds[0])
    return {**chosen, "optional": optional}


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _describe_one(hint: Any) -> dict[str, Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return {"type": "enum", "choices": list(typing.get_args(hint))}
    if origin in (list, tuple):
        return {"type": "list", "item": _describe(typing.get_args(hint)[0])}
    if origin is dict:
        return {"type": "dict"}
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    return _describe_class(hint)


def _describe_class(hint: Any) -> dict[str, Any]:
    if issubclass(hint, Enum):
        return {"type": "enum", "choices": [member.value for member in hint]}
    if issubclass(hint, PurePath):
        return {"type": "path"}
    if hasattr(hint, "__dataclass_fields__"):
        return {"type": "dict"}
    raise TypeError(f"no description for fields of the type {hint!r}: extend generate_tables")


def _steps() -> dict[str, Any]:
    config = importlib.import_module(_CONFIG)
    lookup = importlib.import_module(_STEPS).build_dataflow_step_lookup
    return {"names": sorted(lookup), "lists": {name: list(getattr(config, name)) for name in _STEP_LISTS}}


def _transforms() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, module in _transform_classes():
        found.setdefault(name, []).append(module)
    return found


def _transform_classes() -> Iterator[tuple[str, str]]:
    """(class, defining module) of everything that can be applied, in the order of the modules."""
    base = importlib.import_module("qonnx.transformation.base").Transformation
    for module in _transform_modules():
        for name, value in vars(module).items():
            if _is_concrete(value, base) and (value.__module__, value.__name__) == (module.__name__, name):
                yield name, module.__name__


def _is_concrete(value: Any, base: type) -> bool:
    return inspect.isclass(value) and issubclass(value, base) and not inspect.isabstract(value)


def _transform_modules() -> Iterator[types.ModuleType]:
    for package in map(importlib.import_module, _TRANSFORM_PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _kernels() -> dict[str, Any]:
    registries = [importlib.import_module(f"{_LAYERS}.{style}").custom_op for style in ("hls", "rtl")]
    found: dict[str, Any] = {}
    for name in importlib.import_module(_LAYERS).custom_op:
        backends = [
            registry[f"{name}_{style}"]
            for style, registry in zip(("hls", "rtl"), registries, strict=True)
            if f"{name}_{style}" in registry
        ]
        if backends and name not in _INSERTED_LATER:
            found[name] = {
                "backends": [backend.__name__ for backend in backends],
                "attributes": _kernel_attributes(backends),
            }
    return found


def _kernel_attributes(backends: list[Any]) -> dict[str, Any]:
    """The attributes that any of a kernel's backends has: `{type, choices?, backends?}`."""
    own = {backend.__name__: _own_attributes(backend) for backend in backends}
    found: dict[str, Any] = {}
    entry: dict[str, Any]
    for attribute in sorted({name for attributes in own.values() for name in attributes}):
        having = [backend for backend in own if attribute in own[backend]]
        definitions = [own[backend][attribute] for backend in having]
        found[attribute] = entry = {"type": _ATTRIBUTE_TYPES[definitions[0][0]]}
        if all(len(definition) > 3 and definition[3] for definition in definitions):
            entry["choices"] = sorted({value for each in definitions for value in each[3]})
        if len(having) < len(backends):
            entry["backends"] = having
    return found


def _own_attributes(backend: Any) -> dict[str, Any]:
    """A backend's attributes that are a choice."""
    types = backend.get_nodeattr_types(backend.__new__(backend))  # some constructors want a whole node
    return {name: definition for name, definition in types.items() if name in _IMPLEMENTATION}


def main(arguments: list[str] | None = None) -> int:
    """Write or check the table; 1 where `--check` finds it out of date."""
    parser = argparse.ArgumentParser(prog="python -m finnmake.backends.generate_tables")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the table is out of date"
    )
    options = parser.parse_args(arguments)
    target = Path(tables.__file__).with_name(tables.TABLE_FILE)
    text = as_text(generate())
    if options.check:
        return _check(target, text)
    target.write_text(text, encoding="utf-8")
    return 0


def _check(target: Path, text: str) -> int:
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return 0
    print(f"{target.name} is out of date: run python -m finnmake.backends.generate_tables", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
