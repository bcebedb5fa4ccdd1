"""`mock` of a blueprint: who waits, and which configurations fail: by their content, the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.backends.mock_failures import behaving, drawn
from finnmake.blueprint import schema
from finnmake.engine.state import StepCall
from finnmake.records import BuildConfig

CALLS = [StepCall(name, "step", f"m:{name}", {}, at) for at, name in enumerate(("a", "b", "c"))]
IDS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
RATES = st.dictionaries(st.sampled_from(schema.MOCK_FAILURES), st.floats(0, 0.5 / len(schema.MOCK_FAILURES)))


def config_of(content_id: str = IDS[0], **mock: Any) -> BuildConfig:
    return BuildConfig(
        id="config_001",
        design_space_id="small",
        content_id=content_id,
        model_path="net.onnx",
        kernels=(),
        transforms_by_stage={},
        build_steps=(),
        config_flags={},
        global_config={"timeout_seconds": 1, **({"mock": mock} if mock else {})},
        backend="mock",
        output_dir="builds/small/config_001",
        combination_index=0,
        total_combinations=1,
    )


def test_without_the_key_nothing_changes() -> None:
    assert behaving(config_of(), CALLS) == CALLS
    assert behaving(config_of(failures={"timing": 1.0}), []) == []


def test_every_call_waits_and_the_last_one_fails() -> None:
    found = behaving(config_of(delay=0.5, failures={"timing": 1.0}), CALLS)
    assert [call.parameters for call in found] == [
        {"sleep": 0.5},
        {"sleep": 0.5},
        {"sleep": 0.5, "fail": "timing"},
    ]


def test_what_a_step_says_itself_comes_first() -> None:
    own = StepCall("c", "step", "m:c", {"sleep": 2, "fail": False}, 2)
    assert behaving(config_of(delay=0.5, failures={"timing": 1.0}), [*CALLS[:2], own])[-1] == own


@given(st.sampled_from(IDS), RATES)
def test_the_same_content_fails_alike_in_whatever_order_the_rates_stand(
    content_id: str, rates: Mapping[str, float]
) -> None:
    assert drawn(content_id, rates) == drawn(content_id, dict(reversed(rates.items())))
    assert drawn(content_id, rates) in {None, *rates}


@given(st.sampled_from(IDS), RATES, st.sampled_from(schema.MOCK_FAILURES), st.floats(0, 0.5))
def test_what_fails_still_does_when_a_rate_is_raised(
    content_id: str, rates: dict[str, float], category: str, more: float
) -> None:
    raised = {**rates, category: rates.get(category, 0.0) + more}
    assert drawn(content_id, rates) is None or drawn(content_id, raised) is not None


@pytest.mark.parametrize("rates", [{"synthesis": 0.1}, {"synthesis": 0.1, "timing": 0.3, "memory": 0.0}])
def test_so_many_fail_as_the_rates_say(rates: Mapping[str, float]) -> None:
    found = [drawn(content_id, rates) for content_id in IDS]
    for category, rate in rates.items():
        assert found.count(category) / len(IDS) == pytest.approx(rate, abs=0.03)
    assert drawn(IDS[0], {"unknown": 1.0}) == "unknown"
