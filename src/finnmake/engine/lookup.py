"""Which of the traces under an action key hits: the one answer that building and foretelling share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.files import FileDigests
from finnmake.engine.state import State, checked_info, checked_reads
from finnmake.engine.store import DamagedBlob, Store
from finnmake.engine.trace import first_difference
from finnmake.engine.trace_index import TraceIndex


@dataclass(frozen=True)
class Found:
    """A trace: its file, what it tells, and what the step left."""

    path: Path
    trace: Mapping[str, Any]
    state: State


class Lookup:
    """Looks up traces. Thread-safe.

    Args:
        store: where they lie.
        project: what relative names of files start from.
        digests: of the files as they are now.
        fixed: the store and the Python environment, as steps see them.
    """

    def __init__(self, store: Store, project: Path, digests: FileDigests, fixed: Sequence[str]) -> None:
        self._store = store
        self._project = project
        self._digests = digests
        self._fixed = fixed
        self._index = TraceIndex(store)

    def hits(self, key: str, flags: Mapping[str, Any]) -> Iterator[Found]:
        """The traces under a key all of whose reads are the same now."""
        for found in self._sound(self._index.matching(key, flags)):
            if self.difference(found.trace["reads"], flags) is None:
                yield found

    def all(self, key: str) -> Iterator[Found]:
        """Every trace under a key."""
        each = (self._store.trace(key, name) for name in self._store.all_traces(key))
        return self._sound(found for found in each if found is not None)

    def _sound(self, found: Iterator[tuple[Path, dict[str, Any]]]) -> Iterator[Found]:
        """Those that can be right; what cannot is put aside."""
        for path, trace in found:
            try:
                checked_reads(trace["reads"])
                checked_info(trace.get("info"))
                yield Found(path, trace, State.from_dict(trace["output"]))
            except ValueError:
                self._store.drop_trace(path)

    def difference(self, reads: Mapping[str, Any], flags: Mapping[str, Any]) -> tuple[str, str] | None:
        """The first thing read that is not the same now."""
        return first_difference(reads, flags, self._project, self._digests, self._fixed)

    def fields(self, key: str) -> set[str] | None:
        """The names of all fields that any trace under a key read; None where there is no trace."""
        return self._index.fields(key)


def refs_of(store: Store, state: State) -> set[str]:
    """Every blob that a state is made of, as far as its listings can be read."""
    refs = {state.model, state.tree, *state.work.values()}
    for listing in (state.tree, *state.work.values()):
        try:
            refs.update(entry.removesuffix("+x") for entry in store.read_tree(listing).values())
        except DamagedBlob as damaged:
            refs.add(damaged.ref)
    return refs
