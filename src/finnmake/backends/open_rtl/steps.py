"""The backend's steps, of FINN's own signature, each an action of the engine.

A step writes below `open_rtl/` in FINN's output folder what the next ones take from there. Its result depends
on what it read: the clock is read by the folding and by the generation of layers, which may come out the
same, and by what writes reports and packages, which comes last. Nothing reads of FIFOs before
`step_open_rtl_fifos`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from finnmake.backends.finn import load, save
from finnmake.backends.open_rtl import (
    PARTS_FOLDER,
    fifos,
    graph,
    package,
    simulate,
    sources,
    stimulation,
    stitch,
    support,
    synthesis,
    verify,
)
from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl.design import Design
from finnmake.backends.open_rtl.graph import Split
from finnmake.engine.parts import Parts
from finnmake.hashing import digest_file, digest_value

if TYPE_CHECKING:
    from finn.builder.build_dataflow_config import DataflowBuildConfig
    from qonnx.core.modelwrapper import ModelWrapper

#: Below FINN's output folder: everything of this backend; the model as it came; its parts; the RTL.
FOLDER = "open_rtl"
REFERENCE = "reference.onnx"
PARTS = "parts"
RTL = "rtl"

#: In FINN's output folder, where FINN's own would be: what Vivado takes.
PACKAGE = "stitched_ip"

#: Below `report/`, beside FINN's own: what this backend measured.
SIMULATION_REPORT = "open_rtl_simulation.json"
SYNTHESIS_REPORT = "open_rtl_synthesis.json"
FIFO_REPORT = "open_rtl_fifos.json"

#: Layers that are synthesised at the same time, at most: each takes some 0.3 GB of memory.
_AT_ONCE = 4


def step_open_rtl_reference(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Keep the model as it came: the hardware has to give what it gives."""
    (_folder(cfg) / REFERENCE).write_bytes(save(graph.with_shapes(model)))
    return model


