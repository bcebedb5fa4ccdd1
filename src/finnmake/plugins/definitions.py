"""What a plugin's source file defines, read from its text without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

#: The decorators of `finnmake.plugins`, each named as its kind.
KINDS = ("step", "transform", "analysis")

#: Where they come from.
_HOME = "finnmake.plugins"

#: The stage that an analysis is for.
_AFTER_BUILD = "post_proc"


class Definition(NamedTuple):
    """A function or class at the top of a file that carries a decorator of `finnmake.plugins`.

    Attributes:
        name: its name.
        kind: `step`, `transform` or `analysis`.
        stage: what it is meant for; empty for a step, None where a transform does not say it in plain text.
        line: where it stands.
    """

    name: str
    kind: str
    stage: str | None
    line: int


class Description(NamedTuple):
    """What the source of a function or class says of it.

    Attributes:
        line: where it stands.
        doc: its docstring, empty where it has none.
        parameters: those that a blueprint may set, each as it is written, with its default.
    """

    line: int
    doc: str
    parameters: tuple[str, ...]


def parse(path: Path) -> ast.Module:
    """The file's syntax tree. Raises SyntaxError, OSError, ValueError."""
    return ast.parse(path.read_bytes(), filename=str(path))


def definitions(tree: ast.Module) -> Iterator[Definition]:
    """All plugins of a file, in its order."""
    decorators = _decorators(tree)
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for decorator in node.decorator_list:
            kind = decorators.get(_dotted(_called(decorator)))
            if kind is not None:
                yield Definition(node.name, kind, _stage(kind, decorator), node.lineno)
                break


def describe(tree: ast.Module, name: str, kind: str) -> Description | None:
    """The description of the function or class `name` at the top of a file; None where there is none."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return Description(node.lineno, ast.get_docstring(node) or "", tuple(_parameters(node, kind)))
    return None


def _decorators(tree: ast.Module) -> Mapping[str, str]:
    """What the file calls the decorators -> kind."""
    found = {f"{_HOME}.{kind}": kind for kind in KINDS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == _HOME:
            named = {alias.asname or alias.name: alias.name for alias in node.names if alias.name in KINDS}
            found.update(named)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if before + alias.name == _HOME and (alias.asname or before):
                    found.update({f"{alias.asname or alias.name}.{kind}": kind for kind in KINDS})
    return found


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _dotted(expression: ast.expr) -> str:
    """`a.b.c` of the expression that reads so, else nothing."""
    if isinstance(expression, ast.Attribute):
        owner = _dotted(expression.value)
        return f"{owner}.{expression.attr}" if owner else ""
    return expression.id if isinstance(expression, ast.Name) else ""


def _stage(kind: str, decorator: ast.expr) -> str | None:
    if kind != "transform":
        return _AFTER_BUILD if kind == "analysis" else ""
    given = decorator.keywords if isinstance(decorator, ast.Call) else []
    for keyword in given:
        if keyword.arg == "stage" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _parameters(node: ast.FunctionDef | ast.ClassDef, kind: str) -> Iterator[str]:
    """What comes after the model and the configuration, the build, or `self`."""
    function: ast.AST = node
    if isinstance(node, ast.ClassDef):
        made = (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
        function = next(made, node)
    if not isinstance(function, ast.FunctionDef):
        return
    arguments = function.args
    first = 2 if kind == "step" else 1 if kind == "analysis" or function is not node else 0
    named = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(named) - len(arguments.defaults)) + list(arguments.defaults)
    every = [*zip(named, defaults, strict=True)][first:]
    every += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for argument, default in every:
        yield argument.arg if default is None else f"{argument.arg}={ast.unparse(default)}"
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"
