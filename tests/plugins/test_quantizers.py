"""Quantisers: their integers are QONNX's, and their scales lose little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from qonnx.custom_op.general.intquant import int_quant, max_int, min_int

from finnmake.plugins.builtin.quantizers import METHODS, Grid, activation_scale, quantised, row_scales

GRIDS = st.builds(Grid, st.integers(2, 10), st.booleans(), st.booleans())
FLOATS = st.floats(-1000, 1000, width=32)
ROWS = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 20)), elements=FLOATS)


@given(grid=GRIDS)
def test_the_integers_are_qonnxs(grid: Grid) -> None:
    assert grid.least == min_int(grid.signed, grid.narrow, grid.bits)
    assert grid.most == max_int(grid.signed, grid.narrow, grid.bits)


@given(rows=ROWS, grid=GRIDS, exponent=st.integers(-6, 6))
def test_values_are_those_of_qonnxs_operator(rows: np.ndarray, grid: Grid, exponent: int) -> None:
    scale = np.float32(2.0**exponent)
    theirs = int_quant(rows, scale, np.float32(0), np.float32(grid.bits), grid.signed, grid.narrow, "ROUND")
    np.testing.assert_array_equal(quantised(rows, scale, grid), theirs)


@given(rows=ROWS, bits=st.integers(2, 8))
@settings(deadline=None)
def test_the_scale_of_a_row_is_never_worse_than_the_one_that_clips_nothing(
    rows: np.ndarray, bits: int
) -> None:
    grid = Grid(bits, signed=True, narrow=True)
    scales = row_scales(rows, grid)
    assert scales.shape == (len(rows),)
    assert (scales > 0).all()
    full = np.maximum(np.abs(rows).max(axis=1), 1e-30) / grid.most
    ours = np.square(rows - quantised(rows, scales[:, None], grid)).sum(axis=1, dtype=np.float64)
    theirs = np.square(rows - quantised(rows, full[:, None], grid)).sum(axis=1, dtype=np.float64)
    # A scale with a short mantissa is up to 1/2048 larger.
    assert (ours <= theirs + np.square(rows).sum(axis=1) * 4.0**-bits + 1e-12).all()


@given(rows=ROWS, bits=st.integers(2, 8), signed=st.booleans(), method=st.sampled_from(METHODS))
@settings(deadline=None)
def test_there_is_a_scale_for_any_values(rows: np.ndarray, bits: int, signed: bool, method: str) -> None:
    scale = activation_scale(rows, Grid(bits, signed), method, 99.0)
    assert np.isfinite(scale)
    assert scale > 0


@given(rows=ROWS, bits=st.integers(2, 8), signed=st.booleans())
def test_max_clips_nothing(rows: np.ndarray, bits: int, signed: bool) -> None:
    grid = Grid(bits, signed)
    values = rows if signed else np.abs(rows)
    scale = activation_scale(values, grid, "max", 99.0)
    off = np.abs(values - quantised(values, np.float32(scale), grid))
    assert (off <= scale * (0.5 + 1e-3)).all()


def test_a_percentile_clips_what_is_rare() -> None:
    values = np.append(np.ones(999), 100.0).astype(np.float32)
    grid = Grid(8, signed=False)
    assert activation_scale(values, grid, "percentile", 99.0) == pytest.approx(1 / 255, rel=1e-3)
    assert activation_scale(values, grid, "max", 99.0) == pytest.approx(100 / 255, rel=1e-3)


def test_the_last_digits_of_values_do_not_show_in_the_scale() -> None:
    values = np.linspace(-3.3, 2.7, 1001, dtype=np.float32)
    other = (values * np.float32(1 + 1e-6)).astype(np.float32)
    for method in METHODS:
        grid = Grid(6, signed=True)
        assert activation_scale(values, grid, method, 99.0) == activation_scale(other, grid, method, 99.0)


def test_zeros_have_scale_one() -> None:
    assert row_scales(np.zeros((2, 3), np.float32), Grid(4, True, True)).tolist() == [1.0, 1.0]
