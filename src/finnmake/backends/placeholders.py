"""Placeholders for packages that FINN imports at module level and does not use in the flows run here.

`mip`, `torch` and `scikit-learn` weigh gigabytes. Where one is absent, a module stands in its place that
can be imported, subclassed and used in annotations; any real use raises a clear error.
"""

from __future__ import annotations

import enum
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

#: Top-level module -> the package to install for the real one.
_PACKAGES = {"mip": "mip", "torch": "torch", "sklearn": "scikit-learn"}


class MissingPackage(ImportError):
    """Something of a package that is not installed was really used."""


class _Absent(type):
    """The class of names in a placeholder: classes that can be named and subclassed, not used."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> NoReturn:
        _refuse(cls.__module__, cls.__name__)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(cls.__module__, f"{cls.__name__}.{name}")


def _refuse(module: str, name: str) -> NoReturn:
    package = _PACKAGES[module.partition(".")[0]]
    raise MissingPackage(
        f"{module}.{name} was used, but a placeholder stands in for the package {package!r}, "
        f"which is not installed; install it beside FINN to run this step"
    )


class _Placeholder(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        absent = _Absent(name, (), {"__module__": self.__name__})
        setattr(self, name, absent)
        return absent


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds absent packages, after every real finder has looked."""

    def __init__(self, roots: frozenset[str]) -> None:
        self._roots = roots

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self._roots:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "mip":
            _fill_mip(module)


def _fill_mip(module: ModuleType) -> None:
    """The constants that FINN reads from `mip` while it defines its configuration (python-mip's values)."""
    constants = {
        "CBC": "CBC",
        "GUROBI": "GRB",
        "HIGHS": "HIGHS",
        "SearchEmphasis": enum.Enum("SearchEmphasis", {"DEFAULT": 0, "FEASIBILITY": 1, "OPTIMALITY": 2}),
    }
    vars(module).update(constants)


def install() -> None:
    """Put placeholders where packages are absent; called once, before FINN is imported."""
    absent = frozenset(root for root in _PACKAGES if importlib.util.find_spec(root) is None)
    if absent:
        sys.meta_path.append(_Finder(absent))
