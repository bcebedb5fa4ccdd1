"""The backend open_rtl: stages, edits, simulated cycles a second, synthesis by layer, an exploration."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import Row, finnmake, project_in, scratch, write_blueprint

WORDS = """
- Each figure is of one run, whatever `--runs` says. The network is `models/digits_cnn_w4a4.onnx`, for
  xc7z020clg400-1 at 100 MHz, folded for 100,000 inferences/s unless a line says otherwise; inputs are
  held-out images.
- Cycles a second are those of the simulation alone, without compiling it. The experiment that came before the
  backend had 0.2 to 1.4 million. *Observed* is as builds simulate: fill and waits of all streams are counted.
- An edit's peer is the build from an empty store before it."""

FOLDINGS_WORDS = """
- The exploration is `blueprints/digits_cnn_open.yaml`, from an empty store, once; its peer is the build of
  its first configuration from an empty store, as often as there are configurations: **extrapolated**."""

_PART = "xc7z020clg400-1"

#: The design that is measured.
_CONFIG: Mapping[str, Any] = {
    "fpga_part": _PART,
    "synth_clk_period_ns": 10.0,
    "target_fps": 100_000,
}
_DATA = {"step": "step_open_rtl_simulate", "data": "models/digits_heldout.npz"}
_MODEL = "digits_cnn_w4a4.onnx"
_EXPLORED = "digits_cnn_open"

#: A line of a step that ran.
_STEP = re.compile(r"^\w+:\S+ +(step_\w+) +(\d+\.\d\d) s$", re.MULTILINE)

#: Inferences of the simulations whose speed is measured.
_INFERENCES = 3000


def stages(runs: int) -> list[Row]:
    """A build from an empty store, by its steps; then edits of it."""
    with scratch() as folder:
        project, store = project_in(folder), folder / "store"
        _blueprint(project, "cnn")
        built = finnmake(project, store, "build:config_001")
        whole = built.wall
        took = {name: float(seconds) for name, seconds in _STEP.findall(built.said)}
        rows = [
            _figure(f"`{name}`, of a build from nothing", f"{seconds:.1f} s", f"{seconds / whole:.0%}")
            for name, seconds in took.items()
            if name.startswith("step_open_rtl") and seconds >= 0.1
        ]
        rows.append(_figure("the whole build from nothing, up to STITCHED_IP", f"{whole:.1f} s"))
        return [*rows, *_edits(project, store, whole)]


