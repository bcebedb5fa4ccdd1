"""Which runtime a project's steps run in, and the toolchain that they find there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from finnmake.engine.files import FileDigests
from finnmake.engine.paths import MACHINE
from finnmake.engine.runtime import IMAGE_PYTHON, LOCK, PROJECT, STORE, Runtime
from finnmake.engine.runtime.local import LocalRuntime
from finnmake.engine.toolchain import (
    Toolchain,
    digest_sources,
    identify,
    installed,
    licence_variables,
    variables,
)
from finnmake.errors import ContainerError, Location, ToolError, WorkspaceError
from finnmake.hashing import digest_value
from finnmake.settings import RUNTIMES, Settings

if TYPE_CHECKING:
    from finnmake.engine.vivado import Installation

# What only containers or Vivado need is imported where it is used: most runs need neither.

#: What a container has of its own: a mount there would be another toolchain than the key says, or no input.
_NO_MOUNTS = (IMAGE_PYTHON, PROJECT, STORE, *map(Path, MACHINE))

#: Folders in memory, in which a mount may lie, but not in their place.
_IN_MEMORY = (Path("/tmp"), Path("/var/tmp"), Path("/run"))

#: What the image says of itself.
_DESCRIPTION = IMAGE_PYTHON / "image.json"


class Ground(NamedTuple):
    """What steps stand on.

    Attributes:
        runtime: where they run.
        toolchain: its identity, part of every key.
        environment: variables for them.
        tools: folders of installed tools.
    """

    runtime: Runtime
    toolchain: Toolchain
    environment: Mapping[str, str]
    tools: Sequence[Path]


def choose(
    asked: str | None,
    settings: Settings,
    root: Path,
    store: Path,
    digests: FileDigests,
    say: Callable[[str], None],
) -> Ground:
    """The ground for a project's steps.

    Args:
        asked: a runtime that goes before the settings' own.
        store: the store's folder; answers of Vivado about its version are kept there.
        say: told, in a line, why `auto` does not use the container that is pinned.

    Raises WorkspaceError, ContainerError, ToolError.
    """
    name = _checked(asked) if asked else settings.runtime
    tools, deps = _tools(settings), _deps(settings)
    image, pinned = _image(name, settings, root, say)
    runtime = _runtime(name, image, settings, tools)
    contained = runtime.name != "local"
    seen = variables(contained=contained, vivado=tools is not None, deps=deps is not None)
    toolchain = identify(
        pinned or installed(digests),
        digests,
        variables=seen,
        image=image or _own_image(root),
        tools={
            **_described(tools, runtime, store / "tools" / digest_value("place", [runtime.name, image])[:16]),
            **({"finn_deps": digest_sources(deps, digests)} if deps else {}),
        },
        share=settings.toolchain.share,
    )
    licence = {} if tools else licence_variables()
    environment = {
        **seen,
        **({} if contained else licence),
        **(tools.environment if tools else {}),
        **({"FINN_DEPS": str(deps)} if deps else {}),
    }
    folders = [*(tools.folders if tools else ()), *([deps] if deps else ())]
    return Ground(runtime, toolchain, environment, folders)


def _checked(name: str) -> str:
    if name not in RUNTIMES:
        raise WorkspaceError(
            f"there is no runtime {name!r}",
            where=Location(key="runtime (command line or FINNMAKE_RUNTIME)"),
            cure=f"There are {', '.join(RUNTIMES)}.",
        )
    return name


def _tools(settings: Settings) -> Installation | None:
    if settings.toolchain.vivado is None:
        return None
    from finnmake.engine import vivado

    return vivado.find(settings.toolchain, os.environ)


def _deps(settings: Settings) -> Path | None:
    """The folder of FINN's dependencies, which the settings name. Raises ToolError."""
    deps = settings.toolchain.deps
    if deps is not None and not deps.is_dir():
        raise ToolError(
            f"there is no folder {deps}",
            where=Location(key="tool.finnmake.toolchain.deps"),
            cure="Name the folder that holds finn-hlslib, as FINN's own installation fetches it.",
        )
    return deps


def _image(
    name: str, settings: Settings, root: Path, say: Callable[[str], None]
) -> tuple[str, Mapping[str, Any] | None]:
    """The pinned image and the toolchain in it, where it is to be used. Raises ContainerError."""
    if name not in ("auto", "container"):
        return "", None
    if _inside_image():
        if name == "container":
            raise ContainerError(
                "this is the container already",
                cure="Say runtime=local here, or nothing: the result is the same.",
            )
        return "", None
    if name == "auto" and not _pins(root):
        return "", None
    from finnmake.engine import image_files
    from finnmake.engine.runtime import image_lock
    from finnmake.engine.runtime.client import find_engine

    lock = image_lock.read(root)
    try:
        pinned = image_lock.check(lock, image_files.digests(root, settings), find_engine())
    except ContainerError as error:
        if name == "container":
            raise
        say(f"not in the container: {error.message} (runtime=container says more)")
        return "", None
    return pinned.id, pinned.toolchain


def _pins(root: Path) -> bool:
    """Whether the project pins an image, or has a lock that cannot be read; costs less than reading it."""
    try:
        return bool(json.loads((root / LOCK).read_bytes())["image"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _runtime(name: str, image: str, settings: Settings, tools: Installation | None) -> Runtime:
    limits, deps = settings.container, settings.toolchain.deps
    if image or name == "bwrap":
        _check_mounts(limits.mounts)
    if deps is not None:
        limits = limits._replace(mounts=(*limits.mounts, deps))
    if image:
        from finnmake.engine import vivado
        from finnmake.engine.runtime.container import ContainerRuntime

        if tools:
            vivado.check_network(tools, limits.network)
        return ContainerRuntime(image, limits, tools)
    if name == "bwrap":
        from finnmake.engine.runtime.bwrap import BwrapRuntime

        return BwrapRuntime(limits, tools)
    return LocalRuntime(tools)


def _check_mounts(mounts: Sequence[Path]) -> None:
    """Raise WorkspaceError for one that is not there: docker would make a folder of that name."""
    for path in mounts:
        if not path.exists():
            raise WorkspaceError(
                f"there is no {path}",
                where=Location(key="tool.finnmake.container.mounts"),
                cure="Correct the path, or take it out of the list.",
            )
        hidden = _hidden(Path(os.path.normpath(path)))
        if hidden is not None:
            raise WorkspaceError(
                f"{path} would stand in for {hidden}, which is the container's own",
                where=Location(key="tool.finnmake.container.mounts"),
                cure="Mount a folder that holds data alone, such as /data.",
            )


def _hidden(place: Path) -> Path | None:
    """What of a container's own a mount at `place` would hide, or be part of."""
    for own in _NO_MOUNTS:
        if place.is_relative_to(own) or own.is_relative_to(place):
            return own
    return next((own for own in _IN_MEMORY if own.is_relative_to(place)), None)


def _described(tools: Installation | None, runtime: Runtime, cache: Path) -> dict[str, Any]:
    if tools is None:
        return {}
    from finnmake.engine import vivado

    return vivado.identity(tools, vivado.versions(tools, runtime.probe, cache))


def _inside_image() -> bool:
    return sys.prefix == str(IMAGE_PYTHON) and _DESCRIPTION.exists()


def _own_image(root: Path) -> str:
    """The image that this process runs in; empty outside of images of ours."""
    if not _inside_image():
        return ""
    from finnmake.engine.runtime import image_lock

    return image_lock.identity(image_lock.read(root).image if _pins(root) else None)
