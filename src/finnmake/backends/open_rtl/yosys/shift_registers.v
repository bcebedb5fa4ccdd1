// slang reads an element of an unpacked array by $bmux; Yosys finds shift registers (SRL16E, SRLC32E) behind $shiftx
// only. slang puts element 0 of an ascending array, where FINN's shift registers take their input, into the high bits
// and inverts the index: here it comes into the low bits again, and undefined entries above the last are left out.
(* techmap_celltype = "$bmux" *)
module finnmake_bmux (A, S, Y);
	parameter WIDTH = 1;
	parameter S_WIDTH = 1;
	localparam COUNT = 1 << S_WIDTH;
	input [WIDTH*COUNT-1:0] A;
	input [S_WIDTH-1:0] S;
	output [WIDTH-1:0] Y;

	parameter [WIDTH*COUNT-1:0] _TECHMAP_CONSTMSK_A_ = 0;
	parameter [WIDTH*COUNT-1:0] _TECHMAP_CONSTVAL_A_ = 0;
	function integer used;
		input none;
		integer k;
		begin
			used = 1;
			for (k = 0; k < COUNT; k = k + 1)
				if (!(&_TECHMAP_CONSTMSK_A_[(COUNT-1-k)*WIDTH +: WIDTH]) ||
					_TECHMAP_CONSTVAL_A_[(COUNT-1-k)*WIDTH +: WIDTH] !== {WIDTH{1'bx}}) used = k + 1;
		end
	endfunction
	localparam N = used(0);

	genvar i, k;
	generate for (i = 0; i < WIDTH; i = i + 1) begin : bits
		wire [N-1:0] a;
		for (k = 0; k < N; k = k + 1) assign a[k] = A[(COUNT-1-k)*WIDTH + i];
		\$shiftx #(
			.A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(N), .B_WIDTH(S_WIDTH), .Y_WIDTH(1)
		) read (.A(a), .B(~S), .Y(Y[i]));
	end endgenerate
endmodule
