"""What was measured of the hardware that the backend open_rtl built, beside FINN's estimates.

From the reports of `finnmake.backends.open_rtl.steps`: `measured.Measured`, `synthesis.Report` and
`fifos.Sizing` as JSON. Each may be missing; what cannot be used is a problem of the build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnmake.report.choices import as_mapping
from finnmake.report.tables import Table, pairs, text
from finnmake.report.timeline import Cell, Timeline
from finnmake.runner.report_shapes import (
    ESTIMATED_RESOURCES,
    LAYER_CYCLES,
    OPEN_RTL_SIMULATION,
    PERFORMANCE,
    YOSYS,
)
from finnmake.runner.reports import finite_number

if TYPE_CHECKING:
    from finnmake.report.view import Build

#: What FIFO sizing found. No metric is read from it.
_FIFOS = "open_rtl_fifos.json"

#: The design that was simulated: names and depths of its FIFOs. See `finnmake.backends.open_rtl.design`.
_DESIGN = "artifacts/open_rtl/rtl/design.json"

#: What synthesis counts, in the order of the columns. FINN estimates no flip-flops.
RESOURCES = ("LUT", "FF", "DSP", "BRAM_18K", "URAM")

#: Words that any FIFO of FINN's holds, see `finnmake.backends.open_rtl.fifos`.
_HELD_AT_LEAST = 5

_KIB = 8 * 1024

#: Where no synthesis says it: there is none, or it is of another finnmake.
_NO_FMAX = "No open tool knows the timing of these devices."

_NOT_KNOWN = "–"


@dataclass(frozen=True)
class Compared:
    """A figure that was estimated and measured, in words; the ratio is the second to the first."""

    label: str
    estimate: str
    measured: str
    ratio: str


#: The figure that nobody knows.
_FMAX = Compared("Fmax", _NOT_KNOWN, "not known", "")


@dataclass(frozen=True)
class Busy:
    """What a layer did in the simulation.

    Attributes:
        name: of the layer.
        bottleneck: whether no other worked for longer.
        shares: of all cycles, in percent: busy, blocked, starved; empty where that is not known.
        cycles: of work for an inference, estimated and measured.
        cells: when it waited.
    """

    name: str
    bottleneck: bool
    shares: tuple[float, ...]
    cycles: Compared
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Fifo:
    """A FIFO in the simulation: `between` are its ends, `depth` and `peak` words; `full`: it once was."""

    name: str
    between: str
    depth: str
    peak: str
    full: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Taken:
    """What a layer takes: for each of `RESOURCES`, the estimate and what synthesis found."""

    name: str
    counts: tuple[Compared, ...]


@dataclass(frozen=True)
class Hardware:
    """The section of the page.

    Attributes:
        facts: what was simulated, in words.
        compared: figures of the whole design.
        layers: of the simulation.
        column: cycles of a column of the timelines; 0 where there is none.
        fifos: of the simulation.
        taken: by layer, from synthesis; empty where there was none.
        total: of the whole design.
        synthesis: what counted; empty where nothing did.
        fmax: why the clock that it reaches is not known.
    """

    facts: Table
    compared: tuple[Compared, ...]
    layers: tuple[Busy, ...]
    column: int
    fifos: tuple[Fifo, ...]
    taken: tuple[Taken, ...]
    total: tuple[Compared, ...]
    synthesis: str
    fmax: str


def hardware(build: Build) -> Hardware | None:
    """What the reports of the backend tell; None where there is none of them."""
    simulated = _report(build, OPEN_RTL_SIMULATION, "simulation")
    synthesised = _report(build, YOSYS, "total")
    sized = _report(build, _FIFOS, "depths")
    if not (simulated or synthesised or sized):
        return None
    measured = as_mapping(simulated.get("simulation"))
    activity = as_mapping(measured.get("activity"))
    timeline = Timeline.of(activity, finite_number(measured.get("cycles")))
    total = _taken("total", build.report(ESTIMATED_RESOURCES), as_mapping(synthesised.get("total")))
    return Hardware(
        facts=pairs(_facts(simulated, measured, sized)),
        compared=(*_cycles(build, measured), *(total if synthesised else ()), _FMAX),
        layers=tuple(_layers(build, measured, activity, timeline)),
        column=timeline.column if timeline else 0,
        fifos=tuple(_fifos(build, activity, sized, timeline)),
        taken=tuple(_resources(build, synthesised)),
        total=total,
        synthesis=text(synthesised.get("source", "")) if synthesised else "",
        fmax=text(synthesised.get("fmax_note") or _NO_FMAX),
    )


def _report(build: Build, name: str, key: str) -> Mapping[str, Any]:
    """A report whose `key` is a mapping; else empty, and a problem where there is such a file."""
    place, known = f"artifacts/report/{name}", len(build.problems)
    found = build.mapping(place)
    if isinstance(found.get(key), Mapping) and found[key]:
        return found
    if len(build.problems) == known and (build.folder / place).exists():
        build.problems.append(f"{place} has no {key}.")
    return {}


def _facts(
    simulated: Mapping[str, Any], measured: Mapping[str, Any], sized: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """What is worth a line, as far as it is known."""
    if simulated:
        yield "inputs", f"{text(simulated.get('inferences'))} ({text(simulated.get('inputs'))})"
        worst = finite_number(simulated.get("worst_difference"))
        if worst is not None:
            same = "bit by bit" if worst == 0 else f"within {worst:.3g}"
            yield "outputs", f"equal to the model's, {same}, without pauses and with random ones"
        accuracy = finite_number(simulated.get("accuracy"))
        if accuracy is not None:
            yield "accuracy of the simulated hardware", f"{accuracy:.2%}".replace("%", " %")
        yield "simulated", f"{text(measured.get('cycles'))} cycles"
        if measured.get("is_settled") is False:
            yield "interval", "it did not settle: inferences take longer and shorter by turns"
        stalled = as_mapping(simulated.get("stalled"))
        cycles, stall = finite_number(stalled.get("cycles")), finite_number(stalled.get("stall"))
        if cycles is not None and stall is not None:
            yield f"with both ends pausing {100 * stall:.3g} % of the time", f"{cycles:,.0f} cycles"
    if sized:
        yield from _sizing(sized)


def _sizing(sized: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Memory and rate before and after the FIFOs were sized."""
    bits = as_mapping(sized.get("bits"))
    before, after = finite_number(bits.get("built")), finite_number(bits.get("depths"))
    if before is not None and after is not None:
        yield "memory of FIFOs", f"{before / _KIB:.4g} KiB before sizing, {after / _KIB:.4g} KiB after"
    was, now = finite_number(sized.get("interval_built")), finite_number(sized.get("interval"))
    if now is not None:
        earlier = "a deadlock" if was is None else f"{was:,.6g} cycles"
        yield "interval while sizing", f"{earlier} before, {now:,.6g} cycles after"


