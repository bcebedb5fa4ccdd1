"""Finds among many traces of one action key those that can hit, without reading the others again.

Configurations that differ in fields alone share the keys of the steps before any of these fields is read:
ten thousand of them leave ten thousand traces under one key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.engine.store import Store
from finnmake.engine.trace import fields_of
from finnmake.hashing import canonical_json

#: Fewer traces are read as they are.
_FEW = 4

#: So many traces are kept in memory once they were read: those that thousands of configurations share.
_KEPT = 512


@dataclass
class _Known:
    """What is known of the traces under one key.

    Attributes:
        fields: name of a trace -> the fields that it read, as JSON; empty for a file that is no trace.
        groups: names of fields -> their values as JSON -> names of the traces that read these.
    """

    fields: dict[str, tuple[tuple[str, ...], bytes] | None] = field(default_factory=dict)
    groups: dict[tuple[str, ...], dict[bytes, list[str]]] = field(default_factory=dict)

    def add(self, name: str, read: Mapping[str, Any] | None) -> None:
        """Note the fields that a trace read, with their values."""
        if read is None:
            self.fields[name] = None
            return
        entry = tuple(sorted(read)), canonical_json(read)
        self.fields[name] = entry
        self.groups.setdefault(entry[0], {}).setdefault(entry[1], []).append(name)

    def remove(self, name: str) -> None:
        """Forget a trace that is gone."""
        entry = self.fields.pop(name)
        if entry is not None:
            self.groups[entry[0]][entry[1]].remove(name)


class TraceIndex:
    """The traces of a store by the fields that they read. Thread-safe.

    Names and fields are kept, and the traces used last, which never change. The folder is listed anew at each
    question, so that what other processes add or remove is seen.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, _Known] = {}
        self._read: OrderedDict[tuple[str, str], tuple[Path, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def matching(self, key: str, flags: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The traces under a key whose fields have the values of `flags`, and others where they are few."""
        names = self._store.trace_names(key)
        if len(names) >= _FEW:
            with self._lock:
                known = self._updated(key, names)
                names = [
                    name
                    for fields, values in known.groups.items()
                    for name in values.get(canonical_json(fields_of(flags, dict.fromkeys(fields))), ())
                ]
        found = (self._trace(key, name) for name in names)
        return (each for each in found if each is not None)

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

    def fields(self, key: str) -> set[str]:
        """The names of all fields that any trace under a key read."""
        names = self._store.trace_names(key)
        with self._lock:
            return {name for fields in self._updated(key, names).groups for name in fields}

    def _updated(self, key: str, names: list[str]) -> _Known:
        known = self._keys.setdefault(key, _Known())
        for gone in known.fields.keys() - set(names):
            known.remove(gone)
        for name in names:
            if name not in known.fields:
                found = self._store.trace(key, name)
                reads = found[1].get("reads") if found else None
                fields = reads.get("fields") if isinstance(reads, dict) else None
                known.add(name, fields if isinstance(fields, dict) else None)
        return known
