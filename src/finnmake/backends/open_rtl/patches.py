"""FINN's RTL library made to parse: the changes of `patches.toml`, applied to a file or refused."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from finnmake.errors import ToolError
from finnmake.hashing import digest_bytes

_TABLE = Path(__file__).with_name("patches.toml")

_CURE = "Install finn-plus 1.6.1, or see what changed in its file and correct patches.toml."


@dataclass(frozen=True)
class Patch:
    """One change to a file.

    Attributes:
        name: of the change, unique within the file.
        reason: why it is made.
        find: the text that it replaces.
        replace: the text in its place.
        count: how often `find` occurs.
        defect: whether it mends FINN's hardware; the others leave what it does.
    """

    name: str
    reason: str
    find: str
    replace: str
    count: int = 1
    defect: bool = False


@dataclass(frozen=True)
class PatchedFile:
    """A file of FINN's that is changed.

    Attributes:
        name: its name without folder.
        sha256: the digest of FINN's own text.
        patches: in the order in which they are applied.
    """

    name: str
    sha256: str
    patches: tuple[Patch, ...]


@functools.cache
def table() -> Mapping[str, PatchedFile]:
    """The files that are changed, by name."""
    entries = tomllib.loads(_TABLE.read_text())["file"]
    files = (
        PatchedFile(entry["name"], entry["sha256"], tuple(Patch(**patch) for patch in entry["patch"]))
        for entry in entries
    )
    return {file.name: file for file in files}


def patched(name: str, text: str, *, without: Collection[str] = ()) -> str:
    """The text of a file of FINN's RTL library as open tools can read it; other files' as it is.

    Args:
        name: of the file, without folder.
        text: the whole of it, as FINN has it.
        without: names of patches that are left out.

    Raises:
        ToolError: the file is to be changed, and is not the one that the changes were made for.
    """
    file = table().get(name)
    if file is None:
        return text
    found = digest_bytes(text.encode())
    if found != file.sha256:
        raise ToolError(
            f"FINN's {name} is another than the one that finnmake can make readable for open tools "
            f"(SHA-256 {found[:12]}…, not {file.sha256[:12]}…)",
            cure=_CURE,
        )
    for patch in file.patches:
        if patch.name not in without:
            text = _applied(file, patch, text)
    return text


def _applied(file: PatchedFile, patch: Patch, text: str) -> str:
    """The text with one change. Raises ToolError where what it replaces is not there as often as it says."""
    occurs = text.count(patch.find)
    if occurs != patch.count:
        raise ToolError(
            f"the patch {patch.name!r} of {file.name} finds its text {occurs} times, not {patch.count}",
            cure="Correct it in patches.toml.",
        )
    return text.replace(patch.find, patch.replace)