def _compared(label: str, estimate: Any, measured: Any) -> Compared:
    guess, found = finite_number(estimate), finite_number(measured)
    ratio = "" if not guess or found is None else f"× {found / guess:,.3g}"
    return Compared(label, _number(guess), _number(found), ratio)


def _number(value: float | None) -> str:
    """A count, or a mean of counts."""
    if value is None:
        return _NOT_KNOWN
    return f"{value:,.0f}" if value.is_integer() or value >= 1000 else f"{value:,.1f}"


def _cycles(build: Build, measured: Mapping[str, Any]) -> Iterator[Compared]:
    """Interval and latency of the whole design."""
    if measured:
        estimates = build.report(PERFORMANCE)
        interval = "cycles from one inference to the next"
        yield _compared(interval, estimates.get("max_cycles"), measured.get("stable_interval"))
        latency = "cycles of the first inference (latency)"
        yield _compared(latency, estimates.get("critical_path_cycles"), measured.get("latency"))


def _layers(
    build: Build, measured: Mapping[str, Any], activity: Mapping[str, Any], timeline: Timeline | None
) -> Iterator[Busy]:
    cycles, finish = finite_number(measured.get("cycles")), measured.get("finish")
    inferences = len(finish) if isinstance(finish, list) else 0
    estimates = build.report(LAYER_CYCLES)
    found = {name: _waiting(each) for name, each in as_mapping(activity.get("layers")).items()}
    most = max((each[0] for each in found.values() if each), default=0.0)
    for name, each in found.items():
        work = each[0] / inferences if each and inferences else None
        yield Busy(
            name=text(name),
            bottleneck=bool(each) and each[0] == most,
            shares=tuple(min(100 * part / cycles, 100) for part in each) if each and cycles else (),
            cycles=_compared("", estimates.get(name), work),
            cells=timeline.waits(name) if timeline else (),
        )


def _waiting(layer: Any) -> tuple[float, ...]:
    """Cycles busy, blocked and starved; empty where one of them is no number of cycles."""
    counts = [finite_number(as_mapping(layer).get(kind)) for kind in ("busy", "blocked", "starved")]
    known = tuple(count for count in counts if count is not None and count >= 0)
    return known if len(known) == len(counts) else ()


def _fifos(
    build: Build, activity: Mapping[str, Any], sized: Mapping[str, Any], timeline: Timeline | None
) -> Iterator[Fifo]:
    """The FIFOs that were simulated; where none were, those that were sized."""
    depths, peaks = as_mapping(sized.get("depths")), as_mapping(activity.get("fifos"))
    design = _designed(build) if peaks else {}
    for name in peaks or depths:
        made = as_mapping(design.get(name))
        depth = finite_number(made.get("depth", depths.get(name)))
        peak = finite_number(as_mapping(peaks.get(name)).get("peak"))
        ends = (made.get("producer"), made.get("consumer"))
        yield Fifo(
            name=text(name),
            between=" → ".join(map(text, ends)) if all(ends) else "",
            depth=_number(depth),
            peak=_number(peak),
            full=depth is not None and peak is not None and peak >= max(depth, _HELD_AT_LEAST),
            cells=timeline.fill(name, max(depth, _HELD_AT_LEAST)) if timeline and depth is not None else (),
        )


def _designed(build: Build) -> Mapping[str, Any]:
    """The FIFOs of the design by name, as far as it tells of them."""
    fifos = build.mapping(_DESIGN).get("fifos")
    entries = map(as_mapping, fifos if isinstance(fifos, list) else [])
    return {each["name"]: each for each in entries if isinstance(each.get("name"), str)}


def _resources(build: Build, synthesised: Mapping[str, Any]) -> Iterator[Taken]:
    """Of layers, then of FIFOs."""
    estimates = build.report(ESTIMATED_RESOURCES)
    for kind in ("layers", "fifos"):
        for name, counts in as_mapping(synthesised.get(kind)).items():
            yield Taken(text(name), _taken(name, estimates, as_mapping(counts)))


def _taken(name: str, estimates: Mapping[str, Any], counts: Mapping[str, Any]) -> tuple[Compared, ...]:
    guess = as_mapping(estimates.get(name))
    return tuple(_compared(resource, guess.get(resource), counts.get(resource)) for resource in RESOURCES)
