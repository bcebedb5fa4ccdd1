"""Which points are best: Pareto sets and rankings over objectives that are to be large or small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from finnmake.records import BuildMetrics

#: The figures of a build that can be objectives.
METRICS = tuple(each.name for each in fields(BuildMetrics) if each.name not in ("sources", "raw_metrics"))

#: What an objective may ask for.
SENSES = ("max", "min")

#: What a point is worth: one value an objective, in one order; None where it is not known.
Values = Sequence[float | None]


def metric_value(metrics: BuildMetrics | None, name: str) -> float | None:
    """The value of a metric; None where the build has none. Raises ValueError for what is no metric."""
    if name not in METRICS:
        raise ValueError(f"{name!r} is no metric; there are {', '.join(METRICS)}")
    value = None if metrics is None else getattr(metrics, name)
    return None if value is None or math.isnan(value) else float(value)


def dominates(a: Values, b: Values, senses: Sequence[str]) -> bool:
    """Whether `a` is at least as good as `b` everywhere and better somewhere; never where a value is None."""
    left, right = _costs(a, senses), _costs(b, senses)
    if left is None or right is None:
        return False
    return left != right and all(x <= y for x, y in zip(left, right, strict=True))


def pareto_set(points: Sequence[Values], senses: Sequence[str]) -> list[int]:
    """The indices, ascending, of the points that no other dominates.

    A point with a None is in no Pareto set; of equal points all are. Quadratic in the size of the set.
    """
    same: dict[tuple[float, ...], list[int]] = {}
    for index, point in enumerate(points):
        costs = _costs(point, senses)
        if costs is not None:
            same.setdefault(costs, []).append(index)
    return sorted(index for costs in _front(sorted(same)) for index in same[costs])


def rank(points: Mapping[str, Values], senses: Sequence[str]) -> list[str]:
    """The ids of the points, best first: by the first objective, ties by the next, the last ties by id.

    None stands behind every value.
    """

    def order(name: str) -> tuple[Any, ...]:
        return (
            *((value is None, _cost(value, sense)) for value, sense in _paired(points[name], senses)),
            name,
        )

    return sorted(points, key=order)


def _front(ascending: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """The points of least costs, from points that differ and are sorted.

    Only an earlier point can dominate a later one, so that each is held against the front so far; that is
    a row of comparisons in numpy, since in Python 10,000 points of one front would take half a minute.
    """
    if not ascending:
        return []
    import numpy as np  # only explorations need it

    front = np.empty((len(ascending[0]), len(ascending)))
    found: list[tuple[float, ...]] = []
    for point in ascending:
        known = front[:, : len(found)]
        better = np.ones(len(found), dtype=bool)
        for row, cost in zip(known[1:], point[1:], strict=True):  # the first cost is smaller: they are sorted
            better &= row <= cost
        if not better.any():
            front[:, len(found)] = point
            found.append(point)
    return found


def _costs(point: Values, senses: Sequence[str]) -> tuple[float, ...] | None:
    """The values turned so that less is better; None where one is not known."""
    if any(value is None for value in point):
        return None
    return tuple(_cost(value, sense) for value, sense in _paired(point, senses))


def _paired(point: Values, senses: Sequence[str]) -> list[tuple[float | None, str]]:
    return list(zip(point, senses, strict=True))


def _cost(value: float | None, sense: str) -> float:
    if sense not in SENSES:
        raise ValueError(f"an objective is one of {', '.join(SENSES)}, not {sense!r}")
    if value is None:
        return 0.0
    return -float(value) if sense == "max" else float(value)
