"""The result of an exploration: counts, limits, ranking, its table and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import WorkspaceError
from finnmake.exploration.axes import FIRST_COLUMNS, LAST_COLUMNS
from finnmake.exploration.configs import iter_configs
from finnmake.exploration.results import ExplorationResult, StepCounts, read, write
from finnmake.records import BuildMetrics, BuildResult, BuildStatus
from tests.exploration.spaces import fields, small, space_of, steps

OBJECTIVES = (("throughput", "max"), ("lut_utilization", "min"))


def explored(
    metrics: Sequence[BuildMetrics | BuildStatus],
    *,
    space: DesignSpace | None = None,
    limits: Sequence[str] = (),
    objectives: Sequence[tuple[str, str]] = OBJECTIVES,
) -> ExplorationResult:
    """An exploration in which these came out, in order."""
    space = space or small({"target_fps": range(len(metrics))})
    space = replace(space, objectives=tuple(objectives), limits=tuple(map(Expression, limits)))
    configs = tuple(iter_configs(space))
    results = [
        BuildResult(config.id, each)
        if isinstance(each, BuildStatus)
        else BuildResult(config.id, BuildStatus.SUCCESS, each, duration_seconds=2.5)
        for config, each in zip(configs, metrics, strict=True)
    ]
    return ExplorationResult.of(space, configs, results, StepCounts(1, 17, 2), 3.5)


def figures(throughput: float | None, lut: float | None, **more: Any) -> BuildMetrics:
    return BuildMetrics(throughput=throughput, lut_utilization=lut, **more)


def ids(configs: Sequence[Any]) -> list[str]:
    return [config.id for config in configs]


def test_counts() -> None:
    found = explored([figures(1, 1), BuildStatus.FAILED, BuildStatus.SKIPPED, BuildStatus.TIMEOUT])
    assert (found.evaluated_count, found.success_count, found.skipped_count) == (3, 1, 1)
    assert found.failures == {"unknown": ["config_002"], "timeout": ["config_004"]}
    assert (found.steps.total, found.steps.sharing) == (20, 0.95)
    assert StepCounts().sharing == 0


def test_failures_are_by_category() -> None:
    found = explored([BuildStatus.FAILED, BuildStatus.TIMEOUT, BuildStatus.FAILED])
    for result, category in zip(found.results, ("memory", "timeout", "memory"), strict=True):
        result.error_category = category
    assert found.failures == {"memory": ["config_001", "config_003"], "timeout": ["config_002"]}


def test_the_best_is_in_the_pareto_set_of_what_meets_the_limits() -> None:
    found = explored(
        [figures(9, 0.8), figures(7, 0.7), figures(7, 0.6), figures(2, 0.1), BuildStatus.FAILED],
        limits=["lut_utilization <= 0.7"],
    )
    assert ids(found.feasible) == ["config_002", "config_003", "config_004"]
    assert ids(found.pareto) == ["config_003", "config_004"]
    assert found.best_config is found.configs[2]
    assert found.result_of("config_003") is found.results[2]
    assert found.warnings == ()


def test_a_limit_over_what_is_not_known_is_not_met_and_says_so() -> None:
    found = explored([figures(1, None), figures(2, 0.5), figures(3, None)], limits=["lut_utilization < 1"])
    assert ids(found.feasible) == ["config_002"]
    assert found.warnings == (
        "The limit 'lut_utilization < 1' counts as broken, as there is no value for lut_utilization: "
        "config_001, config_003.",
    )


def test_a_limit_that_cannot_be_evaluated_is_not_met_and_says_so() -> None:
    found = explored([figures(0.0, 0.5)] * 7, limits=["lut_utilization / throughput < 1"])
    assert (found.feasible, found.pareto, found.best_config) == ((), (), None)
    assert "cannot be evaluated where lut_utilization = 0.5, throughput = 0.0" in found.warnings[0]
    assert found.warnings[0].endswith(
        "config_001, config_002, config_003, config_004, config_005 and 2 more."
    )
    assert found.warnings[1] == "No configuration that was built meets all limits."


def test_an_objective_without_any_value_does_not_count() -> None:
    found = explored([figures(1, 0.5), figures(2, 0.5)], objectives=[("total_power", "min"), *OBJECTIVES])
    assert ids(found.pareto) == ["config_002"]
    assert found.best_config is found.configs[1]
    assert found.warnings == ("No configuration has a value for total_power: this objective does not count.",)


def test_without_any_objective_that_counts_nothing_is_best() -> None:
    found = explored([figures(1, 0.5)], objectives=[("total_power", "min")])
    assert (len(found.feasible), found.pareto, found.best_config) == (1, (), None)


def test_who_lacks_a_value_is_in_no_pareto_set() -> None:
    found = explored([figures(9, None), figures(1, 0.5)])
    assert ids(found.pareto) == ["config_002"]
    assert found.best_config is found.configs[1]
    assert found.warnings == ("Without a value for lut_utilization, so in no Pareto set: config_001.",)
    gaps = explored([figures(9, None), figures(None, 0.5)])
    assert gaps.pareto == ()
    assert gaps.best_config is gaps.configs[0]


def test_nothing_built_is_a_result() -> None:
    found = explored([BuildStatus.SKIPPED])
    assert (found.best_config, found.pareto, found.warnings, found.failures) == (None, (), (), {})


def test_results_must_be_those_of_the_configurations() -> None:
    found = explored([figures(1, 1), figures(2, 2)])
    with pytest.raises(ValueError, match="not those of the configurations"):
        replace(found, results=found.results[::-1])
    with pytest.raises(ValueError, match="axis_values"):
        replace(found, axis_values=())


MIXED = space_of(
    [
        *fields({"target_fps": [1, None], "board": ["U250", 5]}),
        *steps([["a"], ["b", {"step": "q", "parameters": {"bits": 2}}]]),
    ]
)


def mixed() -> ExplorationResult:
    outcomes = [figures(float(n), 0.5) for n in range(5)] + [BuildStatus.FAILED] * 3
    found = explored(outcomes, space=MIXED)
    found.results[5].error_message = 'bad \udcff byte, "quoted"\nTraceback'
    found.results[6].simulated = True
    return found


def test_the_table_has_a_row_for_each_configuration() -> None:
    found = mixed()
    table = found.to_dataframe()
    assert list(table.columns) == [*FIRST_COLUMNS, "target_fps", "board", "steps[0]", *LAST_COLUMNS]
    assert list(table["config_id"]) == ids(found.configs)
    assert list(table["content_id"]) == [config.content_id for config in found.configs]
    assert list(table["feasible"]) == [True] * 5 + [False] * 3
    assert list(table["pareto"]) == [False] * 4 + [True] + [False] * 3
    assert list(table["simulated"]) == [False] * 6 + [True, False]
    assert list(table["board"]) == ["U250", "U250", "5", "5"] * 2
    assert list(table["steps[0]"]) == ["a", "b + q"] * 4
    assert table["error_message"][5] == 'bad \\udcff byte, "quoted"'
    assert {str(table[name].dtype) for name in ("target_fps", "throughput", "accuracy")} == {"float64"}
    assert table["accuracy"].isna().all()
    assert {str(table[name].dtype) for name in ("simulated", "feasible", "pareto")} == {"bool"}


def test_the_files_hold_the_table_and_the_record(tmp_path: Path) -> None:
    found = mixed()
    write(found, tmp_path / "deep" / "results")
    folder = tmp_path / "deep" / "results"
    assert sorted(path.name for path in folder.iterdir()) == [
        "results.csv",
        "results.json",
        "results.parquet",
    ]
    table = found.to_dataframe()
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "results.parquet", engine="fastparquet"), table)
    read_csv = pd.read_csv(folder / "results.csv", dtype={"board": str})
    pd.testing.assert_frame_equal(read_csv.astype(table.dtypes), table.where(table.notna(), float("nan")))
    assert read(folder) == found
    record = json.loads((folder / "results.json").read_bytes())
    assert record["summary"]["best_config"] == "config_005"
    assert record["summary"]["failures"] == {"unknown": ["config_006", "config_007", "config_008"]}


def test_equal_results_are_equal_bytes(tmp_path: Path) -> None:
    write(mixed(), tmp_path / "one")
    write(mixed(), tmp_path / "two")
    write(read(tmp_path / "one"), tmp_path / "three")
    for name in ("results.csv", "results.json"):
        assert len({(tmp_path / folder / name).read_bytes() for folder in ("one", "two", "three")}) == 1


def test_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mixed(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("os.replace", _fails)
    with pytest.raises(OSError, match="the disk is full"):
        write(explored([figures(1, 1)]), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _fails(*_: Any) -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "results.json: there are no results of an exploration\n  -> Run `doit explore`."),
        (b"{", "results.json: is no result of an exploration: "),
        (b"[]", "results.json: is no result of an exploration: "),
        (b"{}", "results.json: is no result of an exploration: design_space_id is missing\n  -> "),
        (b"[" * 99999, "results.json: is no result of an exploration: "),
        (b"\xff\x00", "results.json: is no result of an exploration: "),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(WorkspaceError) as caught:
        read(tmp_path)
    assert message in str(caught.value)


def test_a_folder_in_place_of_results_says_so(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    with pytest.raises(WorkspaceError, match=r"results.json: cannot be read: .*\n  -> "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ["results", 0, "metrics", "accuracy"],
            1.5,
            "accuracy is 1.5: allowed is a number from 0 to 1 or null",
        ),
        (["results", 0, "metrics", "throughput"], -1, "throughput is -1: allowed is a finite number from 0"),
        (["results", 0, "metrics", "latency"], float("nan"), "latency is nan: allowed is"),
        (["results", 0, "metrics", "speed"], 1, "a BuildMetrics has no 'speed': allowed is throughput, "),
        (["results", 0, "status"], "FINE", "status is 'FINE': allowed is one of SUCCESS, FAILED"),
        (
            ["results", 0, "duration_seconds"],
            "1",
            "duration_seconds is '1': allowed is a finite number from 0",
        ),
        (["results", 0, "warnings"], [1], "warnings is [1]: allowed is a list of texts"),
        (["configs", 0, "id"], 7, "id is 7: allowed is text"),
        (["configs", 0, "kernels"], [1], "kernels or build_steps is no list as it should be"),
        (["configs", 0], None, "a BuildConfig is a mapping, not None"),
        (["objectives"], [["speed", "max"]], "objectives is ['speed', 'max']: allowed is one of throughput"),
        (["limits"], ["import os"], "import os"),
        (["limits"], [5], "limits is [5]: allowed is a list of texts"),
        (["steps", "ran"], -1, "ran is -1: allowed is a whole number from 0"),
        (["duration_seconds"], None, "duration_seconds is None: allowed is a finite number from 0"),
        (["axis_values"], [[{}]], "axis_values"),
        (["results"], 5, "an entry is not of the kind that it should be"),
    ],
)
def test_what_cannot_be_names_the_field_and_what_is_allowed(
    tmp_path: Path, place: list[Any], value: Any, message: str
) -> None:
    write(explored([figures(1, 1)]), tmp_path)
    record = json.loads((tmp_path / "results.json").read_bytes())
    at = record
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(record))
    with pytest.raises(WorkspaceError) as caught:
        read(tmp_path)
    assert "results.json: is no result of an exploration: " in str(caught.value)
    assert message in str(caught.value)


odd = st.sampled_from(
    [None, True, -1, 0.5, float("nan"), float("inf"), 10**400, "", "x", [], [[]], {}, {"id": 1}, "import os"]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hostile_values_anywhere_are_an_error_in_words_or_harmless(
    tmp_path: Path, data: st.DataObject
) -> None:
    write(mixed(), tmp_path)
    record = json.loads((tmp_path / "results.json").read_bytes())
    at: Any = record
    while True:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 3)) == 0:
            at[key] = data.draw(odd)
            break
        at = at[key]
    (tmp_path / "results.json").write_text(json.dumps(record))
    try:
        found = read(tmp_path)
    except WorkspaceError as error:
        assert "is no result of an exploration" in str(error)
    else:
        found.to_dataframe()
        assert found.best_config is None or found.best_config in found.configs
        assert json.dumps(found.to_dict())


#: Columns of every mixture of types, for the table's files.
columns = st.lists(
    st.sampled_from(["", "a", 'é\n,"', "\udcff", None, True, False, 0, -5, 2**70, 0.5, -1e300]),
    min_size=2,
    max_size=5,
)


@settings(deadline=None, max_examples=40)
@given(values=columns.filter(lambda found: len(set(map(repr, found))) == len(found)))
def test_axes_of_any_values_are_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    found = explored([figures(1, None)] * len(values), space=small({"axis": values}))
    write(found, folder)
    assert read(folder) == found
    table = pd.read_parquet(folder / "results.parquet", engine="fastparquet")
    pd.testing.assert_frame_equal(table, found.to_dataframe())
    assert len(pd.read_csv(folder / "results.csv")) == len(values)
