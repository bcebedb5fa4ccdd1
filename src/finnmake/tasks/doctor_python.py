"""Checks of Python and its packages: version, lock, FINN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from finnmake.engine import locked
from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Finding

#: Versions of Python for which the packages have wheels.
_OLDEST, _NEWEST = (3, 11), (3, 13)

#: Packages whose versions are told.
_TOLD = ("finn-plus", "qonnx", "onnx", "onnxruntime", "numpy")

#: For the import of FINN (seconds).
_PATIENCE = 120

#: Names that are listed; more are counted.
_LISTED = 5

_NEW_VENV = "Remove .venv and run ./doitw, which makes it again from requirements.lock."

#: Where finnmake itself is.
_SOURCES = Path(__file__).resolve().parents[2]

#: As a worker loads FINN; errors come as JSON, as FINN itself prints.
_IMPORT = """
import json, sys
sys.path.append(sys.argv[1])
from finnmake.backends import finn
try:
    finn.preload()
except BaseException as error:
    print(json.dumps(f"{type(error).__name__}: {error}"), file=sys.__stderr__)
    sys.exit(1)
"""


def check_python(root: Path) -> Iterator[Finding]:
    """The version of Python, and the environment that it belongs to."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = _OLDEST <= sys.version_info[:2] <= _NEWEST
    yield Finding(
        "Python",
        OK if fits else PROBLEM,
        f"{version} in {sys.prefix}",
        "" if fits else "Use Python 3.11, 3.12 or 3.13: FINNMAKE_PYTHON=/path/to/python3.11 ./doitw",
    )


def check_lock(root: Path) -> Iterator[Finding]:
    """The installed packages beside requirements.lock."""
    path = root / locked.LOCK
    try:
        wanted = locked.read_lock(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        yield Finding("lock", WARNING, f"{path.name} cannot be read: {why}", _RESTORE)
        return
    if not wanted:
        yield Finding("lock", WARNING, f"{path.name} names no package", _RESTORE)
        return
    found = locked.differences(locked.installed_versions(), wanted)
    if found.missing:
        yield Finding("lock", PROBLEM, f"not installed: {_list(found.missing)}", _NEW_VENV)
    if found.other:
        others = [f"{name} {here} (lock: {there})" for name, (here, there) in found.other.items()]
        yield Finding("lock", WARNING, f"other versions than locked: {_list(others)}", _NEW_VENV)
    if found.beside:
        yield Finding(
            "lock",
            WARNING,
            f"installed besides: {_list(found.beside)}",
            "They are part of every key; take them out where results are to be shared.",
        )
    if not (found.missing or found.other or found.beside):
        yield Finding("lock", OK, f"{len(wanted)} packages, all as in {path.name}")


_RESTORE = "Restore it from version control: the environment cannot be checked, nor made, without it."


def check_edited(root: Path) -> Iterator[Finding]:
    """Packages whose code is in results, and is not that of the package index."""
    editable = locked.editable()
    for name, address in sorted(editable.items()):
        yield Finding(
            "packages",
            WARNING,
            f"{name} is installed editable from {address}",
            "Its sources count by content; nobody else has results like these without them.",
        )
    edited = locked.edited()
    for name, files in sorted(edited.items()):
        yield Finding(
            "packages",
            PROBLEM,
            f"{name} was edited in place: {_list(files)}",
            f"Builds do not see that. {_NEW_VENV} To work on it: .venv/bin/pip install --no-deps -e PATH.",
        )
    if not editable and not edited:
        yield Finding("packages", OK, "FINN and QONNX are as they were installed")


def check_versions(root: Path) -> Iterator[Finding]:
    """The versions of what decides about results."""
    found, missing = [], []
    for name in _TOLD:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if found:
        yield Finding("toolchain", OK, ", ".join(found))
    if missing:
        yield Finding("toolchain", PROBLEM, f"not installed: {', '.join(missing)}", _NEW_VENV)


def finn_takes(root: Path) -> str:
    """What is said before FINN is loaded."""
    return "loading FINN in a fresh process (2 to 8 s)"


def check_finn(root: Path) -> Iterator[Finding]:
    """Whether a fresh process can load FINN, and in what time."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _IMPORT, str(_SOURCES)],
            cwd="/",
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding(
            "FINN", PROBLEM, f"not loaded within {_PATIENCE} s", "See whether the disk is slow or full."
        )
        return
    taken = time.monotonic() - started
    if done.returncode == 0:
        yield Finding("FINN", OK, f"loads in {taken:.1f} s")
    else:
        yield Finding("FINN", PROBLEM, f"cannot be loaded: {_last(done.stderr)}", _NEW_VENV)


def _last(said: str) -> str:
    lines = said.strip().splitlines() or ["it says nothing"]
    try:
        return str(json.loads(lines[-1])).partition("\n")[0]
    except ValueError:
        return lines[-1]


def _list(names: object) -> str:
    found = list(names)  # type: ignore[call-overload]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more
