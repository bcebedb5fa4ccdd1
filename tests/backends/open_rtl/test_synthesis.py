from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from finnmake.backends.open_rtl import synthesis, tools
from finnmake.backends.open_rtl.design import Design, Fifo, Layer
from finnmake.backends.open_rtl.patches import patched
from finnmake.backends.open_rtl.yosys import run as yosys
from finnmake.backends.open_rtl.yosys.resources import KINDS, Resources, of_cells, total
from finnmake.engine.parts import Parts
from finnmake.errors import StepError, ToolError
from tests.backends.open_rtl.test_patches import rtllib

_BENCHES = Path(__file__).parent / "benches"
_XC7, _XCUP = "xc7z020clg400-1", "xczu3eg-sbva484-1-e"

#: A layer as FINN's wrappers are: of its own name, with its data; its memory has one port.
_LAYER = """module NAME(input ap_clk, input [11:0] in0_V_TDATA, input in0_V_TVALID,
	output [15:0] out0_V_TDATA);
	logic signed [7:0] rom[16];
	initial $readmemh("./NAME_table.dat", rom);
	(* ram_style = "distributed" *) logic [1:0] ram[512];
	logic signed [7:0] factor;
	always_ff @(posedge ap_clk) begin
		factor <= rom[in0_V_TDATA[3:0]];
		if(in0_V_TVALID) ram[in0_V_TDATA[8:0]] <= in0_V_TDATA[11:10];
	end
	assign out0_V_TDATA = factor * $signed({1'b0, ram[in0_V_TDATA[8:0]], in0_V_TDATA[3:0]});
endmodule
"""

_FIFO = (
    '\tfifo #(.DEPTH({depth}), .DATA_WIDTH(16), .RAM_STYLE("auto")) {name} (.clk(ap_clk), .rst(!ap_rst_n), '
    ".idat({before}), .ivld(valid), .irdy(), .odat({behind}), .ovld(), .ordy(ready), "
    ".count(), .maxcount());\n"
)

_TOP = """module finn_top(input ap_clk, input ap_rst_n, input [11:0] in0, input valid, input ready,
	output [15:0] out0);
	wire [15:0] a, b, c, d;
	layer_0 layer_0 (.ap_clk, .in0_V_TDATA(in0), .in0_V_TVALID(valid), .out0_V_TDATA(a));
	layer_1 layer_1 (.ap_clk, .in0_V_TDATA(b[11:0] ^ b[15:4]), .in0_V_TVALID(valid), .out0_V_TDATA(c));
%FIFOS%endmodule
"""


def _stitched(folder: Path) -> Design:
    """Two layers, equal but for their names, and three FIFOs, of which two are equal."""
    (folder / "fifo.sv").write_text(patched("fifo.sv", (rtllib() / "fifo/hdl/fifo.sv").read_text()))
    for name in ("layer_0", "layer_1"):
        (folder / f"{name}.sv").write_text(_LAYER.replace("NAME", name))
        (folder / f"{name}_table.dat").write_text("".join(f"{17 * value % 256:02x}\n" for value in range(16)))
    fifos = (
        _FIFO.format(name="fifo_0", depth=32, before="a", behind="b")
        + _FIFO.format(name="fifo_1", depth=32, before="c", behind="d")
        + _FIFO.format(name="fifo_2", depth=600, before="d", behind="out0")
    )
    (folder / "finn_top.sv").write_text(_TOP.replace("%FIFOS%", fifos))
    return Design(
        "finn_top",
        (),
        (),
        tuple(Layer(name, "Layer_rtl", name, (), ()) for name in ("layer_0", "layer_1")),
        tuple(
            Fifo(name, depth, 16, "", "") for name, depth in (("fifo_0", 32), ("fifo_1", 32), ("fifo_2", 600))
        ),
        (),
        ("fifo.sv", "layer_0.sv", "layer_1.sv", "finn_top.sv"),
        ("layer_0_table.dat", "layer_1_table.dat"),
        (),
        (),
    )


