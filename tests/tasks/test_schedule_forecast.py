"""The time that is left: from what earlier runs took and the part of the steps that runs; else nothing."""

from __future__ import annotations

import pytest

from finnmake.tasks.schedule_forecast import Expected, Forecast, duration


def expected(count: int, **seconds: float) -> Expected:
    """Configurations with the steps `a` and `b`."""
    steps = ("a", "b")
    ids = [f"config_{number:03}" for number in range(1, count + 1)]
    total = sum(seconds.values())
    return Expected(dict.fromkeys(ids, steps), dict.fromkeys(ids, total), seconds)


def build(forecast: Forecast, config: str, ran: str) -> None:
    """A configuration goes through its steps; those in `ran` run, and take 10 s."""
    for step in "ab":
        if step in ran:
            forecast.ran(step, 10.0)
        forecast.passed(config, step)
    forecast.ended(config)


def test_a_single_build_takes_what_its_steps_took() -> None:
    forecast = Forecast(expected(1, a=10.0, b=20.0), 1)
    assert forecast.left([], 0.0) == 30.0
    assert forecast.left([("a", 4.0)], 4.0) == 26.0
    forecast.ran("a", 11.0)
    assert forecast.left([("b", 5.0)], 16.0) == 15.0


def test_a_step_that_takes_longer_than_ever_has_no_time_left() -> None:
    assert Forecast(expected(1, a=10.0, b=20.0), 1).left([("a", 50.0)], 50.0) == 20.0


@pytest.mark.parametrize("seconds", [{}, {"a": 10.0}])
def test_nothing_is_said_where_a_step_is_not_known(seconds: dict[str, float]) -> None:
    assert Forecast(expected(1, **seconds), 1).left([], 0.0) is None


def test_what_this_run_took_counts_where_nothing_else_is_known() -> None:
    forecast = Forecast(expected(4), 1)
    for number in (1, 2, 3):
        build(forecast, f"config_00{number}", "ab")
    assert forecast.expected("a") == 10.0
    assert forecast.left([], 60.0) == 20.0


def test_nothing_is_said_before_it_is_known_how_much_is_shared() -> None:
    forecast = Forecast(expected(10, a=10.0, b=10.0), 1)
    build(forecast, "config_001", "ab")
    assert forecast.left([], 20.0) is None


def test_steps_that_all_share_are_not_counted_again() -> None:
    forecast = Forecast(expected(10, a=10.0, b=10.0), 1)
    build(forecast, "config_001", "ab")
    for number in (2, 3, 4):
        build(forecast, f"config_00{number}", "b")
    assert forecast.left([], 50.0) == 6 * 10.0


def test_jobs_share_what_is_left_and_the_last_one_has_nobody_to_share_with() -> None:
    forecast = Forecast(expected(5, a=10.0, b=10.0), 2)
    for number in (1, 2, 3):
        build(forecast, f"config_00{number}", "ab")
    assert forecast.left([], 30.0) == 20.0
    build(forecast, "config_004", "ab")
    assert forecast.left([], 40.0) == 20.0


def test_what_a_configuration_takes_beside_its_steps_counts() -> None:
    forecast = Forecast(expected(4, a=10.0, b=10.0), 1)
    for number in (1, 2, 3):
        build(forecast, f"config_00{number}", "ab")
    assert forecast.left([], 60.0 + 3 * 2.0) == 22.0


def test_a_failure_takes_the_steps_along_that_it_did_not_come_to() -> None:
    forecast = Forecast(expected(2, a=10.0, b=100.0), 1)
    forecast.ran("a", 10.0)
    forecast.passed("config_001", "a")
    forecast.ended("config_001")
    assert forecast.left([], 10.0) == 110.0


def test_ending_twice_or_elsewhere_changes_nothing() -> None:
    forecast = Forecast(expected(2, a=10.0, b=10.0), 1)
    build(forecast, "config_001", "")
    forecast.ended("config_001")
    forecast.ended("somewhere_else")
    assert forecast.left([], 0.0) == 20.0


def test_nothing_is_left_at_the_end() -> None:
    forecast = Forecast(expected(1, a=10.0, b=10.0), 1)
    build(forecast, "config_001", "ab")
    assert forecast.left([], 20.0) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "5 s"), (4.9, "5 s"), (12, "10 s"), (41, "40 s"), (54, "55 s")),
        *((55, "1 min"), (89, "1 min"), (150, "2 min"), (3500, "58 min"), (3570, "1 h")),
        *((3600 * 2 + 600, "2 h 10 min"), (3600 * 30, "30 h")),
    ],
)
def test_a_time_span_claims_no_more_than_is_known(seconds: float, words: str) -> None:
    assert duration(seconds) == words
