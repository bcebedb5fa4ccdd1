"""What an archive of `doit export` says of itself, where things lie in it, and whether it holds together.

Works with the standard library alone: the script in an archive runs it before there is an environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from finnmake.engine.archive import check_sums, read_json
from finnmake.errors import Location, WorkspaceError
from finnmake.hashing import digest_file

#: The description, the project as it was built, and what came of it.
DESCRIPTION, PROJECT, EXPECTED = "archive.json", "project", "expected"

#: Raise it whenever the layout of an archive changes.
_VERSION = 1


@dataclass(frozen=True)
class Archived:
    """archive.json: what was built, and how to build it again.

    Attributes:
        name: of the archive: blueprint and configuration, and whether it is simulated.
        blueprint: the design space's name.
        config_id: the configuration.
        backend: what it was built with.
        simulated: whether the backend made its results up.
        arguments: of the command line, as `blueprint=blueprints/digits.yaml`.
        runtime: where its steps ran.
        switches: variables that FINN read -> value.
        variables: variables that the blueprint used in `extends` -> value; `.` is the project.
        paths: whether steps generated code, whose files hold the path of the store.
        status: how the build ended.
        placeholders: files that are empty: a step saw their names in a folder, and never read them.
        beside: packages of the environment that requirements.lock does not name.
    """

    name: str
    blueprint: str
    config_id: str
    backend: str
    simulated: bool
    arguments: tuple[str, ...]
    runtime: str
    switches: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    paths: bool = False
    status: str = "SUCCESS"
    placeholders: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def outputs(self) -> str:
        """Where the outputs of the configuration appear, below the project."""
        return f"builds/{self.blueprint}/{self.config_id}"

    def to_dict(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {"version": _VERSION, **asdict(self)}


def read(folder: Path) -> Archived:
    """The description of an archive unpacked in `folder`. Raises WorkspaceError."""
    path = folder / DESCRIPTION
    value = read_json(path)
    version = value.get("version") if isinstance(value, dict) else None
    if version != _VERSION:
        raise WorkspaceError(
            f"the archive has layout {version!r}, this finnmake reads layout {_VERSION}",
            where=Location(path=path),
            cure="Run its own reproduce.py.",
        )
    names = {each.name for each in fields(Archived)}
    if value.keys() - {"version"} != names or not all(_fits(value[name], name) for name in names):
        raise WorkspaceError(
            "this is no description of an archive", where=Location(path=path), cure="Get the archive again."
        )
    lists = {name: tuple(each) for name, each in value.items() if isinstance(each, list)}
    return Archived(**{**{name: value[name] for name in names}, **lists})


_LISTS = ("arguments", "placeholders", "beside")
_TABLES = ("switches", "variables")


def _fits(value: Any, name: str) -> bool:
    if name in ("simulated", "paths"):
        return isinstance(value, bool)
    if name in _TABLES:
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    if name in _LISTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    # A path from these leads out of the folder that is built in.
    return isinstance(value, str) and (name not in ("blueprint", "config_id") or "/" not in value)


def problems(folder: Path) -> list[str]:
    """What in an unpacked archive is not as it was exported, a line each: its sums, then its own manifest."""
    return check_sums(folder) or list(_inputs(folder)) + list(_outputs(folder))


def _inputs(folder: Path) -> list[str]:
    manifest = read_json(folder / EXPECTED / "manifest.json")
    inputs = {name: digest for name, digest in manifest["inputs"].items() if digest is not None}
    return [
        f"{PROJECT}/{name} is not the input that the manifest names"
        for name, digest in sorted(inputs.items())
        if not name.startswith(("/", "builds/")) and _digest(folder / PROJECT / name) != digest
    ]


def _outputs(folder: Path) -> list[str]:
    manifest = read_json(folder / EXPECTED / "manifest.json")
    return [
        f"{EXPECTED}/artifacts/{name} is not the output that the manifest names"
        for name, digest in sorted(manifest["outputs"].items())
        if _digest(folder / EXPECTED / "artifacts" / name) != digest
    ]


def _digest(path: Path) -> str | None:
    return digest_file(path) if path.is_file() else None
