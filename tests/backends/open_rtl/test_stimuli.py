"""Values to beats and back, against FINN's own packing for RTL simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.backends.open_rtl import stimuli
from finnmake.backends.open_rtl.design import Port
from finnmake.errors import StepError

pytestmark = pytest.mark.finn

DATATYPES = (
    *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (2, 3, 4, 7, 8, 9, 13, 16, 17, 24)),
    *("BINARY", "BIPOLAR", "TERNARY", "FIXED<8,3>", "FIXED<13,5>", "FLOAT16", "FLOAT32"),
)


def port(datatype: str, elements: int, beats: int = 3, name: str = "in0_V") -> Port:
    from qonnx.core.datatype import DataType

    width = (elements * DataType[datatype].bitwidth() + 7) // 8 * 8
    return Port(name, "x", width, beats, datatype, (1, beats, elements), (1, beats * elements))


@settings(max_examples=60, deadline=None)
@given(datatype=st.sampled_from(DATATYPES), elements=st.integers(1, 9), seed=st.integers(0, 99))
def test_packs_as_finn_does_and_comes_back(datatype: str, elements: int, seed: int):
    from finn.util.data_packing import pack_innermost_dim_as_hex_string
    from qonnx.core.datatype import DataType

    at = port(datatype, elements)
    values = stimuli.random_values(at, 2, seed)
    packed = stimuli.pack(values, at)
    finns = pack_innermost_dim_as_hex_string(
        values.reshape(2, 3, elements), DataType[datatype], at.width, reverse_inner=True
    )
    ours = [int.from_bytes(beat.tobytes(), "little") for beat in packed.reshape(-1, at.width // 8)]
    assert ours == [int(text, 16) for text in finns.reshape(-1)]
    assert packed.shape == (2, 3, at.width // 8)
    np.testing.assert_array_equal(stimuli.unpack(packed, at), values)


def test_integers_beyond_float32_are_exact():
    at = port("INT32", 1)
    values = np.array([[2**24 + 1, -(2**31), 2**31 - 1]])
    np.testing.assert_array_equal(stimuli.unpack(stimuli.pack(values, at), at), values)


def test_element_0_lies_in_the_low_bits():
    assert stimuli.pack(np.array([1, 2, 3]), port("UINT4", 3, beats=1)).tolist() == [[[0x21, 0x03]]]


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("UINT2", 4), ("INT4", -9), ("INT4", 0.5), ("BIPOLAR", 0), ("BINARY", 2), ("FIXED<8,3>", 16.5)],
)
def test_values_that_the_datatype_has_not_are_refused(datatype: str, value: float):
    with pytest.raises(StepError, match=rf"in0_V.*{value} is no "):
        stimuli.pack(np.full(3, value), port(datatype, 1))


def test_part_of_an_inference_is_refused():
    with pytest.raises(StepError, match="4 values are no whole inferences of 6"):
        stimuli.pack(np.zeros(4), port("INT4", 2))
    with pytest.raises(StepError, match="4 bytes are no whole inferences of 3"):
        stimuli.unpack(np.zeros(4, np.uint8), port("INT4", 2))


def test_random_values_are_the_same_for_a_seed_and_differ_by_port():
    at, other = port("INT4", 8), port("INT4", 8, name="in1_V")
    first = stimuli.random_values(at, 5, seed=1)
    np.testing.assert_array_equal(first, stimuli.random_values(at, 5, seed=1))
    assert not np.array_equal(first, stimuli.random_values(at, 5, seed=2))
    assert not np.array_equal(first, stimuli.random_values(other, 5, seed=1))
    assert (first.min(), first.max()) == (-8, 7)
