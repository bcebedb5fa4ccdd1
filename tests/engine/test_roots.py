"""Which projects use a store, and which are surely gone."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from finnmake.engine import roots
from finnmake.engine.roots import Root, Standing
from finnmake.engine.store import Store
from finnmake.hashing import canonical_json


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "project"
    path.mkdir(parents=True)
    return path


def keep(store: Store, root: Root) -> None:
    store.write(store.roots / root.name, canonical_json(root._asdict()))


def test_a_project_is_noted_once_and_since_then(store, project):
    roots.note(store, project)
    path, first = next(iter(roots.noted(store)))
    os.utime(path, (1, 1))
    roots.note(store, project)
    assert list(roots.noted(store)) == [(path, first)]
    assert path.stat().st_mtime > time.time() - 100
    assert first.standing() is Standing.HERE


def test_where_there_is_no_store_none_is_made(tmp_path, project):
    roots.note(Store(tmp_path / "none"), project)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("levels", [0, 1])
def test_a_folder_that_was_removed_is_gone(project, levels):
    root = Root.of(project)
    shutil.rmtree(project.parents[levels - 1] if levels else project)
    assert root.standing() is Standing.GONE


def test_a_folder_that_became_a_file_is_gone(project):
    root = Root.of(project)
    project.rmdir()
    project.parent.rmdir()
    project.parent.touch()
    assert root.standing() is Standing.GONE


@pytest.mark.parametrize(
    "change", [{"machine": "elsewhere"}, {"top": [0, 2]}, {"device": 1}], ids=["machine", "container", "disk"]
)
def test_what_may_lie_elsewhere_is_not_gone(project, change):
    root = Root.of(project)._replace(**change)
    project.rmdir()
    assert root.standing() is Standing.UNSURE


def test_another_folder_at_a_path_of_a_container_is_another_project(project):
    root = Root.of(project)._replace(machine="container", inode=1)
    assert root.standing() is Standing.UNSURE


def test_another_folder_in_the_place_of_a_project_is_the_project(store, project):
    roots.note(store, project)
    project.rename(project.with_name("away"))
    project.mkdir()
    assert next(iter(roots.noted(store)))[1].standing() is Standing.HERE


def test_a_container_and_its_host_mean_the_same_folder(store, project, tmp_path):
    roots.note(store, project)
    keep(store, Root.of(project)._replace(machine="container", path="/nowhere/workspace"))
    found = roots.survey(store, tmp_path)
    assert list(found.here) == [tmp_path, project]
    assert found.unsure == {}


def test_survey_tells_gone_from_unsure(store, project, tmp_path):
    keep(store, Root.of(project)._replace(path="/nowhere/a", machine="elsewhere", since=7.0))
    roots.note(store, project)
    keep(store, Root.of(project)._replace(path="/nowhere/b", inode=1, machine="elsewhere", since=5.0))
    (store.roots / "x").write_bytes(b"\x00")
    shutil.rmtree(project)
    found = roots.survey(store, tmp_path)
    assert list(found.gone.values()) == [str(project)]
    assert sorted(since for _, since in found.unsure.values()) == [0.0, 5.0, 7.0]
