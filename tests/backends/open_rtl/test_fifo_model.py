"""The model of FINN's FIFO equals FINN's FIFO, cycle by cycle."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from finnmake.backends.open_rtl import tools
from finnmake.backends.open_rtl.simulate import FIFO_MODEL
from finnmake.engine.parts import Parts

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: Depth, width, memory: each of FINN's machines, just before and behind where it changes to another.
CASES = [
    *((depth, 8, "auto") for depth in (2, 4, 5, 6, 33, 34, 64, 65, 257, 258, 513, 514, 700, 2028, 2029)),
    *((depth, 16, "auto") for depth in (34, 64, 4200, 9000)),
    *((depth, 4, "auto") for depth in (300, 2100)),
    *((100, 8, style) for style in ("shift", "distributed", "block", "ultra")),
]

_PAIR = """
module pair #(parameter DEPTH, parameter WIDTH, parameter STYLE) (
  input clk, input rst, input [31:0] seed, output logic wrong = 0, output logic full = 0);
  logic [31:0] state = 0, sent = 0, cycle = 0;
  logic [WIDTH-1:0] a_data, b_data;
  wire a_ready, b_ready, a_valid, b_valid;
  wire [31:0] a_count, b_count, a_most, b_most;
  // By turns more comes than goes, more goes than comes, and as much.
  wire [1:0] turn = cycle[15:14];
  wire valid = state[3:0] < (turn == 0? 15 : turn == 1? 5 : 10);
  wire ready = state[7:4] < (turn == 0? 4 : turn == 1? 15 : 10);
  logic offered = 0;
  wire ivld = valid || offered;
  finn_fifo #(.DEPTH(DEPTH), .DATA_WIDTH(WIDTH), .RAM_STYLE(STYLE)) a (.clk, .rst, .idat(sent[WIDTH-1:0]),
    .ivld, .irdy(a_ready), .odat(a_data), .ovld(a_valid), .ordy(ready), .count(a_count), .maxcount(a_most));
  fifo #(.DEPTH(2), .DATA_WIDTH(WIDTH), .RAM_STYLE(STYLE)) b (.clk, .rst, .idat(sent[WIDTH-1:0]),
    .ivld, .irdy(b_ready), .odat(b_data), .ovld(b_valid), .ordy(ready), .count(b_count), .maxcount(b_most));
  always_ff @(posedge clk) begin
    cycle <= cycle + 1;
    state <= rst? seed : {state[30:0], state[31] ^ state[21] ^ state[1] ^ state[0]};
    offered <= !rst && ivld && !a_ready;
    if(!rst && ivld && a_ready) sent <= sent + 1;
    if(!rst) begin
      full <= full || !a_ready;
      wrong <= wrong || a_ready != b_ready || a_valid != b_valid || a_count != b_count || a_most != b_most
        || (a_valid && a_data != b_data);
    end
  end
endmodule
"""

_MAIN = """
#include "Vpairs.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
static const int kDepths[] = {%s};
extern "C" int finnmake_fifo_depth(const char* path, int) {
  const char* at = std::strstr(path, "pair_");
  return at == nullptr ? -1 : kDepths[std::atoi(at + 5)];
}
int main() {
  Vpairs top;
  for (int cycle = 0; cycle < 65536; ++cycle) {
    top.rst = cycle < 4;
    top.clk = 0; top.eval();
    top.clk = 1; top.eval();
  }
  std::printf("%%llx %%llx\\n", (unsigned long long)top.wrong, (unsigned long long)top.full);
}
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> tuple[int, int]:
    """Of each case a bit: whether model and FINN's FIFO differed; whether the FIFO was ever full."""
    import finn

    from finnmake.backends.open_rtl.patches import patched

    folder = tmp_path_factory.mktemp("fifo")
    file = Path(finn.__file__).parent / "finn-rtllib/fifo/hdl/fifo.sv"
    text = patched("fifo.sv", file.read_text())
    (folder / "finn_fifo.sv").write_text(
        text.replace("module fifo ", "module finn_fifo ")
        .replace("\tfifo #(", "\tfinn_fifo #(")
        .replace("endmodule : fifo", "endmodule : finn_fifo")
    )
    pairs = "\n".join(
        f'  pair #({depth}, {width}, "{style}") pair_{k} (clk, rst, {7919 * k + 1}, wrong[{k}], full[{k}]);'
        for k, (depth, width, style) in enumerate(CASES)
    )
    last = len(CASES) - 1
    ports = f"input clk, input rst, output [{last}:0] wrong, output [{last}:0] full"
    (folder / "pairs.sv").write_text(f"{_PAIR}\nmodule pairs ({ports});\n{pairs}\nendmodule\n")
    (folder / "main.cpp").write_text(_MAIN % ", ".join(str(depth) for depth, _, _ in CASES))
    binary = tools.verilate(
        ("finn_fifo.sv", FIFO_MODEL, "pairs.sv"),
        "pairs",
        folder / "main.cpp",
        folder / "build",
        cwd=folder,
        optimise="-O1",
        runtime=runtime,
    )
    said = subprocess.run([binary], capture_output=True, text=True, check=True).stdout.split()
    return int(said[0], 16), int(said[1], 16)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda k: "-".join(map(str, CASES[k])))
def test_model_equals_finns_fifo_in_every_cycle(outcome: tuple[int, int], case: int):
    wrong, full = outcome
    assert full >> case & 1, "the stimuli never fill it"
    assert not wrong >> case & 1
