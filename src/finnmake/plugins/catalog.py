"""Which names the project's plugins define, read from their sources without running them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finnmake.errors import Location, PluginError

#: Decorator of `finnmake.plugins` -> kind.
_KINDS = ("step", "transform", "analysis")

#: Stems that would hide a module that FINN or Python needs.
_TAKEN = frozenset(sys.stdlib_module_names) | {"finn", "qonnx", "onnx", "numpy", "finnmake", "doit"}


@dataclass(frozen=True)
class Plugin:
    """One name that a plugin file defines: `module:attribute` is its target."""

    name: str
    kind: str
    path: Path
    line: int

    @property
    def target(self) -> str:
        """Where the worker finds it."""
        stem = self.path.parent.name if self.path.name == "__init__.py" else self.path.stem
        return f"{stem}:{self.name}"


class PluginCatalog:
    """The plugins of a folder: modules `x.py` and packages `x/__init__.py` in it, found by name.

    A file that cannot be parsed matters only when a name is not found elsewhere: then it is the error.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._plugins: dict[str, Plugin] = {}
        self._broken: list[PluginError] = []
        for path in _modules(folder):
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except SyntaxError as error:
            where = Location(path=self._shown(path), line=error.lineno, column=error.offset)
            problem = PluginError(
                f"the plugin does not parse: {error.msg}",
                where=where,
                cure="Correct it; the blueprint uses a name that is in no other file.",
            )
            self._broken.append(problem)
            return
        except (OSError, ValueError) as error:
            problem = PluginError(
                f"the plugin cannot be read: {error}",
                where=Location(path=self._shown(path)),
                cure="Look at its rights and its encoding, which must be UTF-8.",
            )
            self._broken.append(problem)
            return
        for plugin in _defined(tree, path):
            self._add(plugin)

    def _add(self, plugin: Plugin) -> None:
        other = self._plugins.setdefault(plugin.name, plugin)
        if other is not plugin:
            raise PluginError(
                f"{plugin.name!r} is defined twice, here and at {self._shown(other.path)}:{other.line}",
                where=Location(path=self._shown(plugin.path), line=plugin.line),
                cure="Rename one of the two.",
            )
        stem = plugin.target.partition(":")[0]
        if stem in _TAKEN:
            raise PluginError(
                f"a plugin file must not be called {stem!r}: an installed module has that name",
                where=Location(path=self._shown(plugin.path)),
                cure="Rename the file.",
            )

    def _shown(self, path: Path) -> Path:
        """The file as the user knows it: relative to the project."""
        return path.relative_to(self.folder.parent)

    def find(self, kind: str, name: str) -> str | None:
        """The target of the plugin `name` of that kind, or None."""
        plugin = self._plugins.get(name)
        if plugin is not None and plugin.kind == kind:
            return plugin.target
        return None

    def names(self, kind: str) -> Iterable[str]:
        """The names of that kind."""
        return [name for name, plugin in self._plugins.items() if plugin.kind == kind]

    def source(self, name: str) -> Path | None:
        """The file that defines `name`."""
        plugin = self._plugins.get(name)
        return plugin.path if plugin else None

    def broken(self) -> list[PluginError]:
        """The files that could not be read."""
        return self._broken


def _modules(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if entry.suffix == ".py" and entry.is_file():
            yield entry
        elif (entry / "__init__.py").is_file():
            yield entry / "__init__.py"


def _defined(tree: ast.Module, path: Path) -> Iterator[Plugin]:
    """Functions and classes at the top of the file that carry a decorator of `finnmake.plugins`."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            kind = _kind(node)
            if kind is not None:
                yield Plugin(node.name, kind, path, node.lineno)


def _kind(node: ast.FunctionDef | ast.ClassDef) -> str | None:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in _KINDS:
            return name
    return None
