"""The text of `doit diff`: section by section what two builds differ in, figures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from finnmake.exploration.drawing import counted, printable
from finnmake.tasks.diff_sides import Figure, Sides
from finnmake.tasks.why_text import differences_lines

#: Metrics that are fractions of the device, or of all answers: told in percent.
_FRACTIONS = ("lut_utilization", "dsp_utilization", "bram_utilization", "uram_utilization", "accuracy")

#: Metric -> unit, of the others.
_UNITS = {"throughput": "inferences/s", "latency": "µs", "clock_frequency": "MHz", "total_power": "W"}

_SIMULATED = " (simulated)"


def diff_text(sides: Sides, everything: bool) -> str:
    """What two builds differ in.

    Args:
        everything: whether layers and figures that are the same are shown too, and nothing is left out.
    """
    return "".join(f"{line}\n" for line in _lines(sides, everything))


def _lines(sides: Sides, everything: bool) -> Iterator[str]:
    marks = [_SIMULATED if each else "" for each in sides.simulated]
    yield f"{sides.left}{marks[0]} -> {sides.right}{marks[1]}"
    if sides.same:
        yield "the same: inputs, configuration, steps, toolchain, outputs and figures"
    for section in ("configuration", "inputs", "steps", "toolchain"):
        found = sides.differences[section]
        if section == "steps":
            yield from _parting(sides)
        if found:
            yield ""
            yield section
            yield from differences_lines(found, everything)
    outputs = sides.differences["outputs"]
    if outputs:
        yield ""
        yield f"outputs: {counted(len(outputs), 'file')} of other content"
        if everything:
            yield from (f"  {printable(each.name)}" for each in outputs)
    yield from _figures(sides.metrics, everything)
    yield from _layers(sides, everything)


def _parting(sides: Sides) -> Iterator[str]:
    most = max(sides.steps)
    if sides.parted < most:
        yield ""
        yield f"the chains part at step {sides.parted + 1} of {most}"


def _figures(metrics: Sequence[Figure], everything: bool) -> Iterator[str]:
    shown = [each for each in metrics if everything or each.left != each.right]
    if shown:
        yield ""
        yield "metrics"
        yield from _aligned(
            (_titled(each.name), _metric(each.name, each.left), _metric(each.name, each.right), _ratio(each))
            for each in shown
        )


def _titled(name: str) -> str:
    return f"{name} ({_UNITS[name]})" if name in _UNITS else name


def _metric(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name in _FRACTIONS:
        return f"{value:.1%}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _layers(sides: Sides, everything: bool) -> Iterator[str]:
    rows = [
        (layer, each)
        for layer, row in sides.layers.items()
        for each in row
        if everything or each.left != each.right
    ]
    if rows:
        yield ""
        yield "layers, as FINN estimates them"
        layers = [layer if not at or rows[at - 1][0] != layer else "" for at, (layer, _) in enumerate(rows)]
        yield from _aligned(
            (printable(layer), each.name, _number(each.left), _number(each.right), _ratio(each))
            for layer, (_, each) in zip(layers, rows, strict=True)
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _ratio(each: Figure) -> str:
    return "" if each.ratio is None else f"x {each.ratio:.3g}"


def _aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Columns; numbers to the right, where the last three are."""
    table = list(rows)
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        words = len(row) - 3
        cells = (
            cell.ljust(space) if at < words else cell.rjust(space)
            for at, (cell, space) in enumerate(zip(row, wide, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()
