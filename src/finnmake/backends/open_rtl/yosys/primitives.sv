// Primitives of 7-series and UltraScale+ devices that FINN's mvu.sv instantiates, as black boxes for slang: with the
// ports and parameters of AMD's UG953 and UG974 that it names. Yosys knows the cells by its own library afterwards.

(* blackbox *)
module LUT6_2 #(
	parameter [63:0] INIT = '0
)(
	output O6, O5,
	input I0, I1, I2, I3, I4, I5
);
endmodule

(* blackbox *)
module DSP48E1 #(
	parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48",
	parameter AUTORESET_PATDET = "NO_RESET", SEL_MASK = "MASK", SEL_PATTERN = "PATTERN",
	parameter USE_PATTERN_DETECT = "NO_PATDET",
	parameter USE_DPORT = "FALSE", ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1,
	parameter CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1, OPMODEREG = 1,
	parameter PREG = 1,
	parameter [47:0] MASK = '0, parameter [47:0] PATTERN = '0
)(
	output CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, PATTERNBDETECT, PATTERNDETECT, UNDERFLOW,
	output [3:0] CARRYOUT,
	output [17:0] BCOUT,
	output [29:0] ACOUT,
	output [47:0] P, PCOUT,
	input CARRYCASCIN, CARRYIN, MULTSIGNIN, CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN,
	input CECTRL, CED, CEINMODE, CEM, CEP, CLK, RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL,
	input RSTD, RSTINMODE, RSTM, RSTP,
	input [2:0] CARRYINSEL,
	input [3:0] ALUMODE,
	input [4:0] INMODE,
	input [6:0] OPMODE,
	input [17:0] B, BCIN,
	input [24:0] D,
	input [29:0] A, ACIN,
	input [47:0] C, PCIN
);
endmodule

(* blackbox *)
module DSP48E2 #(
	parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48",
	parameter AUTORESET_PATDET = "NO_RESET", SEL_MASK = "MASK", SEL_PATTERN = "PATTERN",
	parameter USE_PATTERN_DETECT = "NO_PATDET", AMULTSEL = "A", BMULTSEL = "B", PREADDINSEL = "A",
	parameter USE_WIDEXOR = "FALSE", XORSIMD = "XOR24_48_96",
	parameter AUTORESET_PRIORITY = "RESET", ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1,
	parameter BREG = 1, CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1,
	parameter OPMODEREG = 1,
	parameter PREG = 1,
	parameter [47:0] MASK = '0, parameter [47:0] PATTERN = '0,
	parameter [47:0] RND = '0, parameter [3:0] IS_ALUMODE_INVERTED = '0,
	parameter [0:0] IS_CARRYIN_INVERTED = '0, parameter [0:0] IS_CLK_INVERTED = '0,
	parameter [4:0] IS_INMODE_INVERTED = '0, parameter [8:0] IS_OPMODE_INVERTED = '0,
	parameter [0:0] IS_RSTALLCARRYIN_INVERTED = '0, parameter [0:0] IS_RSTALUMODE_INVERTED = '0,
	parameter [0:0] IS_RSTA_INVERTED = '0, parameter [0:0] IS_RSTB_INVERTED = '0,
	parameter [0:0] IS_RSTCTRL_INVERTED = '0, parameter [0:0] IS_RSTC_INVERTED = '0,
	parameter [0:0] IS_RSTD_INVERTED = '0, parameter [0:0] IS_RSTINMODE_INVERTED = '0,
	parameter [0:0] IS_RSTM_INVERTED = '0, parameter [0:0] IS_RSTP_INVERTED = '0
)(
	output CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, PATTERNBDETECT, PATTERNDETECT, UNDERFLOW,
	output [3:0] CARRYOUT,
	output [7:0] XOROUT,
	output [17:0] BCOUT,
	output [29:0] ACOUT,
	output [47:0] P, PCOUT,
	input CARRYCASCIN, CARRYIN, MULTSIGNIN, CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN,
	input CECTRL, CED, CEINMODE, CEM, CEP, CLK, RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL,
	input RSTD, RSTINMODE, RSTM, RSTP,
	input [2:0] CARRYINSEL,
	input [3:0] ALUMODE,
	input [4:0] INMODE,
	input [8:0] OPMODE,
	input [17:0] B, BCIN,
	input [26:0] D,
	input [29:0] A, ACIN,
	input [47:0] C, PCIN
);
endmodule
