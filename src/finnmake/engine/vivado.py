"""Vivado on this machine: whether it is there, its licence, whether it is the release that is pinned."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.licence import find_licence
from finnmake.errors import Location, ToolError
from finnmake.hashing import digest_value
from finnmake.settings import ToolchainSettings
from finnmake.whole import written_whole

#: Folders of the same release beside `Vivado/<release>`; which of them there are differs between releases.
_SIBLINGS = ("Vitis_HLS", "Vitis")

#: The script in each of the folders that sets PATH and the XILINX_… variables.
SETTINGS = "settings64.sh"

#: Tools that FINN starts, looked for in `bin` of every folder.
_TOOLS = ("vivado", "xelab", "xvlog", "xvhdl", "xsim", "vitis_hls", "vitis-run", "v++")

#: Tools that are asked for their version.
_ASKED = ("vivado", "vitis_hls")

_KEY = "tool.finnmake.toolchain"

#: `v2022.2`, `v2022.2.1` (an update of it), `v2022.2_AR000034` (patched), then `(64-bit)`.
_VERSION = re.compile(r"\bv((20\d\d\.\d)[\w.]*) \(64-bit\)")
_BUILD = re.compile(r"\bSW Build:? (\d+)")


@dataclass(frozen=True)
class Installation:
    """An installation of Vivado and what its tools need.

    Attributes:
        path: its folder, `…/Vivado/<release>`.
        version: the release that it must be.
        folders: what steps must see at the same path, `path` first: the scripts inside name each other.
        tools: name of a tool -> its script; those that are there.
        environment: the licence variables for the tools.
        licence_files: files that steps must see at the same path.
        needs_network: whether only servers give a licence.
    """

    path: Path
    version: str
    folders: tuple[Path, ...]
    tools: Mapping[str, Path]
    environment: Mapping[str, str]
    licence_files: tuple[Path, ...]
    needs_network: bool


def find(settings: ToolchainSettings, environ: Mapping[str, str]) -> Installation | None:
    """The installation that the settings name, with its licence; None where they name none.

    Starts no process. Raises ToolError where the folder or the licence is not what it must be.
    """
    if settings.vivado is None:
        return None
    path, version = settings.vivado.path, settings.vivado.version
    _check_folder(path, version)
    folders = tuple(_folders(path))
    tools = {name: tool for name in _TOOLS if (tool := _tool(folders, name)) is not None}
    licence = find_licence(settings.licence, environ)
    return Installation(
        path, version, folders, tools, licence.environment, licence.files, licence.needs_network
    )


def _check_folder(path: Path, version: str) -> None:
    where = Location(key=f"{_KEY}.vivado.path")
    inside = (path / version, path / "Vivado" / version)
    near = next((str(each) for each in inside if os.path.isfile(each / SETTINGS)), None)
    cure = f'Write path = "{near or f"/…/Vivado/{version}"}", the folder that holds bin/vivado.'
    if not os.path.isdir(path):
        raise ToolError(f"there is no folder {path}", where=where, cure=cure)
    for name in ("bin/vivado", SETTINGS):
        if not os.path.isfile(path / name):
            raise ToolError(f"{path} is not a folder of Vivado: it has no {name}", where=where, cure=cure)


def _folders(path: Path) -> Iterator[Path]:
    """The folder and its siblings, also under their own names where links lead to them."""
    real = Path(os.path.realpath(path))
    for base in (path, real) if real != path else (path,):
        yield base
        for name in _SIBLINGS:
            sibling = base.parent.parent / name / base.name
            if os.path.isdir(sibling):
                yield sibling


def _tool(folders: Sequence[Path], name: str) -> Path | None:
    places = (folder / "bin" / name for folder in folders)
    return next((place for place in places if os.path.isfile(place)), None)


def check_network(installation: Installation, network: str) -> None:
    """Raise ToolError where the licence is on a server that a container on this network cannot reach."""
    if installation.needs_network and network == "none":
        servers = ", ".join(installation.environment.values())
        raise ToolError(
            f"the licence of Vivado comes from {servers}, and the container has no network",
            where=Location(key="tool.finnmake.container.network"),
            cure='Set network = "bridge" in [tool.finnmake.container], or use a licence file.',
        )


def versions(
    installation: Installation, probe: Callable[[Sequence[str]], str], cache: Path
) -> dict[str, str]:
    """What the tools say of themselves: name -> e.g. `v2022.2 (64-bit) SW Build 3671981`.

    Args:
        installation: what `find` gave.
        probe: runs a command where steps will run and gives its output; raises what `ask` raises.
        cache: a folder for answers, one for each place where steps may run: as long as the tree is the
            same, nothing is run.

    Raises ToolError where a tool does not run, or is of another release than the pinned one.
    """
    file = cache / f"{digest_value('vivado', _signature(installation))}.json"
    asked = [name for name in _ASKED if name in installation.tools]
    found = _remembered(file, asked)
    if found is None:
        found = {name: _ask_version(installation, name, probe) for name in asked}
        _remember(file, found)
    for name, line in found.items():
        _check_version(installation, name, line)
    return found


def _signature(installation: Installation) -> list[list[Any]]:
    """Path, size and time of whatever changes when an installation is updated, patched or replaced."""
    places = [folder / SETTINGS for folder in installation.folders]
    for name, script in installation.tools.items():
        places += [script, script.parent / "unwrapped" / "lnx64.o" / name]
    signed: list[list[Any]] = [list(_ASKED)]
    for place in places:
        with suppress(OSError):
            found = os.stat(place)
            signed.append([str(place), found.st_size, found.st_mtime_ns])
    return signed


def _remembered(file: Path, asked: Sequence[str]) -> dict[str, str] | None:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and set(found) == set(asked)
    return found if whole and all(isinstance(line, str) for line in found.values()) else None


def _remember(file: Path, found: Mapping[str, str]) -> None:
    """Keep the answers; where that is not possible, the tools are asked again next time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as temporary:
            temporary.write_text(json.dumps(found))


