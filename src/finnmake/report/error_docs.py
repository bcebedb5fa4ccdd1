"""docs/errors.md, made from the tables of messages and tools: `python -m finnmake.report.error_docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finnmake.backends.finn_tools import NEEDS
from finnmake.blueprint.tables import made_from
from finnmake.error_patterns import CATEGORIES, ERROR_PATTERNS
from finnmake.templating import environment

TEMPLATE = "errors.md.j2"

#: Where failures come from that no message of a tool tells.
_ORIGINS = {
    "model_load": "Also told before FINN is loaded, where the file is no whole ONNX model.",
    "preprocessing": "What a `pre_proc` transform raises, unless a message below another category is known.",
    "transform": "Also what a transform in another stage raises with a message that is not known.",
    "verification": "The backend `open_rtl` compares the simulated hardware with the model as it came; the "
    "message names the first layer that differs.",
    "memory": "Also a worker that was killed, as the kernel does where memory ran out.",
    "config": "Also all that finnmake finds in blueprints, folding files and plugins; it says file and line.",
    "postprocessing": "What a `post_proc` analysis raises is a warning: the build has succeeded. Its log is "
    "`postprocessing/<name>.log`.",
    "metrics": "A report of FINN's that is truncated or of another shape is a warning that names it; the "
    "figures that it held are `null`.",
    "timeout": "A step took longer than `timeout`, or all steps of the build longer than `search.timeout`; "
    "it was stopped with all that it had started.",
    "unknown": "The message is the tool's own; build.log has the traceback. Of a plugin, file and line are "
    "told.",
}


def values() -> dict[str, Any]:
    """Everything that the template names."""
    return {
        "categories": CATEGORIES,
        "entries": {
            name: [entry for entry in ERROR_PATTERNS if entry.category == name] for name in CATEGORIES
        },
        "origins": _ORIGINS,
        "needs": list(_needs()),
        "versions": made_from(),
    }


def render(templates: Path) -> str:
    """The page as Markdown."""
    pages = environment(templates)
    pages.filters.update(cell=_cell, code=_code)
    return pages.get_template(TEMPLATE).render(values())


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    """Text that stands in a cell as it is written."""
    return f"`{_cell(text).replace('`', chr(39))}`"


def _needs() -> Iterator[tuple[str, str, str, str, str]]:
    for step, needs in NEEDS.items():
        for need in needs:
            where = "; ".join(
                [*(["layers in HLS"] if need.for_hls else []), *([need.when.told] if need.when.told else [])]
            )
            tool = need.tool
            yield step, tool.name, ", ".join(tool.commands), ", ".join(tool.variables), where or "always"


if __name__ == "__main__":
    root = Path(__file__).parents[3]
    (root / "docs" / "errors.md").write_text(render(root / "templates"), encoding="utf-8")
