"""What can go wrong with containers: words, a cure, an exit code, outputs whole, the next run right."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finnmake.engine.runtime.containers import STORE_LABEL
from tests import containers
from tests.containers import ONE_ENGINE, Engine, engine
from tests.pinned import repin, settings
from tests.projects import Project, Run, contents
from tests.proxy import Proxy, proxy
from tests.tasks.contained import containers_on, copy_of_contained, short_folder, small_disk
from tests.tasks.test_kill import dawdling, problems, wait_for

__all__ = ["engine"]

pytestmark = [pytest.mark.finn, pytest.mark.slow]

LOCK = "docker/image.lock.json"


@pytest.fixture
def contained(engine: Engine, tmp_path: Path) -> Project:
    """The project that was built in a container, to change at will; its outputs are up to date."""
    project = copy_of_contained(engine, tmp_path)
    project.succeed("build:config_001")
    return project


@pytest.fixture
def between(contained: Project, engine: Engine) -> Iterator[Proxy]:
    """A socket in front of the engine's, which the project uses."""
    with short_folder() as folder, proxy(folder, engine.socket) as made:
        contained.extra["DOCKER_HOST"] = made.url
        yield made


def refused(project: Project, *words: str) -> Run:
    """A run that fails with these words and a cure, and leaves the outputs as they were."""
    before = contents(project.folder(), ())
    run = project.fail("build:config_001")
    for word in words:
        assert word in run.output, f"{word!r} is not in:\n{run.output}"
    assert "-> " in run.output, run.output
    assert run.steps == []
    assert contents(project.folder(), ()) == before
    return run


def up_to_date(project: Project) -> None:
    assert "nothing to do" in project.succeed("build:config_001").output


# refused before anything runs


@ONE_ENGINE
def test_no_engine(contained: Project, tmp_path: Path, engine: Engine) -> None:
    contained.extra["DOCKER_HOST"] = f"unix://{tmp_path}/nonesuch.sock"
    refused(
        contained, "there is no engine's socket here", "nonesuch.sock", "DOCKER_HOST", 'runtime = "local"'
    )
    contained.extra["DOCKER_HOST"] = engine.url
    up_to_date(contained)


@ONE_ENGINE
def test_engine_that_has_ended(contained: Project, between: Proxy) -> None:
    between.cut()
    refused(contained, "no engine listens on this socket", str(between.path))
    between.listen()
    up_to_date(contained)


@ONE_ENGINE
def test_engine_elsewhere(contained: Project) -> None:
    contained.extra["DOCKER_HOST"] = "tcp://server:2375"
    refused(contained, "is an engine elsewhere", "DOCKER_HOST")


