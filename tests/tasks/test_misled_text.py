"""The words about where FINN's estimates misled an exploration."""

from __future__ import annotations

from finnmake.records import BuildMetrics
from finnmake.tasks.misled_text import misled_lines
from tests.exploration.test_estimates import build, three
from tests.exploration.test_results import explored

WORDS = """
measured / FINN's estimate  builds  least  median  most  farthest off
throughput                       3  0.909       1     1    config_002
lut_utilization                  3  0.625       2     3    config_002
Pareto set by estimates (throughput, lut_utilization): 2, of which 1 are beaten in fact; of the 2 in fact 1 \
are missing
  beaten in fact: config_002 (by config_003)
  missing, as estimates put others before them: config_001 (by config_002)"""

SAME = """
measured / FINN's estimate  builds  least  median  most  farthest off
throughput                       1    0.5     0.5   0.5    config_001
lut_utilization                  1      –       –     –             –
lut_utilization: 1 builds take some that were estimated to take none
Pareto set by estimates (throughput, lut_utilization): the same"""


def test_ratios_and_sets() -> None:
    assert "\n".join(misled_lines(three())) == WORDS


def test_sets_that_are_the_same_and_an_estimate_of_nothing() -> None:
    found = explored([build(1, 0.1, throughput=2), build(1, 0.1, lut_utilization=0)])
    assert "\n".join(misled_lines(found)) == SAME


def test_of_many_the_first_are_named() -> None:
    builds = [build(number, number / 100, lut_utilization=0.5 - number / 100) for number in range(1, 13)]
    lines = list(misled_lines(explored(builds)))
    assert lines[-1].startswith(
        "  missing, as estimates put others before them: config_001 (by config_012), "
    )
    assert lines[-1].endswith(", config_010 (by config_012) and 1 more")


def test_nothing_was_estimated() -> None:
    assert list(misled_lines(explored([BuildMetrics(throughput=1)]))) == []
