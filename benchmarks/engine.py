"""The engine itself: null builds, a thousand configurations on FINN, edits with a warm worker, throughput."""

from __future__ import annotations

import functools
import itertools
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from measure import Cost, Row, finnmake, project_in, scratch, write_blueprint
from null_builds import null_builds
from peers import configuration, finn

WORDS = """
- Null builds: each task of the peers has one input and one output; `snakemake -n` is its dry run. finnmake's
  are tasks of the mock backend with two or three file dependencies each; doit is measured with these, too.
  The other tools are those of `benchmarks/peers.lock`.
- 1,000 configurations on real FINN, from an empty store, are explored once. The peer, FINN's builder in a
  fresh process for each, is run for every 50th configuration: **its total is extrapolated** from these 20.
- Edits: in the digits MLP's flow, a step of the project's own stands at one place after another, and is
  edited so that what it leaves changes. The worker is warm; the peer is FINN's builder in a fresh process."""

SCALE_WORDS = """
- Throughput is of the mock backend, whose steps do next to nothing: what is measured is finnmake. An action
  is a step of one configuration. Each of these builds is made once, whatever `--runs` says.
- Look-ups are of a fresh process each time, in its own store, with a warm page cache; medians of five,
  whatever `--runs` says."""

#: 1,000 configurations.
_THOUSAND: Mapping[str, Any] = {
    "config": {
        "fpga_part": ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"],
        "synth_clk_period_ns": {"from": 4, "to": 8.5, "step": 0.5},
        "target_fps": {"from": 10_000, "to": 500_000, "step": 10_000},
    }
}

#: The peer builds each of these.
_EVERY = 50

#: A step that leaves another model whenever its file is edited.
_EDITED = '''"""The step that is edited."""

from finnmake.plugins import step


@step
def edited(model, cfg):
    model.set_metadata_prop("edit", "{number}")
    return model
'''

#: What a run may take beyond its steps (seconds), with a warm worker.
_OVERHEAD = 0.8

#: A line of a step that ran.
_STEP = re.compile(r"^\w+:\S+ +\S+ +(\d+\.\d\d) s", re.MULTILINE)


def sweep(runs: int) -> list[Row]:
    """A thousand configurations on real FINN."""
    with scratch() as folder:
        project, store = project_in(folder), folder / "store"
        write_blueprint(project, "thousand", {"design_space": _THOUSAND})
        mine = finnmake(project, store, "explore", "-n", "2")
        results = json.loads((project / "builds/thousand/exploration/results.json").read_text())
        count, steps = len(results["configs"]), results["steps"]
        assert results["summary"]["success_count"] == count
        chosen = [each["id"] for each in results["configs"]][::_EVERY]
        peer = statistics.mean(
            finn(project, folder / f"finn_{each}", configuration(project, "thousand", each)).wall
            for each in chosen
        )
    total = sum(steps.values())
    ratio = peer * count / mine.wall
    return [
        Row(
            f"steps that ran for {count:,} configurations; peer: every step of each of them",
            f"{steps['ran']:,}",
            f"{total:,}",
            f"{1 - steps['ran'] / total:.1%} shared",
            "",
            True,
        ),
        Row(
            f"{count:,} configurations, two at a time; peer: FINN's builder, extrapolated from {len(chosen)}",
            f"{mine.wall:.0f} s",
            f"{peer * count:,.0f} s",
            f"{ratio:.0f} × faster",
            "at least 40 ×",
            ratio >= 40,
        ),
    ]


def edits(runs: int) -> list[Row]:
    """From an edit of a step to the result, with the step at each place of the flow."""
    with scratch() as folder:
        project, store = project_in(folder), folder / "store"
        plugin = project / "plugins" / "edited.py"
        numbers = itertools.count()
        plugin.write_text(_EDITED.format(number=next(numbers)))
        finnmake(project, store, "build:config_001")
        flags = configuration(project, "digits", "config_001")
        steps = list(flags["steps"])
        peer = statistics.median(finn(project, folder / f"finn{run}", flags).wall for run in range(runs))
        fields = {name: flags[name] for name in ("fpga_part", "synth_clk_period_ns", "target_fps")}
        rows = []
        try:
            for at in range(len(steps) + 1):
                with_it = [*steps[:at], "edited", *steps[at:]]
                write_blueprint(project, f"at_{at}", {"design_space": {"config": fields, "steps": with_it}})
                command = (f"blueprint=at_{at}", "build:config_001")
                _warm(project, store, *command)
                made = []
                for _ in range(runs):
                    plugin.write_text(_EDITED.format(number=next(numbers)))
                    made.append(_warm(project, store, *command))
                rows.append(_edit_row(at, steps, made, peer))
        finally:
            subprocess.run([sys.executable, "-m", "finnmake", "worker", "stop"], cwd=project, check=False)
    return rows