def _edits(project: Path, store: Path, peer: float) -> list[Row]:
    """Edits of what has been built, each beside the build from nothing."""
    report = project / "builds/cnn/config_001/artifacts/report"
    folding = json.loads((report / "folding_config.json").read_text())
    attribute, layer = max(
        (attribute, name)
        for name, values in folding.items()
        if name.startswith("MVAU")
        for attribute in ("PE", "SIMD")
        if values[attribute] % 2 == 0
    )
    halved = {**folding[layer], attribute: folding[layer][attribute] // 2}
    changed = {**folding, layer: halved}
    rows = []
    for what, change in (
        ("another clock, 9 ns", {"config": {"synth_clk_period_ns": 9.0}}),
        ("another depth of FIFOs before they are sized, 64", {"steps": [_FIFOS]}),
        (f"folding of one layer ({layer}: half the {attribute})", {"config": _folded(project, changed)}),
        ("one weight", {}),
    ):
        if not change:
            _edit_weight(project / "models" / _MODEL)
        _blueprint(project, "cnn", **change)
        shutil.rmtree(project / "builds")
        mine = finnmake(project, store, "build:config_001").wall
        rows.append(
            Row(
                f"edit of {what}, to the new result; peer: from nothing",
                f"{mine:.1f} s",
                f"{peer:.1f} s",
                f"{mine / peer:.2f} ×",
                "less",
                mine < peer,
            )
        )
    return rows


_FIFOS = {
    "replace": "step_open_rtl_fifos",
    "with": {"step": "step_open_rtl_fifos", "depth": 64},
}


def _folded(project: Path, folding: Mapping[str, Any]) -> dict[str, Any]:
    """The folding of layers as a file."""
    layers = {name: values for name, values in folding.items() if not name.startswith("Streaming")}
    kept = {
        name: {key: values[key] for key in ("PE", "SIMD") if key in values} for name, values in layers.items()
    }
    (project / "blueprints" / "folding.json").write_text(json.dumps({**kept, "Defaults": {}}))
    return {"folding_config_file": "folding.json"}


def _edit_weight(path: Path) -> None:
    """Turn the sign of the first weight of the model's last matrix that is neither 0 nor the largest."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    tensor = [each for each in model.graph.initializer if len(each.dims) == 2][-1]
    values = numpy_helper.to_array(tensor).copy()
    flat = values.reshape(-1)
    at = next(k for k, value in enumerate(flat) if 0 < abs(value) < np.abs(flat).max() / 2)
    flat[at] = -flat[at]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)


def speed(runs: int) -> list[Row]:
    """Simulated cycles a second, of the convolutional network and of the perceptron."""
    from finnmake.backends.open_rtl import design as designs

    rows = []
    with scratch() as folder:
        for model in (_MODEL, "digits_mlp_w2a2.onnx"):
            project = project_in(folder / model)
            data = {**_DATA, "inferences": 1}
            _blueprint(project, "cnn", "RTL", model=model, data=data)
            finnmake(project, folder / "store", "build:config_001")
            source = project / "builds/cnn/config_001/artifacts/open_rtl/rtl"
            rows += _speeds(model, designs.read(source), source, folder / model)
    return rows


def _speeds(model: str, design: Any, source: Path, folder: Path) -> list[Row]:
    from finnmake.backends.open_rtl import simulate

    rows = []
    for what, options in (
        ("observed", {"observe": True}),
        ("observed, -O2", {"observe": True, "optimise": "-O2"}),
        ("not observed", {}),
        ("observed, 2 threads", {"observe": True, "threads": 2}),
    ):
        started = time.monotonic()
        program = simulate.build(design, source, folder / what, **options)
        compiled = time.monotonic() - started
        cycles, seconds = _simulated(program)
        rows.append(_speed(f"{model}, {what}; compiled in {compiled:.1f} s", cycles, seconds))
        if what == "observed":
            with ThreadPoolExecutor(2) as pool:
                started = time.monotonic()
                both = list(pool.map(_simulated, (program, program)))
                wall = time.monotonic() - started
            rows.append(_speed(f"{model}, observed, two programs at once", sum(c for c, _ in both), wall))
    return rows


def _simulated(program: Any) -> tuple[int, float]:
    """Cycles of a run, and its seconds."""
    from finnmake.backends.open_rtl import simulate, stimuli

    design = program.design
    inputs = {port.tensor: stimuli.random_values(port, 100, seed=0) for port in design.inputs}
    started = time.monotonic()
    measured, _ = simulate.run(program, inputs, simulate.Run(inferences=_INFERENCES))
    return measured.cycles, time.monotonic() - started


def _speed(what: str, cycles: int, seconds: float) -> Row:
    speed = cycles / seconds / 1e6
    return Row(
        f"millions of cycles a second, {what}",
        f"{speed:.2f}",
        "0.2 to 1.4",
        f"{cycles:,} cycles",
        "at least 2",
        speed >= 2,
    )


def synthesis(runs: int) -> list[Row]:
    """Synthesis by layer, from nothing and with what another folding left, beside the whole design's."""
    with scratch() as folder:
        project, store = project_in(folder), folder / "store"
        for name, rate in (("cnn", 100_000), ("faster", 200_000)):
            _blueprint(project, name, "RTL", config={"target_fps": rate}, data={**_DATA, "inferences": 1})
            finnmake(project, store, "build:config_001")
        places = {name: project / "builds" / name / "config_001/artifacts/open_rtl/rtl" for name in _TWO}
        flat = _synthesised(places["cnn"], "flat")
        first = _synthesised(places["cnn"], "layers", folder / "kept")
        other = _synthesised(places["faster"], "layers", folder / "kept")
        other_flat = _synthesised(places["faster"], "flat")
        two = _synthesised(places["cnn"], "layers", folder / "two", at_once=2)
    return [
        _beside("synthesis by layer, nothing kept, one at a time", first, flat),
        _beside("synthesis by layer, nothing kept, two at a time", two, flat),
        _beside("by layer, folded for twice the rate, with what the first left", other, other_flat),
    ]


_TWO = ("cnn", "faster")


def _synthesised(source: Path, how: str, kept: Path | None = None, at_once: int = 1) -> tuple[float, int]:
    """Seconds of a synthesis, and the LUTs that it found."""
    from finnmake.backends.open_rtl import design as designs
    from finnmake.backends.open_rtl import synthesis as own
    from finnmake.engine.parts import Parts

    design = designs.read(source)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        log = Path(place, "log")
        started = time.monotonic()
        if how == "flat":
            found = own.flat(design, source, _PART, log)
        else:
            parts = None if kept is None else Parts(kept)
            found = own.by_layer(design, source, _PART, log, kept=parts, at_once=at_once)
        return time.monotonic() - started, found.total.LUT


def _beside(what: str, ours: tuple[float, int], flat: tuple[float, int]) -> Row:
    return Row(
        f"{what} ({ours[1]:,} LUTs); peer: of the whole design at once ({flat[1]:,})",
        f"{ours[0]:.1f} s",
        f"{flat[0]:.1f} s",
        f"{ours[0] / flat[0]:.2f} ×",
        "",
        True,
    )


def foldings(runs: int) -> list[Row]:
    """The exploration of 24 foldings, from an empty store to its tables."""
    with scratch() as folder:
        project = project_in(folder)
        command = (f"blueprint={_EXPLORED}", "explore", "-n", "2")
        one = finnmake(project, folder / "alone", f"blueprint={_EXPLORED}", "build:config_001").wall
        shutil.rmtree(project / "builds")
        store = folder / "store"
        mine = finnmake(project, store, *command).wall
        builds = project / "builds" / _EXPLORED
        found = json.loads((builds / "exploration/results.json").read_text())
        count, steps, summary = len(found["configs"]), found["steps"], found["summary"]
        assert summary["success_count"] == count
        reports = [
            json.loads((builds / each["id"] / "artifacts/report/open_rtl_synthesis.json").read_text())
            for each in found["configs"]
        ]
        instances = sum(len(each["layers"]) + len(each["fifos"]) for each in reports)
        kept = sum(1 for _ in (store / "parts/open_rtl/synthesis").iterdir())
    total, misled = sum(steps.values()), summary["misled"]
    ratios = "; ".join(
        f"{each['metric']} {each['least']:.2g} to {each['most']:.2g}"
        for each in misled["ratios"]
        if each["least"] is not None
    )
    return [
        Row(
            f"exploring {count} foldings, two at a time; peer: as many builds from nothing, one at a time",
            f"{mine:.0f} s",
            f"{one * count:.0f} s",
            f"{one * count / mine:.1f} × faster",
            "",
            one * count > mine,
        ),
        Row(
            f"steps that ran for {count} foldings; peer: every step of each of them",
            f"{steps['ran']:,}",
            f"{total:,}",
            f"{summary['sharing']:.1%} shared",
            "",
            True,
        ),
        Row(
            "instances that were synthesised; peer: layers and FIFOs of all of them",
            f"{kept:,}",
            f"{instances:,}",
            f"{1 - kept / instances:.1%} shared",
            "",
            True,
        ),
        _figure(f"measured over FINN's estimate: {ratios}", "", ""),
        Row(
            "Pareto set by what was measured; peer: by FINN's estimates",
            f"{len(summary['pareto'])}",
            f"{len(misled['pareto'])}",
            f"{len(misled['beaten'])} beaten in fact, {len(misled['overlooked'])} overlooked",
            "",
            True,
        ),
    ]


def _figure(what: str, ours: str, ratio: str = "") -> Row:
    return Row(what, ours, "", ratio, "", True)


def _blueprint(
    project: Path,
    name: str,
    stage: str = "STITCHED_IP",
    *,
    config: Mapping[str, Any] = {},
    steps: Sequence[Any] = (),
    data: Mapping[str, Any] = _DATA,
    model: str = _MODEL,
) -> None:
    """Write a blueprint of one design and make it the default."""
    text = {
        "backend": "open_rtl",
        "output_stage": stage,
        "model": f"../models/{model}",
        "design_space": {
            "config": {**_CONFIG, **config},
            "steps": [{"replace": "step_open_rtl_simulate", "with": data}, *steps],
        },
    }
    settings = project / "pyproject.toml"
    settings.write_text(re.sub(r"blueprints/\w+\.yaml", "blueprints/digits.yaml", settings.read_text()))
    write_blueprint(project, name, text)


BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "stages": stages,
    "speed": speed,
    "synthesis": synthesis,
}

FOLDINGS: dict[str, Callable[[int], list[Row]]] = {"foldings": foldings}
