"""Backends: what turns a processed model into FPGA outputs. FINN's quirks live in `finn`."""
