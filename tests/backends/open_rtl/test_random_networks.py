"""Random small networks end in hardware that is exact, or in a refusal that says why and what to do.

`FINNMAKE_TEST_NETWORKS` says how many; each takes some seconds. Network n is the same in every run.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.backends.open_rtl import PARTS_FOLDER, simulate
from finnmake.blueprint.open_rtl_steps import SIMULATE, default_steps
from finnmake.engine.parts import Parts
from finnmake.errors import FinnmakeError, StepError
from tests.backends.open_rtl import flow, random_networks
from tests.backends.open_rtl.networks import Network
from tests.backends.open_rtl.random_networks import Plan

pytestmark = [pytest.mark.finn, pytest.mark.slow]

NETWORKS = int(os.environ.get("FINNMAKE_TEST_NETWORKS", "4"))

#: Categories of refusals. A deadlock is one of these networks' FIFOs being too short for its branches.
REFUSED = ("kernel", "config")
DEADLOCK = "timing"

#: From the model to the simulation, the FIFOs as they are.
STEPS = default_steps("RTL")[: default_steps("RTL").index(SIMULATE) + 1]

_OURS = "tests.backends.open_rtl.random_networks"
INSTEAD = {
    "step_streamline": f"{_OURS}:streamline",
    "step_apply_folding_config": f"{_OURS}:fold",
}


@pytest.fixture(scope="module", autouse=True)
def quick(runtime: Parts) -> Iterator[None]:
    """Programs are compiled without optimisation, and with one run-time library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "build", functools.partial(simulate.build, optimise="-O0"))
        patch.setenv(PARTS_FOLDER, str(runtime.folder.parent / "open_rtl_parts"))
        yield


@pytest.fixture(scope="module")
def ends() -> dict[int, str]:
    """How the networks ended so far, by number."""
    return {}


def simulated(model: Any, folder: Path, plan: Plan) -> Any:
    """Everything from the model to the comparison with and without pauses. Raises what the steps raise."""
    return flow.run(
        model,
        folder,
        steps=STEPS,
        instead=INSTEAD,
        parameters={
            "step_apply_folding_config": {"numbers": plan.folding},
            "step_open_rtl_fifos": {"depth": plan.depth},
            SIMULATE: {"inferences": 6},
        },
        fpga_part=plan.part,
        synth_clk_period_ns=plan.clock_ns,
        target_fps=None if plan.folding else 1_000_000,
    )


@pytest.mark.parametrize("number", range(NETWORKS))
def test_a_network_is_exact_or_refused(number: int, tmp_path: Path, ends: dict[int, str]) -> None:
    plan = random_networks.draw(number)
    try:
        simulated(random_networks.model(plan), tmp_path, plan)
    except FinnmakeError as error:
        assert error.category in REFUSED or (error.category == DEADLOCK and "deadlock" in str(error)), plan
        assert error.cure, plan
        ends[number] = str(error)
    else:
        ends[number] = "exact"


def test_most_networks_are_exact(ends: dict[int, str]) -> None:
    """A generator of networks that are all refused would test nothing."""
    if len(ends) < NETWORKS:
        pytest.skip("not all networks ran in this process")
    assert list(ends.values()).count("exact") >= NETWORKS // 3, ends


@given(st.integers(0, 10**6))
@settings(max_examples=30, derandomize=True, database=None, deadline=None)
def test_every_plan_is_a_network_that_runs(seed: int) -> None:
    from qonnx.core.onnx_exec import execute_onnx

    model = random_networks.model(random_networks.draw(seed))
    shape = model.get_tensor_shape("x")
    values = np.full(shape, model.get_tensor_datatype("x").max(), np.float32)
    (found,) = execute_onnx(model, {"x": values}).values()
    assert np.isfinite(found).all() and found.size > 0


def test_ties_that_finn_rounds_up_fail_and_are_told(tmp_path: Path) -> None:
    """With half an even scale, `Quant` rounds to an even number, and FINN's thresholds up."""
    network = Network((1, 4), bits=3)
    model = network.model(network.activation(network.dense(network.input, (4, 4), bits=3), bits=3, scale=2))
    plan = random_networks.draw(0)
    with pytest.raises(StepError, match="the graph is what differs") as caught:
        simulated(model, tmp_path, Plan(**{**plan.__dict__, "folding": (), "depth": 32}))
    assert caught.value.category == "verification" and "ties" in caught.value.cure
