"""Generated blueprints: good ones count as enumerated, damaged ones give BlueprintError and nothing else."""

from __future__ import annotations

import contextlib
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
from blueprint_samples import GOOD, KnownParts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.blueprint import schema, tables
from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog
from finnmake.errors import BlueprintError
from finnmake.exploration.configs import config_ids, iter_configs

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "target_fps": st.integers(1, 10**9),
    "synth_clk_period_ns": st.floats(0.1, 100) | st.integers(1, 100),
    "mvau_wwidth_max": st.integers(1, 10**6),
    "minimize_bit_width": st.booleans(),
    "board": st.sampled_from(["Pynq-Z1", "ZCU104", "U250"]),
    "auto_fifo_strategy": st.sampled_from(["live_fifo", "distributed_sim"]),
    "signature": st.lists(st.integers(), max_size=3),
    "cpp_driver_version": st.text("abc0.:-# ", max_size=5),
}


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Fields with one value or an axis of different ones."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
    return {name: draw(one_or_axis(VALUES[name])) for name in names}


def one_or_axis(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=4, unique_by=str_of_number)


def str_of_number(value: Any) -> str:
    return str(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def blueprint(config: dict[str, Any]) -> dict[str, Any]:
    device = {"fpga_part": "xc7z020clg400-1", **config}
    return {"name": "small", "model": "../models/net.onnx", "design_space": {"config": device}}


def load(project: Path, text: str | bytes) -> DesignSpace:
    file = project / "blueprints/small.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return forge(file, project, known=FinnCatalog(), known_parts=KnownParts())


def lengths(config: dict[str, Any]) -> list[int]:
    """Of the axes, as a reader of the blueprint sees them."""
    axes = [
        value
        for name, value in config.items()
        if isinstance(value, list) and (name != "signature" or any(isinstance(item, list) for item in value))
    ]
    return [len(axis) for axis in axes]


@same_folder
@given(configs())
def test_as_many_configurations_as_the_axes_span(project: Path, config: dict[str, Any]) -> None:
    space = load(project, yaml.safe_dump(blueprint(config), sort_keys=False))
    found = list(iter_configs(space))
    assert len(found) == space.get_total_combinations() == prod(lengths(config))
    assert [entry.id for entry in found] == list(config_ids(space))
    assert len({entry.content_id for entry in found}) == len(found)


@same_folder
@given(configs(), st.randoms())
def test_content_ids_survive_reordering(project: Path, config: dict[str, Any], random: Any) -> None:
    def shuffled(name: str) -> Any:
        value = config[name]
        is_axis = isinstance(value, list) and tables.config_field(name) is not None and name != "signature"
        return random.sample(value, len(value)) if is_axis else value

    names = random.sample(list(config), len(config))
    before = load(project, yaml.safe_dump(blueprint(config), sort_keys=False))
    after = load(
        project, yaml.safe_dump(blueprint({name: shuffled(name) for name in names}), sort_keys=False)
    )
    assert {entry.content_id for entry in iter_configs(before)} == {
        entry.content_id for entry in iter_configs(after)
    }


@same_folder
@given(st.data())
def test_a_damaged_blueprint_is_read_or_refused(project: Path, data: st.DataObject) -> None:
    good = GOOD + "    target_fps: [10, 20]\n  steps: [step_tidy_up, {step: a.b, parameters: {x: 1}}]\n"
    at = data.draw(st.integers(0, len(good)))
    removed = data.draw(st.integers(0, 20))
    inserted = data.draw(st.text("[]{}:,-&*!#|>'\"%@`?<=~ \n\tab01.eE_\0\x01é", max_size=8))
    with contextlib.suppress(BlueprintError):
        load(project, good[:at] + inserted + good[at + removed :])


@same_folder
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_refused(project: Path, text: str | bytes) -> None:
    with pytest.raises(BlueprintError):
        load(project, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@same_folder
@given(st.sampled_from(sorted(tables.config_field_names())), json_values)
def test_any_value_of_any_field_is_read_or_refused(project: Path, name: str, value: Any) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump(blueprint({name: value})))


@same_folder
@given(st.sampled_from(schema.TOP_KEYS), json_values)
def test_any_value_of_any_key_is_read_or_refused(project: Path, key: str, value: Any) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump({**blueprint({}), key: value}))


@same_folder
@given(st.sampled_from(schema.SPACE_KEYS), json_values)
def test_any_value_in_the_design_space_is_read_or_refused(project: Path, key: str, value: Any) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump({**blueprint({}), "design_space": {key: value}}))


@same_folder
@given(st.sampled_from(schema.SEARCH_KEYS), json_values)
def test_any_value_in_the_search_is_read_or_refused(project: Path, key: str, value: Any) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump({**blueprint({}), "search": {"strategy": "random", key: value}}))


#: Texts that mean something in one place or another.
words = st.sampled_from(
    [
        "a.a",
        "~a.a",
        "~",
        "mid",
        "pre_proc",
        "step_tidy_up",
        "MVAU",
        "MVAU_rtl",
        "latency",
        "max",
        "default",
        "FoldConstants",
    ]
)
keys = words | st.sampled_from(
    [*schema.OPERATIONS, *schema.RANGE_KEYS, *schema.KERNEL_KEYS, "insert", "with", "step", "stage", "name"]
)
meaningful = st.recursive(
    st.none() | st.integers(0, 3) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@same_folder
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "config": st.dictionaries(st.sampled_from(sorted(VALUES)), meaningful, max_size=2),
            "transforms": st.dictionaries(words, meaningful, max_size=2) | meaningful,
            "steps": st.lists(meaningful, max_size=4) | meaningful,
            "kernels": st.dictionaries(words, meaningful, max_size=2) | meaningful,
        },
    ),
    st.dictionaries(
        st.sampled_from(
            ["clock_ns", "output", "board", "finn_config", "objectives", "constraints", "limits"]
        ),
        meaningful,
        max_size=2,
    ),
)
def test_what_looks_like_a_blueprint_is_read_or_refused(
    project: Path, space: dict[str, Any], top: dict[str, Any]
) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump({**blueprint({}), "design_space": space, **top})).validate()


@same_folder
@given(st.text(max_size=40) | st.text("()[]-*/<>=andortifls01 '\\", max_size=40))
def test_any_text_is_an_expression_or_refused(project: Path, text: str) -> None:
    with contextlib.suppress(BlueprintError):
        load(project, yaml.safe_dump({**blueprint({}), "constraints": [text]})).validate()
