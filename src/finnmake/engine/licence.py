"""Where Vivado's licence comes from: the setting, or the variables that its licence client reads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finnmake.engine.toolchain import LICENCES
from finnmake.errors import Location, ToolError
from finnmake.settings import NO_LICENCE

_KEY = "tool.finnmake.toolchain.licence"


@dataclass(frozen=True)
class Licence:
    """What the tools need to find their licence.

    Attributes:
        environment: the variables, with those of their entries that can be used here.
        files: the files that they name.
        needs_network: whether only servers give a licence.
    """

    environment: Mapping[str, str]
    files: tuple[Path, ...]
    needs_network: bool


def find_licence(written: str, environ: Mapping[str, str]) -> Licence:
    """The licence by the setting `written`, or where that is empty by the variables.

    Raises ToolError where there is none, or where no file that is named can be read.
    """
    if written == NO_LICENCE:
        return Licence({}, (), False)
    named = {name: environ[name] for name in LICENCES if environ.get(name, "").strip(" :;")}
    sources = {LICENCES[0]: written} if written else named
    if not sources:
        raise ToolError(
            f"Vivado has no licence: neither this setting nor {' nor '.join(LICENCES)} names one",
            where=Location(key=_KEY),
            cure='Write licence = "/…/Xilinx.lic" or "2100@server"; "none" is right for devices of the '
            "free edition.",
        )
    entries = {name: _entries(value) for name, value in sources.items()}
    usable = {name: [entry for entry in found if _serves(entry)] for name, found in entries.items()}
    every = [entry for found in entries.values() for entry in found]
    kept = [entry for found in usable.values() for entry in found]
    # Other programs share the variables, which may name what is long gone; the setting is for Vivado alone.
    if not kept or (written and len(kept) < len(every)):
        missing = ", ".join(entry for entry in every if entry not in kept)
        raise ToolError(
            f"no licence file can be read at {missing}",
            where=Location(key=_KEY if written else " and ".join(sources)),
            cure="Correct the path or the rights of the file; in a folder, licence files are named *.lic.",
        )
    files = dict.fromkeys(file for entry in kept if not _is_server(entry) for file in _files(entry))
    environment = {name: ":".join(found) for name, found in usable.items() if found}
    return Licence(environment, tuple(files), not files)


def _entries(value: str) -> list[str]:
    """The entries of a variable; files and folders by their absolute paths."""
    written = (entry.strip() for entry in re.split("[:;]", value))
    return [entry if _is_server(entry) else os.path.abspath(entry) for entry in written if entry]


def _is_server(entry: str) -> bool:
    return "@" in entry and "/" not in entry


def _serves(entry: str) -> bool:
    return _is_server(entry) or bool(_files(entry))


def _files(entry: str) -> list[Path]:
    """The readable file of this name, or the licence files in the folder of this name."""
    path = Path(entry)
    try:
        found = sorted(path.glob("*.lic")) if os.path.isdir(path) else [path]
    except OSError:
        return []
    return [file for file in found if os.path.isfile(file) and os.access(file, os.R_OK)]
