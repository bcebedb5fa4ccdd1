"""Make the project's environment, ``.venv``, from ``requirements.lock``: the slow half of ``doitw``.

Runs with the standard library of any Python 3.11 to 3.13, outside the environment; of finnmake it
imports nothing.

A complete ``.venv`` holds ``.finnmake/``, the stamp: copies of the files that it was made from, and where and
for which Python. The stamp is removed first and put in place last, by rename: whatever stops the program in
between, the next run finds no stamp and starts over. One run at a time works on ``.venv``; others wait, then
find it done.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "requirements.lock"
PROJECT_FILE = "pyproject.toml"
STAMP = ".finnmake"
"""The stamp's folder in ``.venv``: copies of the two files above, and ``made``, two lines: the project
folder and FINNMAKE_PYTHON. ``is_fresh`` in ``doitw`` reads it too."""

SPACE = "1.5 GB"
"""Room for a set-up: the environment 700 MB, downloads 300 MB, pip's cache of them as much again."""

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"DO NOT MATCH THE HASHES",
        f"a download is not the file that {LOCK_FILE} names, and was not installed. If it was damaged on its "
        "way, `pip cache purge` and another run help; otherwise the package index serves files of its own.",
    ),
    (
        r"Hashes are required|must have their versions pinned",
        f"{LOCK_FILE} lacks a version or a hash: make it again, with the command that heads requirements.in.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        f"free some space: the set-up wants about {SPACE}.",
    ),
    (
        r"No matching distribution|Connection|Temporary failure|timed out|SSLError|ProxyError",
        "pip cannot get a package. See that the network is up and which package index pip asks (`pip config "
        "list`). A package may also lack a wheel for this system: finnmake is meant for Linux with glibc.",
    ),
    (
        r"Cannot import|ModuleNotFoundError|metadata-generation-failed|BackendUnavailable",
        f"finnmake itself does not install: see [build-system] and [project] in {PROJECT_FILE}.",
    ),
)
"""What pip prints -> what the user can do. The first that matches is shown."""

MISDIRECTING = frozenset(
    ("PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER")
)
"""Variables that make Python or pip look or install elsewhere; other settings, the index for one, stay."""


class BootstrapError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def say(message: str) -> None:
    """Print one line for the user."""
    print(f"doitw: {message}", file=sys.stderr, flush=True)


