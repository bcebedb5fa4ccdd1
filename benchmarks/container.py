"""The container runtime beside `local`, and beside a container for each build.

The image is one of its own, made in a scratch project and removed in the end, so that no other is touched.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measure import (
    REPOSITORY,
    Cost,
    Row,
    alternate,
    finnmake,
    project_in,
    scratch,
    sweep_blueprint,
    until,
)
from peer_container import container_each, run_command

from finnmake.engine import image_files
from finnmake.engine.runtime import image_lock, images
from finnmake.engine.runtime.client import Engine, connect, errors, find_engine, find_image
from finnmake.errors import ContainerError
from finnmake.settings import read_settings

#: The name of this benchmark.
CONTAINER = "container"

#: What an image is made from, besides the parts of every project, and what plain `doit` in it runs.
_SOURCES = ("Dockerfile", "docker", "requirements.lock", "src")

#: The line of a step that ran.
_STEP = r"^segment:\S+ +\S+ +\d+\.\d\d s$"

_SWEEP = ("-n", "2", "-P", "thread", "build")

_LOCAL, _BWRAP = "local", "bwrap"

_WORDS = """
The peer `local` is finnmake in the same project without a container, measured in turn with it. Image and
page cache are warm; stores are empty, except for null builds. The last peer is `podman run` or `docker run`
of the same image for each configuration, in which plain `doit build:config_…` runs, all on one store; it and
the image are measured once."""


def container(runs: int, base: str | None) -> tuple[str, list[Row]]:
    """What was measured with, in words, and the rows; no rows, and why, where there is no engine.

    Args:
        runs: of each measurement but those of the image and of the peer, which are made once.
        base: what the image starts from; None for the project's setting.
    """
    try:
        engine = find_engine()
    except ContainerError as error:
        return f"Not measured: {error.message}.", []
    with scratch() as folder:
        project = _project(folder, base)
        bench = _Bench(engine, folder, project)
        try:
            rows = [*bench.image(), *bench.starts(runs), *bench.builds(runs), *bench.peers()]
        finally:
            bench.remove_image()
        return f"{bench.words()}\n{_WORDS}", rows


def _project(folder: Path, base: str | None) -> Path:
    """A project whose image is no other project's."""
    project = project_in(folder)
    for name in _SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, project / name)
    with open(project / image_files.TEMPLATES / "Dockerfile.j2", "a") as template:
        template.write("# For a benchmark.\n")
    if base is not None:
        with open(project / "pyproject.toml", "a") as settings:
            settings.write(f'\n[tool.finnmake.container]\nbase = "{base}"\n')
    image_files.write(project, read_settings(project))
    return project


def _bwrap_works() -> bool:
    program = shutil.which("bwrap")
    trial = ("--ro-bind", "/", "/", "--unshare-all", "true")
    return program is not None and subprocess.run([program, *trial], capture_output=True).returncode == 0


