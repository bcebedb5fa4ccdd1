"""The test bench's source."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from finnmake.backends.open_rtl import testbench
from finnmake.errors import StepError
from tests.backends.open_rtl import handmade

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "observe", "waves"), [("testbench.cpp", False, False), ("testbench_observed.cpp", True, True)]
)
def test_is_as_in_the_golden_file(name: str, observe: bool, waves: bool):
    assert testbench.render(handmade.design(), observe=observe, waves=waves) == (GOLDEN / name).read_text()


@pytest.mark.parametrize("lacking", ["inputs", "outputs", "streams", "layers"])
def test_nothing_to_simulate_is_refused(lacking: str):
    design = dataclasses.replace(handmade.design(), **{lacking: ()})
    with pytest.raises(StepError, match=f"has no {lacking}"):
        testbench.render(design, observe=True)


def test_a_design_without_fifos_can_be_observed():
    text = testbench.render(dataclasses.replace(handmade.design(), fifos=()), observe=True)
    assert "kFifos = 0" in text
