"""A project in a folder of its own, and its command line: what end-to-end tests stand on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.forked import forks

if TYPE_CHECKING:
    import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

#: What a user's clone holds besides the package.
_PARTS = ("dodo.py", "pyproject.toml", "blueprints", "models", "plugins", "templates")

_STEP_LINE = re.compile(r"^(\w+:\S+) +(\S+) +\d+\.\d\d s(?: \(simulated\))?$")

#: Files of a configuration that hold times or tell how its last run went.
TIMED = ("build.log", "failure.html", "result.json")

#: `report/estimate_…` as FINN names it, for the estimate flow.
REPORTS = {
    "auto_folding_config.json",
    "estimate_layer_config_alternatives.json",
    "estimate_layer_cycles.json",
    "estimate_layer_resources.json",
    "estimate_network_performance.json",
    "op_and_param_counts.json",
}


@dataclass(frozen=True)
class Run:
    """One run of the command line: exit code, everything it printed, seconds."""

    code: int
    output: str
    seconds: float = 0.0

    @property
    def steps(self) -> list[str]:
        """The steps that ran, in order, without those that came from the store."""
        return [name for _, name in self.steps_by_task]

    @property
    def steps_by_task(self) -> list[tuple[str, str]]:
        """(task, step) of the steps that ran."""
        found = (_STEP_LINE.match(line) for line in self.output.splitlines())
        return [(match[1], match[2]) for match in found if match]


@dataclass
class Project:
    """A clone of the repository's user files, with a store.

    Attributes:
        root: the project's folder.
        store: `FINNMAKE_STORE` of its runs.
        extra: further environment variables.
        python: the Python of the environment in which it is built.
        forks: whether command lines may run in forks, see `tests.forked`.
    """

    root: Path
    store: Path
    extra: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    forks: bool = True

    @classmethod
    def clone(cls, root: Path, store: Path) -> Project:
        """A fresh project at `root`."""
        root.mkdir(parents=True)
        for part in _PARTS:
            source = REPOSITORY / part
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, root / part, ignore=ignored)
            elif source.exists():
                shutil.copy2(source, root / part)
        (root / "plugins").mkdir(exist_ok=True)
        return cls(root, store)

    # runs

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(self.root), "FINNMAKE_STORE": str(self.store), "FINNMAKE_WORKER_IDLE": "0"}
        return {**kept, **own, **self.extra}

    def enter(self, monkeypatch: pytest.MonkeyPatch, folder: Path | None = None) -> None:
        """Put this process where a program of the user's would be: its folder and variables."""
        for name in os.environ.keys() - self.environment.keys() - {"PYTEST_CURRENT_TEST"}:
            monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder or self.root)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command line, running in a process group of its own."""
        return subprocess.Popen(
            [self.python, "-m", "finnmake", *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Run:
        """The command line, to its end."""
        started = time.monotonic()
        forked = (
            forks().run(self.root, arguments, self.environment)
            if self.forks and self.python == sys.executable
            else None
        )
        code, output = forked or self._run_anew(*arguments)
        return Run(code, output, time.monotonic() - started)

    def _run_anew(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def succeed(self, *arguments: str) -> Run:
        """A run that must end well."""
        run = self.run(*arguments)
        assert run.code == 0, run.output
        return run

    def fail(self, *arguments: str) -> Run:
        """A run that must end with an error in words."""
        run = self.run(*arguments)
        assert 1 <= run.code <= 3, f"exit code {run.code}\n{run.output}"
        assert "Traceback" not in run.output, run.output
        return run

    # files

    def blueprint(
        self, name: str = "tiny", *, keys: Mapping[str, Any] | None = None, **design_space: Any
    ) -> Path:
        """Write a blueprint of one configuration, unless its fields say otherwise, and make it the default.

        `config`, `transforms` and `steps` replace those of the default; `keys` are further top-level keys.
        """
        values = {
            "name": name,
            "model": "../models/digits_mlp_w2a2.onnx",
            **(keys or {}),
            "design_space": {
                "config": {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 10000},
                **design_space,
            },
        }
        path = self.root / "blueprints" / f"{name}.yaml"
        path.write_text(json.dumps(values, indent=2))  # JSON is YAML
        settings = self.root / "pyproject.toml"
        text = settings.read_text()
        settings.write_text(re.sub(r'^blueprint = ".*"$', f'blueprint = "{name}"', text, flags=re.M))
        return path

    def plugin(self, name: str, text: str) -> Path:
        """Write a file below plugins/."""
        path = self.root / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def folder(self, name: str = "digits", config: str = "config_001") -> Path:
        """Where a configuration's outputs appear."""
        return self.root / "builds" / name / config

    def read(self, file: str, name: str = "digits", config: str = "config_001") -> Any:
        """A JSON output of a configuration."""
        return json.loads((self.folder(name, config) / file).read_text())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder: Path, without: tuple[str, ...] = TIMED) -> dict[str, str]:
    """Relative name -> SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in without
    }


def traces(store: Path) -> dict[str, set[str]]:
    """Action key -> names of its traces."""
    found: dict[str, set[str]] = {}
    for path in (store / "actions").glob("*/*/*/*.json"):
        found.setdefault(path.parents[1].name, set()).add(path.name)
    return found


def damaged_blobs(store: Path) -> Iterator[Path]:
    """Blobs that are not what their names say."""
    for path in (store / "blobs").glob("*/*"):
        if sha256(path) != path.parent.name + path.name:
            yield path
