"""Reads a blueprint into a DesignSpace; everything that is wrong in it is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from finnmake.blueprint import schema, tables
from finnmake.blueprint.document import Item, read_document
from finnmake.blueprint.names import NameCatalog, PartTable, did_you_mean, find_target, question
from finnmake.blueprint.paths import BlueprintPaths, resolve_blueprint
from finnmake.blueprint.problems import Problems
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError, Location
from finnmake.hashing import canonical_json
from finnmake.records import OutputStage

__all__ = ["forge", "resolve_blueprint"]

_Value = TypeVar("_Value")

_PART_FORM = "Write the part as Vivado does, e.g. xc7z020clg400-1 or xczu3eg-sbva484-1-e."


def forge(
    blueprint: Path,
    project: Path,
    *,
    known: NameCatalog,
    known_parts: PartTable | None = None,
    backends: Collection[str] = schema.BACKENDS,
) -> DesignSpace:
    """The design space that a blueprint describes (Phase 1).

    Args:
        blueprint: the file, relative to the project.
        project: the project's folder.
        known: names of steps, transforms and analyses.
        known_parts: FPGA parts; `None` lets every part pass.
        backends: those that can be asked for.

    Raises:
        BlueprintError: the file cannot be read or something in it is wrong; BlueprintErrors for several.
    """
    paths = BlueprintPaths.of(blueprint, project)
    name = Location(Path(paths.name(paths.blueprint)))
    root = read_document(_read_text(paths.blueprint, name), name)
    return _Forge(paths, known, known_parts, backends).space(root)


def _read_text(path: Path, name: Location) -> str:
    try:
        return path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise BlueprintError(f"cannot be read: {error.strerror}", where=name) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = Location(name.path, line)
        raise BlueprintError("this is not UTF-8 text", where=where, cure="Save the file as UTF-8.") from None


class _Forge:
    """One reading of one blueprint."""

    def __init__(
        self,
        paths: BlueprintPaths,
        known: NameCatalog,
        known_parts: PartTable | None,
        backends: Collection[str],
    ) -> None:
        self._paths = paths
        self._known = known
        self._known_parts = known_parts
        self._backends = FieldType("enum", choices=tuple(backends))
        self._problems = Problems()

    def space(self, root: Item) -> DesignSpace:
        """The whole file. Raises BlueprintError."""
        top = self._section(root, schema.TOP_KEYS)
        if not isinstance(root.value, dict):
            self._problems.raise_any()
        inner = self._below(top, "design_space", schema.SPACE_KEYS)
        stage = self._read(top, "output_stage", _read_stage, OutputStage.ESTIMATES.value)
        flags, axes = self._config(inner)
        space = DesignSpace(
            name=self._read(top, "name", schema.read_name, "", required=root),
            description=self._read(top, "description", _read_description, ""),
            path=self._paths.blueprint,
            model_path=self._read(top, "model", self._read_file, "", required=root),
            flags=flags,
            axes=axes,
            transforms_by_stage=self._transforms(inner),
            build_steps=self._steps(root, inner, stage),
            backend=self._read(top, "backend", self._read_backend, "finn"),
            global_config={
                "output_stage": stage,
                "timeout_seconds": self._read(top, "timeout", _read_timeout, schema.DEFAULT_TIMEOUT),
            },
            lines=dict(_lines(root)),
        )
        self._problems.raise_any()
        return space

    def _section(self, item: Item, keys: Collection[str]) -> Mapping[str, Item]:
        """The entries of a mapping with fixed keys; unknown ones are noted."""
        entries: Mapping[str, Item] = {}
        with self._problems.collecting():
            entries = schema.read_mapping(item)
        for key, entry in entries.items():
            with self._problems.collecting():
                if key not in keys:
                    raise schema.unknown_key(entry, key, keys)
        return entries

    def _below(self, entries: Mapping[str, Item], key: str, keys: Collection[str]) -> Mapping[str, Item]:
        """The entries of the section `key`; none where it is not written."""
        return self._section(entries[key], keys) if key in entries else {}

    def _read(
        self,
        entries: Mapping[str, Item],
        key: str,
        reader: Callable[[Item], _Value],
        default: _Value,
        required: Item | None = None,
    ) -> _Value:
        """The value of a key through its reader; `default` where it is not written, or is wrong.

        `required` is the mapping to name where the key must be written.
        """
        with self._problems.collecting():
            entry = entries.get(key)
            if entry is not None and entry.value is not None:
                return reader(entry)
            if required is not None:
                where = entry.where if entry else _keyed(required.where, key)
                raise BlueprintError(f"the key {key!r} is missing", where=where, cure=f"Write `{key}: ...`.")
        return default

    def _read_file(self, item: Item) -> str:
        text: str = schema.read_value(item, FieldType("path"))
        return self._paths.file(text, item.where)

    def _read_backend(self, item: Item) -> str:
        name: str = schema.read_value(item, self._backends)
        return name

    def _config(self, inner: Mapping[str, Item]) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
        """The fields with one value, and the axes."""
        flags: dict[str, Any] = {}
        axes: dict[str, tuple[Any, ...]] = {}
        nothing: Mapping[str, Item] = {}
        for name, item in self._read(inner, "config", schema.read_mapping, nothing).items():
            with self._problems.collecting():
                kind = _field_type(name, item)
                if _is_axis(item, kind):
                    axes[name] = self._axis(name, item, kind)
                else:
                    flags[name] = self._field_value(name, item, kind)
        return flags, axes

    def _axis(self, name: str, item: Item, kind: FieldType) -> tuple[Any, ...]:
        values: dict[bytes, Any] = {}
        for child in item.value:
            with self._problems.collecting():
                value = self._field_value(name, child, kind)
                if canonical_json(value) in values:
                    raise BlueprintError(
                        f"{child.plain()!r} is already on the axis",
                        where=child.where,
                        cure="Take one of them out.",
                    )
                values[canonical_json(value)] = value
        if not item.value:
            raise BlueprintError(
                "the axis has no values", where=item.where, cure="Write one, or take the key out."
            )
        return tuple(values.values())

    def _field_value(self, name: str, item: Item, kind: FieldType) -> Any:
        value = schema.read_field(item, name, kind)
        if value is None:
            return None
        if kind.type == "path":
            return self._paths.file(value, item.where)
        if name == "board":
            _check_board(value, item)
        if name == "fpga_part":
            self._check_part(value, item)
        return value

    def _check_part(self, part: str, item: Item) -> None:
        if self._known_parts is None or self._known_parts.is_known_part(part):
            return
        cure = question(self._known_parts.known_parts_hint(part))
        raise BlueprintError(f"unknown part {part!r}", where=item.where, cure=cure or _PART_FORM)

    def _transforms(self, inner: Mapping[str, Item]) -> dict[str, tuple[Any, ...]]:
        stages = self._below(inner, "transforms", tuple(schema.STAGES))
        return {
            stage: self._read(stages, stage, partial(self._entries, kind=kind, name_key="name"), ())
            for stage, kind in schema.STAGES.items()
        }

    def _steps(self, root: Item, inner: Mapping[str, Item], stage: str) -> tuple[Any, ...]:
        written = inner.get("steps")
        if written is None or written.value in (None, "default"):
            return self._default_steps(root, inner, stage)
        if not isinstance(written.value, list):
            with self._problems.collecting():
                raise schema.wrong(written, "`default` or a list of steps")
            return ()
        return self._read(inner, "steps", partial(self._entries, kind="step", name_key="step"), ())

    def _default_steps(self, root: Item, inner: Mapping[str, Item], stage: str) -> tuple[str, ...]:
        """FINN's own list for the output stage, and what it cannot do without."""
        with self._problems.collecting():
            if stage not in schema.DEFAULT_STEPS:
                where = inner["steps"].where if "steps" in inner else _keyed(root.where, "design_space.steps")
                known = ", ".join(schema.DEFAULT_STEPS)
                raise BlueprintError(
                    f"there are no default steps for output_stage {stage}",
                    where=where,
                    cure=f"List the steps, or set output_stage to {known}.",
                )
            _check_device(root, inner)
            return tables.step_list(schema.DEFAULT_STEPS[stage])
        return ()

    def _entries(self, item: Item, kind: str, name_key: str) -> tuple[Any, ...]:
        entries = []
        for child in schema.read_list(item):
            with self._problems.collecting():
                entries.append(self._entry(child, kind, name_key))
        return tuple(entries)

    def _entry(self, item: Item, kind: str, name_key: str) -> Any:
        """A name, or `{name_key, parameters}` where there are parameters. Raises BlueprintError."""
        if isinstance(item.value, str):
            return self._checked_name(item, kind)
        if not isinstance(item.value, dict):
            raise schema.wrong(item, f"the name of a {kind}, or {{{name_key}: ..., parameters: {{...}}}}")
        return self._entry_with_parameters(item, kind, name_key)

    def _entry_with_parameters(self, item: Item, kind: str, name_key: str) -> Any:
        named = item.value.get(name_key)
        if named is None:
            raise BlueprintError(
                f"the key {name_key!r} is missing",
                where=item.where,
                cure=f"Name the {kind}: `{name_key}: ...`.",
            )
        schema.read_value(named, schema.TEXT)
        name = self._checked_name(named, kind)
        parameters = _parameters(item, name_key)
        return {name_key: name, "parameters": parameters} if parameters else name

    def _checked_name(self, item: Item, kind: str) -> str:
        name: str = item.value
        try:
            find_target(self._known, kind, name)
        except BlueprintError as error:
            raise BlueprintError(error.message, where=item.where, cure=error.cure) from None
        return name


