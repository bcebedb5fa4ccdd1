"""Which configurations are built: samples, bounds, single ones out of many, patterns, and none."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.explorations import STEPS, fields, mock_space, record, statuses
from tests.projects import Project

#: 10 x 10 x 10 configurations.
THOUSAND = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": [float(each) for each in range(1, 11)],
    "target_fps": [1000 * each for each in range(1, 11)],
    "mvau_wwidth_max": list(range(30, 40)),
}

#: A thousand times a thousand times a thousand.
HUGE = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": {"from": 1, "to": 1000, "step": 1},
    "target_fps": {"from": 1000, "to": 1000000, "step": 1000},
    "mvau_wwidth_max": {"from": 1, "to": 1000, "step": 1},
}


def built(project: Project) -> list[str]:
    """Configurations with a result."""
    return sorted(
        path.parent.name for path in (project.root / "builds" / "tiny").glob("config_*/result.json")
    )


def test_a_sample_of_a_huge_space_is_the_same_each_time(empty_project: Project) -> None:
    mock_space(empty_project, config=HUGE, keys={"search": {"strategy": "random", "samples": 3, "seed": 7}})
    first = empty_project.succeed("explore")
    chosen = list(statuses(empty_project))
    assert len(chosen) == 3 and first.seconds < 10
    assert all(re.fullmatch(r"config_\d{10}", each) for each in chosen)
    assert empty_project.succeed("explore").steps == [] and list(statuses(empty_project)) == chosen
    for seed, samples in ((8, 3), (7, 4)):
        search = {"strategy": "random", "samples": samples, "seed": seed}
        mock_space(empty_project, config=HUGE, keys={"search": search})
        empty_project.succeed("explore")
        assert (set(chosen) < set(statuses(empty_project))) == (seed == 7)


def test_max_builds_bounds_an_exploration(empty_project: Project) -> None:
    mock_space(empty_project, keys={"search": {"max_builds": 3}})
    empty_project.succeed("explore")
    assert list(statuses(empty_project)) == ["config_001", "config_002", "config_003"]


@pytest.mark.parametrize("arguments", [("build",), ("explore",), ("list",)], ids=" ".join)
def test_too_many_combinations_are_refused_with_their_axes(
    empty_project: Project, arguments: Sequence[str]
) -> None:
    mock_space(empty_project, config=HUGE)
    run = empty_project.fail(*arguments)
    assert run.code == 3 and run.seconds < 10
    assert "1,000,000,000 combinations are more than max_combinations (100,000)" in run.output
    for axis in ("config.synth_clk_period_ns (1000)", "config.target_fps (1000)", "config.mvau_wwidth_max"):
        assert axis in run.output


@pytest.mark.parametrize("arguments", [("explore",), ("build",), ("list",)], ids=" ".join)
@pytest.mark.parametrize("search", [{}, {"strategy": "random", "samples": 2}], ids=["all", "sample"])
def test_a_space_without_any_configuration_is_an_error(
    empty_project: Project, arguments: Sequence[str], search: dict[str, object]
) -> None:
    mock_space(empty_project, keys={"constraints": ["target_fps < 10"], "search": search})
    run = empty_project.fail(*arguments)
    assert run.code == 3
    assert "constraints: the constraints allow none of the 4 combinations" in run.output
    assert "-> Loosen one of them." in run.output
    assert not (empty_project.root / "builds" / "tiny" / "exploration").exists()


def test_one_configuration_is_explored(empty_project: Project) -> None:
    mock_space(empty_project, config=fields(synth_clk_period_ns=5.0, target_fps=1000))
    empty_project.succeed("explore")
    summary = record(empty_project)["summary"]
    assert (summary["pareto"], summary["best_config"]) == (["config_001"], "config_001")
    assert record(empty_project)["axes"] == []


# some of many


def test_one_of_a_thousand_is_built_by_itself(empty_project: Project) -> None:
    """Its tasks alone are made, and its values are those of its place."""
    mock_space(empty_project, config=THOUSAND)
    listed = empty_project.succeed("list", "--all", "build:config_0999").output
    assert "config_0999" in listed and listed.count("config_") == 1
    run = empty_project.succeed("build:config_0999")
    assert run.steps == STEPS
    assert built(empty_project) == ["config_0999"]
    flags = empty_project.read("config.json", "tiny", "config_0999")["config_flags"]
    assert (flags["synth_clk_period_ns"], flags["target_fps"], flags["mvau_wwidth_max"]) == (10.0, 10000, 38)
    assert "nothing to do" in empty_project.succeed("build:config_0999").output


MANY = fields(target_fps=[1000 * each for each in range(1, 7)])  # config_001 to config_012


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["build:config_003", "build:config_007"], [3, 7]),
        (["build:config_00*"], range(1, 10)),
        (["build:config_01*"], range(10, 13)),
        (["build:config_01*", "build:config_003"], [3, 10, 11, 12]),
        (["build:*2"], [2, 12]),
        (["build:*"], range(1, 13)),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_some_by_name_or_pattern(empty_project: Project, asked: Sequence[str], wanted: Sequence[int]) -> None:
    """They alone: no step runs for the values of another."""
    mock_space(empty_project, config=MANY)
    run = empty_project.succeed(*asked)
    assert built(empty_project) == [f"config_{each:03}" for each in wanted]
    assert run.steps.count("step_target_fps_parallelization") == len(wanted)
    assert "nothing to do" in empty_project.succeed(*asked).output
    assert empty_project.succeed("explore").steps.count("step_target_fps_parallelization") == 12 - len(wanted)


def test_after_all_are_built_one_has_nothing_to_do(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    for asked in ("build:config_003", "build:config_00*", "build"):
        assert "nothing to do" in empty_project.succeed(asked).output


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("build:config_002", "config_002 is excluded by the constraint"),
        ("build:config_009", "tiny has no configuration 'config_009'\n  -> It has config_001, config_003"),
        ("build:config_0001", "tiny has no configuration 'config_0001'"),
        (
            "build:config_9*",
            "build:config_9* fits none of the 2 configurations of tiny\n  -> There are config_001",
        ),
        ("biuld:config_001", "there is no task 'biuld:config_001'"),
    ],
)
def test_one_that_is_not_there(empty_project: Project, asked: str, words: str) -> None:
    mock_space(empty_project, keys={"constraints": ["target_fps == 1000"]})
    run = empty_project.fail(asked)
    assert run.code == 3 and words in run.output
