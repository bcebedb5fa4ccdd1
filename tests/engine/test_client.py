"""Finding the engine: what is said where there is none, or none that can be used."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from finnmake.engine.runtime import client
from finnmake.errors import ContainerError
from tests.containers import Engine, engine

__all__ = ["engine"]

_OK = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
)


@pytest.fixture(autouse=True)
def _usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine of this machine's is found."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(client, "_usual_sockets", lambda: (tmp_path / "a.sock", tmp_path / "b.sock"))


@contextmanager
def _served(path: Path, answer: bytes) -> Iterator[None]:
    """A socket that gives everybody the same answer."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def test_no_socket_at_all(tmp_path: Path) -> None:
    assert client.socket_present() is None
    with pytest.raises(ContainerError, match=f"no container engine: .*{tmp_path}/a.sock") as caught:
        client.find_engine()
    assert "FINNMAKE_RUNTIME=local" in caught.value.cure


@pytest.mark.parametrize(
    ("server", "kind", "version"),
    [(b"Libpod/4.3.1 (linux)", "podman", "4.3.1"), (b"Docker/20.10.24 (linux)", "docker", "20.10.24")],
)
def test_the_engine_tells_what_it_is(tmp_path: Path, server: bytes, kind: str, version: str) -> None:
    with _served(tmp_path / "a.sock", _OK % server):
        assert client.find_engine() == client.Engine(tmp_path / "a.sock", kind, version, "1.41")


def test_a_dead_socket_does_not_hide_an_engine(tmp_path: Path) -> None:
    _dead(tmp_path / "a.sock")
    with _served(tmp_path / "b.sock", _OK % b"Docker/20"):
        assert client.find_engine().socket == tmp_path / "b.sock"


def test_a_dead_socket(tmp_path: Path) -> None:
    _dead(tmp_path / "a.sock")
    assert client.socket_present() == tmp_path / "a.sock"
    with pytest.raises(ContainerError, match="no engine listens") as caught:
        client.find_engine()
    assert caught.value.where.path == tmp_path / "a.sock"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
    ],
)
def test_something_else_that_answers(tmp_path: Path, answer: bytes) -> None:
    with (
        _served(tmp_path / "a.sock", answer),
        pytest.raises(ContainerError, match="what answers is no container engine"),
    ):
        client.find_engine()


def test_an_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PING_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen(1)
        with pytest.raises(ContainerError, match="does not answer"):
            client.find_engine()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("tcp://10.0.0.1:2375", "is an engine elsewhere"),
        ("ssh://user@server", "is an engine elsewhere"),
        ("/run/docker.sock", "is an engine elsewhere"),
        ("unix://docker.sock", "names no absolute path"),
        ("unix:///nonesuch/docker.sock", "there is no engine's socket here"),
        ("unix:///" + "a" * 200, "cannot be reached"),
    ],
)
def test_a_host_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, host: str, message: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ContainerError, match=message) as caught:
        client.find_engine()
    assert "DOCKER_HOST" in str(caught.value)
    assert caught.value.cure


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_socket_without_permission() -> None:
    program = (
        "import os, socket, tempfile\n"
        "from pathlib import Path\n"
        "from finnmake.engine.runtime import client\n"
        "with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:\n"
        "    os.chmod(folder, 0o755)\n"
        "    path = Path(folder) / 'docker.sock'\n"
        "    listener.bind(str(path)); listener.listen(1)\n"
        "    os.chmod(path, 0o660); os.chown(path, 0, GROUP)\n"
        "    if not os.fork():\n"
        "        os.setgroups([]); os.setgid(1000); os.setuid(1000)\n"
        "        os.environ['DOCKER_HOST'] = f'unix://{path}'\n"
        "        try:\n"
        "            client.find_engine()\n"
        "        except client.ContainerError as error:\n"
        "            print(error, flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    for group, cure in (("0", "use one of your own"), ("4", "usermod -aG")):
        command = [sys.executable, "-c", program.replace("GROUP", group)]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        assert "no permission to use the engine's socket" in said
        assert cure in said


def test_errors_in_words(tmp_path: Path) -> None:
    import docker.errors
    import requests
    import urllib3

    raised: list[tuple[Callable[[], Exception], str, str]] = [
        (lambda: docker.errors.APIError("x", explanation="No such image: y"), "No such image", "doit image"),
        (
            lambda: docker.errors.APIError("x", explanation="write: no space left on device"),
            "no space",
            "Free",
        ),
        (lambda: requests.ReadTimeout("Read timed out."), "does not answer", "restart"),
        (lambda: requests.ConnectionError("('Connection aborted.',)"), "is gone", "Start it"),
        (lambda: requests.ConnectionError("Read timed out."), "does not answer", "again"),
        (lambda: urllib3.exceptions.ProtocolError("broken"), "is gone", "Start it"),
        (lambda: OSError(28, "No space left on device", str(tmp_path)), "No space left", "Free"),
        (lambda: docker.errors.DockerException("odd"), "odd", "log"),
    ]
    for make, message, cure in raised:
        with (
            pytest.raises(ContainerError, match=f"cannot do it: .*{message}") as caught,
            client.errors("do it"),
        ):
            raise make()
        assert cure in caught.value.cure


def test_what_is_said_already_stays_as_it_is() -> None:
    with pytest.raises(ContainerError, match="mine"), client.errors("do it"):
        raise ContainerError("mine")


@pytest.mark.parametrize(
    ("user", "selinux", "known"), [(0, False, True), (1000, False, False), (0, True, False)]
)
def test_an_engine_of_another_user_or_with_selinux_is_asked_for_its_traits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, selinux: bool, known: bool
) -> None:
    enforce = tmp_path / "enforce"
    if selinux:
        enforce.touch()
    monkeypatch.setattr(client, "_SELINUX", enforce)
    monkeypatch.setattr(client, "_user_of", lambda path: user)
    assert client.plain(client.Engine(tmp_path / "socket", "podman", "4", "1.41")) == known


def test_who_listens_is_told_by_the_kernel(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        assert client._user_of(tmp_path / "socket") == os.getuid()


def test_looking_for_a_socket_imports_no_sdk() -> None:
    program = (
        "import sys\nfrom finnmake.engine.runtime import client\nclient.socket_present()\n"
        "sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_real_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    found = client.find_engine()
    assert found.kind == engine.name
    assert client.find_image(found, "localhost/finnmake:nonesuch") is None
    with closing(client.connect(found)) as opened:
        assert opened.ping()
        assert not client.traits(opened).selinux
    assert isinstance(client.get(found, "images/json"), list)
