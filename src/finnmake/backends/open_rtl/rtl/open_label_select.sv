// The labels (indices) of the K greatest of LABELS values, the greatest first; of equal values the lowest label first.
//
// A beat has PE values, the first in the low bits; label i belongs to the i-th value of a vector. The K labels leave
// in a beat each, from the cycle after the last value on; meanwhile the next vector comes in. One beat a cycle.
module open_label_select #(
    parameter int IN_BITS = 8,
    parameter bit IN_SIGNED = 0,
    parameter int OUT_BITS = 8,  // wide enough for LABELS - 1
    parameter int PE = 1,
    parameter int LABELS = 10,   // a multiple of PE
    parameter int K = 1
) (
    input  logic                             ap_clk,
    input  logic                             ap_rst_n,
    input  logic [((PE*IN_BITS+7)/8)*8-1:0]  in0_V_TDATA,
    input  logic                             in0_V_TVALID,
    output logic                             in0_V_TREADY,
    output logic [((OUT_BITS+7)/8)*8-1:0]    out0_V_TDATA,
    output logic                             out0_V_TVALID,
    input  logic                             out0_V_TREADY
);
    localparam int BITS = $clog2(LABELS+1);
    localparam logic [IN_BITS-1:0] SIGN = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);

    // `rank` is the value as an unsigned number under a leading 1. An empty place has rank 0: less than any value.
    typedef struct packed {
        logic [IN_BITS:0] rank;
        logic [BITS-1:0] label;
    } place_t;

    place_t [K-1:0] best, next;  // sorted, the greatest first
    place_t candidate;
    logic [BITS-1:0] label;      // of the first value of this beat
    wire last = int'(label) == LABELS - PE;
    wire take = in0_V_TVALID && in0_V_TREADY;

    always_comb begin
        next = label == 0 ? '0 : best;
        candidate = '0;
        for (int i = 0; i < PE; i++) begin
            candidate.rank = {1'b1, in0_V_TDATA[i*IN_BITS +: IN_BITS] ^ SIGN};
            candidate.label = label + BITS'(i);
            // An equal value stays in front, as its label is lower.
            for (int j = K - 1; j > 0; j--)
                if (candidate.rank > next[j-1].rank) next[j] = next[j-1];
                else if (candidate.rank > next[j].rank) next[j] = candidate;
            if (candidate.rank > next[0].rank) next[0] = candidate;
        end
    end

    logic [K-1:0][BITS-1:0] leaving;   // the next one in place 0
    logic [$clog2(K+1)-1:0] waiting;
    wire give = out0_V_TVALID && out0_V_TREADY;
    assign out0_V_TVALID = waiting != 0;
    assign out0_V_TDATA = $bits(out0_V_TDATA)'(leaving[0]);
    assign in0_V_TREADY = !last || waiting == 0 || (waiting == 1 && out0_V_TREADY);

    always_ff @(posedge ap_clk) begin
        if (take) best <= next;
        if (take && last) for (int j = 0; j < K; j++) leaving[j] <= next[j].label;
        else if (give) leaving <= leaving >> BITS;
        if (!ap_rst_n) begin
            label <= 0;
            waiting <= 0;
        end else begin
            if (take) label <= last ? 0 : label + BITS'(PE);
            if (take && last) waiting <= $bits(waiting)'(K);
            else if (give) waiting <= waiting - 1;
        end
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        out0_V_TVALID && !out0_V_TREADY |=> out0_V_TVALID && $stable(out0_V_TDATA));
`endif
endmodule