def _parameters(item: Item, name_key: str) -> dict[str, Any]:
    """The keyword arguments of an entry; those of a step may also stand beside its name."""
    entries = dict(item.value)
    del entries[name_key]
    below = entries.pop("parameters", None)
    parameters = {} if below is None else dict(schema.read_mapping(below))
    for key, entry in entries.items():
        if name_key != "step":
            raise schema.unknown_key(entry, key, (name_key, "parameters"))
        if key in parameters:
            raise BlueprintError(
                f"the parameter {key!r} is given twice", where=entry.key_where, cure="Keep one of the two."
            )
        parameters[key] = entry
    return {key: entry.plain() for key, entry in parameters.items()}


def _field_type(name: str, item: Item) -> FieldType:
    """The type of a field that a blueprint may set. Raises BlueprintError."""
    if name in schema.REFUSED_FIELDS:
        reason, cure = schema.REFUSED_FIELDS[name]
        raise BlueprintError(f"{name} cannot be set here: {reason}", where=item.key_where, cure=cure)
    kind = tables.config_field(name)
    if kind is None:
        raise schema.unknown_key(item, name, tuple(tables.config_field_names()))
    return kind


def _is_axis(item: Item, kind: FieldType) -> bool:
    """Whether there is one list more than a value of the type has."""
    return _depth(item, kind.depth + 1) > kind.depth


