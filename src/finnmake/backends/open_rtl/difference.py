"""Which layer of a simulated design is the first to give other values than its graph does in Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl import reference, stimuli
from finnmake.backends.open_rtl.design import Design, Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The first value that is wrong, in the order of the graph.

    Attributes:
        layer: the layer, FIFO or input port whose output it is.
        operator: its operator; empty of a FIFO or a port.
        stream: name of the stream.
        tensor: the tensor that goes over it.
        inference: from 0.
        beat: of the inference, from 0.
        element: of the beat, from 0.
        expected: what the graph gives.
        found: what the design gives; None where that beat never came.
        cycle: in which the beat moved; None where it never came.
    """

    layer: str
    operator: str
    stream: str
    tensor: str
    inference: int
    beat: int
    element: int
    expected: float
    found: float | None
    cycle: int | None

    def __str__(self) -> str:
        layer = f"{self.layer} ({self.operator})" if self.operator else self.layer
        place = f"inference {self.inference}, beat {self.beat}, element {self.element} of {self.tensor}"
        if self.found is None:
            return f"{layer} never gives {place}"
        return f"{layer} gives {self.found:g} for {self.expected:g}: {place}, cycle {self.cycle}"


def first(
    design: Design,
    values: Mapping[str, NDArray[Any]],
    orders: Mapping[str, tuple[int, int, int]],
    captured: Path,
    inference: int,
    skipped: int = 0,
) -> Difference | None:
    """The first difference in one inference; None where all of its streams are right.

    Padding does not count: FINN's layers extend the sign of the last element into it.

    Args:
        design: whose streams are compared.
        values: all tensors of the inference, as `reference.tensors` gives them.
        orders: as `reference.interleaved` gives them.
        captured: folder of `simulate.Run.capture`.
        inference: its number.
        skipped: how many captured inferences are before it.
    """
    for stream in _ordered(design):
        expected = reference.in_stream_order(values[stream.tensor], orders.get(stream.tensor))
        width = stream.width // 8
        beats = np.fromfile(
            captured / f"{stream.name}.bin",
            np.uint8,
            count=stream.beats * width,
            offset=skipped * stream.beats * width,
        )
        found = stimuli.elements(beats[: beats.size // width * width], stream)
        wrong = np.flatnonzero(found != expected[: found.size])
        if not wrong.size and found.size == expected.size:
            continue
        place = int(wrong[0]) if wrong.size else found.size
        beat, element = divmod(place, stream.folded_shape[-1])
        came = place < found.size
        return Difference(
            layer=stream.producer,
            operator=_operator(design, stream.producer),
            stream=stream.name,
            tensor=stream.tensor,
            inference=inference,
            beat=beat,
            element=element,
            expected=float(expected[place]),
            found=float(found[place]) if came else None,
            cycle=_cycle(captured, stream, skipped * stream.beats + beat) if came else None,
        )
    return None


def _operator(design: Design, name: str) -> str:
    return next((layer.op_type for layer in design.layers if layer.name == name), "")


def _cycle(captured: Path, stream: Stream, beat: int) -> int:
    """When a captured beat moved."""
    return int(np.fromfile(captured / f"{stream.name}.cycles", "<u8", count=1, offset=8 * beat)[0])


def _ordered(design: Design) -> Iterator[Stream]:
    """All streams, each behind those that its producer takes."""
    left = list(design.streams)
    while left:
        waiting = {stream.consumer for stream in left}
        ready = [stream for stream in left if stream.producer not in waiting]
        yield from ready
        left = [stream for stream in left if stream not in ready]
