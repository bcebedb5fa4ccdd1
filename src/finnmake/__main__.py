"""`python -m finnmake ARGUMENTS`: doit, in the words of finnmake when it is interrupted."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import signal
import sys
import threading
import tomllib

from finnmake.tasks import interrupts
from finnmake.tasks.streams import Streams


def main() -> int:
    """Run doit with the command line's arguments; gives the exit code."""
    streams = Streams()
    interrupts.heed(signal.SIGINT)
    try:
        code = _run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was done is kept, and the next run goes on from there\n")
        code = interrupts.STOPPED
    finally:
        interrupts.ending()
    return streams.end(code)


def _run() -> int:
    if sys.argv[1:2] == ["doctor"] and not _usable():
        from finnmake.tasks import doctor_report

        return doctor_report.main(sys.argv[2:])
    # Modules and thousands of tasks stay: looking for garbage among them takes long.
    gc.set_threshold(100_000)
    from doit import plugin
    from doit.doit_cmd import DoitMain

    # doit asks for one group after another, and each time reads the entry points of every package.
    plugin.entry_points_impl = functools.cache(lambda: plugin.entry_points().select)
    DoitMain.BIN_NAME = "doit"
    try:
        return int(DoitMain().run(_ordered(sys.argv[1:])) or 0)
    except tomllib.TOMLDecodeError as error:  # doit reads its own table before anything of finnmake's runs
        sys.stderr.write(f"ERROR: pyproject.toml: not a TOML file: {error}\n  -> Correct it.\n")
        return 3


def _usable() -> bool:
    """Whether doit can run a command at all: `doctor` must say what is wrong where it cannot."""
    try:
        with open("pyproject.toml", "rb") as stream:
            table = tomllib.load(stream)
        import finnmake.tasks.doctor  # noqa: F401 (with it all that commands stand on)
    except Exception:  # whatever a broken package or file raises
        return False
    return "doctor" in table.get("tool", {}).get("doit", {}).get("plugins", {}).get("command", {})


def _ordered(arguments: list[str]) -> list[str]:
    """doit wants a command before its options; `-n 2 explore` is `-n 2 build` with another word."""
    if "explore" not in arguments or "help" in arguments:
        return arguments
    others = [argument for argument in arguments if argument != "explore"]
    return ["help", "explore"] if "--help" in others else ["explore", *others]


def _leave(code: int) -> None:
    """End the process, without freeing what it holds piece by piece: of thousands of tasks that takes long.

    Where something else still goes on, or watches, Python ends as ever.
    """
    if threading.active_count() == 1 and sys.gettrace() is None and sys.getprofile() is None:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
