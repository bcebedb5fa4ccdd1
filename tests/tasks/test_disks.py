"""`doit build` where the disk is full or can only be read: told in words, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.disks import disk
from tests.projects import Project, contents, damaged_blobs

NOT_KEPT = ("build.log", "failure.html", "result.json")


def mocked(root: Path, store: Path) -> Project:
    project = Project.clone(root, store)
    project.blueprint(
        keys={"backend": "mock"},
        transforms={"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["layer_balance"]},
    )
    return project


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outputs of a build with room."""
    folder = tmp_path_factory.mktemp("whole")
    project = mocked(folder / "project", folder / "store")
    project.succeed("build")
    return contents(project.folder("tiny"), without=NOT_KEPT)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["store", "builds"])
@pytest.mark.parametrize("kilobytes", [4, 40, 100, 200, 300, 400])
def test_full_disk(tmp_path: Path, wanted: dict[str, str], place: str, kilobytes: int) -> None:
    project = mocked(tmp_path / "project", tmp_path / "store")
    mount = project.store if place == "store" else project.root / "builds"
    with disk(mount, kilobytes * 1024) as small:
        run = project.run("build")
        assert "Traceback" not in run.output
        if run.code:
            assert run.code in (1, 2, 3)
            assert "No space left" in run.output or "disk is full" in run.output, run.output
            assert "->" in run.output
        small.resize(1 << 26)
        assert list(damaged_blobs(project.store)) == []
        project.succeed("build")
        assert contents(project.folder("tiny"), without=NOT_KEPT) == wanted
        assert "nothing to do" in project.succeed("build").output


def test_disk_without_a_right_to_write(tmp_path: Path, wanted: dict[str, str]) -> None:
    project = mocked(tmp_path / "project", tmp_path / "store")
    with disk(project.store, 1 << 26) as medium:
        project.succeed("build")
        medium.read_only()
        assert "nothing to do" in project.succeed("build").output
        shutil.rmtree(project.root / "builds/tiny")
        for command in ("build", "gc", "verify"):
            run = project.fail(command)
            assert "the store cannot be written: Read-only file system" in run.output
            assert "-> " in run.output
        medium.read_only(False)
        assert project.succeed("build").steps == []
        assert contents(project.folder("tiny"), without=NOT_KEPT) == wanted