class _Bench:
    """The measurements on one engine; `project` is the one whose image is made."""

    def __init__(self, engine: Engine, folder: Path, project: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._project = project
        self._numbers = itertools.count()
        self._runtimes = [_LOCAL, CONTAINER, *([_BWRAP] if _bwrap_works() else [])]

    def words(self) -> str:
        """The engine and the base in a sentence."""
        base = read_settings(self._project).container.base.partition("@")[0]
        return f"Engine: {self._engine.kind} {self._engine.version}; the image starts from `{base}`."

    # the image

    def image(self) -> list[Row]:
        """Making the image, its size, and moving it as a file."""
        archive = self._folder / "image.tar"
        fresh, cached = (self._image("--update", *more) for more in (["--no-cache"], []))
        size = (find_image(self._engine, self._tag()) or {}).get("Size", 0) / 1e9
        exported = self._image("--export", str(archive))
        megabytes = archive.stat().st_size / 1e6
        self.remove_image()
        imported = self._image("--import", str(archive))
        archive.unlink()
        return [
            _alone("making the image, nothing cached", f"{fresh:.0f} s"),
            _alone("making the image, everything cached, and looking into it", f"{cached:.1f} s"),
            Row("size of the image", f"{size:.2f} GB", "", "", "under 1.3 GB", 0 < size < 1.3),
            _alone(f"writing the image to a file ({megabytes:.0f} MB)", f"{exported:.1f} s"),
            _alone("loading it from the file", f"{imported:.1f} s"),
        ]

    def _image(self, *arguments: str) -> float:
        return finnmake(self._project, self._store(), "image", *arguments).wall

    def remove_image(self) -> None:
        """Remove the image from the engine, if it is there."""
        name = self._tag()
        if find_image(self._engine, name) is not None:
            with errors("remove the image of the benchmark"):
                connect(self._engine).images.remove(name, force=True)

    def _tag(self) -> str:
        return images.tag(image_files.digests(self._project, read_settings(self._project)))

    # finnmake in each runtime

    def starts(self, runs: int) -> list[Row]:
        """From the start of the process to the first step, and what a worker costs."""
        projects = self._clones()
        command = [sys.executable, "-m", "finnmake", "build:config_001"]
        parts: dict[str, list[list[float]]] = {runtime: [] for runtime in self._runtimes}

        def first(runtime: str) -> Cost:
            shutil.rmtree(projects[runtime] / "builds", ignore_errors=True)
            return until(_STEP, command, projects[runtime], **self._variables(runtime))

        def worker(runtime: str) -> Cost:
            command = [sys.executable, str(REPOSITORY / "benchmarks" / "start_worker.py")]
            variables = {**os.environ, **self._variables(runtime)}
            said = subprocess.run(
                command, cwd=projects[runtime], env=variables, check=True, stdout=subprocess.PIPE
            )
            parts[runtime].append(json.loads(said.stdout))
            return Cost(0, 0, 0)

        rows = self._beside_local("from the start of the process to the first step", runs, first)
        self._measured(runs, worker)
        for runtime in self._runtimes[1:]:
            for place, part in enumerate(("starting the worker", "loading FINN in it", "ending it")):
                mine, peer = (median(each[place] for each in parts[of]) for of in (runtime, _LOCAL))
                what = f"{part}, {runtime}; peer: {_LOCAL}"
                rows.append(Row(what, f"{mine:.3f} s", f"{peer:.3f} s", f"{mine - peer:+.2f} s", "", True))
        return rows

    def builds(self, runs: int) -> list[Row]:
        """One configuration, 24 of them, and nothing to do."""
        projects = self._clones()
        stores = {runtime: self._store() for runtime in projects}

        def build(runtime: str, store: Path, *arguments: str) -> Cost:
            return finnmake(projects[runtime], store, *arguments, FINNMAKE_RUNTIME=runtime)

        def anew(runtime: str, *arguments: str) -> Cost:
            shutil.rmtree(projects[runtime] / "builds", ignore_errors=True)
            return build(runtime, self._store(), *arguments)

        one = "build:config_001"
        rows = self._beside_local("cold build of one configuration", runs, lambda each: anew(each, one))
        for runtime, store in stores.items():
            build(runtime, store, one)
        rows += self._beside_local(
            "null build of one configuration", runs, lambda each: build(each, stores[each], one), under=1.0
        )
        for project in projects.values():
            sweep_blueprint(project)
        return rows + self._beside_local(
            "sweep of 24 configurations, two cores", runs, lambda each: anew(each, *_SWEEP), ratio=1.2
        )

    def _beside_local(
        self,
        what: str,
        runs: int,
        measure: Callable[[str], Cost],
        under: float | None = None,
        ratio: float | None = None,
    ) -> list[Row]:
        """A row for every runtime but `local`, which all are compared with."""
        costs = self._measured(runs, measure)
        return [
            _row(f"{what}, {runtime}; peer: {_LOCAL}", costs[runtime].wall, costs[_LOCAL].wall, under, ratio)
            for runtime in self._runtimes[1:]
        ]

    def _measured(self, runs: int, measure: Callable[[str], Cost]) -> dict[str, Cost]:
        ways = [functools.partial(measure, runtime) for runtime in self._runtimes]
        return dict(zip(self._runtimes, alternate(runs, *ways), strict=True))

    def _variables(self, runtime: str) -> dict[str, str]:
        return {
            "FINNMAKE_STORE": str(self._store()),
            "FINNMAKE_RUNTIME": runtime,
            "FINNMAKE_WORKER_IDLE": "0",
        }

    # a container for each build

    def peers(self) -> list[Row]:
        """The sweep in one container, and with a container for each of its configurations."""
        image = image_lock.read(self._project).image
        command = run_command(self._engine)
        if image is None or command is None:
            return []
        projects = [self._clone(f"peer{number}") for number in range(2)]
        for project in projects:
            sweep_blueprint(project)
        mine = finnmake(projects[0], self._store(), *_SWEEP, FINNMAKE_RUNTIME=CONTAINER).wall
        rows = []
        for how, used in (("one after another", projects[:1]), ("two at once", projects)):
            store = self._store()
            store.mkdir()
            for project in used:
                shutil.rmtree(project / "builds", ignore_errors=True)
            peer = container_each(command, image.id, used, store, range(1, 25))
            rows.append(
                Row(
                    f"sweep of 24 configurations; peer: a container for each, {how}",
                    f"{mine:.2f} s",
                    f"{peer:.1f} s",
                    f"{peer / mine:.1f} × faster",
                    "",
                    peer > mine,
                )
            )
        return rows

    # places

    def _clones(self) -> dict[str, Path]:
        """A project for each runtime."""
        number = next(self._numbers)
        return {runtime: self._clone(f"{runtime}{number}") for runtime in self._runtimes}

    def _clone(self, name: str) -> Path:
        project = self._folder / name
        shutil.copytree(self._project, project, ignore=shutil.ignore_patterns("builds"))
        return project

    def _store(self) -> Path:
        return self._folder / f"store{next(self._numbers)}"


def _alone(what: str, ours: str) -> Row:
    return Row(what, ours, "", "", "", True)


def _row(what: str, mine: float, peer: float, under: float | None = None, ratio: float | None = None) -> Row:
    """A row of seconds; the goals are a number of seconds and a ratio to the peer."""
    if under is not None:
        goal, met = f"under {under:g} s", mine < under
    elif ratio is not None:
        goal, met = f"at most {ratio:g} ×", mine <= ratio * peer
    else:
        goal, met = "", True
    digits = 3 if max(mine, peer) < 1 else 2
    return Row(what, f"{mine:.{digits}f} s", f"{peer:.{digits}f} s", f"{mine / peer:.2f} ×", goal, met)
