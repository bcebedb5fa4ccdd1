"""Reads a blueprint into a DesignSpace; everything that is wrong in it is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from finnmake.blueprint import reading, schema
from finnmake.blueprint.brainsmith_fields import check_fields
from finnmake.blueprint.brainsmith_steps import BRAINSMITH, default_steps, in_brainsmiths_words, names_for
from finnmake.blueprint.context import Context
from finnmake.blueprint.document import Item, keyed
from finnmake.blueprint.entries import EntryReader
from finnmake.blueprint.fields import read_config, with_defaults
from finnmake.blueprint.inherit import Chain, lines, read_chain
from finnmake.blueprint.kernels import check_read, read_kernels
from finnmake.blueprint.names import BackendCatalog, NameCatalog, PartTable
from finnmake.blueprint.operations import resolve_steps
from finnmake.blueprint.own_backends import OwnBackends
from finnmake.blueprint.parameters import with_mock
from finnmake.blueprint.paths import BlueprintPaths, resolve_blueprint
from finnmake.blueprint.problems import Problems
from finnmake.blueprint.search import read_expressions, read_objectives, read_search
from finnmake.blueprint.simulation import read_mock
from finnmake.blueprint.slots import FIELD, KERNEL, STEP, HWCompilerSpace, Slot
from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.blueprint.stages import all_stages, check_places, read_stages, read_transforms
from finnmake.blueprint.tables import FieldType, config_field_names
from finnmake.errors import BlueprintError, FinnmakeError, Location
from finnmake.records import OutputStage

if TYPE_CHECKING:
    from finnmake.blueprint.expressions import Expression
    from finnmake.records import ModelInfo

__all__ = ["forge", "resolve_blueprint"]

_Value = TypeVar("_Value")

#: More combinations than a sample could reach, whose draws are of 256 bits.
_LARGEST_SPACE = 10**60


def forge(
    blueprint: Path,
    project: Path,
    *,
    known: NameCatalog,
    known_parts: PartTable | None = None,
    backends: BackendCatalog | None = None,
    model: str | Path | None = None,
    variables: Collection[str] = (),
    read_model: Callable[[Path], ModelInfo] | None = None,
) -> DesignSpace:
    """The design space that a blueprint describes (Phase 1).

    Args:
        blueprint: the file, relative to the project.
        project: the project's folder.
        known: names of steps, transforms and analyses.
        known_parts: FPGA parts; `None` lets every part pass.
        backends: those that can be asked for; `None` for finnmake's own.
        model: takes the place of the blueprint's own; relative to the project.
        variables: environment variables that `extends` may use.
        read_model: reads a model's information from its file, when it is asked for.

    Raises:
        BlueprintError: the file cannot be read or something in it is wrong; BlueprintErrors for several.
    """
    paths = BlueprintPaths.of(blueprint, project)
    files = read_chain(paths, variables)
    known = with_mock(files, names_for(files, known))
    notes: tuple[str, ...] = ()
    if in_brainsmiths_words(files):
        from finnmake.blueprint.brainsmith import translated  # few need it

        files, notes = translated(files, known)
    context = Context(files.paths, known, known_parts, Problems())
    return _Forge(context, files, backends, model, notes, read_model).space()


class _Forge:
    """One reading of one blueprint."""

    def __init__(
        self,
        context: Context,
        files: Chain,
        backends: BackendCatalog | None,
        model: str | Path | None,
        notes: Sequence[str],
        read_model: Callable[[Path], ModelInfo] | None,
    ) -> None:
        self._context = context
        self._problems = context.problems
        self._files = files
        self._backends = backends or OwnBackends()
        self._model = model
        self._notes = notes
        self._read_model = read_model
        self._root = files.merged()

    def space(self) -> DesignSpace:
        """The whole blueprint. Raises BlueprintError."""
        for root in self._files.files:
            self._check_keys(root)
        top = self._root.value
        self._read(top, "version", _read_version, schema.VERSION)
        stage = self._read(top, "output_stage", _read_stage, OutputStage.ESTIMATES.value)
        backend = self._read(top, "backend", self._read_backend, "finn")
        self._check_reach(top, backend, stage)
        nothing: dict[str, Any] = {}
        mock = self._read(top, "mock", partial(read_mock, problems=self._problems), nothing)
        compiler = self._compiler_space(top, stage, backend)
        model_path = self._model_path(top)
        space = DesignSpace(
            name=self._name(top),
            description=self._read(top, "description", _read_text, ""),
            path=self._context.paths.blueprint,
            model_path=model_path,
            hw_compiler_space=compiler,
            search_config=self._read(
                top, "search", partial(read_search, problems=self._problems), SearchConfig()
            ),
            constraints=self._constraints(top, compiler),
            objectives=self._read(
                top,
                "objectives",
                partial(read_objectives, problems=self._problems),
                schema.DEFAULT_OBJECTIVES,
            ),
            limits=self._expressions(top, "limits", schema.METRICS, "metric of a build"),
            backend=backend,
            global_config={
                "output_stage": stage,
                "timeout_seconds": self._read(top, "timeout", _read_timeout, schema.DEFAULT_TIMEOUT),
                **({"mock": mock} if mock else {}),
            },
            notes=tuple(self._notes),
            lines=dict(chain(*map(lines, self._files.steps()), lines(self._root))),
            read_model=self._model_reader(model_path),
        )
        self._check_size(space)
        self._problems.raise_any()
        return space

    def _check_keys(self, root: Item) -> None:
        """Note the unknown keys of one file where the keys are fixed."""
        sections = [
            ("", schema.TOP_KEYS),
            ("design_space", schema.SPACE_KEYS),
            ("search", schema.SEARCH_KEYS),
            ("mock", schema.MOCK_KEYS),
        ]
        for section, keys in sections:
            item = root.value.get(section) if section else root
            for key, entry in item.value.items() if item and isinstance(item.value, dict) else ():
                with self._problems.collecting():
                    if key not in keys:
                        raise reading.unknown_key(entry, key, keys)

    def _read(
        self, entries: Mapping[str, Item], key: str, reader: Callable[[Item], _Value], default: _Value
    ) -> _Value:
        """The value of a key through its reader; `default` where it is not written, or is wrong."""
        with self._problems.collecting():
            entry = entries.get(key)
            if entry is not None and entry.value is not None:
                return reader(entry)
        return default

    def _required(
        self, entries: Mapping[str, Item], key: str, reader: Callable[[Item], str], cure: str
    ) -> str:
        """Like `_read`; an error where the key is not written."""
        entry = entries.get(key)
        if entry is None or entry.value is None:
            with self._problems.collecting():
                where = entry.where if entry else keyed(self._root.where, key)
                raise BlueprintError(f"the key {key!r} is missing", where=where, cure=cure)
        return self._read(entries, key, reader, "")

    def _name(self, top: Mapping[str, Item]) -> str:
        cure = "Write `name: ...`."
        if len(self._files.files) > 1:
            cure = "Write `name: ...`: the one that it extends has outputs of its own."
        return self._required(top, "name", reading.read_name, cure)

    def _model_path(self, top: Mapping[str, Item]) -> str:
        if self._model is None:
            return self._required(
                top, "model", self._read_file, "Write `model: ...`, or give it: model=FILE."
            )
        paths = self._context.paths
        with self._problems.collecting():
            return paths.name(paths.find_from(paths.project, str(self._model), Location(key="model")))
        return ""

    def _model_reader(self, model_path: str) -> Callable[[], ModelInfo] | None:
        read = self._read_model
        return None if read is None else partial(read, self._context.paths.project / model_path)

    def _read_file(self, item: Item) -> str:
        text: str = reading.read_value(item, FieldType("path"))
        return self._context.paths.file(text, item.where)

    def _read_backend(self, item: Item) -> str:
        """The backend's own name. Raises BlueprintError."""
        name: str = reading.read_value(item, schema.TEXT)
        try:
            return self._backends.find(name)[0]
        except FinnmakeError as error:
            raise BlueprintError(error.message, where=item.where, cure=error.cure) from error

    def _check_reach(self, top: Mapping[str, Item], backend: str, stage: str) -> None:
        """Note an output stage that the backend does not reach."""
        reached = self._backends.find(backend)[1]
        if stage in reached:
            return
        with self._problems.collecting():
            raise BlueprintError(
                f"the backend {backend} does not go as far as {stage}",
                where=top["output_stage" if "output_stage" in top else "backend"].where,
                cure=f"It reaches {', '.join(reached)}.",
            )

    def _compiler_space(self, top: Mapping[str, Item], stage: str, backend: str) -> HWCompilerSpace:
        """The slots, in the order of their sections in the file; default steps that are not written last."""
        inner: Mapping[str, Item] = {}
        inner = self._read(top, "design_space", reading.read_mapping, inner)
        no_stages: dict[str, Item] = {}
        stages = self._read(inner, "transforms", partial(read_stages, context=self._context), no_stages)
        problems = len(self._problems)
        steps = self._steps(inner, partial(default_steps, backend, stage), all_stages(stages))
        steps_are_whole = len(self._problems) == problems
        check_places(stages, steps, self._context)
        config = partial(read_config, context=self._context)
        if backend == BRAINSMITH and "config" in inner and isinstance(inner["config"].value, dict):
            check_fields(inner["config"].value, config_field_names(), self._problems)
        kernels = partial(read_kernels, context=self._context)
        nothing: list[Slot] = []
        sections = {
            "config": with_defaults(self._read(inner, "config", config, nothing), backend),
            "transforms": read_transforms(stages, self._context),
            "steps": steps,
            "kernels": self._read(inner, "kernels", kernels, nothing),
        }
        if steps_are_whole and sections["kernels"]:
            with self._problems.collecting():
                check_read(inner["kernels"], sections["kernels"], steps, self._context)
        order = dict.fromkeys([*(key for key in inner if key in sections), *sections])
        if "steps" not in inner:
            order["steps"] = order.pop("steps")
        slots = tuple(slot for key in order for slot in sections[key])
        return HWCompilerSpace(slots, all_stages(stages))

    def _steps(
        self, inner: Mapping[str, Item], names: Callable[[], Sequence[str]], stages: Sequence[str]
    ) -> list[Slot]:
        named = [each for each in stages if each not in schema.STAGES]
        default = partial(self._default_steps, inner, names)
        items = resolve_steps(self._files.steps(), default, self._problems)
        return EntryReader(self._context, STEP, "step", "step", named).slots(items)

    def _default_steps(self, inner: Mapping[str, Item], names: Callable[[], Sequence[str]]) -> list[Item]:
        """FINN's own list for the output stage; what it cannot do without is noted."""
        with self._problems.collecting():
            _check_device(self._root, inner)
        written = inner.get("steps")
        where = written.where if written is not None else keyed(self._root.where, "design_space.steps")
        return [Item(name, where, where) for name in names()]

    def _constraints(self, top: Mapping[str, Item], space: HWCompilerSpace) -> tuple[Expression, ...]:
        fields = (slot.name for slot in space.slots if slot.kind in (FIELD, KERNEL))
        known = {*fields, "steps", *space.stages}
        return self._expressions(top, "constraints", known, "field, kernel or stage of this blueprint")

    def _expressions(
        self, top: Mapping[str, Item], key: str, known: Collection[str], what: str
    ) -> tuple[Expression, ...]:
        reader = partial(read_expressions, known=known, what=what, problems=self._problems)
        return self._read(top, key, reader, ())

    def _check_size(self, space: DesignSpace) -> None:
        size = 1
        for slot in space.hw_compiler_space.axes:
            size *= len(slot.options)
            if size > _LARGEST_SPACE:
                break
        if size > _LARGEST_SPACE:
            with self._problems.collecting():
                raise BlueprintError(
                    f"more than 10^{len(str(_LARGEST_SPACE)) - 1} combinations",
                    where=space.lines.get("design_space") or self._root.where,
                    cure="Take values or alternatives out.",
                )


def _check_device(root: Item, inner: Mapping[str, Item]) -> None:
    config = inner.get("config")
    written = config.value if config is not None and isinstance(config.value, dict) else {}
    if "fpga_part" not in written and "board" not in written:
        raise BlueprintError(
            "FINN's default steps need a device",
            where=config.where if config is not None else keyed(root.where, "design_space.config"),
            cure="Set fpga_part (or board) below design_space.config.",
        )


def _read_version(item: Item) -> int:
    if type(item.value) is not int or item.value != schema.VERSION:
        raise reading.wrong(item, f"{schema.VERSION}, the only version that this finnmake reads")
    return item.value


def _read_stage(item: Item) -> str:
    stage: str = reading.read_value(item, schema.OUTPUT_STAGE)
    return stage


def _read_timeout(item: Item) -> int:
    seconds: int = reading.read_number(item, schema.SECONDS, schema.BOUNDS["timeout"])
    return seconds


def _read_text(item: Item) -> str:
    text: str = reading.read_value(item, schema.TEXT)
    return text
