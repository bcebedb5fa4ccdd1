"""What passes from step to step: the model and everything else that a later step could read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finnmake.hashing import KEY_VERSION, digest_value


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
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """The record again, from what `to_dict` gave."""
        return cls(data["model"], data["tree"], data["work"], data["overrides"])


@dataclass(frozen=True)
class StepCall:
    """One thing to run: a FINN step, a QONNX transform or an analysis.

    Attributes:
        name: as the blueprint writes it.
        kind: `step`, `transform` or `analysis`.
        target: where the worker finds it, `module:attribute`.
        parameters: keyword arguments, JSON values.
        position: 0-based place in the flow; enters the seed of random numbers.
    """

    name: str
    kind: str
    target: str
    parameters: Mapping[str, Any]
    position: int

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "target": self.target,
            "parameters": dict(self.parameters),
            "position": self.position,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepCall:
        """The record again, from what `to_dict` gave."""
        return cls(data["name"], data["kind"], data["target"], data["parameters"], data["position"])


def action_key(call: StepCall, state: State, toolchain: str) -> str:
    """The key under which the traces of this call lie: the step, its parameters, the state, the toolchain."""
    return digest_value("action", [KEY_VERSION, call.to_dict(), state.to_dict(), toolchain])


def seed_of(call: StepCall) -> int:
    """The 32-bit seed of a step: differs from step to step, the same on every machine."""
    return int(digest_value("seed", [call.name, call.position])[:8], 16)
