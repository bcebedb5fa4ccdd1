"""The container engine on this machine: its socket, a client for it, and its errors in words."""

from __future__ import annotations

import grp
import http.client
import json
import os
import shutil
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.engine.runtime.unix_http import Connection
from finnmake.errors import ContainerError, Location

if TYPE_CHECKING:
    from docker import DockerClient

#: Seconds for an engine to say that it is there, and for a request that should be quick.
PING_SECONDS = 10.0
REQUEST_SECONDS = 60.0

_LOCALLY = 'Or build without a container: FINNMAKE_RUNTIME=local, or runtime = "local" in pyproject.toml.'

#: Present where SELinux is on.
_SELINUX = Path("/sys/fs/selinux/enforce")

_START = {
    "podman": "Start podman's socket: systemctl --user enable --now podman.socket",
    "docker": "Start docker: sudo systemctl start docker",
}


@dataclass(frozen=True)
class Engine:
    """An engine that answered: its socket, "podman" or "docker", its version and that of its API."""

    socket: Path
    kind: str
    version: str
    api: str


@dataclass(frozen=True)
class Traits:
    """What differs between engines: whether users are mapped, and whether mounts need labels."""

    rootless: bool
    selinux: bool


def socket_present() -> Path | None:
    """A socket that is there, whether or not an engine answers on it. Raises ContainerError."""
    return next(iter(_sockets()), None)


def find_engine() -> Engine:
    """The first engine of this machine that answers. Raises ContainerError, with the cure."""
    troubles = []
    for path in _sockets():
        try:
            return _ping(path)
        except ContainerError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]
    places = ", ".join(str(each) for each in _usual_sockets())
    raise ContainerError(f"no container engine: there is no socket at {places}", cure=_start_cure())


def connect(engine: Engine | None = None) -> DockerClient:
    """A client for the engine, found if none is given. Raises ContainerError, with the cure."""
    engine = engine or find_engine()
    import docker

    with errors(f"connect to the engine at {engine.socket}"):
        return docker.DockerClient(
            base_url=f"unix://{engine.socket}", version=engine.api, timeout=int(REQUEST_SECONDS)
        )


def plain(engine: Engine) -> bool:
    """Whether the engine has no traits to ask for: it runs as root, on a machine without SELinux.

    Costs nothing; `traits` takes podman a fifth of a second, as it counts images. Raises ContainerError.
    """
    return not _SELINUX.exists() and _user_of(engine.socket) == 0


def traits(client: DockerClient) -> Traits:
    """How the engine runs containers. Raises ContainerError."""
    with errors("ask the engine about itself"):
        info = client.info()
    options = [str(each) for each in info.get("SecurityOptions") or ()]
    return Traits(
        rootless=any(each.startswith("name=rootless") for each in options),
        selinux=any(each.startswith("name=selinux") for each in options),
    )


def find_image(engine: Engine, name: str) -> dict[str, Any] | None:
    """What the engine knows of an image, None where it is not there; milliseconds. Raises ContainerError."""
    found: dict[str, Any] | None = get(engine, f"images/{name}/json")
    return found


