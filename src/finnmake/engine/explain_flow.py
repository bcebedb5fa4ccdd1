"""What realizing a flow would do, step by step, without running anything.

Up to the first step that has to run, everything is known. What that step will leave is not: if it is the
same as before, all that follows comes from the store, and if not, it runs too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.explain_store import StoreView
from finnmake.engine.files import FileDigests
from finnmake.engine.lookup import Lookup, refs_of
from finnmake.engine.realize import Flow
from finnmake.engine.state import State, StepCall, action_key
from finnmake.engine.store import DamagedBlob
from finnmake.engine.toolchain import Toolchain
from finnmake.engine.trace import fields_of
from finnmake.hashing import digest_value

#: What becomes of a step.
RUN, STORE, UNKNOWN = "run", "from the store", "unknown"


@dataclass(frozen=True)
class Foreseen:
    """What becomes of one step of a flow.

    Attributes:
        call: the step.
        how: RUN; STORE; UNKNOWN behind a step that runs.
        key: the action key; empty where it is not known.
        before: what the step starts from; None where that is not known.
        after: what it leaves, where that comes from the store.
        group: steps of one group run once: the same call on the same state with the same fields, as far as
            earlier runs tell which fields it reads.
        reads: what it read, where it comes from the store.
        guessed: whether nothing tells which fields it reads: any may count.
    """

    call: StepCall
    how: str
    key: str
    before: State | None
    after: State | None
    group: str
    reads: Mapping[str, Any] | None = None
    guessed: bool = False


#: The blobs that would be read when all steps of a flow came from the store. May raise DamagedBlob.
Needed = Callable[[Sequence[Foreseen]], Iterable[str]]


class Foresight:
    """Foretells flows on a store that is only looked at.

    Args:
        fixed: the store and the Python environment, as steps see them.
    """

    def __init__(
        self,
        store: StoreView,
        project: Path,
        toolchain: Toolchain,
        digests: FileDigests,
        fixed: Sequence[str],
    ) -> None:
        self.store = store
        self.lookup = Lookup(store, project, digests, fixed)
        self._toolchain = toolchain
        self._made: dict[Path, State] = {}
        self._dropped: set[Path] = set()
        self._fields: dict[str, set[str]] = {}

    def learn(self, target: str, fields: Iterable[str]) -> None:
        """A step has been seen to read these fields: two that agree in them are likely to be one."""
        self._fields.setdefault(target, set()).update(fields)

    def look(self, flow: Flow, needed: Needed) -> list[Foreseen]:
        """What becomes of each step; a result that is damaged counts as none, as it does in a run."""
        self.store.assume(flow.model)
        while True:
            walked = list(self._walk(flow))
            missing = self._missing(walked, needed)
            if missing is None or not self._drop(missing):
                return walked

    def _walk(self, flow: Flow) -> Iterator[Foreseen]:
        state: State | None = State(flow.model, self.store.put_tree({}))
        group = ""
        for call in flow.calls:
            if state is None:
                group = self._group(group, call, flow.flags, self._fields.get(call.target))
                yield Foreseen(call, UNKNOWN, "", None, None, group)
                continue
            key = action_key(call, state, self._toolchain.digest)
            flags = {**flow.flags, **state.overrides}
            found = next(
                (each for each in self.lookup.hits(key, flags) if each.path not in self._dropped), None
            )
            if found is None:
                fields = self._known_fields(call, key)
                group = self._group(key, call, flags, fields)
                yield Foreseen(call, RUN, key, state, None, group, guessed=fields is None)
                state = None
            else:
                reads = found.trace["reads"]
                self.learn(call.target, reads["fields"])
                self._made[found.path] = found.state
                yield Foreseen(call, STORE, key, state, found.state, key, reads)
                state = found.state

    def _known_fields(self, call: StepCall, key: str) -> set[str] | None:
        """The fields that the step has been seen to read; None where it was never seen."""
        seen = self._fields.get(call.target)
        found = self.lookup.fields(key)
        return seen if found is None else found | (seen or set())

    def _group(
        self, before: str, call: StepCall, flags: Mapping[str, Any], fields: Iterable[str] | None
    ) -> str:
        """Where nothing tells which fields a step reads, it may be any."""
        read = fields_of(flags, dict.fromkeys(flags if fields is None else fields))
        return digest_value("group", [before, call.to_dict(), read])

    def _missing(self, walked: Sequence[Foreseen], needed: Needed) -> str | None:
        """The first blob that a run would find damaged."""
        first = next((each for each in walked if each.how == RUN), None)
        try:
            refs = needed(walked) if first is None else self._loaded(first.before)
            return next((ref for ref in refs if not self.store.has(ref)), None)
        except DamagedBlob as damaged:
            return damaged.ref

    def _loaded(self, state: State | None) -> Iterator[str]:
        """What a step's process reads before it starts."""
        if state is not None:
            yield state.model
            for listing in (state.tree, *state.work.values()):
                yield from (entry.removesuffix("+x") for entry in self.store.read_tree(listing).values())

    def _drop(self, ref: str) -> bool:
        """Count no trace any more whose result holds this blob; whether there was one."""
        found = [path for path, state in self._made.items() if ref in refs_of(self.store, state)]
        self._dropped.update(found)
        for path in found:
            del self._made[path]
        return bool(found)
