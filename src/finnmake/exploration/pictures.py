"""Pictures of an execution tree: for a terminal, and as Graphviz text."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import Location, WorkspaceError
from finnmake.exploration.drawing import Detail, Drawing, Node, printable
from finnmake.exploration.tree import ExecutionTree
from finnmake.templating import environment

#: The template of `dot_tree`, in the project's folder of templates.
TEMPLATE = "tree.dot.j2"

#: Columns of one level of the tree in a terminal, and those that must be left for what a node says.
_INDENT, _NARROWEST = 4, 40


def ascii_tree(
    space: DesignSpace,
    tree: ExecutionTree,
    *,
    width: int,
    detail: Detail | None = None,
    ascii_only: bool = False,
) -> str:
    """The tree for a terminal, with its sizes below it; ends with a line break.

    Args:
        space: the design space.
        tree: of its selected configurations.
        width: columns; longer lines are folded.
        detail: how much is drawn.
        ascii_only: for terminals that know no other characters.
    """
    drawing = Drawing(tree, detail or Detail())
    root = drawing.root(space)
    picture = _render(root, max(width, _INDENT * drawing.levels + _NARROWEST), ascii_only)
    return "\n".join([picture, *(textwrap.fill(line, width) for line in drawing.sizes()), ""])


def dot_tree(space: DesignSpace, tree: ExecutionTree, templates: Path, detail: Detail | None = None) -> str:
    """The tree as the text of a Graphviz graph, from left to right.

    Args:
        space: the design space.
        tree: of its selected configurations.
        templates: the project's folder of templates, with `tree.dot.j2`.
        detail: how much is drawn.

    Raises:
        WorkspaceError: the template is missing or has an error.
    """
    import jinja2

    pictures = environment(templates, autoescape=True)  # labels are what Graphviz calls HTML-like
    pictures.filters["label"] = _label
    drawing = Drawing(tree, detail or Detail())
    nodes = list(drawing.root(space).walk())
    try:
        template = pictures.get_template(TEMPLATE)
        return template.render(name=printable(space.name), nodes=nodes, sizes=drawing.sizes())
    except jinja2.TemplateError as error:
        where = Location(templates / TEMPLATE, line=getattr(error, "lineno", None))
        raise WorkspaceError(
            f"the template of the graph cannot be used ({error.message})",
            where=where,
            cure="Mend it, or restore it from version control.",
        ) from error


def _label(text: str) -> str:
    r"""A text for a label, in which Graphviz would replace `\N` and its like by names of its own."""
    return text.replace("\\", "\\\\")


def _render(root: Node, width: int, ascii_only: bool) -> str:
    """The nodes with guide lines; which characters those are made of, `rich` takes from the stream."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def label(node: Node) -> Text:
        text = "\n".join((node.title, *(f"  {line}" for line in node.lines)))
        return Text(text.replace("…", "...") if ascii_only else text, overflow="fold")

    encoding = "ascii" if ascii_only else "utf-8"
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding, errors="backslashreplace", newline="\n")
    drawn = {root.key: Tree(label(root))}
    for node in root.walk():
        for child in node.children:
            drawn[child.key] = drawn[node.key].add(label(child))
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(drawn[root.key])
    stream.flush()
    lines = buffer.getvalue().decode(encoding).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)  # folded lines keep the space they were folded at
