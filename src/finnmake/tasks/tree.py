"""`doit tree`: the execution tree of the design space, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from finnmake.exploration.pictures import ascii_tree
from finnmake.tasks.command import DETAIL, DONE, HELP, SpaceCommand, ascii_only, columns, flag
from finnmake.tasks.workspace import workspace


class Tree(SpaceCommand):
    """The command."""

    name = "tree"
    doc_purpose = "show the execution tree: which steps the configurations share"
    doc_usage = "[--all] [--depth N] [--ascii] [blueprint=NAME]"
    doc_description = """A segment is a run of steps without a branch: all configurations below it share them.

A large tree is cut at its forks, and says what is left out. Nothing is built."""
    cmd_options = (
        *DETAIL,
        flag("ascii", "draw with ASCII characters only, as is done where the terminal knows no others"),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the tree."""
        detail = self.detail(options)
        space, tree = workspace().space, workspace().tree
        plain = options["ascii"] or ascii_only()
        sys.stdout.write(ascii_tree(space, tree, width=columns(), detail=detail, ascii_only=plain))
        return DONE
