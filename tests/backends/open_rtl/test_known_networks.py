"""Whole builds of published networks, which are not part of the project: FINN's TFC and keyword spotting.

`FINNMAKE_TEST_INPUTS` says with how many inputs; 100 take some minutes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finnmake.engine.parts import Parts
from tests.backends.open_rtl import builds
from tests.projects import REPOSITORY

SHARED = Path(os.environ.get("FINNMAKE_SHARED_MODELS", REPOSITORY.parent / "shared" / "models"))

INPUTS = int(os.environ.get("FINNMAKE_TEST_INPUTS", "4"))

#: Model -> cycles from one inference to the next, and of the first one from end to end. FINN estimates
#: intervals of 12544 and 17920, for which FIFOs of 32 words are too small.
CYCLES = {"tfc_2w2a": (12570, 21855), "kwsmlp_w3a3": (19641, 53904)}

pytestmark = [pytest.mark.finn, pytest.mark.slow]


@pytest.mark.parametrize("model", CYCLES)
def test_a_published_network_is_exact_and_takes_its_cycles(
    tmp_path: Path, runtime: Parts, model: str
) -> None:
    if not (SHARED / f"{model}.onnx").exists():
        pytest.skip(f"{model}.onnx is not here")
    project = builds.project(tmp_path, runtime)
    (project.root / "models/model.onnx").write_bytes((SHARED / f"{model}.onnx").read_bytes())
    steps = [builds.simulate(INPUTS)]
    builds.build(project, model, "../models/model.onnx", steps, target_fps=10_000)
    found = builds.simulated(project, model)
    measured = found["simulation"]
    assert found["inferences"] == len(measured["finish"]) == INPUTS
    assert found["worst_difference"] < 1e-3
    assert found["stalled"]["cycles"] >= measured["cycles"]
    interval, latency = CYCLES[model]
    assert measured["latency"] == latency
    assert measured["intervals"][-1] == interval
