"""Checks of what stands beside Python: containers, Vivado and its licence, open tools for RTL."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from finnmake.errors import ContainerError, FinnmakeError, ToolError, WorkspaceError
from finnmake.settings import NO_LICENCE, VIVADO_VERSIONS, Settings, ToolchainSettings, VivadoSettings
from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Finding, from_error
from finnmake.tasks.doctor_project import backend_of, settings_of

#: For a licence server to answer (seconds), and the port that it has unless one is named.
_PATIENCE = 3.0
_PORT = 27000

#: Where Vivado is, unless the settings say it.
_VIVADO = ("XILINX_VIVADO", "XILINX_VITIS", "XILINX_HLS")


def check_container(root: Path) -> Iterator[Finding]:
    """The container engine, and the image that the project pins."""
    from finnmake.engine.runtime import image_lock

    settings = settings_of(root)
    runtime = os.environ.get("FINNMAKE_RUNTIME") or settings.runtime
    wanted = runtime == "container"
    try:
        pinned = image_lock.pins(root)
    except WorkspaceError as error:
        yield from_error("image", error, PROBLEM if runtime in ("auto", "container") else WARNING)
        pinned = False
    yield from _engine(root, settings, runtime=runtime, pinned=pinned, wanted=wanted)


def _engine(root: Path, settings: Settings, *, runtime: str, pinned: bool, wanted: bool) -> Iterator[Finding]:
    """The engine is a note where nothing is to run in it: builds go on without."""
    from finnmake.engine import image_files
    from finnmake.engine.runtime import image_lock
    from finnmake.engine.runtime.client import find_engine

    try:
        engine = find_engine()
    except ContainerError as error:
        needed = PROBLEM if wanted else WARNING if pinned and runtime == "auto" else OK
        text = error.located() if needed != OK else f"no engine, and none is needed: {error.message}"
        yield Finding("container", needed, text, error.cure if needed != OK else "")
        return
    yield Finding("container", OK, f"{engine.kind} {engine.version} answers on {engine.socket}")
    if not pinned:
        cure = "Make and pin one: doit image --update" if wanted else ""
        yield Finding("image", PROBLEM if wanted else OK, "no image is pinned", cure)
        return
    try:
        image = image_lock.check(image_lock.read(root), image_files.digests(root, settings), engine)
    except (ContainerError, WorkspaceError) as error:
        state = PROBLEM if wanted else WARNING if runtime == "auto" else OK
        yield from_error("image", error, state)
        return
    yield Finding("image", OK, f"the pinned one is here: {image.id[:19]}")


def vivado_takes(root: Path) -> str:
    """What is said before Vivado's tools are started; empty where none is named."""
    named = settings_of(root).toolchain.vivado or _named()
    return "asking Vivado for its version" if named else ""


def check_vivado(root: Path) -> Iterator[Finding]:
    """Vivado as the settings or the environment name it, whether its tools run, and its licence."""
    settings = settings_of(root).toolchain
    if settings.vivado is not None:
        yield from _installation(settings, "", PROBLEM)
        return
    named = _named()
    if not named:
        yield Finding("Vivado", OK, "none is named: builds go as far as FINN's estimates and code generation")
    for name, place in named.items():
        path = Path(place)
        if not path.is_dir():
            cure = f"Correct or unset {name}, or name Vivado in [tool.finnmake.toolchain] of pyproject.toml."
            yield Finding("Vivado", PROBLEM, f"{name}={place}, where there is no folder", cure)
        elif name == _VIVADO[0] and path.name in VIVADO_VERSIONS:
            given = settings._replace(vivado=VivadoSettings(path, path.name))
            yield from _installation(given, f", by {name}", WARNING)
        else:
            yield Finding("Vivado", OK, f"{name}={place}; [tool.finnmake.toolchain] would pin a release")


def check_open_rtl(root: Path) -> Iterator[Finding]:
    """What the backend open_rtl simulates and synthesises with; a note where nothing asks for it."""
    from finnmake.backends.open_rtl import tools
    from finnmake.backends.open_rtl.yosys import run as yosys

    try:
        said = {**tools.check(), "yosys": yosys.version()}
    except ToolError as error:
        if backend_of(root) == OPEN_RTL:
            yield from_error("open RTL", error, PROBLEM)
        else:
            yield Finding("open RTL", OK, f"only the backend {OPEN_RTL} would need it: {error.message}")
        return
    yield Finding("open RTL", OK, ", ".join(f"{name} {version}" for name, version in said.items()))


def _named() -> dict[str, str]:
    return {name: os.environ[name] for name in _VIVADO if os.environ.get(name)}


def _installation(settings: ToolchainSettings, by: str, state: str) -> Iterator[Finding]:
    """An installation that is there, its tools and its licence.

    Args:
        by: added to what is found.
        state: of what is wrong; where only the environment names Vivado, builds may not need it.
    """
    from finnmake.engine import vivado

    try:
        found = vivado.find(settings, os.environ)
        assert found is not None
        with tempfile.TemporaryDirectory() as cache:  # asked each time: that they run is what is checked
            said = vivado.versions(found, vivado.ask, Path(cache))
    except FinnmakeError as error:
        yield from_error("Vivado", error, state)
        return
    yield Finding("Vivado", OK, "; ".join(f"{name} {line}" for name, line in said.items()) + by)
    if "vitis_hls" not in found.tools and "vitis-run" not in found.tools:
        cure = "Install Vitis HLS of the same release beside it; flows that stop at RTL need none."
        yield Finding("Vitis", WARNING, f"no Vitis HLS in {' nor in '.join(map(str, found.folders))}", cure)
    yield from _licence(settings.licence, found.environment)


def _licence(written: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """The licence that was found: its files can be read, and whether its servers answer."""
    if written == NO_LICENCE:
        yield Finding("licence", OK, "none, as the settings say")
        return
    entries = [entry for value in environment.values() for entry in value.split(":") if entry]
    for entry in entries:
        if "@" not in entry:
            yield Finding("licence", OK, f"{entry} is readable")
            continue
        why = _unreachable(entry)
        if why is None:
            yield Finding("licence", OK, f"{entry} answers")
        else:
            cure = "See that the server is up and this machine may reach it (VPN, firewall), or name another."
            yield Finding("licence", WARNING, f"{entry} does not answer: {why}", cure)


def _unreachable(entry: str) -> str | None:
    """Why nobody answers at `port@host`; None where somebody does."""
    port, _, host = entry.partition("@")
    try:
        with socket.create_connection((host, int(port or _PORT)), _PATIENCE):
            return None
    except (OSError, ValueError, OverflowError) as error:
        return str(error) or type(error).__name__
