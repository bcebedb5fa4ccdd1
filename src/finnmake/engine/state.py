"""What passes from step to step: the model and everything else that a later step could read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finnmake.hashing import KEY_VERSION, digest_value

_REF = re.compile(r"[0-9a-f]{64}-[0-9]{1,18}")
_ENTRY = re.compile(_REF.pattern + r"(\+x)?")
_WORK = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class State:
    """The result of a run of steps. Two runs with equal states are the same to every later step.

    Attributes:
        model: ref of the ONNX file.
        tree: ref of the listing of the accumulated output folder.
        work: build folders that the model points into: action -> ref of the folder's listing.
        overrides: configuration fields that steps have set, JSON values.
    """

    model: str
    tree: str
    work: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "model": self.model,
            "tree": self.tree,
            "work": dict(self.work),
            "overrides": dict(self.overrides),
        }

    @classmethod
    def from_dict(cls, data: Any) -> State:
        """The record again, from what `to_dict` gave. Raises ValueError for anything else: a step may lie."""
        if not isinstance(data, dict) or set(data) != {"model", "tree", "work", "overrides"}:
            raise ValueError("the step's result is no record of a model and its files")
        work, overrides = data["work"], data["overrides"]
        if not isinstance(work, dict) or not isinstance(overrides, dict):
            raise ValueError("the step's result is no record of a model and its files")
        if not all(_matches(_WORK, name) for name in work):
            raise ValueError("the step's result names a folder outside the store")
        if not all(_matches(_REF, ref) for ref in (data["model"], data["tree"], *work.values())):
            raise ValueError("the step's result names a file that no store can hold")
        return cls(data["model"], data["tree"], work, overrides)


def is_ref(value: Any) -> bool:
    """Whether this names a blob."""
    return _matches(_REF, value)


def checked_tree(tree: Any) -> dict[str, str]:
    """A folder's listing: relative POSIX path -> entry. Raises ValueError for anything else.

    A file outside the folder cannot be named, nor one below another file.
    """
    if not isinstance(tree, dict) or not all(_matches(_ENTRY, entry) for entry in tree.values()):
        raise ValueError("the step's result holds no listing of a folder")
    for name in tree:
        parts = name.split("/")
        if not all(parts) or "." in parts or ".." in parts or b"\0" in os.fsencode(name):
            raise ValueError(f"the step's result names a file outside its folder: {name!r}")
        if any("/".join(parts[:depth]) in tree for depth in range(1, len(parts))):
            raise ValueError(f"the step's result names a file below a file: {name!r}")
    return tree


def checked_reads(reads: Any) -> dict[str, Any]:
    """What a step read, as a trace keeps it. Raises ValueError for anything else."""
    if not isinstance(reads, dict) or not isinstance(reads.get("paths", []), list):
        raise ValueError("the step's record of what it read is none")
    for kind in ("fields", "files", "listings", "presence"):
        records = reads.get(kind)
        if not isinstance(records, dict) or any(b"\0" in os.fsencode(name) for name in records):
            raise ValueError(f"the step's record of what it read has no {kind}")
    return reads


def checked_info(info: Any) -> dict[str, Any]:
    """How a step went: `seconds` and `peak_rss_kb`. Raises ValueError for anything else."""
    if not isinstance(info, dict) or not all(
        isinstance(info.get(name), (int, float)) for name in ("seconds", "peak_rss_kb")
    ):
        raise ValueError("the step's record of how it went is none")
    return info


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


@dataclass(frozen=True)
class StepCall:
    """One thing to run: a FINN step, a QONNX transform, an analysis, or a whole build.

    Attributes:
        name: as the blueprint writes it.
        kind: `step`, `transform`, `analysis`, or `build` for what a backend makes of all steps at once.
        target: where the worker finds it, `module:attribute`.
        parameters: keyword arguments, JSON values.
        position: 0-based place in the flow; enters the seed of random numbers.
        source: digest of the code behind a target inside finnmake; that of all other code is found by the
            trace.
        inputs: further files that it sees under `inputs/`: relative name -> blob.
        passthrough: whether a transform that fails leaves the model as it was, and the build goes on.
    """

    name: str
    kind: str
    target: str
    parameters: Mapping[str, Any]
    position: int
    source: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    passthrough: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "target": self.target,
            "parameters": dict(self.parameters),
            "position": self.position,
            "source": self.source,
            "inputs": dict(self.inputs),
            "passthrough": self.passthrough,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepCall:
        """The record again, from what `to_dict` gave."""
        return cls(**data)


def action_key(call: StepCall, state: State, toolchain: str) -> str:
    """The key under which the traces of this call lie: the step, its parameters, the state, the toolchain."""
    return digest_value("action", [KEY_VERSION, call.to_dict(), state.to_dict(), toolchain])


def seed_of(call: StepCall) -> int:
    """The 32-bit seed of a step: differs from step to step, the same on every machine."""
    return int(digest_value("seed", [call.name, call.position])[:8], 16)
