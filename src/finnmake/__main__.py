"""`python -m finnmake ARGUMENTS`: doit, in the words of finnmake when it is interrupted."""

from __future__ import annotations

import sys
import tomllib

from doit.doit_cmd import DoitMain


def main() -> int:
    """Run doit with the command line's arguments; gives the exit code."""
    DoitMain.BIN_NAME = "doit"
    try:
        return int(DoitMain().run(sys.argv[1:]) or 0)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was done is kept, and the next run goes on from there\n")
        return 130
    except tomllib.TOMLDecodeError as error:  # doit reads its own table before anything of finnmake's runs
        sys.stderr.write(f"ERROR: pyproject.toml: not a TOML file: {error}\n  -> Correct it.\n")
        return 3


if __name__ == "__main__":
    sys.exit(main())
