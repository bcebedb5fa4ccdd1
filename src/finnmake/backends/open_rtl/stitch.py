"""From a dataflow graph with FIFOs, and the sources of its layers, to a design: one folder of RTL."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import graph, rendering, sources
from finnmake.backends.open_rtl.design import Design, Fifo, Layer, Port, Stream
from finnmake.backends.open_rtl.sources import LayerSources
from finnmake.backends.open_rtl.support import layer_of
from finnmake.errors import StepError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

#: Name of the top module.
TOP = "finn_top"

_TEMPLATE = "top.sv.j2"

#: Pins that all layers share; what runs at twice the clock is refused before.
_CLOCKS = {"ap_clk": "ap_clk", "ap_clk2x": "ap_clk", "ap_rst_n": "ap_rst_n"}

#: The weights come in where FINN's wrappers have a second stream.
_WEIGHTS = "in1_V"


@dataclass(frozen=True)
class Instance:
    """A layer as the template writes it: `pins` are all inputs and the outputs that lead somewhere."""

    layer: Layer
    sources: LayerSources
    pins: tuple[tuple[str, str], ...]


def stitch(
    step: str,
    model: ModelWrapper,
    layers: Sequence[LayerSources],
    folder: Path,
    *,
    head: Sequence[str] = (),
    tail: Sequence[str] = (),
) -> Design:
    """Write the top, `design.json` and `files.f` into the folder with the sources of the layers.

    Args:
        step: for messages.
        model: as `graph.insert_fifos` left it.
        layers: what `sources.collect` gave for the same layers.
        folder: where the sources lie.
        head: operators that the host does before.
        tail: operators that the host does behind.

    Raises:
        StepError: the graph has a layer without sources, or a stream that leads to no or several consumers.
    """
    found = describe(step, model, layers, head=head, tail=tail)
    (folder / f"{found.top}.sv").write_text(render(found, layers))
    designs.write(found, folder)
    return found


def describe(
    step: str,
    model: ModelWrapper,
    layers: Sequence[LayerSources],
    *,
    head: Sequence[str] = (),
    tail: Sequence[str] = (),
) -> Design:
    """The design of a graph; see `stitch`."""
    known = {layer.name: layer for layer in layers}
    streams = _streams(step, model)
    nodes = list(model.transform(_sort()).graph.node)
    missing = [node.name for node in nodes if not graph.is_fifo(node) and node.name not in known]
    if missing:
        raise StepError(
            step,
            f"there are no sources for {', '.join(missing)}",
            cure="Keep the order of the steps: layers, FIFOs, stitching; none between them may add nodes.",
        )
    into = _by(streams.values(), lambda stream: stream.consumer)
    out = _by(streams.values(), lambda stream: stream.producer)
    return Design(
        TOP,
        tuple(
            _port(stream.producer, stream)
            for name in _names(model.graph.input)
            for stream in (streams[name],)
        ),
        tuple(
            _port(stream.consumer, stream)
            for name in _names(model.graph.output)
            for stream in (streams[name],)
        ),
        tuple(
            Layer(
                node.name,
                node.op_type,
                known[node.name].module,
                tuple(streams[tensor].name for tensor in node.input if tensor in streams),
                tuple(streams[tensor].name for tensor in node.output),
            )
            for node in nodes
            if not graph.is_fifo(node)
        ),
        tuple(
            Fifo(
                node.name,
                int(layer_of(node).get_nodeattr("depth")),
                streams[node.input[0]].width,
                into[node.name][0].producer,
                out[node.name][0].consumer,
            )
            for node in nodes
            if graph.is_fifo(node)
        ),
        tuple(streams.values()),
        (*sources.in_order(layers), f"{TOP}.sv"),
        tuple(dict.fromkeys(name for layer in layers for name in layer.data)),
        tuple(head),
        tuple(tail),
    )


def _streams(step: str, model: ModelWrapper) -> dict[str, Stream]:
    """Tensor -> its stream, in the order of the graph: of each input, then of each node's outputs."""
    found = {}
    outputs = {name: f"out{index}_V" for index, name in enumerate(_names(model.graph.output))}
    for index, tensor in enumerate(_names(model.graph.input)):
        consumer = _consumer(step, model, tensor, outputs)
        node = next(node for node in model.graph.node if node.name == consumer)
        place = list(node.input).index(tensor)
        layer = layer_of(node)
        found[tensor] = _stream(
            model,
            tensor,
            f"in{index}",
            (f"in{index}_V", consumer),
            layer.get_folded_input_shape(place),
            layer.get_instream_width_padded(place),
        )
    for node in model.transform(_sort()).graph.node:
        layer = layer_of(node)
        for place, tensor in enumerate(node.output):
            found[tensor] = _stream(
                model,
                tensor,
                f"{node.name}_out{place}",
                (node.name, _consumer(step, model, tensor, outputs)),
                layer.get_folded_output_shape(place),
                layer.get_outstream_width_padded(place),
            )
    return found