def _depth(item: Item, most: int) -> int:
    """How many lists are one inside the other, up to `most`."""
    if not isinstance(item.value, list) or most == 0:
        return 0
    return 1 + max((_depth(child, most - 1) for child in item.value), default=0)


def _check_board(board: str, item: Item) -> None:
    known = tables.boards()
    if board not in known:
        cure = did_you_mean(board, known) or f"FINN knows {', '.join(sorted(known))}."
        raise BlueprintError(f"unknown board {board!r}", where=item.where, cure=cure)


def _check_device(root: Item, inner: Mapping[str, Item]) -> None:
    config = inner.get("config")
    written = config.value if config is not None and isinstance(config.value, dict) else {}
    if "fpga_part" not in written and "board" not in written:
        raise BlueprintError(
            "FINN's default steps need a device",
            where=config.where if config is not None else _keyed(root.where, "design_space.config"),
            cure="Set fpga_part (or board) below design_space.config.",
        )


def _read_stage(item: Item) -> str:
    stage: str = schema.read_value(item, schema.OUTPUT_STAGE)
    return stage


def _read_timeout(item: Item) -> int:
    seconds: int = schema.read_number(item, schema.SECONDS, schema.BOUNDS["timeout"])
    return seconds


def _read_description(item: Item) -> str:
    text: str = schema.read_value(item, schema.TEXT)
    return text


def _keyed(where: Location, key: str) -> Location:
    return Location(where.path, where.line, where.column, key)


def _lines(item: Item) -> Iterator[tuple[str, Location]]:
    """(key path, position) of every value below an item."""
    if item.where.key is not None:
        yield item.where.key, item.where
    children = item.value.values() if isinstance(item.value, dict) else item.value
    for child in children if isinstance(item.value, (dict, list)) else ():
        yield from _lines(child)
