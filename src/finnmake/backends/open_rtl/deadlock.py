"""Why nothing moves any more in a simulated design: who waits for whom, from valid and ready of streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from finnmake.backends.open_rtl.design import Design, Layer


@dataclass(frozen=True)
class Deadlock:
    """A deadlock.

    Attributes:
        full: FIFOs that hold all that they can and are offered more, in the order of the graph. Where
            branches meet, only those that more depth would help: not those before the fork, which
            are held up by them.
        waiting: the layers that hold everything up, in the order of the graph.
        message: both in a sentence.
    """

    full: tuple[str, ...]
    waiting: tuple[str, ...]
    message: str


def explain(design: Design, observed: Mapping[str, Any]) -> Deadlock:
    """Who waits for whom.

    Layers that wait are, of these, the first that there are: those with a beat at one input that they do not
    take as another input lacks one (two branches meet, and a FIFO of one cannot hold what the other delays);
    those that neither take the beat at their input nor offer one; those that wait for a beat while nothing
    before them holds one.

    Args:
        design: names and order.
        observed: the test bench's report: `valid` and `ready` by stream, in the last cycle, and `transfers`.
    """
    names = [stream.name for stream in design.streams]
    valid = dict(zip(names, map(bool, observed["valid"]), strict=True))
    ready = dict(zip(names, map(bool, observed["ready"]), strict=True))
    held = {name for name in names if valid[name] and not ready[name]}
    refusing = {stream.consumer for stream in design.streams if stream.name in held}
    full = tuple(fifo.name for fifo in design.fifos if fifo.name in refusing)

    joins = [
        layer for layer in design.layers if held & {*layer.inputs} and not all(valid[n] for n in layer.inputs)
    ]
    if joins:
        lacks = [name for layer in joins for name in layer.inputs if not valid[name]]
        before = _before(design, lacks)
        full = tuple(name for name in full if name not in before)
        message = f"{_filled(full) or 'no FIFO is full'}, and {_named(joins)} waits for {_listed(lacks)}"
        return Deadlock(full, _names(joins), message)
    stuck = [
        layer
        for layer in design.layers
        if held & {*layer.inputs} and not any(valid[name] for name in layer.outputs)
    ]
    if stuck:
        message = f"{_named(stuck)} neither takes the beat at its input nor gives one"
        return Deadlock(full, _names(stuck), f"{message}; {_filled(full)}" if full else message)
    moved = dict(zip(names, observed["transfers"], strict=True))
    beats = {stream.name: stream.beats for stream in design.streams}
    short = [
        layer
        for layer in design.layers
        if min(moved[name] / beats[name] for name in layer.inputs)
        > min(moved[name] / beats[name] for name in layer.outputs)
    ][:1]
    if short:
        message = f"no beat is on its way any more: {_named(short)} has taken more than it has given"
        return Deadlock(full, _names(short), message)
    return Deadlock(full, (), "no beat is on its way any more, and no layer lacks one")


def _before(design: Design, streams: Iterable[str]) -> set[str]:
    """The layers and FIFOs that beats of the streams come through."""
    producers = {stream.name: stream.producer for stream in design.streams}
    into: dict[str, list[str]] = {}
    for stream in design.streams:
        into.setdefault(stream.consumer, []).append(stream.producer)
    found: set[str] = set()
    left = [producers[name] for name in streams]
    while left:
        each = left.pop()
        if each not in found:
            found.add(each)
            left += into.get(each, ())
    return found


def _filled(full: tuple[str, ...]) -> str:
    if not full:
        return ""
    return f"FIFO {_listed(full)} is full" if len(full) == 1 else f"FIFOs {_listed(full)} are full"


def _names(layers: list[Layer]) -> tuple[str, ...]:
    return tuple(layer.name for layer in layers)


def _named(layers: list[Layer]) -> str:
    return _listed(_names(layers))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return " and ".join(names)
