"""Parameters of plugins are checked when the blueprint is read: each mistake with its place, in a second."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.plugins.builtin import BUILTINS
from finnmake.plugins.catalog import PluginCatalog
from finnmake.tasks.names import Names
from tests.projects import Project

PLUGIN = """\
import functools

from finnmake.plugins import analysis, step, transform
from qonnx.transformation.base import Transformation


def widened(function):
    @functools.wraps(function)
    def inner(*args, extra=None, **kwargs):
        return function(*args, **kwargs)
    return inner


@step
def folded(model, cfg, factor, depth=1):
    return model


@step
@widened
def wrapped(model, cfg):
    return model


@transform(stage="pre_proc")
class Kept(Transformation):
    def __init__(self, names, *, deep=False):
        super().__init__()


@transform(stage="pre_proc")
class Plain(Transformation):
    pass


@transform(stage="pre_proc")
class Derived(Kept):
    pass


@analysis
def counted(build, limit=1):
    return {}


@analysis
def free(build, needed, **others):
    return {}
"""

#: Entries of steps, transforms and analyses -> what is said; of an entry whose key is wrong, that key.
WRONG = {
    "step, unknown": ("steps", {"step": "folded", "factr": 2}, "has no parameter 'factr'", "factor"),
    "step, missing": ("steps", {"step": "folded", "depth": 2}, "needs the parameter 'factor'", "factor: ..."),
    "step, alone": ("steps", "folded", "needs the parameter 'factor'", "factor: ..."),
    "step, optional": ("steps", "~folded", "needs the parameter 'factor'", "factor: ..."),
    "transform, missing": ("pre_proc", "Kept", "needs the parameter 'names'", "names, deep=False"),
    "transform, plain": (
        "pre_proc",
        {"name": "Plain", "parameters": {"x": 1}},
        "has no parameter 'x'",
        "It has none",
    ),
    "analysis, unknown": (
        "post_proc",
        {"name": "counted", "parameters": {"limits": 1}},
        "has no parameter 'limits'",
        "limit?",
    ),
    "analysis, needs": (
        "post_proc",
        {"name": "free", "parameters": {"any": 1}},
        "needs the parameter 'needed'",
        "needed: ...",
    ),
    "built in, unknown": (
        "pre_proc",
        {
            "name": "quantize_model",
            "parameters": {"weight_bits": 8, "activation_bits": 8, "calibraton": "x.npz"},
        },
        "has no parameter 'calibraton'",
        "calibration?",
    ),
    "built in, missing": ("post_proc", "accuracy_validation", "needs the parameter 'data'", "data: ..."),
    "built in, none": (
        "post_proc",
        {"name": "performance_analysis", "parameters": {"foo": 1}},
        "has no parameter 'foo'",
        "It has none",
    ),
}

RIGHT = {
    "step": ("steps", {"step": "folded", "factor": [1, 2]}),
    "step, decorated twice": ("steps", {"step": "wrapped", "extra": 1}),
    "transform": ("pre_proc", {"name": "Kept", "parameters": {"names": ["a"], "deep": True}}),
    "transform, plain": ("pre_proc", "Plain"),
    "transform of an unknown base": ("pre_proc", {"name": "Derived", "parameters": {"names": ["a"]}}),
    "analysis of any": ("post_proc", {"name": "free", "parameters": {"needed": 1, "any": 2}}),
    "finn's own": ("pre_proc", {"name": "GiveUniqueNodeNames", "parameters": {"prefix": "a"}}),
}


def forged(project: Project, where: str, entry: object, **keys: object) -> Path:
    project.plugin("mine.py", PLUGIN)
    config = {"fpga_part": "xc7z020clg400-1"}
    if where == "steps":
        path = project.blueprint(keys=keys, config=config, steps=["step_tidy_up", entry])
    else:
        path = project.blueprint(keys=keys, config=config, transforms={where: [entry]})
    return path


def read(project: Project, path: Path) -> None:
    from finnmake import forge

    forge(None, path, project=project.root)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_parameter_is_told_with_its_place(empty_project: Project, case: str) -> None:
    where, entry, message, cure = WRONG[case]
    path = forged(empty_project, where, entry)
    with pytest.raises(BlueprintError) as caught:
        read(empty_project, path)
    error = caught.value
    assert message in error.message and cure in error.cure, str(error)
    lines = path.read_text().splitlines()
    place = lines[error.where.line - 1][error.where.column - 1 :]
    expected = message.split("'")[1] if "has no" in message else None
    assert place.startswith(f'"{expected}"' if expected else ('"' if isinstance(entry, str) else "{")), place


@pytest.mark.parametrize("case", RIGHT)
def test_what_a_plugin_takes_or_may_take_passes(empty_project: Project, case: str) -> None:
    where, entry = RIGHT[case]
    read(empty_project, forged(empty_project, where, entry))


def test_what_the_simulation_takes_passes_with_it_alone(empty_project: Project) -> None:
    entry = {"name": "counted", "parameters": {"sleep": 0.1, "fail": True}}
    read(empty_project, forged(empty_project, "post_proc", entry, backend="mock"))
    with pytest.raises(BlueprintError, match="has no parameter 'sleep'"):
        read(empty_project, forged(empty_project, "post_proc", entry))
    entry = {"name": "counted", "parameters": {"slep": 0.1}}
    with pytest.raises(FinnmakeError, match="has no parameter 'slep'"):
        read(empty_project, forged(empty_project, "post_proc", entry, backend="mock"))


def test_the_parameters_of_all_built_in_plugins_are_known(tmp_path: Path) -> None:
    names = Names(PluginCatalog(tmp_path / "plugins"))
    for name, each in BUILTINS.items():
        found = names.parameters(each.kind, name)
        assert found is not None, name
        for parameter in found:
            key, _, default = parameter.partition("=")
            assert key.isidentifier() and (not default or ast.parse(default, mode="eval"))


def test_the_command_line_says_it_before_anything_runs(empty_project: Project) -> None:
    path = forged(empty_project, "post_proc", "accuracy_validation")
    run = empty_project.fail("build")
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "accuracy" in text)
    assert f"tiny.yaml:{line}:" in run.output and "needs the parameter 'data'" in run.output
    assert not run.steps and json.loads(path.read_text())["name"] == "tiny"
