"""How the benchmarks measure: wall time, CPU time and peak memory of processes, medians of several runs."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent

#: What a user's clone holds besides the package.
_PARTS = ("dodo.py", "pyproject.toml", "blueprints", "models", "plugins", "templates")

#: A sweep of 24 configurations.
SWEEP = {
    "fpga_part": ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"],
    "synth_clk_period_ns": [4.0, 5.0, 8.0, 10.0],
    "target_fps": [10000, 100000, 1000000],
}


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is finnmake's figure over the peer's, or the peer's over finnmake's."""

    what: str
    ours: str
    peer: str
    ratio: str
    goal: str
    met: bool


@dataclass(frozen=True)
class Cost:
    """What a process cost: seconds of wall and CPU time, peak resident memory of itself alone in MB.

    `said` is what a single one wrote.
    """

    wall: float
    cpu: float
    peak_mb: float
    said: str = field(default="", repr=False)


def run(command: Sequence[str], cwd: Path, **variables: str) -> Cost:
    """Run a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, peak_mb(process.pid))
            time.sleep(0.005)
        wall = time.monotonic() - started
        output.seek(0)
        said = output.read()
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{said}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak, said)


def until(line: str, command: Sequence[str], cwd: Path, **variables: str) -> Cost:
    """Run a command that must succeed; the cost is the time until it writes a line with that pattern."""
    started = time.monotonic()
    found, said = None, []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for each in process.stdout:
            said.append(each)
            if found is None and re.search(line, each):
                found = time.monotonic() - started
    if process.returncode or found is None:
        sys.exit(f"{' '.join(command)} failed, or wrote no line {line}:\n{''.join(said)}")
    return Cost(found, 0, 0)


def finnmake(project: Path, store: Path, *arguments: str, **variables: str) -> Cost:
    """finnmake's command line, without `doitw`'s own few milliseconds; its worker goes with it."""
    own = {"FINNMAKE_STORE": str(store), "FINNMAKE_WORKER_IDLE": "0", **variables}
    return run([sys.executable, "-m", "finnmake", *arguments], project, **own)


def peak_mb(pid: int) -> float:
    """VmHWM of a process in MB, as Linux counts it; 0 when the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def alternate(runs: int, *measured: Callable[[], Cost]) -> list[Cost]:
    """Medians of several ways, measured in turn so that what else the machine does meets all alike."""
    costs: list[list[Cost]] = [[] for _ in measured]
    for _ in range(runs):
        for kept, measure in zip(costs, measured, strict=True):
            kept.append(measure())
    return [median(each) for each in costs]


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder for one measurement."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


def project_in(folder: Path) -> Path:
    """A user's project, with nothing built."""
    project = folder / "project"
    project.mkdir(parents=True)
    for part in _PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, project / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, project)
    return project


def write_blueprint(project: Path, name: str, keys: Mapping[str, Any]) -> None:
    """Write a blueprint of the digits MLP and make it the default."""
    text = {"name": name, "model": "../models/digits_mlp_w2a2.onnx", **keys}
    (project / "blueprints" / f"{name}.yaml").write_text(json.dumps(text))
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace("blueprints/digits.yaml", f"blueprints/{name}.yaml"))


def sweep_blueprint(project: Path) -> None:
    """Write the blueprint of the sweep and make it the default."""
    write_blueprint(project, "sweep", {"design_space": {"config": SWEEP}})


def machine() -> str:
    """The machine in a line, without its name."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown CPU",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux, CPython {python}"
