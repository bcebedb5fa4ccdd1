// An operation on each value of two streams, or of a stream and constants that repeat every DEPTH beats.
//
// A beat has PE values, the first in the low bits. in0 is the left operand, in1 the right one; the port of an operand
// that is constant is unused. One beat a cycle; a result leaves in the cycle after its operands came.
module open_elementwise #(
    parameter OPERATION = "ADD",    // "ADD", "SUB", "MUL", "ABSDIFF" or "MAX"
    parameter int PE = 1,
    parameter int LHS_BITS = 4,
    parameter bit LHS_SIGNED = 0,
    parameter int RHS_BITS = 4,
    parameter bit RHS_SIGNED = 0,
    parameter int OUT_BITS = 5,     // wide enough for the result
    parameter CONSTANT = "NONE",    // "LHS" or "RHS": this operand is constant
    parameter int DEPTH = 1,
    parameter FILE = ""             // the constants for $readmemh, a beat a line
) (
    input  logic                               ap_clk,
    input  logic                               ap_rst_n,
    input  logic [((PE*LHS_BITS+7)/8)*8-1:0]   in0_V_TDATA,
    input  logic                               in0_V_TVALID,
    output logic                               in0_V_TREADY,
    input  logic [((PE*RHS_BITS+7)/8)*8-1:0]   in1_V_TDATA,
    input  logic                               in1_V_TVALID,
    output logic                               in1_V_TREADY,
    output logic [((PE*OUT_BITS+7)/8)*8-1:0]   out0_V_TDATA,
    output logic                               out0_V_TVALID,
    input  logic                               out0_V_TREADY
);
    localparam int BITS = LHS_BITS + RHS_BITS + 2;  // any result fits, with a sign

    wire free = !out0_V_TVALID || out0_V_TREADY;
    logic go;
    logic [PE*LHS_BITS-1:0] lhs;
    logic [PE*RHS_BITS-1:0] rhs;

    if (CONSTANT == "NONE") begin : streams
        assign go = free && in0_V_TVALID && in1_V_TVALID;
        assign in0_V_TREADY = free && in1_V_TVALID;
        assign in1_V_TREADY = free && in0_V_TVALID;
        assign lhs = in0_V_TDATA[PE*LHS_BITS-1:0];
        assign rhs = in1_V_TDATA[PE*RHS_BITS-1:0];
    end else begin : constants
        localparam int WIDTH = PE * (CONSTANT == "LHS" ? LHS_BITS : RHS_BITS);
        localparam int ADDRESS = DEPTH > 1 ? $clog2(DEPTH) : 1;
        logic [WIDTH-1:0] memory [DEPTH];
        initial $readmemh(FILE, memory);

        logic [WIDTH-1:0] beat;  // of the constants, read ahead
        logic [ADDRESS-1:0] place;
        wire [ADDRESS-1:0] next = !ap_rst_n || (go && int'(place) == DEPTH - 1) ? 0
                                        : go ? place + 1 : place;
        always_ff @(posedge ap_clk) begin
            place <= next;
            beat <= memory[next];
        end

        assign in0_V_TREADY = free;
        assign in1_V_TREADY = free;
        if (CONSTANT == "LHS") begin : left
            assign go = free && in1_V_TVALID;
            assign lhs = beat;
            assign rhs = in1_V_TDATA[PE*RHS_BITS-1:0];
        end else begin : right
            assign go = free && in0_V_TVALID;
            assign lhs = in0_V_TDATA[PE*LHS_BITS-1:0];
            assign rhs = beat;
        end
    end

    logic [PE*OUT_BITS-1:0] result;
    for (genvar i = 0; i < PE; i++) begin : lane
        wire [LHS_BITS-1:0] x = lhs[i*LHS_BITS +: LHS_BITS];
        wire [RHS_BITS-1:0] y = rhs[i*RHS_BITS +: RHS_BITS];
        wire signed [LHS_BITS:0] a = $signed({LHS_SIGNED && x[LHS_BITS-1], x});
        wire signed [RHS_BITS:0] b = $signed({RHS_SIGNED && y[RHS_BITS-1], y});
        logic signed [BITS-1:0] c;
        if (OPERATION == "ADD") begin : add
            assign c = a + b;
        end else if (OPERATION == "SUB") begin : sub
            assign c = a - b;
        end else if (OPERATION == "MUL") begin : mul
            assign c = a * b;
        end else if (OPERATION == "ABSDIFF") begin : absdiff
            assign c = a > b ? a - b : b - a;
        end else begin : max
            assign c = a > b ? BITS'(a) : BITS'(b);
        end
        assign result[i*OUT_BITS +: OUT_BITS] = OUT_BITS'(c);
    end

    always_ff @(posedge ap_clk) begin
        if (go) out0_V_TDATA <= $bits(out0_V_TDATA)'(result);
        if (!ap_rst_n) out0_V_TVALID <= 0;
        else if (free) out0_V_TVALID <= go;
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        out0_V_TVALID && !out0_V_TREADY |=> out0_V_TVALID && $stable(out0_V_TDATA));
`endif
endmodule
