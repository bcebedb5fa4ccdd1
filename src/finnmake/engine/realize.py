"""`realize`: the only way a step ever runs. Walks a flow; takes what the store has, runs what it has not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from finnmake.engine.explain import keep_texts
from finnmake.engine.files import FileDigests
from finnmake.engine.folders import remove_tree
from finnmake.engine.history import History
from finnmake.engine.lookup import Lookup, refs_of
from finnmake.engine.pool import WorkerPool
from finnmake.engine.slot import JobSlot
from finnmake.engine.state import (
    State,
    StepCall,
    action_key,
    checked_info,
    checked_reads,
    checked_tree,
)
from finnmake.engine.store import DamagedBlob, Store
from finnmake.engine.toolchain import Toolchain
from finnmake.engine.trace import fields_of
from finnmake.errors import StepError
from finnmake.hashing import digest_value


@dataclass(frozen=True)
class StepOutcome:
    """One step of a flow, done.

    Attributes:
        call: what was asked for.
        key: the action key.
        state: what the step left.
        trace: what it read (`reads`), left (`output`) and took (`info`: seconds, peak_rss_kb, log).
        hit: whether it came from the store.
    """

    call: StepCall
    key: str
    state: State
    trace: Mapping[str, Any]
    hit: bool


@dataclass(frozen=True)
class Flow:
    """What to realize.

    Attributes:
        calls: the steps.
        model: ref of the model's content.
        flags: the configuration's fields.
        timeout: seconds for each step.
        budget: seconds that all steps that run may take together; None for no such limit.
    """

    calls: Sequence[StepCall]
    model: str
    flags: Mapping[str, Any]
    timeout: float
    budget: float | None = None

    def seconds_for(self, call: StepCall, spent: float) -> float:
        """For the next step, after so many seconds. Raises StepError where there is no time left."""
        if self.budget is None:
            return self.timeout
        left = self.budget - spent
        if left <= 0:
            raise StepError(
                call.name,
                "the time for all steps of this build together is over",
                category="timeout",
                cure="Raise search.timeout in the blueprint; the steps before this one are kept.",
                timed_out=True,
            )
        return min(self.timeout, left)


def seconds_run(outcomes: Sequence[StepOutcome]) -> float:
    """The time that those steps took that ran; what came from the store took none."""
    return float(sum(outcome.trace["info"]["seconds"] for outcome in outcomes if not outcome.hit))


#: Told of each step: `(name, "hit" | "load" | "run" | "done", seconds)`; "load" is the backend's imports.
Listener = Callable[[str, str, float], None]


@dataclass(frozen=True)
class _Failure:
    """A step that failed in this run: by which action, what it had read if known, its seconds, the error."""

    action: str
    reads: Mapping[str, Any] | None
    timeout: float
    error: StepError


class Engine:
    """Realizes flows on one store with one pool of workers. Thread-safe."""

    def __init__(
        self, store: Store, pool: WorkerPool, project: Path, toolchain: Toolchain, digests: FileDigests
    ) -> None:
        self.store = store
        self.pool = pool
        self.project = project
        self.toolchain = toolchain
        self.digests = digests
        self.history = History(store, toolchain.parts.get("adapter", {}).get("name", ""))
        self._lookup = Lookup(store, project, digests, pool.places.fixed)
        #: File of a trace -> what its step left. As text: ten thousand builds meet many.
        self._made: dict[str, State] = {}
        #: The blobs of traces that were put aside.
        self._discarded: set[str] = set()
        self._failed: dict[str, list[_Failure]] = {}

    def realize(self, flow: Flow, listener: Listener, outcomes: list[StepOutcome]) -> None:
        """Append the outcome of every step, from the store or run now, to `outcomes` as it is known.

        Raises StepError for the step that fails, DamagedBlob for a result that must be made again
        (see `discard`), StoreError.
        """
        state = State(flow.model, self.store.put_tree({}))
        slot = JobSlot(self.pool)
        with slot:
            for call in flow.calls:
                outcome = self._step(call, state, flow, seconds_run(outcomes), slot, listener)
                outcomes.append(outcome)
                state = outcome.state
        self._restore(state)

    def _restore(self, state: State) -> None:
        """Make the build folders hold what the state says: another variant may have been built there."""
        for name, listing in state.work.items():
            with self.store.lock(f"work-{name}"):
                self.store.restore(listing, self.store.work / name)

    def discard(self, damaged: DamagedBlob) -> bool:
        """Put aside every trace met so far whose output holds the damaged blob; whether there was one.

        Or whether there has been: two builds at once may meet the same damage.
        """
        for path, state in list(self._made.items()):
            refs = refs_of(self.store, state)
            if damaged.ref in refs:
                self._discarded |= refs
                self.store.drop_trace(Path(path))
                self._made.pop(path, None)
        return damaged.ref in self._discarded

    def _step(
        self, call: StepCall, state: State, flow: Flow, spent: float, slot: JobSlot, listener: Listener
    ) -> StepOutcome:
        key = action_key(call, state, self.toolchain.digest)
        flags = {**flow.flags, **state.overrides}
        found = self._find(call, key, flags)
        if found is None:
            action = digest_value("work", [key, dict(flags)])[:32]
            with (
                self._lock(key, flags),
                self.store.lock(f"run-{action}"),
                self._folders(action, state) as held,
            ):
                found = self._find(call, key, flags)
                if found is None:
                    timeout = flow.seconds_for(call, spent)
                    return self._run(call, key, action, state, flags, timeout, held, slot, listener)
        listener(call.name, "hit", 0.0)
        return found

    def _find(self, call: StepCall, key: str, flags: Mapping[str, Any]) -> StepOutcome | None:
        found = next(self._lookup.hits(key, flags), None)
        if found is None:
            return None
        self._made[str(found.path)] = found.state
        with suppress(OSError):
            os.utime(found.path)  # the order of use, for collecting garbage
        return StepOutcome(call, key, found.state, found.trace, hit=True)

    def _check_failed(self, key: str, action: str, flags: Mapping[str, Any], timeout: float) -> None:
        """Raise the error of an earlier try in this run, where all that it had read is the same now.

        Where that is not known, as the process died, only the very same action fails; where time ran out,
        only with no more of it.
        """
        for failure in self._failed.get(key, ()):
            if failure.reads is not None:
                again = self._lookup.difference(failure.reads, flags) is None
            else:
                again = failure.action == action and not (
                    failure.error.timed_out and timeout > failure.timeout
                )
            if again:
                raise failure.error

    @contextmanager
    def _lock(self, key: str, flags: Mapping[str, Any]) -> Iterator[None]:
        """One runner for what is, as far as earlier traces tell, the same action; others wait here."""
        while True:
            name = self._lock_name(key, flags)
            with self.store.lock(name):
                if self._lock_name(key, flags) == name:
                    yield
                    return

    @contextmanager
    def _folders(self, action: str, state: State) -> Iterator[list[int]]:
        """Alone in the build folders that the step may write to: their paths are the same for everybody.

        Gives the locks, for the process that writes there: it may live on for a moment when this one dies.
        """
        with ExitStack() as stack:
            names = sorted({action, *state.work})
            yield [stack.enter_context(self.store.lock(f"work-{name}")) for name in names]

    def _lock_name(self, key: str, flags: Mapping[str, Any]) -> str:
        return digest_value("lock", [key, fields_of(flags, dict.fromkeys(self._lookup.fields(key) or ()))])

    def _run(
        self,
        call: StepCall,
        key: str,
        action: str,
        state: State,
        flags: Mapping[str, Any],
        timeout: float,
        held: Sequence[int],
        slot: JobSlot,
        listener: Listener,
    ) -> StepOutcome:
        self._check_failed(key, action, flags, timeout)
        if not self.pool.start():
            listener(call.name, "load", 0.0)
        slot.open()
        listener(call.name, "run", 0.0)
        log, said = self.store.new_file()
        request = {
            "call": call.to_dict(),
            "state": state.to_dict(),
            "flags": dict(flags),
            "work": action,
            "log": log.relative_to(self.store.root).as_posix(),
        }
        with said:
            try:
                answer = slot.run(call, request, timeout, log, held)
                after = self._result(call, answer, state, action, log)
            except DamagedBlob:
                remove_tree(log)
                raise
            except StepError as error:
                slot.drop()
                error.log = self._own_log(log, said)
                reads = error.reads and {**error.reads, "fields": fields_of(flags, error.reads["fields"])}
                # Not cached, but not tried twice in one run either.
                self._failed.setdefault(key, []).append(_Failure(action, reads, timeout, error))
                raise
            info = {name: answer[name] for name in ("seconds", "peak_rss_kb")}
            info["log"] = self.store.put_bytes(said.read())  # a process the step left behind may still write
        remove_tree(log)
        reads = {**answer["reads"], "fields": fields_of(flags, answer["reads"]["fields"])}
        trace = {"step": call.to_dict(), "reads": reads, "output": after.to_dict(), "info": info}
        if self._lookup.difference(reads, flags) is None:
            self._made[str(self.store.add_trace(key, trace))] = after
            with suppress(OSError):
                keep_texts(self.store, reads, self.project)
        self.history.note(call, answer["seconds"], answer["peak_rss_kb"])
        listener(call.name, "done", answer["seconds"])
        return StepOutcome(call, key, after, trace, hit=False)

    def _result(
        self, call: StepCall, answer: Mapping[str, Any], before: State, action: str, log: Path
    ) -> State:
        """What the step left, as its process says. Raises StepError where that cannot be: a step may lie."""
        try:
            checked_reads(answer.get("reads"))
            checked_info(answer)
            after = State.from_dict(answer.get("output"))
            if not {action, *before.work}.issuperset(after.work):
                raise ValueError("the step's result names a build folder of another step")
            for listing in (after.tree, *after.work.values()):
                checked_tree(json.loads(self.store.read(listing)))
        except (ValueError, RecursionError, DamagedBlob) as error:
            words = str(error) if isinstance(error, ValueError) else "the step's result is not whole"
            raise StepError(
                call.name,
                words,
                cure="Look into the plugins of this build: one of them meddles with finnmake itself.",
                log=log,
            ) from error
        return after

    def _own_log(self, log: Path, said: BinaryIO) -> Path:
        """A file with what the step printed: the log, or a new one where the step replaced it."""
        with suppress(OSError):
            if os.path.samestat(log.lstat(), os.fstat(said.fileno())):
                return log
        remove_tree(log)
        path, copy = self.store.new_file()
        with copy:
            shutil.copyfileobj(said, copy)
        return path