def remove(path: Path) -> None:
    """Remove a folder, or a link to one (then not what it points to), if it is there."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@dataclass(frozen=True)
class Stamp:
    """What an environment was, or is to be, made from."""

    root: str
    """The project folder: scripts in an environment name it, so a copy elsewhere is of no use."""
    asked_python: str
    """FINNMAKE_PYTHON, or empty."""
    lock_file: bytes
    project_file: bytes

    @classmethod
    def of_project(cls, root: Path) -> Stamp:
        """What ``.venv`` has to be made from now; BootstrapError when a file is missing."""
        try:
            lock_file, project_file = ((root / name).read_bytes() for name in (LOCK_FILE, PROJECT_FILE))
        except FileNotFoundError as error:
            raise BootstrapError(f"{error.filename} is missing: doitw needs it beside itself") from None
        try:
            tomllib.loads(project_file.decode())
        except ValueError as error:  # pip would say so with a traceback
            raise BootstrapError(f"{PROJECT_FILE} is not a TOML file: {error}") from None
        return cls(str(root), os.environ.get("FINNMAKE_PYTHON", ""), lock_file, project_file)

    @classmethod
    def read(cls, venv: Path) -> Stamp | None:
        """What an environment was made from, or None when it is not complete."""
        folder = venv / STAMP
        try:
            made, lock_file, project_file = (
                (folder / name).read_bytes() for name in ("made", LOCK_FILE, PROJECT_FILE)
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        root, asked_python = made.decode(errors="surrogateescape").split("\n")[:2]
        return cls(root, asked_python, lock_file, project_file)

    def write(self, venv: Path) -> None:
        """Declare an environment complete."""
        unfinished = venv / f"{STAMP}.tmp"
        remove(unfinished)
        unfinished.mkdir()
        made = f"{self.root}\n{self.asked_python}\n"
        (unfinished / "made").write_bytes(made.encode(errors="surrogateescape"))
        (unfinished / LOCK_FILE).write_bytes(self.lock_file)
        (unfinished / PROJECT_FILE).write_bytes(self.project_file)
        unfinished.rename(venv / STAMP)


def base_python() -> Path:
    """The interpreter that runs this, less links and an environment that it may be part of.

    A link such as ``python3`` may later lead to another minor version, which would not find the packages.
    """
    return Path(sys.executable).resolve()


def reason_to_make(venv: Path, have: Stamp | None, want: Stamp) -> str | None:
    """Why the environment must be made from nothing, or None when that is not needed."""
    python = venv / "bin" / "python"
    if not venv.exists():
        return "there is none yet"
    if have is None:
        return "the one there was not completed"
    if not os.access(python, os.X_OK):
        return "its Python is gone"
    if have.root != want.root:
        return f"the one there was made for {have.root}"
    if want.asked_python not in ("", have.asked_python) and python.resolve() != base_python():
        return "FINNMAKE_PYTHON names another Python"
    if have.lock_file != want.lock_file:
        return f"{LOCK_FILE} has changed"
    return None


@contextlib.contextmanager
def sole_use(root: Path) -> Iterator[int]:
    """Hold the project's set-up lock; yields its descriptor.

    The kernel frees it with the last process that has it open. Children get it too: a pip that outlives its
    killed parent still keeps the next run from working in the same folder.
    """
    descriptor = os.open(root / ".venv.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another doitw, which is making .venv")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def hint_for(output: str) -> str:
    """What the user can do about a command that printed this and failed."""
    for pattern, hint in HINTS:
        if re.search(pattern, output):
            return hint
    return "the next ./doitw starts over."


@dataclass(frozen=True)
class Installer:
    """Runs what fills an environment, silently."""

    venv: Path
    environment: Mapping[str, str]
    lock: int
    """A descriptor for children to keep open."""

    def make_venv(self) -> None:
        """Make the environment, with nothing but pip in it, where there was none or another."""
        if any(importlib.util.find_spec(module) is None for module in ("ensurepip", "venv")):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise BootstrapError(
                f"{sys.executable} cannot make environments: its modules venv or ensurepip are missing. On "
                f"Debian and Ubuntu, `apt install python{version}-venv`; or name another in FINNMAKE_PYTHON."
            )
        remove(self.venv)
        self._run("making .venv", base_python(), "-I", "-m", "venv", "--prompt", "finnmake", self.venv)

    def install_locked(self, lock_file: bytes) -> None:
        """Install what the lock file's text names: wheels only, each with a hash that it gives.

        A source package would run code, and fetch what it is built with, that no hash vouches for.
        """
        # pip reads a copy, so that the stamp tells the truth even if the file is edited meanwhile.
        copy = self.venv / LOCK_FILE
        copy.write_bytes(lock_file)
        flags = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile")
        self._pip("installing the packages", *flags, f"--requirement={copy}")
        copy.unlink()

    def byte_compile(self) -> None:
        """Byte-compile the packages on all processors, less their test suites (a third of the files).

        Packages ship files that are not valid Python, templates for one, so a failure means nothing.
        """
        flags = ("-qq", "-j0", "-x", "site-packages/.*/tests?/")
        with contextlib.suppress(BootstrapError):
            self._run("byte-compiling", self._python, "-I", "-m", "compileall", *flags, self.venv / "lib")

    def install_project(self, root: str) -> None:
        """Install finnmake itself, editable, with the build backend that the lock file brought."""
        self._pip("installing finnmake", "--no-deps", "--no-build-isolation", f"--editable={root}")

    @property
    def _python(self) -> Path:
        return self.venv / "bin" / "python"

    def _pip(self, what: str, *arguments: str) -> None:
        flags = ("--disable-pip-version-check", "--no-input", "--quiet", "--no-user", "--progress-bar=off")
        self._run(what, self._python, "-I", "-m", "pip", "install", *flags, *arguments)

    def _run(self, what: str, *command: str | Path) -> None:
        """Run a command silently; when it fails, show what it printed and raise BootstrapError."""
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self.environment,
            pass_fds=(self.lock,),
            check=False,
        )
        if done.returncode:
            raise BootstrapError(
                f"{what} failed:\n{done.stdout.rstrip()}\ndoitw: {what} failed: {hint_for(done.stdout)}"
            )


def set_up(root: Path) -> None:
    """Bring the project's ``.venv`` up to date; does nothing when it is."""
    venv = root / ".venv"
    with sole_use(root) as lock:
        began = time.monotonic()
        have, want = Stamp.read(venv), Stamp.of_project(root)
        reason = reason_to_make(venv, have, want)
        if have == want and not reason:
            return
        remove(venv / STAMP)
        environment = {name: value for name, value in os.environ.items() if name not in MISDIRECTING}
        installer = Installer(venv, environment, lock)
        if reason:
            say(f"making .venv with Python {platform.python_version()} ({reason})")
            installer.make_venv()
            count = len(re.findall(rb"^[A-Za-z0-9]", want.lock_file, re.MULTILINE))
            say(f"installing {count} packages from {LOCK_FILE} (a minute or so, plus any downloads)")
            installer.install_locked(want.lock_file)
            installer.byte_compile()
        if reason or have is None or have.project_file != want.project_file:
            say("installing finnmake" if reason else f"installing finnmake ({PROJECT_FILE} has changed)")
            installer.install_project(want.root)
            say(f"ready in {time.monotonic() - began:.0f} s")
        want.write(venv)


def main() -> int:
    """Set up the project that this file is part of; returns the exit code."""
    try:
        set_up(Path(__file__).resolve().parents[2])
    except BootstrapError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"cannot make .venv: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next ./doitw starts over")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
