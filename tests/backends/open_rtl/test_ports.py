"""Pins of modules, as FINN's templates and ours write them."""

from __future__ import annotations

import pytest

from finnmake.backends.open_rtl import library
from finnmake.backends.open_rtl.ports import input_pins
from finnmake.errors import StepError

HEADER = """
module other (input wire no, output wire neither);
	always @(*) begin end
endmodule
module core import a_pkg::*; import b_pkg::b; #(
	parameter  WIDTH = 8, // input not_this,
	localparam  N = f(1, 2)
)(
	(* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V, ASSOCIATED_RESET ap_rst_n" *)
	input	ap_clk, ap_rst_n,
	/* input	commented, */
	output	in0_V_TREADY,
	input	in0_V_TVALID,
	input	[((WIDTH+7)/8)*8-1:0]  in0_V_TDATA,
	input  logic signed [N-1:0][WIDTH-1:0]  last
);
	input  inner;
endmodule
"""


def test_the_inputs_of_the_module_that_is_asked_for() -> None:
    assert input_pins(HEADER, "core") == ("ap_clk", "ap_rst_n", "in0_V_TVALID", "in0_V_TDATA", "last")
    assert input_pins(HEADER, "other") == ("no",)


@pytest.mark.parametrize("name", ["cor", "missing", "inner"])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(StepError, match=f"module {name} cannot be read"):
        input_pins(HEADER, name)


@pytest.mark.parametrize("path", sorted(library.RTL.glob("open_*.sv")), ids=lambda path: path.stem)
def test_our_modules_have_a_stream_in_and_a_clock(path) -> None:
    pins = input_pins(path.read_text(), path.stem)
    assert {"ap_clk", "ap_rst_n", "in0_V_TDATA", "in0_V_TVALID", "out0_V_TREADY"} <= set(pins)
