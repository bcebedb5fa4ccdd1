"""A socket in front of a container engine's: counts what is asked of the engine, and can be cut."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CREATE = re.compile(rb"POST /\S*containers/create\b")


class Proxy:
    """Passes on every connection to `path`.

    Args:
        path: its socket; short, as names of sockets are at most 107 bytes.
        engine: the engine's socket.
    """

    def __init__(self, path: Path, engine: Path) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self._engine = engine
        self._lock = threading.Lock()
        self._asked = b""
        self._open: list[socket.socket] = []
        self.listen()

    @property
    def containers_made(self) -> int:
        """How many containers were asked for so far."""
        with self._lock:
            return len(_CREATE.findall(self._asked))

    def listen(self) -> None:
        """Take connections from now on, as an engine that was started."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(32)
        self._open = [listener]
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def cut(self) -> None:
        """End every connection and take no other, as an engine that was killed; its socket stays."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open = []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                theirs, _ = listener.accept()
                ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                ours.connect(str(self._engine))
            except OSError:
                return
            with self._lock:
                self._open += [theirs, ours]
            threading.Thread(target=self._pass_on, args=[theirs, ours, True], daemon=True).start()
            threading.Thread(target=self._pass_on, args=[ours, theirs, False], daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asked: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if asked:
                    with self._lock:
                        self._asked += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(folder: Path, engine: Path) -> Iterator[Proxy]:
    """A proxy whose socket lies in the folder."""
    made = Proxy(folder / "engine.sock", engine)
    try:
        yield made
    finally:
        made.cut()
