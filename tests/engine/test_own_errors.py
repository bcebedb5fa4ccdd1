"""What is said of an exception: FINN's tips where FINN raised it, none where it was the user's own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from finnmake.engine.state import StepCall
from finnmake.errors import StepError

CALL = StepCall("f", "step", "p:f", {}, 0)

#: Code whose exception reads like one of FINN's -> its category where FINN raises it.
ALIKE = {
    "1 / 0": "config",
    "(lambda: None)(x=1)": "config",
    "raise AssertionError('Requirement MH divisable by PE is violated.')": "resource",
}

#: A body that runs code as if it stood in a file of FINN's.
AS_FINN = """\
import types
sys.modules["finn"] = types.ModuleType("finn")
sys.modules["finn"].__path__ = ["/opt/finn"]
try:
    exec(compile({code!r}, "/opt/finn/core.py", "exec"))
except Exception as error:
    {then}
"""


def failure(bench: Any, body: str, kind: str = "step") -> StepError:
    bench.step(body)
    with pytest.raises(StepError) as caught:
        bench.run(replace(CALL, kind=kind))
    return caught.value


@pytest.mark.parametrize("code", ALIKE)
def test_own_code_gets_no_tip_of_finns(bench: Any, code: str) -> None:
    error = failure(bench, code)
    assert (error.category, error.cure) == ("unknown", "")
    assert error.message.startswith("plugins/p.py:")


@pytest.mark.parametrize("code", ALIKE)
def test_what_finn_raises_below_own_code_is_told_as_finns(bench: Any, code: str) -> None:
    error = failure(bench, AS_FINN.format(code=code, then="raise"))
    assert error.category == ALIKE[code] and error.cure


def test_finns_words_count_where_own_code_passes_them_on(bench: Any) -> None:
    code = "raise AssertionError('Requirement MH divisable by PE is violated.')"
    error = failure(bench, AS_FINN.format(code=code, then="raise ValueError('no luck') from error"))
    assert error.category == "resource" and error.message.endswith("ValueError: no luck")


@pytest.mark.parametrize("kind", ["step", "analysis"])
@pytest.mark.parametrize(
    ("code", "category"),
    [("raise MemoryError('x')", "memory"), ("raise FileNotFoundError('vivado not found')", "environment")],
)
def test_what_any_code_can_meet_keeps_its_tip(bench: Any, kind: str, code: str, category: str) -> None:
    error = failure(bench, code, kind)
    assert error.category == category and error.cure


def test_an_analysis_gets_no_tip_of_finns_even_from_finn(bench: Any) -> None:
    """Its category is then that of analyses, see `runner.failures.default_category`."""
    error = failure(bench, AS_FINN.format(code="1 / 0", then="raise"), "analysis")
    assert (error.category, error.cure) == ("unknown", "")


def test_an_error_with_a_cure_of_its_own_keeps_it(bench: Any) -> None:
    body = "from finnmake.errors import BlueprintError\nraise BlueprintError('no', cure='Do this.')"
    error = failure(bench, body, "analysis")
    assert (error.category, error.cure) == ("config", "Do this.")
