"""Steps in a container: what they see, what they may not, and what is left when something dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.pool import PoolSettings, WorkerPool
from finnmake.engine.processes import owner_name
from finnmake.engine.runtime import IMAGE_PYTHON, STORE, Places
from finnmake.engine.runtime.container import ContainerRuntime
from finnmake.engine.runtime.containers import STORE_LABEL
from finnmake.errors import StepError, WorkerError
from finnmake.settings import ContainerSettings
from tests.containers import ONE_ENGINE, Engine, client, engine
from tests.engine.conftest import Bench
from tests.pinned import image_id

__all__ = ["engine"]

pytestmark = pytest.mark.slow

#: Where the adapter of these tests lies; steps see it read-only.
_TOYS = Path(__file__).parent

MakeBench = Callable[..., Bench]


class ContainerBench(Bench):
    """A bench whose steps run in containers of the real image."""

    image = ""
    limits = ContainerSettings(mounts=(_TOYS,))

    def new_pool(self, **environment: str) -> WorkerPool:
        toy = {"PYTHONPATH": str(_TOYS), **self.environment, **environment}
        places = Places(self.store.root, self.root, self.root / "plugins")
        settings = PoolSettings("toy_adapter", places, toy, owner=owner_name())
        self.pools.append(WorkerPool(settings, ContainerRuntime(self.image, self.limits)))
        return self.pools[-1]


@pytest.fixture
def contained(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    """Makes benches with containers; at the end, none may be left."""
    from finnmake.engine.store import Store

    monkeypatch.setenv("DOCKER_HOST", engine.url)
    image = image_id(engine)
    made: list[Bench] = []

    def make(folder: Path = tmp_path, **limits: Any) -> Bench:
        own = type("_Bench", (ContainerBench,), {"image": image})
        own.limits = ContainerSettings(mounts=(_TOYS,), **limits)
        root = Path(os.path.realpath(folder)) / f"project{len(made)}"
        made.append(own(root, Store(folder / "store").open()))
        return made[-1]

    yield make
    for bench in made:
        for pool in bench.pools:
            pool.close()
    assert containers(engine, tmp_path / "store") == []


def containers(engine: Engine, store: Path) -> list[str]:
    """The containers that work on a store, running or not."""
    with client(engine) as opened:
        label = f"{STORE_LABEL}={store}"
        return [each.id for each in opened.containers.list(all=True, filters={"label": label})]


@pytest.fixture
def bench(contained: MakeBench) -> Bench:
    return contained()


def seen(bench: Bench, body: str) -> Any:
    """What the body of a step returns, as JSON."""
    bench.step("import json\n" + textwrap.dedent(body))
    return json.loads(bench.result(bench.run("p:f"))[0])


def refused(bench: Bench, places: list[str]) -> list[str]:
    """Those of the files that a step cannot write."""
    found: list[str] = seen(
        bench,
        f"""
        refused = []
        for place in {places!r}:
            try:
                open(place, "a").write("x")
            except OSError:
                refused.append(place)
        return [json.dumps(refused)]
        """,
    )
    return found


def failure(bench: Bench, *targets: str) -> StepError:
    with pytest.raises(StepError) as caught:
        bench.run(*targets)
    return caught.value


def test_step_runs_in_the_image_and_its_result_is_kept(bench):
    bench.step("Path('artifacts/x').write_text(sys.prefix); print(os.getcwd()); return [*model, 'x']")
    outcomes = bench.run("p:f")
    assert bench.files(outcomes) == {"x": os.fsencode(IMAGE_PYTHON)}
    assert bench.log(outcomes[0]).startswith(f"{STORE}/tmp/run-")
    assert bench.hits("p:f") == [True]


def test_one_container_serves_all_steps_of_a_run(bench, engine):
    for name in "ab":
        bench.step(f"return [*model, '{name}']", name)
    bench.run("a:f", "b:f")
    assert len(containers(engine, bench.store.root)) == 1


# what a step sees


@ONE_ENGINE
def test_environment_of_the_host_is_not_seen(bench, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    found = seen(bench, "return [json.dumps(dict(os.environ))]")
    assert "SECRET" not in found
    assert "DOCKER_HOST" not in found
    assert found["PYTHONHASHSEED"] == "0"
    assert not [value for value in found.values() if str(Path.home()) in value.split(":")]


@ONE_ENGINE
def test_inputs_are_recorded_by_the_names_that_they_have_here(bench):
    bench.write("data/x.txt", "one")
    bench.step("return [(ROOT / 'data/x.txt').read_text()]")
    outcomes = bench.run("p:f")
    assert "data/x.txt" in outcomes[0].trace["reads"]["files"]
    assert bench.hits("p:f") == [True]
    bench.write("data/x.txt", "two")
    assert bench.result(bench.run("p:f")) == ["two"]


@ONE_ENGINE
def test_build_folders_have_the_path_of_every_machine(bench):
    bench.step("(config.work / 'a.c').write_text('x'); return [str(config.work)]")
    outcomes = bench.run("p:f")
    assert bench.result(outcomes)[0].startswith(f"{STORE}/work/")
    assert outcomes[0].trace["reads"]["paths"] == [str(STORE), str(IMAGE_PYTHON)]
    assert bench.hits("p:f") == [True]


@ONE_ENGINE
def test_file_that_only_this_machine_has_is_named_with_the_cure(bench, tmp_path):
    (tmp_path / "data").write_text("x")
    bench.step(f"return [open({str(tmp_path / 'data')!r}).read()]")
    error = failure(bench, "p:f")
    assert "No such file" in error.message
    assert "mounts" in error.cure


# what a step may not


def test_step_cannot_write_outside_its_mounts(bench):
    places = ["/x", "/usr/x", "/opt/finnmake/x", "/workspace/x", "/workspace/plugins/p.py", "/etc/passwd"]
    places += ["/run/x", "/var/tmp/x", "/opt/finnmake/run/x", str(_TOYS / "x"), "/root/x"]
    places += ["/proc/sys/kernel/core_pattern"]
    assert refused(bench, places) == places


def test_step_cannot_reach_the_network(bench):
    words = seen(
        bench,
        """
        import socket
        said = []
        for address in (("1.1.1.1", 53), ("127.0.0.1", 22), ("10.0.0.1", 80)):
            with socket.socket() as try_:
                try_.settimeout(3)
                try:
                    try_.connect(address)
                except OSError as error:
                    said.append(type(error).__name__)
        said += [name for name in os.listdir("/sys/class/net") if name != "lo"]
        return [json.dumps(said)]
        """,
    )
    assert len(words) == 3, words


def test_step_cannot_gain_privileges(bench):
    found = seen(
        bench,
        """
        status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
        said = {key: int(status[key], 16) for key in keys if key in status}
        for name, call in (
            ("chroot", lambda: os.chroot("/tmp")),
            ("setuid", lambda: os.setuid(12345)),
            ("mknod", lambda: os.mknod("/tmp/node", 0o20666, 0x103)),
            ("mount", lambda: os.system("mount -t tmpfs none /mnt 2>/dev/null") and 1 / 0),
        ):
            try:
                call()
                said[name] = "done"
            except (OSError, ZeroDivisionError):
                said[name] = "refused"
        return [json.dumps(said)]
        """,
    )
    assert {found[key] for key in ("CapPrm", "CapEff", "CapBnd")} == {0}
    assert found["NoNewPrivs"] == 1
    assert {found[name] for name in ("chroot", "setuid", "mknod", "mount")} == {"refused"}


def test_step_sees_no_process_of_the_host_and_no_engine(bench):
    found = seen(
        bench,
        """
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        sockets = [p for p in ("/var/run/docker.sock", "/run/podman/podman.sock") if os.path.exists(p)]
        return [json.dumps([max(pids) < 1000, sockets, sorted(os.listdir("/opt/finnmake/run"))])]
        """,
    )
    assert found == [True, [], []]


# limits


def test_step_that_exceeds_memory_fails_alone(contained):
    bench = contained(memory=600 << 20)
    bench.step("x = bytearray(2 << 30); return model", "hog")
    bench.step("return [*model, 'good']", "good")
    error = failure(bench, "hog:f")
    assert error.category == "memory"
    assert "memory ran out" in error.message
    pool = bench.pool._worker
    assert bench.hits("good:f") == [False]
    assert bench.pool._worker is pool, "the worker itself did not survive"


@ONE_ENGINE
def test_step_that_hangs_is_stopped(bench):
    bench.timeout = 2.0
    bench.step("import time; time.sleep(1000)", "hang")
    bench.step("return [*model, 'good']", "good")
    error = failure(bench, "hang:f")
    assert error.timed_out
    assert error.category == "timeout"
    bench.timeout = 60.0
    assert bench.hits("good:f") == [False]


def test_step_that_forks_a_thousand_processes_is_stopped_and_others_go_on(contained):
    bench = contained(pids=100)
    bench.step(
        """
        import time
        for number in range(1000):
            if os.fork() == 0:
                os.setsid()
                time.sleep(1000)
        """,
        "bomb",
    )
    bench.step("return [*model, 'good']", "good")
    error = failure(bench, "bomb:f")
    assert "processes" in error.cure
    assert error.category == "environment"
    worker = bench.pool._worker
    assert bench.hits("good:f") == [False]
    assert bench.pool._worker is worker


def test_container_that_was_frozen_is_replaced(bench, engine, monkeypatch):
    from finnmake.engine import pool

    monkeypatch.setattr(pool, "_KILL_SECONDS", 1.0)
    bench.step("return [*model, 'one']")
    bench.run("p:f")
    with client(engine) as opened:
        opened.containers.get(bench.pool._worker.id).pause()
    bench.timeout = 2.0
    bench.step("return [*model, 'two']")
    assert failure(bench, "p:f").timed_out
    bench.timeout = 60.0
    assert bench.result(bench.run("p:f")) == ["model", "two"]


# ends


def test_killed_container_fails_the_step_and_the_next_run_is_right(bench, engine, tmp_path):
    bench.step("import time; (ROOT.parent / 'started').touch(); time.sleep(1000)", "long")
    bench.step("return [*model, 'good']", "good")
    label = f"{STORE_LABEL}={bench.store.root}"
    script = f"""
    import time, docker
    opened = docker.DockerClient(base_url={engine.url!r})
    found = []
    while not found:
        found = opened.containers.list(filters={{"label": {label!r}}})
        time.sleep(0.1)
    time.sleep(1.5)
    found[0].kill()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]):
        error = failure(bench, "long:f")
    assert error.category in ("environment", "memory")
    assert "container" in error.message
    assert bench.hits("good:f") == [False]


