"""Which builds of an exploration meet the limits, which of those are best, and what could not be judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from finnmake.blueprint.expressions import Expression
from finnmake.errors import BlueprintError
from finnmake.exploration.ranking import dominates, metric_value, pareto_set, rank
from finnmake.records import BuildMetrics, BuildResult

#: So many configurations are named in a warning.
_NAMED = 5


class Judgement:
    """Limits and objectives held against results.

    Args:
        results: those of the successful builds count.
        objectives: (metric, `max` or `min`), the most important first.
        limits: conditions over the metrics.

    Attributes:
        feasible: ids of the configurations that were built well and meet all limits, in order. A limit over
            a metric without a value is not met.
        warnings: what limits and objectives could not be held against, a sentence each.
    """

    def __init__(
        self, results: Sequence[BuildResult], objectives: Sequence[tuple[str, str]], limits: Sequence[str]
    ) -> None:
        self._metrics = {each.config_id: each.metrics for each in results if each.is_successful()}
        self.feasible = list(self._metrics)
        self.warnings: list[str] = []
        for text in limits:
            self._apply(Expression(text))
        if self._metrics and not self.feasible:
            self.warnings.append("No configuration that was built meets all limits.")
        self._objectives = [each for each in objectives if self._told(each[0])]

    @cached_property
    def pareto(self) -> list[str]:
        """Ids of the feasible configurations that no other one beats, in order.

        Objectives that none of them has a value for do not count.
        """
        if not self._objectives:
            return []
        points = [self._point(each) for each in self.feasible]
        return [self.feasible[index] for index in pareto_set(points, self._senses)]

    @cached_property
    def ranked(self) -> list[str]:
        """The Pareto set, best first: by the objectives in turn, then by id.

        Where every feasible configuration lacks some value, all; none without an objective that counts.
        """
        if not self._objectives:
            return []
        return rank({each: self._point(each) for each in self.pareto or self.feasible}, self._senses)

    def better_than(self, config_id: str) -> str | None:
        """The best of the Pareto set that beats a feasible configuration; None where there is none."""
        if config_id not in self.feasible:
            return None
        point = self._point(config_id)
        better = (each for each in self.ranked if dominates(self._point(each), point, self._senses))
        return next(better, None)

    def _apply(self, limit: Expression) -> None:
        """Leave those in `feasible` that meet a limit."""
        met = []
        unsure: dict[str, list[str]] = {}
        for each in self.feasible:
            found = verdict(limit, self._metrics[each])
            if isinstance(found, str):
                unsure.setdefault(found, []).append(each)
            elif found:
                met.append(each)
        for why, ids in unsure.items():
            self.warnings.append(f"The limit {limit.text!r} counts as broken, as {why}: {_named(ids)}.")
        self.feasible = met

    def _told(self, metric: str) -> bool:
        """Whether an objective counts; says whom it leaves out."""
        lacking = [each for each in self.feasible if metric_value(self._metrics[each], metric) is None]
        if lacking == self.feasible:
            if lacking:
                self.warnings.append(
                    f"No configuration has a value for {metric}: this objective does not count."
                )
            return False
        if lacking:
            self.warnings.append(f"Without a value for {metric}, so in no Pareto set: {_named(lacking)}.")
        return True

    @property
    def _senses(self) -> list[str]:
        return [sense for _, sense in self._objectives]

    def _point(self, config_id: str) -> tuple[float | None, ...]:
        return tuple(metric_value(self._metrics[config_id], metric) for metric, _ in self._objectives)


def unknown_metrics(limit: Expression, metrics: BuildMetrics | None) -> list[str]:
    """The metrics that a limit names and that have no value."""
    return [name for name in sorted(limit.names) if metric_value(metrics, name) is None]


def verdict(limit: Expression, metrics: BuildMetrics | None) -> bool | str:
    """Whether a limit is met, or why that cannot be said."""
    unknown = unknown_metrics(limit, metrics)
    if unknown:
        return f"there is no value for {', '.join(unknown)}"
    try:
        return limit.holds({name: metric_value(metrics, name) for name in limit.names})
    except BlueprintError as error:
        return error.message


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more
