// Feeds one matrix-vector unit from files, takes its results with the stalls of a third file, and prints them.
module mvu_bench #(
	parameter CASE = "",
	parameter PATCHED = 1,
	parameter VERSION = 1,
	parameter SIMD = 1,
	parameter FOLD = 1,	// MW / SIMD
	parameter PE = 1,
	parameter NF = 1,	// MH / PE
	parameter INPUTS = 1,	// vectors
	parameter STALLS = 1
)(
	input clk,
	input rst_n
);
	localparam WBITS = 4, ABITS = 4, ACCU = 16;

	logic [(SIMD*ABITS+7)/8*8-1:0]  inputs[INPUTS*FOLD];
	logic [(PE*SIMD*WBITS+7)/8*8-1:0]  weights[NF*FOLD];
	logic [0:0]  stalls[STALLS];
	initial begin
		$readmemh({ CASE, "_inputs.hex" }, inputs);
		$readmemh({ CASE, "_weights.hex" }, weights);
		$readmemh("stalls.hex", stalls);
	end

	int  in = 0, weight = 0, cycle = 0;
	logic  irdy, wrdy, ovld;
	logic [PE*ACCU-1:0]  odat;
	wire  ivld = in < INPUTS*FOLD;
	wire  ordy = !stalls[cycle % STALLS][0];
	always_ff @(posedge clk) if(rst_n) begin
		cycle <= cycle + 1;
		if(ivld && irdy)  in <= in + 1;
		if(wrdy)  weight <= weight == NF*FOLD-1? 0 : weight + 1;
		if(ovld && ordy)  $display("%s %0d %h", CASE, PATCHED, odat);
	end

	wire [(SIMD*ABITS+7)/8*8-1:0]  idat = inputs[ivld? in : 0];
	if(PATCHED)
		mvu_vvu_axi #(
			.IS_MVU(1), .VERSION(VERSION), .MW(SIMD*FOLD), .MH(PE*NF), .PE(PE), .SIMD(SIMD), .ACTIVATION_WIDTH(ABITS),
			.WEIGHT_WIDTH(WBITS), .ACCU_WIDTH(ACCU), .NARROW_WEIGHTS(1)
		) mvu (
			.ap_clk(clk), .ap_clk2x(clk), .ap_rst_n(rst_n),
			.s_axis_weights_tdata(weights[weight]), .s_axis_weights_tvalid(1'b1), .s_axis_weights_tready(wrdy),
			.s_axis_input_tdata(idat), .s_axis_input_tvalid(ivld), .s_axis_input_tready(irdy),
			.m_axis_output_tdata(odat), .m_axis_output_tvalid(ovld), .m_axis_output_tready(ordy)
		);
	else
		mvu_vvu_axi_of_finn #(
			.IS_MVU(1), .VERSION(VERSION), .MW(SIMD*FOLD), .MH(PE*NF), .PE(PE), .SIMD(SIMD), .ACTIVATION_WIDTH(ABITS),
			.WEIGHT_WIDTH(WBITS), .ACCU_WIDTH(ACCU), .NARROW_WEIGHTS(1)
		) mvu (
			.ap_clk(clk), .ap_clk2x(clk), .ap_rst_n(rst_n),
			.s_axis_weights_tdata(weights[weight]), .s_axis_weights_tvalid(1'b1), .s_axis_weights_tready(wrdy),
			.s_axis_input_tdata(idat), .s_axis_input_tvalid(ivld), .s_axis_input_tready(irdy),
			.m_axis_output_tdata(odat), .m_axis_output_tvalid(ovld), .m_axis_output_tready(ordy)
		);
endmodule
