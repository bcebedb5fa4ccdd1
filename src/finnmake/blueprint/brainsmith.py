"""Blueprints of Brainsmith 0.1, rewritten as ours before they are read; what has no meaning here is noted.

The format: microsoft/Brainsmith, docs/developer-guide/blueprint-schema.md and brainsmith/dse/types.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finnmake.blueprint import reading, schema, tables
from finnmake.blueprint.document import Item, keyed
from finnmake.blueprint.entries import OPTIONAL
from finnmake.blueprint.inherit import Chain
from finnmake.blueprint.names import NameCatalog
from finnmake.blueprint.operations import is_operation
from finnmake.blueprint.problems import Problems
from finnmake.errors import BlueprintError, Location

#: Keys at the top -> fields of the configuration.
_FIELDS = {
    "clock_ns": "synth_clk_period_ns",
    "board": "board",
    "save_intermediate_models": "save_intermediate_models",
}

#: Keys at the top -> keys of `search`.
_SEARCH = ("fail_fast", "max_combinations")

#: `output` -> output stage. Brainsmith asks FINN for a stitched IP where it says `rtl`.
_OUTPUTS = {"estimates": "ESTIMATES", "rtl": "STITCHED_IP", "bitfile": "BITFILE"}

#: Keys without a meaning here -> why.
_MEANINGLESS = {
    "debug": "finnmake keeps the logs of every step anyway",
    "parallel_builds": "how many builds run at once is said on the command line: -n",
    "verify": "design_space.config.verify_steps says what is verified",
    "verify_data": "design_space.config.verify_input_npy and verify_expected_output_npy name the data",
    "working_directory": "outputs are in builds/<name>/<configuration>",
}

#: Keys that say which of the steps are run -> what to do instead; without them a build would do more.
_PART_OF_STEPS = {
    "start_step": "Take it out, and the steps before it out of design_space.steps.",
    "stop_step": "Take it out, and shorten design_space.steps: a build ends with the last of them.",
}

#: Fields of FINN's configuration that some releases have, and the one that is installed may not.
_OTHER_RELEASES = (
    "default_swg_exception",
    "fifosim_input_throttle",
    "fifosim_n_inferences",
    "rtlsim_batch_size",
    "rtlsim_use_vivado_comps",
    "split_large_fifos",
)

#: Stands for the folder of the blueprint in what Brainsmith reads.
_OWN_FOLDER = "${BLUEPRINT_DIR}/"

_FINN = "finn"


def translated(files: Chain, known: NameCatalog) -> tuple[Chain, tuple[str, ...]]:
    """The files, of which one at least is Brainsmith's, as ours, and notes. Raises BlueprintError."""
    translator = _Translator(known)
    roots = [translator.root(root) for root in files.files]
    roots[0] = translator.named(roots[0])
    translator.problems.raise_any()
    return files._replace(files=tuple(roots)), tuple(translator.notes)


