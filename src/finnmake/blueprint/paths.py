"""Where a blueprint lies, and the files that it names relative to itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from finnmake.blueprint.document import shortened
from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError, Location

#: Where blueprints are looked up by name, below the project.
FOLDER = "blueprints"
_SUFFIXES = (".yaml", ".yml")


class BlueprintPaths(NamedTuple):
    """The places that a blueprint's paths are relative to, absolute.

    Attributes:
        blueprint: its file.
        project: the project's folder.
        folders: file, as messages name it -> its folder; of the blueprint and those that it extends.
    """

    blueprint: Path
    project: Path
    folders: Mapping[Path, Path]

    @classmethod
    def of(cls, blueprint: Path, project: Path) -> BlueprintPaths:
        """Both made absolute; the blueprint's is relative to the project."""
        root = _normal(Path.cwd() / project)
        return cls(_normal(root / blueprint), root, {})

    def file(self, text: str, where: Location) -> str:
        """The name of a file that a blueprint names at `where`. Raises BlueprintError where there is none."""
        return self.name(self.find(text, where))

    def find(self, text: str, where: Location) -> Path:
        """The file itself, absolute. Raises BlueprintError where there is none."""
        folder = self.folders.get(where.path or Path(), self.blueprint.parent)
        return self.find_from(folder, text, where)

    @staticmethod
    def find_from(folder: Path, text: str, where: Location) -> Path:
        """The file itself, its name relative to a folder. Raises BlueprintError where there is none."""
        target = _normal(folder / text)
        if not _is_file(target):
            raise _no_file(text, target, where)
        return target

    def name(self, path: Path) -> str:
        """The path relative to the project (POSIX) where it lies inside it, else absolute."""
        if path.is_relative_to(self.project):
            return path.relative_to(self.project).as_posix()
        real, root = path.resolve(), self.project.resolve()
        return real.relative_to(root).as_posix() if real.is_relative_to(root) else path.as_posix()


def resolve_blueprint(name_or_path: str | Path, project: Path) -> Path:
    """The file of a blueprint.

    Args:
        name_or_path: `digits` for `blueprints/digits.yaml`, or a path relative to the project.
        project: the project's folder.

    Raises:
        BlueprintError: there is none; lists those that exist.
    """
    asked = Path(name_or_path)
    candidates = [project / asked]
    if asked.name == str(asked) and asked.suffix not in _SUFFIXES:
        candidates = [project / FOLDER / f"{asked}{suffix}" for suffix in _SUFFIXES]
    for candidate in candidates:
        if _is_file(candidate):
            return candidate
    raise _no_blueprint(str(name_or_path), project)


def _no_blueprint(asked: str, project: Path) -> BlueprintError:
    existing = sorted(path.stem for path in (project / FOLDER).glob("*") if path.suffix in _SUFFIXES)
    listed = f"Those in {FOLDER}/ are {', '.join(existing)}." if existing else f"{FOLDER}/ holds none yet."
    cure = f"{did_you_mean(asked, existing)} {listed}".strip()
    return BlueprintError(f"there is no blueprint {asked!r}", cure=cure)


def _no_file(text: str, target: Path, where: Location) -> BlueprintError:
    names = _names_in(target.parent)
    if target.name in names:
        return BlueprintError(
            f"{shortened(text)!r} is not a file", where=where, cure="Name a file that can be read."
        )
    alike = [name for name in names if name.endswith(target.suffix)]
    cure = did_you_mean(target.name, alike) or "Paths are relative to the blueprint's own folder."
    return BlueprintError(f"there is no file {shortened(text)!r}", where=where, cure=cure)


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (OSError, ValueError):
        return []


def _is_file(path: Path) -> bool:
    """Whether a file can be seen there; names that no file can have are none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _normal(path: Path) -> Path:
    """Without `..`, and without following links: a linked model keeps its place in the project."""
    return Path(os.path.normpath(path))
