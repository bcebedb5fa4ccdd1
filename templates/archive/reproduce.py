"""Builds the configuration in this archive again and compares: python3 reproduce.py [--keep FOLDER]

Needs Python 3.11, 3.12 or 3.13 on Linux, and a package index for the packages in project/requirements.lock.
Exit code 0: every output is the same, byte for byte. 1: something differs, or the build failed.
"""

import sys
from pathlib import Path

if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit("reproduce.py: run it with Python 3.11, 3.12 or 3.13, as in: python3.11 reproduce.py")

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # the archive stays as it is
sys.path.insert(0, str(HERE / "project" / "src"))

from finnmake.tasks.reproduction import main  # noqa: E402 (it lies in the archive)

sys.exit(main(HERE, sys.argv[1:]))
