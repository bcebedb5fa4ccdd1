"""What counts as a plugin in a source file, and what the source says of it."""

from __future__ import annotations

import ast

import pytest

from finnmake.plugins.definitions import definitions, describe


def kinds(text: str) -> dict[str, str]:
    return {each.name: each.kind for each in definitions(ast.parse(text))}


@pytest.mark.parametrize(
    ("head", "mark"),
    [
        ("from finnmake.plugins import step", "step"),
        ("from finnmake.plugins import analysis, step as own", "own"),
        ("from finnmake import plugins", "plugins.step"),
        ("from finnmake import plugins as p", "p.step"),
        ("import finnmake.plugins", "finnmake.plugins.step"),
        ("import finnmake.plugins as p", "p.step"),
        ("try:\n    from finnmake.plugins import step\nexcept ImportError:\n    pass", "step"),
    ],
)
def test_however_the_decorator_is_imported(head: str, mark: str) -> None:
    assert kinds(f"{head}\n@{mark}\ndef f(model, cfg): ...") == {"f": "step"}


@pytest.mark.parametrize(
    "head", ["from zenml import step", "from finnmake.plugins import Build as step", "import plugins"]
)
def test_decorators_of_others_do_not_count(head: str) -> None:
    assert kinds(f"{head}\n@step\ndef f(): ...\n@plugins.step\ndef g(): ...") == {}


def test_beside_other_decorators_and_at_the_top_alone() -> None:
    text = """
from functools import cache
from finnmake.plugins import analysis, transform

@cache
@analysis
def first(build): ...

@transform(stage="clean")
class Second: ...

def outer():
    @analysis
    def inner(build): ...
"""
    found = {each.name: (each.kind, each.stage, each.line) for each in definitions(ast.parse(text))}
    assert found == {"first": ("analysis", "post_proc", 7), "Second": ("transform", "clean", 10)}


@pytest.mark.parametrize("mark", ["@transform", "@transform()", "@transform(stage=STAGE)"])
def test_a_transform_must_say_its_stage_in_plain_text(mark: str) -> None:
    text = f"from finnmake.plugins import transform\n{mark}\nclass T: ..."
    assert [each.stage for each in definitions(ast.parse(text))] == [None]


@pytest.mark.parametrize(
    ("kind", "text", "parameters"),
    [
        ("step", "def f(model, cfg, most=3, *, names=('a',)): 'Do.'", ("most=3", "names=('a',)")),
        ("analysis", "def f(build, data, /, **more): 'Do.'", ("data", "**more")),
        ("transform", "def f(bits): 'Do.'", ("bits",)),
        (
            "transform",
            "class f:\n 'Do.'\n def apply(self, m): ...\n def __init__(self, a, b=None): ...",
            ("a", "b=None"),
        ),
        ("transform", "class f:\n 'Do.'", ()),
    ],
)
def test_parameters_are_those_that_a_blueprint_may_set(
    kind: str, text: str, parameters: tuple[str, ...]
) -> None:
    found = describe(ast.parse(text), "f", kind)
    assert found is not None
    assert (found.doc, found.parameters) == ("Do.", parameters)


def test_nothing_to_say_of_what_is_not_there() -> None:
    assert describe(ast.parse("f = 1"), "f", "step") is None
