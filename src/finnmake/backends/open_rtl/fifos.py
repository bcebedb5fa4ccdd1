"""FIFO sizing by simulation: the smallest depths with which a design is as fast as with endless FIFOs.

One program serves all depths, see `sim/fifo.sv`. When beats move does not depend on their values, so any
input does. First all FIFOs are without end, which gives the bottleneck's interval. Then they are gauged:
inferences come at that interval (back to back, the FIFO before the bottleneck would grow for as long as it
runs), and a FIFO needs its highest fill and a word more. Then each is made smaller while the interval
stays, those with the most bits first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finnmake.backends.open_rtl import simulate, stimuli
from finnmake.backends.open_rtl.design import Design
from finnmake.backends.open_rtl.measured import DONE, Measured
from finnmake.backends.open_rtl.simulate import Program, Run
from finnmake.errors import StepError

#: The name of the step in messages.
STEP = "size_fifos"

#: The smallest depth that FINN's fifo.sv can be built with, and the words that it holds for any up to that.
LEAST = 2
HELD_AT_LEAST = 5

#: Without end, see `sim/fifo.sv`.
_ENDLESS = 0

#: Inferences of the first run, and how many more than are in the design at once those after it take.
_FIRST = 4
_SETTLE = 6


@dataclass(frozen=True)
class Sizing:
    """The FIFOs of a design before and after.

    Attributes:
        depths: FIFO -> words, the smallest that were found.
        gauged: FIFO -> words after gauging.
        built: FIFO -> words as the design has them.
        bits: memory in bits, width times depth: of `built`, `gauged` and `depths`.
        interval: cycles from one inference to the next, with `depths` as without end.
        interval_built: the same with `built`; None where the design deadlocks.
        latency: cycles from the first beat in to the last beat out of the first inference, with `depths`.
        simulations: how many it took.
    """

    depths: Mapping[str, int]
    gauged: Mapping[str, int]
    built: Mapping[str, int]
    bits: Mapping[str, int]
    interval: float
    interval_built: float | None
    latency: int
    simulations: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)


def size(program: Program, *, patience: int = 1_000_000, timeout: float = 3600) -> Sizing:
    """Find the smallest depths.

    Args:
        program: built with `observe` and `resizable`.
        patience: see `simulate.Run`.
        timeout: seconds, of each simulation.

    Raises:
        StepError: the design deadlocks whatever its FIFOs hold, or its rate does not settle.
    """
    search = _Search(program, patience, timeout)
    design = program.design
    goal = search.bottleneck()
    gauged = search.gauge(math.ceil(goal))
    if not search.keeps(gauged, goal):
        raise StepError(
            STEP,
            f"with the depths that were gauged an inference takes more than {goal:g} cycles",
            category="timing",
            cure="Report it with the model and its folding; until then set fifo_config_file.",
        )
    depths = search.shrink(gauged, goal)
    last = search.run(depths)
    built = {fifo.name: fifo.depth for fifo in design.fifos}
    return Sizing(
        depths=depths,
        gauged=gauged,
        built=built,
        bits={
            "built": bits(design, built),
            "gauged": bits(design, gauged),
            "depths": bits(design, depths),
        },
        interval=goal,
        interval_built=search.interval(search.run(built)),
        latency=last.latency or 0,
        simulations=search.simulations,
    )


def bits(design: Design, depths: Mapping[str, int]) -> int:
    """What the FIFOs hold in all, in bits."""
    return sum(fifo.width * depths[fifo.name] for fifo in design.fifos)


def fifo_config(design: Design, depths: Mapping[str, int]) -> dict[str, Any]:
    """FINN's `fifo_config_file`, as JSON values; for a build with `auto_fifo_depths: false`.

    finn-plus reads it in `ApplyFIFODepthsFromFile` (transformation/fpgadataflow/set_fifo_depths.py): it needs
    all FIFOs by the names that FINN gives them.
    """
    names = [fifo.name for fifo in design.fifos]
    return {
        "fifo_depths": {name: depths[name] for name in names},
        "impl_style": dict.fromkeys(names, "rtl"),
        "ram_style": dict.fromkeys(names, "auto"),
        "total_fifo_size_kiB": bits(design, depths) / 8 / 1024,
    }


class _Search:
    """The simulations of one search. All take the same inputs, as many inferences."""

    def __init__(self, program: Program, patience: int, timeout: float) -> None:
        self.simulations = 0
        self._program = program
        self._asked = Run(inferences=_FIRST, patience=patience, timeout=timeout)
        self._inputs = {port.tensor: stimuli.random_values(port, 1, seed=0) for port in program.design.inputs}

    def run(self, depths: Mapping[str, int], interval: int = 0) -> Measured:
        """One simulation."""
        self.simulations += 1
        asked = dataclasses.replace(self._asked, depths=depths, interval=interval)
        return simulate.run(self._program, self._inputs, asked)[0]

    def bottleneck(self) -> float:
        """The interval with endless FIFOs, in cycles. Later runs take as many inferences as it needs."""
        endless = self._endless()
        first = self.run(endless)
        if first.verdict != DONE:
            raise self._stuck(first)
        # So many inferences are in the design at once; each of them may still meet FIFOs that are not full.
        deep = math.ceil((first.latency or 0) / max(first.stable_interval or 1, 1))
        self._asked = dataclasses.replace(self._asked, inferences=2 * (deep + _SETTLE))
        settled = self.run(endless)
        interval = settled.stable_interval
        if settled.verdict != DONE or interval is None:
            raise self._stuck(settled)
        # A run that is too slow is not simulated to its end.
        self._asked = dataclasses.replace(self._asked, limit=2 * settled.cycles + self._asked.inferences)
        return interval

    def gauge(self, interval: int) -> dict[str, int]:
        """What each FIFO needs where inferences come at an interval."""
        measured = self.run(self._endless(), interval)
        if measured.activity is None:
            raise StepError(STEP, "the program does not observe the design", category="config")
        return {
            name: LEAST if fill.peak < HELD_AT_LEAST else fill.peak + 1
            for name, fill in measured.activity.fifos.items()
        }

    def keeps(self, depths: Mapping[str, int], goal: float) -> bool:
        """Whether the design is as fast with these depths."""
        found = self.interval(self.run(depths))
        return found is not None and found <= goal

    def interval(self, measured: Measured) -> float | None:
        """The interval of a run; None of one that did not come to its end."""
        return measured.stable_interval if measured.verdict == DONE else None

    def shrink(self, gauged: Mapping[str, int], goal: float) -> dict[str, int]:
        """Make one FIFO after the other as small as the goal allows, with the others as they are then."""
        depths = dict(gauged)
        width = {fifo.name: fifo.width for fifo in self._program.design.fifos}
        for name in sorted(depths, key=lambda name: (-width[name] * depths[name], name)):
            low, high = LEAST, depths[name]  # `high` is known to keep the rate
            if low < high and self.keeps({**depths, name: low}, goal):
                high = low
            low = min(HELD_AT_LEAST, high)
            while low + 1 < high:
                middle = (low + high) // 2
                if self.keeps({**depths, name: middle}, goal):
                    high = middle
                else:
                    low = middle
            depths[name] = high
        return depths

    def _endless(self) -> dict[str, int]:
        return {fifo.name: _ENDLESS for fifo in self._program.design.fifos}

    def _stuck(self, measured: Measured) -> StepError:
        why = f": {measured.deadlock.message}" if measured.deadlock else ""
        return StepError(
            STEP,
            f"with endless FIFOs the design ends in {measured.verdict} after {measured.cycles} cycles{why}",
            category="timing",
            cure="Report it with the model and its folding: no FIFO can mend it.",
        )
