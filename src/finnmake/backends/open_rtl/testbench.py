"""The C++ test bench of a design, for Verilator: feeds and drains all ports, counts cycles, notices deadlock.

The program takes `NAME=VALUE` arguments, numbers in decimal:

| name | what | otherwise |
| --- | --- | --- |
| `in0`, `in1` …, `out0` … | files of beats, by port; the first are fed over and over | required |
| `report` | where its report is written, JSON | required |
| `inferences` | how many to feed | 1 |
| `interval` | cycles from the first beat that an inference may send to that of the next | 0: back to back |
| `stall_in`, `stall_out` | in how many of 1000 cycles a port pauses, at random | 0 |
| `seed` | of these pauses | 0 |
| `patience` | cycles without a beat on any stream that it sees, after which it is a deadlock | 1000000 |
| `cycles` | where it stops at the latest | none |
| `depths` | file of `NAME DEPTH` lines for `sim/fifo.sv`; 0: without end | as built |
| `capture` | folder for the beats of all streams, `<stream>.bin`, and their cycles, `<stream>.cycles` | - |
| `capture_from` | first inference that is captured | 0 |
| `waves` | FST file, two time steps a cycle | - |
| `waves_from`, `waves_to` | its first and last cycle | all |

A file of beats has `width / 8` bytes a beat, the lowest first; a cycle in `.cycles` has eight. Cycle 0 is
the first after reset. The report has `verdict` (`done`, `deadlock`, `limit`, `terminated`: by SIGTERM,
`finish`: by the RTL's own `$finish`), `cycles`, by inference `start` and `finish` (the cycle of its first
beat in, over all ports, and of its last beat out), and by port the beats `sent` and `received`.

Observed designs can capture, and add `observed`: by stream `valid` and `ready` in the last cycle and
`transfers`, by layer `blocked` and `starved` cycles, by FIFO `fill` at the end and `peak`, and a `timeline`
of at most `BINS` parts of `width` cycles: `fill` is the most in each, the others are sums from the start.
"""

from __future__ import annotations

from typing import Any

from finnmake.backends.open_rtl import rendering
from finnmake.backends.open_rtl.design import Design
from finnmake.errors import StepError

#: Parts of a run of which the timeline is made, at most; even.
BINS = 256

_TEMPLATE = "testbench.cpp.j2"


def render(design: Design, *, observe: bool = False, waves: bool = False) -> str:
    """The test bench's source.

    Args:
        design: it goes by ports, streams, layers and FIFOs.
        observe: for a top with the `observe_…` ports, see `Design`.
        waves: for a model that Verilator made with waveforms.

    Raises:
        StepError: the design has no inputs or no outputs, or with `observe` no streams or no layers.
    """
    _check(design, observe)
    return rendering.render(_TEMPLATE, **_values(design), observe=observe, waves=waves)


def _check(design: Design, observe: bool) -> None:
    needed = ("inputs", "outputs", *(("streams", "layers") if observe else ()))
    for name in needed:
        if not getattr(design, name):
            raise StepError(
                "simulate",
                f"the design {design.top} has no {name}: there is nothing to simulate",
                category="config",
                cure="Build a model with at least one layer in hardware.",
            )


def _values(design: Design) -> dict[str, Any]:
    number = {stream.name: index for index, stream in enumerate(design.streams)}
    return {
        "top": design.top,
        "inputs": design.inputs,
        "outputs": design.outputs,
        "streams": design.streams,
        "fifos": design.fifos,
        "layers": [
            {
                "name": layer.name,
                "inputs": [number[name] for name in layer.inputs],
                "outputs": [number[name] for name in layer.outputs],
            }
            for layer in design.layers
        ],
        "bins": BINS,
    }
