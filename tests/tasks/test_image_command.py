"""`doit image` as a user runs it."""

from __future__ import annotations

import fcntl
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finnmake.engine.runtime import LOCK, client, image_lock, images
from tests.containers import ONE_ENGINE, engine
from tests.toy_image import ToyImage, toy

__all__ = ["engine", "toy"]


@pytest.fixture
def alone(tmp_path: Path) -> ToyImage:
    """A toy without an engine."""
    (tmp_path / "toy").mkdir()
    toy = ToyImage(tmp_path / "toy", f"unix://{tmp_path}/nonesuch.sock", "nonesuch")
    toy.unpin()
    return toy


def test_help_names_every_option(alone: ToyImage) -> None:
    code, output = alone.doit("--help")
    assert code == 0
    for option in ("--update", "--export", "--import", "--no-cache"):
        assert option in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--export", "a.tar", "--update"), "only one of"),
        (("a.tar",), "takes no 'a.tar'"),
        (("--nonesuch",), "nonesuch"),
    ],
)
def test_a_wrong_command_line(alone: ToyImage, arguments: tuple[str, ...], message: str) -> None:
    code, output = alone.doit(*arguments)
    assert code == 3
    assert message in output


def test_without_an_engine_the_cure_is_told(alone: ToyImage) -> None:
    code, output = alone.doit()
    assert code == 1
    assert output.startswith("ERROR: ")
    assert "there is no engine's socket here" in output
    assert "\n  -> " in output


def test_a_wrong_setting(alone: ToyImage) -> None:
    (alone.root / "pyproject.toml").write_text(
        (alone.root / "pyproject.toml").read_text() + "[tool.finnmake.toolchain]\nshared = true\n"
    )
    code, output = alone.doit()
    assert code == 3
    assert "unknown key 'shared'" in output


def test_two_runs_at_once(alone: ToyImage) -> None:
    (alone.root / "builds").mkdir()
    with open(alone.root / "builds/.image.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, output = alone.doit()
    assert code == 3
    assert "another `doit image` runs" in output


@pytest.mark.container
@pytest.mark.slow
def test_update_pins_and_then_the_image_is_here(toy: ToyImage) -> None:
    (toy.root / "Dockerfile").write_text("not what the template gives")
    code, output = toy.doit("--update")
    assert code == 0, output
    assert "written: Dockerfile" in output
    lock = image_lock.read(toy.root)
    assert lock.image is not None
    assert f"pinned: {lock.image.id}, " in output.splitlines()[-1]
    assert " MB, " in output.splitlines()[-1]
    text = (toy.root / LOCK).read_bytes()
    code, output = toy.doit()
    assert code == 0, output
    assert output.startswith("the pinned image is here: sha256:")
    code, output = toy.doit("--update")
    assert code == 0, output
    assert "pinned already: " in output
    assert (toy.root / LOCK).read_bytes() == text


@pytest.mark.container
@pytest.mark.slow
@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "{}"])
@ONE_ENGINE
def test_update_replaces_a_damaged_lock(toy: ToyImage, text: str) -> None:
    (toy.root / LOCK).write_text(text)
    code, output = toy.doit("--update")
    assert code == 0, output
    assert image_lock.read(toy.root).image is not None


@pytest.mark.container
@pytest.mark.slow
@ONE_ENGINE
def test_with_nothing_pinned_it_builds_and_says_so(toy: ToyImage) -> None:
    toy.unpin()
    code, output = toy.doit()
    assert code == 1
    assert "no image is pinned" in output
    assert "-> Pin it: doit image --update" in output
    assert client.find_image(toy.engine, images.tag(toy.digests)) is not None
    assert not image_lock.pins(toy.root)


@pytest.mark.container
@pytest.mark.slow
@ONE_ENGINE
def test_a_change_since_is_refused(toy: ToyImage) -> None:
    toy.unpin()
    toy.lock("2.0.0")
    code, output = toy.doit()
    assert code == 1
    assert "requirements.lock has changed" in output
    (toy.root / "Dockerfile").write_text("FROM scratch")
    code, output = toy.doit()
    assert code == 1
    assert "not what pyproject.toml and templates/container give: Dockerfile" in output


@pytest.mark.container
@pytest.mark.slow
@ONE_ENGINE
def test_an_image_that_is_not_the_pinned_one(toy: ToyImage) -> None:
    """As when a package archive has moved on since the image was pinned."""
    toy.step("date +%N >/opt/finnmake/dash")
    assert toy.doit("--update")[0] == 0
    text = (toy.root / LOCK).read_bytes()
    toy.remove()
    code, output = toy.doit("--no-cache")
    assert code == 1
    assert "the image made here is not the pinned one" in output
    assert "\n  Debian package dash: pinned " in output
    assert "doit image --import" in output
    assert (toy.root / LOCK).read_bytes() == text


@pytest.mark.container
@pytest.mark.slow
def test_an_image_moves_as_a_file(toy: ToyImage, tmp_path: Path) -> None:
    assert toy.doit("--update")[0] == 0
    archive = tmp_path / "image.tar"
    code, output = toy.doit("--export", str(archive))
    assert code == 0, output
    assert f"written to {archive} (" in output
    toy.remove()
    code, output = toy.doit("--export", str(tmp_path / "other.tar"))
    assert code == 1
    assert "is not in the engine" in output
    code, output = toy.doit("--import", str(archive))
    assert code == 0, output
    assert f"loaded from {archive} (" in output
    assert toy.doit()[0] == 0
    code, output = toy.doit("--import", str(tmp_path / "nonesuch.tar"))
    assert code == 1
    assert "there is no such file" in output


@pytest.mark.container
@pytest.mark.slow
@ONE_ENGINE
def test_a_failing_build(toy: ToyImage) -> None:
    toy.step("echo last words; false")
    code, output = toy.doit("--update")
    assert code == 1
    assert "last words" in output
    assert not (toy.root / LOCK).exists()


@pytest.mark.container
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped(toy: ToyImage, number: signal.Signals) -> None:
    mark = f"8.{int(toy.label, 16)}"
    toy.step(f"sleep {mark}")
    toy.unpin()
    with toy.start("--no-cache") as process:
        assert process.stdout is not None
        before = ""
        while f"RUN sleep {mark}" not in before:
            line = process.stdout.readline()
            assert line, before
            before += line
        _wait_for(lambda: _runs(mark))
        process.send_signal(number)
        output = process.stdout.read()
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "stopped" in output
    assert client.find_image(toy.engine, images.tag(toy.digests)) is None
    assert json.loads((toy.root / LOCK).read_text())["image"] is None
    _wait_for(lambda: not _runs(mark))  # podman ends the step before it stops
    assert client.find_image(toy.engine, images.tag(toy.digests)) is None


def _runs(mark: str) -> bool:
    """Whether the step's process is alive."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{mark}\0".encode():
                return True
        except OSError:
            continue
    return False


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
