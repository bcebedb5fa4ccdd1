"""finnmake: Make for FINN. Reproducible, incremental builds of FPGA dataflow accelerators."""
