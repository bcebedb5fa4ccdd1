"""Fixtures of the tests that simulate."""

from __future__ import annotations

import warnings

import pytest

from finnmake.backends import finn
from finnmake.backends.open_rtl import simulate
from finnmake.backends.open_rtl.simulate import Program
from finnmake.engine.parts import Parts
from tests.backends.open_rtl import handmade


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Verilator's run-time library, compiled once for all tests of a run."""
    return Parts(tmp_path_factory.getbasetemp().parent / "verilator_runtime")


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Program:
    """The design by hand, built for all that a program can do. Its folder is not to be changed."""
    folder = tmp_path_factory.mktemp("observed")
    design = handmade.write(folder / "rtl")
    return simulate.build(
        design,
        folder / "rtl",
        folder,
        observe=True,
        waves=True,
        resizable=True,
        optimise="-O0",
        runtime=runtime,
    )


@pytest.fixture(scope="session")
def finn_layers() -> None:
    """FINN's layers, to be found by QONNX in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finn.preload()
