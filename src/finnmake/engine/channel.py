"""Requests to a worker's child: lines on a stream socket, with the locks that the child holds meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

#: What the kernel passes on at once.
MOST_DESCRIPTORS = 253


def requests(channel: socket.socket) -> Iterator[bytes]:
    """The lines, until the other side closes; descriptors that come with one are open until the next.

    Programs that a step starts do not get them.
    """
    buffer = b""
    held: list[int] = []
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, MOST_DESCRIPTORS)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        held += descriptors
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            yield line
            while held:
                os.close(held.pop())
        if not data:
            return
