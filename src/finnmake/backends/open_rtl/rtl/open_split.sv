// Parts a vector: its first BEATS0 beats leave through out0, the next BEATS1 through out1 and so on for OUTPUTS ports.
//
// One beat a cycle. The other ports are unused.
module open_split #(
    parameter int BITS = 8,     // of a beat without padding
    parameter int OUTPUTS = 2,  // 1 to 4
    parameter int BEATS0 = 1,
    parameter int BEATS1 = 1,
    parameter int BEATS2 = 1,
    parameter int BEATS3 = 1
) (
    input  logic                       ap_clk,
    input  logic                       ap_rst_n,
    input  logic [((BITS+7)/8)*8-1:0]  in0_V_TDATA,
    input  logic                       in0_V_TVALID,
    output logic                       in0_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out0_V_TDATA, output logic out0_V_TVALID, input logic out0_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out1_V_TDATA, output logic out1_V_TVALID, input logic out1_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out2_V_TDATA, output logic out2_V_TVALID, input logic out2_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out3_V_TDATA, output logic out3_V_TVALID, input logic out3_V_TREADY
);
    localparam logic [3:0] USED = 4'((1 << OUTPUTS) - 1);
    localparam int LONG01 = BEATS0 > BEATS1 ? BEATS0 : BEATS1;
    localparam int LONG23 = BEATS2 > BEATS3 ? BEATS2 : BEATS3;
    localparam int LONGEST = LONG01 > LONG23 ? LONG01 : LONG23;

    logic [3:0] part;                     // one bit: of the output whose part it is
    wire [3:0] turn = part & USED;
    logic [$clog2(LONGEST+1)-1:0] place;  // in this part
    wire [3:0] last = {int'(place) == BEATS3 - 1, int'(place) == BEATS2 - 1,
                       int'(place) == BEATS1 - 1, int'(place) == BEATS0 - 1};

    logic [BITS-1:0] beat;
    logic [3:0] owed;                     // one bit: of the port whose receiver has not taken the beat yet
    wire [3:0] waiting = owed & USED;
    wire [3:0] ready = {out3_V_TREADY, out2_V_TREADY, out1_V_TREADY, out0_V_TREADY};
    wire take = in0_V_TVALID && in0_V_TREADY;
    assign in0_V_TREADY = (waiting & ~ready) == 0;
    assign {out3_V_TVALID, out2_V_TVALID, out1_V_TVALID, out0_V_TVALID} = waiting;
    assign out0_V_TDATA = $bits(out0_V_TDATA)'(beat);
    assign out1_V_TDATA = out0_V_TDATA;
    assign out2_V_TDATA = out0_V_TDATA;
    assign out3_V_TDATA = out0_V_TDATA;

    always_ff @(posedge ap_clk) begin
        if (take) beat <= in0_V_TDATA[BITS-1:0];
        if (!ap_rst_n) begin
            part <= 1;
            place <= 0;
            owed <= 0;
        end else begin
            if (in0_V_TREADY) owed <= turn & {4{take}};
            if (take) begin
                place <= (last & turn) != 0 ? 0 : place + 1;
                if ((last & turn) != 0) part <= turn[OUTPUTS-1] ? 1 : turn << 1;
            end
        end
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        (waiting & ~ready) != 0 |=> $stable(waiting) && $stable(beat));
`endif
endmodule
