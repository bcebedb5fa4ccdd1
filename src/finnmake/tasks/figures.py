"""Figures as lines of text: the metrics of a build, and the ranking of an exploration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from finnmake.records import BuildMetrics

if TYPE_CHECKING:
    from finnmake.exploration.results import ExplorationResult

#: Metric -> how it is shown.
_FORMS = {
    "throughput": "{:,.0f} inferences/s",
    "latency": "{:,.2f} µs",
    "clock_frequency": "{:.0f} MHz",
    "lut_utilization": "LUT {:.1%}",
    "bram_utilization": "BRAM {:.1%}",
    "uram_utilization": "URAM {:.1%}",
    "dsp_utilization": "DSP {:.1%}",
    "total_power": "{:.3g} W",
    "accuracy": "accuracy {:.2%}",
}

_USUAL = (
    "throughput",
    "latency",
    "clock_frequency",
    "lut_utilization",
    "bram_utilization",
    "dsp_utilization",
)

#: So many configurations of a Pareto set are shown.
_SHOWN = 20


def figures(metrics: BuildMetrics | None, also: Iterable[str] = ()) -> str:
    """Metrics in one line: the usual ones and `also`; what is not known is left out."""
    if metrics is None:
        return "no metrics"
    wanted = {**dict.fromkeys(_USUAL), **dict.fromkeys(also)}
    known = ((_FORMS[name], getattr(metrics, name)) for name in wanted)
    return "  ".join(form.format(value) for form, value in known if value is not None)


def ranking_lines(found: ExplorationResult) -> Iterator[str]:
    """The outcome of an exploration: how many, and the Pareto set with what each member is."""
    wanted = ", ".join(f"{metric} {sense}" for metric, sense in found.objectives)
    yield ""
    yield (
        f"{found.success_count:,} of {len(found.results):,} built, {len(found.feasible):,} within the "
        f"limits, {len(found.pareto):,} in the Pareto set ({wanted})"
    )
    for category, failed in found.failures.items():
        yield f"failed ({category}): {', '.join(failed[:_SHOWN])}{' …' if len(failed) > _SHOWN else ''}"
    if found.skipped_count:
        yield f"skipped: {found.skipped_count:,}"
    if found.pareto:
        yield from _pareto_table(found)
    if len(found.pareto) > _SHOWN:
        yield f"… and {len(found.pareto) - _SHOWN:,} more"
    steps = found.steps
    yield (
        f"{steps.total:,} steps in all: {steps.ran:,} ran, {steps.shared:,} were shared, "
        f"{steps.up_to_date:,} were up to date ({steps.sharing:.1%} did not run)"
    )


def _pareto_table(found: ExplorationResult) -> list[str]:
    """The Pareto set, best first: objectives, and the axes on which its members differ."""
    from rich.console import Console
    from rich.table import Table

    members = found.ranked[:_SHOWN]
    at = {config.id: row for config, row in zip(found.configs, found.axis_values, strict=True)}
    rows = [at[config.id] for config in members]
    varied = [number for number in range(len(found.axes)) if len({row[number] for row in rows}) > 1]
    table = Table(box=None, pad_edge=False)
    for column in ("", *(metric for metric, _ in found.objectives), *(found.axes[each] for each in varied)):
        table.add_column(column, justify="left" if column in found.axes or not column else "right")
    for config, row in zip(members, rows, strict=True):
        metrics = found.result_of(config.id).metrics
        values = (_figure(metrics, metric) for metric, _ in found.objectives)
        table.add_row(config.id, *values, *(str(row[each]) for each in varied))
    console = Console(width=1000, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _figure(metrics: BuildMetrics | None, name: str) -> str:
    value = None if metrics is None else getattr(metrics, name)
    _, brace, form = _FORMS[name].partition("{")  # the column's head says what it is
    return "–" if value is None else f"{brace}{form}".format(value)
