"""docker/image.lock.json, and what is said of an image that differs from the pinned one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine import image_files
from finnmake.engine.runtime import LOCK, image_lock
from finnmake.engine.runtime.client import Engine
from finnmake.engine.runtime.image_differences import differences
from finnmake.engine.runtime.image_lock import ImageLock, Layer, PinnedImage
from finnmake.errors import ContainerError, WorkspaceError
from finnmake.settings import read_settings
from tests.projects import REPOSITORY

_ID = "sha256:" + "a" * 64
_PINNED = PinnedImage(
    id=_ID,
    layers=(
        Layer("sha256:" + "1" * 64, "ADD rootfs"),
        Layer("sha256:" + "2" * 64, "RUN apt-get  install g++"),
    ),
    fingerprint="f" * 64,
    toolchain={
        "python": "CPython 3.11.11 x86_64",
        "packages": {"numpy": "1.26.0", "onnx": "1.17"},
        "contents": {"qonnx": "d"},
    },
    system={"dash": "0.5.12", "make": "4.3"},
)
_LOCK = ImageLock("base:1", "b" * 64, "c" * 64, _PINNED)
_DIGESTS = {"base": "base:1", "requirements": "b" * 64, "dockerfile": "c" * 64}
_ENGINE = Engine(Path("/nonesuch"), "podman", "4", "1.41")


def test_the_lock_of_this_project_is_up_to_date() -> None:
    lock = image_lock.read(REPOSITORY)
    assert image_lock.stale(lock, image_files.digests(REPOSITORY, read_settings(REPOSITORY))) == []


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for lock in (_LOCK, replace(_LOCK, image=None)):
        image_lock.write(tmp_path, lock)
        assert image_lock.read(tmp_path) == lock
        assert image_lock.pins(tmp_path) == (lock.image is not None)
    assert [path.name for path in (tmp_path / "docker").iterdir()] == ["image.lock.json"]


def test_the_same_lock_is_the_same_text(tmp_path: Path) -> None:
    image_lock.write(tmp_path, _LOCK)
    text = (tmp_path / LOCK).read_bytes()
    shuffled = dict(reversed(_PINNED.system.items()))
    image_lock.write(tmp_path, replace(_LOCK, image=replace(_PINNED, system=shuffled)))
    assert (tmp_path / LOCK).read_bytes() == text
    assert text.endswith(b"}\n")


def test_without_a_lock_nothing_is_pinned(tmp_path: Path) -> None:
    assert not image_lock.pins(tmp_path)
    with pytest.raises(WorkspaceError, match="the file is missing"):
        image_lock.read(tmp_path)


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        image_lock.write(tmp_path, _LOCK)


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (_set("version", to=2), "version"),
        (lambda value: value.pop("version"), "version"),
        (lambda value: value.pop("base"), "base"),
        (_set("base", to=1), "base"),
        (_set("other", to=1), "other"),
        (_set("requirements", to="abc"), "requirements"),
        (_set("image", to="sha256:x"), "image"),
        (_set("image", "id", to="a" * 64), "image.id"),
        (_set("image", "layers", to={}), "image.layers"),
        (_set("image", "layers", 1, to={"id": _ID}), "image.layers.1.made_by"),
        (_set("image", "layers", 0, "made_by", to=3), "image.layers.0.made_by"),
        (_set("image", "fingerprint", to=None), "image.fingerprint"),
        (_set("image", "toolchain", "packages", "numpy", to=1), "image.toolchain.packages"),
        (lambda value: value["image"]["toolchain"].pop("python"), "image.toolchain.python"),
        (_set("image", "system", to=[]), "image.system"),
        (lambda value: value.pop("digest"), "digest"),
        (_set("digest", to=None), "digest"),
        (_set("image", to=None), "digest"),
        (_set("image", "toolchain", "packages", "numpy", to="1.26.1"), "digest"),
        (_set("image", "id", to="sha256:" + "b" * 64), "digest"),
        (lambda value: value["image"]["layers"].reverse(), "digest"),
    ],
)
def test_a_damaged_lock_is_told_with_its_key(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], key: str
) -> None:
    image_lock.write(tmp_path, _LOCK)
    path = tmp_path / LOCK
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(WorkspaceError) as caught:
        image_lock.read(tmp_path)
    assert caught.value.where.path == path
    assert caught.value.where.key == key
    assert "doit image --update" in caught.value.cure


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"<<<<<<< ours\n"])
def test_a_lock_that_is_no_json_object_is_told(tmp_path: Path, text: bytes) -> None:
    image_lock.write(tmp_path, _LOCK)
    (tmp_path / LOCK).write_bytes(text)
    with pytest.raises(WorkspaceError, match=r"not a JSON file|must be an object"):
        image_lock.read(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder that describes an image, with the packages that are in dpkg's list beside it."""
    folder = tmp_path / "image"
    (folder / "docker").mkdir(parents=True)
    shutil.copy(REPOSITORY / image_files.DESCRIBE, folder / "docker")
    (folder / "image.json").write_text(json.dumps(_DESCRIPTION))
    _status(tmp_path, _PINNED.system)
    return folder


