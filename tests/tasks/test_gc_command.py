"""`doit gc` as a user runs it: nothing that is needed goes, and builds stay what they are."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.store import Store
from finnmake.tasks.amounts import counted, size_text
from finnmake.tasks.gc_text import gc_text
from tests.projects import Project, contents, traces

MOCK = {"backend": "mock"}
#: Files that tell of times, or are doit's.
NOT_KEPT = ("build.log", "result.json", ".doit.sqlite", ".doit.sqlite-shm", ".doit.sqlite-wal")

SPACE: dict[str, Any] = {
    "config": {
        "fpga_part": "xc7z020clg400-1",
        "synth_clk_period_ns": [5.0, 10.0],
        "target_fps": [1000, 2000],
    },
    "transforms": {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["layer_balance"]},
}


@pytest.fixture(scope="module")
def mocked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four configurations, built; before that, others. Not to be changed."""
    folder = tmp_path_factory.mktemp("mocked")
    project = Project.clone(folder / "project", folder / "store")
    project.blueprint(keys=MOCK, **{**SPACE, "config": {**SPACE["config"], "target_fps": [7, 8]}})
    project.succeed("build")
    project.blueprint(keys=MOCK, **SPACE)
    project.succeed("build")
    return project


@pytest.fixture
def ours(mocked: Project, tmp_path: Path) -> Project:
    """A copy of it, to change at will; its outputs are those of the first place."""
    shutil.copytree(mocked.root, tmp_path / "project", symlinks=True)
    shutil.copytree(mocked.store, tmp_path / "store", symlinks=True)
    shutil.rmtree(tmp_path / "store/roots")
    project = Project(tmp_path / "project", tmp_path / "store")
    project.succeed("build")
    return project


def gc(project: Project, *arguments: str) -> dict[str, Any]:
    return json.loads(project.succeed("gc", "--json", *arguments).output)


def outputs(project: Project) -> dict[str, str]:
    """All outputs but those that tell of times."""
    return contents(project.root / "builds/tiny", without=NOT_KEPT)


def test_builds_stay_null_and_come_from_the_store_without_their_outputs(ours: Project) -> None:
    before, held = outputs(ours), traces(ours.store)
    told = gc(ours, "--days", "0")
    assert told["removed"]["results"] > 4
    assert told["removed"]["blobs"] > 4
    assert told["freed_bytes"] > 0
    assert told["kept"]["builds"] == 4
    assert len(traces(ours.store)) < len(held)
    assert "nothing to do" in ours.succeed("build").output
    shutil.rmtree(ours.root / "builds")
    run = ours.succeed("build")
    assert run.steps == []
    assert outputs(ours).keys() == before.keys()
    assert outputs(ours) == before
    assert gc(ours, "--days", "0")["removed"]["results"] == 0


def test_what_was_used_of_late_stays(ours: Project) -> None:
    held = traces(ours.store)
    told = gc(ours)
    assert told["removed"]["results"] == 0
    assert told["kept"]["recent"] > 0
    assert traces(ours.store) == held


def test_dry_run_changes_nothing_and_tells_the_same(ours: Project) -> None:
    before = contents(ours.store, without=())
    planned = gc(ours, "--days", "0", "--dry-run")
    assert contents(ours.store, without=()) == before
    done = gc(ours, "--days", "0")
    assert {**planned, "dry_run": False} == done


def test_size_takes_what_builds_need_only_when_told_to(ours: Project) -> None:
    run = ours.succeed("gc", "--size", "1K")
    assert "are more than 1.0 KiB: current builds need them" in run.output
    assert "nothing to do" in ours.succeed("build").output
    told = gc(ours, "--size", "1K", "--all")
    assert told["kept"]["bytes"] <= 1024
    assert "nothing to do" in ours.succeed("build").output
    shutil.rmtree(ours.root / "builds")
    assert ours.succeed("build").steps != []


def test_folders_of_configurations_that_are_gone(ours: Project) -> None:
    ours.blueprint(keys=MOCK, **{**SPACE, "config": {**SPACE["config"], "target_fps": [1000]}})
    assert gc(ours, "--dry-run")["builds"] == []
    planned = gc(ours, "--builds", "--dry-run", "--days", "0")
    assert [each for each in planned["builds"] if "config" in each] == [
        "builds/tiny/config_003",
        "builds/tiny/config_004",
    ]
    assert ours.folder("tiny", "config_003").exists()
    told = gc(ours, "--builds", "--days", "0")
    assert told["kept"]["builds"] == 2
    assert not ours.folder("tiny", "config_003").exists()
    assert ours.folder("tiny", "config_002").exists()
    ours.succeed("build")
    assert "nothing to do" in ours.succeed("build").output
    assert gc(ours, "--builds", "--days", "0")["builds"] == []


