"""`doit gc`: frees what no current build and no recent run needs in the store."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine import gc, roots
from finnmake.engine.folders import remove_tree
from finnmake.engine.gc_contents import size_of
from finnmake.engine.store import Store
from finnmake.engine.temporary import default_root
from finnmake.errors import BlueprintError, Location, WorkspaceError
from finnmake.exploration.configs import find_config, is_config_id
from finnmake.settings import read_size
from finnmake.tasks.amounts import Patience
from finnmake.tasks.command import DONE, FAILED, HELP, JSON, SpaceCommand, flag, text_option
from finnmake.tasks.gc_text import gc_text
from finnmake.tasks.workspace import Workspace, workspace

_DAY = 86400.0


@dataclass(frozen=True)
class _Asked:
    """What the options say."""

    days: float
    size: int | None
    everything: bool
    builds: bool
    dry_run: bool


class Gc(SpaceCommand):
    """The command."""

    name = "gc"
    doc_purpose = "free what no current build and no recent run needs in the store"
    doc_usage = "[--days N] [--size SIZE [--all]] [--builds] [--dry-run] [--json] | --forget PATH"
    doc_description = """Kept is what the builds of all projects that use the store need, as their manifests
tell, and what was made or used in the last 30 days. With --size, more of it goes until the store is as small,
the least recently used first; what current builds need goes only with --all. Outputs stay where they are.

Nothing is taken away from a run: while one goes on, this ends at once and says which.

Exit code 0: done. 1: something could not be removed. 3: the store is in use, or an option is wrong."""
    cmd_options = (
        text_option("days", "N", "keep what was used in the last N days", default="30"),
        text_option("size", "SIZE", "let the store hold no more than this, as 10G or 500M"),
        flag("all", "with --size, remove even what current builds need"),
        flag("builds", "remove the folders of configurations that the blueprint no longer has, too"),
        text_option(
            "forget", "PATH", "forget a project of another machine, or on a disk that is not mounted"
        ),
        flag("dry-run", "say what would be removed, and remove nothing"),
        JSON,
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Clean up and tell; gives 1 where something could not be removed."""
        ws = workspace()
        if options["forget"]:
            return _forget(options["forget"])
        asked = self._asked(options)
        told = _clean(ws, asked, Patience("gc"))
        if options["json"]:
            print(json.dumps(told, indent=2))
        else:
            sys.stdout.write(gc_text(told, asked.size))
        return FAILED if told["errors"] else DONE

    def _asked(self, options: Mapping[str, Any]) -> _Asked:
        days, size = str(options["days"]), str(options["size"])
        if not re.fullmatch(r"\d{1,6}(\.\d+)?", days):
            raise self._wrong(f"option --days takes a number of days, not {days!r}")
        try:
            limit = read_size(size) if size else None
        except ValueError as error:
            raise self._wrong(f"option --size takes a size as 10G or 500M, not {size!r}") from error
        if options["all"] and limit is None:
            raise self._wrong("option --all takes the option --size with it")
        return _Asked(float(days), limit, options["all"], options["builds"], options["dry_run"])


def _forget(path: str) -> int:
    """Remove the notes of a project. Raises WorkspaceError where there is none."""
    root = default_root()
    with _opened(root, alone=False) as store:
        found = [place for place, noted in roots.noted(store) if path in (str(place), noted and noted.path)]
        if not found:
            raise WorkspaceError(
                f"no project {path!r} is noted in the store",
                where=Location(path=root),
                cure="`doit gc --dry-run --json` lists them under `projects`.",
            )
        for place in found:
            place.unlink(missing_ok=True)
    print(f"forgotten: {path}")
    return DONE


def _clean(ws: Workspace, asked: _Asked, patience: Patience) -> dict[str, Any]:
    """Clean up, or see what there is to do; gives what to tell. Raises FinnmakeError."""
    gone: Sequence[Path] = _not_in_blueprint(ws, asked.days) if asked.builds else ()
    freed = sum(size_of(path) for path in gone)
    if gone and not asked.dry_run:
        ws.lock()
    with _opened(default_root(), alone=not asked.dry_run) as store:
        errors: list[OSError] = []
        if not asked.dry_run:
            errors = _remove(gone)
        wish = gc.Wish(asked.days, asked.size, asked.everything, frozenset(gone))
        found = gc.plan(store, ws.root, wish, patience.told)
        if not asked.dry_run:
            errors += gc.carry_out(store, found, patience.told)
    return {
        "store": str(store.root),
        "dry_run": asked.dry_run,
        "builds": [path.relative_to(ws.root).as_posix() for path in gone],
        "removed": {
            "results": len(found.traces),
            "blobs": len(found.blobs),
            "folders": len(found.work),
            "broken": len(found.broken),
            **{name: len(paths) for name, paths in found.left.items()},
        },
        "freed_bytes": freed + found.frees,
        "kept": {
            "needed": found.needed,
            "recent": found.recent,
            "builds": found.builds,
            "bytes": found.holds,
        },
        "projects": {
            "here": sorted(map(str, found.projects.here)),
            "gone": sorted(found.projects.gone.values()),
            "unsure": sorted(path for path, _ in found.projects.unsure.values()),
        },
        "unreadable": [str(path) for path in found.unreadable],
        "errors": [f"{error.filename}: {error.strerror}" for error in errors],
    }


def _remove(paths: Sequence[Path]) -> list[OSError]:
    """Remove what lies in builds/; gives what stayed."""
    for path in paths:
        remove_tree(path)
    return [OSError(0, "it cannot be removed", str(path)) for path in paths if path.exists()]


def _opened(root: Path, alone: bool) -> closing[Store]:
    """The store, for a `with`. Raises StoreError, and WorkspaceError where there is none."""
    if not (root / "VERSION").exists():
        raise WorkspaceError(
            "there is no store yet", where=Location(path=root), cure="Build something, or set FINNMAKE_STORE."
        )
    return closing(Store(root).open_to_clean(alone))


def _not_in_blueprint(ws: Workspace, days: float) -> list[Path]:
    """Folders of configurations that the blueprint no longer has, and old files of its former segments."""
    if not ws.folder.is_dir():
        return []
    found = [path for path in sorted(ws.folder.iterdir()) if is_config_id(path.name) and path.is_dir()]
    segments = {segment.id for segment in ws.tree.segments}
    old = time.time() - days * _DAY
    return [
        *(path for path in found if not _has(ws, path.name)),
        *(
            path
            for path in sorted((ws.folder / "segments").glob("*.json"))
            if path.stem not in segments and path.stat().st_mtime < old
        ),
    ]


def _has(ws: Workspace, config_id: str) -> bool:
    try:
        find_config(ws.space, config_id)
    except BlueprintError:
        return False
    return True
