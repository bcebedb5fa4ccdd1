"""A worker that outlives the run: `python -m finnmake.engine.warm_worker LISTENER SETTINGS_JSON WARM_JSON`.

It leaves its parent, loads the backend, and serves one run after another, each on the connection that it
makes to the socket. Nothing of a run is left for the next: steps run in forked children, which end with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from finnmake.engine import warm
from finnmake.engine.processes import owner_name
from finnmake.engine.worker import Worker, tell


class Keeper:
    """Waits for runs, and goes when none comes for long.

    Args:
        listener: the socket; the address leads to it.
        idle: seconds without a run.
    """

    def __init__(
        self,
        listener: socket.socket,
        worker: Worker,
        address: warm.Address,
        idle: float,
        about: dict[str, Any],
    ) -> None:
        self._listener = listener
        self._worker = worker
        self._address = address
        self._idle = idle
        self._about = {**about, "owner": owner_name(), "since": time.time(), "served": 0}
        self._inode = address.path.stat().st_ino
        self._claim: int | None = None

    def main(self) -> None:
        """Serve until nobody comes."""
        self._address.note(self._about)
        try:
            answer = self._worker.load()
            while (control := self._next()) is not None:
                with control:
                    tell(control, answer)
                    if not answer["ready"]:
                        return
                    self._worker.serve(control)
                self._about["served"] += 1
                self._address.note(self._about)
        finally:
            if self._reachable() and self._claimed():
                self._address.remove()

    def _next(self) -> socket.socket | None:
        """The next run's connection; None when it is time to go."""
        self._listener.settimeout(self._idle)
        while True:
            try:
                control, _ = self._listener.accept()
            except TimeoutError:
                if self._reachable() and not self._claimed():
                    continue  # a run is about to connect
                return None
            control.settimeout(None)
            if warm.peer(control) == os.getuid():
                return control
            control.close()

    def _claimed(self) -> bool:
        """Whether no run has this worker, and none will get it."""
        if self._claim is None:
            self._claim = self._address.claim()  # held until this process ends
        return self._claim is not None

    def _reachable(self) -> bool:
        """Whether the address still leads here, and not to another worker or nowhere."""
        try:
            return self._address.path.stat().st_ino == self._inode
        except OSError:
            return False


def _go(*_: object) -> NoReturn:
    sys.exit(0)


def main() -> None:
    """Entry point."""
    if os.fork():
        os._exit(0)  # whoever started it waits for this and has no child left
    signal.signal(signal.SIGTERM, _go)
    listener = socket.socket(fileno=int(sys.argv[1]))
    settings, about = json.loads(sys.argv[2]), json.loads(sys.argv[3])
    address = warm.Address(Path(about["folder"]), about["key"])
    worker = Worker(settings, kept=(listener,))
    about = {
        "adapter": settings["adapter"],
        "project": settings["project"],
        "store": settings["store"],
    } | about
    try:
        Keeper(listener, worker, address, about["idle"], about).main()
    except SystemExit:
        pass
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    sys.stderr.flush()
    os._exit(0)  # taking the backend's modules down in order takes a tenth of a second


if __name__ == "__main__":
    main()
