"""HTTP over the socket of a container engine, for what the SDK does slowly or not at all."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Connection(http.client.HTTPConnection):
    """A connection to a Unix socket.

    Args:
        path: the socket.
        seconds: for which the other side may be silent.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def posted(path: Path, target: str, archive: bytes, seconds: float) -> Iterator[http.client.HTTPResponse]:
    """The answer to a tar archive that is sent, to be read as it comes, by any thread.

    On the way out the connection is cut, which ends what the engine does, and a thread that still reads.
    """
    connection = Connection(path, seconds)
    connection.connect()
    cut = connection.sock.dup()
    try:
        connection.request("POST", target, body=archive, headers={"Content-Type": "application/x-tar"})
        yield connection.getresponse()
    finally:
        with suppress(OSError):
            cut.shutdown(socket.SHUT_RDWR)
        cut.close()
        connection.close()