@dataclass
class _Translator:
    """Rewrites the files of one chain."""

    known: NameCatalog
    notes: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    def root(self, root: Item) -> Item:
        """One file as ours."""
        top: dict[str, Item] = {}
        config: dict[str, Item] = {}
        search: dict[str, Item] = {}
        for key, item in root.value.items():
            with self.problems.collecting():
                if key in _FIELDS:
                    config[_FIELDS[key]] = item
                elif key == "finn_config":
                    self._add(config, self._finn_config(item))
                elif key in _SEARCH:
                    search[key] = item
                elif key == "output":
                    _put(top, "output_stage", _output_stage(item))
                elif key in _PART_OF_STEPS:
                    _check_whole(item, key)
                elif key in _MEANINGLESS:
                    self._note(item, key, _MEANINGLESS[key])
                elif key == "version" and item.value != schema.VERSION:
                    self._note(item, key, "it is the version of another format")
                else:
                    _put(top, key, item)
        with self.problems.collecting():
            self._below(top, "search", search, keyed(root.where, "search"))
            self._design_space(top, config, root)
        return root._replace(value=top)

    def named(self, root: Item) -> Item:
        """The file with a name that can be a folder's: Brainsmith allows any text, and none."""
        written = root.value.get("name")
        assert root.where.path is not None
        text = root.where.path.stem if written is None or written.value is None else written.value
        if not isinstance(text, str):
            return root
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "brainsmith"
        if written is not None and name == written.value:
            return root
        item = (
            Item(name, keyed(root.where, "name"), root.where)
            if written is None
            else written._replace(value=name)
        )
        self._note(item, "name", f"it is {name} here, as it names a folder", left_out=False)
        return root._replace(value={**root.value, "name": item})

    def _note(self, item: Item, what: str, why: str, left_out: bool = True) -> None:
        place = Location(item.key_where.path, item.key_where.line, item.key_where.column)
        self.notes.append(f"{place}: {what}{' is left out' if left_out else ''}: {why}")

    def _below(
        self, sections: dict[str, Item], key: str, entries: Mapping[str, Item], where: Location
    ) -> None:
        """Add entries to a section; `where` it is if it is not written. Raises BlueprintError."""
        if not entries:
            return
        section = sections.get(key) or Item(None, where, where)
        merged = dict(reading.read_mapping(section))
        self._add(merged, entries)
        sections[key] = section._replace(value=merged)

    def _add(self, entries: dict[str, Item], new: Mapping[str, Item]) -> None:
        for key, item in new.items():
            with self.problems.collecting():
                _put(entries, key, item)

    def _finn_config(self, item: Item) -> dict[str, Item]:
        found = {}
        for name, entry in reading.read_mapping(item).items():
            if name in _PART_OF_STEPS:
                with self.problems.collecting():
                    _check_whole(entry, name)
            elif name in schema.REFUSED_FIELDS:
                self._note(entry, f"finn_config.{name}", schema.REFUSED_FIELDS[name][0])
            elif name in _OTHER_RELEASES and tables.config_field(name) is None:
                self._note(entry, f"finn_config.{name}", "the installed FINN has no such field")
            else:
                found[name] = _beside_the_blueprint(name, entry)
        return found

    def _design_space(self, top: dict[str, Item], config: Mapping[str, Item], root: Item) -> None:
        written = top.get("design_space") or Item({}, keyed(root.where, "design_space"), root.where)
        space = dict(reading.read_mapping(written))
        if written.value is None:  # what is extended is taken out, but for what the top of a file says
            space = {
                key: Item(None, keyed(written.where, f"design_space.{key}"), written.key_where)
                for key in schema.SPACE_KEYS
                if key != "config"
            }
        if "kernels" in space:
            space["kernels"] = self._kernels(space["kernels"])
        if isinstance(getattr(space.get("steps"), "value", None), list):
            space["steps"] = self._steps(space["steps"])
        self._below(space, "config", config, keyed(root.where, "design_space.config"))
        top["design_space"] = written._replace(value=space)

    def _kernels(self, item: Item) -> Item:
        """The kernels that FINN has, by its own names."""
        if isinstance(item.value, dict):
            kept = {name: entry for name, entry in item.value.items() if self._is_kernel(name, entry)}
            return item._replace(value={_bare(name): _bare_backends(entry) for name, entry in kept.items()})
        if not isinstance(item.value, list):
            return item
        found = []
        for child in item.value:
            if isinstance(child.value, str) and self._is_kernel(child.value, child):
                found.append(child._replace(value=_bare(child.value)))
            elif isinstance(child.value, dict):
                inner = self._kernels(child)
                found += [inner] if inner.value or not child.value else []
            elif not isinstance(child.value, str):
                found.append(child)  # a mistake, which the reader of kernels names
        return item._replace(value=found)

    def _is_kernel(self, name: str, item: Item) -> bool:
        source = name.rpartition(":")[0]
        if source in ("", _FINN) and _bare(name) in tables.kernel_names():
            return True
        self._note(item, f"the kernel {name}", "FINN does not have it")
        return False

    def _steps(self, item: Item) -> Item:
        """A list of steps, or an item of one, with FINN's names."""
        if isinstance(item.value, str):
            return item._replace(value=self._step_name(item.value))
        if isinstance(item.value, list):
            return item._replace(value=[self._steps(child) for child in item.value])
        if not isinstance(item.value, dict):
            return item
        if is_operation(item) or set(item.value) == {"insert"}:
            return item._replace(value={key: self._steps(entry) for key, entry in item.value.items()})
        named = item.value.get("step")
        return item if named is None else item._replace(value={**item.value, "step": self._steps(named)})

    def _step_name(self, name: str) -> str:
        """The name by which the step is known here; as it is where there is none."""
        if name in ("", OPTIONAL):
            return OPTIONAL
        bare = _bare(name)
        return next((each for each in (name, bare, f"step_{bare}") if self._is_step(each)), name)

    def _is_step(self, name: str) -> bool:
        try:
            return self.known.find("step", name) is not None
        except BlueprintError:
            return True  # ambiguous, which the reader of steps says


def _put(entries: dict[str, Item], key: str, item: Item) -> None:
    """Add an entry. Raises BlueprintError where it is there already."""
    if key in entries:
        raise BlueprintError(
            f"{key} is already given in line {entries[key].key_where.line}",
            where=item.key_where,
            cure="Keep one of the two.",
        )
    entries[key] = item


def _check_whole(item: Item, key: str) -> None:
    """Raises BlueprintError where a file asks for a part of its steps."""
    if item.value is not None:
        raise BlueprintError(
            f"{key} is not supported: a build runs all of design_space.steps",
            where=item.key_where,
            cure=_PART_OF_STEPS[key],
        )


def _beside_the_blueprint(name: str, item: Item) -> Item:
    """A path without Brainsmith's name for the blueprint's own folder: paths are relative to it anyway."""
    if name not in tables.path_fields() or not isinstance(item.value, str):
        return item
    return item._replace(value=item.value.removeprefix(_OWN_FOLDER))


def _output_stage(item: Item) -> Item:
    if item.value is None:
        return item
    if not isinstance(item.value, str) or item.value not in _OUTPUTS:
        raise reading.wrong(item, f"one of {', '.join(_OUTPUTS)}")
    return item._replace(value=_OUTPUTS[item.value])


def _bare(name: str) -> str:
    """The name without its source, e.g. `finn:`."""
    return name.rpartition(":")[2]


def _bare_backends(item: Item) -> Item:
    value: Any = item.value
    if isinstance(value, str):
        value = _bare(value)
    elif isinstance(value, list):
        value = [_bare_backends(child) for child in value]
    return item._replace(value=value)
