"""The benchmarks of finnmake, each beside its peer in the same run: `./doitw bench [--runs N] [--write]`."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from container import CONTAINER, container
from measure import (
    REPOSITORY,
    SWEEP,
    Cost,
    Row,
    alternate,
    finnmake,
    machine,
    median,
    project_in,
    run,
    scratch,
    sweep_blueprint,
)

RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"


def main() -> int:
    """Run the benchmarks that were asked for and print the table."""
    parser = argparse.ArgumentParser(prog="./doitw bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default 5)")
    parser.add_argument("--only", choices=sorted([*BENCHMARKS, CONTAINER]), help="one benchmark alone")
    parser.add_argument("--base", help="what the image of the container benchmark starts from, by name")
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/RESULTS.md")
    asked = parser.parse_args()
    if asked.runs < 1 or (asked.write and asked.only):
        parser.error("--runs is at least 1, and --write takes all benchmarks")
    rows = []
    for name, benchmark in BENCHMARKS.items():
        if asked.only in (None, name):
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += benchmark(asked.runs)
    table = "\n".join(_lines(rows)) if rows else ""
    told = ""
    if asked.only in (None, CONTAINER):
        print(f"{CONTAINER} …", file=sys.stderr, flush=True)
        words, contained = container(asked.runs, asked.base)
        told = "\n\n".join([words, *(["\n".join(_lines(contained))] if contained else [])])
    print("\n\n".join(filter(None, [table, told])))
    if asked.write:
        RESULTS.write_text(_document(asked.runs, table, told))
    return 0


def _lines(rows: list[Row]) -> Iterator[str]:
    yield "| measured | finnmake | peer | ratio | goal | met |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        yield (
            f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.goal} "
            f"| {'yes' if row.met else 'no'} |"
        )


def _document(runs: int, table: str, container_told: str) -> str:
    return f"""# Benchmark results

Command: `./doitw bench --runs {runs} --write`. Machine: {machine()}.

Medians of {runs} runs; finnmake and its peer are measured in turn, in the same run of the script. The peer
"FINN's builder" is `build_dataflow_cfg` of the same finn-plus, with the same model, fields and steps, in a
fresh process (`benchmarks/peer_finn.py`); the 24 runs of the sweep's peer are each made once. The network is
`models/digits_mlp_w2a2.onnx`.

{table}

## In the container

{container_told}
"""


# ways to build


def finn(project: Path, output: Path, flags: Mapping[str, Any], model: str = "digits_mlp_w2a2.onnx") -> Cost:
    """FINN's own builder in a process of its own."""
    wanted = {"model": str(project / "models" / model), "output_dir": str(output), "flags": dict(flags)}
    return run([sys.executable, str(REPOSITORY / "benchmarks" / "peer_finn.py"), json.dumps(wanted)], project)


def configuration(project: Path, store: Path, name: str, config: str) -> dict[str, Any]:
    """The flags of a configuration that was built, with its steps, for FINN."""
    built = json.loads((project / "builds" / name / config / "config.json").read_text())
    return {**built["config_flags"], "steps": list(built["build_steps"])}


# the benchmarks


def cold(runs: int) -> list[Row]:
    """One build from an empty store against FINN in a fresh process."""
    with scratch() as folder:
        project = project_in(folder)
        numbers = itertools.count()
        finnmake(project, folder / "first", "build:config_001")
        flags = configuration(project, folder, "digits", "config_001")

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
        flags = configuration(project, folder, "digits", "config_001")
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
        steps = configuration(project, folder, "sweep", "config_001")["steps"]
        points = [dict(zip(SWEEP, point, strict=True)) for point in itertools.product(*SWEEP.values())]
        flags = [{**point, "steps": steps, "generate_outputs": ["estimate_reports"]} for point in points]
        one = sum(finn(project, folder / f"one{number}", each).wall for number, each in enumerate(flags))
        two = _two_at_once(project, folder, flags)
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


def _two_at_once(project: Path, folder: Path, flags: list[dict[str, Any]]) -> float:
    from concurrent.futures import ThreadPoolExecutor

    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: finn(project, folder / f"two{item[0]}", item[1]), enumerate(flags)))
    return time.monotonic() - started


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
            bare = _bare_doit(peer_folder, _tasks(project, store, asked))
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


def _tasks(project: Path, store: Path, asked: str) -> int:
    """How many tasks doit looks at for what was asked."""
    listed = subprocess.run(
        [sys.executable, "-m", "finnmake", "list", "--all", "--deps", "-q"],
        cwd=project,
        env={"FINNMAKE_STORE": str(store), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.strip() for line in listed.stdout.splitlines() if ":" in line and not line.startswith(" ")]
    wanted = asked.partition(":")[2]
    return len([name for name in names if not wanted or wanted in name or name.startswith("segment:")])


def _bare_doit(folder: Path, tasks: int) -> Callable[[], Cost]:
    """doit on a dodo.py of trivial tasks, each with a file dependency and a target."""
    folder.mkdir()
    (folder / "input").write_text("input")
    (folder / "dodo.py").write_text(
        "from pathlib import Path\n"
        "def write(target):\n"
        "    Path(target).write_text('output')\n"
        "def task_trivial():\n"
        f"    for number in range({tasks}):\n"
        "        target = f'target{number}'\n"
        "        yield {'name': str(number), 'file_dep': ['input'], 'targets': [target],\n"
        "               'actions': [(write, [target])]}\n"
    )
    return lambda: run([sys.executable, "-m", "doit"], folder)


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

if __name__ == "__main__":
    sys.exit(main())
