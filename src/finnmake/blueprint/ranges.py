"""Ranges of numbers, `{from, to, step}` and `{from, to, factor}`: exact in decimals, counted before made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from itertools import takewhile
from math import floor, log, log1p
from typing import Any

from finnmake.blueprint import reading, schema
from finnmake.blueprint.context import refuse_many
from finnmake.blueprint.document import Item
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError

#: How near to `to` a value is `to`, relative; whole numbers must meet it.
_NEAR = Fraction(1, 10**9)

#: So near to 1 the logarithm is taken of the difference.
_CLOSE = Fraction(1, 2)

#: Significant digits of a number in a range: 0.1 added ten times looks like 1.
_DIGITS = 12

#: Digits in between, with exponents no product of two floats can leave.
_ARITHMETIC = Context(prec=50)

_NUMBER = FieldType("float")

#: `from` and `to`.
_Ends = tuple[Fraction, Fraction]


def read_range(item: Item, whole: bool) -> tuple[Any, ...]:
    """The values of a range, `to` included where one of them meets it.

    Args:
        item: the mapping.
        whole: whether whole numbers are wanted, as values of `int`.

    Raises:
        BlueprintError: a key is missing or wrong, the range never ends, is too long or leaves whole numbers.
    """
    entries = _entries(item)
    ends = (_exact(entries["from"]), _exact(entries["to"]))
    make, by = (_stepped, entries["step"]) if "step" in entries else (_multiplied, entries["factor"])
    values = make(by, ends, whole)
    if whole:
        return tuple(_whole(value, item) for value in values)
    return _rounded((_at_end(value, ends[1]) for value in values), item)


def _entries(item: Item) -> Mapping[str, Item]:
    entries = reading.read_mapping(item)
    for key, entry in entries.items():
        if key not in schema.RANGE_KEYS:
            raise reading.unknown_key(entry, key, schema.RANGE_KEYS)
    for key in ("from", "to"):
        if key not in entries:
            raise _incomplete(item, f"the range has no {key!r}")
    if ("step" in entries) == ("factor" in entries):
        both = "step" in entries
        raise _incomplete(
            item, f"the range has {'both' if both else 'neither'} step {'and' if both else 'nor'} factor"
        )
    return entries


def _incomplete(item: Item, message: str) -> BlueprintError:
    return BlueprintError(
        message,
        where=item.where,
        cure="Write {from: 10, to: 100, step: 10} or {from: 10, to: 1000, factor: 10}.",
    )


def _exact(item: Item) -> Fraction:
    """A number as it is written in decimals. Raises BlueprintError for anything else."""
    reading.read_value(item, _NUMBER)
    return Fraction(repr(item.value))


def _stepped(item: Item, ends: _Ends, whole: bool) -> Iterator[Fraction]:
    first, last = ends
    step = _exact(item)
    if first == last:
        return iter([first])
    if step == 0 or (step > 0) != (last > first):
        raise _astray(item, "step", "above 0" if last > first else "below 0")
    ratio = (last - first) / step
    count = floor(ratio if whole else ratio * (1 + _NEAR)) + 1
    refuse_many(count, item, "values")
    return (first + index * step for index in range(count))


def _multiplied(item: Item, ends: _Ends, whole: bool) -> Iterator[Fraction]:
    first, last = ends
    factor = _exact(item)
    if first == last:
        return iter([first])
    if first * last <= 0:
        raise BlueprintError(
            "with a factor, 'from' and 'to' must both be above 0, or both below",
            where=item.where,
            cure="Write a step instead of the factor, or other ends.",
        )
    upwards = abs(last) > abs(first)
    if not (factor > 1 if upwards else 0 < factor < 1):
        raise _astray(item, "factor", "above 1" if upwards else "between 0 and 1")
    growth = abs(_log(factor))
    count = floor((abs(_log(last / first)) + float(_NEAR)) / growth) + 1 if growth else 1 << 60
    refuse_many(count, item, "values")
    if whole:
        inside = abs(last).__ge__ if upwards else abs(last).__le__
        return takewhile(lambda value: inside(abs(value)), _exact_powers(first, factor, count))
    return _powers(first, factor, count)


def _exact_powers(first: Fraction, factor: Fraction, count: int) -> Iterator[Fraction]:
    """Up to the first that is not whole, which the caller refuses: what follows would only grow."""
    value = first
    for _ in range(count):
        yield value
        if value.denominator != 1:
            return
        value *= factor


def _powers(first: Fraction, factor: Fraction, count: int) -> Iterator[Fraction]:
    start, by = (_decimal(value) for value in (first, factor))
    for index in range(count):
        yield Fraction(_ARITHMETIC.multiply(start, _ARITHMETIC.power(by, index)))


def _decimal(value: Fraction) -> Decimal:
    return _ARITHMETIC.divide(Decimal(value.numerator), Decimal(value.denominator))


def _log(value: Fraction) -> float:
    """The logarithm, of numbers too that no float holds."""
    if abs(value - 1) < _CLOSE:
        return log1p(float(value - 1))
    return log(value.numerator) - log(value.denominator)


def _astray(item: Item, key: str, wanted: str) -> BlueprintError:
    return BlueprintError(
        f"with the {key} {item.value} 'to' is never reached",
        where=item.where,
        cure=f"It must be {wanted} here.",
    )


def _at_end(value: Fraction, last: Fraction) -> Fraction:
    """The value, or `last` where it differs by rounding only."""
    return last if abs(value - last) <= _NEAR * abs(last) else value


def _whole(value: Fraction, item: Item) -> int:
    if value.denominator != 1:
        raise BlueprintError(
            f"the range holds {float(value):g}, which is not a whole number",
            where=item.where,
            cure="Write whole numbers, and a factor that keeps them whole.",
        )
    return value.numerator


def _rounded(values: Iterator[Fraction], item: Item) -> tuple[float, ...]:
    found = [float(f"{float(value):.{_DIGITS}g}") for value in values]
    if len(set(found)) != len(found):
        raise BlueprintError(
            f"the values are too close: they do not differ in {_DIGITS} digits",
            where=item.where,
            cure="Write larger steps.",
        )
    return tuple(found)