def test_container_is_gone_after_the_pool_is_closed(bench, engine):
    bench.step("return model")
    bench.run("p:f")
    bench.pool.close()
    assert containers(engine, bench.store.root) == []
    assert list(bench.store.tmp.glob("run-*")) == []


def wait_for_step(bench: Bench, main: subprocess.Popen[bytes]) -> None:
    """Until the step of another process has printed something."""
    deadline = time.monotonic() + 90
    while not [log for log in bench.store.tmp.iterdir() if log.is_file() and log.read_bytes()]:
        assert main.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


MAIN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from finnmake.engine.store import Store
from tests.engine.test_container import ContainerBench
ContainerBench.image = sys.argv[4]
bench = ContainerBench(Path(sys.argv[2]), Store(Path(sys.argv[3])).open())
bench.run("p:f")
"""


def test_what_a_killed_run_leaves_is_removed_by_the_next(bench, engine):
    bench.step("import time; print('here', flush=True); time.sleep(1000)")
    root = Path(__file__).parents[2]
    arguments = [str(root), str(bench.root), str(bench.store.root), bench.image]
    main = subprocess.Popen([sys.executable, "-c", textwrap.dedent(MAIN), *arguments])
    try:
        wait_for_step(bench, main)
    finally:
        main.kill()
        main.wait()
    bench.step("return [*model, 'next']")
    assert bench.result(bench.run("p:f")) == ["model", "next"]
    assert containers(engine, bench.store.root) == [bench.pool._worker.id]
    bench.pool.close()
    bench.store.sweep()
    assert list(bench.store.tmp.glob("run-*")) == []


def test_interrupted_run_leaves_nothing(bench, engine):
    bench.step("import time; print('here', flush=True); time.sleep(1000)")
    root = Path(__file__).parents[2]
    arguments = [str(root), str(bench.root), str(bench.store.root), bench.image]
    script = textwrap.dedent(MAIN).replace(
        "bench.run", "import atexit\natexit.register(bench.pool.close)\nbench.run"
    )
    main = subprocess.Popen([sys.executable, "-c", script, *arguments], stderr=subprocess.DEVNULL)
    try:
        wait_for_step(bench, main)
        main.send_signal(signal.SIGINT)
        main.wait(timeout=30)
    finally:
        main.kill()
        main.wait()
    assert containers(engine, bench.store.root) == []


def test_image_that_is_no_image_of_finnmake_is_an_error_in_words(contained, engine):
    bench = contained()
    bench.pool = bench.new_pool()
    bench.pool._runtime = ContainerRuntime(os.environ["FINNMAKE_TEST_BASE"], ContainerSettings())
    bench.step("return model")
    with pytest.raises(WorkerError):
        bench.run("p:f")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can get to; pytest's own lie below one of root's."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_outputs_belong_to_the_caller(contained, engine, open_folder):
    """A run of another user's: what it leaves in the store is that user's."""
    if os.getuid():
        pytest.skip("only root can be another user")
    bench = contained(open_folder)
    bench.step("Path('artifacts/x').write_text('x'); (config.work / 'y').write_text('y'); return model")
    bench.run("p:f")  # with everything imported that the other user's process cannot read
    bench.step("Path('artifacts/z').write_text('z'); (config.work / 'y').write_text('z'); return model")
    bench.pool.close()
    for folder, _, files in os.walk(open_folder):
        for name in ("", *files):
            os.chown(Path(folder, name), 12345, 12345)
    mode = engine.socket.stat().st_mode
    engine.socket.chmod(0o666)
    try:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(12345)
                os.setuid(12345)
                bench.run("p:f")
                bench.pool.close()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        engine.socket.chmod(mode)
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in bench.store.root.rglob("*")}
    assert owners == {(12345, 12345)}


@ONE_ENGINE
def test_step_cannot_forge_what_only_the_main_process_writes(bench):
    places = [f"{STORE}/{name}" for name in ("actions/ab", "locks/x", "tools/x", "VERSION")]
    assert refused(bench, places) == places


@ONE_ENGINE
def test_proxies_of_the_host_do_not_reach_a_step(bench, monkeypatch, tmp_path):
    """The docker command's own configuration hands proxies, passwords included, to every container."""
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://me:pw@proxy:1"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://me:pw@proxy:1")
    found = seen(bench, "return [json.dumps(dict(os.environ))]")
    assert not [name for name in found if "proxy" in name.lower()]
