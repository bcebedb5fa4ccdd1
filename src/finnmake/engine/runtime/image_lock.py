"""The pinned image: docker/image.lock.json, read strictly, and whether that image can be used.

The file is a JSON object: `version`; `base`, `requirements` and `dockerfile`, what the image is made from;
`image`, null or the fields of `PinnedImage`; and `digest`, that of `image`, or null. It tells a merge or an
edit where nothing else does: with `share`, keys hold the packages in `image`, not its id.
"""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.engine.image_files import DESCRIBE, write_whole
from finnmake.engine.runtime import IMAGE_PYTHON, LOCK
from finnmake.errors import ContainerError, Location, WorkspaceError
from finnmake.hashing import digest_bytes, digest_value

if TYPE_CHECKING:
    from finnmake.engine.runtime.client import Engine

#: What an image is made from -> the words for a change of it.
_SOURCES = {
    "base": "the base image has changed",
    "requirements": "requirements.lock has changed",
    "dockerfile": "the Dockerfile, or a file that it copies, has changed",
}

_VERSION = 1
_CURE = "Restore it from version control, or write it again with `doit image --update`."


@dataclass(frozen=True)
class Layer:
    """One layer of an image: the digest of its content, and the instruction that made it."""

    id: str
    made_by: str


@dataclass(frozen=True)
class PinnedImage:
    """An image, and enough of its content to say in what another one differs.

    Attributes:
        id: what the engine calls it.
        layers: from the base up.
        fingerprint: digest of the image's description of itself; empty where nobody has looked into it, and
            then the next two are empty too.
        toolchain: what `toolchain.installed` finds in it.
        system: its Debian packages and their versions.
    """

    id: str
    layers: tuple[Layer, ...]
    fingerprint: str
    toolchain: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageLock:
    """docker/image.lock.json: what the image is made from, and which image that is, once one is pinned."""

    base: str
    requirements: str
    dockerfile: str
    image: PinnedImage | None = None


