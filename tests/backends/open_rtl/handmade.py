"""A small design by hand, with what is difficult: two inputs and outputs, odd widths, branches that join.

in0 goes two ways: by `hold_0`, which takes WINDOW beats before it gives one, and by a FIFO that has to hold
as many; `add_0` joins them, `scale_0` multiplies by the weights in `scale.dat`. in1 goes by `negate_0` alone,
which leaves ones in the padding, as FINN's layers do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl.design import Design, Fifo, Layer, Port, Stream

BEATS = 16
WINDOW = 8
WEIGHTS = (3, -5)

#: Depths of fifo_0 (beside hold_0), fifo_1 (behind it), fifo_2 and fifo_3. FINN's FIFO of 2 words holds 5.
DEPTHS = (16, 2, 2, 2)

_MODULES = """
module duplicate (input clk, input rst_n,
  input [7:0] in_data, input in_valid, output in_ready,
  output [7:0] a_data, output a_valid, input a_ready,
  output [7:0] b_data, output b_valid, input b_ready);
  logic a_done = 0, b_done = 0;
  assign a_data = in_data, b_data = in_data;
  assign a_valid = in_valid && !a_done, b_valid = in_valid && !b_done;
  assign in_ready = (a_done || a_ready) && (b_done || b_ready);
  always_ff @(posedge clk) begin
    a_done <= rst_n && in_valid && !in_ready && (a_done || a_ready);
    b_done <= rst_n && in_valid && !in_ready && (b_done || b_ready);
  end
endmodule

module hold #(parameter N) (input clk, input rst_n,
  input [7:0] in_data, input in_valid, output in_ready,
  output [7:0] out_data, output out_valid, input out_ready);
  logic [7:0] held[N];
  int unsigned count = 0;
  logic giving = 0;
  assign in_ready = !giving, out_valid = giving, out_data = held[count];
  always_ff @(posedge clk) begin
    if(!rst_n) begin count <= 0; giving <= 0; end
    else if(giving? out_ready : in_valid) begin
      if(!giving) held[count] <= in_data;
      count <= count == N-1? 0 : count + 1;
      if(count == N-1) giving <= !giving;
    end
  end
endmodule

module add (input [7:0] a_data, input a_valid, output a_ready,
  input [7:0] b_data, input b_valid, output b_ready,
  output [15:0] out_data, output out_valid, input out_ready);
  assign out_valid = a_valid && b_valid, a_ready = out_ready && b_valid, b_ready = out_ready && a_valid;
  assign out_data = {8'(a_data[7:4] + b_data[7:4]), 8'(a_data[3:0] + b_data[3:0])};
endmodule

