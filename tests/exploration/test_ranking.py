"""Pareto sets and rankings, against the definitions written out."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.exploration.ranking import METRICS, dominates, metric_value, pareto_set, rank
from finnmake.records import BuildMetrics

Point = tuple[float | None, ...]


@st.composite
def clouds(draw: st.DrawFn) -> tuple[list[Point], list[str]]:
    """Points that often meet in a value, some of them with a gap, and what their objectives ask for."""
    senses = draw(st.lists(st.sampled_from(["max", "min"]), min_size=1, max_size=4))
    value = st.integers(-3, 3) | st.floats(allow_nan=False) | st.none()
    points = draw(st.lists(st.tuples(*(value for _ in senses)), max_size=25))
    return points, senses


def beats(a: Point, b: Point, senses: Sequence[str]) -> bool:
    """The definition, without a thought for speed."""
    if None in a or None in b:
        return False
    signed = [(x, y) if sense == "max" else (-x, -y) for x, y, sense in zip(a, b, senses, strict=True)]  # type: ignore[operator]
    return all(x >= y for x, y in signed) and any(x > y for x, y in signed)


@settings(deadline=None)
@given(clouds())
def test_the_pareto_set_is_what_nothing_dominates(cloud: tuple[list[Point], list[str]]) -> None:
    points, senses = cloud
    expected = [
        index
        for index, point in enumerate(points)
        if None not in point and not any(beats(other, point, senses) for other in points)
    ]
    assert pareto_set(points, senses) == expected


@settings(deadline=None)
@given(clouds())
def test_domination_is_its_definition(cloud: tuple[list[Point], list[str]]) -> None:
    points, senses = cloud
    for a in points:
        for b in points:
            assert dominates(a, b, senses) == beats(a, b, senses)


@settings(deadline=None)
@given(clouds())
def test_the_first_in_the_ranking_is_in_the_pareto_set(cloud: tuple[list[Point], list[str]]) -> None:
    points, senses = cloud
    whole = {f"config_{n:03d}": point for n, point in enumerate(points) if None not in point}
    ranked = rank(whole, senses)
    assert sorted(ranked) == sorted(whole)
    if ranked:
        ids = list(whole)
        assert ranked[0] in [ids[index] for index in pareto_set(list(whole.values()), senses)]


def test_a_ranking_goes_by_the_objectives_in_turn_and_then_by_id() -> None:
    points: dict[str, Point] = {
        "config_004": (7, 0.5),
        "config_003": (7, 0.5),
        "config_002": (7, 0.4),
        "config_001": (9, 0.9),
        "config_005": (None, 0.1),
        "config_006": (7, None),
    }
    assert rank(points, ("max", "min")) == [
        "config_001",
        "config_002",
        "config_003",
        "config_004",
        "config_006",
        "config_005",
    ]


def test_equal_points_are_all_in_the_set() -> None:
    assert pareto_set([(1, 2), (1, 2), (0, 2), (1, 2)], ("max", "min")) == [0, 1, 3]


def test_a_point_with_a_gap_neither_is_in_the_set_nor_keeps_another_out() -> None:
    assert pareto_set([(9, None), (1, 5)], ("max", "max")) == [1]
    assert pareto_set([(None,)], ("max",)) == []
    assert pareto_set([], ("max",)) == []


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_a_front_of_ten_thousand_is_found(objectives: int) -> None:
    numbers = random.Random(1)
    front = [_on_a_front(numbers, objectives) for _ in range(10_000)]
    behind = [tuple(value + 1 for value in point) for point in front]
    assert pareto_set([*behind, *front], ["min"] * objectives) == list(range(10_000, 20_000))


def _on_a_front(numbers: random.Random, objectives: int) -> tuple[int, ...]:
    """A point of the plane where the sum is 0: none dominates another. Whole numbers, for an exact sum."""
    values = [numbers.randrange(1 << 40) for _ in range(objectives - 1)]
    return (*values, -sum(values))


def test_a_value_that_is_no_number_is_none() -> None:
    unknown = BuildMetrics()
    unknown.latency = float("nan")
    assert metric_value(unknown, "latency") is None
    assert metric_value(None, "latency") is None
    assert metric_value(BuildMetrics(latency=3), "latency") == 3.0


def test_what_is_no_metric_or_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="'raw_metrics' is no metric; there are throughput, latency"):
        metric_value(BuildMetrics(), "raw_metrics")
    with pytest.raises(ValueError, match="one of max, min, not 'least'"):
        pareto_set([(1,)], ("least",))
    assert len(METRICS) == 9
