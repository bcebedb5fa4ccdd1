"""Uniform quantisers: their integers, and the step between values that loses least.

A quantiser of QONNX turns x into `clip(round(x / scale), least, most) * scale` (operator `Quant`, rounding
half to even, zero-point 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

#: Ways to find the scale of activations.
METHODS = ("mse", "percentile", "max")

#: Scales that are tried, relative to the one that clips nothing.
_TRIED = np.geomspace(1.0, 0.05, 96)

#: Scales below are as good as 0: single precision cannot hold their multiples.
_SMALLEST = 100 * float(np.finfo(np.float32).tiny)

#: Bits that are kept of a scale's mantissa: what a processor adds in another order then seldom shows.
_MANTISSA = 12


@dataclass(frozen=True)
class Grid:
    """The integers of a quantiser; `narrow` leaves out the lowest, so that they are symmetric."""

    bits: int
    signed: bool
    narrow: bool = False

    @property
    def least(self) -> int:
        """The lowest integer."""
        return -(1 << (self.bits - 1)) + self.narrow if self.signed else 0

    @property
    def most(self) -> int:
        """The highest integer."""
        return (1 << (self.bits - self.signed)) - 1 - (self.narrow and not self.signed)


def quantised(values: Floats, scale: Floats, grid: Grid) -> Floats:
    """The values on the grid, as float32; `scale` broadcasts against them."""
    step = np.asarray(scale, np.float32)
    return np.clip(np.round(np.asarray(values, np.float32) / step), grid.least, grid.most) * step


def row_scales(rows: Floats, grid: Grid) -> Floats:
    """The scale of each row with the least mean square error, `[rows, values]` to `[rows]`; 1 for zeros."""
    full = _full_scales(rows, grid)
    best, least = full, np.full(len(rows), np.inf)
    for part in _TRIED:
        scales = _rounded(full * part)
        errors = _errors(rows, scales, grid)
        better = errors < least
        best, least = np.where(better, scales, best), np.where(better, errors, least)
    return np.where(full > _SMALLEST, best, 1.0).astype(np.float32)


def activation_scale(values: Floats, grid: Grid, method: str, percentile: float) -> float:
    """The scale for values of one tensor, of any shape; 1 where all are 0.

    Args:
        values: what came up in calibration.
        grid: of the quantiser.
        method: `mse` (least mean square error), `percentile` (of the magnitudes: larger ones are clipped) or
            `max` (nothing is clipped).
        percentile: 0 to 100.
    """
    row = values.reshape(1, -1)
    if method == "mse":
        return float(row_scales(row, grid)[0])
    if method == "percentile":
        limit = np.percentile(np.abs(row), percentile)
        row = np.clip(row, -limit, limit)
    scale = _rounded(_full_scales(row, grid))[0]
    return float(scale) if scale > _SMALLEST else 1.0


def _full_scales(rows: Floats, grid: Grid) -> Floats:
    """The smallest scale of each row that clips nothing; what an unsigned grid cannot hold does not count."""
    above = rows.max(axis=1) / grid.most
    below = rows.min(axis=1) / grid.least if grid.signed else 0.0
    full: Floats = np.maximum(np.maximum(above, below), 0.0).astype(np.float64)
    return full


def _rounded(scales: Floats) -> Floats:
    """The next larger numbers with a short mantissa: nothing more is clipped."""
    mantissas, exponents = np.frexp(scales)
    short: Floats = np.ldexp(np.ceil(np.ldexp(mantissas, _MANTISSA)), exponents - _MANTISSA)
    return short


def _errors(rows: Floats, scales: Floats, grid: Grid) -> Floats:
    """The sum of squared errors of each row; infinite for a scale of 0."""
    usable = np.where(scales > 0, scales, 1.0)
    off = rows - quantised(rows, usable[:, None], grid)
    return np.where(scales > 0, np.square(off).sum(axis=1, dtype=np.float64), np.inf)
