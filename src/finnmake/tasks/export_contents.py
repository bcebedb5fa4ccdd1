"""What goes into the archive of a configuration: what was read, what came of it, what builds it again."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.blueprint.inherit import read_chain
from finnmake.blueprint.paths import BlueprintPaths
from finnmake.blueprint.slots import FIELD
from finnmake.blueprint.space import DesignSpace
from finnmake.engine.archive import Source
from finnmake.engine.image_files import DESCRIBE, GENERATED
from finnmake.engine.paths import MACHINE
from finnmake.engine.runtime import LOCK as IMAGE_LOCK
from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.records import BuildConfig
from finnmake.settings import NO_LICENCE
from finnmake.tasks.archived import EXPECTED, PROJECT
from finnmake.tasks.comparison import TIMED
from finnmake.tasks.workspace import Workspace

_PACKAGE = Path(__file__).resolve().parent.parent

#: What doitw needs beside itself, and what goes with the sources: of the project, else of finnmake's own.
_SET_UP = ("doitw", "requirements.lock", "README.md", "LICENSE")

#: The files of the project that every build reads.
_OWN = ("dodo.py", "pyproject.toml")

#: A setting that tells where a licence is: nobody else's business.
_LICENCE = re.compile(r"^[ \t]*(?:toolchain\.)?licence[ \t]*=[^\[{]*?\n", re.MULTILINE)

#: Kinds of things that a trace tells of -> where a value says that there is nothing.
_NOTHING = {"files": None, "listings": None, "presence": "missing"}


@dataclass
class Contents:
    """The files of an archive.

    Attributes:
        files: name in the archive -> where it lies, or what it holds.
        expected: name in the archive -> SHA-256 that the build used or left.
        folders: folders that are to be there even when they are empty.
        placeholders: files of the project that are there by name alone.
    """

    files: dict[str, Source] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    placeholders: list[str] = field(default_factory=list)


def gather(
    ws: Workspace, config: BuildConfig, records: Mapping[str, Any], manifest: Mapping[str, Any]
) -> Contents:
    """Everything but the archive's own pages.

    Args:
        records: task group -> what the task kept.
        manifest: of the build.

    Raises WorkspaceError for what a step read outside of the project, and for what is missing.
    """
    contents = Contents()
    for name, path in _project_files(ws, config, contained=bool(manifest["toolchain"]["image"])):
        contents.files[f"{PROJECT}/{name}"] = path
    contents.files[f"{PROJECT}/pyproject.toml"] = _settings(ws.root / "pyproject.toml")
    _add_reads(contents, ws, records)
    _add_outputs(contents, ws, config, records, manifest)
    return contents


def _project_files(ws: Workspace, config: BuildConfig, contained: bool) -> Iterator[tuple[str, Path]]:
    """Name in the project and place of all that a run reads before and after its steps."""
    for name in _OWN:
        yield name, _there(ws.root / name)
    for name in _SET_UP:
        yield name, _set_up_file(ws.root, name)
    for path in _below(_PACKAGE):
        yield f"src/finnmake/{path.relative_to(_PACKAGE).as_posix()}", path
    for path in _below(ws.root / "templates"):
        yield path.relative_to(ws.root).as_posix(), path
    yield config.model_path, ws.root / config.model_path
    for name in (*_blueprints(ws), *_named_files(ws), *_plugins(ws), *_image_files(ws, contained)):
        yield name, ws.root / name


def _there(path: Path) -> Path:
    if not path.is_file():
        raise WorkspaceError(
            "the file is missing, and a rebuild elsewhere needs it",
            where=Location(path=path),
            cure="Restore it from version control.",
        )
    return path


def _set_up_file(root: Path, name: str) -> Path:
    """The project's own, else that of the sources that are running."""
    own = root / name
    return own if own.is_file() else _there(_PACKAGE.parents[1] / name)


def _below(folder: Path) -> Iterator[Path]:
    """All files in a folder as `toolchain.digest_sources` sees them."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        yield from (Path(parent) / name for name in names if not name.endswith(".pyc"))


def _blueprints(ws: Workspace) -> list[str]:
    """The blueprint and those that it extends."""
    paths = BlueprintPaths.of(ws.space.path, ws.root)
    files = [path.as_posix() for path in read_chain(paths, ws.settings.variables).paths.folders]
    _check_inside(file for file in files if os.path.isabs(file))
    return files


def _named_files(ws: Workspace) -> Iterator[str]:
    """Files that fields of the blueprint name, of other configurations too: it is not valid without them."""
    for slot in ws.space.hw_compiler_space.slots:
        for option in slot.options if slot.kind == FIELD else ():
            if isinstance(option, str) and not os.path.isabs(option) and (ws.root / option).is_file():
                yield option


def _plugins(ws: Workspace) -> Iterator[str]:
    """The project's plugins that the blueprint names, in other configurations too."""
    for name in _plugin_names(ws.space):
        path = ws.names.plugins.source(name)
        if path is not None and path.is_relative_to(ws.root):
            yield path.relative_to(ws.root).as_posix()


