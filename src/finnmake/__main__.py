"""`python -m finnmake ARGUMENTS`: doit, in the words of finnmake when it is interrupted."""

from __future__ import annotations

import gc
import sys
import tomllib

from doit.doit_cmd import DoitMain


def main() -> int:
    """Run doit with the command line's arguments; gives the exit code."""
    DoitMain.BIN_NAME = "doit"
    gc.set_threshold(
        100_000
    )  # thousands of tasks are made to stay: looking for garbage among them takes long
    try:
        return int(DoitMain().run(_ordered(sys.argv[1:])) or 0)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was done is kept, and the next run goes on from there\n")
        return 130
    except tomllib.TOMLDecodeError as error:  # doit reads its own table before anything of finnmake's runs
        sys.stderr.write(f"ERROR: pyproject.toml: not a TOML file: {error}\n  -> Correct it.\n")
        return 3


def _ordered(arguments: list[str]) -> list[str]:
    """doit wants a command before its options; `-n 2 explore` is `-n 2 build` with another word."""
    if "explore" not in arguments or "help" in arguments:
        return arguments
    others = [argument for argument in arguments if argument != "explore"]
    return ["help", "explore"] if "--help" in others else ["explore", *others]


if __name__ == "__main__":
    sys.exit(main())
