"""`doit graph`: the execution tree of the design space as a Graphviz graph, or as a picture made from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnmake.errors import Location, ToolError, WorkspaceError
from finnmake.exploration.pictures import dot_tree
from finnmake.tasks.command import DETAIL, DONE, HELP, SpaceCommand, text_option
from finnmake.tasks.workspace import workspace

#: Endings of files that hold the text, and of those that Graphviz makes.
_TEXTS, _PICTURES = (".dot", ".gv"), (".svg", ".png", ".pdf")


class Graph(SpaceCommand):
    """The command."""

    name = "graph"
    doc_purpose = "draw the execution tree with Graphviz"
    doc_usage = "[-o FILE] [--all] [--depth N] [blueprint=NAME]"
    doc_description = """Without -o the text of the graph goes to standard output.

A large tree is cut at its forks, and says what is left out. Nothing is built."""
    cmd_options = (
        text_option(
            "output",
            "FILE",
            "write to a file: .dot or .gv for the text; .svg, .png or .pdf need Graphviz's `dot`",
            short="o",
        ),
        *DETAIL,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the text, or write the file."""
        detail = self.detail(options)
        path = Path(options["output"]) if options["output"] else None
        if path is not None:
            _check(path)
        root, space, tree = workspace().root, workspace().space, workspace().tree
        text = dot_tree(space, tree, root / "templates", detail).encode("utf-8", "backslashreplace")
        if path is None:
            sys.stdout.buffer.write(text)
            return DONE
        _write(path, text if path.suffix in _TEXTS else _picture(text, path.suffix[1:]))
        print(f"written: {path}")
        return DONE


def _check(path: Path) -> None:
    """Raise WorkspaceError or ToolError for a file that could not be made, before any work."""
    if path.suffix not in (*_TEXTS, *_PICTURES):
        raise WorkspaceError(
            f"a graph cannot be written to a file that ends in {path.suffix!r}",
            where=Location(path=path),
            cure=f"Let its name end in {', '.join((*_TEXTS, *_PICTURES))}.",
        )
    if path.suffix in _PICTURES and shutil.which("dot") is None:
        raise ToolError(
            f"a {path.suffix} file needs Graphviz, whose command `dot` is not in PATH",
            where=Location(path=path),
            cure="Install Graphviz (Debian: apt install graphviz), or write the text: -o FILE.dot",
        )


def _picture(text: bytes, kind: str) -> bytes:
    """What Graphviz makes of the text. Raises ToolError."""
    done = subprocess.run(["dot", f"-T{kind}"], input=text, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise ToolError(
            f"Graphviz's `dot` failed: {said.splitlines()[0]}",
            cure="Look at the text: -o FILE.dot; a smaller graph: --depth N.",
        )
    return done.stdout


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise WorkspaceError(
            f"cannot be written: {error.strerror}", where=Location(path=path), cure="Name another file."
        ) from error
