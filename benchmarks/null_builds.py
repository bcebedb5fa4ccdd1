"""Null builds of 100, 1,000 and 5,000 tasks: finnmake, bare doit, ninja and snakemake."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from measure import REPOSITORY, Cost, Row, alternate, finnmake, project_in, run, scratch, write_blueprint
from peers import bare_doit, bare_doit_on, dependencies

#: The other tools, pinned with hashes; installed for the benchmark alone.
_LOCK = REPOSITORY / "benchmarks" / "peers.lock"

_TASKS = (100, 1_000, 5_000)

#: finnmake's share of bare doit's time that a null build may take, at 1,000 tasks.
_GOAL = 1.5

#: Tasks that a configuration has at least.
_EACH = 8


def null_builds(runs: int) -> list[Row]:
    """Everything is up to date; each tool finds that out in a process of its own."""
    with scratch() as folder:
        tools = _install(folder / "tools")
        return [row for tasks in _TASKS for row in _of(tasks, runs, folder / str(tasks), tools)]


def _of(tasks: int, runs: int, folder: Path, tools: Path) -> list[Row]:
    ours, files = _finnmake(folder, tasks)
    count = len(files)
    peers: dict[str, Callable[[], Cost]] = {
        "bare doit": bare_doit(folder / "doit", count),
        "bare doit, the same file dependencies": bare_doit_on(files, folder / "same"),
        "ninja": _ninja(folder / "ninja", count, tools),
        "snakemake -n": _snakemake(folder / "snakemake", count, tools),
    }
    for name in peers:
        if name.startswith("bare doit"):
            peers[name]()
    mine, *others = alternate(runs, ours, *peers.values())
    return [
        Row(
            f"null build of {count:,} tasks; peer: {name} (simulated)",
            f"{mine.wall:.2f} s",
            f"{peer.wall:.2f} s",
            f"{mine.wall / peer.wall:.2f} ×",
            _goal(name, tasks),
            not _goal(name, tasks) or mine.wall <= peer.wall * (_GOAL if name == "bare doit" else 1),
        )
        for (name, peer) in zip(peers, others, strict=True)
    ]


def _goal(name: str, tasks: int) -> str:
    if name == "bare doit":
        return f"at most {_GOAL} ×" if tasks == 1_000 else ""
    return "less" if name.startswith("snakemake") else ""


def _finnmake(folder: Path, tasks: int) -> tuple[Callable[[], Cost], dict[str, list[str]]]:
    """A project whose build has about so many tasks, built; its null build, and the tasks' files."""
    project, store = project_in(folder), folder / "store"
    rates = {"from": 10_000, "to": 10_000 + 100 * (tasks // _EACH - 1), "step": 100}
    keys = {"backend": "mock", "design_space": {"config": {**_PART, "target_fps": rates}}}
    write_blueprint(project, "many", keys)
    finnmake(project, store, "-n", "2", "build")
    return functools.partial(finnmake, project, store, "build"), dependencies(project, store)


_PART = {"fpga_part": "xc7z020clg400-1"}


def _install(folder: Path) -> Path:
    """The other tools in an environment of their own; gives its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", _LOCK], check=True)
    return folder / "bin"


def _ninja(folder: Path, tasks: int, tools: Path) -> Callable[[], Cost]:
    """ninja on as many trivial tasks as `bare_doit` has, built."""
    folder.mkdir()
    (folder / "input").write_text("input")
    rule = "rule write\n  command = echo output > $out\n"
    builds = "".join(f"build target{number}: write input\n" for number in range(tasks))
    (folder / "build.ninja").write_text(rule + builds)
    command = functools.partial(run, [str(tools / "ninja"), "--quiet"], folder)
    command()
    return command


def _snakemake(folder: Path, tasks: int, tools: Path) -> Callable[[], Cost]:
    """snakemake's dry run on as many trivial tasks, whose outputs are there and newer than their input."""
    folder.mkdir()
    (folder / "input").write_text("input")
    (folder / "Snakefile").write_text(
        f"rule all:\n    input: expand('target{{number}}', number=range({tasks}))\n"
        "rule write:\n    input: 'input'\n    output: 'target{number}'\n    shell: 'echo output > {output}'\n"
    )
    for number in itertools.chain(range(tasks)):
        (folder / f"target{number}").write_text("output")
    home = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    return functools.partial(run, [str(tools / "snakemake"), "-n", "--quiet"], folder, **home)
