"""The table of messages: every entry can be reached, by the message that it is there for."""

import re

import pytest

from finnmake.error_patterns import CATEGORIES, ERROR_PATTERNS, classify, find_pattern

#: Messages of finn-plus, QONNX and the tools below them that design.md lists -> category.
MET = {
    "OSError: XILINX_VIVADO environment variable not set. Please source Vivado settings.": "environment",
    "RuntimeError: XSI not available": "environment",
    "vivado_hls not found in PATH": "environment",
    "Unable to find /opt/Xilinx/Vivado/2022.2/settings64.sh": "environment",
    "DecodeError: Error parsing message with type 'onnx.ModelProto'": "model_load",
    "ValueError: Only Quant nodes with zero-point == 0 are currently supported.": "transform",
    "AssertionError: cycle-free graph violated: partition depends on itself": "kernel",
    "AssertionError: Only a single StreamingDataflowPartition supported.": "kernel",
    "Unsupported/unmapped layer(s) found in between FINN operators, starting with node X.": "kernel",
    "ZeroDivisionError: float division by zero": "config",
    "AssertionError: Requirement MH divisable by PE is violated.": "resource",
    "FINNUserError: MVAU_hls_0: MW (64) must be divisable by SIMD (currently 3).": "resource",
    "AttributeError: Op has no such attribute: PEE": "config",
    "FINNConfigurationError: Couldn't resolve fpga_part for X": "config",
    "requires AP_INT_MAX_W to be set to 9000, but the maximum allowed is 8191.": "resource",
    "Bitwidth exceeds 32768": "resource",
    "FINNInternalError: IPGen failed: /x/sol1/impl/ip not found. Check log under /x": "synthesis",
    "ERROR: [BD 5-390] IP definition not found for VLNV: xilinx.com:hls:MVAU_hls_0:1.0": "synthesis",
    "FileNotFoundError: [Errno 2] No such file or directory: '/x/res.txt'": "synthesis",
    "FINNSynthesisError: Synthesis failed, no bitfile found. Check logs under /x": "synthesis",
    "Exception: RTL simulation timed out after 1000000 cycles.": "timing",
}


@pytest.mark.parametrize("entry", ERROR_PATTERNS, ids=lambda entry: entry.example[:50])
def test_example_matches_its_own_entry_first(entry):
    assert find_pattern(entry.example) is entry


@pytest.mark.parametrize("entry", ERROR_PATTERNS, ids=lambda entry: entry.example[:50])
def test_every_alternative_of_a_pattern_is_a_pattern(entry):
    """An empty alternative (`a||b`) would match everything and hide all that follows."""
    assert re.search(entry.pattern, "") is None
    assert re.search(entry.pattern, "an ordinary line of a log") is None


@pytest.mark.parametrize("entry", ERROR_PATTERNS, ids=lambda entry: entry.example[:50])
def test_entry_is_whole(entry):
    assert entry.category in CATEGORIES
    assert entry.tip.endswith((".", "…"))
    assert entry.source


@pytest.mark.parametrize(("message", "category"), MET.items())
def test_known_message(message, category):
    assert classify([message])[0] == category
    assert classify([message])[1]


def test_no_entry_stands_twice():
    patterns = [entry.pattern for entry in ERROR_PATTERNS]
    assert len(set(patterns)) == len(patterns)


def test_the_cause_counts_before_what_it_led_to():
    messages = [
        "ERROR: [Common 17-345] A valid license was not found for feature 'HLS'",
        "FINNUserError: HLS IP Generation failed. Logs and sources are in code_gen",
    ]
    assert classify(messages)[0] == "environment"
    assert classify(messages[1:])[0] == "synthesis"


def test_what_is_not_known_takes_the_default():
    assert classify(["ValueError: the cat sat on it"]) == ("unknown", "")
    assert classify([], "transform") == ("transform", "")


#: Messages of users' own code that read like FINN's -> what is known of them there.
OWN = {
    "ZeroDivisionError: division by zero": ("unknown", ""),
    "TypeError: f() got an unexpected keyword argument 'x'": ("unknown", ""),
    "AssertionError: MW must be divisable by SIMD": ("unknown", ""),
}


@pytest.mark.parametrize("message", OWN)
def test_what_is_finns_is_not_said_of_own_code(message):
    assert classify([message])[1], "of FINN it is known"
    assert classify([message], own=[message]) == OWN[message]


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("MemoryError: Unable to allocate 8. TiB", "memory"),
        ("OSError: [Errno 28] No space left on device", "memory"),
        ("FileNotFoundError: vitis_hls not found in PATH", "environment"),
        ("ModuleNotFoundError: No module named 'x'", "config"),
        ("ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'", "environment"),
    ],
)
def test_what_any_code_can_meet_is_said_of_own_code_too(message, category):
    assert classify([message], own=[message])[0] == category


def test_finns_words_count_below_those_of_own_code():
    own = "ValueError: it did not work"
    finns = "AssertionError: Requirement MH divisable by PE is violated."
    assert classify([finns, own], own=[own])[0] == "resource"
