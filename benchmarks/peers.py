"""What finnmake is measured against: FINN's own builder, and bare doit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import REPOSITORY, Cost, run

Flags = Mapping[str, Any]


def finn(project: Path, output: Path, flags: Flags, model: str = "digits_mlp_w2a2.onnx") -> Cost:
    """FINN's own builder in a process of its own; see peer_finn.py for steps that are not FINN's."""
    wanted = {"model": str(project / "models" / model), "output_dir": str(output), "flags": dict(flags)}
    return run([sys.executable, str(REPOSITORY / "benchmarks" / "peer_finn.py"), json.dumps(wanted)], project)


def two_at_once(project: Path, output: Path, flags: Sequence[Flags]) -> float:
    """Seconds for a run of FINN's builder for each of these, two at a time; `output` is numbered."""
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: finn(project, Path(f"{output}{item[0]}"), item[1]), enumerate(flags)))
    return time.monotonic() - started


def configuration(project: Path, name: str, config: str) -> dict[str, Any]:
    """The flags of a configuration that was built, with its steps, for FINN."""
    built = json.loads((project / "builds" / name / config / "config.json").read_text())
    return {**built["config_flags"], "steps": list(built["build_steps"])}


def bare_doit(folder: Path, tasks: int) -> Callable[..., Cost]:
    """doit on a dodo.py of trivial tasks, each with a file dependency and a target; takes its arguments."""
    measured = _bare_doit(folder, f"[['input']] * {tasks}")
    (folder / "input").write_text("input")
    return measured


def bare_doit_on(files: Mapping[str, Sequence[str]], folder: Path) -> Callable[..., Cost]:
    """doit on a dodo.py of trivial tasks with these file dependencies and a target each."""
    measured = _bare_doit(folder, "json.loads(Path('files.json').read_text())")
    (folder / "files.json").write_text(json.dumps(list(files.values())))
    return measured


def _bare_doit(folder: Path, files: str) -> Callable[..., Cost]:
    """doit in a new folder; `files` is the expression that gives each task's file dependencies."""
    folder.mkdir()
    (folder / "dodo.py").write_text(
        "import json\n"
        "from pathlib import Path\n"
        "def write(target):\n"
        "    Path(target).write_text('output')\n"
        "def task_trivial():\n"
        f"    for number, files in enumerate({files}):\n"
        "        target = f'target{number}'\n"
        "        yield {'name': str(number), 'file_dep': files, 'targets': [target],\n"
        "               'actions': [(write, [target])]}\n"
    )
    return lambda *arguments: run([sys.executable, "-m", "doit", *arguments], folder)


def tasks_of(project: Path, store: Path, asked: str) -> int:
    """How many of finnmake's tasks doit looks at for what is asked."""
    wanted = asked.partition(":")[2]
    names = dependencies(project, store)
    return len([name for name in names if not wanted or wanted in name or name.startswith("segment:")])


def dependencies(project: Path, store: Path) -> dict[str, list[str]]:
    """The file dependencies of each of finnmake's tasks that has some, by the task's name."""
    listed = subprocess.run(
        [sys.executable, "-m", "finnmake", "list", "--all", "--deps", "-q"],
        cwd=project,
        env={"FINNMAKE_STORE": str(store), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = {}
    name = ""
    for line in listed.stdout.splitlines():
        if line.startswith(" -  "):
            found[name].append(line.removeprefix(" -  "))
        elif ":" in line:
            name = line.strip()
            found[name] = []
    return found
