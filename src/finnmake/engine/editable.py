"""Where packages that are installed editable lie: the records that their installation left (PEP 610)."""

from __future__ import annotations

import json
from importlib.metadata import Distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from finnmake.errors import Location, WorkspaceError

#: The record, in the folder of a package's metadata.
_FILE = "direct_url.json"


def editable_address(package: Distribution) -> str:
    """The address of an editable package's project; empty for a regular one.

    Raises WorkspaceError where the record cannot be read: the package's code might be anywhere.
    """
    try:
        text = package.read_text(_FILE)
        origin = {} if text is None else json.loads(text)
        return str(origin["url"]) if origin.get("dir_info", {}).get("editable") else ""
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise WorkspaceError(
            f"where the package {package.name} is installed from cannot be read: its {_FILE} is broken",
            where=Location(path=Path(str(package.locate_file("")))),
            cure=f"Install {package.name} again, or uninstall it.",
        ) from error


def editable_folder(package: Distribution) -> Path | None:
    """The folder of an editable package's project; None for a regular one. Raises as `editable_address`."""
    address = editable_address(package)
    return Path(unquote(urlsplit(address).path)) if address else None
