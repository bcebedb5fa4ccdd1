// Takes words with random waits and writes each into a file, with the cycle since reset in which it came.
module stream_sink #(parameter int WIDTH = 8, parameter int BEATS = 1, parameter FILE = "") (
    input  logic clk,
    input  logic rst_n,
    input  int stall,    // percent of the cycles in which it takes nothing
    input  logic [WIDTH-1:0] data,
    input  logic valid,
    output logic ready,
    output logic done
);
    int file, cycle, taken;
    initial file = $fopen(FILE, "w");
    final $fclose(file);
    assign done = taken >= BEATS;

    always_ff @(posedge clk) begin
        cycle <= cycle + 1;
        ready <= $urandom_range(99) >= stall;
        if (valid && ready) begin
            $fdisplay(file, "%0d %h", cycle, data);
            taken <= taken + 1;
        end
        if (!rst_n) begin
            cycle <= 0;
            taken <= 0;
            ready <= 0;
        end
    end
endmodule
