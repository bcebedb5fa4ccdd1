"""Where FINN's estimates misled: ratios, and Pareto sets that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.exploration.estimates import Misjudged, Misled, estimates_of
from finnmake.exploration.results import ExplorationResult, write
from finnmake.records import ESTIMATED, BuildMetrics, BuildStatus
from tests.exploration.test_results import explored


def build(throughput: float, lut: float, /, **estimated: Any) -> BuildMetrics:
    return BuildMetrics(throughput=throughput, lut_utilization=lut, raw_metrics={ESTIMATED: estimated})


def known(found: ExplorationResult) -> Misled:
    assert found.misled is not None
    return found.misled


def three() -> ExplorationResult:
    """By estimates the first is beaten by the second; in fact the second is beaten by the third."""
    return explored(
        [
            build(100, 0.2, throughput=100, lut_utilization=0.1, dsp_utilization=0.5),
            build(100, 0.3, throughput=110, lut_utilization=0.1),
            build(200, 0.25, throughput=200, lut_utilization=0.4),
            BuildStatus.FAILED,
        ]
    )


def test_ratios_are_of_what_was_measured_to_what_was_estimated() -> None:
    throughput, lut = known(three()).ratios  # nothing was measured of DSPs
    assert (throughput.metric, throughput.builds, throughput.farthest) == ("throughput", 3, "config_002")
    assert (throughput.least, throughput.median, throughput.most) == (pytest.approx(100 / 110), 1, 1)
    assert (lut.least, lut.median, lut.most) == (pytest.approx(0.625), 2, pytest.approx(3))
    assert lut.farthest == "config_002"


def test_half_as_much_is_as_far_off_as_twice_as_much() -> None:
    found = explored([build(19, 0.1, throughput=10), build(5, 0.1, throughput=10)])
    assert known(found).ratios[0].farthest == "config_002"


def test_sets_that_differ_name_who_beats_whom() -> None:
    found = known(three())
    assert found.objectives == ("throughput", "lut_utilization")
    assert found.pareto == ("config_002", "config_003")
    assert found.beaten == (Misjudged("config_002", "config_003"),)
    assert found.overlooked == (Misjudged("config_001", "config_002"),)


def test_what_is_not_estimated_counts_as_measured() -> None:
    found = explored([build(1, 0.1, throughput=1), build(1, 0.2, throughput=2)])
    assert known(found).pareto == ("config_001", "config_002")
    assert known(found).objectives == ("throughput",)


def test_limits_hold_for_estimates_too() -> None:
    found = explored(
        [build(1, 0.1, lut_utilization=0.9), build(2, 0.9, lut_utilization=0.1)],
        limits=["lut_utilization <= 0.5"],
    )
    assert known(found).beaten == (Misjudged("config_002", ""),)
    assert known(found).overlooked == (Misjudged("config_001", ""),)


def test_nothing_was_estimated() -> None:
    found = explored([BuildMetrics(throughput=1, lut_utilization=0.1), BuildStatus.FAILED])
    assert found.misled is None
    assert found.to_dict()["summary"]["misled"] is None


def test_without_an_objective_that_was_estimated_there_are_ratios_alone() -> None:
    found = explored([build(2, 0.1, throughput=1)], objectives=[("lut_utilization", "min")])
    assert (known(found).objectives, known(found).pareto) == ((), ())
    assert known(found).ratios[0].most == 2


def test_what_was_to_take_nothing_has_no_ratio() -> None:
    found = explored([build(1, 0.1, lut_utilization=0.0), build(1, 0.0, lut_utilization=0.0)])
    (ratio,) = known(found).ratios
    assert (ratio.builds, ratio.least, ratio.farthest, ratio.unforeseen) == (2, None, "", 1)


@pytest.mark.parametrize("held", [None, 3, {"throughput": "much"}, {"throughput": -1.0}, {"lut": 1.0}])
def test_estimates_of_any_file(held: Any) -> None:
    metrics = BuildMetrics(throughput=1.0, raw_metrics={ESTIMATED: held})
    assert estimates_of(metrics) == {}
    assert estimates_of(None) == {}


FIGURES = st.tuples(*(st.integers(1, 4) for _ in range(4)))


@settings(deadline=None)
@given(st.lists(FIGURES, min_size=1, max_size=8))
def test_the_sets_tell_all_that_differs(rows: list[tuple[int, int, int, int]]) -> None:
    found = explored([build(a, b / 10, throughput=c, lut_utilization=d / 10) for a, b, c, d in rows])
    misled, measured = known(found), [config.id for config in found.pareto]
    beaten, overlooked = ({each.config_id for each in part} for part in (misled.beaten, misled.overlooked))
    assert set(misled.pareto) - beaten == set(measured) - overlooked
    assert beaten <= set(misled.pareto) and overlooked <= set(measured)
    assert all(each.by in measured for each in misled.beaten)
    assert all(each.by in misled.pareto for each in misled.overlooked)


def test_files_tell_it_and_go_where_there_is_nothing_to_tell(tmp_path: Path) -> None:
    write(three(), tmp_path)
    assert (tmp_path / "estimates.csv").read_text() == (
        "config_id,pareto,pareto_by_estimates,metric,estimated,measured,ratio\n"
        "config_001,True,False,throughput,100.0,100.0,1.0\n"
        "config_001,True,False,lut_utilization,0.1,0.2,2.0\n"
        "config_002,False,True,throughput,110.0,100.0,0.9090909090909091\n"
        "config_002,False,True,lut_utilization,0.1,0.3,2.9999999999999996\n"
        "config_003,True,True,throughput,200.0,200.0,1.0\n"
        "config_003,True,True,lut_utilization,0.4,0.25,0.625\n"
    )
    summary = json.loads((tmp_path / "results.json").read_text())["summary"]
    assert summary["misled"]["overlooked"] == [{"config_id": "config_001", "by": "config_002"}]
    write(explored([BuildMetrics(throughput=1)]), tmp_path)
    assert not (tmp_path / "estimates.csv").exists()
