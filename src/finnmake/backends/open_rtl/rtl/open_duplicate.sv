// Each beat leaves through all of the first OUTPUTS ports, through each as soon as its receiver takes it.
//
// The next beat is taken once all have the last one: one beat a cycle if no receiver waits. The other ports are unused.
module open_duplicate #(
    parameter int BITS = 8,    // of a beat without padding
    parameter int OUTPUTS = 2  // 1 to 8
) (
    input  logic                       ap_clk,
    input  logic                       ap_rst_n,
    input  logic [((BITS+7)/8)*8-1:0]  in0_V_TDATA,
    input  logic                       in0_V_TVALID,
    output logic                       in0_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out0_V_TDATA, output logic out0_V_TVALID, input logic out0_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out1_V_TDATA, output logic out1_V_TVALID, input logic out1_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out2_V_TDATA, output logic out2_V_TVALID, input logic out2_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out3_V_TDATA, output logic out3_V_TVALID, input logic out3_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out4_V_TDATA, output logic out4_V_TVALID, input logic out4_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out5_V_TDATA, output logic out5_V_TVALID, input logic out5_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out6_V_TDATA, output logic out6_V_TVALID, input logic out6_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out7_V_TDATA, output logic out7_V_TVALID, input logic out7_V_TREADY
);
    localparam logic [7:0] USED = 8'((1 << OUTPUTS) - 1);

    logic [BITS-1:0] beat;
    logic [7:0] owed;     // ports whose receiver has not taken the beat yet
    wire [7:0] waiting = owed & USED;
    wire [7:0] ready = {out7_V_TREADY, out6_V_TREADY, out5_V_TREADY, out4_V_TREADY,
                        out3_V_TREADY, out2_V_TREADY, out1_V_TREADY, out0_V_TREADY};
    wire [7:0] left = waiting & ~ready;
    wire take = in0_V_TVALID && in0_V_TREADY;
    assign in0_V_TREADY = left == 0;
    assign {out7_V_TVALID, out6_V_TVALID, out5_V_TVALID, out4_V_TVALID,
            out3_V_TVALID, out2_V_TVALID, out1_V_TVALID, out0_V_TVALID} = waiting;
    assign out0_V_TDATA = $bits(out0_V_TDATA)'(beat);
    assign out1_V_TDATA = out0_V_TDATA;
    assign out2_V_TDATA = out0_V_TDATA;
    assign out3_V_TDATA = out0_V_TDATA;
    assign out4_V_TDATA = out0_V_TDATA;
    assign out5_V_TDATA = out0_V_TDATA;
    assign out6_V_TDATA = out0_V_TDATA;
    assign out7_V_TDATA = out0_V_TDATA;

    always_ff @(posedge ap_clk) begin
        if (take) beat <= in0_V_TDATA[BITS-1:0];
        if (!ap_rst_n) owed <= 0;
        else owed <= take ? USED : left;
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        left != 0 |=> (waiting & $past(left)) == $past(left) && $stable(beat));
`endif
endmodule
