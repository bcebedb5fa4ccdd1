// Sends BEATS words of a file in order, with random gaps; between words the data is noise.
module stream_source #(parameter int WIDTH = 8, parameter int BEATS = 1, parameter FILE = "") (
    input  logic clk,
    input  logic rst_n,
    input  int stall,  // percent of the cycles in which no new word is sent
    output logic [WIDTH-1:0] data,
    output logic valid,
    input  logic ready
);
    logic [WIDTH-1:0] words [BEATS];
    initial $readmemh(FILE, words);

    int next;
    wire send = next < BEATS && $urandom_range(99) >= stall;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            valid <= 0;
            next <= 0;
        end else if (!valid || ready) begin
            valid <= send;
            data <= send ? words[next] : WIDTH'({(WIDTH + 31) / 32{$urandom}});
            if (send) next <= next + 1;
        end
    end
endmodule
