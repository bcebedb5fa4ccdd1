"""What a simulation measured, from the report of its test bench: cycles alone, the same in every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finnmake.backends.open_rtl.deadlock import Deadlock, explain
from finnmake.backends.open_rtl.design import Design

#: How a run ended: all inferences came out; nothing moved any more; the limit of cycles was reached.
DONE, DEADLOCK, LIMIT = "done", "deadlock", "limit"


@dataclass(frozen=True)
class Waiting:
    """What a layer did, in cycles of the run; they add up to all of it.

    Attributes:
        busy: it took or gave a beat, or computed.
        blocked: a beat of its own waited to be taken.
        starved: it waited for one to come in.
    """

    busy: int
    blocked: int
    starved: int


@dataclass(frozen=True)
class Fill:
    """Words in a FIFO: at the end of the run, and the most in any cycle."""

    last: int
    peak: int


@dataclass(frozen=True)
class Timeline:
    """Who waited when. Parts of the run of `width` cycles each, but for the last one.

    Attributes:
        width: cycles of a part.
        fill: FIFO -> the most words in it, by part.
        blocked: layer -> cycles in which it was blocked, by part.
        starved: likewise.
    """

    width: int
    fill: Mapping[str, tuple[int, ...]]
    blocked: Mapping[str, tuple[int, ...]]
    starved: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Activity:
    """What an observed run showed of layers, FIFOs and streams, each by name.

    Attributes:
        layers: what each did.
        fifos: how full each was.
        beats: stream -> transfers.
        timeline: where it waited.
    """

    layers: Mapping[str, Waiting]
    fifos: Mapping[str, Fill]
    beats: Mapping[str, int]
    timeline: Timeline


@dataclass(frozen=True)
class Measured:
    """A simulation's result. Cycle 0 is the first one after reset.

    Attributes:
        verdict: `DONE`, `DEADLOCK` or `LIMIT`.
        cycles: how long it ran.
        start: by inference, the cycle of its first beat in, over all inputs.
        finish: by inference that came out whole, the cycle of its last beat, over all outputs.
        activity: None of a design that was not observed.
        deadlock: who waits for whom; None where there is none, or nothing was observed.
    """

    verdict: str
    cycles: int
    start: tuple[int, ...]
    finish: tuple[int, ...]
    activity: Activity | None = None
    deadlock: Deadlock | None = None

    @property
    def latency(self) -> int | None:
        """Cycles from the first beat in to the last beat out of the first inference, in an empty design."""
        return self.finish[0] - self.start[0] if self.finish else None

    @property
    def intervals(self) -> tuple[int, ...]:
        """Cycles from one inference's last beat out to the next one's."""
        return tuple(after - before for before, after in zip(self.finish, self.finish[1:], strict=False))

    @property
    def stable_interval(self) -> float | None:
        """The mean of the later half of the intervals, in cycles; None of fewer than two inferences."""
        later = self._later()
        return sum(later) / len(later) if later else None

    @property
    def is_settled(self) -> bool:
        """Whether all intervals of the later half are alike."""
        return len(set(self._later())) == 1

    def _later(self) -> tuple[int, ...]:
        intervals = self.intervals
        return intervals[len(intervals) // 2 :]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with what is derived."""
        derived = {
            "latency": self.latency,
            "intervals": list(self.intervals),
            "stable_interval": self.stable_interval,
            "is_settled": self.is_settled,
        }
        return {**dataclasses.asdict(self), **derived}


def from_report(design: Design, report: Mapping[str, Any]) -> Measured:
    """The result, of the test bench's report."""
    observed = report.get("observed")
    deadlock = None
    if observed is not None and report["verdict"] == DEADLOCK:
        deadlock = explain(design, observed)
    return Measured(
        verdict=report["verdict"],
        cycles=report["cycles"],
        start=tuple(report["start"]),
        finish=tuple(report["finish"]),
        activity=None if observed is None else _activity(design, observed, report["cycles"]),
        deadlock=deadlock,
    )


def _activity(design: Design, observed: Mapping[str, Any], cycles: int) -> Activity:
    layers = [layer.name for layer in design.layers]
    fifos = [fifo.name for fifo in design.fifos]
    waits = zip(observed["blocked"], observed["starved"], strict=True)
    timeline = observed["timeline"]
    return Activity(
        layers={
            name: Waiting(cycles - blocked - starved, blocked, starved)
            for name, (blocked, starved) in zip(layers, waits, strict=True)
        },
        fifos={
            name: Fill(last, peak)
            for name, last, peak in zip(fifos, observed["fill"], observed["peak"], strict=True)
        },
        beats=dict(zip((stream.name for stream in design.streams), observed["transfers"], strict=True)),
        timeline=Timeline(
            width=timeline["width"],
            fill=dict(zip(fifos, map(tuple, timeline["fill"]), strict=True)),
            blocked=_by_part(layers, timeline["blocked"]),
            starved=_by_part(layers, timeline["starved"]),
        ),
    )


def _by_part(names: Sequence[str], sums: Sequence[Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Sums from the start of the run, as those of each part."""
    return {
        name: tuple(after - before for before, after in zip((0, *row), row, strict=False))
        for name, row in zip(names, sums, strict=True)
    }
