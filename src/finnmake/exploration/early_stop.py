"""What estimates rule out before the long stages: configurations that break a limit or are dominated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.open_rtl_steps import OPEN_RTL, SIMULATE
from finnmake.blueprint.slots import STEP, entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.judging import unknown_metrics, verdict
from finnmake.exploration.ranking import dominates, metric_value, pareto_set
from finnmake.records import BuildMetrics, OutputStage

#: Output stages whose figures are estimates, and the metrics that estimates do not tell.
_ESTIMATED = (OutputStage.ESTIMATES.value, OutputStage.DATAFLOW_GRAPH.value, OutputStage.RTL.value)
_LATER = ("total_power", "accuracy")

#: Metric -> the analysis that gives it, whatever stage a build goes to.
_MEASURED = {"accuracy": "accuracy_validation"}


def rule_out(
    estimates: Mapping[str, BuildMetrics],
    objectives: Sequence[tuple[str, str]],
    limits: Iterable[Expression],
) -> dict[str, str]:
    """Configuration id -> why it is not worth building further.

    Args:
        estimates: configuration id -> its metrics as far as estimates tell them.
        objectives: (metric, `max` or `min`); while no estimate knows one of them, nothing is dominated: what
            is behind in the others may be ahead in this one.
        limits: over metrics; one that names a metric that is not known yet rules nothing out.
    """
    reasons: dict[str, str] = {}
    limits = tuple(limits)
    for config_id, metrics in estimates.items():
        broken = next((limit for limit in limits if verdict(limit, metrics) is False), None)
        if broken is not None:
            reasons[config_id] = f"its estimates break the limit {broken.text} ({_shown(broken, metrics)})"
    left = [config_id for config_id in estimates if config_id not in reasons]
    return {**reasons, **_dominated({each: estimates[each] for each in left}, objectives)}


def unknown_to_estimates(space: DesignSpace) -> list[str]:
    """A sentence for each limit and objective that builds up to estimates have no value for."""
    if space.global_config["output_stage"] not in _ESTIMATED:
        return []
    wanted = {name: f"the objective {name}" for name, _ in space.objectives}
    wanted |= {name: f"the limit {limit.text!r}" for limit in space.limits for name in limit.names}
    stage = space.global_config["output_stage"]
    unknown = [name for name in _LATER if not _is_measured(name, space)]
    return [
        f"{what} has no value at output_stage {stage}" for name, what in wanted.items() if name in unknown
    ]


def _is_measured(metric: str, space: DesignSpace) -> bool:
    """Whether an analysis or simulation of some configuration gives the metric; `mock` runs none."""
    places = space.hw_compiler_space.transforms.get("post_proc", ())
    names = {entry_name(entry) for options in places for option in options for entry in option}
    analysed = space.backend != "mock" and _MEASURED.get(metric) in names
    return analysed or (metric == "accuracy" and _simulates_data(space))


def _simulates_data(space: DesignSpace) -> bool:
    """Whether some configuration simulates its hardware on a data set, which gives the accuracy."""
    if space.backend != OPEN_RTL or space.global_config["output_stage"] != OutputStage.RTL.value:
        return False
    steps = [slot for slot in space.hw_compiler_space.slots if slot.kind == STEP]
    entries = (entry for slot in steps for option in slot.options for entry in option)
    return any(
        isinstance(entry, Mapping) and (entry.get("parameters") or {}).get("data")
        for entry in entries
        if entry_name(entry) == SIMULATE
    )


def unknown_objectives(
    estimates: Mapping[str, BuildMetrics], objectives: Sequence[tuple[str, str]]
) -> list[str]:
    """The objectives that no estimate has a value for."""
    return [
        name
        for name, _ in objectives
        if all(metric_value(metrics, name) is None for metrics in estimates.values())
    ]


def broken_limits(limits: Iterable[str], metrics: BuildMetrics) -> list[str]:
    """A sentence for each limit (as written) that metrics break; what is not known breaks nothing."""
    found = []
    for limit in map(Expression, limits):
        met = verdict(limit, metrics)
        if met is False:
            found.append(f"breaks the limit {limit.text} ({_shown(limit, metrics)})")
        elif isinstance(met, str) and not unknown_metrics(limit, metrics):
            found.append(f"the limit {met}")
    return found


def _shown(limit: Expression, metrics: BuildMetrics) -> str:
    return ", ".join(f"{name} = {metric_value(metrics, name):.4g}" for name in sorted(limit.names))


def _dominated(
    estimates: Mapping[str, BuildMetrics], objectives: Sequence[tuple[str, str]]
) -> dict[str, str]:
    if unknown_objectives(estimates, objectives):
        return {}
    senses = [sense for _, sense in objectives]
    ids = list(estimates)
    points = [[metric_value(estimates[each], name) for name, _ in objectives] for each in ids]
    best = pareto_set(points, senses)
    reasons = {}
    for at, config_id in enumerate(ids):
        better = next((other for other in best if dominates(points[other], points[at], senses)), None)
        if better is not None:
            names = ", ".join(name for name, _ in objectives)
            reasons[config_id] = f"its estimates are dominated by those of {ids[better]} ({names})"
    return reasons
