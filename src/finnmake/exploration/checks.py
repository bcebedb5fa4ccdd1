"""Whether a configuration can be built at all: those that a program makes have been through no blueprint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from finnmake.blueprint import reading, schema, tables
from finnmake.blueprint.document import Item
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.slots import entry_name
from finnmake.errors import BlueprintError, Location
from finnmake.exploration.tree import AFTER_STEPS
from finnmake.records import BuildConfig, OutputStage

#: Folders that finnmake writes beside those of the configurations.
_OWN_IDS = ("exploration", "segments")

#: The field that finnmake sets itself, from the output stage and the steps.
_SET_ITSELF = ("generate_outputs",)


def check_id(own_id: str) -> None:
    """Raise BlueprintError for an id whose folder finnmake itself uses."""
    if own_id in _OWN_IDS:
        raise _wrong("id", f"{own_id!r} is the name of a folder that finnmake writes", "Choose another id.")


def check_config(config: BuildConfig) -> None:
    """Raise BlueprintError for the first thing in a configuration that no blueprint could have said."""
    check_id(config.id)
    _check_global(config.global_config)
    for name, value in config.config_flags.items():
        if name not in _SET_ITSELF:
            _check_field(name, value)
    _check_steps(config.build_steps, config.transforms_by_stage)
    for stage, entries in config.transforms_by_stage.items():
        _check_stage(stage, entries)


def _check_global(values: Mapping[str, Any]) -> None:
    stages = [stage.value for stage in OutputStage]
    if values.get("output_stage") not in stages:
        raise _wrong("output_stage", f"{values.get('output_stage')!r} is none", f"It is {_one_of(stages)}.")
    for name in ("timeout_seconds", "build_timeout_seconds"):
        seconds = values.get(name)
        missing = seconds is None and name.startswith("build")
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
        if not (missing or number):
            raise _wrong(name, f"{seconds!r} is no number of seconds above 0", "Write seconds.")


def _check_field(name: str, value: Any) -> None:
    kind = tables.config_field(name)
    if kind is None:
        cure = did_you_mean(name, tables.config_field_names()) or "See docs/blueprint.md for the fields."
        raise _wrong("config_flags", f"FINN's configuration has no field {name!r}", cure)
    reading.read_field(_item(value, Location(key=name)), name, kind)


def _item(value: Any, where: Location) -> Item:
    """A value as if it had been read from a blueprint."""
    if isinstance(value, Mapping):
        return Item({key: _item(each, where) for key, each in value.items()}, where, where)
    if isinstance(value, (list, tuple)):
        return Item([_item(each, where) for each in value], where, where)
    return Item(value, where, where)


def _check_steps(steps: Iterable[Any], stages: Mapping[str, Any]) -> None:
    named = []
    for entry in steps:
        if isinstance(entry, Mapping) and "stage" in entry:
            named.append(entry["stage"])
        elif not _is_entry(entry, "step"):
            raise _wrong("build_steps", f"{entry!r} is no step", "Write a name, or {'step': name, …}.")
    for stage in named:
        if stage not in stages:
            raise _wrong("build_steps", f"there is no stage {stage!r}", "Put it into transforms_by_stage.")
    for stage in stages:
        if stage not in (*schema.STAGES, *named):
            cure = did_you_mean(stage, schema.STAGES) or f"Write {{'stage': {stage!r}}} into build_steps."
            raise _wrong("transforms_by_stage", f"the stage {stage!r} stands nowhere among the steps", cure)


def _check_stage(stage: str, entries: Any) -> None:
    key = f"transforms_by_stage.{stage}"
    if not isinstance(entries, (list, tuple)):
        raise _wrong(key, f"{entries!r} is no list", "Write a list of names, or of {'name': name, …}.")
    for entry in entries:
        if not _is_entry(entry, "name"):
            raise _wrong(key, f"{entry!r} has no name", "Write a name, or {'name': name, 'parameters': …}.")
        said = entry.get(schema.ON_ERROR, schema.FAIL) if isinstance(entry, Mapping) else schema.FAIL
        if said not in schema.REACTION.choices:
            choices = _one_of(schema.REACTION.choices)
            raise _wrong(f"{key}.{schema.ON_ERROR}", f"{said!r} is not known", f"It is {choices}.")
    twice = [name for name, times in Counter(map(entry_name, entries)).items() if times > 1]
    if stage == AFTER_STEPS and twice:
        raise _wrong(key, f"the analysis {twice[0]!r} stands there twice", "Each has one file: keep one.")


def _is_entry(entry: Any, key: str) -> bool:
    """A name, or a mapping with one."""
    name = entry.get(key) if isinstance(entry, Mapping) else entry
    return isinstance(name, str) and bool(name)


def _one_of(choices: Iterable[str]) -> str:
    return f"one of {', '.join(choices)}"


def _wrong(key: str, message: str, cure: str) -> BlueprintError:
    return BlueprintError(message, where=Location(key=key), cure=cure)
