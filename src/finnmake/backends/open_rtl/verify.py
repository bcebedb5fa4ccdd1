"""Whether a simulated design computes what the original model does; if not, which layer differs first.

The reference is the original QONNX model. The host's part before and behind the design is executed in
Python, so that the whole model is compared. What the design gives are integers. Where the host makes floating
point of them, it rounds in another order than the original does; so each output has to be nearer to the
original's than half of what one unit of the design's integers makes: then it is made of the same integers.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl import difference, reference, simulate
from finnmake.backends.open_rtl.difference import Difference
from finnmake.backends.open_rtl.graph import Split
from finnmake.backends.open_rtl.measured import DEADLOCK, DONE, Measured
from finnmake.backends.open_rtl.simulate import Program, Run, Window
from finnmake.errors import StepError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qonnx.core.modelwrapper import ModelWrapper

    Array = NDArray[Any]

#: The name of the step in messages.
STEP = "verify"

#: An output is right if it is nearer to the original than this share of what one integer makes.
_HALF = 0.5

#: Where one integer more makes no difference (a softmax of all of them), this share of the largest output.
_ROUNDING = 1e-5

#: Back to back, without pauses.
_PLAIN = Run()

#: Cycles of a waveform before and behind the first difference.
_BEFORE, _BEHIND = 2000, 100


@dataclass(frozen=True)
class Case:
    """What is compared.

    Attributes:
        original: the model as it was given.
        split: the parts of the whole model; its inputs and outputs stand in the original's order.
        stitched: the graph that the design was made of, with FIFOs.
        program: simulates the design.
        observed: gives a program that observes and writes waveforms; called where something is wrong.
    """

    original: ModelWrapper
    split: Split
    stitched: ModelWrapper
    program: Program
    observed: Callable[[], Program]


@dataclass(frozen=True)
class Verified:
    """A design that computes what its model does.

    Attributes:
        inferences: that were compared.
        worst: the largest difference as a share of what one unit makes; 0: all outputs are the same numbers.
        outputs: of the whole model by the original's names, a row an inference.
        measured: the simulation.
    """

    inferences: int
    worst: float
    outputs: Mapping[str, Array]
    measured: Measured


def verify(
    case: Case, inputs: Mapping[str, Array], asked: Run = _PLAIN, waves: Path | None = None
) -> Verified:
    """Compare the design with the original model.

    Args:
        case: the model and the design.
        inputs: all inputs of the original model by name, a row an inference.
        asked: how it is simulated; each inference once.
        waves: where a waveform is written if something is wrong, of the cycles before that; nowhere if None.

    Raises:
        StepError: an output differs, with the first layer that does; or the design deadlocks, with who waits.
    """
    return verify_all(case, inputs, [asked], waves)[0]


def verify_all(
    case: Case, inputs: Mapping[str, Array], runs: Sequence[Run], waves: Path | None = None
) -> list[Verified]:
    """`verify`, simulated in several ways at once: a program takes one processor. Raises what it raises."""
    names = reference.names(case.original.graph.input)
    expected = reference.outputs(case.original, inputs)
    tensors = {inner: inputs[name] for inner, name in zip(case.split.inputs, names, strict=True)}
    into = _before(case, tensors)
    asked = [dataclasses.replace(run, inferences=0) for run in runs]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(partial(simulate.run, case.program, into), asked))
    return [
        _compared(case, tensors, into, expected, each, simulated, waves)
        for each, simulated in zip(asked, found, strict=True)
    ]


def _compared(
    case: Case,
    tensors: Mapping[str, Array],
    into: Mapping[str, Array],
    expected: Mapping[str, Array],
    asked: Run,
    simulated: tuple[Measured, Mapping[str, Array]],
    waves: Path | None,
) -> Verified:
    """What a run gave, beside what was expected."""
    measured, out = simulated
    if measured.verdict != DONE:
        raise _stuck(case, into, asked, measured, waves)
    found = _behind(case, tensors, out)
    above = _behind(case, tensors, {name: values + 1 for name, values in out.items()})

    worst = 0.0
    bad: set[int] = set()
    given: dict[str, Array] = {}
    for inner, (name, wanted) in zip(case.split.outputs, expected.items(), strict=True):
        given[name] = found[inner].reshape(wanted.shape)
        shares = _shares(given[name], wanted, above[inner].reshape(wanted.shape))
        worst = max(worst, float(shares.max()))
        bad.update(np.flatnonzero(~(shares < _HALF)).tolist())
    if bad:
        raise _wrong(case, into, asked, sorted(bad), waves)
    return Verified(len(next(iter(expected.values()))), worst, given, measured)


def inspect(case: Case, inputs: Mapping[str, Array], asked: Run = _PLAIN, waves: Path | None = None) -> None:
    """Compare what goes over each stream with the graph: a fault between layers may not reach the outputs.

    Args:
        case: the model and the design; the observed program is what runs.
        inputs: as for `verify`. Each takes as long as its model in Python, so a few will do.
        asked: how it is simulated.
        waves: as for `verify`.

    Raises:
        StepError: a layer gives other values than its graph, with the first one.
    """
    names = reference.names(case.original.graph.input)
    tensors = {inner: inputs[name] for inner, name in zip(case.split.inputs, names, strict=True)}
    fed = _before(case, tensors)
    program = case.observed()
    found = _first(case, program, fed, dataclasses.replace(asked, inferences=0), 0)
    if found is not None:
        message = f"the first layer that differs from its graph: {found}"
        raise _blamed(program, fed, asked, message, found, waves)


def _before(case: Case, tensors: dict[str, Array]) -> dict[str, Array]:
    """What the design is fed, by port; `tensors` are extended by what the host makes before."""
    if case.split.head is not None:
        tensors |= _part(case.split.head, tensors)
    names = reference.names(case.split.hardware.graph.input)
    ports = case.program.design.inputs
    return {port.tensor: tensors[name] for port, name in zip(ports, names, strict=True)}


def _behind(case: Case, tensors: Mapping[str, Array], out: Mapping[str, Array]) -> dict[str, Array]:
    """All tensors behind the design, from what it gave by port."""
    names = reference.names(case.split.hardware.graph.output)
    ports = case.program.design.outputs
    found = {**tensors, **{name: out[port.tensor] for port, name in zip(ports, names, strict=True)}}
    return found if case.split.tail is None else found | _part(case.split.tail, found)


def _part(part: ModelWrapper, tensors: Mapping[str, Array]) -> dict[str, Array]:
    return reference.outputs(part, {name: tensors[name] for name in reference.names(part.graph.input)})


def _shares(given: Array, wanted: Array, above: Array) -> Array:
    """By inference, the largest difference as a share of what one integer makes."""
    unit = np.abs(above.astype(np.float64) - given)
    largest = np.abs(wanted).max(initial=np.finfo(np.float32).tiny)
    unit[unit == 0] = _ROUNDING / _HALF * largest
    shares = np.abs(given.astype(np.float64) - wanted) / unit
    found: Array = shares.reshape(len(shares), -1).max(axis=1)
    return found


def _stuck(
    case: Case, into: Mapping[str, Array], asked: Run, measured: Measured, waves: Path | None
) -> StepError:
    """A run that did not come to its end."""
    program = case.program
    if measured.verdict == DEADLOCK and (not program.observe or waves is not None):
        program = case.observed()
        still = measured.cycles - asked.patience
        measured, _ = simulate.run(program, into, _drawn(asked, waves, still))
    why = f": {measured.deadlock.message}" if measured.deadlock else ""
    return StepError(
        STEP,
        f"{measured.verdict} after {measured.cycles} cycles and {len(measured.finish)} inferences{why}",
        category="timing",
        cure="Give the FIFO that is full more depth, or size FIFOs by simulation.",
    )


def _wrong(
    case: Case, into: Mapping[str, Array], asked: Run, bad: Sequence[int], waves: Path | None
) -> StepError:
    """Wrong outputs, with the first layer whose values differ from the graph's."""
    count = f"{len(bad)} inferences differ from the original model, the first is {bad[0]}"
    fed = {name: values[: bad[0] + 1] for name, values in into.items()}
    program = case.observed()
    found = _first(case, program, fed, asked, bad[0])
    if found is None:
        return StepError(
            STEP,
            f"{count}; all layers compute what their graph does, so the graph is what differs",
            category="verification",
            cure="Look for the step that changed it: FINN's verify_steps compares after each. If it is the "
            "conversion: FINN's thresholds round ties up, Quant rounds them to even numbers; a scale that is "
            "an odd multiple of its input's has no ties.",
        )
    return _blamed(program, fed, asked, f"{count}; the first layer that differs: {found}", found, waves)


