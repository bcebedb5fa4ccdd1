"""What estimates rule out: all but the Pareto set of those within the limits, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.blueprint.expressions import Expression
from finnmake.exploration.early_stop import broken_limits, rule_out, unknown_objectives, unknown_to_estimates
from finnmake.records import BuildMetrics
from tests.exploration.spaces import steps

OBJECTIVES = (("throughput", "max"), ("lut_utilization", "min"))


def metrics(throughput: float | None, luts: float | None, latency: float | None = None) -> BuildMetrics:
    return BuildMetrics(throughput=throughput, lut_utilization=luts, latency=latency)


def limits(*texts: str) -> list[Expression]:
    return [Expression(text) for text in texts]


def test_a_broken_limit_rules_out_and_says_by_how_much() -> None:
    found = rule_out({"a": metrics(1, 0.9), "b": metrics(1, 0.7)}, (), limits("lut_utilization <= 0.7"))
    assert found == {"a": "its estimates break the limit lut_utilization <= 0.7 (lut_utilization = 0.9)"}


def test_what_is_dominated_names_one_that_is_better() -> None:
    found = rule_out({"a": metrics(1, 0.5), "b": metrics(2, 0.4), "c": metrics(2, 0.5)}, OBJECTIVES, ())
    words = "its estimates are dominated by those of b (throughput, lut_utilization)"
    assert found == {"a": words, "c": words}


def test_what_breaks_a_limit_dominates_nothing() -> None:
    estimates = {"a": metrics(9, 0.1, latency=50), "b": metrics(1, 0.5, latency=1)}
    assert list(rule_out(estimates, OBJECTIVES, limits("latency < 10"))) == ["a"]


def test_equals_all_stay() -> None:
    assert rule_out({"a": metrics(1, 0.5), "b": metrics(1, 0.5)}, OBJECTIVES, ()) == {}


@pytest.mark.parametrize("text", ["total_power < 1", "total_power < 1 or lut_utilization < 0.1"])
def test_a_limit_over_what_is_not_known_yet_rules_nothing_out(text: str) -> None:
    assert rule_out({"a": metrics(1, 0.5)}, OBJECTIVES, limits(text)) == {}
    assert broken_limits([text], metrics(1, 0.5)) == []


def test_while_an_objective_is_unknown_nothing_is_dominated() -> None:
    worse, better = metrics(1, 0.5), metrics(2, 0.4)
    objectives = (("accuracy", "max"), *OBJECTIVES)
    assert rule_out({"a": worse, "b": better}, OBJECTIVES, ()).keys() == {"a"}
    assert rule_out({"a": worse, "b": better}, objectives, ()) == {}
    assert unknown_objectives({"a": worse, "b": better}, objectives) == ["accuracy"]


def test_an_unknown_value_neither_rules_out_nor_is_ruled_out() -> None:
    assert rule_out({"a": metrics(None, 0.9), "b": metrics(2, 0.5)}, OBJECTIVES, ()) == {}


def space(backend: str = "finn", stage: str = "ESTIMATES", **slots: tuple[Any, ...]) -> Any:
    """As much of a design space as counts: objectives over accuracy and power, and the analyses."""
    return SimpleNamespace(
        global_config={"output_stage": stage},
        objectives=(("accuracy", "max"), ("total_power", "min")),
        limits=limits("accuracy >= 0.9"),
        backend=backend,
        hw_compiler_space=SimpleNamespace(
            transforms={"post_proc": slots.get("post_proc", ())}, slots=steps(slots.get("steps", ((),)))
        ),
    )


ACCURACY = {"name": "accuracy_validation", "parameters": {"data": "x.npz"}}
POWER = "the objective total_power has no value at output_stage ESTIMATES"


def test_what_estimates_do_not_tell_is_said() -> None:
    told = unknown_to_estimates(space())
    assert told == ["the limit 'accuracy >= 0.9' has no value at output_stage ESTIMATES", POWER]
    assert unknown_to_estimates(space(stage="BITFILE")) == []


@pytest.mark.parametrize("option", [(ACCURACY,), ("roofline", ACCURACY)])
def test_accuracy_is_known_where_an_analysis_measures_it(option: tuple[Any, ...]) -> None:
    assert unknown_to_estimates(space(post_proc=(("roofline",), ((), option)))) == [POWER]
    assert len(unknown_to_estimates(space("mock", post_proc=((option,),)))) == 2, "it runs no analysis"
    assert len(unknown_to_estimates(space(post_proc=((("roofline",),),)))) == 2


def test_accuracy_is_known_where_hardware_is_simulated_on_a_data_set() -> None:
    random: dict[str, Any] = {"step": "step_open_rtl_simulate", "parameters": {"inferences": 9}}
    data = {"step": "step_open_rtl_simulate", "parameters": {"data": "x.npz"}}
    told = unknown_to_estimates(space("open_rtl", "RTL", steps=(("step_tidy_up", random), (data,))))
    assert told == ["the objective total_power has no value at output_stage RTL"]
    assert len(unknown_to_estimates(space("open_rtl", "RTL", steps=((random,),)))) == 2
    assert len(unknown_to_estimates(space("open_rtl", "ESTIMATES", steps=((data,),)))) == 2
    assert len(unknown_to_estimates(space("finn", "RTL", steps=((data,),)))) == 2


def test_nothing_is_ruled_out_of_nothing() -> None:
    assert rule_out({}, OBJECTIVES, limits("latency < 1")) == {}


def test_a_finished_build_is_told_which_limits_it_breaks() -> None:
    texts = ["latency < 10", "lut_utilization < 1", "latency < 20"]
    assert broken_limits(texts, metrics(1, 0.5, latency=15)) == [
        "breaks the limit latency < 10 (latency = 15)"
    ]


_values = st.sampled_from([1.0, 2.0, 3.0])
_estimates = st.lists(st.tuples(_values, _values, _values), max_size=12)


@given(_estimates)
def test_exactly_the_brute_force_pareto_set_within_the_limits_stays(
    points: Sequence[tuple[float, float, float]],
) -> None:
    estimates: Mapping[str, BuildMetrics] = {f"c{at}": metrics(*point) for at, point in enumerate(points)}
    out = rule_out(estimates, OBJECTIVES, limits("latency <= 2"))
    inside = {name: each for name, each in estimates.items() if (each.latency or 0) <= 2}
    best = {
        name
        for name, a in inside.items()
        if not any(
            (b.throughput, -(b.lut_utilization or 0)) != (a.throughput, -(a.lut_utilization or 0))
            and (b.throughput or 0) >= (a.throughput or 0)
            and (b.lut_utilization or 0) <= (a.lut_utilization or 0)
            for b in inside.values()
        )
    }
    assert estimates.keys() - out.keys() == best
    assert all(out.values())