def _plugin_names(space: DesignSpace) -> Iterator[str]:
    for slot in space.hw_compiler_space.slots:
        if slot.kind != FIELD:
            yield slot.name
            yield from _names_in(slot.options)


def _names_in(value: Any) -> Iterator[str]:
    """Every name in an option, however it is nested; more than names of plugins does no harm."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _names_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _names_in(each)


def _image_files(ws: Workspace, contained: bool) -> Iterator[str]:
    """What makes the image, where the steps ran in it; without its lock no container is looked for."""
    for name in (*GENERATED, DESCRIBE, IMAGE_LOCK) if contained else ():
        if (ws.root / name).is_file():
            yield name


def _settings(path: Path) -> Source:
    """pyproject.toml, without the line that says where a licence is. Raises WorkspaceError."""
    text = path.read_text()
    if _licence(text) in ("", NO_LICENCE):
        return path
    less = _LICENCE.sub("", text)
    try:
        if not _licence(less):
            return less.encode()
    except tomllib.TOMLDecodeError:
        pass
    raise WorkspaceError(
        "not exported: it says where a licence is, and not in a line of its own that could be left out",
        where=Location(path=path, key="tool.finnmake.toolchain.licence"),
        cure='Write `licence = "…"` below [tool.finnmake.toolchain], or set XILINXD_LICENSE_FILE instead.',
    )


def _licence(text: str) -> str:
    toolchain = tomllib.loads(text).get("tool", {}).get("finnmake", {}).get("toolchain", {})
    return str(toolchain.get("licence", ""))


def _add_reads(contents: Contents, ws: Workspace, records: Mapping[str, Any]) -> None:
    """What the steps read: files, names in folders, and whether something is there."""
    outside = _Outside()
    for record in records.values():
        files = {name: sha for name, (_, sha) in record["files"].items()}
        for kind, found in (
            ("files", files),
            ("listings", record["listings"]),
            ("presence", record["presence"]),
        ):
            for name, value in found.items():
                if value == _NOTHING[kind] or name.startswith("builds/") or outside.takes(name):
                    continue
                _add_read(contents, ws.root, kind, name, value)
        for path in record["depends"]:
            name = os.path.relpath(path, ws.root)
            if not name.startswith(("../", "builds/", "src/finnmake/")):
                contents.files.setdefault(f"{PROJECT}/{name}", Path(path))
    outside.check()
    # Only now it is known which of the names that were seen are those of files that were read.
    for record in records.values():
        for name, value in record["listings"].items():
            if value is not None and not name.startswith(("builds/", "/")):
                _add_listing(contents, ws.root, name)


def _add_read(contents: Contents, root: Path, kind: str, name: str, value: Any) -> None:
    place = f"{PROJECT}/{name}"
    if kind == "listings" or value == "folder":
        contents.folders.add(place if name != "." else PROJECT)
        return
    contents.files.setdefault(place, root / name)
    if kind == "files" and isinstance(contents.files[place], Path):
        contents.expected[place] = value


def _add_listing(contents: Contents, root: Path, folder: str) -> None:
    """Names that a step saw in a folder, and whose content nothing read."""
    for entry in sorted(os.scandir(root / folder), key=lambda each: each.name):
        name = entry.name if folder == "." else f"{folder}/{entry.name}"
        place = f"{PROJECT}/{name}"
        if entry.name == "__pycache__" or any(each.startswith(f"{place}/") for each in contents.files):
            continue
        if entry.is_dir():
            contents.folders.add(place)
        elif place not in contents.files:
            contents.files[place] = b""
            contents.placeholders.append(name)


class _Outside:
    """Names of what was read outside of the project, as far as the toolchain does not bring it."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        places = (sys.prefix, sys.base_prefix, str(_PACKAGE), *MACHINE)
        self._toolchain = tuple(f"{os.path.realpath(place)}/" for place in places)

    def takes(self, name: str) -> bool:
        """Whether the name is absolute, and so is nothing to pack."""
        if os.path.isabs(name) and not f"{os.path.realpath(name)}/".startswith(self._toolchain):
            self._found.add(name)
        return os.path.isabs(name)

    def check(self) -> None:
        """Raise WorkspaceError where there is one."""
        _check_inside(self._found)


def _check_inside(outside: Iterable[str]) -> None:
    found = sorted(outside)
    if found:
        raise _outside(found)


def _outside(found: list[str]) -> FinnmakeError:
    listed = "".join(f"\n  {name}" for name in found)
    return WorkspaceError(
        f"not exported: the build read what lies outside of the project:{listed}",
        cure="Move it into the project, name it there, build, and export again.",
    )


def _add_outputs(
    contents: Contents,
    ws: Workspace,
    config: BuildConfig,
    records: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> None:
    """What the tasks left in the configuration's folder, less what holds times."""
    below = f"{config.output_dir}/"
    for record in records.values():
        for name in record["outputs"]:
            own = name.removeprefix(below)
            if own != name and own not in TIMED:
                contents.files[f"{EXPECTED}/{own}"] = ws.root / name
    for name, digest in manifest["outputs"].items():
        contents.expected[f"{EXPECTED}/artifacts/{name}"] = digest
