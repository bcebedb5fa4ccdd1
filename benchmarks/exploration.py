"""Design spaces: a hundred thousand configurations, a thousand in doit, an exploration on real FINN."""

from __future__ import annotations

import functools
import itertools
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from measure import (
    REPOSITORY,
    Cost,
    Row,
    alternate,
    finnmake,
    project_in,
    scratch,
    write_blueprint,
)
from peers import bare_doit, configuration, finn, tasks_of, two_at_once

WORDS = """
- 100,000 configurations: fields, a step's presence and parameter, and a kernel's backends vary; each figure
  is of a fresh process, the time that of the making alone. The peer makes a plain dictionary of the axes'
  values for each, without ids, digests, steps or output folders; `networkx.prefix_tree` is given all chains
  ready made.
- 1,000 configurations: **simulated** by the mock backend; what is measured is doit and finnmake, and no
  null build loads FINN. Each task of bare doit has one file dependency and one target, which it writes when
  it runs. The build from an empty store is made once.
- The exploration is `blueprints/digits_explore.yaml` on real FINN, from an empty store. The peer, FINN's
  builder in a fresh process for each configuration, is run for every 11th configuration only, for each of
  them once: **its total is extrapolated** from these. It is given the kernels as
  `specialize_layers_config_file` and the plugin as a function among the steps; `GiveUniqueNodeNames`, which
  takes no measurable time, is left out. That it gives the same estimates is checked."""

#: 100,000 configurations of every kind of axis.
_LARGE: Mapping[str, Any] = {
    "config": {
        "fpga_part": ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"],
        "synth_clk_period_ns": {"from": 4, "to": 8.5, "step": 0.5},
        "target_fps": {"from": 10_000, "to": 250_000, "step": 10_000},
        "mvau_wwidth_max": [18, 36, 72, 144, 288],
        "minimize_bit_width": [True, False],
    },
    "steps": [
        {"replace": "step_minimize_bit_width", "with": "~step_minimize_bit_width"},
        {
            "before": "step_generate_estimate_reports",
            "insert": {"step": "small_weights_in_lutram", "max_bits": [1024, 2048, 4096, 8192, 16384]},
        },
    ],
    "kernels": {"MVAU": {"choose": ["MVAU_hls", "MVAU_rtl"]}},
}

#: 1,000 of them.
_THOUSAND: Mapping[str, Any] = {
    "config": {name: _LARGE["config"][name] for name in ("fpga_part", "synth_clk_period_ns", "target_fps")},
    "steps": [{"before": "step_generate_estimate_reports", "insert": "~small_weights_in_lutram"}],
}

_EXPLORED = "digits_explore"

#: The peer builds each 11th configuration; as 11 and the lengths of the axes share no factor, it meets
#: all their values.
_EVERY = 11


def space(runs: int) -> list[Row]:
    """All configurations of a large space in a list, and their tree."""
    ways = ("configurations", "dictionaries", "tree", "prefixes")
    with scratch() as folder:
        project = project_in(folder)
        write_blueprint(project, "large", {"design_space": _LARGE})
        made = [[_enumerated(project, way) for way in ways] for _ in range(runs)]
    ours, peer, tree, prefixes = (
        {key: median(each[at][key] for each in made) for key in made[0][at]} for at in range(4)
    )
    count = f"{ours['count']:,.0f}"
    assert {each["count"] for each in (ours, peer, tree, prefixes)} == {100_000}
    return [
        _seconds(f"{count} configurations, all in a list; peer: a dictionary each", ours, peer, 5),
        Row(
            "peak memory of the process that does this",
            f"{ours['peak_mb']:.0f} MB",
            f"{peer['peak_mb']:.0f} MB",
            f"{ours['peak_mb'] / peer['peak_mb']:.2f} ×",
            "under 200 MB",
            ours["peak_mb"] < 200,
        ),
        _seconds(f"the execution tree of {count} configurations; peer: networkx.prefix_tree", tree, prefixes),
    ]


def _enumerated(project: Path, what: str) -> dict[str, float]:
    """What enumerate_space.py prints."""
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "enumerate_space.py"), what]
    said = subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE).stdout
    return dict(json.loads(said))


def _seconds(what: str, ours: Mapping[str, float], peer: Mapping[str, float], under: float = math.inf) -> Row:
    mine, other = ours["seconds"], peer["seconds"]
    goal = f"under {under:g} s" if under < math.inf else ""
    return Row(what, f"{mine:.2f} s", f"{other:.2f} s", f"{mine / other:.2f} ×", goal, mine < under)


def explore_scale(runs: int) -> list[Row]:
    """A thousand simulated configurations in doit: loading, and nothing to do."""
    with scratch() as folder:
        project, store = project_in(folder), folder / "store"
        write_blueprint(project, "thousand", {"backend": "mock", "design_space": _THOUSAND})
        cold = finnmake(project, store, "-n", "2", "build").wall
        tasks = tasks_of(project, store, "build")
        many, few = bare_doit(folder / "many", tasks), bare_doit(folder / "few", 1000)
        cold_peer = many().wall
        few()
        ours = functools.partial(finnmake, project, store)
        listed = alternate(runs, lambda: ours("list", "--all"), lambda: many("list", "--all"))
        null = alternate(runs, lambda: ours("build"), many, few)
        alone = _one_of_a_thousand(runs, folder, project, ours)
    return [
        _scale(f"`doit list --all`, {tasks:,} tasks; peer: bare doit, as many", *listed, 1.5),
        _scale(f"null build of 1,000; peer: bare doit, as many trivial tasks ({tasks:,})", *null[:2], 2.5),
        _scale("null build of 1,000; peer: bare doit, 1,000 trivial tasks", null[0], null[2], 2.5),
        _scale(
            "null build of `config_0999` alone; peer: that configuration as a blueprint of its own", *alone
        ),
        Row(
            "build of 1,000 from an empty store, two at a time; peer: bare doit, one at a time (simulated)",
            f"{cold:.1f} s",
            f"{cold_peer:.1f} s",
            f"{cold / cold_peer:.1f} ×",
            "",
            True,
        ),
    ]