_DESCRIPTION = {"base": "base:1", "system": _PINNED.system}


def _status(folder: Path, packages: Mapping[str, str]) -> None:
    text = "".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
        for name, version in packages.items()
    )
    (folder / "status").write_text(text)


def test_inside_the_pinned_image(image: Path) -> None:
    pinned = replace(_PINNED, fingerprint=image_lock.fingerprint(_DESCRIPTION))
    status = image.parent / "status"
    assert image_lock.identity(pinned, image, status) == pinned.id
    unpinned = image_lock.identity(None, image, status)
    assert unpinned.startswith("described by ")
    assert image_lock.identity(_PINNED, image, status) == unpinned


def test_inside_the_pinned_image_with_other_packages(image: Path) -> None:
    pinned = replace(_PINNED, fingerprint=image_lock.fingerprint(_DESCRIPTION))
    status = image.parent / "status"
    found = {image_lock.identity(None, image, status)}
    for packages in ({"dash": "0.5.12"}, {**_PINNED.system, "make": "4.4"}, {**_PINNED.system, "git": "2"}):
        _status(image.parent, packages)
        found.add(image_lock.identity(pinned, image, status))
    status.unlink()
    found.add(image_lock.identity(pinned, image, status))
    assert len(found) == 5
    assert all(each.startswith("described by ") for each in found)


def test_what_has_changed_since() -> None:
    assert image_lock.stale(_LOCK, _DIGESTS) == []
    changed = {"base": "base:2", "requirements": "0" * 64, "dockerfile": "0" * 64}
    assert image_lock.stale(_LOCK, changed) == [
        "the base image has changed (base:1 -> base:2)",
        "requirements.lock has changed",
        "the Dockerfile, or a file that it copies, has changed",
    ]


def test_the_check_refuses_before_it_asks_the_engine() -> None:
    with pytest.raises(ContainerError, match="no image is pinned") as caught:
        image_lock.check(replace(_LOCK, image=None), _DIGESTS, _ENGINE)
    assert "doit image --update" in caught.value.cure
    with pytest.raises(ContainerError, match=r"out of date: requirements\.lock has changed"):
        image_lock.check(_LOCK, {**_DIGESTS, "requirements": "0" * 64}, _ENGINE)


def test_an_image_does_not_differ_from_itself() -> None:
    assert differences(_PINNED, _PINNED) == []


def test_packages_that_differ_are_named() -> None:
    other = replace(
        _PINNED,
        id="sha256:" + "0" * 64,
        fingerprint="0" * 64,
        system={"dash": "0.5.13", "gcc": "12"},
        toolchain={
            "python": "CPython 3.12.0 x86_64",
            "packages": {"numpy": "2.0.0", "onnx": "1.17"},
            "contents": {"qonnx": "e"},
        },
        layers=(_PINNED.layers[0], Layer("sha256:" + "3" * 64, "RUN apt-get  install g++")),
    )
    assert differences(_PINNED, other) == [
        "Debian package dash: pinned 0.5.12, found 0.5.13",
        "Debian package gcc: pinned not there, found 12",
        "Debian package make: pinned 4.3, found not there",
        "Python package numpy: pinned 1.26.0, found 2.0.0",
        "Python: pinned CPython 3.11.11 x86_64, found CPython 3.12.0 x86_64",
        "the files of the Python package qonnx differ",
        "the first layer that differs is 2 of 2, made by: RUN apt-get install g++",
        f"id: pinned {_ID}, found sha256:{'0' * 64}",
    ]


def test_a_long_list_is_cut() -> None:
    system = {f"package{number:02}": "1" for number in range(30)}
    other = replace(_PINNED, id="sha256:" + "0" * 64, system=system)
    told = differences(_PINNED, other)
    assert told[10] == "… and 22 more of them"
    assert len(told) == 12


def test_only_time_stamps_differ() -> None:
    other = replace(_PINNED, id="sha256:" + "0" * 64)
    assert differences(_PINNED, other)[0] == (
        "all packages are the same: only its time stamps, and so its id, differ"
    )
    layers = (_PINNED.layers[0], Layer("sha256:" + "3" * 64, "RUN x"))
    told = differences(_PINNED, replace(other, layers=layers))
    assert told[0].startswith("the first layer that differs is 2 of 2")
    assert told[1].startswith("all packages are the same: only time stamps or other bytes of files")


def test_other_sources_are_told_where_no_package_differs() -> None:
    other = replace(_PINNED, id="sha256:" + "0" * 64, fingerprint="0" * 64, layers=_PINNED.layers[:1])
    assert differences(_PINNED, other)[:2] == [
        "it was made from another base image, requirements.lock or Dockerfile",
        "it has 1 layers, the pinned one has 2",
    ]


def test_nothing_is_claimed_of_an_image_that_nobody_looked_into() -> None:
    other = PinnedImage("sha256:" + "0" * 64, _PINNED.layers, fingerprint="")
    assert differences(_PINNED, other) == [f"id: pinned {_ID}, found sha256:{'0' * 64}"]
