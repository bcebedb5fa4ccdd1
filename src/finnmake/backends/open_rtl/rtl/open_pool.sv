// Pooling: of WINDOW values a channel the maximum, the sum, the sum shifted right, or the average rounded towards zero.
//
// A beat has the values of PE channels, the first in the low bits. Beats come as [WINDOW][FOLDS] and leave as [FOLDS]:
// with FOLDS = 1 each window comes whole, as from FINN's depthwise sliding window; with FOLDS = channels / PE a window
// is all pixels of an image. One beat a cycle; a result leaves in the cycle after its last value.
module open_pool #(
    parameter FUNCTION = "MAX",  // "MAX", "SUM", "SHIFT" or "MEAN"
    parameter int IN_BITS = 4,
    parameter bit IN_SIGNED = 0,
    parameter int OUT_BITS = 4,  // wide enough for the result
    parameter int PE = 1,
    parameter int WINDOW = 4,
    parameter int FOLDS = 1,
    parameter int SHIFT = 0      // of the sum, for "SHIFT"
) (
    input  logic                              ap_clk,
    input  logic                              ap_rst_n,
    input  logic [((PE*IN_BITS+7)/8)*8-1:0]   in0_V_TDATA,
    input  logic                              in0_V_TVALID,
    output logic                              in0_V_TREADY,
    output logic [((PE*OUT_BITS+7)/8)*8-1:0]  out0_V_TDATA,
    output logic                              out0_V_TVALID,
    input  logic                              out0_V_TREADY
);
    // An accumulator holds any sum of WINDOW values. Calculation has a bit more, so that it is signed for all inputs.
    localparam int BITS = FUNCTION == "MAX" ? IN_BITS : IN_BITS + $clog2(WINDOW);

    logic [$clog2(WINDOW+1)-1:0] value;  // of the window
    logic [$clog2(FOLDS+1)-1:0] fold;
    wire first = value == 0;
    wire last = int'(value) == WINDOW - 1;
    wire take = in0_V_TVALID && in0_V_TREADY;
    assign in0_V_TREADY = !last || !out0_V_TVALID || out0_V_TREADY;

    // The accumulators go round, that of this beat is the last: no addresses, and shift registers in LUTs hold them.
    logic [FOLDS-1:0][PE*BITS-1:0] accumulators;
    logic [PE*BITS-1:0] kept;
    logic [PE*OUT_BITS-1:0] result;

    for (genvar i = 0; i < PE; i++) begin : lane
        wire [IN_BITS-1:0] fresh = in0_V_TDATA[i*IN_BITS +: IN_BITS];
        wire [BITS-1:0] held = accumulators[FOLDS-1][i*BITS +: BITS];
        wire signed [BITS:0] a = $signed({IN_SIGNED && fresh[IN_BITS-1], fresh});
        wire signed [BITS:0] b = $signed({IN_SIGNED && held[BITS-1], held});
        logic signed [BITS:0] c;
        if (FUNCTION == "MAX") begin : maximum
            assign c = first || a > b ? a : b;
        end else begin : sum
            assign c = first ? a : a + b;
        end
        logic signed [BITS:0] d;
        if (FUNCTION == "SHIFT") begin : shifted
            assign d = c >>> SHIFT;
        end else if (FUNCTION == "MEAN") begin : divided
            assign d = c / (BITS+1)'(WINDOW);
        end else begin : plain
            assign d = c;
        end
        assign kept[i*BITS +: BITS] = c[BITS-1:0];
        assign result[i*OUT_BITS +: OUT_BITS] = OUT_BITS'(d);
    end

    always_ff @(posedge ap_clk) begin
        if (take) begin
            accumulators <= (FOLDS*PE*BITS)'({accumulators, kept});
            if (last) out0_V_TDATA <= $bits(out0_V_TDATA)'(result);
        end
        if (!ap_rst_n) begin
            value <= 0;
            fold <= 0;
            out0_V_TVALID <= 0;
        end else begin
            if (out0_V_TREADY) out0_V_TVALID <= 0;
            if (take) begin
                if (last) out0_V_TVALID <= 1;
                fold <= int'(fold) == FOLDS - 1 ? 0 : fold + 1;
                if (int'(fold) == FOLDS - 1) value <= last ? 0 : value + 1;
            end
        end
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        out0_V_TVALID && !out0_V_TREADY |=> out0_V_TVALID && $stable(out0_V_TDATA));
`endif
endmodule
