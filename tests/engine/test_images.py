"""Images on a real engine: building, comparing, checking, moving."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from finnmake.engine.processes import owner_name
from finnmake.engine.runtime import client, image_archive, image_lock, images
from finnmake.engine.runtime.containers import OWNER
from finnmake.engine.runtime.image_differences import differences
from finnmake.engine.runtime.image_lock import ImageLock, PinnedImage
from finnmake.errors import ContainerError
from tests.containers import ONE_ENGINE, engine
from tests.toy_image import ToyImage, toy

__all__ = ["engine", "toy"]

pytestmark = [pytest.mark.container, pytest.mark.slow]

#: A step whose result is another each time, as packages of an archive that moves on are.
_DRIFT = "date +%N >/opt/finnmake/dash"


def _pin(toy: ToyImage) -> tuple[ImageLock, PinnedImage]:
    made, _ = toy.build()
    pinned = images.inspect(toy.engine, made)
    return ImageLock(**toy.digests, image=pinned), pinned


def test_steps_are_told_and_the_second_build_is_cached(toy: ToyImage) -> None:
    made, said = toy.build()
    assert any("RUN chmod 755" in line for line in said)
    assert any(line.startswith("step 3/") for line in said)
    again, said = toy.build()
    assert again == made
    assert any(line.endswith(": cached") for line in said)
    found = client.find_image(toy.engine, images.tag(toy.digests))
    assert found is not None
    assert images.image_id(found) == made


def test_podman_gives_the_same_id_again(toy: ToyImage) -> None:
    if toy.engine.kind != "podman":
        pytest.skip("docker gives another id each time")
    first, _ = toy.build(cache=False)
    for path in toy.root.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777 if path.is_dir() else path.stat().st_mode | 0o022)
    toy.remove()
    assert toy.build(cache=False)[0] == first


@ONE_ENGINE
def test_silence_is_filled(toy: ToyImage) -> None:
    toy.step("sleep 7")
    assert any("s so far" in line for line in toy.build()[1])


def test_inspection_finds_layers_packages_and_instructions(toy: ToyImage) -> None:
    _, pinned = _pin(toy)
    assert pinned.system == {"dash": "0.5.12"}
    assert pinned.toolchain["packages"] == {"numpy": "1.26.0"}
    assert pinned.layers[-1].made_by.endswith("echo 0.5.12 >/opt/finnmake/dash")
    assert len({layer.id for layer in pinned.layers}) == len(pinned.layers) == 6
    assert not _containers()


@ONE_ENGINE
def test_inspection_of_another_image_says_so(toy: ToyImage) -> None:
    with pytest.raises(ContainerError, match="no image of finnmake"):
        images.inspect(toy.engine, toy.start_from)
    assert not _containers()


@ONE_ENGINE
def test_a_drifting_step_is_named(toy: ToyImage) -> None:
    toy.step(_DRIFT)
    _, pinned = _pin(toy)
    other, _ = toy.build(cache=False)
    told = differences(pinned, images.inspect(toy.engine, other))
    assert told[0].startswith("Debian package dash: pinned ")
    if toy.engine.kind == "podman":  # with docker all layers differ
        assert any("RUN date" in line for line in told)


@ONE_ENGINE
def test_the_check_passes_for_the_pinned_image(toy: ToyImage) -> None:
    lock, pinned = _pin(toy)
    assert image_lock.check(lock, toy.digests, toy.engine) is pinned


@ONE_ENGINE
def test_the_check_says_that_the_image_is_missing(toy: ToyImage) -> None:
    lock, _ = _pin(toy)
    toy.remove()
    with pytest.raises(ContainerError, match="is not in the engine") as caught:
        image_lock.check(lock, toy.digests, toy.engine)
    assert "doit image" in caught.value.cure


@ONE_ENGINE
def test_the_check_says_in_what_the_image_made_here_differs(toy: ToyImage) -> None:
    toy.step(_DRIFT)
    lock, pinned = _pin(toy)
    toy.build(cache=False)
    with closing(client.connect()) as opened:
        opened.images.remove(pinned.id, force=True)
    with pytest.raises(ContainerError, match="Debian package dash: pinned"):
        image_lock.check(lock, toy.digests, toy.engine)


def test_a_failing_step_is_named_with_its_last_words(toy: ToyImage) -> None:
    toy.step("echo last words; exit 3")
    with pytest.raises(ContainerError) as caught:
        toy.build()
    text = str(caught.value)
    assert "RUN echo last words" in text
    assert "\n    last words\n" in text
    assert caught.value.where.path is not None
    assert "last words" in caught.value.where.path.read_text()
    assert client.find_image(toy.engine, images.tag(toy.digests)) is None


@pytest.mark.parametrize(
    ("command", "tip"),
    [
        ("echo 'E: Unable to locate package nonesuch'; exit 100", "container.packages"),
        ("echo 'Temporary failure resolving deb.debian.org'; exit 100", "network"),
        ("echo 'THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE'; exit 1", "requirements"),
        ("dd if=/dev/zero of=/dev/full count=1", "Free space"),
    ],
)
def test_the_cure_fits_the_failure(toy: ToyImage, command: str, tip: str) -> None:
    toy.step(command)
    with pytest.raises(ContainerError) as caught:
        toy.build()
    assert tip in caught.value.cure


def test_a_base_that_cannot_be_fetched(toy: ToyImage) -> None:
    toy.base("localhost:1/nonesuch:1@sha256:" + "0" * 64)
    with pytest.raises(ContainerError, match="base image localhost:1/nonesuch") as caught:
        toy.build()
    assert caught.value.where.key == "tool.finnmake.container.base"
    assert "--import" in caught.value.cure


def test_export_and_import_keep_the_id(toy: ToyImage, tmp_path: Path) -> None:
    _, pinned = _pin(toy)
    name, archive = images.tag(toy.digests), tmp_path / "image.tar"
    size = image_archive.export(toy.engine, name, archive, print)
    assert archive.stat().st_size == size > 0
    toy.remove()
    assert client.find_image(toy.engine, pinned.id) is None
    image_archive.import_(toy.engine, pinned, name, archive, print)
    found = client.find_image(toy.engine, name)
    assert found is not None
    assert images.image_id(found) == pinned.id
    assert images.inspect(toy.engine, name) == pinned


def test_another_image_is_not_loaded(toy: ToyImage, tmp_path: Path) -> None:
    _, pinned = _pin(toy)
    toy.lock("2.0.0")
    other, _ = toy.build()
    archive = tmp_path / "image.tar"
    image_archive.export(toy.engine, other, archive, print)
    toy.remove()
    with pytest.raises(ContainerError, match="is not the pinned one") as caught:
        image_archive.import_(toy.engine, pinned, images.tag(toy.digests), archive, print)
    assert "made by: COPY" in str(caught.value)
    assert not toy.images()


def _rewritten(archive: Path, change: Callable[[str, bytes], bytes], added: Mapping[str, bytes]) -> None:
    """Change the files in an archive, and add some."""
    other = archive.with_suffix(".other")
    with tarfile.open(archive) as source, tarfile.open(other, "w") as target:
        for entry in source:
            file = source.extractfile(entry) if entry.isfile() else None
            content = change(entry.name, file.read()) if file else b""
            if entry.name not in added:
                entry.size = len(content)
                target.addfile(entry, io.BytesIO(content))
        for name, content in added.items():
            made = tarfile.TarInfo(name)
            made.size = len(content)
            target.addfile(made, io.BytesIO(content))
    other.replace(archive)


@ONE_ENGINE
def test_an_archive_that_gives_another_name_is_not_loaded(toy: ToyImage, tmp_path: Path) -> None:
    _, pinned = _pin(toy)
    name, archive = images.tag(toy.digests), tmp_path / "image.tar"
    image_archive.export(toy.engine, name, archive, print)
    toy.remove()
    foreign = "localhost/finnmake-test-foreign:1"

    def renamed(file: str, content: bytes) -> bytes:
        return content.replace(name.encode(), foreign.encode()) if file == "manifest.json" else content

    _rewritten(archive, renamed, {})
    with pytest.raises(ContainerError, match=f"holds or names {foreign}"):
        image_archive.import_(toy.engine, pinned, name, archive, print)
    assert not toy.images()


@pytest.mark.parametrize("nested", [False, True])
@ONE_ENGINE
def test_an_archive_whose_index_lists_another_image_is_not_loaded(
    toy: ToyImage, tmp_path: Path, nested: bool
) -> None:
    _, pinned = _pin(toy)
    name, archive = images.tag(toy.digests), tmp_path / "image.tar"
    image_archive.export(toy.engine, name, archive, print)
    toy.remove()
    other, blob = "sha256:" + "0" * 64, "1" * 64
    manifest: dict[str, object] = {"manifests": []} if nested else {"config": {"digest": other}}
    added = {
        f"blobs/sha256/{blob}": json.dumps(manifest).encode(),
        "index.json": json.dumps({"manifests": [{"digest": f"sha256:{blob}"}]}).encode(),
    }
    _rewritten(archive, lambda _, content: content, added)
    with pytest.raises(ContainerError, match=f"holds or names sha256:{blob if nested else '0' * 64}"):
        image_archive.import_(toy.engine, pinned, name, archive, print)
    assert not toy.images()


@ONE_ENGINE
def test_half_an_archive_is_refused(toy: ToyImage, tmp_path: Path) -> None:
    _, pinned = _pin(toy)
    archive = tmp_path / "image.tar"
    image_archive.export(toy.engine, pinned.id, archive, print)
    os.truncate(archive, archive.stat().st_size // 2)
    with pytest.raises(ContainerError, match="not all of it"):
        image_archive.import_(toy.engine, pinned, images.tag(toy.digests), archive, print)


@ONE_ENGINE
def test_a_full_disk_stops_the_export_and_leaves_nothing(toy: ToyImage, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        made, _ = toy.build()
        with pytest.raises(ContainerError, match="No space left") as caught:
            image_archive.export(toy.engine, made, small / "image.tar", print)
        assert "Free space" in caught.value.cure
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def test_looking_and_building_at_once(toy: ToyImage) -> None:
    """Two runs on one engine, in two projects or by two users, do not disturb each other."""
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(toy.build()[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert images.inspect(toy.engine, made[0]).system == {"dash": "0.5.12"}


def _containers() -> list[str]:
    """The containers that this process left."""
    with closing(client.connect()) as opened:
        found = opened.containers.list(all=True, filters={"label": f"{OWNER}={owner_name()}"})
    return [str(each.id) for each in found]