def fingerprint(description: Mapping[str, Any]) -> str:
    """The digest of an image's `image.json`."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def identity(pinned: PinnedImage | None, image: Path = IMAGE_PYTHON, status: Path | None = None) -> str:
    """The image that this process runs in: the pinned one's id where it is that, else what tells it apart.

    Args:
        pinned: the project's.
        image: the folder of the image that has its description.
        status: dpkg's list of packages, else the usual one: a dev container may have more than the image.
    """
    text = (image / "image.json").read_bytes()
    description = json.loads(text)
    try:
        tools = runpy.run_path(str(image / DESCRIBE))
        present = tools["system_packages"](status or tools["STATUS"])
    except OSError:
        present = None
    if present != description["system"]:
        return f"described by {digest_value('image with packages', [description, present])}"
    if pinned is not None and pinned.fingerprint == fingerprint(description):
        return pinned.id
    return f"described by {digest_bytes(text)}"


def pins(root: Path) -> bool:
    """Whether the project has a lock that pins an image. Raises WorkspaceError."""
    return (root / LOCK).exists() and read(root).image is not None


def read(root: Path) -> ImageLock:
    """The lock of a project. Raises WorkspaceError with file and key."""
    path = root / LOCK
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise _error(path, "", "the file is missing") from None
    except OSError as error:
        raise _error(path, "", f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _error(path, "", f"not a JSON file: {error}") from error
    return _Reader(path).lock(value)


def write(root: Path, lock: ImageLock) -> None:
    """Write the lock of a project, whole or not at all. Raises WorkspaceError."""
    fields = asdict(lock)
    value = {"version": _VERSION, "digest": _digest_of(fields["image"]), **fields}
    write_whole(root / LOCK, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def stale(lock: ImageLock, digests: Mapping[str, str]) -> list[str]:
    """Which of base, requirements.lock and Dockerfile have changed since the lock was written."""
    locked = {"base": lock.base, "requirements": lock.requirements, "dockerfile": lock.dockerfile}
    changed = [key for key in _SOURCES if locked[key] != digests[key]]
    names = {"base": f" ({lock.base} -> {digests['base']})"}
    return [f"{_SOURCES[key]}{names.get(key, '')}" for key in changed]


def check(lock: ImageLock, digests: Mapping[str, str], engine: Engine) -> PinnedImage:
    """The image to use: the pinned one, which is here, and made from what the project has now.

    Costs one question to the engine where all is well. Raises ContainerError, saying what differs.
    """
    where = Location(path=Path(LOCK))
    if lock.image is None:
        raise ContainerError("no image is pinned", where=where, cure="Make and pin one: doit image --update")
    changed = stale(lock, digests)
    if changed:
        raise ContainerError(
            f"the pinned image is out of date: {'; '.join(changed)}",
            where=where,
            cure="Undo the change, or make and pin a new image: doit image --update",
        )
    from finnmake.engine.runtime.client import find_image

    if find_image(engine, lock.image.id) is not None:
        return lock.image
    from finnmake.engine.runtime.images import differing

    listed = "".join(f"\n  {line}" for line in differing(engine, lock.image, digests))
    told = f"; the one made here from the same files is another:{listed}" if listed else ""
    raise ContainerError(
        f"the pinned image {lock.image.id} is not in the engine{told}",
        where=where,
        cure="Make it with `doit image`, or load it with `doit image --import FILE`.",
    )


def _digest_of(image: Any) -> str | None:
    return None if image is None else digest_value("image", image)


def _error(path: Path, key: str, message: str) -> WorkspaceError:
    return WorkspaceError(message, where=Location(path=path, key=key or None), cure=_CURE)


class _Reader:
    """Turns JSON into the lock; every key must be there, and no other."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lock(self, value: Any) -> ImageLock:
        """The whole file."""
        version = value.get("version") if isinstance(value, dict) else None
        if isinstance(value, dict) and version != _VERSION:
            raise _error(self._path, "version", f"version {version!r} of this file is not known")
        table = self._table("", value, ("version", "base", "requirements", "dockerfile", "image", "digest"))
        lock = ImageLock(
            base=self._text("base", table["base"]),
            requirements=self._digest("requirements", table["requirements"]),
            dockerfile=self._digest("dockerfile", table["dockerfile"]),
            image=None if table["image"] is None else self._image(table["image"]),
        )
        if table["digest"] != _digest_of(table["image"]):
            raise _error(
                self._path, "digest", "the image is not the one that was written here: edited, or merged"
            )
        return lock

    def _image(self, value: Any) -> PinnedImage:
        table = self._table("image", value, ("id", "layers", "fingerprint", "toolchain", "system"))
        if not isinstance(table["layers"], list):
            raise _error(self._path, "image.layers", "must be a list")
        toolchain = self._table("image.toolchain", table["toolchain"], ("python", "packages", "contents"))
        return PinnedImage(
            id=self._digest("image.id", table["id"], "sha256:"),
            layers=tuple(
                self._layer(f"image.layers.{place}", layer) for place, layer in enumerate(table["layers"])
            ),
            fingerprint=self._digest("image.fingerprint", table["fingerprint"]),
            toolchain={
                "python": self._text("image.toolchain.python", toolchain["python"]),
                "packages": self._texts("image.toolchain.packages", toolchain["packages"]),
                "contents": self._texts("image.toolchain.contents", toolchain["contents"]),
            },
            system=self._texts("image.system", table["system"]),
        )

    def _layer(self, key: str, value: Any) -> Layer:
        table = self._table(key, value, ("id", "made_by"))
        if not isinstance(table["made_by"], str):
            raise _error(self._path, f"{key}.made_by", "must be a text")
        return Layer(self._digest(f"{key}.id", table["id"], "sha256:"), table["made_by"])

    def _table(self, key: str, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _error(self._path, key, "must be an object")
        for name in (*names, *value):
            if name not in value or name not in names:
                what = "is missing" if name in names else "is not known"
                raise _error(self._path, f"{key}.{name}".lstrip("."), f"the key {name!r} {what}")
        return value

    def _texts(self, key: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise _error(self._path, key, "must be an object of texts")
        return value

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise _error(self._path, key, f"must be a text, not {value!r}")
        return value

    def _digest(self, key: str, value: Any, prefix: str = "") -> str:
        if not isinstance(value, str) or not re.fullmatch(f"{prefix}[0-9a-f]{{64}}", value):
            raise _error(self._path, key, f"must be a SHA-256 ({prefix}…, 64 hex digits), not {value!r}")
        return value
