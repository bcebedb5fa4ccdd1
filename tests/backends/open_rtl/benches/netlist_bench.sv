// Drives the RTL of a FIFO and its netlist alike, with random gaps and stalls, and counts what differs.
module top(input clk, input rst_n);
	localparam WIDTH = 16;
	logic [31:0]  random = 32'h2545F491;
	logic [WIDTH-1:0]  idat;
	logic  ivld, ordy;
	int  cycle = 0;
	always_ff @(posedge clk) begin
		cycle <= cycle + 1;
		random <= {random[30:0], random[31] ^ random[21] ^ random[1] ^ random[0]};
		idat <= random[WIDTH-1:0];
		// Bursts that fill it and bursts that drain it.
		ivld <= cycle[6]? 1 : random[20] && random[24];
		ordy <= cycle[7]? 1 : random[27] && random[30];
	end

	uwire  irdy[2], ovld[2];
	uwire [WIDTH-1:0]  odat[2];
	rtl       of_rtl    (.clk, .rst(!rst_n), .idat, .ivld, .irdy(irdy[0]), .odat(odat[0]), .ovld(ovld[0]), .ordy);
	synthetic synthetic (.clk, .rst(!rst_n), .idat, .ivld, .irdy(irdy[1]), .odat(odat[1]), .ovld(ovld[1]), .ordy);

	int  delivered = 0, full = 0, wrong = 0;
	always_ff @(posedge clk) if(rst_n) begin
		delivered <= delivered + (ovld[0] && ordy);
		full <= full + !irdy[0];
		if(irdy[0] != irdy[1] || ovld[0] != ovld[1] || ovld[0] && odat[0] != odat[1])  wrong <= wrong + 1;
	end
	final $display("delivered %0d, full %0d, wrong %0d", delivered, full, wrong);
endmodule
