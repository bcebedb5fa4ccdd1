"""A stitched design: what its folder holds, written beside it as `design.json`.

The stitcher writes it; test bench, verification, FIFO sizing and synthesis go by it and need no model.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The design in its folder.
FILE = "design.json"

#: The list of its sources in compile order, a name a line, as Verilator's and Yosys' `-f` take it.
FILE_LIST = "files.f"

#: With this macro the top has the `observe_…` ports, see `Design`.
OBSERVE = "FINNMAKE_OBSERVE"


@dataclass(frozen=True)
class Transfers:
    """What goes over an AXI-Stream.

    Element 0 of a beat lies in the low bits of TDATA; the bits above the elements are padding.

    Attributes:
        name: of the port or the stream.
        tensor: its name in the model.
        width: bits of TDATA, a multiple of 8.
        beats: transfers an inference.
        datatype: QONNX's name, e.g. "INT4".
        folded_shape: (..., elements in a beat); the product of the others is `beats`.
        shape: as the model has it, with batch 1.
    """

    name: str
    tensor: str
    width: int
    beats: int
    datatype: str
    folded_shape: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Port(Transfers):
    """An AXI-Stream port of the top module, in the order of the graph's inputs and outputs.

    Its pins are {name}_TDATA, {name}_TVALID and {name}_TREADY, of `in0_V` or the like.
    """


@dataclass(frozen=True)
class Stream(Transfers):
    """An AXI-Stream between two nodes, or between a node and a port of the top.

    Its nets in the top are {name}_data, {name}_valid and {name}_ready.

    Attributes:
        producer: name of the layer, FIFO or input port.
        consumer: name of the layer, FIFO or output port.
    """

    producer: str
    consumer: str


@dataclass(frozen=True)
class Layer:
    """A node of the graph that is no FIFO.

    Attributes:
        name: of the node, and of its instance in the top.
        op_type: e.g. "MVAU_rtl".
        module: name of its RTL module.
        inputs: names of the streams into it, in the order of its ports; weights are none of them.
        outputs: names of the streams out of it.
    """

    name: str
    op_type: str
    module: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Fifo:
    """A StreamingFIFO of the top.

    Attributes:
        name: of the node, and of its instance in the top.
        depth: words that it holds.
        width: bits of a word, a multiple of 8.
        producer: name of the layer or input port before it.
        consumer: name of the layer or output port behind it.
    """

    name: str
    depth: int
    width: int
    producer: str
    consumer: str


@dataclass(frozen=True)
class Design:
    """A stitched design.

    Under the macro `OBSERVE` the top has these outputs besides, all of them values of now:
    `observe_valid` and `observe_ready` (bit k: `streams[k]`), `observe_data_{k}` (of `streams[k]`, as wide),
    `observe_fill_{k}` and `observe_peak_{k}` (32 bits: words in `fifos[k]` now, and the most since reset).

    Attributes:
        top: name of the top module.
        inputs: of the top.
        outputs: of the top.
        layers: in topological order.
        fifos: in topological order.
        streams: all of them; those of the ports too.
        sources: file names in compile order, relative to the folder; the top comes last.
        data: files of weights and thresholds beside them, which the sources name.
        head: operators before the design that are left to the host.
        tail: operators behind it that are left to the host.
    """

    top: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[Layer, ...]
    fifos: tuple[Fifo, ...]
    streams: tuple[Stream, ...]
    sources: tuple[str, ...]
    data: tuple[str, ...]
    head: tuple[str, ...]
    tail: tuple[str, ...]


def write(design: Design, folder: Path) -> None:
    """Write `design.json` and `files.f` into the design's folder."""
    (folder / FILE).write_text(json.dumps(dataclasses.asdict(design), indent=1) + "\n")
    (folder / FILE_LIST).write_text("".join(f"{name}\n" for name in design.sources))


def read(folder: Path) -> Design:
    """The design of a folder. Raises OSError where there is none."""
    return from_dict(json.loads((folder / FILE).read_text()))


def from_dict(value: Mapping[str, Any]) -> Design:
    """The design from what `dataclasses.asdict` made of it, or JSON of that."""
    parts = {"inputs": Port, "outputs": Port, "layers": Layer, "fifos": Fifo, "streams": Stream}
    fields: dict[str, Any] = {}
    for name, held in value.items():
        if name in parts:
            fields[name] = tuple(parts[name](**tuples(part)) for part in held)
        else:
            fields[name] = held if isinstance(held, str) else tuple(held)
    return Design(**fields)


def tuples(part: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON has it, with tuples again in place of lists."""
    return {name: tuple(held) if isinstance(held, list) else held for name, held in part.items()}
