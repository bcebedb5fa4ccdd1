"""The peer: a container for each build, by the engine's own command line, with plain `doit` in it."""

from __future__ import annotations

import os
import queue
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import run

from finnmake.engine.runtime import PROJECT, STORE
from finnmake.engine.runtime.client import Engine, connect, traits

_CONFINED = ("--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def run_command(engine: Engine) -> list[str] | None:
    """`podman run` or `docker run` on the engine, as this user; None where the program is not here."""
    program = shutil.which(engine.kind)
    if program is None:
        return None
    option = "--url" if engine.kind == "podman" else "--host"
    command = [program, option, f"unix://{engine.socket}", "run", "--rm", *_CONFINED]
    own = f"--user={os.getuid()}:{os.getgid()}"
    if not traits(connect(engine)).rootless:
        return [*command, own]
    return [*command, *(["--userns=keep-id", own] if engine.kind == "podman" else ["--user=0:0"])]


def container_each(
    command: Sequence[str], image: str, projects: Sequence[Path], store: Path, numbers: Iterable[int]
) -> float:
    """Seconds to build the configurations of these numbers, each in a container of its own.

    As many run at once as there are projects: doit runs once at a time in each.
    """
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for project in projects:
        free.put(project)

    def build(number: int) -> None:
        project = free.get()
        try:
            volumes = [f"--volume={project}:{PROJECT}", f"--volume={store}:{STORE}"]
            run([*command, *volumes, image, "doit", f"build:config_{number:03}"], project)
        finally:
            free.put(project)

    started = time.monotonic()
    with ThreadPoolExecutor(len(projects)) as pool:
        list(pool.map(build, numbers))
    return time.monotonic() - started