def _first(
    case: Case, program: Program, fed: Mapping[str, Array], asked: Run, start: int
) -> Difference | None:
    """The first difference in the inferences from `start` to the last; None where there is none."""
    graph, orders = reference.abstract(case.stitched), reference.interleaved(case.stitched)
    with tempfile.TemporaryDirectory(prefix="verify") as place:
        captured = Path(place)
        simulate.run(program, fed, dataclasses.replace(asked, capture=captured, capture_from=start))
        for number in range(start, len(next(iter(fed.values())))):
            values = reference.tensors(graph, {name: rows[number] for name, rows in fed.items()})
            found = difference.first(program.design, values, orders, captured, number, number - start)
            if found is not None:
                return found
    return None


def _blamed(
    program: Program,
    fed: Mapping[str, Array],
    asked: Run,
    message: str,
    found: Difference,
    waves: Path | None,
) -> StepError:
    """An error that names a layer, with the waveform around its first wrong beat."""
    cure = "Report it with the model and its folding."
    if waves is not None and found.cycle is not None:
        simulate.run(program, fed, _drawn(asked, waves, found.cycle))
        cure += f" Waveform: {waves}, cycle {found.cycle}."
    return StepError(STEP, message, category="verification", cure=cure, node=found.layer)


def _drawn(asked: Run, waves: Path | None, cycle: int) -> Run:
    """A run that writes a waveform around a cycle."""
    if waves is None:
        return asked
    return dataclasses.replace(asked, waves=Window(waves, max(0, cycle - _BEFORE), cycle + _BEHIND))
