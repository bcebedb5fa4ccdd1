"""`doit space`: what the blueprint describes, and everything that is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnmake.blueprint.slots import Slot
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, FinnmakeError, ModelError
from finnmake.exploration.selection import select
from finnmake.tasks.command import DONE, FAILED, HELP, SpaceCommand, ascii_only, columns, flag
from finnmake.tasks.space_text import space_text
from finnmake.tasks.workspace import workspace


class Space(SpaceCommand):
    """The command."""

    name = "space"
    doc_purpose = "show the design space that the blueprint describes, and check it"
    doc_usage = "[--json] [--no-model] [blueprint=NAME]"
    doc_description = """Exit code 0: the design space is valid. 1: it is not, and the errors say why.
3: the command is wrong, or the blueprint cannot be read.

Nothing is built."""
    cmd_options = (
        flag("json", "as JSON, with all values in full"),
        flag("no-model", "leave the model unread, which takes a few seconds"),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the description; gives 1 where the space is not valid."""
        space = workspace().space
        errors: list[FinnmakeError] = []
        described = describe(space, workspace().root, errors)
        if not options["no_model"]:
            described["model_info"] = _model_info(space, errors)
        described["errors"] = list(map(str, errors))
        if options["json"]:
            print(json.dumps(described, indent=2, default=str))
        else:
            sys.stdout.write(space_text(described, columns(), ascii_only()))
            sys.stdout.flush()
            sys.stderr.write("".join(f"ERROR: {error}\n" for error in errors))
        return FAILED if errors else DONE


def describe(space: DesignSpace, root: Path, errors: list[FinnmakeError]) -> dict[str, Any]:
    """The design space as JSON values, without the model's information.

    Args:
        space: the design space.
        root: the project's folder; paths are told relative to it.
        errors: what is wrong with the space as a whole is added here.
    """
    slots = space.hw_compiler_space.slots
    inside = space.path.is_relative_to(root)
    errors += space.validate()
    return {
        "name": space.name,
        "description": space.description,
        "blueprint": (space.path.relative_to(root) if inside else space.path).as_posix(),
        "model": space.model_path,
        "model_info": None,
        "backend": space.backend,
        "global_config": dict(space.global_config),
        "axes": [{**_slot(slot), "options": list(slot.options)} for slot in slots if slot.is_axis],
        "fixed": [{**_slot(slot), "option": slot.options[0]} for slot in slots if not slot.is_axis],
        "constraints": [each.text for each in space.constraints],
        "objectives": [{"metric": metric, "goal": goal} for metric, goal in space.objectives],
        "limits": [each.text for each in space.limits],
        "search": space.search_config.to_dict(),
        "product": space.size,
        **_numbers(space, errors),
        "notes": list(space.notes),
    }


def _slot(slot: Slot) -> dict[str, str]:
    return {"key": slot.key, "kind": slot.kind, "name": slot.name}


def _numbers(space: DesignSpace, errors: list[FinnmakeError]) -> dict[str, int | None]:
    """How many configurations the constraints allow and how many `search` selects; None: not known."""
    numbers: dict[str, int | None] = {"combinations": None, "selected": None}
    for name, count in (
        ("combinations", space.get_total_combinations),
        ("selected", lambda: len(select(space))),
    ):
        try:
            numbers[name] = count()
        except BlueprintError as error:
            if name == "selected" and str(error) not in map(str, errors):
                errors.append(error)
    return numbers


def _model_info(space: DesignSpace, errors: list[FinnmakeError]) -> dict[str, Any] | None:
    sys.stderr.write(f"reading {space.model_path} (--no-model leaves it)\n")
    sys.stderr.flush()
    try:
        return space.model_info.to_dict()
    except ModelError as error:
        errors.append(error)
        return None
