"""Whether what a task made is still right: everything it used and everything it left, compared with now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finnmake.engine.files import FileDigests, digest_listing, signature
from finnmake.engine.paths import absolute, portable
from finnmake.engine.trace import presence

#: The name under which a task's record lies among its doit values.
RECORD = "finnmake"


def record(
    reads: Sequence[Mapping[str, Any]],
    *,
    identity: str,
    content_id: str,
    outputs: Iterable[Path],
    depends: Iterable[str],
    whole: bool,
    project: Path,
    digests: FileDigests,
) -> dict[str, Any]:
    """What doit keeps of a task: all that its steps read, as they read it, and the state of its outputs.

    Args:
        reads: what each step read, as a trace keeps it.
        depends: the task's file dependencies, which doit compares; kept to spare hashing them next time.
        whole: whether all reads are known; if not, the task runs again.
    """
    files: dict[str, str | None] = {}
    listings: dict[str, Any] = {}
    present: dict[str, Any] = {}
    steady = whole
    for each in reads:
        for kept, now in (
            (files, each["files"]),
            (listings, each["listings"]),
            (present, each["presence"]),
        ):
            steady = steady and all(kept.get(name, value) == value for name, value in now.items())
            kept.update(now)
    return {
        "identity": identity,
        "content": content_id,
        "steady": steady,
        "files": {
            name: [_signature_for(absolute(name, project), sha, digests), sha] for name, sha in files.items()
        },
        "depends": {path: digests.first(path) for path in depends},
        "listings": listings,
        "presence": present,
        "paths": next((each["paths"] for each in reads if "paths" in each), None),
        "outputs": {portable(str(path), str(project)): _output(path) for path in outputs},
    }


def _signature_for(path: str, sha: str | None, digests: FileDigests) -> Any:
    """The file's signature, where it still holds what was used: spares hashing it next time."""
    now, digest = digests.state(path)
    return now if digest == sha else None


def settle(kept: Mapping[str, Any], project: Path, digests: FileDigests) -> bool:
    """Take signatures that were too young to be trusted when the task was recorded; whether there are any.

    Only of files that still hold what the task used: they need not be hashed next time.
    """
    found = False
    for table in (kept["depends"], kept["files"]):
        for name, (known, sha) in table.items():
            if known is None and sha is not None:
                now = _signature_for(absolute(name, project), sha, digests)
                table[name] = [now, sha]
                found = found or now is not None
    return found


def is_fresh(
    kept: Mapping[str, Any] | None,
    identity: str,
    content_id: str,
    project: Path,
    digests: FileDigests,
    paths: Sequence[str],
) -> bool:
    """Whether nothing that the record tells of has changed.

    Args:
        paths: the store and the Python environment as steps see them: generated code holds their paths.
    """
    root = str(project)  # joining text is quicker
    for path, (known, sha) in (kept["depends"] if kept else {}).items():
        if known is not None:
            digests.remember(path, tuple(known), sha)
    if not kept or not kept["steady"] or kept["identity"] != identity or kept["content"] != content_id:
        return False
    return (
        kept["paths"] in (None, paths)
        and _same_outputs(kept["outputs"], root)
        and all(_same_file(name, known, sha, root, digests) for name, (known, sha) in kept["files"].items())
        and all(digest_listing(absolute(name, root)) == was for name, was in kept["listings"].items())
        and all(presence(absolute(name, root)) == was for name, was in kept["presence"].items())
    )


def _same_file(name: str, known: Any, sha: str | None, project: str, digests: FileDigests) -> bool:
    path = absolute(name, project)
    if known is not None and sha is not None:
        digests.remember(path, tuple(known), sha)
    return digests.first(path)[1] == sha


def _output(path: Path) -> list[int]:
    """The state of an output; another link to a blob changes the ctime of all, so links go without it."""
    found = os.stat(path)
    size, mtime_ns, ctime_ns, inode = signature(found)
    return [size, mtime_ns, inode] if found.st_nlink > 1 else [size, mtime_ns, inode, ctime_ns]


def _same_outputs(outputs: Mapping[str, Any], project: str) -> bool:
    """Whether every output is as the task left it: an output that somebody touched is made again."""
    try:
        for name, known in outputs.items():
            now = os.stat(absolute(name, project))
            if now.st_mtime_ns != known[1] or now.st_size != known[0] or now.st_ino != known[2]:
                return False
            if len(known) > 3 and now.st_ctime_ns != known[3] and now.st_nlink == 1:
                return False
    except OSError:
        return False
    return True


def output_as_left(path: str, known: Sequence[int]) -> bool:
    """Whether one output is as the task left it, by what the record says of it."""
    return _same_outputs({path: known}, "")
