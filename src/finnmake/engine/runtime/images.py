"""Images in the engine: their names, and what is in them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from typing import Any

from finnmake.engine.runtime import PACKAGE
from finnmake.engine.runtime.client import Engine, find_image, get
from finnmake.engine.runtime.container import ContainerRuntime
from finnmake.engine.runtime.image_differences import differences
from finnmake.engine.runtime.image_lock import Layer, PinnedImage, fingerprint
from finnmake.errors import ContainerError, Location
from finnmake.settings import ContainerSettings

#: What images of finnmake's are called; podman puts `localhost/` before names that have no server.
REPOSITORY = "localhost/finnmake"

_PYTHON = "/opt/finnmake/bin/python"

#: Stands before the line that tells; an image may say other things when it starts.
_MARK = "finnmake-image "

#: Run inside: the image's description of itself, and the toolchain as finnmake sees it.
_LOOK = f"""
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {str(PACKAGE.parent)!r})
from finnmake.engine.files import FileDigests
from finnmake.engine.toolchain import installed
with open("/opt/finnmake/image.json") as file:
    description = json.load(file)
print({_MARK!r} + json.dumps({{"description": description, "toolchain": installed(FileDigests())}}))
"""


def tag(digests: Mapping[str, str]) -> str:
    """The name of the image that is made from these: the same files, the same name, with any engine."""
    made_from = [digests["base"], digests["requirements"], digests["dockerfile"]]
    return f"{REPOSITORY}:{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]}"


def differing(engine: Engine, pinned: PinnedImage, digests: Mapping[str, str]) -> list[str]:
    """In what the image that was made here from the same files differs; empty where there is none."""
    found = find_image(engine, tag(digests))
    return [] if found is None else differences(pinned, inspect(engine, image_id(found)))


def image_id(found: Mapping[str, Any]) -> str:
    """The id of an image as the engine told it, with `sha256:` before it."""
    return f"sha256:{str(found['Id']).removeprefix('sha256:')}"


def inspect(engine: Engine, name: str) -> PinnedImage:
    """What is in an image of ours: runs a container of it for a moment. Raises ContainerError."""
    found = find_image(engine, name)
    if found is None:
        raise ContainerError(f"there is no image {name}", cure="Make it with `doit image`.")
    history = get(engine, f"images/{name}/history") or []
    inside = _look_inside(image_id(found))
    description = inside["description"]
    return PinnedImage(
        id=image_id(found),
        layers=_layers(found, history),
        fingerprint=fingerprint(description),
        toolchain=inside["toolchain"],
        system=description["system"],
    )


def _layers(found: Mapping[str, Any], history: list[dict[str, Any]]) -> tuple[Layer, ...]:
    """The layers with the instructions that made them: those of the history that left something."""
    ids = list(found["RootFS"].get("Layers") or ())
    made_by = [
        instruction(str(entry.get("CreatedBy") or "")) for entry in reversed(history) if entry.get("Size")
    ]
    if len(made_by) != len(ids):
        made_by = [""] * len(ids)
    return tuple(Layer(identity, by) for identity, by in zip(ids, made_by, strict=True))


def instruction(kept: str) -> str:
    """A line of the Dockerfile, from what an image keeps of it."""
    before, shell, command = kept.partition("/bin/sh -c ")
    if not shell or (before and not before.startswith("|")):
        return kept.strip()
    return command.removeprefix("#(nop) ").strip() if command.startswith("#(nop) ") else f"RUN {command}"


def _look_inside(identity: str) -> dict[str, Any]:
    runtime = ContainerRuntime(identity, ContainerSettings(mounts=(PACKAGE,)))
    try:
        said = runtime.probe([_PYTHON, "-P", "-c", _LOOK])
    except subprocess.TimeoutExpired as error:
        raise ContainerError(
            f"a container of the image {identity} does not end ({error.timeout:.0f} s)",
            cure="Restart the engine, then try again.",
        ) from error
    except subprocess.CalledProcessError as error:
        raise _foreign(
            identity, (str(error.output).strip().splitlines() or ["it says nothing"])[-1]
        ) from error
    except ContainerError as error:
        if _PYTHON not in error.message:
            raise
        raise _foreign(identity, f"{_PYTHON} cannot be run in it") from error
    lines = [line for line in said.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise _foreign(identity, "it does not describe itself")
    inside: dict[str, Any] = json.loads(lines[-1].removeprefix(_MARK))
    return inside


def _foreign(identity: str, why: str) -> ContainerError:
    return ContainerError(
        f"this is no image of finnmake, or a broken one: {why}",
        where=Location(key=identity),
        cure="Make it with `doit image`.",
    )
