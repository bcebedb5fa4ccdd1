"""Where FINN's estimates misled: figures beside those measured, and the Pareto set that they would give."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from finnmake.exploration.judging import Judgement
from finnmake.exploration.ranking import METRICS, metric_value
from finnmake.records import ESTIMATED, BuildMetrics, BuildResult


@dataclass(frozen=True)
class Ratio:
    """How one metric was misjudged: measured over estimated, in all builds that have both.

    Attributes:
        metric: its name.
        builds: how many have both.
        least: the smallest ratio; None, as the next two, where no build has a ratio.
        median: of the ratios.
        most: the largest ratio.
        farthest: the configuration whose ratio is farthest from 1, the first of several; empty where none is.
        unforeseen: builds of these that were estimated to take nothing, and do: they have no ratio.
    """

    metric: str
    builds: int
    least: float | None
    median: float | None
    most: float | None
    farthest: str
    unforeseen: int


@dataclass(frozen=True)
class Misjudged:
    """A configuration that is in one Pareto set and not in the other.

    Attributes:
        config_id: which.
        by: the configuration that beats it where it is not in the set, the best of them; empty where it is
            a limit that it breaks there.
    """

    config_id: str
    by: str


@dataclass(frozen=True)
class Misled:
    """What an exploration tells of FINN's estimates.

    Attributes:
        ratios: a metric each, in the order of `METRICS`.
        objectives: those that were estimated; for the others both sets go by what was measured.
        pareto: the Pareto set by estimates, in order; empty where no objective was estimated.
        beaten: in the set by estimates, and beaten in fact.
        overlooked: in the set in fact, and beaten by estimates.
    """

    ratios: tuple[Ratio, ...]
    objectives: tuple[str, ...]
    pareto: tuple[str, ...]
    beaten: tuple[Misjudged, ...]
    overlooked: tuple[Misjudged, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def estimates_of(metrics: BuildMetrics | None) -> dict[str, float]:
    """Metric -> what FINN estimated, of those that were measured."""
    held = None if metrics is None else metrics.raw_metrics.get(ESTIMATED)
    if not isinstance(held, Mapping):
        return {}
    values = {name: held.get(name) for name in METRICS if metric_value(metrics, name) is not None}
    return {name: float(value) for name, value in values.items() if _is_figure(value)}


def _is_figure(value: Any) -> TypeGuard[float]:
    """Whether a metric can have this value: the file that it comes from may hold anything."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def misled(
    results: Sequence[BuildResult],
    objectives: Sequence[tuple[str, str]],
    limits: Sequence[str],
    judged: Judgement,
) -> Misled | None:
    """Hold the estimates of builds against what was measured of them.

    Args:
        results: of the configurations, in order; those that were built well count.
        objectives: (metric, `max` or `min`), the most important first.
        limits: conditions over the metrics.
        judged: the same, by what was measured.

    Returns:
        None where nothing was both estimated and measured.
    """
    built = [each for each in results if each.is_successful()]
    guesses = {each.config_id: estimates_of(each.metrics) for each in built}
    known = {name for guess in guesses.values() for name in guess}
    if not known:
        return None
    ratios = tuple(_ratio(name, built, guesses) for name in METRICS if name in known)
    compared = tuple(name for name, _ in objectives if name in known)
    if not compared:
        return Misled(ratios, (), (), (), ())
    guessed = Judgement([_as_estimated(each) for each in built], objectives, limits)
    return Misled(
        ratios,
        compared,
        tuple(guessed.pareto),
        tuple(_misjudged(guessed.pareto, judged)),
        tuple(_misjudged(judged.pareto, guessed)),
    )


def _ratio(metric: str, built: Sequence[BuildResult], guesses: Mapping[str, Mapping[str, float]]) -> Ratio:
    """Of a metric that some build has an estimate of."""
    ratios: dict[str, float] = {}
    unforeseen = 0
    for each in built:
        guess, found = guesses[each.config_id].get(metric), metric_value(each.metrics, metric)
        if guess and found is not None:
            ratios[each.config_id] = found / guess
        elif guess == 0 and found:
            unforeseen += 1
    values = list(ratios.values())
    return Ratio(
        metric,
        sum(metric in guess for guess in guesses.values()),
        min(values, default=None),
        statistics.median(values) if values else None,
        max(values, default=None),
        max(ratios, key=lambda name: _distance(ratios[name]), default=""),
        unforeseen,
    )


def _distance(ratio: float) -> float:
    """Twice as much is as far from 1 as half as much."""
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _as_estimated(result: BuildResult) -> BuildResult:
    """The result with estimates in place of what was measured."""
    if result.metrics is None:
        return result
    changes: dict[str, Any] = {**estimates_of(result.metrics)}
    return replace(result, metrics=replace(result.metrics, **changes))


def _misjudged(inside: Sequence[str], other: Judgement) -> Iterator[Misjudged]:
    """Those of a Pareto set that another judgement does not have in its own."""
    others = set(other.pareto)
    for each in inside:
        if each not in others:
            yield Misjudged(each, other.better_than(each) or "")
