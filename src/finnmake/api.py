"""The Python API: what the command line does, by the same functions."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.backends import Backend, find_backend
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, Location
from finnmake.exploration.hooks import ExplorationHook
from finnmake.exploration.results import ExplorationResult
from finnmake.records import OutputStage
from finnmake.tasks.workspace import Workspace, using

if TYPE_CHECKING:
    from finnmake.runner.factory import BuildRunnerFactory


def forge(
    model: str | Path | None, blueprint: str | Path, *, project: str | Path | None = None
) -> DesignSpace:
    """The design space of a blueprint (Phase 1); only files are read, nothing is built.

    Args:
        model: the QONNX model, relative to the current folder; None for the one that the blueprint names.
        blueprint: its file, or the name of one in `blueprints/`.
        project: the folder with `pyproject.toml`, `plugins/` …; None for the nearest one above the
            blueprint, else the current folder.

    Raises:
        BlueprintError: something is wrong in the blueprint; `errors` of BlueprintErrors has them all.
        WorkspaceError: the project's settings are wrong.
    """
    root = Path(project).resolve() if project is not None else _project_of(Path(blueprint))
    chosen = None if model is None else str(Path(model).resolve())
    named = Path(blueprint).resolve()
    return Workspace(root).forge(str(named) if named.is_file() else str(blueprint), chosen)


def explore(
    space: DesignSpace,
    runner_factory: BuildRunnerFactory | str | None = None,
    hooks: Sequence[ExplorationHook] = (),
    *,
    resume: bool = True,
    workers: int = 1,
    fail_fast: bool = False,
    early_stop: bool = False,
    runtime: str | None = None,
    project: str | Path | None = None,
) -> ExplorationResult:
    """Build the configurations of a design space and rank them (Phase 2); the run of `doit explore`.

    Builds that are up to date are not made again; steps that the store has are taken from it.

    Args:
        space: from `forge`.
        runner_factory: from `create_build_runner_factory`, or a backend's name; None for the blueprint's own.
        hooks: told what happens.
        resume: go on from earlier runs; if not, all outputs are made again, from the store where it has them.
        workers: builds at once, from 1 on.
        fail_fast: stop at the first failure, also where the blueprint does not say so.
        early_stop: make estimates first and build no further what they rule out, likewise.
        runtime: `local`, `container`, `bwrap` or `auto`; None for the project's setting.
        project: as for `forge`.

    Raises:
        FinnmakeError: what keeps the exploration from starting. Builds that fail are in the result.
        ValueError: `workers` is no number of builds.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}: at least one build at once")
    from finnmake.tasks import generators
    from finnmake.tasks.explore import run_command
    from finnmake.tasks.loader import ApiLoader

    root = Path(project).resolve() if project is not None else _project_of(space.path)
    if isinstance(runner_factory, str):
        space = _on(space, find_backend(runner_factory))
    elif runner_factory is not None:
        space = _on(space, runner_factory.backend)
    with using(Workspace(root, space=space, runtime=runtime, hooks=hooks)) as ws:
        flags = {"fail_fast": fail_fast, "early_stop": early_stop, "restart": not resume}
        run_command(ApiLoader(generators), workers, flags)
        assert ws.exploration is not None
        return ws.exploration


def _on(space: DesignSpace, backend: Backend) -> DesignSpace:
    """The same space for another backend. Raises BlueprintError where that does not go as far."""
    stage = OutputStage(space.global_config["output_stage"])
    if stage not in backend.output_stages:
        raise BlueprintError(
            f"the backend {backend.name} does not go as far as {stage.value}",
            where=space.lines.get("output_stage") or Location(space.path),
            cure=f"It reaches {', '.join(each.value for each in backend.output_stages)}.",
        )
    return dataclasses.replace(space, backend=backend.name)


def _project_of(blueprint: Path) -> Path:
    """The nearest folder above the blueprint whose pyproject.toml is a project's of finnmake."""
    folders = blueprint.resolve().parents if blueprint.exists() else ()
    return next((each for each in folders if _is_project(each)), Path.cwd())


def _is_project(folder: Path) -> bool:
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text())
    except (OSError, ValueError):
        return False
    return "finnmake" in settings.get("tool", {})
