// Joins vectors: BEATS0 beats of in0, then BEATS1 of in1 and so on for INPUTS ports, and again from the first.
//
// A beat has SIMD values, the first in the low bits; each becomes as wide as the output's, by its own input's sign.
// One beat a cycle. The other ports are unused.
module open_concat #(
    parameter int INPUTS = 2,   // 1 to 4
    parameter int SIMD = 1,
    parameter int OUT_BITS = 8,
    parameter int BITS0 = 1, parameter bit SIGNED0 = 0, parameter int BEATS0 = 1,
    parameter int BITS1 = 1, parameter bit SIGNED1 = 0, parameter int BEATS1 = 1,
    parameter int BITS2 = 1, parameter bit SIGNED2 = 0, parameter int BEATS2 = 1,
    parameter int BITS3 = 1, parameter bit SIGNED3 = 0, parameter int BEATS3 = 1
) (
    input  logic ap_clk,
    input  logic ap_rst_n,
    input  logic [((SIMD*BITS0+7)/8)*8-1:0]  in0_V_TDATA, input logic in0_V_TVALID, output logic in0_V_TREADY,
    input  logic [((SIMD*BITS1+7)/8)*8-1:0]  in1_V_TDATA, input logic in1_V_TVALID, output logic in1_V_TREADY,
    input  logic [((SIMD*BITS2+7)/8)*8-1:0]  in2_V_TDATA, input logic in2_V_TVALID, output logic in2_V_TREADY,
    input  logic [((SIMD*BITS3+7)/8)*8-1:0]  in3_V_TDATA, input logic in3_V_TVALID, output logic in3_V_TREADY,
    output logic [((SIMD*OUT_BITS+7)/8)*8-1:0]  out0_V_TDATA,
    output logic                                out0_V_TVALID,
    input  logic                                out0_V_TREADY
);
    localparam logic [3:0] USED = 4'((1 << INPUTS) - 1);
    localparam int LONG01 = BEATS0 > BEATS1 ? BEATS0 : BEATS1;
    localparam int LONG23 = BEATS2 > BEATS3 ? BEATS2 : BEATS3;
    localparam int LONGEST = LONG01 > LONG23 ? LONG01 : LONG23;

    logic [3:0] vector;                   // one bit: of the input whose vector it is
    wire [3:0] turn = vector & USED;
    logic [$clog2(LONGEST+1)-1:0] beat;   // of this vector
    wire [3:0] last = {int'(beat) == BEATS3 - 1, int'(beat) == BEATS2 - 1,
                       int'(beat) == BEATS1 - 1, int'(beat) == BEATS0 - 1};
    wire free = !out0_V_TVALID || out0_V_TREADY;
    wire [3:0] valid = {in3_V_TVALID, in2_V_TVALID, in1_V_TVALID, in0_V_TVALID};
    wire take = free && (valid & turn) != 0;
    assign {in3_V_TREADY, in2_V_TREADY, in1_V_TREADY, in0_V_TREADY} = turn & {4{free}};

    logic [SIMD*OUT_BITS-1:0] wide;
    for (genvar i = 0; i < SIMD; i++) begin : lane
        wire [BITS0-1:0] a = in0_V_TDATA[i*BITS0 +: BITS0];
        wire [BITS1-1:0] b = in1_V_TDATA[i*BITS1 +: BITS1];
        wire [BITS2-1:0] c = in2_V_TDATA[i*BITS2 +: BITS2];
        wire [BITS3-1:0] d = in3_V_TDATA[i*BITS3 +: BITS3];
        assign wide[i*OUT_BITS +: OUT_BITS] =
            turn[0] ? OUT_BITS'($signed({SIGNED0 && a[BITS0-1], a})) :
            turn[1] ? OUT_BITS'($signed({SIGNED1 && b[BITS1-1], b})) :
            turn[2] ? OUT_BITS'($signed({SIGNED2 && c[BITS2-1], c})) :
                      OUT_BITS'($signed({SIGNED3 && d[BITS3-1], d}));
    end

    always_ff @(posedge ap_clk) begin
        if (take) out0_V_TDATA <= $bits(out0_V_TDATA)'(wide);
        if (!ap_rst_n) begin
            vector <= 1;
            beat <= 0;
            out0_V_TVALID <= 0;
        end else begin
            if (free) out0_V_TVALID <= take;
            if (take) begin
                beat <= (last & turn) != 0 ? 0 : beat + 1;
                if ((last & turn) != 0) vector <= turn[INPUTS-1] ? 1 : turn << 1;
            end
        end
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        out0_V_TVALID && !out0_V_TREADY |=> out0_V_TVALID && $stable(out0_V_TDATA));
`endif
endmodule
