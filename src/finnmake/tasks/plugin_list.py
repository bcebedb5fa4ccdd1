"""What `doit plugins` tells of each plugin, step, transform and backend, mostly read from sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from finnmake.backends import ALIASES, BACKENDS, Backend, find_backend
from finnmake.backends.installed import installed_names
from finnmake.blueprint.tables import made_from
from finnmake.errors import BlueprintError, PluginError
from finnmake.plugins.definitions import KINDS, describe, parse
from finnmake.plugins.locate import source_of
from finnmake.plugins.plugin import BUILTIN, INSTALLED, PROJECT, Plugin, shown
from finnmake.tasks.names import Names

#: Origins in the order in which they are shown; the last is that of FINN's and QONNX's own names.
ORIGINS = (PROJECT, INSTALLED, BUILTIN, "toolchain")

#: The kind of backends, which stand beside the plugins.
BACKEND = "backend"

#: Top-level module of FINN's and QONNX's own -> the package that it comes from.
_PACKAGES = {"finn": "finn-plus", "qonnx": "qonnx"}

#: Between a sentence and the next.
_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")


@dataclass(frozen=True)
class Listed:
    """One name that a blueprint may use.

    Attributes:
        name: the name.
        kind: `step`, `transform`, `analysis` or `backend`.
        stage: what it is meant for; empty where it does not say.
        origin: one of `ORIGINS`.
        package: what brings it; empty for the project.
        version: that package's.
        target: `module:attribute`, where the worker finds it; of a backend the adapter's module.
        source: file and line, as far as they are known.
        parameters: those that a blueprint may set, with their defaults.
        doc: its docstring.
        aliases: its other names, of a backend.
        output_stages: how far it goes, of a backend.
    """

    name: str
    kind: str
    stage: str
    origin: str
    package: str
    version: str
    target: str
    source: str
    parameters: tuple[str, ...]
    doc: str
    aliases: tuple[str, ...] = ()
    output_stages: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it comes from: the package and its version, or the project."""
        return f"{self.package} {self.version}" if self.package else "this project"

    @property
    def summary(self) -> str:
        """The first sentence of the docstring, on one line."""
        paragraph = " ".join(self.doc.strip().partition("\n\n")[0].split())
        return _SENTENCE.split(paragraph, maxsplit=1)[0]


def listed_plugins(names: Names, root: Path) -> list[Listed]:
    """The plugins of the project, of installed packages, and finnmake's own, seen from `root`."""
    return [_of_plugin(plugin, root) for plugin in names.plugins.plugins()]


def listed_toolchain(names: Names) -> Iterator[Listed]:
    """FINN's and QONNX's own steps and transforms, each kind in the order of the names."""
    for kind in KINDS:
        for name in sorted(names.finn.names(kind)):
            yield _of_toolchain(names, kind, name)


def listed_backends(root: Path) -> Iterator[Listed | PluginError]:
    """finnmake's own backends and those of installed packages, or what is wrong with one of these."""
    for backend in BACKENDS.values():
        yield _of_backend(backend, root)
    for name in installed_names():
        try:
            yield _of_backend(find_backend(name), root)
        except PluginError as error:
            yield error


def _of_backend(backend: Backend, root: Path) -> Listed:
    package, _, version = (backend.package or f"finnmake {_version('finnmake')}").rpartition(" ")
    path = source_of(backend.adapter)
    tree = _tree(path) if path is not None else None
    return Listed(
        name=backend.name,
        kind=BACKEND,
        stage="",
        origin=INSTALLED if backend.package else BUILTIN,
        package=package,
        version=version,
        target=backend.adapter,
        source=shown(path, root).as_posix() if path is not None else backend.adapter,
        parameters=(),
        doc=(ast.get_docstring(tree) or "") if tree is not None else "",
        aliases=tuple(alias for alias, name in ALIASES.items() if name == backend.name),
        output_stages=tuple(stage.value for stage in backend.output_stages),
    )


def _of_plugin(plugin: Plugin, root: Path) -> Listed:
    found = _described(plugin.path, plugin.name, plugin.kind)
    line, doc, parameters = found or (plugin.line, "", ())
    own = plugin.origin == BUILTIN
    return Listed(
        name=plugin.name,
        kind=plugin.kind,
        stage=plugin.stage,
        origin=plugin.origin,
        package="finnmake" if own else plugin.package,
        version=_version("finnmake") if own else plugin.version,
        target=plugin.target,
        source=_source(shown(plugin.path, root), line),
        parameters=parameters,
        doc=doc,
    )


def _of_toolchain(names: Names, kind: str, name: str) -> Listed:
    try:
        target = names.finn.find(kind, name) or ""
        remark = ""
    except BlueprintError as error:  # two modules have it
        target, remark = "", f"{error.message}. {error.cure}"
    module = target.partition(":")[0]
    package = _PACKAGES.get(module.partition(".")[0], "finn-plus")
    path = source_of(module) if module else None
    line, doc, parameters = (_described(path, name, kind) if path else None) or (None, remark, ())
    return Listed(
        name=name,
        kind=kind,
        stage="",
        origin=ORIGINS[-1],
        package=package,
        version=_version(package),
        target=target,
        source=f"{module}:{line}" if line else module,
        parameters=parameters,
        doc=doc,
    )


def _source(path: Path, line: int | None) -> str:
    return path.as_posix() if line is None else f"{path.as_posix()}:{line}"


def _described(path: Path, name: str, kind: str) -> tuple[int, str, tuple[str, ...]] | None:
    """Line, docstring and parameters; None where the source has no such function or class."""
    tree = _tree(path)
    found = describe(tree, name, kind) if tree is not None else None
    return (found.line, found.doc, found.parameters) if found is not None else None


@cache
def _tree(path: Path) -> ast.Module | None:
    try:
        return parse(path)
    except (SyntaxError, OSError, ValueError):
        return None


@cache
def _version(package: str) -> str:
    """Of the installed package; of one of the toolchain that is not here, that which finnmake knows."""
    try:
        return metadata.version(package) if package else ""
    except metadata.PackageNotFoundError:
        return made_from().get(package, "")