module scale (input [15:0] in_data, input in_valid, output in_ready,
  output [31:0] out_data, output out_valid, input out_ready);
  logic signed [7:0] weights[2];
  initial $readmemh("scale.dat", weights);
  assign out_valid = in_valid, in_ready = out_ready;
  for(genvar k = 0; k < 2; k++) assign out_data[16*k +: 16] = $signed({1'b0, in_data[8*k +: 8]}) * weights[k];
endmodule

module negate (input [71:0] in_data, input in_valid, output in_ready,
  output [71:0] out_data, output out_valid, input out_ready);
  assign out_valid = in_valid, in_ready = out_ready;
  for(genvar k = 0; k < 5; k++) assign out_data[13*k +: 13] = -in_data[13*k +: 13];
  assign out_data[71:65] = '1;
endmodule
"""

_TOP = """
module finn_top (input ap_clk, input ap_rst_n,
  input [7:0] in0_V_TDATA, input in0_V_TVALID, output in0_V_TREADY,
  input [71:0] in1_V_TDATA, input in1_V_TVALID, output in1_V_TREADY,
  output [31:0] out0_V_TDATA, output out0_V_TVALID, input out0_V_TREADY,
  output [71:0] out1_V_TDATA, output out1_V_TVALID, input out1_V_TREADY
`ifdef FINNMAKE_OBSERVE
  , output [%LAST%:0] observe_valid, output [%LAST%:0] observe_ready
%PORTS%
`endif
);
%NETS%
  duplicate duplicate_0 (ap_clk, ap_rst_n, in0_data, in0_valid, in0_ready,
    short_data, short_valid, short_ready, long_data, long_valid, long_ready);
  hold #(%WINDOW%) hold_0 (ap_clk, ap_rst_n, long_data, long_valid, long_ready,
    held_data, held_valid, held_ready);
  add add_0 (short_q_data, short_q_valid, short_q_ready, held_q_data, held_q_valid, held_q_ready,
    sum_data, sum_valid, sum_ready);
  scale scale_0 (sum_q_data, sum_q_valid, sum_q_ready, out0_data, out0_valid, out0_ready);
  negate negate_0 (in1_q_data, in1_q_valid, in1_q_ready, out1_data, out1_valid, out1_ready);
%FIFOS%
  assign in0_data = in0_V_TDATA, in0_valid = in0_V_TVALID, in0_V_TREADY = in0_ready;
  assign in1_data = in1_V_TDATA, in1_valid = in1_V_TVALID, in1_V_TREADY = in1_ready;
  assign out0_V_TDATA = out0_data, out0_V_TVALID = out0_valid, out0_ready = out0_V_TREADY;
  assign out1_V_TDATA = out1_data, out1_V_TVALID = out1_valid, out1_ready = out1_V_TREADY;
`ifdef FINNMAKE_OBSERVE
%OBSERVED%
`endif
endmodule
"""

#: Name, producer, consumer, bits of an element, elements a beat, bits of TDATA, datatype, tensor.
_STREAMS = (
    ("in0", "in0_V", "duplicate_0", 2, 8, "UINT4", "in0"),
    ("in1", "in1_V", "fifo_3", 5, 72, "INT13", "in1"),
    ("short", "duplicate_0", "fifo_0", 2, 8, "UINT4", "in0"),
    ("long", "duplicate_0", "hold_0", 2, 8, "UINT4", "in0"),
    ("held", "hold_0", "fifo_1", 2, 8, "UINT4", "in0"),
    ("short_q", "fifo_0", "add_0", 2, 8, "UINT4", "in0"),
    ("held_q", "fifo_1", "add_0", 2, 8, "UINT4", "in0"),
    ("sum", "add_0", "fifo_2", 2, 16, "UINT8", "sum"),
    ("sum_q", "fifo_2", "scale_0", 2, 16, "UINT8", "sum"),
    ("out0", "scale_0", "out0_V", 2, 32, "INT16", "out0"),
    ("in1_q", "fifo_3", "negate_0", 5, 72, "INT13", "in1"),
    ("out1", "negate_0", "out1_V", 5, 72, "INT13", "out1"),
)

#: Name, stream in, stream out.
_FIFOS = (("fifo_0", "short", "short_q"), ("fifo_1", "held", "held_q"), ("fifo_2", "sum", "sum_q"))
_FIFOS += (("fifo_3", "in1", "in1_q"),)


def _shape(name: str, elements: int) -> tuple[int, ...]:
    return (1, 4 if name.startswith(("in1", "out1")) else BEATS, elements)


def design(depths: tuple[int, ...] = DEPTHS) -> Design:
    streams = tuple(
        Stream(
            name=name,
            tensor=tensor,
            producer=producer,
            consumer=consumer,
            width=width,
            beats=_shape(name, elements)[1],
            datatype=datatype,
            folded_shape=_shape(name, elements),
            shape=_shape(name, elements),
        )
        for name, producer, consumer, elements, width, datatype, tensor in _STREAMS
    )
    by_name = {stream.name: stream for stream in streams}

    def port(name: str) -> Port:
        at = by_name[name]
        return Port(f"{name}_V", at.tensor, at.width, at.beats, at.datatype, at.folded_shape, at.shape)

    def layer(name: str) -> Layer:
        ins = tuple(stream.name for stream in streams if stream.consumer == name)
        return Layer(
            name,
            f"{name[:-2].title()}_rtl",
            name[:-2],
            ins,
            tuple(stream.name for stream in streams if stream.producer == name),
        )

    return Design(
        top="finn_top",
        inputs=(port("in0"), port("in1")),
        outputs=(port("out0"), port("out1")),
        layers=tuple(map(layer, ("duplicate_0", "hold_0", "add_0", "scale_0", "negate_0"))),
        fifos=tuple(
            Fifo(name, depth, by_name[ahead].width, by_name[ahead].producer, by_name[behind].consumer)
            for (name, ahead, behind), depth in zip(_FIFOS, depths, strict=True)
        ),
        streams=streams,
        sources=("fifo.sv", "modules.sv", "finn_top.sv"),
        data=("scale.dat",),
        head=(),
        tail=(),
    )


def write(folder: Path, depths: tuple[int, ...] = DEPTHS, weights: tuple[int, int] = WEIGHTS) -> Design:
    """The design's folder. The FIFO is our model of FINN's."""
    made = design(depths)
    folder.mkdir(parents=True, exist_ok=True)
    model = Path(designs.__file__).parent / "sim/fifo.sv"
    (folder / "fifo.sv").write_bytes(model.read_bytes())
    (folder / "modules.sv").write_text(_MODULES)
    (folder / "scale.dat").write_text("".join(f"{weight & 0xFF:02x}\n" for weight in weights))
    (folder / "finn_top.sv").write_text(_top(made))
    designs.write(made, folder)
    return made


def _top(made: Design) -> str:
    order = [stream.name for stream in made.streams]
    nets = [
        f"  wire [{each.width - 1}:0] {each.name}_data; wire {each.name}_valid, {each.name}_ready;"
        for each in made.streams
    ]
    fifos, ports, observed = [], [], []
    for index, ((name, ahead, behind), each) in enumerate(zip(_FIFOS, made.fifos, strict=True)):
        fifos.append(
            f"  wire [31:0] {name}_fill, {name}_peak;\n"
            f"  fifo #(.DEPTH({each.depth}), .DATA_WIDTH({each.width})) {name} (ap_clk, !ap_rst_n,"
            f" {ahead}_data, {ahead}_valid, {ahead}_ready, {behind}_data, {behind}_valid, {behind}_ready,"
            f" {name}_fill, {name}_peak);"
        )
        ports.append(f"  , output [31:0] observe_fill_{index}, output [31:0] observe_peak_{index}")
        observed.append(f"  assign observe_fill_{index} = {name}_fill, observe_peak_{index} = {name}_peak;")
    for index, stream in enumerate(made.streams):
        ports.append(f"  , output [{stream.width - 1}:0] observe_data_{index}")
        observed.append(f"  assign observe_data_{index} = {stream.name}_data;")
    for kind in ("valid", "ready"):
        listed = ", ".join(f"{name}_{kind}" for name in reversed(order))
        observed.append(f"  assign observe_{kind} = {{{listed}}};")
    text = _TOP
    for mark, value in {
        "LAST": str(len(order) - 1),
        "WINDOW": str(WINDOW),
        "NETS": "\n".join(nets),
        "FIFOS": "\n".join(fifos),
        "PORTS": "\n".join(ports),
        "OBSERVED": "\n".join(observed),
    }.items():
        text = text.replace(f"%{mark}%", value)
    return text


def inputs(inferences: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random values of both inputs, a row an inference."""
    generator = np.random.default_rng(seed)
    return {
        "in0": generator.integers(0, 16, (inferences, BEATS, 2)),
        "in1": generator.integers(-(2**12) + 1, 2**12, (inferences, 4, 5)),
    }


def expected(fed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the design is to give, by tensor."""
    sums = 2 * fed["in0"]
    return {"in0": fed["in0"], "in1": fed["in1"], "sum": sums, "out0": sums * WEIGHTS, "out1": -fed["in1"]}