@pytest.mark.slow
def test_equal_instances_are_synthesised_once_and_results_are_kept_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, kept = tmp_path / "design", Parts(tmp_path / "kept")
    folder.mkdir()
    design = _stitched(folder)
    first = synthesis.by_layer(design, folder, _XC7, tmp_path / "log", kept=kept, at_once=2)
    assert first.equal == (("fifo_0", "fifo_1"), ("layer_0", "layer_1"))
    assert len(list(kept.folder.iterdir())) == 3
    assert first.total == total([*first.layers.values(), *first.fifos.values()])
    # 32 words are 16 shift registers and an output register, not 500 flip-flops; 600 words are a block RAM.
    assert first.fifos["fifo_0"].FF < 40 and 16 < first.fifos["fifo_0"].LUT < 60
    assert first.fifos["fifo_2"].BRAM_18K == 1
    assert first.layers["layer_0"].DSP == 1

    def refused(*_: object) -> None:
        raise AssertionError("synthesised again")

    monkeypatch.setattr(synthesis, "_synthesise", refused)
    again = synthesis.by_layer(design, folder, _XC7, tmp_path / "log", kept=kept)
    assert json.dumps(again.as_dict()) == json.dumps(first.as_dict())
    # A change of one FIFO's depth leaves nothing to do but that FIFO; of another part, all.
    top = folder / "finn_top.sv"
    top.write_text(top.read_text().replace("600", "601"))
    with pytest.raises(AssertionError, match="synthesised again"):
        synthesis.by_layer(design, folder, _XC7, tmp_path / "log", kept=kept)


