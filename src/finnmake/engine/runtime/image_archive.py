"""Moves the pinned image as a file: `docker save` and `docker load`, checked against the lock."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.runtime.client import Engine, connect, errors, find_image
from finnmake.engine.runtime.image_differences import differences
from finnmake.engine.runtime.image_lock import Layer, PinnedImage
from finnmake.engine.runtime.images import instruction
from finnmake.errors import ContainerError, Location
from finnmake.whole import written_whole

#: Told of the progress, a line at a time, no more often than this (seconds).
Listener = Callable[[str], None]
_TICK_SECONDS = 3.0

_CHUNK = 1 << 20

#: An engine that says nothing for this long (seconds) while it saves or loads is given up.
_SILENCE_SECONDS = 1800.0


def export(engine: Engine, name: str, path: Path, listener: Listener) -> int:
    """Write an image to a file, whole or not at all; gives its size. Raises ContainerError.

    Args:
        engine: the engine that has it.
        name: the image's name, which the file keeps, or its id.
        path: the file; one that is there is replaced.
        listener: told of the progress.
    """
    told = _Progress("written", listener)
    with (
        closing(connect(engine)) as client,
        errors(f"write the image to {path}"),
        written_whole(path) as temporary,
    ):
        target = f"{client.api.base_url}/v{engine.api}/images/{name}/get"
        with (
            client.api.get(target, stream=True, timeout=(60, _SILENCE_SECONDS)) as response,
            open(temporary, "wb") as file,
        ):
            if response.status_code != 200:
                raise ContainerError(f"the engine does not give the image: {response.text.strip()}")
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                told.add(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        _describe(temporary)
    return told.size


def import_(engine: Engine, pinned: PinnedImage, name: str, path: Path, listener: Listener) -> int:
    """Load the pinned image from a file and name it; gives the file's size.

    Raises ContainerError for a file that holds another image, or gives another name to one, saying in what
    another image differs.
    """
    archive = _describe(path)
    found = archive.image
    if found.id != pinned.id:
        listed = "".join(f"\n  {line}" for line in differences(pinned, found))
        raise ContainerError(
            f"the image in this file is not the pinned one:{listed}",
            where=Location(path=path),
            cure="Fetch the file again, or use the commit that pins this image.",
        )
    foreign = sorted((archive.names - {name}) | (archive.indexed - {pinned.id}))
    if foreign:
        raise ContainerError(
            f"besides the pinned image, this file holds or names {', '.join(foreign)}",
            where=Location(path=path),
            cure="Write it with `doit image --export FILE`, which keeps the pinned image alone.",
        )
    told = _Progress("read", listener)
    with closing(connect(engine)) as client:
        with errors(f"load the image from {path}"), open(path, "rb") as file:
            response = client.api.post(
                f"{client.api.base_url}/v{engine.api}/images/load",
                data=_chunks(file, told),
                headers={"Content-Type": "application/x-tar"},
                timeout=(60, _SILENCE_SECONDS),
            )
        said = response.text.strip()
        if response.status_code != 200 or find_image(engine, pinned.id) is None:
            with errors(f"load the image from {path}"):
                raise OSError(said or "the engine does not say why")
        with errors("name the image"):
            repository, _, version = name.rpartition(":")
            client.api.tag(pinned.id, repository, version)
    return told.size


@dataclass(frozen=True)
class _Archive:
    """What is in a file: the image, the names given to it, and the ids in the OCI index, if there is one."""

    image: PinnedImage
    names: frozenset[str]
    indexed: frozenset[str]


class _Progress:
    """Counts bytes, and says how many now and then."""

    def __init__(self, done: str, listener: Listener) -> None:
        self.size = 0
        self._done = done
        self._listener = listener
        self._told = time.monotonic()

    def add(self, size: int) -> None:
        """So many bytes more."""
        self.size += size
        if time.monotonic() - self._told >= _TICK_SECONDS:
            self._told = time.monotonic()
            self._listener(f"{self.size / 1e6:.0f} MB {self._done}")


def _chunks(file: Any, told: _Progress) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        told.add(len(chunk))
        yield chunk


def _describe(path: Path) -> _Archive:
    """The id and the layers of the one image in an archive, and its names. Raises ContainerError."""
    try:
        with tarfile.open(path) as archive:
            (entry,) = json.loads(_content(archive, "manifest.json"))
            text = _content(archive, entry["Config"])
            indexed = _indexed(archive) if "index.json" in archive.getnames() else frozenset()
        names = frozenset(str(each) for each in entry.get("RepoTags") or ())
        config = json.loads(text)
        made_by = [instruction(str(each["created_by"])) for each in config["history"] if _made_layer(each)]
        ids = [str(each) for each in config["rootfs"]["diff_ids"]]
    except FileNotFoundError:
        raise ContainerError("there is no such file", where=Location(path=path)) from None
    except OSError as error:
        raise ContainerError(
            f"it cannot be read: {error.strerror or error}", where=Location(path=path)
        ) from error
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise ContainerError(
            "not an archive of one image, or not all of it",
            where=Location(path=path),
            cure="Write it again with `doit image --export FILE`, and compare sizes after a copy.",
        ) from error
    made_by = made_by if len(made_by) == len(ids) else [""] * len(ids)
    layers = tuple(Layer(each, by) for each, by in zip(ids, made_by, strict=True))
    image = PinnedImage(f"sha256:{hashlib.sha256(text).hexdigest()}", layers, fingerprint="")
    return _Archive(image, names, indexed)


def _indexed(archive: tarfile.TarFile) -> frozenset[str]:
    """The ids of the images that the archive's OCI index lists; a list in it counts as another image."""
    entries = json.loads(_content(archive, "index.json"))["manifests"]
    manifests = [json.loads(_content(archive, _blob(str(entry["digest"])))) for entry in entries]
    return frozenset(
        str(manifest["config"]["digest"] if "config" in manifest else entry["digest"])
        for entry, manifest in zip(entries, manifests, strict=True)
    )


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _made_layer(entry: dict[str, Any]) -> bool:
    return not entry.get("empty_layer")


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member.read()