def get(engine: Engine, what: str) -> Any:
    """An answer of the engine, without the SDK; None where there is no such thing. Raises ContainerError."""
    status, _, body = _ask(engine.socket, f"/v{engine.api}/{what}", REQUEST_SECONDS)
    if status == 404:
        return None
    if status == 200:
        with suppress(ValueError):
            return json.loads(body)
    raise _trouble(
        engine.socket, f"the engine has no answer about {what} (status {status})", "Look at the engine's log."
    )


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Turns the errors of the engine, of its client and of the system into ContainerError.

    Args:
        doing: what is attempted, as in "cannot … the image".
    """
    import docker.errors
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        said = str(error.explanation or error).strip()
        raise ContainerError(f"cannot {doing}: {said}", cure=cure_for(said)) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise ContainerError(
            f"cannot {doing}: the engine does not answer",
            cure="See whether it is busy or hangs; restart it, then try again.",
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        timed_out = "timed out" in str(error).lower()
        raise ContainerError(
            f"cannot {doing}: the engine {'does not answer' if timed_out else 'is gone'}",
            cure="Start it again, then try again; what was finished is kept.",
        ) from error
    except docker.errors.DockerException as error:
        raise ContainerError(f"cannot {doing}: {error}", cure=cure_for(str(error))) from error
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else None
        words = error.strerror or str(error)
        raise ContainerError(
            f"cannot {doing}: {words}", where=Location(path=place), cure=cure_for(words)
        ) from error


def cure_for(message: str) -> str:
    """What to do about a message of the engine or of the system."""
    full = cure_for_full_disk(message)
    if full:
        return full
    low = message.lower()
    if "permission denied" in low or "operation not permitted" in low:
        return "Look at the rights of what is named, and at whom the engine runs as."
    if "no such image" in low or "image not known" in low:
        return "Make it with `doit image`, or load it with `doit image --import FILE`."
    return "Look at the engine's log (journalctl --user -u podman, journalctl -u docker)."


def cure_for_full_disk(message: str) -> str:
    """What to do where a message says that a disk is full; empty where it does not."""
    low = message.lower()
    if "no space left on device" in low or "disk quota exceeded" in low:
        return "Free space: podman system prune, docker system prune, or a larger disk."
    return ""


def _ping(path: Path) -> Engine:
    status, headers, body = _ask(path, "/_ping", PING_SECONDS)
    api = headers.get("Api-Version", "")
    if status != 200 or not api:
        said = body[:80].decode(errors="replace").strip() or "nothing"
        raise _trouble(path, f"what answers is no container engine (status {status}: {said})", _start_cure())
    name, _, rest = headers.get("Server", "").partition("/")
    kind = "podman" if name == "Libpod" or "Libpod-Api-Version" in headers else "docker"
    return Engine(path, kind, rest.split(" ")[0], api)


def _sockets() -> list[Path]:
    """What to try, in order: the socket that is named, else those that are there, usable ones first."""
    named = _named_socket()
    if named is not None:
        return [named]
    present = [path for path in _usual_sockets() if os.path.exists(path)]
    return sorted(present, key=lambda path: not os.access(path, os.W_OK))


def _user_of(path: Path) -> int:
    """Who listens on a socket, by number. Raises ContainerError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PING_SECONDS)
            connection.connect(str(path))
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError as error:
        words = error.strerror or str(error)
        raise _trouble(path, f"the engine cannot be reached: {words}", _start_cure()) from error
    _, user, _ = struct.unpack("3i", told)
    return int(user)


def _named_socket() -> Path | None:
    """The socket that DOCKER_HOST names."""
    host = os.environ.get("DOCKER_HOST", "")
    if not host:
        return None
    where = Location(key="DOCKER_HOST")
    scheme, _, path = host.partition("://")
    if scheme != "unix":
        raise ContainerError(
            f"{host!r} is an engine elsewhere, which cannot see the files of this machine",
            where=where,
            cure="Unset it, or name a socket of this machine: DOCKER_HOST=unix:///run/podman/podman.sock",
        )
    if not path.startswith("/"):
        raise ContainerError(
            f"{host!r} names no absolute path",
            where=where,
            cure="Write three slashes: unix:///path/to/socket",
        )
    return Path(path)


def _usual_sockets() -> tuple[Path, ...]:
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return (
        Path("/var/run/docker.sock"),
        own / "docker.sock",
        own / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    )


def _ask(path: Path, target: str, seconds: float) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of a GET request. Raises ContainerError."""
    connection = Connection(path, seconds)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except FileNotFoundError:
        raise _trouble(path, "there is no engine's socket here", _start_cure()) from None
    except PermissionError:
        raise _trouble(path, "no permission to use the engine's socket", _permission_cure(path)) from None
    except ConnectionRefusedError:
        raise _trouble(path, "no engine listens on this socket", _start_cure()) from None
    except TimeoutError:
        raise _trouble(
            path, f"the engine does not answer ({seconds:.0f} s)", "It hangs: restart it, then try again."
        ) from None
    except http.client.HTTPException as error:
        raise _trouble(
            path, f"what answers is no container engine ({type(error).__name__})", _start_cure()
        ) from None
    except OSError as error:
        words = error.strerror or str(error)
        raise _trouble(path, f"the engine cannot be reached: {words}", _start_cure()) from error
    finally:
        connection.close()


def _trouble(path: Path, message: str, cure: str) -> ContainerError:
    key = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else None
    return ContainerError(message, where=Location(path=path, key=key), cure=cure)


def _start_cure() -> str:
    """How to start the engine that is installed, else what to install."""
    there = [command for name, command in _START.items() if shutil.which(name)]
    return f"{there[0] if there else 'Install podman or docker'}. {_LOCALLY}"


def _permission_cure(path: Path) -> str:
    """Which group may use the socket, else an engine of one's own."""
    try:
        group = os.stat(path).st_gid
        name = grp.getgrgid(group).gr_name if group else ""
    except (OSError, KeyError):
        name = ""
    if name:
        return f"Join its group and log in again: sudo usermod -aG {name} $USER. {_LOCALLY}"
    return f"It belongs to root; use one of your own: systemctl --user enable --now podman.socket. {_LOCALLY}"