def _stream(
    model: ModelWrapper, tensor: str, name: str, ends: tuple[str, str], folded: Iterable[Any], width: Any
) -> Stream:
    shape = tuple(int(size) for size in folded)
    beats = 1
    for size in shape[:-1]:
        beats *= size
    return Stream(
        name,
        tensor,
        int(width),
        beats,
        model.get_tensor_datatype(tensor).name,
        shape,
        tuple(int(size) for size in model.get_tensor_shape(tensor)),
        *ends,
    )


def _consumer(step: str, model: ModelWrapper, tensor: str, outputs: Mapping[str, str]) -> str:
    """The node or output port that a stream leads to; exactly one. Raises StepError."""
    found = [str(node.name) for node in model.graph.node if tensor in node.input]
    found += [outputs[tensor]] if tensor in outputs else []
    if len(found) != 1:
        producer = model.find_producer(tensor)
        raise StepError(
            step,
            f"the stream {tensor} of {'the input' if producer is None else producer.name} leads to "
            + (" and ".join(found) or "nothing"),
            category="kernel",
            cure="Copy the stream with FINN's InferDuplicateStreamsLayer."
            if found
            else "Take the layer out.",
        )
    return found[0]


def _port(name: str, stream: Stream) -> Port:
    return Port(
        name, stream.tensor, stream.width, stream.beats, stream.datatype, stream.folded_shape, stream.shape
    )


def render(design: Design, layers: Sequence[LayerSources]) -> str:
    """The text of the top module."""
    known = {layer.name: layer for layer in layers}
    into = {stream.consumer: stream for stream in design.streams}
    out = {stream.producer: stream for stream in design.streams}
    return rendering.render(
        _TEMPLATE,
        top=design.top,
        inputs=[(port, out[port.name]) for port in design.inputs],
        outputs=[(port, into[port.name]) for port in design.outputs],
        busses=[port.name for port in (*design.inputs, *design.outputs)],
        streams=design.streams,
        fifos=[(fifo, into[fifo.name], out[fifo.name]) for fifo in design.fifos],
        instances=[
            Instance(layer, known[layer.name], _pins(layer, known[layer.name], design))
            for layer in design.layers
        ],
        observe=designs.OBSERVE,
    )


def _pins(layer: Layer, found: LayerSources, design: Design) -> tuple[tuple[str, str], ...]:
    """Pin -> net of all inputs of a module and of its streams; inputs that are neither are 0."""
    pins = dict.fromkeys(found.pins, "'0") | {name: _CLOCKS[name] for name in found.pins if name in _CLOCKS}
    nets = dict(zip(found.inputs, layer.inputs, strict=True))
    nets |= {f"out{index}_V": name for index, name in enumerate(layer.outputs)}
    if found.weights is not None:
        nets[_WEIGHTS] = f"{layer.name}_weights"
    for port, name in nets.items():
        pins |= {f"{port}_T{pin.upper()}": f"{name}_{pin}" for pin in ("data", "valid", "ready")}
    return tuple(pins.items())


def _names(values: Iterable[Any]) -> list[str]:
    return [str(value.name) for value in values]


def _by(streams: Iterable[Stream], key: Any) -> dict[str, list[Stream]]:
    found: dict[str, list[Stream]] = {}
    for stream in streams:
        found.setdefault(key(stream), []).append(stream)
    return found


def _sort() -> Any:
    return importlib.import_module("qonnx.transformation.general").SortGraph()
