"""Builds the image, through the engine's own interface, with the steps told as they come.

podman makes the same image, with the same id, each time: every file carries one fixed time, and the format is
OCI's, as docker's keeps the names of the containers that built it. With docker, ids differ each time.
"""

from __future__ import annotations

import http.client
import io
import json
import queue
import runpy
import tarfile
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from finnmake.engine import image_files
from finnmake.engine.runtime.build_log import BuildLog
from finnmake.engine.runtime.client import Engine, connect, errors, find_image
from finnmake.engine.runtime.images import image_id, tag
from finnmake.engine.runtime.unix_http import posted
from finnmake.errors import ContainerError, Location
from finnmake.settings import Settings

#: Told of the progress, a line at a time.
Listener = Callable[[str], None]

#: Where everything is kept that the engine says while it builds.
LOG = "builds/.image.log"

#: An engine that says nothing for this long (seconds) is given up; a large download is silent for minutes.
_SILENCE_SECONDS = 3600.0

#: Without a new line, say that it goes on (seconds).
_TICK_SECONDS = 5.0

#: More than any Dockerfile has stages.
_JOBS = 64

#: What podman says when stages that are built at once remove each other's layers (seen with 4.3.1, rarely).
_LOST = "layer not known"

_PODMAN_BUILD = "/v4.0.0/libpod/build"
_OCI = "application/vnd.oci.image.manifest.v1+json"


def reproducible(engine: Engine) -> bool:
    """Whether images built twice by this engine have the same id."""
    return engine.kind == "podman"


def build(root: Path, settings: Settings, engine: Engine, listener: Listener, *, cache: bool = True) -> str:
    """Build the image of a project and name it; gives its id.

    Args:
        root: the project.
        settings: those of the project; `container.base` is what it starts from.
        engine: the one to build with.
        listener: told of the progress.
        cache: whether steps that were built before are taken over.

    Raises ContainerError. Where it does, or is interrupted, no name is given to anything.
    """
    digests = image_files.digests(root, settings)
    _pull(engine, settings.container.base, listener)
    name = tag(digests)
    with errors("write the log of the build"):
        log = BuildLog(_log_file(root), listener)
    context, parameters = _context(root), _parameters(engine, name, settings, cache)
    try:
        try:
            _build(engine, context, parameters, log)
        except ContainerError as error:
            if _LOST not in error.message:
                raise
            listener("the engine lost a layer while it built; building again")
            _build(engine, context, parameters, log)
    finally:
        log.close()
    found = find_image(engine, name)
    if found is None:
        raise ContainerError("the engine built no image, and does not say why", where=Location(path=log.path))
    return image_id(found)


def _parameters(engine: Engine, name: str, settings: Settings, cache: bool) -> dict[str, str]:
    arguments = {"BASE": settings.container.base}
    common = {
        "t": name,
        "dockerfile": "Dockerfile",
        "buildargs": json.dumps(arguments),
        "nocache": "0" if cache else "1",
        "rm": "1",
        "forcerm": "1",
    }
    if engine.kind != "podman":
        return common
    # With fewer jobs than stages, an interrupted build takes podman's whole service down: the stages that
    # still wait for their turn give back a turn that they never had.
    jobs = {"jobs": str(_JOBS)}
    return {**common, **jobs, "timestamp": str(image_files.EPOCH), "outputformat": _OCI, "layers": "1"}


def _context(root: Path) -> bytes:
    """An archive of the files that the Dockerfile copies, the same for the same files in every checkout."""
    names = {"requirements.lock", *runpy.run_path(str(root / image_files.DESCRIBE))["FILES"]}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in sorted(names):
            entry = tarfile.TarInfo(name)
            content = (root / name).read_bytes()
            executable = (root / name).stat().st_mode & 0o100
            entry.size, entry.mtime, entry.mode = (
                len(content),
                image_files.EPOCH,
                0o755 if executable else 0o644,
            )
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _log_file(root: Path) -> Path:
    path = root / LOG
    path.parent.mkdir(exist_ok=True)
    return path


def _pull(engine: Engine, base: str, listener: Listener) -> None:
    """Fetch what the image starts from, where the engine does not have it. Raises ContainerError."""
    if find_image(engine, base) is not None:
        return
    listener(f"fetching {base}")
    name, _, digest = base.partition("@")
    path, _, version = name.rpartition(":")
    if not path or "/" in version:
        path, version = name, "latest"
    try:
        with closing(connect(engine)) as client, errors("fetch it"):
            for message in client.api.pull(path, tag=digest or version, stream=True, decode=True):
                if message.get("error"):
                    raise ContainerError(str(message["error"]))
    except ContainerError as error:
        raise ContainerError(
            f"the base image {base} cannot be fetched: {error.message}",
            where=Location(path=Path("pyproject.toml"), key="tool.finnmake.container.base"),
            cure="See whether its registry can be reached, name another base there, or load the finished "
            "image from a file: doit image --import FILE",
        ) from error


def _build(engine: Engine, context: bytes, parameters: Mapping[str, str], log: BuildLog) -> None:
    build = _PODMAN_BUILD if engine.kind == "podman" else f"/v{engine.api}/build"
    target = f"{build}?{urllib.parse.urlencode(parameters)}"
    with errors("build the image"), posted(engine.socket, target, context, _SILENCE_SECONDS) as response:
        if response.status != 200:
            log.fail(response.read().decode(errors="replace"))
        for line in _lines(response, log.tick):
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    log.take(message)


def _lines(response: http.client.HTTPResponse, tick: Callable[[], None]) -> Iterator[bytes]:
    """What the engine says, as it comes; `tick` is called now and then while it says nothing.

    Read by another thread, so that an interrupt is never late.
    """
    lines: queue.Queue[bytes | Exception] = queue.Queue()
    threading.Thread(target=_read, args=(response, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            tick()
            continue
        if isinstance(line, Exception):
            raise line
        if not line:
            return
        yield line


def _read(response: http.client.HTTPResponse, lines: queue.Queue[bytes | Exception]) -> None:
    try:
        while line := response.readline():
            lines.put(line)
    except Exception as error:  # of whatever kind, for the thread that waits
        lines.put(error)
    else:
        lines.put(b"")
