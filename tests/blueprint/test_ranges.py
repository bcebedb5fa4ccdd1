"""Ranges of numbers: their values, and what is no range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blueprint_samples import GOOD, marked
from hypothesis import given
from hypothesis import strategies as st

from finnmake.blueprint.document import Item
from finnmake.blueprint.ranges import read_range
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, Location

Read = Callable[[str | bytes], DesignSpace]

INTS = {
    "{from: 10, to: 40, step: 10}": (10, 20, 30, 40),
    "{from: 10, to: 39, step: 10}": (10, 20, 30),
    "{from: 40, to: 10, step: -15}": (40, 25, 10),
    "{from: 5, to: 5, step: 1}": (5,),
    "{from: 5, to: 5, factor: 2}": (5,),
    "{from: 1000, to: 1000000, factor: 10}": (1000, 10_000, 100_000, 1_000_000),
    "{from: 1, to: 100, factor: 3}": (1, 3, 9, 27, 81),
    "{from: 1000, to: 1, factor: 0.1}": (1000, 100, 10, 1),
    "{from: 16, to: 54, factor: 1.5}": (16, 24, 36, 54),
    "{from: 2.0, to: 6.0, step: 2.0}": (2, 4, 6),
    "{from: 9007199254740993, to: 9007199254740995, step: 1}": (
        9007199254740993,
        9007199254740994,
        9007199254740995,
    ),
}

FLOATS = {
    "{from: 1, to: 2, step: 0.1}": (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0),
    "{from: 2.5, to: 10, factor: 2}": (2.5, 5.0, 10.0),
    "{from: 1, to: 2, step: 0.3}": (1.0, 1.3, 1.6, 1.9),
    "{from: 1, to: 2, step: 0.33333333333}": (1.0, 1.33333333333, 1.66666666666, 2.0),
    "{from: 10, to: 1, factor: 0.5}": (10.0, 5.0, 2.5, 1.25),
    "{from: 1, to: 2, factor: 1.189207115}": (1.0, 1.189207115, 1.41421356237, 1.6817928305, 2.0),
    "{from: 3, to: 1, step: -0.5}": (3.0, 2.5, 2.0, 1.5, 1.0),
    "{from: 1e-300, to: 1e300, factor: 1e100}": (1e-300, 1e-200, 1e-100, 1.0, 1e100, 1e200, 1e300),
}


@pytest.mark.parametrize("written", INTS)
def test_of_whole_numbers(read: Read, written: str) -> None:
    values = read(f"{GOOD}    target_fps: {written}\n").hw_compiler_space.config["target_fps"]
    assert values == INTS[written]
    assert all(type(value) is int for value in values)


@pytest.mark.parametrize("written", FLOATS)
def test_of_numbers(read: Read, written: str) -> None:
    values = read(f"{GOOD}    synth_clk_period_ns: {written}\n").hw_compiler_space.config[
        "synth_clk_period_ns"
    ]
    assert values == FLOATS[written]
    assert all(type(value) is float for value in values)


FORM = "Write {from: 10, to: 100, step: 10} or {from: 10, to: 1000, factor: 10}."
WRONG = {
    "no to": ("target_fps: §{from: 1, step: 1}", "target_fps: the range has no 'to'", FORM),
    "no from": ("target_fps: §{to: 1, step: 1}", "target_fps: the range has no 'from'", FORM),
    "neither": ("target_fps: §{from: 1, to: 2}", "target_fps: the range has neither step nor factor", FORM),
    "both": (
        "target_fps: §{from: 1, to: 2, step: 1, factor: 2}",
        "target_fps: the range has both step and factor",
        FORM,
    ),
    "key": (
        "target_fps: {from: 1, to: 2, §stepp: 1}",
        "target_fps.stepp: unknown key 'stepp'",
        "Did you mean step?",
    ),
    "text": (
        "target_fps: {from: §one, to: 2, step: 1}",
        "target_fps.from: found the text 'one', wanted a number",
        "",
    ),
    "null": (
        "target_fps: {from: 1, to: §null, step: 1}",
        "target_fps.to: found nothing (null), wanted a number",
        "",
    ),
    "list": (
        "target_fps: {from: 1, to: 2, step: §[1]}",
        "target_fps.step: found a list, wanted a number",
        "",
    ),
    "no step": (
        "target_fps: {from: 1, to: 2, step: §0}",
        "target_fps.step: with the step 0 'to' is never reached",
        "It must be above 0 here.",
    ),
    "away from the end": (
        "target_fps: {from: 1, to: 2, step: §-1}",
        "target_fps.step: with the step -1 'to' is never reached",
        "It must be above 0 here.",
    ),
    "upwards to a smaller end": (
        "target_fps: {from: 2, to: 1, step: §1}",
        "target_fps.step: with the step 1 'to' is never reached",
        "It must be below 0 here.",
    ),
    "factor one": (
        "target_fps: {from: 1, to: 2, factor: §1}",
        "target_fps.factor: with the factor 1 'to' is never reached",
        "It must be above 1 here.",
    ),
    "factor downwards": (
        "target_fps: {from: 9, to: 1, factor: §3}",
        "target_fps.factor: with the factor 3 'to' is never reached",
        "It must be between 0 and 1 here.",
    ),
    "factor from zero": (
        "target_fps: {from: 0, to: 10, factor: §2}",
        "target_fps.factor: with a factor, 'from' and 'to' must both be above 0, or both below",
        "Write a step instead of the factor, or other ends.",
    ),
    "too many": (
        "target_fps: {from: 1, to: 10001, step: §1}",
        "target_fps.step: 10,001 values",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "far too many": (
        "synth_clk_period_ns: {from: 1, to: 1e300, step: §1e-300}",
        "synth_clk_period_ns.step: far too many values",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "a factor that hardly is one": (
        "synth_clk_period_ns: {from: 1, to: 2, factor: §1.000000000000001}",
        "synth_clk_period_ns.factor: 693,147,181,559,946 values",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "not whole": (
        "target_fps: §{from: 1, to: 2, step: 0.5}",
        "target_fps: the range holds 1.5, which is not a whole number",
        "Write whole numbers, and a factor that keeps them whole.",
    ),
    "not whole after some": (
        "target_fps: §{from: 10, to: 100, factor: 1.5}",
        "target_fps: the range holds 22.5, which is not a whole number",
        "Write whole numbers, and a factor that keeps them whole.",
    ),
    "too close": (
        "synth_clk_period_ns: §{from: 1, to: 1.0000000000002, step: 0.0000000000001}",
        "synth_clk_period_ns: the values are too close: they do not differ in 12 digits",
        "Write larger steps.",
    ),
    "out of bounds": (
        "target_fps: §{from: 0, to: 10, step: 5}",
        "target_fps: 0 is out of range",
        "It must be at least 1.",
    ),
    "in a list": (
        "target_fps: [1, §{from: 1, to: 2, step: 1}]",
        "target_fps[1]: a range stands in a list",
        "Write the range alone, or its values out.",
    ),
    "of something else": (
        "mlo: §{from: 0, to: 1, step: 1}",
        "mlo: a range of something else than numbers",
        "Write the values as a list.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(read: Read, case: str) -> None:
    written, message, cure = WRONG[case]
    text, place = marked(f"{GOOD}    {written}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    expected = f"blueprints/small.yaml:{place}: design_space.config.{message}"
    assert str(caught.value) == expected + (f"\n  -> {cure}" if cure else "")


def test_a_field_that_is_a_mapping_has_no_ranges(read: Read) -> None:
    written = {"from": 1, "to": 2, "step": 1}
    space = read(GOOD + "    partitioning_configuration: {from: 1, to: 2, step: 1}\n")
    assert space.hw_compiler_space.config["partitioning_configuration"] == (written,)


def as_item(values: dict[str, Any]) -> Item:
    where = Location()
    return Item({key: Item(value, where, where) for key, value in values.items()}, where, where)


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**4), st.integers(0, 300), st.integers(0, 10**4))
def test_steps_are_those_of_python(first: int, step: int, count: int, rest: int) -> None:
    last = first + step * count + min(rest, step - 1)
    values = read_range(as_item({"from": first, "to": last, "step": step}), whole=True)
    assert values == tuple(range(first, last + 1, step))
    floats = read_range(as_item({"from": first / 8, "to": last / 8, "step": step / 8}), whole=False)
    assert floats == tuple(value / 8 for value in values)


number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**400), 10**400)


@given(
    st.fixed_dictionaries({"from": number, "to": number}),
    st.sampled_from(["step", "factor"]),
    number,
    st.booleans(),
)
def test_any_range_is_read_or_refused(ends: dict[str, Any], key: str, by: Any, whole: bool) -> None:
    try:
        values = read_range(as_item({**ends, key: by}), whole)
    except BlueprintError:
        return
    assert 1 <= len(values) <= 10_000
    assert len(set(values)) == len(values)
    low, high = sorted(map(float, ends.values()))
    assert all(low - abs(low) * 1e-9 <= value <= high + abs(high) * 1e-9 for value in values)