def _warm(project: Path, store: Path, *arguments: str) -> tuple[float, float]:
    """Wall time of a run with a warm worker, and the seconds of the steps that ran in it."""
    stays = {"HOME": str(store.parent), "FINNMAKE_WORKER_IDLE": "600", "CI": ""}
    cost = finnmake(project, store, *arguments, **stays)
    return cost.wall, sum(map(float, _STEP.findall(cost.said)))


def _edit_row(at: int, steps: list[Any], made: list[tuple[float, float]], peer: float) -> Row:
    wall, inside = (statistics.median(each) for each in zip(*made, strict=True))
    overhead = statistics.median(whole - own for whole, own in made)
    where = f"before {steps[at]}" if at < len(steps) else "at the end"
    return Row(
        f"edit of a step {where}, to the result; steps {inside:.2f} s and {overhead:.2f} s beside them",
        f"{wall:.2f} s",
        f"{peer:.2f} s",
        f"{wall / peer:.2f} ×",
        f"steps + {_OVERHEAD} s",
        overhead <= _OVERHEAD,
    )


def throughput(runs: int) -> list[Row]:
    """Simulated configurations: actions a second from nothing and from the store, and memory of 10,000."""
    with scratch() as folder:
        rows = [_actions(folder / "thousand", 1_000)]
        return [*itertools.chain(*rows), _memory(folder / "many", 10_000)]


def _simulated(folder: Path, count: int) -> tuple[Path, Callable[..., Cost]]:
    """A project of so many simulated configurations, and finnmake in it."""
    project = project_in(folder)
    rates = {"from": 10_000, "to": 10_000 + 100 * (count // 10 - 1), "step": 100}
    clocks = {"from": 4, "to": 8.5, "step": 0.5}
    config = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": clocks, "target_fps": rates}
    write_blueprint(project, "many", {"backend": "mock", "design_space": {"config": config}})
    return project, functools.partial(finnmake, project, folder / "store")


def _actions(folder: Path, count: int) -> list[Row]:
    project, ours = _simulated(folder, count)
    chain = len(json.loads(_config(project, ours, count))["build_steps"])
    rows = []
    for what in ("from an empty store", "all from the store"):
        wall = ours("-n", "2", "build").wall
        rows.append(
            Row(
                f"actions a second, {count:,} configurations {what}, two at a time (simulated)",
                f"{count * chain / wall:,.0f} /s",
                "",
                f"{1000 * wall / count:.1f} ms a configuration",
                "",
                True,
            )
        )
        subprocess.run(["rm", "-rf", project / "builds"], check=True)
    return rows


def _config(project: Path, ours: Callable[..., Cost], count: int) -> str:
    first = f"config_{1:0{len(str(count))}}"
    ours(f"build:{first}")
    text = (project / f"builds/many/{first}/config.json").read_text()
    subprocess.run(["rm", "-rf", project / "builds", project.parent / "store"], check=True)
    return text


def _memory(folder: Path, count: int) -> Row:
    """The main process's peak, while all are built."""
    _, ours = _simulated(folder, count)
    cost = ours("-n", "2", "build")
    return Row(
        f"peak memory of the main process, {count:,} configurations from an empty store (simulated)",
        f"{cost.peak_mb:.0f} MB",
        "",
        f"{cost.wall:.0f} s",
        "under 400 MB",
        cost.peak_mb < 400,
    )


#: So often either store is asked, whatever `--runs` says.
_LOOKED = 5


def look_up(runs: int) -> list[Row]:
    """A large store beside a small one."""
    with scratch() as folder:
        large, small = ((folder / f"{count}", count) for count in (200_000, 2_000))
        _looked_up("fill", *large)
        _looked_up("fill", *small)
        pairs = [(_looked_up("ask", *large), _looked_up("ask", *small)) for _ in range(_LOOKED)]
    mine, other = (statistics.median(float(pair[which]) for pair in pairs) for which in (0, 1))
    return [
        Row(
            "opening a store of 200,000 actions, 10,000 of a step, and 200 look-ups; peer: a hundredth of it",
            f"{1000 * mine:.0f} ms",
            f"{1000 * other:.0f} ms",
            f"{mine / other:.2f} ×",
            "at most 2 ×",
            mine <= 2 * other,
        )
    ]


def _looked_up(what: str, store: Path, count: int) -> str:
    """What look_up.py prints."""
    command = [sys.executable, str(Path(__file__).parent / "look_up.py"), what, str(store), str(count)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "null_builds": null_builds,
    "sweep": sweep,
    "edits": edits,
}

SCALE: dict[str, Callable[[int], list[Row]]] = {"throughput": throughput, "look_up": look_up}