@pytest.mark.slow
def test_single_port_memory_in_luts_is_mapped_for_ultrascale_plus_and_flat_is_near_by_layer(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "design"
    folder.mkdir()
    design = _stitched(folder)
    flat = synthesis.flat(design, folder, _XCUP, tmp_path / "log")
    layers = synthesis.by_layer(design, folder, _XCUP, tmp_path / "log", at_once=2)
    assert layers.layers["layer_0"].LUT >= 16  # two memories of 512 bits
    assert flat.as_dict()["source"] == f"synthesis by Yosys {yosys.version()}, flat"
    assert flat.as_dict()["fmax_mhz"] is None
    assert flat.total.BRAM_18K == layers.total.BRAM_18K == 1
    assert flat.total.DSP == layers.total.DSP == 2
    assert 0.8 <= flat.total.FF / layers.total.FF <= 1.2
    assert 0.6 <= flat.total.LUT / layers.total.LUT <= 1.5


@pytest.mark.slow
def test_the_netlist_of_a_fifo_with_shift_registers_does_what_its_rtl_does(
    tmp_path: Path, runtime: Parts
) -> None:
    (tmp_path / "fifo.sv").write_text(patched("fifo.sv", (rtllib() / "fifo/hdl/fifo.sv").read_text()))
    for name in ("rtl", "synthetic"):
        ports = "input clk, input rst, input [15:0] idat, input ivld, output irdy, output [15:0] odat, "
        (tmp_path / f"{name}.sv").write_text(
            f"module {name}({ports} output ovld, input ordy);\n"
            "\tfifo #(.DEPTH(20), .DATA_WIDTH(16)) u (.clk, .rst, .idat, .ivld, .irdy, .odat, .ovld, .ordy, "
            ".count(), .maxcount());\nendmodule\n"
        )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    commands = yosys.synthesise(["fifo.sv", "synthetic.sv"], "synthetic", yosys.Target("xc7"))
    commands.append("write_verilog -noattr netlist.v")
    yosys.run(yosys.prepare(), {"fifo": commands}, tmp_path, scratch, tmp_path / "log")
    assert "SRLC32E" in (tmp_path / "netlist.v").read_text()
    cells = scratch / "share/xilinx/cells_sim.v"
    sources = ("fifo.sv", "rtl.sv", "netlist.v", cells, _BENCHES / "netlist_bench.sv")
    main = _BENCHES / "clock.cpp"
    binary = tools.verilate(sources, "top", main, tmp_path, cwd=tmp_path, optimise="-O0", runtime=runtime)
    done = subprocess.run([binary, "4000"], capture_output=True, text=True, check=True)
    counts = {name: int(count) for name, count in (word.split() for word in done.stdout.strip().split(", "))}
    assert counts["delivered"] > 1000 and counts["full"] > 100 and counts["wrong"] == 0


def test_what_yosys_refuses_is_told_with_the_instance_and_the_log(tmp_path: Path) -> None:
    design = _stitched(tmp_path)
    broken = _LAYER.replace("NAME", "layer_1").replace("endmodule", "\tinitial missing(1);\nendmodule")
    (tmp_path / "layer_1.sv").write_text(broken)
    with pytest.raises(StepError) as raised:
        synthesis.by_layer(design, tmp_path, _XC7, tmp_path / "log")
    assert "layer_1.sv" in raised.value.message and "missing" in (tmp_path / "log").read_text()
    assert raised.value.category == "synthesis" and raised.value.log == tmp_path / "log"


@pytest.mark.parametrize(
    ("part", "family"),
    [
        (_XC7, "xc7"),
        ("xc7a35tcpg236-1", "xc7"),
        ("xc7k325tffg900-2", "xc7"),
        (_XCUP, "xcup"),
        ("xcu250-figd2104-2L-e", "xcup"),
        ("xcu55c-fsvh2892-2L-e", "xcup"),
        ("xck26-sfvc784-2LV-c", "xcup"),
        ("xcvu9p-flga2104-2-i", "xcup"),
        ("xcku5p-ffva676-2-e", "xcup"),
        ("xcau25p-sfvb784-2-e", "xcup"),
        ("xcku040-ffva1156-2-e", "xcu"),
        ("xcvu095-ffva2104-2-e", "xcu"),
    ],
)
def test_the_family_follows_from_the_part(part: str, family: str) -> None:
    assert synthesis.target(part).family == family


def test_ultraram_is_for_devices_that_have_it() -> None:
    assert synthesis.target("xczu7ev-ffvc1156-2-e", uram=True).uram
    assert not synthesis.target(_XCUP).uram
    assert not synthesis.target(_XC7, uram=True).uram


@pytest.mark.parametrize("part", ["xcvc1902-vsva2197-2MP-e-S", "xc6slx9-2", "10cx220"])
def test_parts_that_yosys_does_not_know_are_refused(part: str) -> None:
    with pytest.raises(ToolError, match=f"Yosys cannot synthesise for {part}"):
        synthesis.target(part)


def test_cells_are_counted_by_what_they_take() -> None:
    cells = {"LUT6": 3, "LUT2": 2, "SRL16E": 4, "RAM32M": 1, "RAM64M8": 1, "INV": 1, "MUXF7": 9, "LUT6_2": 1}
    cells |= {"FDRE": 5, "FDSE": 1, "RAMB18E1": 1, "RAMB36E2": 2, "DSP48E1": 1, "CARRY4": 7}
    assert of_cells(cells) == Resources(LUT=23, FF=6, DSP=1, BRAM_18K=5, URAM=0, CARRY=7)


def test_yosys_knows_all_cells_that_are_counted_and_few_others(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    listed = tmp_path / "cells"
    yosys.run([*yosys.prepare(), f"tee -q -o {listed} ls =*"], {}, tmp_path, scratch, tmp_path / "log")
    declared = set(listed.read_text().split())
    assert declared >= KINDS
    assert "RAMB4_S1" not in declared


def test_a_cell_that_is_not_known_is_not_left_out() -> None:
    with pytest.raises(ValueError, match="unknown kind: GTHE4"):
        of_cells({"GTHE4": 1, "LUT2": 1})
