"""Realizes flows of configurations on the engine: places what came of them, keeps the log of a failure."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from finnmake.backends import Backend
from finnmake.backends.passthrough import FOLDER as PASSED_OVER
from finnmake.engine.folders import remove_tree
from finnmake.engine.realize import Engine, Flow, Listener, StepOutcome, seconds_run
from finnmake.engine.state import StepCall
from finnmake.engine.store import DamagedBlob, Store
from finnmake.errors import StepError, StoreError
from finnmake.exploration.tree import BEFORE_STEPS
from finnmake.records import BuildConfig
from finnmake.runner.at_once import WHOLE
from finnmake.runner.failures import default_category, left_out
from finnmake.runner.flow import Names, calls_of, flags_of
from finnmake.runner.outputs import log_of, write_text

_Placed = TypeVar("_Placed")

#: What a step read, as a trace keeps it: `files`, `listings`, `presence`.
Reads = Mapping[str, Any]


@dataclass(frozen=True)
class Realized(Generic[_Placed]):
    """A flow that ended well: its steps, what was placed, and all that was read, the model included."""

    outcomes: list[StepOutcome]
    placed: _Placed
    reads: list[Reads]


class Realizer:
    """What the pipelines of a build share: the engine, the project, and the time that builds have spent.

    Args:
        names: where the names in a blueprint lead.
        listener: told of each step.
    """

    def __init__(
        self, backend: Backend, engine: Engine, project: Path, names: Names, listener: Listener
    ) -> None:
        self.backend = backend
        self.engine = engine
        self.project = project
        self.names = names
        self._listener = listener
        self._spent: dict[str, float] = {}
        self._left_out: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        """The engine's store."""
        return self.engine.store

    def folder(self, config: BuildConfig) -> Path:
        """The outputs of a configuration."""
        return self.project / config.output_dir

    def calls(self, config: BuildConfig, depth: int | None = None) -> list[StepCall]:
        """The flow of a configuration, or of its first `depth` steps. Raises BlueprintError, StepError."""
        return calls_of(config, self.backend, self.names, self.engine.digests, depth)

    def shared_calls(self, config: BuildConfig, depth: int) -> list[StepCall]:
        """Of its first `depth` steps those that other configurations can take from the store."""
        calls = self.calls(config, depth)
        return [call for call in calls if call.kind != WHOLE] if self.backend.calls else calls

    def realize(
        self,
        config: BuildConfig,
        calls: Sequence[StepCall],
        place: Callable[[Flow, list[StepOutcome]], _Placed],
        log: Path | None = None,
    ) -> Realized[_Placed]:
        """Realize the calls and place what came of them; what turns out damaged is made again first.

        What a failing step printed becomes `log`, build.log where it is not given. Raises StepError,
        StoreError.
        """
        model = self.project / config.model_path
        met: Counter[str] = Counter()
        while True:
            outcomes: list[StepOutcome] = []
            flow = Flow(
                calls,
                self.store.put_file(model),
                flags_of(config),
                float(config.global_config["timeout_seconds"]),
                self._budget(config),
            )
            try:
                with self._timed(config, outcomes):
                    self.engine.realize(flow, self._listener, outcomes)
                return Realized(outcomes, place(flow, outcomes), _reads(config, flow, outcomes))
            except DamagedBlob as damaged:
                found = self.engine.discard(damaged) or damaged.ref == flow.model
                met[damaged.ref] += 1
                if not found or met[damaged.ref] > len(calls):  # a step may damage its own input each time
                    raise StoreError(
                        f"blob {damaged.ref} is missing from the store and nothing tells how to make it",
                        cure="Move the store away, or set FINNMAKE_STORE to an empty folder.",
                    ) from damaged
            except StepError as error:
                self._keep_marshalled(config, outcomes)
                if error.category == "unknown" and len(outcomes) < len(calls):
                    before = len(outcomes) < len(config.transforms_by_stage.get(BEFORE_STEPS, []))
                    error.category = default_category(calls[len(outcomes)].kind, before)
                kept = outcomes if log is None else ()  # an analysis' log is its own words alone
                self._keep_failure(log or self.folder(config) / "build.log", kept, error)
                raise

    def restart(self, config: BuildConfig) -> None:
        """A build of this id has spent no time yet."""
        with self._lock:
            self._spent.pop(config.id, None)
            self._left_out.pop(config.id, None)

    def left_out(self, config: BuildConfig) -> list[str]:
        """Warnings of transforms that failed and were left out, as far as its steps came."""
        return self._left_out.get(config.id, [])

    def _keep_left_out(self, config: BuildConfig, outcomes: Sequence[StepOutcome]) -> None:
        """Remember them, where there may be any: what a build has not placed is in the store alone."""
        if not any(outcome.call.passthrough for outcome in outcomes):
            return
        with suppress(DamagedBlob, ValueError):  # only words are lost
            tree = self.store.read_tree(outcomes[-1].state.tree)
            files = sorted(name for name in tree if name.startswith(f"{PASSED_OVER}/"))
            found = (left_out(json.loads(self.store.read(tree[name]))) for name in files)
            self._left_out[config.id] = [said for said in found if said is not None]

    def _budget(self, config: BuildConfig) -> float | None:
        """Seconds that all steps of a build that are still to run may take together; None without a limit."""
        limit = config.global_config.get("build_timeout_seconds")
        return None if limit is None else limit - self._spent.get(config.id, 0.0)

    @contextmanager
    def _timed(self, config: BuildConfig, outcomes: Sequence[StepOutcome]) -> Iterator[None]:
        """The steps that run inside count as time that the build has spent; waiting for others does not."""
        try:
            yield
        finally:
            self._keep_left_out(config, outcomes)
            with self._lock:
                self._spent[config.id] = self._spent.get(config.id, 0.0) + seconds_run(outcomes)

    def _keep_marshalled(self, config: BuildConfig, outcomes: Sequence[StepOutcome]) -> None:
        """Place what a backend that takes all steps at once wrote before one failed: artifacts/<name>/."""
        if not self.backend.calls or not outcomes:
            return
        with suppress(DamagedBlob):  # the failure is what counts
            for name, entry in self.store.read_tree(outcomes[-1].state.tree).items():
                if name.startswith(f"{self.backend.name}/"):
                    self.store.place(entry, self.folder(config) / "artifacts" / name)

    def _keep_failure(self, log: Path, outcomes: Sequence[StepOutcome], error: StepError) -> None:
        """Make the failed step's log the end of `log`; of several builds that of the first."""
        with self._lock:
            if error.log is None or not error.log.is_absolute():
                return
            write_text(log, log_of(self.store, outcomes, error))
            remove_tree(error.log)  # whatever the step has put in its place
            error.log = log.relative_to(self.project)


def _reads(config: BuildConfig, flow: Flow, outcomes: Sequence[StepOutcome]) -> list[Reads]:
    """What the steps read, the model first: as it was when it was taken, whatever it is now."""
    model = {"files": {config.model_path: flow.model[:64]}, "listings": {}, "presence": {}}
    return [model, *(outcome.trace["reads"] for outcome in outcomes)]
