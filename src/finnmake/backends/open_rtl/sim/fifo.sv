// A stand-in for FINN's fifo.sv in simulation: the same module, equal to it in every cycle, but for its depth,
// which the test bench may set when the simulation starts. Depths can be searched with one binary.
//
// FINN's FIFO is, by depth, one of three machines (FINN+ 1.6.1, finn-rtllib/fifo/hdl/fifo.sv):
//  shift, distributed: a memory and a register behind it;
//  block: a memory of whole primitives and a pipeline of two registers that moves when its last one is free;
//  ultra: such a memory, a pipeline that always moves, and a shift FIFO of 17 words behind it.
// The words themselves lie in one queue: which of them are in memory, pipeline or register is counted.

module fifo #(
	int unsigned  DEPTH,
	int unsigned  DATA_WIDTH,
	parameter  RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [DATA_WIDTH-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [DATA_WIDTH-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy,

	output	logic [31:0]  count,
	output	logic [31:0]  maxcount
);
	// The depth of the FIFO whose name is part of the path; `depth` where the test bench sets none; 0: without end.
	import "DPI-C" function int finnmake_fifo_depth(input string path, input int depth);

	localparam int unsigned  MOST_STAGES = 64;	// FINN: 3 + words of memory / 8192
	localparam int unsigned  QUEUED = 17;	// words of the FIFO behind memory of kind ultra

	int unsigned  memory = 0;	// words that the memory holds
	int unsigned  stages = 0;	// registers of the pipeline; 0: shift or distributed
	bit  ultra = 0;

	// Words of memory for `needed`: a power of two, or two of them where that takes fewer.
	function automatic int unsigned primitives(input int unsigned needed, input int unsigned least);
		automatic int unsigned  bits = $clog2(needed);
		if(bits > least) begin
			automatic int unsigned  rest = $clog2(needed - 2**(bits-1));
			if(rest < bits-1)  return 2**(bits-1) + 2**(rest < 1? 1 : rest);
		end
		return 2**bits;
	endfunction : primitives

	function automatic void shape(input int unsigned depth);
		stages = 0;
		ultra = 0;
		if(depth == 0)  memory = '1;
		else if(depth <= 33 || RAM_STYLE == "shift" || (RAM_STYLE == "auto" && depth <= 64 && DATA_WIDTH < 12))
			memory = depth > 4? depth-1 : 4;
		else if(RAM_STYLE == "distributed" || (RAM_STYLE == "auto" && (depth <= 257 || DATA_WIDTH < 5)))
			memory = depth - 1;
		else if(RAM_STYLE == "block" || (RAM_STYLE == "auto" && depth <= 2028)) begin
			memory = primitives(depth - 1, 9);
			stages = 2;
		end
		else begin
			automatic int unsigned  needed = depth - QUEUED;
			automatic int unsigned  bits = $clog2(needed);
			ultra = 1;
			memory = primitives(needed, 12);
			if(bits > 12 && memory != 2**bits)  bits--;
			stages = 3 + (2**bits - 1) / 8192;
		end
		if(stages > MOST_STAGES)  $fatal(1, "%m: the model knows %0d registers, not %0d.", MOST_STAGES, stages);
	endfunction : shape

	string  path;
	initial begin
		$sformat(path, "%m");
		shape(finnmake_fifo_depth(path, DEPTH));
	end

	logic [DATA_WIDTH-1:0]  words[$] = {};	// all words but the one in the last register
	int unsigned  held = 0;	// words in memory
	logic [MOST_STAGES-1:0]  moving = 0;	// pipeline, bit 0 is the last register
	int unsigned  waiting = 0;	// ultra: words in the queue behind the pipeline, but for the one in its register
	int unsigned  pledged = 0;	// ultra: words in the pipeline and behind it

	logic  taken = 1;
	logic  offered = 0;
	logic [DATA_WIDTH-1:0]  word = 'x;
	int unsigned  fill = 0;
	int unsigned  peak = 0;

	assign	irdy = taken;
	assign	ovld = offered;
	assign	odat = word;
	assign	count = fill;
	assign	maxcount = peak;

	always_ff @(posedge clk) begin
		if(rst) begin
			words = {};
			held <= 0;
			moving <= 0;
			waiting <= 0;
			pledged <= 0;
			taken <= 1;
			offered <= 0;
			word <= 'x;
			fill <= 0;
			peak <= 0;
		end
		else begin
			automatic bit  push = taken && ivld;
			automatic bit  pop = offered && ordy;
			automatic bit  free = !offered || ordy;	// the last register
			automatic bit  drain = held != 0 && (ultra? pledged <= QUEUED - 1 : free);
			automatic int unsigned  left = held + (push? 1 : 0) - (drain? 1 : 0);
			automatic int unsigned  now = fill + (push? 1 : 0) - (pop? 1 : 0);
			automatic bit  load;

			if(ultra) begin
				load = free && waiting != 0;
				waiting <= waiting + (moving[0]? 1 : 0) - (load? 1 : 0);
				pledged <= pledged + (drain? 1 : 0) - (pop? 1 : 0);
				moving <= (moving >> 1) | (MOST_STAGES'(drain) << (stages - 1));
			end
			else if(stages != 0) begin
				// The word is in the last register once its bit is bit 0.
				load = free && moving[1];
				if(free)  moving <= (moving >> 1) | (MOST_STAGES'(drain) << (stages - 1));
			end
			else  load = drain;

			if(push)  words.push_back(idat);
			if(free) begin
				offered <= load;
				if(load)  word <= words.pop_front();
			end
			held <= left;
			taken <= left < memory;
			fill <= now;
			if(now > peak)  peak <= now;
		end
	end
endmodule : fifo
