"""What exactly differs between what was read once and what is there now: all of it, with both values."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.files import FileDigests, digest_listing
from finnmake.engine.paths import absolute
from finnmake.engine.store import Store
from finnmake.engine.trace import ALL_FIELDS, field_value, presence
from finnmake.hashing import canonical_json, digest_bytes

#: Files that are longer (bytes) are not kept for the sake of showing their old lines.
LONGEST_TEXT = 256 * 1024


@dataclass(frozen=True)
class Lines:
    """A place where two texts differ: 1-based numbers of lines of the new one, and the lines of both.

    A place where lines were only taken out has `last` before `first`: it is before line `first`.
    """

    first: int
    last: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        kind: `field`, `fields` (which are set), `file`, `folder` (the names in it), `presence`, `output`,
            `toolchain`, `configuration`, `paths`, `dependency`, `record`, `step`, `model` …
        name: what it is called: a field, a file relative to the project, a part.
        old, new: the values, as JSON values; None where there is none to tell.
        lines: for a text, where it differs.
        known: whether `old` and `new` say anything.
    """

    kind: str
    name: str
    old: Any = None
    new: Any = None
    lines: tuple[Lines, ...] = ()
    known: bool = True


class Comparison:
    """Compares what was read with now.

    Args:
        store: where the old content of texts is looked for.
        project: what relative names start from.
        digests: of the files as they are now.
    """

    def __init__(self, store: Store, project: Path, digests: FileDigests) -> None:
        self._store = store
        self._project = project
        self._digests = digests

    def fields(self, then: Mapping[str, Any], flags: Mapping[str, Any]) -> Iterator[Difference]:
        """Fields whose values differ as JSON; where a step asked which are set, those that came or went."""
        for name, old in then.items():
            new = field_value(flags, name)
            if canonical_json(new) != canonical_json(old):
                kind = "fields" if name == ALL_FIELDS else "field"
                yield Difference(kind, name, old[0] if old else None, new[0] if new else None)

    def files(self, then: Mapping[str, str | None]) -> Iterator[Difference]:
        """Files whose content differs, with the lines where both are texts."""
        for name, old in then.items():
            new = self._digests.digest(absolute(name, self._project))
            if new != old:
                yield Difference("file", name, old, new, self._lines(name, old, new))

    def listings(self, then: Mapping[str, str | None]) -> Iterator[Difference]:
        """Folders in which other names are; which ones were is not kept."""
        for name, old in then.items():
            new = digest_listing(absolute(name, self._project))
            if new != old:
                yield Difference("folder", name, old, new, known=None in (old, new))

    def presence(self, then: Mapping[str, str]) -> Iterator[Difference]:
        """What came, went, or is of another size or kind."""
        for name, old in then.items():
            new = presence(absolute(name, self._project))
            if new != old:
                yield Difference("presence", name, old, new)

    def reads(
        self, then: Mapping[str, Any], flags: Mapping[str, Any], paths: Sequence[str]
    ) -> list[Difference]:
        """All that a trace's reads differ in; empty where it hits.

        Args:
            paths: the store and the Python environment, as steps see them.
        """
        found = []
        if then.get("paths", paths) != paths:
            found.append(Difference("paths", "of the store and of Python", then["paths"], list(paths)))
        found += self.fields(then["fields"], flags)
        found += self.files(then["files"])
        found += self.listings(then["listings"])
        return without_echoes([*found, *self.presence(then["presence"])])

    def _lines(self, name: str, old: str | None, new: str | None) -> tuple[Lines, ...]:
        if old is None or new is None:
            return ()
        try:
            now = Path(absolute(name, self._project)).read_bytes()
        except OSError:
            return ()
        before = kept_text(self._store, old)
        after = _text(now) if digest_bytes(now) == new else None
        return () if before is None or after is None else tuple(changed_lines(before, after))


def without_echoes(found: Sequence[Difference]) -> list[Difference]:
    """Without what only says once more that a file is another one: its size, and that it is there."""
    files = {each.name for each in found if each.kind == "file"}
    return [each for each in found if each.kind != "presence" or each.name not in files]


def changed_lines(before: str, after: str) -> Iterator[Lines]:
    """Where two texts differ."""
    old, new = before.splitlines(), after.splitlines()
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Lines(j1 + 1, j2, tuple(old[i1:i2]), tuple(new[j1:j2]))


def keep_texts(store: Store, reads: Mapping[str, Any], project: Path) -> None:
    """Keep what texts of the project a step read, so that a later change can be shown line by line.

    The digest in the trace names the blob. A file that is long, no text, or another one by now is not kept.
    """
    for name, digest in reads["files"].items():
        if digest is None or name.startswith("/") or store.blob_path(digest).exists():
            continue
        try:
            path = project / name
            if path.stat().st_size > LONGEST_TEXT:
                continue
            data = path.read_bytes()
        except OSError:
            continue
        if digest_bytes(data) == digest and _text(data) is not None:
            store.put_bytes(data)


def kept_text(store: Store, digest: str) -> str | None:
    """A text by its digest; None where it is not in the store, or damaged."""
    try:
        path = store.blob_path(digest)
        data = path.read_bytes() if path.stat().st_size <= LONGEST_TEXT else b""
    except OSError:
        return None
    return _text(data) if digest_bytes(data) == digest else None


def _text(data: bytes) -> str | None:
    """The bytes as text; None for what is none."""
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def parts(old: Mapping[str, Any], new: Mapping[str, Any], kind: str) -> list[Difference]:
    """The values in which two nested records differ, by their paths: `packages.numpy`."""
    found = []
    before, after = dict(_flat(old)), dict(_flat(new))
    for name in sorted({**before, **after}):
        if canonical_json([before.get(name)]) != canonical_json([after.get(name)]):
            found.append(Difference(kind, name, before.get(name), after.get(name)))
    return found


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _flat(each, f"{above}{name}.")
        else:
            yield f"{above}{name}", each


def steps_changed(old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
    """Steps that came, went, or stand in another's place, with their positions (1-based) in the flow."""
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            at = f"steps {j1 + 1} to {j2}" if j2 > j1 + 1 else f"step {j1 + 1}"
            yield Difference("step", at, list(old[i1:i2]) or None, list(new[j1:j2]) or None)


def nearest(candidates: Sequence[tuple[Any, Sequence[Difference]]]) -> tuple[Any, list[Difference]] | None:
    """Of some things with their differences the one that has the fewest; of equals the first."""
    if not candidates:
        return None
    found, differences = min(candidates, key=lambda each: len(each[1]))
    return found, list(differences)
