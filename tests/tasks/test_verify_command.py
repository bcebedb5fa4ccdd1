"""`doit verify` as a user runs it: it finds what is damaged, and the next build makes it again."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from finnmake.tasks.verify_text import verify_text
from tests.projects import Project, contents, damaged_blobs

FLIPS = 100

MOCK = {"backend": "mock"}
#: Files that tell of times, of other runs, or are doit's.
NOT_KEPT = ("build.log", "result.json", ".doit.sqlite", ".doit.sqlite-shm", ".doit.sqlite-wal")

SPACE: dict[str, Any] = {
    "config": {
        "fpga_part": "xc7z020clg400-1",
        "synth_clk_period_ns": [4.0, 5.0, 10.0],
        "target_fps": [1000, 2000],
    },
    "transforms": {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["layer_balance"]},
}


@pytest.fixture(scope="module")
def mocked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six configurations, built. Not to be changed."""
    folder = tmp_path_factory.mktemp("mocked")
    project = Project.clone(folder / "project", folder / "store")
    project.blueprint(keys=MOCK, **SPACE)
    project.succeed("build")
    return project


@pytest.fixture
def ours(mocked: Project, tmp_path: Path) -> Project:
    """A copy of it, to change at will."""
    shutil.copytree(mocked.root, tmp_path / "project", symlinks=True)
    shutil.copytree(mocked.store, tmp_path / "store", symlinks=True)
    return Project(tmp_path / "project", tmp_path / "store")


def flip(path: Path, draw: random.Random, quietly: bool) -> None:
    """Change one bit; quietly as a disk does it: no size or time tells."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(before.st_mode & 0o777)
    if quietly:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def stored(project: Project) -> list[Path]:
    """The blobs, listings among them, and traces of a store."""
    found = [*project.store.glob("blobs/*/*"), *project.store.glob("actions/*/*/*/*.json")]
    return sorted(path for path in found if path.stat().st_size)


def outputs(project: Project) -> dict[str, str]:
    return contents(project.root / "builds/tiny", without=NOT_KEPT)


def verify(project: Project) -> dict[str, Any]:
    run = project.run("verify", "--json")
    told = json.loads(run.output)
    assert run.code == (1 if told["damaged"] or told["incomplete"] else 0)
    return told


def test_whole_builds_are_whole(ours: Project) -> None:
    before = outputs(ours), contents(ours.store / "blobs")
    run = ours.succeed("verify")
    assert run.output.endswith("all is whole\n")
    assert (outputs(ours), contents(ours.store / "blobs")) == before
    assert verify(ours)["checked"].keys() == {"blob", "output", "result"}


def test_flipped_bits_are_found_and_the_next_build_is_right(ours: Project) -> None:
    before, draw = outputs(ours), random.Random(100)
    found = stored(ours)
    chosen = draw.sample(found, min(FLIPS, len(found)))
    for path in chosen:
        flip(path, draw, quietly=True)
    told = verify(ours)
    assert {each["path"] for each in told["damaged"] if each["what"] != "output"} == set(map(str, chosen))
    shutil.rmtree(ours.root / "builds")
    ours.succeed("build")
    assert outputs(ours) == before
    assert list(damaged_blobs(ours.store)) == []
    assert verify(ours)["damaged"] == []


@pytest.mark.parametrize("seed", range(2))
def test_a_build_without_verify_uses_nothing_that_was_touched(ours: Project, seed: int) -> None:
    before, draw = outputs(ours), random.Random(seed)
    found = stored(ours)
    for path in draw.sample(found, min(FLIPS, len(found) // (seed + 1))):
        flip(path, draw, quietly=False)
    shutil.rmtree(ours.root / "builds")
    ours.succeed("build")
    assert outputs(ours) == before


def test_damaged_outputs_are_made_again(ours: Project) -> None:
    before, draw, folder = outputs(ours), random.Random(1), ours.folder("tiny")
    ours.succeed("build")  # at its new place
    names = ["final_model.onnx", "artifacts/report/estimate_layer_cycles.json", "model.onnx"]
    for name in names:
        flip(folder / name, draw, quietly=True)
    (folder / "artifacts/report/op_and_param_counts.json").unlink()
    told = verify(ours)
    wrong = {str(Path(each["path"]).relative_to(folder)) for each in told["damaged"]}
    assert wrong == {*names, "artifacts/report/op_and_param_counts.json"}
    ours.succeed("build")
    assert outputs(ours) == before
    assert verify(ours)["damaged"] == []


def test_figures_that_a_disk_has_changed_are_found(ours: Project) -> None:
    """What the state of the tasks tells: a file as it was used, by all signs untouched since."""
    before = outputs(ours)
    ours.succeed("build")
    path = ours.folder("tiny") / "metrics.json"
    path.write_bytes(path.read_bytes().replace(b"0.", b"9.", 1))
    found = path.stat()
    known = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    with closing(sqlite3.connect(ours.root / "builds/tiny/.doit.sqlite")) as database:
        for task, row in database.execute("SELECT * FROM tasks").fetchall():
            data = json.loads(row)
            depends = data.get("_values_:", {}).get("finnmake", {}).get("depends", {})
            if str(path) in depends:
                depends[str(path)][0] = known
                database.execute("REPLACE INTO tasks VALUES (?, ?)", (task, json.dumps(data)))
        database.commit()
    assert [each["path"] for each in verify(ours)["damaged"]] == [str(path)]
    ours.succeed("build")
    assert outputs(ours) == before


def test_store_that_cannot_be_used_is_told(ours: Project) -> None:
    (ours.store / "VERSION").write_text("9\n")
    run = ours.fail("verify")
    assert run.code == 3
    assert "layout" in run.output


def test_everything_that_is_to_be_said_is_said() -> None:
    told = {
        "store": "/s",
        "checked": {"blob": 1, "output": 2000},
        "bytes": 1024,
        "damaged": [{"what": "blob", "path": "/s/blobs/ab/c"}],
        "incomplete": 1,
    }
    assert verify_text(told).splitlines() == [
        "damaged blob: /s/blobs/ab/c",
        "looked at 1 blob, 2,000 outputs: 1.0 KiB",
        "1 result of a step put aside, as files that belong to it are damaged or missing",
        "1 damaged, put aside in /s/quarantine",
        "  -> Run `doit build`: what is needed is made again.",
    ]


@pytest.mark.finn
@pytest.mark.slow
def test_a_damaged_build_with_finn_becomes_whole_again(project: Project) -> None:
    before, draw = contents(project.folder()), random.Random(4)
    project.succeed("build:config_001")
    chosen = draw.sample(stored(project), 20)
    for path in chosen:
        flip(path, draw, quietly=True)
    told = verify(project)
    assert {each["path"] for each in told["damaged"] if each["what"] != "output"} == set(map(str, chosen))
    shutil.rmtree(project.root / "builds")
    project.succeed("build:config_001")
    assert contents(project.folder()) == before
    assert verify(project)["damaged"] == []
