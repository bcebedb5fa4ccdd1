"""Builds, null builds and loading: finnmake beside FINN's own builder and beside bare doit."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable

from measure import (
    REPOSITORY,
    SWEEP,
    Cost,
    Row,
    alternate,
    finnmake,
    median,
    project_in,
    run,
    scratch,
    sweep_blueprint,
)
from peers import bare_doit, configuration, finn, tasks_of, two_at_once

WORDS = """
The peer "FINN's builder" is `build_dataflow_cfg` of the same finn-plus, with the same model, fields and
steps, in a fresh process (`benchmarks/peer_finn.py`); the 24 runs of the sweep's peer are each made once. The
network is `models/digits_mlp_w2a2.onnx`."""


def cold(runs: int) -> list[Row]:
    """One build from an empty store against FINN in a fresh process."""
    with scratch() as folder:
        project = project_in(folder)
        numbers = itertools.count()
        finnmake(project, folder / "first", "build:config_001")
        flags = configuration(project, "digits", "config_001")

        def ours() -> Cost:
            shutil.rmtree(project / "builds")
            return finnmake(project, folder / f"store{next(numbers)}", "build:config_001")

        mine, peer = alternate(runs, ours, lambda: finn(project, folder / f"finn{next(numbers)}", flags))
    ratio = mine.wall / peer.wall
    return [
        Row(
            "cold build of one configuration; peer: FINN's builder, fresh process",
            f"{mine.wall:.2f} s",
            f"{peer.wall:.2f} s",
            f"{ratio:.2f} ×",
            "at most 1.1 ×",
            ratio <= 1.1,
        ),
        Row(
            "peak memory of the doit process in that build",
            f"{mine.peak_mb:.0f} MB",
            f"{peer.peak_mb:.0f} MB",
            "",
            "under 120 MB",
            mine.peak_mb < 120,
        ),
    ]


def later(runs: int) -> list[Row]:
    """The second and later configurations of a run, every step missing, against FINN in fresh processes."""
    with scratch() as folder:
        project = project_in(folder)
        finnmake(project, folder / "first", "build:config_001")
        flags = configuration(project, "digits", "config_001")
        script = str(REPOSITORY / "benchmarks" / "later_builds.py")
        command = [sys.executable, script, str(runs + 1), str(folder / "store")]
        seconds = json.loads(
            subprocess.run(command, cwd=project, check=True, capture_output=True).stdout.splitlines()[-1]
        )
        peer = median([finn(project, folder / f"finn{number}", flags) for number in range(runs)])
        mine = median([Cost(each, 0, 0) for each in seconds[1:]])
    ratio = mine.wall / peer.wall
    return [
        Row(
            "second and later configuration of a run, all steps missing; peer: FINN's builder, fresh process",
            f"{mine.wall:.2f} s",
            f"{peer.wall:.2f} s",
            f"{ratio:.2f} ×",
            "at most 0.4 ×",
            ratio <= 0.4,
        )
    ]


def sweep(runs: int) -> list[Row]:
    """24 configurations from an empty store, against 24 runs of FINN's builder."""
    with scratch() as folder:
        project = project_in(folder)
        sweep_blueprint(project)
        numbers = itertools.count()

        def ours() -> Cost:
            shutil.rmtree(project / "builds", ignore_errors=True)
            return finnmake(project, folder / f"store{next(numbers)}", "-n", "2", "-P", "thread", "build")

        mine = median([ours() for _ in range(runs)])
        steps = configuration(project, "sweep", "config_001")["steps"]
        points = [dict(zip(SWEEP, point, strict=True)) for point in itertools.product(*SWEEP.values())]
        flags = [{**point, "steps": steps, "generate_outputs": ["estimate_reports"]} for point in points]
        one = sum(finn(project, folder / f"one{number}", each).wall for number, each in enumerate(flags))
        two = two_at_once(project, folder / "two", flags)
    return [
        Row(
            f"sweep of 24 configurations, two cores; peer: 24 runs of FINN's builder, {how}",
            f"{mine.wall:.2f} s",
            f"{peer:.1f} s",
            f"{peer / mine.wall:.1f} × faster",
            goal,
            met,
        )
        for how, peer, goal, met in (
            ("one after another", one, "at least 15 × faster", one / mine.wall >= 15),
            ("two at once", two, "", two > mine.wall),
        )
    ]


def null(runs: int) -> list[Row]:
    """Nothing to do, for one and for 24 configurations, against bare doit with as many trivial tasks."""
    rows = []
    with scratch() as folder:
        project = project_in(folder)
        sweep_blueprint(project)
        store = folder / "store"
        finnmake(project, store, "build")
        for asked, count in (("build:config_001", 1), ("build", 24)):
            peer_folder = folder / f"doit{count}"
            bare = bare_doit(peer_folder, tasks_of(project, store, asked))
            bare()
            mine, peer = alternate(runs, lambda asked=asked: finnmake(project, store, asked), bare)
            ratio = mine.wall / peer.wall
            rows.append(
                Row(
                    f"null build of {count}; peer: bare doit, as many trivial tasks",
                    f"{mine.wall:.3f} s",
                    f"{peer.wall:.3f} s",
                    f"{ratio:.2f} ×",
                    "at most 2 ×",
                    ratio <= 2,
                )
            )
    return rows


def load(runs: int) -> list[Row]:
    """CPU time of importing finnmake and loading dodo.py, against doit's own import."""
    with scratch() as folder:
        project = project_in(folder)
        load_all = "import finnmake, dodo; [list(f()) for n, f in vars(dodo).items() if n[:5] == 'task_']"
        ours = ["-c", "import sys; sys.path.insert(0, '.'); " + load_all]
        peer = ["-c", "import doit.doit_cmd"]
        mine, bare = alternate(
            runs,
            lambda: run([sys.executable, *ours], project, FINNMAKE_STORE=str(folder / "store")),
            lambda: run([sys.executable, *peer], project),
        )
    return [
        Row(
            "CPU time of `import finnmake` and loading dodo.py, 8 configurations; peer: `import doit` alone",
            f"{mine.cpu:.3f} s",
            f"{bare.cpu:.3f} s",
            f"{mine.cpu / bare.cpu:.2f} ×",
            "under 0.25 s",
            mine.cpu < 0.25,
        )
    ]


BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "cold": cold,
    "later": later,
    "sweep": sweep,
    "null": null,
    "load": load,
}
