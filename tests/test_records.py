"""Records through JSON and back: nothing is lost, and what comes out of `to_dict` is JSON."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.blueprint.slots import Slot
from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.checked import ALLOWED
from finnmake.exploration.configs import allowed_positions, iter_configs
from finnmake.exploration.ranking import METRICS
from finnmake.exploration.results import ExplorationResult, StepCounts
from finnmake.exploration.tree import ExecutionTree, Segment, space_tree
from finnmake.records import (
    BuildConfig,
    BuildMetrics,
    BuildResult,
    BuildStatus,
    ModelInfo,
    TensorInfo,
)
from tests.exploration.spaces import random_spaces, small

numbers = st.none() | st.floats(0, allow_infinity=False)
texts = st.text(max_size=6)
by_text = st.dictionaries(texts, texts, max_size=3)
counts = st.dictionaries(texts, st.integers(0), max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

metrics = st.builds(
    BuildMetrics,
    **{each: numbers for each in METRICS if each != "accuracy"},
    accuracy=st.none() | st.floats(0, 1),
    sources=by_text,
    raw_metrics=st.dictionaries(texts, values, max_size=3),
)
results = st.builds(
    BuildResult,
    config_id=texts,
    status=st.sampled_from(BuildStatus),
    metrics=st.none() | metrics,
    start_time=st.floats(0, 1e10),
    end_time=st.floats(0, 1e10),
    duration_seconds=st.floats(0, 1e10),
    artifacts=by_text,
    logs=by_text,
    warnings=st.lists(texts, max_size=3),
    error_category=st.none() | texts,
    error_message=st.none() | texts,
    error_step=st.none() | texts,
    error_node=st.none() | texts,
    log_tail=st.lists(texts, max_size=3),
    tips=st.lists(texts, max_size=3),
    simulated=st.booleans(),
)
tensors = st.lists(
    st.builds(TensorInfo, texts, st.lists(st.integers(0), max_size=4).map(tuple), texts), max_size=2
).map(tuple)
infos = st.builds(
    ModelInfo,
    path=texts,
    inputs=tensors,
    outputs=tensors,
    operators=counts,
    quantisation=st.dictionaries(texts, counts, max_size=2),
    parameters=st.integers(0),
    parameter_bits=st.integers(0),
    macs=st.none() | st.integers(0),
)
searches = st.builds(
    SearchConfig,
    strategy=st.sampled_from(["exhaustive", "random"]),
    samples=st.none() | st.integers(1),
    seed=st.integers(0),
    max_builds=st.none() | st.integers(1),
    max_combinations=st.integers(1),
    fail_fast=st.booleans(),
    early_stop=st.booleans(),
    timeout_seconds=st.none() | st.integers(1),
)
spaces = random_spaces()
configs = spaces.map(lambda space: list(iter_configs(space))).filter(bool).flatmap(st.sampled_from)
trees = spaces.map(lambda space: space_tree(space, allowed_positions(space)))


@st.composite
def explorations(draw: st.DrawFn) -> ExplorationResult:
    space = draw(spaces)
    some = list(iter_configs(space))[:4]
    drawn = draw(st.lists(results, min_size=len(some), max_size=len(some)))
    found = [replace(each, config_id=config.id) for config, each in zip(some, drawn, strict=True)]
    steps = draw(st.builds(StepCounts, *[st.integers(0, 99)] * 3))
    return ExplorationResult.of(space, some, found, steps, draw(st.floats(0, 1e6)))


RECORDS: dict[Any, st.SearchStrategy[Any]] = {
    BuildConfig: configs,
    BuildMetrics: metrics,
    BuildResult: results,
    DesignSpace: spaces,
    ExecutionTree: trees,
    ExplorationResult: explorations(),
    ModelInfo: infos,
    SearchConfig: searches,
    Segment: trees.filter(lambda tree: tree.segments).flatmap(lambda tree: st.sampled_from(tree.segments)),
    Slot: spaces.flatmap(lambda space: st.sampled_from(space.hw_compiler_space.slots)),
}


@settings(deadline=None, max_examples=60)
@given(st.data())
@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_what_is_dumped_is_loaded(kind: Any, data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    dumped = record.to_dict()
    text = json.dumps(dumped, sort_keys=True)
    loaded = kind.from_dict(json.loads(text))
    assert loaded == record
    assert json.dumps(loaded.to_dict(), sort_keys=True) == text
    assert kind.from_dict(dumped) == record


# what cannot be is refused


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("value", [-1, -1e-9, float("nan"), float("inf"), 10**400, True, "1", [], 1j])
def test_a_metric_that_cannot_be_is_refused_with_what_can(name: str, value: Any) -> None:
    allowed = (
        "a number from 0 to 1 or null" if name == "accuracy" else r"a finite number from 0 \(.+\) or null"
    )
    for make in (lambda: BuildMetrics(**{name: value}), lambda: BuildMetrics.from_dict({name: value})):
        with pytest.raises(ValueError, match=rf"^{name} is .+: allowed is {allowed}$"):
            make()
    changed = BuildMetrics()
    setattr(changed, name, value)
    with pytest.raises(ValueError, match=f"^{name} is "):
        changed.validated()
    with pytest.raises(ValueError, match=f"^{name} is "):
        BuildResult("config_001", BuildStatus.SUCCESS, changed)


def test_what_does_not_fit_is_no_mistake() -> None:
    assert BuildMetrics(lut_utilization=7.5, throughput=0, accuracy=1).validated().lut_utilization == 7.5
    with pytest.raises(ValueError, match=r"^accuracy is 1\.0001: allowed is a number from 0 to 1 or null$"):
        BuildMetrics(accuracy=1.0001)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^a BuildResult is a mapping, not \[\]$"),
        ({}, "^config_id is missing, which every BuildResult has$"),
        ({"config_id": "a"}, "^status is missing"),
        (
            {"config_id": "a", "status": "OK"},
            "^status is 'OK': allowed is one of SUCCESS, FAILED, TIMEOUT, SKIPPED$",
        ),
        ({"config_id": "a", "status": []}, "^status is "),
        ({"config_id": 1, "status": "FAILED"}, "^config_id is 1: allowed is text$"),
        (
            {"config_id": "a", "status": "FAILED", "colour": 1},
            "^a BuildResult has no 'colour': allowed is config_id, ",
        ),
        ({"config_id": "a", "status": "FAILED", "metrics": 5}, "^a BuildMetrics is a mapping, not 5$"),
        ({"config_id": "a", "status": "FAILED", "metrics": {"accuracy": 2}}, "^accuracy is 2: allowed is"),
        (
            {"config_id": "a", "status": "FAILED", "end_time": None},
            r"^end_time is None: allowed is a finite number",
        ),
        ({"config_id": "a", "status": "FAILED", "tips": "x"}, "^tips is 'x': allowed is a list of texts$"),
        (
            {"config_id": "a", "status": "FAILED", "logs": {"a": 1}},
            "^logs is .*: allowed is a mapping from text to text$",
        ),
        (
            {"config_id": "a", "status": "FAILED", "simulated": 1},
            "^simulated is 1: allowed is true or false$",
        ),
        (
            {"config_id": "a", "status": "FAILED", "error_step": 1},
            "^error_step is 1: allowed is text or null$",
        ),
        (
            {"config_id": "a", "status": "FAILED", "warnings": ["x" * 999, 1]},
            r"^warnings is \['x+\.\.\.: allowed",
        ),
    ],
)
def test_a_result_that_cannot_be_is_refused_with_what_can(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BuildResult.from_dict(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
result_fields = st.sampled_from([each.name for each in fields(BuildResult)])


@settings(deadline=None, max_examples=200)
@given(good=results, changes=st.dictionaries(result_fields | texts, anything, max_size=3))
def test_anything_else_is_a_value_error_or_a_whole_result(good: BuildResult, changes: dict[str, Any]) -> None:
    try:
        found = BuildResult.from_dict({**good.to_dict(), **changes})
    except ValueError as error:
        assert len(str(error)) < 400
    else:
        assert BuildResult.from_dict(found.to_dict()) == found.validated()


@pytest.mark.parametrize("kind", [BuildMetrics, BuildResult])
def test_every_field_is_checked(kind: Any) -> None:
    """A new field is a figure with a unit, of a kind that `checked` knows, or has a check of its own."""
    own = {"status", "metrics"}
    unchecked = {
        each.name for each in fields(kind) if "unit" not in each.metadata and each.type not in ALLOWED
    }
    assert unchecked <= own


def test_a_space_that_was_loaded_makes_the_same_configurations() -> None:
    space = small()
    assert list(iter_configs(DesignSpace.from_dict(space.to_dict()))) == list(iter_configs(space))


def test_what_a_dumped_configuration_holds_is_its_own() -> None:
    config = next(iter_configs(small()))
    dumped = config.to_dict()
    dumped["config_flags"]["generate_outputs"].append("more")
    dumped["transforms_by_stage"]["pre_proc"].clear()
    assert config == next(iter_configs(small()))
    assert dumped["build_steps"] == ["step_tidy_up"]


def test_a_configuration_passes_between_processes() -> None:
    config = next(iter_configs(small()))
    assert pickle.loads(pickle.dumps(config)) == config