def _one_of_a_thousand(runs: int, folder: Path, project: Path, ours: Callable[..., Cost]) -> list[Cost]:
    """The null build of a configuration, in the large space and as the only one of another blueprint."""
    flags = configuration(project, "thousand", "config_0999")
    fields = {name: flags[name] for name in _THOUSAND["config"]}
    text = {"backend": "mock", "design_space": {"config": fields, "steps": flags["steps"]}}
    other = project_in(folder / "one")
    write_blueprint(other, "one", text)
    single = functools.partial(finnmake, other, folder / "store", "build:config_001")
    single()
    return alternate(runs, lambda: ours("build:config_0999"), single)


def _scale(what: str, ours: Cost, peer: Cost, under: float = math.inf) -> Row:
    return _seconds(f"{what} (simulated)", {"seconds": ours.wall}, {"seconds": peer.wall}, under)


def explore(runs: int) -> list[Row]:
    """The example design space on real FINN from an empty store, and again with nothing to do."""
    numbers = itertools.count()
    with scratch() as folder:
        project = project_in(folder)
        command = (f"blueprint={_EXPLORED}", "explore", "-n", "2")
        results = project / "builds" / _EXPLORED / "exploration" / "results.json"

        def cold() -> Cost:
            shutil.rmtree(project / "builds", ignore_errors=True)
            return finnmake(project, folder / f"store{next(numbers)}", *command)

        mine = median(cold().wall for _ in range(runs))
        found = json.loads(results.read_text())
        store = folder / f"store{next(numbers) - 1}"
        again = median(finnmake(project, store, *command).wall for _ in range(runs))
        count = len(found["configs"])
        assert found["summary"]["success_count"] == count
        one, two = _finn_for_each(project, folder, [each["id"] for each in found["configs"]][::_EVERY])
    return [_shared(found), *_beside_finn(mine, again, count, one * count, two * count)]


def _shared(found: Mapping[str, Any]) -> Row:
    steps = found["steps"]
    total, share = sum(steps.values()), found["summary"]["sharing"]
    return Row(
        f"steps that ran for {len(found['configs'])} configurations; peer: every step of each of them",
        f"{steps['ran']:,}",
        f"{total:,}",
        f"{share:.1%} shared",
        "at least 85 %",
        share >= 0.85,
    )


def _beside_finn(mine: float, again: float, count: int, one: float, two: float) -> list[Row]:
    rows = [
        Row(
            f"exploring these {count}, two at a time; peer: FINN's builder for each, {how}, extrapolated",
            f"{mine:.1f} s",
            f"{peer:.0f} s",
            f"{peer / mine:.1f} × faster",
            "",
            peer > mine,
        )
        for how, peer in (("one after another", one), ("two at once", two))
    ]
    return [*rows, Row("exploring them again: nothing to do", f"{again:.2f} s", "", "", "", True)]


def _finn_for_each(project: Path, folder: Path, ids: Sequence[str]) -> tuple[float, float]:
    """Seconds a configuration that FINN's builder takes for these, one after another and two at once."""
    flags = [_finn_flags(project, folder, each) for each in ids]
    seconds = 0.0
    for config, given in zip(ids, flags, strict=True):
        output = folder / f"finn_{config}"
        seconds += finn(project, output, given).wall
        _check(project / "builds" / _EXPLORED / config / "artifacts" / "report", output / "report")
    return seconds / len(ids), two_at_once(project, folder / "finn_two", flags) / len(ids)


def _finn_flags(project: Path, folder: Path, config: str) -> dict[str, Any]:
    """The configuration in FINN's own words."""
    built = json.loads((project / "builds" / _EXPLORED / config / "config.json").read_text())
    styles = folder / f"{config}.json"
    chosen = {kernel: backends[0].rpartition("_")[2] for kernel, backends in built["kernels"]}
    pairs = [part for kernel, style in chosen.items() for part in (style, [kernel])]
    styles.write_text(json.dumps({"Defaults": {"preferred_impl_style": pairs}}))
    plugin = str(project / "plugins" / "lutram.py")
    steps = [
        each
        if isinstance(each, str)
        else {"file": plugin, "function": each["step"], "parameters": each["parameters"]}
        for each in built["build_steps"]
    ]
    return {**built["config_flags"], "steps": steps, "specialize_layers_config_file": str(styles)}


def _check(ours: Path, peer: Path) -> None:
    """Stop where FINN's builder estimates anything else: it would not be doing the same."""
    for name in ("estimate_network_performance.json", "estimate_layer_resources.json"):
        if json.loads((ours / name).read_text()) != json.loads((peer / name).read_text()):
            sys.exit(f"{ours / name} and {peer / name} differ: the peer builds something else")


BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "space": space,
    "explore_scale": explore_scale,
    "explore": explore,
}
