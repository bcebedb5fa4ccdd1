"""`doit diff`: two finished builds beside each other, of one blueprint, of two, or of two clones."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finnmake.engine.explain_store import StoreView
from finnmake.engine.temporary import default_root
from finnmake.errors import WorkspaceError
from finnmake.exploration.configs import find_config
from finnmake.tasks.command import DONE, FAILED, HELP, JSON, ascii_only, flag
from finnmake.tasks.diff_sides import Side, Sides, compare
from finnmake.tasks.diff_text import diff_text
from finnmake.tasks.question import AskingCommand
from finnmake.tasks.workspace import workspace


class Diff(AskingCommand):
    """The command."""

    name = "diff"
    doc_purpose = "two builds side by side: inputs, steps, figures, layers"
    doc_usage = "LEFT RIGHT [--all] [--json] [blueprint=NAME]"
    doc_description = """LEFT and RIGHT are configurations of the blueprint, or folders or manifests:
config_001, builds/digits_cnn/config_002, ../other/builds/digits/config_001/manifest.json.

What is compared is what was built, up to date or not. Exit code 0: they are the same. 1: they differ.

Nothing is built and nothing changes."""
    cmd_options = (
        flag("all", "figures and layers that are the same too, and nothing left out"),
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print what differs; gives 1 where anything does. Raises WorkspaceError, BlueprintError."""
        if len(self.asked) != 2:
            raise WorkspaceError(
                f"doit diff: it takes two builds, not {len(self.asked)}",
                cure="Try: doit diff config_001 config_002",
            )
        with self.quietly():
            left, right = (Side.read(each, _place(each)) for each in self.asked)
            sides = compare(left, right, StoreView(default_root()).look())
        if options["json"]:
            print(json.dumps(described(sides), indent=2))
        else:
            text = diff_text(sides, options["all"])
            sys.stdout.write(text.replace("…", "...") if ascii_only() else text)
        return DONE if sides.same else FAILED


def _place(name: str) -> Path:
    """The folder or manifest of a build: a path as it stands, else a configuration of the blueprint."""
    path = Path(name)
    if "/" in name or path.suffix == ".json":
        return path
    ws = workspace()
    return ws.root / find_config(ws.space, name.removeprefix("build:")).output_dir


def described(sides: Sides) -> dict[str, Any]:
    """The comparison as JSON values."""
    figures = [{**asdict(each), "ratio": each.ratio} for each in sides.metrics]
    layers = {
        layer: [{**asdict(each), "ratio": each.ratio} for each in row] for layer, row in sides.layers.items()
    }
    return {**asdict(sides), "metrics": figures, "layers": layers, "same": sides.same}