def step_open_rtl_thresholds(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Cut thresholds to what their inputs can be: FINN's next steps fail at any that cannot."""
    return graph.clip_thresholds(model)


def step_open_rtl_partition(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Prefer RTL, and leave float operators at the ends to the host; takes the place of FINN's partition.

    Raises StepError that names every layer that cannot be RTL, with reasons and cures.
    """
    graph.prefer_rtl(model)
    model = graph.fit_types(model)
    parts = graph.split("step_open_rtl_partition", model, cfg._resolve_fpga_part())
    parts.write(_folder(cfg) / PARTS)
    return parts.hardware


def step_open_rtl_graph(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Check the layers as they are folded now, and put converters where the widths of streams differ."""
    part = cfg._resolve_fpga_part()
    model = graph.fit_types(model)
    support.check("step_open_rtl_graph", model, part)
    return graph.prepare(model, part)


def step_open_rtl_layers(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Generate the RTL of all layers, with weights and thresholds beside it."""
    folder = _folder(cfg) / RTL
    shutil.rmtree(folder, ignore_errors=True)
    part, clock_ns = cfg._resolve_fpga_part(), cfg._resolve_hls_clk_period()
    sources.collect("step_open_rtl_layers", model, part, clock_ns, folder)
    return model


def step_open_rtl_fifos(model: ModelWrapper, cfg: DataflowBuildConfig, depth: int = 32) -> ModelWrapper:
    """Put a FIFO on every stream.

    Args:
        depth: words, where neither `fifo_config_file` nor the folding sets a depth.
    """
    config = None if cfg.fifo_config_file is None else Path(cfg.fifo_config_file)
    return graph.insert_fifos(model, cfg._resolve_fpga_part(), depth, config)


def step_open_rtl_stitch(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Write the top module: all layers and FIFOs, and their memories."""
    folder = _folder(cfg)
    parts = Split.read(folder / PARTS)
    stitch.stitch(
        "step_open_rtl_stitch",
        model,
        sources.read(folder / RTL),
        folder / RTL,
        head=graph.operators(parts.head),
        tail=graph.operators(parts.tail),
    )
    return model


def step_open_rtl_size_fifos(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Find by simulation the smallest FIFOs that keep the rate, and stitch with them."""
    place = _folder(cfg)
    design = designs.read(place / RTL)
    with _scratch() as scratch:
        program = _program(design, place / RTL, scratch, resizable=True)
        sizing = fifos.size(program)
    for node in filter(graph.is_fifo, model.graph.node):
        graph.set_depth(node, sizing.depths[node.name])
    _report(cfg, FIFO_REPORT, sizing.to_dict())
    _report(cfg, "fifo_sizing.json", fifos.fifo_config(design, sizing.depths))
    _report(cfg, "folding_config.json", graph.folding(model))
    return step_open_rtl_stitch(model, cfg)


def step_open_rtl_simulate(
    model: ModelWrapper,
    cfg: DataflowBuildConfig,
    data: str | None = None,
    inferences: int = 100,
    stall: float = 0.3,
) -> ModelWrapper:
    """Simulate the design and compare it, bit by bit, with the model as it came; without pauses, then with.

    Args:
        data: an .npz file in the project with `images` and `labels`; random inputs where there is none.
        inferences: how many inputs, at most.
        stall: share of cycles in which each end pauses at random, in the second run.

    Raises StepError for a wrong output, which names the first layer that differs and the file of a waveform,
    and for a deadlock.
    """
    place = _folder(cfg)
    original = load(place / REFERENCE)
    inputs, labels = stimulation.inputs(original, data, inferences)
    design = designs.read(place / RTL)
    with _scratch() as scratch:
        case = verify.Case(
            original,
            Split.read(place / PARTS),
            model,
            _program(design, place / RTL, scratch / "simulation"),
            lambda: _program(design, place / RTL, scratch / "waves", waves=True),
        )
        pauses = simulate.Run(stall_in=stall, stall_out=stall, seed=1)
        plain, stalled = verify.verify_all(case, inputs, [simulate.Run(), pauses], _waves(place))
    report = {
        "inputs": data or "random",
        "inferences": plain.inferences,
        "worst_difference": max(plain.worst, stalled.worst),
        "accuracy": stimulation.accuracy(plain.outputs, labels),
        "simulation": plain.measured.to_dict(),
        "stalled": {"stall": stall, "cycles": stalled.measured.cycles},
    }
    _report(cfg, SIMULATION_REPORT, report)
    return model


def step_open_rtl_synthesize(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Synthesise each layer, equal ones once, with Yosys."""
    place = _folder(cfg)
    design = designs.read(place / RTL)
    with _scratch() as scratch:
        report = synthesis.by_layer(
            design,
            place / RTL,
            cfg._resolve_fpga_part(),
            scratch / "yosys.log",
            kept=_kept("synthesis"),
            at_once=min(len(os.sched_getaffinity(0)), _AT_ONCE),
        )
    _report(cfg, SYNTHESIS_REPORT, report.as_dict())
    return model


def step_open_rtl_package(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Write the folder `stitched_ip`, which Vivado takes as it is."""
    source = _folder(cfg) / RTL
    design = designs.read(source)
    simulation = _read_report(cfg, SIMULATION_REPORT)["simulation"]
    facts = package.Facts(
        cfg._resolve_fpga_part(),
        cfg.synth_clk_period_ns,
        simulation["stable_interval"],
        simulation["latency"],
        _read_report(cfg, SYNTHESIS_REPORT)["total"],
    )
    depths = fifos.fifo_config(design, {fifo.name: fifo.depth for fifo in design.fifos})
    package.write(design, source, Path(cfg.output_dir) / PACKAGE, facts, depths)
    return model


def step_open_rtl_report(model: ModelWrapper, cfg: DataflowBuildConfig) -> ModelWrapper:
    """Say in FINN's shape what was simulated, at the target clock."""
    found = _read_report(cfg, SIMULATION_REPORT)["simulation"]
    interval = found["stable_interval"]
    performance = {
        "name": stitch.TOP,
        "cycles": found["cycles"],
        "samples": len(found["finish"]),
        "intervals": found["intervals"],
        "latency_cycles": found["latency"],
        "throughput_fps": 1e9 / (interval * cfg.synth_clk_period_ns) if interval else None,
    }
    _report(cfg, "rtlsim_performance.json", [performance])
    return model


def _program(
    design: Design, source: Path, folder: Path, *, waves: bool = False, resizable: bool = False
) -> simulate.Program:
    return simulate.build(
        design,
        source,
        folder,
        observe=True,
        waves=waves,
        resizable=resizable,
        runtime=_kept("runtime"),
        programs=_kept("programs"),
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for programs and logs, which are no results."""
    with TemporaryDirectory(prefix="open_rtl") as name:
        yield Path(name)


def _kept(name: str) -> Parts | None:
    """Where the store keeps results of parts of steps; None outside the engine."""
    root = os.environ.get(PARTS_FOLDER)
    return None if root is None else Parts(Path(root, name))


def _waves(place: Path) -> Path | None:
    """A file of the store for the waveform of a wrong result: nothing else of a step that fails is kept."""
    kept = _kept("waves")
    if kept is None:
        return None
    kept.folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((place / RTL).iterdir())
    return kept.folder / f"{digest_value('waves', [digest_file(each) for each in sources])[:16]}.fst"


def _read_report(cfg: DataflowBuildConfig, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(cfg.output_dir) / "report" / name).read_text())
    return found


def _report(cfg: DataflowBuildConfig, name: str, value: Any) -> None:
    """Write one of the reports, beside FINN's."""
    folder = Path(cfg.output_dir) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def _folder(cfg: DataflowBuildConfig) -> Path:
    """The backend's folder, made where it is missing."""
    folder = Path(cfg.output_dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder
