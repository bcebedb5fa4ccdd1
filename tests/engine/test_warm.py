"""A worker that outlives the run: taken by the next one with the same, by no other, and never depended on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine import warm
from finnmake.engine.files import FileDigests
from finnmake.engine.pool import PoolSettings, WorkerPool
from finnmake.engine.runtime import Places
from finnmake.engine.runtime.local import LocalRuntime
from finnmake.engine.runtime.warm import WarmRuntime, staying
from finnmake.errors import StepError, WorkerError, WorkspaceError
from tests.waiting import alive, ends, until


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of warm workers for this test alone; its name is short, as names of sockets must be."""
    base = Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    yield base / "finnmake"
    for address in warm.addresses():
        record = address.record()
        if record is not None:
            with suppress(ProcessLookupError):  # it goes by itself, too
                os.kill(warm.pid_of(record), signal.SIGKILL)
    shutil.rmtree(base)


@pytest.fixture
def run(bench: Any, place: Path) -> Iterator[Any]:
    """Runs step `p:f` as a run of its own would; gives the model and the worker's process."""
    pools = []

    def once(identity: str = "toy", idle: float = 60.0, **environment: str) -> tuple[Any, int]:
        bench.pool = pool(bench, identity, idle, **environment)
        pools.append(bench.pool)
        bench.renew()
        result = bench.result(bench.run("p:f"))
        (found,) = [each for each in map(warm.Address.record, warm.addresses()) if each]
        bench.pool.close()
        return result, warm.pid_of(found)

    yield once
    for each in pools:
        each.close()


def pool(bench: Any, identity: str = "toy", idle: float = 60.0, **environment: str) -> WorkerPool:
    toy = {"PYTHONPATH": str(Path(__file__).parent), **environment}
    places = Places(bench.store.root, bench.root, bench.root / "plugins")
    return WorkerPool(PoolSettings("toy_adapter", places, toy), WarmRuntime(LocalRuntime(), identity, idle))


def test_the_next_run_has_the_same_worker_and_the_plugin_as_it_is_now(bench: Any, run: Any) -> None:
    bench.step("return [*model, 1]")
    first, pid = run()
    bench.step("return [*model, 2]")
    second, again = run()
    assert (first, second) == (["model", 1], ["model", 2])
    assert pid == again and alive(pid)


def test_nothing_of_a_run_is_left_for_the_next(bench: Any, run: Any) -> None:
    bench.step(
        "import subprocess\nos.environ['LEFT'] = 'x'\nsys.path.insert(0, '/left')\nos.chdir('/')\n"
        "subprocess.Popen(['sleep', '321'], start_new_session=True)\nreturn model"
    )
    _, pid = run()
    until(lambda: "sleep" not in children_of(pid), seconds=10)
    bench.step("return [os.environ.get('LEFT'), '/left' in sys.path]")
    result, again = run()
    assert result == [None, False] and again == pid


def children_of(pid: int) -> str:
    """The names of the processes below one, but for those that end meanwhile."""
    names = ""
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                names += Path(f"/proc/{child}/comm").read_text()
            names += children_of(int(child))
    return names


def test_a_step_cannot_reach_the_socket_of_its_worker(bench: Any, run: Any) -> None:
    bench.step(
        "fds = [f'/proc/self/fd/{name}' for name in os.listdir('/proc/self/fd')]\n"
        "kinds = [os.readlink(path) for path in fds if os.path.lexists(path)]\n"
        "return [sum(kind.startswith('socket:') for kind in kinds)]"
    )
    result, _ = run()
    assert result == [1]  # its own channel


@pytest.mark.parametrize(
    "other", [{"identity": "another"}, {"TOY_VARIABLE": "x"}], ids=["toolchain", "variable"]
)
def test_another_toolchain_gets_another_worker_and_the_old_one_goes(
    bench: Any, run: Any, other: dict[str, str]
) -> None:
    bench.step("return model")
    _, pid = run()
    bench.step("return [*model, 'x']")
    _, another = run(**other)
    assert pid != another
    ends(pid)  # well before it goes of itself


def test_another_umask_or_limit_gets_another_worker(bench: Any, run: Any) -> None:
    bench.step("mask = os.umask(0)\nos.umask(mask)\nreturn [mask]")
    (before,), pid = run()
    os.umask(0o027)
    try:
        bench.step("mask = os.umask(0)\nos.umask(mask)\nreturn [mask, 'again']")
        (after, _), another = run()
    finally:
        os.umask(before)
    assert (before, after) == (before, 0o027) and pid != another


def test_a_worker_that_another_run_has_is_not_waited_for(bench: Any, run: Any) -> None:
    bench.step("return model")
    bench.pool = first = pool(bench)
    bench.renew()
    bench.run("p:f")
    bench.step("return [*model, 'x']")
    bench.pool = second = pool(bench)
    bench.renew()
    assert bench.result(bench.run("p:f")) == ["model", "x"]
    assert len(warm.addresses()) == 1 and second._worker is not None and not second._worker.loaded
    first.close()
    second.close()


def test_a_worker_that_is_killed_between_runs_is_replaced(bench: Any, run: Any) -> None:
    bench.step("return model")
    _, pid = run()
    os.kill(pid, signal.SIGKILL)
    bench.step("return [*model, 'x']")
    result, another = run()
    assert result == ["model", "x"] and another != pid


def test_a_worker_that_is_killed_in_the_middle_of_a_step_is_replaced(bench: Any, run: Any) -> None:
    bench.step(
        "import time\nstarted = ROOT / 'started'\nif not started.exists():\n"
        "    started.write_text('')\n    time.sleep(60)\nreturn [*model, 'done']"
    )

    def kill() -> None:
        until((bench.root / "started").exists, seconds=10)
        (record,) = [each for each in map(warm.Address.record, warm.addresses()) if each]
        os.kill(warm.pid_of(record), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result, _ = run()
    killer.join()
    assert result == ["model", "done"]


def test_a_step_that_kills_its_worker_each_time_fails(bench: Any, place: Path) -> None:
    bench.step("import signal\nos.kill(os.getppid(), signal.SIGKILL)\nsignal.pause()")
    bench.pool = pool(bench)
    bench.renew()
    with pytest.raises(StepError, match="the worker process ended in the middle of the step"):
        bench.run("p:f")
    bench.pool.close()


def test_a_backend_that_cannot_be_loaded_is_an_error_and_leaves_no_worker(bench: Any, place: Path) -> None:
    bench.step("return model")
    bench.pool = pool(bench, TOY_PRELOAD="raise")
    bench.renew()
    with pytest.raises(WorkerError, match="no toy today"):
        bench.run("p:f")
    until(lambda: not any(map(warm.Address.record, warm.addresses())), seconds=10)


def test_without_work_it_goes_and_leaves_nothing(bench: Any, run: Any, place: Path) -> None:
    bench.step("return model")
    _, pid = run(idle=0.5)
    ends(pid)
    until(lambda: not list(place.iterdir()), seconds=10)


def test_it_is_stopped_between_runs_alone(bench: Any, run: Any, place: Path) -> None:
    bench.step("return model")
    bench.pool = pool(bench)
    bench.renew()
    bench.run("p:f")
    (address,) = warm.addresses()
    assert not address.stop() and address.record() is not None
    bench.pool.close()
    assert address.stop() and address.record() is None and not list(place.iterdir())


# where it is found


def test_only_the_user_can_open_the_folder_and_the_socket(bench: Any, run: Any, place: Path) -> None:
    bench.step("return model")
    run()
    assert place.stat().st_mode & 0o777 == 0o700
    (path,) = place.glob("*.sock")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrong", ["open", "link", "file"])
def test_a_folder_that_is_not_private_is_not_used(bench: Any, place: Path, wrong: str) -> None:
    if wrong == "open":
        place.mkdir()
        place.chmod(0o755)
    elif wrong == "link":
        (place.parent / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(place.parent / "elsewhere")
    else:
        place.write_text("")
    assert warm.folder() is None and warm.addresses() == []
    bench.step("return [*model, 'x']")
    bench.pool = pool(bench)
    bench.renew()
    assert bench.result(bench.run("p:f")) == ["model", "x"]
    bench.pool.close()


def test_what_a_dead_worker_left_is_in_nobodys_way(bench: Any, run: Any, place: Path) -> None:
    bench.step("return model")
    _, pid = run()
    os.kill(pid, signal.SIGKILL)
    (record,) = place.glob("*.json")
    for garbage in (b"", b"[]", b"{}", b'{"owner": 7}', b"\xff"):
        record.write_bytes(garbage)
        bench.step(f"return [{garbage!r}.hex()]")
        result, another = run()
        assert result == [garbage.hex()] and another != pid
        os.kill(another, signal.SIGKILL)
        ends(another)


def test_a_socket_on_which_nobody_listens_is_replaced(place: Path) -> None:
    address = warm.Address(warm.folder() or place, "k")
    with address.listen():
        pass
    assert address.path.exists() and address.connect() is None and not address.path.exists()


def test_the_lock_is_one_runs_at_a_time(place: Path) -> None:
    address = warm.Address(warm.folder() or place, "k")
    claim = address.claim()
    assert claim is not None and address.claim() is None and address.is_claimed()
    address.remove()
    another = address.claim()  # the old lock is nobody's any more
    assert another is not None
    os.close(claim)
    assert address.is_claimed()
    os.close(another)
    assert not address.is_claimed()


def test_the_user_at_the_other_end_is_known() -> None:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        assert warm.peer(mine) == os.getuid()


# when


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 600),
        ({"CI": "true"}, 0),
        ({"CI": ""}, 600),
        ({"FINNMAKE_WORKER_IDLE": "0"}, 0),
        ({"FINNMAKE_WORKER_IDLE": " 1.5 "}, 90),
        ({"CI": "1", "FINNMAKE_WORKER_IDLE": "5"}, 0),
    ],
)
def test_how_long_it_stays(environment: dict[str, str], seconds: float) -> None:
    assert warm.idle_seconds(environment) == seconds


@pytest.mark.parametrize("text", ["-1", "nan", "ten", "inf", "1e9"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(WorkspaceError, match="FINNMAKE_WORKER_IDLE"):
        warm.idle_seconds({"FINNMAKE_WORKER_IDLE": text})


def test_only_the_local_runtime_has_workers_that_stay() -> None:
    local, digests = LocalRuntime(), FileDigests()
    assert staying(local, "x", digests, 0) is local
    assert isinstance(staying(local, "x", digests, 1), WarmRuntime)
    other: Any = object()
    assert staying(other, "x", digests, 1) is other