@ONE_ENGINE
def test_socket_without_permission(
    contained: Project, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root without its capabilities is as others are."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may use every socket, and setpriv is not installed")
    between.path.chmod(0)
    if os.geteuid() == 0:
        plain = subprocess.Popen

        def confined(command: list[str], **options: object) -> subprocess.Popen[str]:
            return plain(["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command], **options)

        monkeypatch.setattr("tests.projects.subprocess.Popen", confined)
        contained.forks = False
    refused(contained, "no permission to use the engine's socket", str(between.path))
    between.path.chmod(0o600)
    up_to_date(contained)


@ONE_ENGINE
def test_nothing_is_pinned(contained: Project) -> None:
    lock = contained.root / LOCK
    whole = lock.read_text()
    repin(contained, None)
    refused(contained, "no image is pinned", LOCK, "doit image --update")
    lock.write_text(whole)
    up_to_date(contained)


def test_image_is_not_in_the_engine(contained: Project, engine: Engine) -> None:
    lock = contained.root / LOCK
    whole = lock.read_text()
    repin(contained, f"sha256:{'0' * 64}")
    refused(contained, f"sha256:{'0' * 64} is not in the engine", "doit image --import FILE")
    lock.write_text(whole)
    up_to_date(contained)


@pytest.mark.parametrize("name", ["requirements.lock", "Dockerfile"])
@ONE_ENGINE
def test_image_is_out_of_date(contained: Project, name: str) -> None:
    path = contained.root / name
    whole = path.read_text()
    path.write_text(whole + "# changed\n")
    refused(contained, "out of date", name, "doit image --update")
    path.write_text(whole)
    up_to_date(contained)


@ONE_ENGINE
def test_mount_that_is_not_there(contained: Project, tmp_path: Path) -> None:
    path = contained.root / "pyproject.toml"
    whole = path.read_text()
    settings(contained, f'mounts = ["{tmp_path}/nonesuch"]')
    refused(contained, f"there is no {tmp_path}/nonesuch", "tool.finnmake.container.mounts")
    assert not (tmp_path / "nonesuch").exists()
    path.write_text(whole)
    up_to_date(contained)


def test_path_with_a_colon(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path / "a:b")
    project.blueprint()
    refused(project, "a path with a colon cannot be mounted", "a:b", "FINNMAKE_RUNTIME=local")


# while a step runs


def finish(project: Project, engine: Engine) -> Run:
    """The build again, with a step that does not dawdle: it ends well and leaves nothing in its way."""
    dawdling(project, sleep=False)
    run = project.succeed("build:config_001")
    assert project.read("result.json", "tiny")["status"] == "SUCCESS"
    assert containers_on(engine, project.store) == []
    assert list((project.store / "tmp").glob("run-*")) == []
    assert list(problems(project)) == []
    return run


def kill_containers(engine: Engine, store: Path) -> None:
    """Kill what works on a store; the engine keeps the container, which has ended."""
    with containers.client(engine) as opened:
        for each in opened.containers.list(filters={"label": f"{STORE_LABEL}={store}"}):
            each.kill()


@ONE_ENGINE
def test_full_disk(contained: Project, engine: Engine, tmp_path: Path) -> None:
    before = contents(contained.folder())
    store, blueprint = contained.store, contained.root / "blueprints" / "digits.yaml"
    whole = blueprint.read_text()
    with small_disk(tmp_path / "small", "400k") as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here")
        contained.store = tmp_path / "small" / "store"
        blueprint.write_text(whole.replace("[5.0, 10.0]", "[4.0, 10.0]"))
        run = contained.fail("build:config_001")
        assert "loading FINN" in run.output
        assert "No space left on device" in run.output
        assert "FINNMAKE_STORE" in run.output
        assert containers_on(engine, contained.store) == []
    assert contents(contained.folder()) == before
    contained.store = store
    blueprint.write_text(whole)
    assert contained.succeed("build:config_001").steps == []
    assert contents(contained.folder()) == before


def test_engine_that_is_killed(contained: Project, between: Proxy, engine: Engine) -> None:
    """The container lives on: the build ends well, and the next run removes the container."""
    dawdling(contained, sleep=True)
    plugin = contained.root / "plugins" / "dawdling.py"
    plugin.write_text(plugin.read_text().replace("time.sleep(60)", "time.sleep(1)"))
    with contained.start("build:config_001") as process:
        wait_for(contained.store / "tmp" / "dawdling")
        between.cut()
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert contained.read("result.json", "tiny")["status"] == "SUCCESS"
    assert len(containers_on(engine, contained.store)) == 1
    between.listen()
    finish(contained, engine)


def test_engine_that_is_killed_with_its_containers(
    contained: Project, between: Proxy, engine: Engine
) -> None:
    before = contents(contained.folder(), ())
    dawdling(contained, sleep=True)
    with contained.start("build:config_001") as process:
        wait_for(contained.store / "tmp" / "dawdling")
        between.cut()
        kill_containers(engine, contained.store)
        output, _ = process.communicate(timeout=120)
    assert process.returncode in (1, 2), output
    assert "Traceback" not in output
    assert "its container cannot be reached, as the engine is gone" in output
    assert "-> " in output
    assert contents(contained.folder(), ()) == before
    between.listen()
    finish(contained, engine)


def test_container_that_is_killed(contained: Project, engine: Engine) -> None:
    before = contents(contained.folder(), ())
    dawdling(contained, sleep=True)
    with contained.start("build:config_001") as process:
        wait_for(contained.store / "tmp" / "dawdling")
        kill_containers(engine, contained.store)
        output, _ = process.communicate(timeout=120)
    assert process.returncode in (1, 2), output
    assert "Traceback" not in output
    assert "its container ended with exit code 137 (killed by signal 9)" in output
    assert "-> " in output
    assert contents(contained.folder(), ()) == before
    finish(contained, engine)


STEPS = ["step_qonnx_to_finn", "dawdle", "step_tidy_up"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_run_that_is_stopped(contained: Project, engine: Engine, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole process group."""
    dawdling(contained, sleep=True)
    config = {"fpga_part": "xc7z020clg400-1", "target_fps": 100, "debug_fifo": True}
    contained.blueprint(config=config, steps=STEPS)
    with contained.start("build:config_001") as process:
        wait_for(contained.store / "tmp" / "dawdling")
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    if number is signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130, output
        assert "Traceback" not in output
        assert "stopped; what was done is kept" in output
        assert containers_on(engine, contained.store) == []
        assert list((contained.store / "tmp").glob("run-*")) == []
    assert list(problems(contained)) == []
    contained.blueprint(config={**config, "debug_fifo": False}, steps=STEPS)
    run = contained.succeed("build:config_001")
    assert run.steps == STEPS[1:]
    assert containers_on(engine, contained.store) == []
    assert list((contained.store / "tmp").glob("run-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_run_that_is_stopped_while_its_container_starts(
    contained: Project, between: Proxy, engine: Engine, number: signal.Signals
) -> None:
    dawdling(contained, sleep=True)
    with contained.start("build:config_001") as process:
        deadline = time.monotonic() + 60
        while not between.containers_made:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == (130 if number is signal.SIGINT else -number), output
    assert "Traceback" not in output
    time.sleep(1)  # for an engine that goes on making the container
    if number is signal.SIGINT:
        assert containers_on(engine, contained.store) == []
        assert list((contained.store / "tmp").glob("run-*")) == []
    finish(contained, engine)
