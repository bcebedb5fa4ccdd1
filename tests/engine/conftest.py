"""A project folder with plugins, a store and an engine that knows no FINN."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.files import FileDigests
from finnmake.engine.pool import PoolSettings, WorkerPool
from finnmake.engine.realize import Engine, Flow, StepOutcome
from finnmake.engine.runtime import Places
from finnmake.engine.runtime.local import LocalRuntime
from finnmake.engine.state import StepCall
from finnmake.engine.store import DamagedBlob, Store
from finnmake.engine.toolchain import Toolchain

TOOLCHAIN = Toolchain({}, "toy")


def call(target: str, position: int, **parameters: Any) -> StepCall:
    return StepCall(target.rpartition(":")[2], "step", target, parameters, position)


@dataclass
class Bench:
    """A project with its engine; every `run` looks at the files anew, as a new process would."""

    root: Path
    store: Store
    environment: dict[str, str] = field(default_factory=dict)
    model: list[str] = field(default_factory=lambda: ["model"])
    timeout: float = 60.0
    pools: list[WorkerPool] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "plugins").mkdir(parents=True, exist_ok=True)
        self.pool = self.new_pool()
        self.renew()

    def new_pool(self, **environment: str) -> WorkerPool:
        toy = {"PYTHONPATH": str(Path(__file__).parent), **self.environment, **environment}
        places = Places(self.store.root, self.root, self.root / "plugins")
        self.pools.append(WorkerPool(PoolSettings("toy_adapter", places, toy), LocalRuntime()))
        return self.pools[-1]

    def renew(self) -> Engine:
        """The engine of another process: it remembers no digest and no failure."""
        self.engine = Engine(self.store, self.pool, self.root, TOOLCHAIN, FileDigests())
        return self.engine

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def plugin(self, name: str, text: str) -> Path:
        return self.write(f"plugins/{name}.py", text)

    def step(self, body: str, name: str = "p") -> Path:
        """A plugin `name` with one step `f(model, config, **parameters)`, whose body this is."""
        indented = textwrap.indent(textwrap.dedent(body), "    ")
        head = "import os, sys\nfrom pathlib import Path\nROOT = Path('project')\n"
        return self.plugin(name, f"{head}def f(model, config, **parameters):\n{indented}\n")

    def flow(self, *targets: str | StepCall, **flags: Any) -> Flow:
        calls = [
            target if isinstance(target, StepCall) else call(target, position)
            for position, target in enumerate(targets)
        ]
        model = self.store.put_bytes(json.dumps(self.model).encode())
        return Flow(calls, model, flags, self.timeout)

    def run(self, *targets: str | StepCall, **flags: Any) -> list[StepOutcome]:
        """Outcomes of a flow, as a new process that makes damaged results again."""
        self.renew()
        return self.again(*targets, **flags)

    def again(self, *targets: str | StepCall, **flags: Any) -> list[StepOutcome]:
        """The same, in the process that ran last."""
        while True:
            outcomes: list[StepOutcome] = []
            try:
                self.engine.realize(self.flow(*targets, **flags), lambda *_: None, outcomes)
            except DamagedBlob as damaged:
                assert self.engine.discard(damaged)
                continue
            return outcomes

    def hits(self, *targets: str | StepCall, **flags: Any) -> list[bool]:
        return [outcome.hit for outcome in self.run(*targets, **flags)]

    def result(self, outcomes: list[StepOutcome]) -> list[str]:
        return json.loads(self.store.read(outcomes[-1].state.model))

    def files(self, outcomes: list[StepOutcome]) -> dict[str, bytes]:
        tree = self.store.read_tree(outcomes[-1].state.tree)
        return {name: self.store.read(entry.removesuffix("+x")) for name, entry in tree.items()}

    def log(self, outcome: StepOutcome) -> str:
        return self.store.read(outcome.trace["info"]["log"]).decode()


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(root: Path, store: Path, **options: Any) -> Bench:
        made.append(Bench(Path(os.path.realpath(root)), Store(store).open(), **options))
        return made[-1]

    yield make
    for bench in made:
        for pool in bench.pools:
            pool.close()


@pytest.fixture
def bench(tmp_path: Path, make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(tmp_path / "project", tmp_path / "store")
