"""Finds among the traces of one action key those that can hit, without reading the others again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from finnmake.engine.actions import place_of
from finnmake.engine.store import Store
from finnmake.engine.trace import fields_of

#: So many traces are kept in memory once they were read: those that thousands of configurations share.
_KEPT = 512


class TraceIndex:
    """The traces of a store by the fields that they read. Thread-safe.

    The traces used last are kept: they never change. Folders are listed anew at each question, so that what
    other processes add or remove is seen: that of the key, and of each set of fields one group.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        #: What the name of a group begins with -> the names of the fields.
        self._fields: dict[str, tuple[str, ...]] = {}
        self._read: OrderedDict[tuple[str, str], tuple[Path, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def matching(self, key: str, flags: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The traces under a key whose fields have the values of `flags`."""
        groups = self._store.trace_groups(key)
        for fields in self._sets(key, groups):
            group, values = place_of(fields_of(flags, dict.fromkeys(fields)))
            if group in groups:
                for name in self._store.trace_names(key, group, values):
                    found = self._trace(key, name)
                    if found is not None:
                        yield found

    def fields(self, key: str) -> set[str] | None:
        """The names of all fields that any trace under a key read; None where there is no trace."""
        sets = list(self._sets(key, self._store.trace_groups(key)))
        return set().union(*sets) if sets else None

    def _sets(self, key: str, groups: Set[str]) -> Iterator[tuple[str, ...]]:
        """The sets of fields that the traces in these groups read, in a stable order."""
        for digest in sorted({group.partition("-")[0] for group in groups}):
            if digest not in self._fields:
                self._learn(key, digest, groups)
            if digest in self._fields:
                yield self._fields[digest]

    def _learn(self, key: str, digest: str, groups: Set[str]) -> None:
        """Find out from a trace which fields those of some groups read; their names begin with a digest."""
        for group in groups:
            if group.startswith(digest):
                for name in self._store.trace_names(key, group):
                    found = self._trace(key, name)
                    if found is not None:
                        self._fields[digest] = tuple(sorted(found[1]["reads"]["fields"]))
                        return

    def _trace(self, key: str, name: str) -> tuple[Path, dict[str, Any]] | None:
        """A trace and its file; None where it is gone or none."""
        with self._lock:
            found = self._read.pop((key, name), None)
        found = found or self._store.trace(key, name)
        if found is not None:
            with self._lock:
                self._read[key, name] = found
                while len(self._read) > _KEPT:
                    self._read.popitem(last=False)
        return found