def _ask_version(installation: Installation, name: str, probe: Callable[[Sequence[str]], str]) -> str:
    tool = installation.tools[name]
    try:
        output = probe([str(tool), "-version"])
    except subprocess.TimeoutExpired as error:
        raise _cannot_run(tool, f"no answer within {error.timeout:.0f} s", error.output) from error
    except subprocess.CalledProcessError as error:
        raise _cannot_run(tool, f"exit code {error.returncode}", error.output) from error
    except OSError as error:
        raise _cannot_run(tool, error.strerror or str(error), None) from error
    version, build = _VERSION.search(output), _BUILD.search(output)
    if version is None:
        raise _cannot_run(tool, "no version in its output", output)
    return f"v{version[1]} (64-bit)" + (f" SW Build {build[1]}" if build else "")


def _cannot_run(tool: Path, why: str, output: str | bytes | None) -> ToolError:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    lines = [line for line in text.splitlines() if line.strip()]
    said = f": {' | '.join(line.strip() for line in lines[-3:])}" if lines else ""
    return ToolError(
        f"{tool} -version does not work ({why}){said}",
        where=Location(key=f"{_KEY}.vivado.path"),
        cure="Run it by hand where steps run: a missing system library shows there too.",
    )


def _check_version(installation: Installation, name: str, line: str) -> None:
    match = _VERSION.search(line)
    release = match[2] if match else line
    if release != installation.version:
        raise ToolError(
            f"{installation.tools[name]} is {line}, and {installation.version} is pinned",
            where=Location(key=f"{_KEY}.vivado.version"),
            cure=f'Set path to an installation of {installation.version}, or version = "{release}".',
        )


def identity(installation: Installation, found: Mapping[str, str]) -> dict[str, Any]:
    """What enters the keys of steps: release, versions and names of tools, and no path."""
    return {
        "version": installation.version,
        "versions": dict(sorted(found.items())),
        "tools": sorted(installation.tools),
    }


def wrap(installation: Installation, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` with the tools on its PATH."""
    # The last script decides what comes first on PATH: that of Vivado itself, as in `tools`.
    scripts = [folder / SETTINGS for folder in reversed(installation.folders)]
    sourced = [f"source {shlex.quote(str(each))}" for each in scripts if os.path.isfile(each)]
    # They name parts that may not be installed, and variables that may not be set.
    quiet = f"set +eu; {{ {'; '.join(sourced)}; }} >/dev/null 2>&1"
    return ["bash", "-c", f'{quiet}; exec "$@"', "bash", *command]


def ask(command: Sequence[str], seconds: float = 120.0) -> str:
    """Run a command on this machine and give what it printed, errors included.

    Raises OSError, subprocess.CalledProcessError or, with all that it started ended, TimeoutExpired.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        try:
            output, _ = process.communicate(timeout=seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), output)
    return output
