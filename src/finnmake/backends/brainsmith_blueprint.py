"""A configuration as a blueprint of Brainsmith 0.1, and as a JSON specification of what it is to build.

The format: microsoft/Brainsmith, docs/developer-guide/blueprint-schema.md, and the code that reads it:
brainsmith/dse/config.py and brainsmith/dse/_parser/.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from finnmake.blueprint.brainsmith_fields import check_field
from finnmake.blueprint.brainsmith_steps import registered
from finnmake.blueprint.tables import KERNELS_FIELD, boards, path_fields
from finnmake.errors import BlueprintError

#: Output stage -> `output`. Where it says `rtl`, Brainsmith asks FINN for a stitched IP.
OUTPUTS = {"ESTIMATES": "estimates", "STITCHED_IP": "rtl", "BITFILE": "bitfile"}

#: The folder of the blueprint, as Brainsmith replaces it in all that the blueprint says.
FOLDER = "${BLUEPRINT_DIR}"

#: FINN's default for `synth_clk_period_ns`, for which Brainsmith has none.
_CLOCK_NS = 10.0

#: Fields that have a key of their own, that Brainsmith sets itself, or that are none of FINN's.
_NOT_OVERRIDDEN = frozenset(
    ("board", "generate_outputs", "save_intermediate_models", "synth_clk_period_ns", KERNELS_FIELD)
)


def blueprint(given: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The blueprint as YAML values.

    Args:
        given: what `runner.flow` tells of the build: `design_space`, `output_stage`, `kernels`, `steps`.
        flags: the configuration's fields.

    Raises BlueprintError for what a Brainsmith blueprint has no place for.
    """
    name, stage = given["design_space"], given["output_stage"]
    intermediate = flags.get("save_intermediate_models")
    fields = {
        field: _marshalled(field, value)
        for field, value in sorted(flags.items())
        if field not in _NOT_OVERRIDDEN
    }
    return {
        "name": name,
        "description": f"One configuration of {name}, written by finnmake",
        "clock_ns": float(flags.get("synth_clk_period_ns") or _CLOCK_NS),
        "output": OUTPUTS[stage],
        **_board(stage, flags),
        **({} if intermediate is None else {"save_intermediate_models": intermediate}),
        **({"finn_config": fields} if fields else {}),
        "design_space": {
            "kernels": [_kernel(kernel) for kernel in given["kernels"]],
            "steps": [_step(entry) for entry in given["steps"]],
        },
    }


def specification(given: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be built as JSON values: kernels, transforms, and the stages with who runs them.

    The transforms of `pre_proc` have been applied to the model that Brainsmith gets.
    """
    before = given["transforms"].get("pre_proc", [])
    return {
        "format": "finnmake brainsmith specification 1",
        "design_space": given["design_space"],
        "output": OUTPUTS[given["output_stage"]],
        "config": {name: value for name, value in sorted(flags.items()) if name != KERNELS_FIELD},
        "kernels": list(given["kernels"]),
        "transforms": dict(given["transforms"]),
        "stages": [
            {"stage": "pre_proc", "run_by": "finnmake", "transforms": before},
            {"stage": "steps", "run_by": "brainsmith", "steps": [_step(each) for each in given["steps"]]},
            {"stage": "post_proc", "run_by": "finnmake"},
        ],
    }


def files(flags: Mapping[str, Any]) -> dict[str, str]:
    """The files that the blueprint names: its name beside the blueprint -> the path in the configuration."""
    named = {field: flags[field] for field in sorted(path_fields() & flags.keys()) if flags[field]}
    return {_beside(field, path): path for field, path in named.items()}


def as_yaml(value: Mapping[str, Any]) -> str:
    """The text of a blueprint, keys in the order given."""
    import yaml  # only what marshals needs it

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def _marshalled(field: str, value: Any) -> Any:
    check_field(field)
    return f"{FOLDER}/{_beside(field, value)}" if field in path_fields() and value else value


def _beside(field: str, path: str) -> str:
    """Where a file lies beside the blueprint: `$` in a name would be replaced by Brainsmith."""
    return f"files/{field}/{PurePosixPath(path).name.replace('$', '_')}"


def _board(stage: str, flags: Mapping[str, Any]) -> dict[str, str]:
    board = flags.get("board")
    if board:
        return {"board": board}
    if stage == "ESTIMATES":
        return {}
    part = flags.get("fpga_part")
    named = [name for name, each in sorted(boards().items()) if each == part] or sorted(boards())
    raise BlueprintError(
        f"Brainsmith needs a board for {OUTPUTS[stage]}, and the configuration names none",
        cure=f"Set design_space.config.board: {', '.join(named)}.",
    )


def _kernel(kernel: Mapping[str, Any]) -> str | dict[str, list[str]]:
    """Its name, for all backends that it has, or name: backends in order of priority."""
    name: str = kernel["name"]
    if kernel["attributes"]:
        raise _no_place(f"attributes of kernels ({name}: {', '.join(sorted(kernel['attributes']))})")
    return {name: list(kernel["backends"])} if kernel["backends"] else name


def _step(entry: Mapping[str, Any]) -> str:
    """The name of a step as Brainsmith registers it. Raises BlueprintError where it has none."""
    name: str = entry["name"]
    if entry["kind"] != "step":
        raise _no_place(f"a {entry['kind']} among the steps ({name})")
    if entry["parameters"]:
        raise _no_place(f"parameters of steps ({name}: {', '.join(sorted(entry['parameters']))})")
    return registered(name)


def _no_place(what: str) -> BlueprintError:
    return BlueprintError(
        f"a blueprint of Brainsmith 0.1 has no place for {what}",
        cure="Take that out, or build with the backend finn.",
    )
