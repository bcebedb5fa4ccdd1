// Upsampling to the nearest neighbour: each pixel SCALE_COLUMNS times in its row, and each row SCALE_ROWS times.
//
// A pixel has FOLDS beats, a row has COLUMNS pixels; the rows of an image and of images follow each other. A beat is
// read from the input where its pixel is first needed, and from a buffer of one row else. One beat a cycle leaves.
module open_upsample #(
    parameter int BITS = 8,   // of a beat without padding
    parameter int FOLDS = 1,
    parameter int COLUMNS = 4,
    parameter int SCALE_ROWS = 2,
    parameter int SCALE_COLUMNS = 2
) (
    input  logic                       ap_clk,
    input  logic                       ap_rst_n,
    input  logic [((BITS+7)/8)*8-1:0]  in0_V_TDATA,
    input  logic                       in0_V_TVALID,
    output logic                       in0_V_TREADY,
    output logic [((BITS+7)/8)*8-1:0]  out0_V_TDATA,
    output logic                       out0_V_TVALID,
    input  logic                       out0_V_TREADY
);
    localparam int DEPTH = COLUMNS * FOLDS;
    localparam int ADDRESS = DEPTH > 1 ? $clog2(DEPTH) : 1;

    logic [$clog2(FOLDS+1)-1:0] fold;
    logic [$clog2(SCALE_COLUMNS+1)-1:0] column_copy;
    logic [$clog2(COLUMNS+1)-1:0] column;
    logic [$clog2(SCALE_ROWS+1)-1:0] row_copy;
    logic [ADDRESS-1:0] pixel;  // place of this pixel's first beat in the buffer
    wire last_fold = int'(fold) == FOLDS - 1;
    wire last_column_copy = int'(column_copy) == SCALE_COLUMNS - 1;
    wire last_column = int'(column) == COLUMNS - 1;
    wire last_row_copy = int'(row_copy) == SCALE_ROWS - 1;

    wire fresh = column_copy == 0 && row_copy == 0;
    wire free = !out0_V_TVALID || out0_V_TREADY;
    wire go = free && (!fresh || in0_V_TVALID);
    assign in0_V_TREADY = free && fresh;

    // Read one beat ahead, so that block RAM can hold the row.
    logic [BITS-1:0] row [DEPTH];
    logic [BITS-1:0] read, passed;
    logic pass;
    wire [ADDRESS-1:0] place = pixel + ADDRESS'(fold);
    assign out0_V_TDATA = $bits(out0_V_TDATA)'(pass ? passed : read);

    always_ff @(posedge ap_clk) begin
        if (go && fresh) row[place] <= in0_V_TDATA[BITS-1:0];
        if (go) read <= row[place];
    end

    always_ff @(posedge ap_clk) begin
        if (go) begin
            passed <= in0_V_TDATA[BITS-1:0];
            pass <= fresh;
        end
        if (!ap_rst_n) begin
            fold <= 0;
            column_copy <= 0;
            column <= 0;
            row_copy <= 0;
            pixel <= 0;
            out0_V_TVALID <= 0;
        end else begin
            if (free) out0_V_TVALID <= go;
            if (go) begin
                fold <= last_fold ? 0 : fold + 1;
                if (last_fold) begin
                    column_copy <= last_column_copy ? 0 : column_copy + 1;
                    if (last_column_copy) begin
                        column <= last_column ? 0 : column + 1;
                        pixel <= last_column ? 0 : pixel + ADDRESS'(FOLDS);
                        if (last_column) row_copy <= last_row_copy ? 0 : row_copy + 1;
                    end
                end
            end
        end
    end

`ifndef SYNTHESIS
    assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
        out0_V_TVALID && !out0_V_TREADY |=> out0_V_TVALID && $stable(out0_V_TDATA));
`endif
endmodule
