"""Orphans, the end of all processes of a job, and names of processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from finnmake.engine import processes
from finnmake.engine.store import Store
from finnmake.errors import StepError
from tests.waiting import alive, ends, until

#: Two generations below the step, in a process group and session of its own: out of reach of killpg.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.system(f"echo {os.getpid()} > PIDS")
        time.sleep(1000)
    os._exit(0)
time.sleep(0.2)
"""


def daemon(pids: Path) -> int:
    until(lambda: pids.exists() and pids.read_text().strip(), seconds=20)
    return int(pids.read_text())


@pytest.mark.parametrize(
    ("after", "fails"),
    [("return model", False), ("raise ValueError", True), ("os.kill(os.getpid(), 9)", True)],
    ids=["ends well", "fails", "dies"],
)
def test_daemon_that_a_step_leaves_ends_with_its_job(bench, tmp_path, after, fails):
    bench.step(DAEMON.replace("PIDS", str(tmp_path / "pids")) + after)
    if fails:
        with pytest.raises(StepError):
            bench.run("p:f")
    else:
        bench.run("p:f")
    ends(daemon(tmp_path / "pids"))


def test_daemon_of_a_step_that_hangs_ends_at_its_deadline(bench, tmp_path):
    bench.timeout = 1.5
    bench.step(DAEMON.replace("PIDS", str(tmp_path / "pids")) + "time.sleep(1000)")
    with pytest.raises(StepError, match="no result after"):
        bench.run("p:f")
    ends(daemon(tmp_path / "pids"))


def test_daemon_of_a_living_job_lives_on_while_another_job_ends(bench, tmp_path):
    """Orphans belong to the job that made them, not to the one that ends next."""
    bench.step(DAEMON.replace("PIDS", str(tmp_path / "pids")) + "time.sleep(1000)", "long")
    bench.step("return [*model, 'short']", "short")
    with bench.pool.job() as job:
        call = {"name": "f", "kind": "step", "target": "long:f", "parameters": {}, "position": 0}
        flow = bench.flow("long:f")
        state = {"model": flow.model, "tree": bench.store.put_tree({}), "work": {}, "overrides": {}}
        path, stream = bench.store.new_file()
        stream.close()
        log = str(path.relative_to(bench.store.root))
        request = {"call": call, "state": state, "flags": {}, "work": "0" * 32, "log": log}
        job._channel.sendall(json.dumps(request).encode() + b"\n")
        pid = daemon(tmp_path / "pids")
        bench.run("short:f")
        time.sleep(0.3)
        assert alive(pid)
    bench.pool.close()
    ends(pid)


def test_children_are_found_and_killed():
    code = """
    import subprocess, sys
    from finnmake.engine import processes
    processes.adopt_orphans()
    kept = subprocess.Popen(["sleep", "1000"])
    subprocess.run(["sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 1000 &"])
    others = processes.children() - {kept.pid}
    assert len(others) == 3, others
    processes.kill_children(keep={kept.pid})
    assert processes.children() == {kept.pid}
    assert kept.poll() is None
    kept.kill()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


def test_owner_is_alive_until_it_ends():
    code = "from finnmake.engine.processes import owner_name; print(owner_name(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert not processes.owner_ended(name)
        other.send_signal(signal.SIGKILL)
    assert processes.owner_ended(name)
    assert not processes.owner_ended(processes.owner_name())


def test_owner_elsewhere_is_not_called_dead():
    assert not processes.owner_ended("0123456789ab.1.1")
    assert not processes.owner_ended("")


def test_another_process_of_the_same_number_is_another_owner():
    space, pid, started = processes.owner_name().split(".")
    assert processes.owner_ended(f"{space}.{pid}.{int(started) + 1}")


def test_what_a_dead_owner_left_is_swept_and_a_living_ones_is_not(tmp_path):
    space, pid, started = processes.owner_name().split(".")
    mine, dead = f"{space}.{pid}.{started}", f"{space}.{pid}.1"
    folders = [Store(tmp_path, owner).open().new_folder() for owner in (mine, dead)]
    Store(tmp_path).sweep()
    assert [folder.exists() for folder in folders] == [True, False]
    Store(tmp_path).sweep_owner(mine)
    assert not folders[0].exists()


def test_worker_sweeps_only_what_is_its_own(tmp_path):
    """Process 7 of one container is not process 7 of another."""
    one, two = (Store(tmp_path, f"{name}.7.7").open() for name in "ab")
    folders = [store.tmp / f"run-{name}.7.7-7-0" for store, name in ((one, "a"), (two, "b"))]
    for folder in folders:
        folder.mkdir()
    one.sweep(7)
    assert [folder.exists() for folder in folders] == [False, True]


def test_memory_kills_are_counted_somewhere():
    assert processes.memory_kills() >= 0
    assert os.path.exists("/proc/self/cgroup")


def test_owner_that_is_hidden_from_here_is_not_called_dead(monkeypatch):
    """`/proc` may show each user only what is their own."""
    space, pid, _ = processes.owner_name().split(".")
    monkeypatch.setattr(processes, "_started", lambda pid: "")
    assert not processes.owner_ended(f"{space}.{pid}.1")