def test_project_that_only_moved_keeps_its_results(ours: Project, tmp_path: Path) -> None:
    ours.root.rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved", ours.store)
    moved.succeed("build")
    other = Project.clone(tmp_path / "other", ours.store)
    told = gc(other, "--days", "0")
    assert told["projects"]["here"] == sorted([str(moved.root), str(other.root)])
    assert told["projects"]["gone"] == [str(ours.root)]
    assert told["kept"]["builds"] == 4
    assert "nothing to do" in moved.succeed("build").output


def test_a_run_is_never_disturbed(ours: Project) -> None:
    before = contents(ours.store, without=())
    store = Store(ours.store).open()
    try:
        run = ours.fail("gc", "--days", "0")
        assert run.code == 3
        assert f"the store is in use by process {os.getpid()} in {Path.cwd()}" in run.output
        assert gc(ours, "--days", "0", "--dry-run")["removed"]["results"] > 0
    finally:
        store.close()
    assert contents(ours.store, without=()) == before
    assert gc(ours, "--days", "0")["removed"]["results"] > 0


def test_a_project_can_be_forgotten(ours: Project) -> None:
    note = next((ours.store / "roots").iterdir())
    told = json.loads(note.read_text())
    (ours.store / "roots" / note.name.replace(note.name[:3], "fff")).write_text(json.dumps(told))
    found = gc(ours, "--dry-run")["projects"]["unsure"]
    assert len(found) == 1
    assert "damaged" in found[0]
    assert "not seen from here: " in ours.succeed("gc", "--dry-run").output
    assert "forgotten: " in ours.succeed("gc", "--forget", found[0].partition(" ")[0]).output
    assert gc(ours, "--dry-run")["projects"]["unsure"] == []
    assert "no project '/x' is noted" in ours.fail("gc", "--forget", "/x").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--days", "x"], "--days takes a number of days, not 'x'"),
        (["--days", "-1"], "--days takes a number of days, not '-1'"),
        (["--size", "10 parsecs"], "--size takes a size as 10G or 500M, not '10 parsecs'"),
        (["--all"], "--all takes the option --size with it"),
        (["everything"], "it takes no 'everything'"),
        (["--nonesuch"], "nonesuch"),
        ([], "there is no store yet"),
    ],
)
def test_wrong_options_are_told(empty_project: Project, arguments: list[str], words: str) -> None:
    run = empty_project.fail("gc", *arguments)
    assert run.code == 3
    assert words in run.output
    assert "->" in run.output
    assert not empty_project.store.exists()


@pytest.mark.finn
@pytest.mark.slow
def test_a_build_with_finn_comes_back_from_what_is_kept(project: Project) -> None:
    before = contents(project.folder())
    project.succeed("build:config_001")  # at its new place
    told = gc(project, "--days", "0")
    assert str(project.root) in told["projects"]["here"]
    assert "nothing to do" in project.succeed("build:config_001").output
    shutil.rmtree(project.root / "builds")
    assert project.succeed("build:config_001").steps == []
    assert contents(project.folder()) == before


# words


def test_amounts() -> None:
    assert [size_text(each) for each in (0, 1023, 1536, 200 * 1024, 3 << 30, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "200 KiB",
        "3.0 GiB",
        "5.0 TiB",
    ]
    assert counted(1, "blob") == "1 blob"
    assert counted(2000, "history", "histories") == "2,000 histories"


def test_everything_that_is_to_be_said_is_said() -> None:
    told = {
        "store": "/s",
        "dry_run": True,
        "builds": ["builds/b/config_009"],
        "removed": {"results": 1, "blobs": 2, "folders": 0, "broken": 0}
        | dict.fromkeys(("locks", "quarantined", "history", "parts", "notes"), 0),
        "freed_bytes": 2048,
        "kept": {"needed": 2, "recent": 1, "builds": 1, "bytes": 4096},
        "projects": {"here": ["/p"], "gone": ["/old"], "unsure": ["/u (noted on m)"]},
        "unreadable": ["/p/builds"],
        "errors": ["/s/x: no"],
    }
    assert gc_text(told, 1024).splitlines() == [
        "would remove builds/b/config_009",
        "store    /s",
        "would remove  1 result of a step, 2 blobs",
        "would free  2.0 KiB",
        "kept  4.0 KiB: 2 results that 1 build of 1 project need, 1 other of late",
        "gone: /old",
        "not seen from here: /u (noted on m); what was used since its first run is kept",
        "  -> Make it visible, or forget it: doit gc --forget PATH",
        "not readable: /p/builds; what was used since the first run of its project is kept",
        "warning: 4.0 KiB are more than 1.0 KiB: current builds need them",
        "  -> Remove builds, or give --all as well: they are then built anew when they change.",
        "not removed: /s/x: no",
    ]
