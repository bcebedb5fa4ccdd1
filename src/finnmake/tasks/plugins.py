"""`doit plugins`: the names that a blueprint may use, where they come from, and what is wrong with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError, PluginError
from finnmake.plugins.definitions import KINDS
from finnmake.tasks.command import DONE, FAILED, HELP, JSON, SpaceCommand, ascii_only, columns, flag
from finnmake.tasks.names import Names
from finnmake.tasks.plugin_list import (
    BACKEND,
    ORIGINS,
    Listed,
    listed_backends,
    listed_plugins,
    listed_toolchain,
)
from finnmake.tasks.plugins_text import plugin_in_full, plugins_table
from finnmake.tasks.workspace import workspace

#: What may be asked for as a whole.
_KINDS = (*KINDS, BACKEND)

#: Characters that make a name a pattern.
_WILD = "*?["


class Plugins(SpaceCommand):
    """The command."""

    name = "plugins"
    doc_purpose = "list the plugins and backends that a blueprint may use"
    doc_usage = "[KIND | NAME | 'PATTERN'] [--all] [--json]"
    doc_description = """KIND is step, transform, analysis or backend; a NAME is told in full, with its
parameters. Without --all, FINN's and QONNX's own are shown by NAME or PATTERN only.

Exit code 0: all can be used. 1: something is wrong with a plugin, and the errors say what. 3: there is no
such name.

Nothing is built."""
    cmd_options = (
        flag("all", "with all steps and transforms of FINN and QONNX"),
        JSON,
        HELP,
    )

    def parse_execute(self, in_args: list[str]) -> int:
        """Parse the arguments, in any order, and run."""
        return super().parse_execute(sorted(in_args, key=lambda each: not each.startswith("-")))

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        self._asked, *others = pos_args or [""]
        return super().execute(opt_values, others)

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the list, or all about one name; gives 1 where something is wrong. Raises BlueprintError."""
        names, asked = workspace().names, self._asked
        named = bool(asked and asked not in _KINDS)
        found, wrong = _found(names, toolchain=options["all"] or named)
        chosen = [each for each in found if _fits(each, asked)]
        # What is wrong elsewhere may be why a name is missing, and is not asked for where it is there.
        errors = _unusable(names, chosen) if named and chosen else wrong + _unusable(names, found)
        lines = list(dict.fromkeys(map(str, errors)))
        if options["json"]:
            print(json.dumps({"plugins": [asdict(each) for each in chosen], "errors": lines}, indent=2))
        else:
            _print(chosen, asked)
            sys.stderr.write("".join(f"ERROR: {line}\n" for line in lines))
        if named and not chosen:
            raise BlueprintError(
                f"there is no plugin or backend {asked!r}, nor a step or transform of FINN or QONNX",
                cure=did_you_mean(asked, (each.name for each in found)) or "See `doit plugins --all`.",
            )
        return FAILED if lines else DONE


def _found(names: Names, toolchain: bool) -> tuple[list[Listed], list[PluginError]]:
    """All that there is, FINN's and QONNX's own if asked for, and what is wrong."""
    root = workspace().root
    backends = list(listed_backends(root))
    found = [*listed_plugins(names, root), *(each for each in backends if isinstance(each, Listed))]
    wrong = [*names.plugins.errors(), *(each for each in backends if isinstance(each, PluginError))]
    return [*found, *(listed_toolchain(names) if toolchain else ())], wrong


def _unusable(names: Names, chosen: Iterable[Listed]) -> list[PluginError]:
    """What keeps the chosen plugins from being used."""
    errors = []
    for each in chosen:
        try:
            if each.origin != ORIGINS[-1] and each.kind != BACKEND:
                names.find(each.kind, each.name)
        except PluginError as error:
            errors.append(error)
    return errors


def _print(chosen: Sequence[Listed], asked: str) -> None:
    in_full = len(chosen) == 1 and chosen[0].name == asked
    text = plugin_in_full(chosen[0]) if in_full else plugins_table(chosen, columns())
    sys.stdout.write(text.replace("…", "...") if ascii_only() else text)
    sys.stdout.flush()


def _fits(each: Listed, asked: str) -> bool:
    if asked in ("", each.kind, each.name):
        return True
    return any(wild in asked for wild in _WILD) and fnmatchcase(each.name, asked)
