"""The parameters that a plugin takes, as far as its source says so without being run."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from finnmake.plugins.definitions import describe, parse
from finnmake.plugins.plugin import Plugin

#: QONNX's base class, whose constructor takes nothing.
_PLAIN_BASE = "Transformation"


def parameters_of(plugin: Plugin) -> Sequence[str] | None:
    """Each parameter as it is written, with its default; None where the source does not tell."""
    try:
        tree = parse(plugin.path)
    except (SyntaxError, OSError, ValueError):
        return None
    found = describe(tree, plugin.name, plugin.kind)
    return found.parameters if found is not None and _tells(tree, plugin.name) else None


def _tells(tree: ast.Module, name: str) -> bool:
    """Whether the signature in the source is the one that counts: no other decorator, no unknown base."""
    node = next(each for each in tree.body if getattr(each, "name", None) == name)
    if isinstance(node, ast.FunctionDef):
        return len(node.decorator_list) <= 1
    if not isinstance(node, ast.ClassDef) or len(node.decorator_list) > 1 or node.keywords:
        return False
    if any(isinstance(each, ast.FunctionDef) and each.name == "__init__" for each in node.body):
        return True
    bases = [each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in node.bases]
    return all(base == _PLAIN_BASE for base in bases)
