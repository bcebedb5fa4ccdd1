"""`doit export config_001`: an archive of all that went into a build, came out of it, and builds it again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from doit import get_var

from finnmake.engine.archive import pack, read_json
from finnmake.engine.paths import portable
from finnmake.engine.toolchain import SWITCHES
from finnmake.errors import FinnmakeError, Location, WorkspaceError, from_os_error
from finnmake.records import BuildConfig
from finnmake.tasks.archived import DESCRIPTION, PROJECT, Archived
from finnmake.tasks.command import DONE, HELP, NamingCommand, flag, text_option
from finnmake.tasks.export_contents import gather
from finnmake.tasks.export_lock import packages_beside
from finnmake.tasks.export_pages import SCRIPT, pages
from finnmake.tasks.export_state import records_of
from finnmake.tasks.workspace import Workspace, workspace

#: Without a word, packing takes no longer than this (seconds).
_PATIENCE = 2.0

#: Files that can be run.
_EXECUTABLE = (f"{PROJECT}/doitw", SCRIPT)


class Export(NamingCommand):
    """The command."""

    name = "export"
    doc_purpose = "write a self-contained archive of a build: inputs, outputs, and what builds it again"
    doc_usage = "CONFIGURATION [-o FILE] [--json] [blueprint=NAME]"
    doc_description = """CONFIGURATION is config_001 or build:config_001. It must be built and up to date.

The archive holds the model, the blueprint, plugins and every file of the project that a step read, the
settings, requirements.lock, finnmake itself, the outputs, and reproduce.py, which builds it all again on
another machine and compares byte for byte, as `doit reproduce` does. Equal builds give equal archives: no
times, no names of users or machines. Nothing that no step read is packed."""
    cmd_options = (
        text_option(
            "output",
            "FILE",
            "the archive [default: BLUEPRINT-CONFIGURATION.tar.gz in this folder]",
            short="o",
        ),
        flag("json", "as JSON: file, sha256, files, bytes, simulated"),
        HELP,
    )

    def show(self, options: Mapping[str, Any]) -> int:
        """Write the archive and say where. Raises FinnmakeError."""
        self.check_asked()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # no half archive stays
        ws = workspace()
        ws.asked = (self.asked.removeprefix("build:"),)
        config = ws.configs[0]
        try:
            ws.lock()  # what another run is building is not to be packed
            told = export(ws, config, options["output"])
        except OSError as error:
            raise from_os_error(error) from error
        finally:
            ws.close()
        if options["json"]:
            print(json.dumps(told, indent=2))
        else:
            mark = " (simulated)" if told["simulated"] else ""
            print(f"{told['file']}: {told['files']:,} files, {told['bytes']:,} bytes{mark}")
            print(f"sha256 {told['sha256']}")
        return DONE


def export(ws: Workspace, config: BuildConfig, output: str = "") -> dict[str, Any]:
    """Write the archive of a configuration; gives `file`, `sha256`, `files`, `bytes` and `simulated`.

    Args:
        ws: the workspace, asked about this configuration alone.
        output: the archive's file; empty for the usual name in the project's folder.

    Raises WorkspaceError where the configuration is not built, stale, or cannot be built again elsewhere.
    """
    records = records_of(ws, config)
    folder = ws.root / config.output_dir
    manifest = read_json(folder / "manifest.json")
    contents = gather(ws, config, records, manifest)
    lock = contents.files[f"{PROJECT}/requirements.lock"]
    assert isinstance(lock, Path)
    beside = packages_beside(lock, manifest["toolchain"])
    archived = _archived(ws, config, manifest, beside)
    generated = any(record["paths"] is not None for record in records.values())
    archived = replace(archived, paths=generated, placeholders=tuple(contents.placeholders))
    own = pages(ws.root / "templates", archived, manifest, read_json(folder / "metrics.json"))
    files = {**contents.files, **own, DESCRIPTION: _json(archived)}
    target = Path(output or f"{archived.name}.tar.gz").absolute()
    _check_target(target)
    digest = pack(
        target,
        archived.name,
        files,
        folders=contents.folders,
        executable=_EXECUTABLE,
        expected=contents.expected,
        say=_Progress(archived.name),
    )
    return {
        "file": os.path.relpath(target) if target.is_relative_to(Path.cwd()) else str(target),
        "sha256": digest,
        "files": len(files) + 1,  # with SHA256SUMS
        "bytes": target.stat().st_size,
        "simulated": archived.simulated,
    }


def _archived(
    ws: Workspace, config: BuildConfig, manifest: Mapping[str, Any], beside: tuple[str, ...]
) -> Archived:
    blueprint, model = portable(str(ws.space.path), str(ws.root)), get_var("model")
    mark = "-simulated" if manifest["simulated"] else ""
    switches = {name: value for name, value in manifest["toolchain"]["variables"].items() if name in SWITCHES}
    return Archived(
        name=f"{config.design_space_id}-{config.id}{mark}",
        blueprint=config.design_space_id,
        config_id=config.id,
        backend=manifest["backend"],
        simulated=manifest["simulated"],
        arguments=(f"blueprint={blueprint}", *([f"model={config.model_path}"] if model else [])),
        runtime=ws.ground.runtime.name,
        switches=switches,
        variables=_variables(ws),
        beside=beside,
    )


def _variables(ws: Workspace) -> dict[str, str]:
    """Variables for `extends` that are set, relative to the project: every blueprint used lies in it."""
    found = {name: os.environ[name] for name in ws.settings.variables if os.environ.get(name)}
    return {name: portable(value, str(ws.root)) for name, value in found.items()}


def _json(archived: Archived) -> bytes:
    return (json.dumps(archived.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _check_target(target: Path) -> None:
    if not target.parent.is_dir() or target.is_dir():
        raise _bad_target(target)


def _bad_target(target: Path) -> FinnmakeError:
    what = "this is a folder" if target.is_dir() else f"there is no folder {target.parent}"
    return WorkspaceError(what, where=Location(path=target), cure="Give the name of a file with -o.")


class _Progress:
    """Says how far it is, at ever longer intervals, where packing takes its time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._next = _PATIENCE

    def __call__(self, done: int, total: int) -> None:
        taken = time.monotonic() - self._started
        if taken >= self._next:
            self._next = 2 * taken
            sys.stderr.write(f"packing {self._name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB\n")
            sys.stderr.flush()
