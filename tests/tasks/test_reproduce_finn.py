"""`doit export` and `doit reproduce` on real FINN: the same bytes elsewhere, or the difference named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from finnmake.engine.archive import SUMS, pack, unpack
from tests.projects import Project, contents, sha256

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: A step that imports a helper, reads a file, lists a folder, and asks whether two others are there.
PLUGIN = """
import os
from pathlib import Path

import helper
from finnmake.plugins import step

@step
def reading(model, cfg):
    data = Path(__file__).parent / "data"
    model.set_metadata_prop("read", (data / "read.txt").read_text() + helper.WORD)
    model.set_metadata_prop("listed", " ".join(sorted(os.listdir(data))))
    model.set_metadata_prop("there", str([(data / name).exists() for name in ("asked.txt", "missing.txt")]))
    return model
"""

STEPS = ["step_qonnx_to_finn", "step_tidy_up", "reading"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A build with the plugin, and its archive. Not to be changed."""
    folder = tmp_path_factory.mktemp("real")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("reader.py", PLUGIN)
    project.plugin("helper.py", 'WORD = "word"\n')
    for name in ("read", "asked", "only_listed"):
        project.plugin(f"data/{name}.txt", f"this is {name}")
    config = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0}
    project.blueprint(config=config, steps=STEPS, transforms={"pre_proc": ["GiveUniqueNodeNames"]})
    project.succeed("build:config_001")
    project.succeed("export", "config_001")
    return project, project.root / "tiny-config_001.tar.gz"


def test_all_that_steps_read_is_packed_and_nothing_else(
    exported: tuple[Project, Path], tmp_path: Path
) -> None:
    top = unpack(exported[1], tmp_path)
    plugins = {
        path.relative_to(top / "project/plugins").as_posix(): path.read_text()
        for path in (top / "project/plugins").rglob("*")
        if path.is_file() and path.stat().st_size
    }
    assert plugins == {
        "reader.py": PLUGIN,
        "helper.py": 'WORD = "word"\n',
        "data/read.txt": "this is read",
        "data/asked.txt": "this is asked",
    }
    # A name that a step saw in a folder is there, so that it sees the same; its content is not.
    assert (top / "project/plugins/data/only_listed.txt").read_bytes() == b""
    assert "plugins/data/only_listed.txt" in (top / "README.md").read_text()
    assert not [path for path in top.glob("project/models/*") if path.name != "digits_mlp_w2a2.onnx"]


def test_it_is_built_again_byte_for_byte(exported: tuple[Project, Path], tmp_path: Path) -> None:
    project, archive = exported
    other = Project.clone(tmp_path / "other", tmp_path / "store")
    run = other.succeed("reproduce", str(archive), "--keep", str(tmp_path / "kept"))
    assert "tiny-config_001: reproduced: every output is the same, byte for byte" in run.output
    assert run.steps == ["GiveUniqueNodeNames", *STEPS]
    again = tmp_path / "kept/again/project/builds/tiny/config_001"
    assert contents(again) == contents(project.folder("tiny"))


def test_an_altered_weight_is_found_however_well_it_is_hidden(
    exported: tuple[Project, Path], tmp_path: Path
) -> None:
    """With sums, manifest and the inputs' copy made to fit, only building again tells."""
    project, archive = exported
    (tmp_path / "out").mkdir()
    top = unpack(archive, tmp_path / "out")
    (top / SUMS).unlink()
    model = top / "project/models/digits_mlp_w2a2.onnx"
    old = sha256(model)
    _change_a_weight(project, model)
    shutil.copy(model, top / "expected/model.onnx")
    manifest = top / "expected/manifest.json"
    manifest.write_text(manifest.read_text().replace(old, sha256(model)))
    files = {path.relative_to(top).as_posix(): path for path in top.rglob("*") if path.is_file()}
    pack(tmp_path / "hidden.tar.gz", top.name, dict(files), executable=("project/doitw",))
    run = project.fail("reproduce", str(tmp_path / "hidden.tar.gz"))
    assert run.code == 1
    assert "differs       final_model.onnx" in run.output
    assert "the first step whose model differs is " in run.output
    assert "not reproduced" in run.output


def _change_a_weight(project: Project, path: Path) -> None:
    script = (
        "import sys, onnx; from onnx import numpy_helper as helper; model = onnx.load(sys.argv[1]);"
        "first = next(each for each in model.graph.initializer if len(each.dims) == 2);"
        "values = helper.to_array(first).copy(); values[0, 0] += 1;"
        "first.CopyFrom(helper.from_array(values, first.name)); onnx.save(model, sys.argv[1])"
    )
    subprocess.run([project.python, "-c", script, path], check=True)


def test_the_manifest_of_the_archive_is_that_of_the_build(
    exported: tuple[Project, Path], tmp_path: Path
) -> None:
    project, archive = exported
    top = unpack(archive, tmp_path)
    assert json.loads((top / "expected/manifest.json").read_text()) == project.read("manifest.json", "tiny")
