"""Search, constraints, objectives and limits: what they become, what they admit, and mistakes in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from blueprint_samples import GOOD, marked

from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.errors import BlueprintError
from finnmake.records import BuildMetrics

Read = Callable[[str | bytes], DesignSpace]

SPACE = (
    GOOD
    + "    target_fps: [10, 20, 30]\n    mlo: [false, true]\n    board: [Pynq-Z1, null]\n"
    + "  kernels: {MVAU: {choose: [MVAU_rtl, [MVAU_hls, MVAU_rtl]]}, Pool: }\n"
    + "  transforms: {pre_proc: [~FoldConstants], mid: [a.T]}\n"
    + "  steps: [[{step: a.a, k: [1, 2]}, ~], {stage: mid}, step_specialize_layers]\n"
)
ALL = 3 * 2 * 2 * 2 * 2 * 3


def test_all_that_can_be_said_of_a_search(read: Read) -> None:
    space = read(
        GOOD + "search: {strategy: random, samples: 7, seed: 3, max_builds: 5, max_combinations: 1000, "
        "fail_fast: true, early_stop: true, timeout: 60}\n"
    )
    assert space.search_config == SearchConfig("random", 7, 3, 5, 1000, True, True, 60)


def test_null_is_the_default(read: Read) -> None:
    keys = (
        "strategy",
        "samples",
        "seed",
        "max_builds",
        "max_combinations",
        "fail_fast",
        "early_stop",
        "timeout",
    )
    assert read(GOOD + f"search: {{{': null, '.join(keys)}: null}}\n").search_config == SearchConfig()


def test_objectives_in_the_written_order(read: Read) -> None:
    assert read(GOOD + "objectives: {latency: min, accuracy: max}\n").objectives == (
        ("latency", "min"),
        ("accuracy", "max"),
    )


def test_limits_are_over_the_metrics_of_a_build(read: Read) -> None:
    (limit,) = read(GOOD + "limits: [lut_utilization <= 0.7 and total_power < 3]\n").limits
    assert limit.holds({"lut_utilization": 0.7, "total_power": 2})
    assert not limit.holds({"lut_utilization": 0.8, "total_power": 2})
    assert str(limit.where) == "blueprints/small.yaml:6:10: limits[0]"


def test_every_metric_of_a_build_has_a_name_here(read: Read) -> None:
    metrics = [name for name in BuildMetrics().to_dict() if name not in ("sources", "raw_metrics")]
    objectives = "".join(f"  {name}: max\n" for name in metrics)
    limits = "".join(f"  - {name} > 0\n" for name in metrics)
    space = read(f"{GOOD}objectives:\n{objectives}limits:\n{limits}")
    assert [name for name, _ in space.objectives] == metrics
    assert len(space.limits) == 9


@pytest.mark.parametrize(
    ("constraint", "count"),
    [
        ("target_fps > 10", ALL * 2 // 3),
        ("mlo", ALL // 2),
        ("not mlo or target_fps in [10, 30]", ALL * 5 // 6),
        ("board == 'Pynq-Z1'", ALL // 2),
        ("board is None", ALL // 2),
        ("MVAU == 'MVAU_hls'", ALL // 2),
        ("Pool == ''", ALL),
        ("'FoldConstants' in pre_proc", ALL // 2),
        ("mid == ['a.T']", ALL),
        ("'a.a' in steps", ALL * 2 // 3),
        ("'mid' in steps", ALL),
        ("steps == ['a.a', 'mid', 'step_specialize_layers']", ALL * 2 // 3),
        ("target_fps * 2 >= 40 if mlo else True", ALL * 5 // 6),
    ],
)
def test_what_a_constraint_admits(read: Read, constraint: str, count: int) -> None:
    space = read(f'{SPACE}constraints: ["{constraint}"]\n')
    assert space.size == ALL
    assert space.get_total_combinations() == count
    assert sum(1 for _ in space) == count
    assert space.validate() == []


def test_a_constraint_that_nothing_fulfils_is_found(read: Read) -> None:
    (error,) = read(f"{SPACE}constraints: [target_fps > 30]\n").validate()
    assert error.message == f"the constraints allow none of the {ALL:,} combinations"


WRONG = {
    "strategy": (
        "search: {strategy: §grid}",
        "search.strategy: found the text 'grid', wanted one of exhaustive, random",
        "",
    ),
    "key": ("search: {§sample: 3}", "search.sample: unknown key 'sample'", "Did you mean samples?"),
    "no mapping": ("search: §random", "search: found the text 'random', wanted a mapping (key: value)", ""),
    "samples missing": (
        "search: §{strategy: random}",
        "search.samples: a random search needs the number of samples",
        "Write `samples: 100`.",
    ),
    "samples of all": (
        "search: {§samples: 3}",
        "search.samples: samples are for a random search only",
        "Write `strategy: random`, or take the samples out; max_builds limits any search.",
    ),
    "no samples": (
        "search: {strategy: random, samples: §0}",
        "search.samples: 0 is out of range",
        "It must be at least 1.",
    ),
    "seed": ("search: {seed: §-1}", "search.seed: -1 is out of range", "It must be at least 0."),
    "builds": ("search: {max_builds: §0}", "search.max_builds: 0 is out of range", "It must be at least 1."),
    "combinations": (
        "search: {max_combinations: §many}",
        "search.max_combinations: found the text 'many', wanted a whole number",
        "",
    ),
    "flag": (
        "search: {fail_fast: §1}",
        "search.fail_fast: found the whole number 1, wanted true or false",
        "",
    ),
    "timeout": ("search: {timeout: §0}", "search.timeout: 0 is out of range", "It must be at least 1."),
    "metric": (
        "objectives: {§latancy: min}",
        "objectives.latancy: unknown metric 'latancy'",
        "Did you mean latency?",
    ),
    "direction": (
        "objectives: {latency: §low}",
        "objectives.latency: found the text 'low', wanted one of max, min",
        "",
    ),
    "no direction": (
        "objectives: {latency: §}",
        "objectives.latency: found nothing (null), wanted one of max, min",
        "",
    ),
    "no objective": (
        "objectives: §{}",
        "objectives: there is no objective",
        "Write one, e.g. `throughput: max`, or no key.",
    ),
    "list of objectives": (
        "objectives: §[latency]",
        "objectives: found a list, wanted a mapping (key: value)",
        "",
    ),
    "one constraint": ("constraints: §mlo", "constraints: found the text 'mlo', wanted a list", ""),
    "constraint no text": (
        "constraints: [§5]",
        "constraints[0]: found the whole number 5, wanted text",
        "Put it in quotes.",
    ),
    "name": (
        "constraints: [fpga_part == 'a', §fpga_par == 'a']",
        "constraints[1]: 'fpga_par' in \"fpga_par == 'a'\" is no field, kernel or stage of this blueprint",
        "Did you mean fpga_part?",
    ),
    "field that is not set": (
        "constraints: [§mlo]",
        "constraints[0]: 'mlo' in 'mlo' is no field, kernel or stage of this blueprint",
        "There are fpga_part, post_proc, pre_proc, steps.",
    ),
    "true as in YAML": (
        "constraints: [§fpga_part == true]",
        "constraints[0]: 'true' in 'fpga_part == true' is no field, kernel or stage of this blueprint",
        "Write True.",
    ),
    "metric in a constraint": (
        "constraints: [§latency < 3]",
        "constraints[0]: 'latency' in 'latency < 3' is no field, kernel or stage of this blueprint",
        "There are fpga_part, post_proc, pre_proc, steps.",
    ),
    "field in a limit": (
        "limits: [§fpga_part == 'a']",
        "limits[0]: 'fpga_part' in \"fpga_part == 'a'\" is no metric of a build",
        "There are accuracy, bram_utilization, clock_frequency, dsp_utilization, latency, lut_utilization, "
        "throughput, total_power, uram_utilization.",
    ),
}

FORM = "Write a condition, e.g. `synth_clk_period_ns >= 4 or target_fps < 10000`."
NO_EXPRESSIONS = {
    "latency <": "is no expression: invalid syntax",
    "": "is no expression: invalid syntax",
    "latency = 3": "is no expression: invalid syntax",
    "f(latency)": "holds something else than comparisons and arithmetic (a call)",
    "latency.real > 1": "holds something else than comparisons and arithmetic (a dot)",
    "latency[0] > 1": "holds something else than comparisons and arithmetic (brackets)",
    "[x for x in [1]] == [1]": "holds something else than comparisons and arithmetic (listcomp)",
    "latency + 1": "is neither true nor false",
    "not " * 200 + "latency": "has more than 100 levels, one inside the other",
    "latency < 1" + " " * 1000 + "and latency < 2": "is longer than 1000 characters",
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(read: Read, case: str) -> None:
    written, message, cure = WRONG[case]
    text, place = marked(f"{GOOD}{written}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    expected = f"blueprints/small.yaml:{place}: {message}"
    assert str(caught.value) == expected + (f"\n  -> {cure}" if cure else "")


@pytest.mark.parametrize("text", NO_EXPRESSIONS)
def test_what_is_no_expression(read: Read, text: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        read(f'{GOOD}limits: ["{text}"]\n')
    assert str(caught.value) == (
        f"blueprints/small.yaml:6:10: limits[0]: {text[:80]!r} {NO_EXPRESSIONS[text]}\n  -> {FORM}"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("target_fps > 'a'", "cannot be evaluated where target_fps = 10: "),
        ("1 / 0 > 1", "cannot be evaluated: division by zero"),
        ("9 ** 9 ** 9 > target_fps", "cannot be evaluated where target_fps = 10: "),
        ("board + 1 == 2", "cannot be evaluated where board = 'Pynq-Z1': "),
    ],
)
def test_what_cannot_be_evaluated_is_found_before_the_first_build(read: Read, text: str, why: str) -> None:
    (error,) = read(f'{SPACE}constraints: ["{text}"]\n').validate()
    assert str(error).startswith(f"blueprints/small.yaml:12:15: constraints[0]: {text!r} {why}")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("limits", "lut_utilization"),
        ("limits", "-lut_utilization"),
        ("limits", "latency < 5 and throughput"),
        ("limits", "3"),
        ("limits", "-(10 ** 9000)"),
        ("constraints", "target_fps and 3"),
        ("constraints", "synth_clk_period_ns"),
        ("constraints", "not target_fps"),
        ("constraints", "5 if standalone_thresholds else 6"),
    ],
)
def test_what_is_never_true_or_false_is_no_condition(read: Read, key: str, text: str) -> None:
    fields = "    synth_clk_period_ns: 5\n    target_fps: 10\n    standalone_thresholds: true\n"
    with pytest.raises(BlueprintError, match="is neither true nor false"):
        read(f"{GOOD}{fields}{key}: [{text!r}]\n")


def test_a_field_that_is_true_or_false_is_a_condition(read: Read) -> None:
    fields = "    standalone_thresholds: [true, false]\n"
    assert read(f"{GOOD}{fields}constraints: [not standalone_thresholds]\n").get_total_combinations() == 1


def test_a_board_beside_the_part_of_another_device_is_refused(read: Read) -> None:
    """FINN would take the part for all boards: they would be one design under several names."""
    (error,) = read(f"{GOOD}    board: [Pynq-Z1, Ultra96]\n").validate()
    assert "Ultra96 has another device than fpga_part xc7z020clg400-1" in str(error)
    assert error.where.line == 6
    assert read(f"{GOOD}    board: Pynq-Z1\n").validate() == []
    text = f"{GOOD}    board: [Pynq-Z1, Ultra96]\nconstraints: [\"board != 'Ultra96'\"]\n"
    assert read(text).validate() == []
