"""The worker process: starts once, dies cleanly, leaves nobody behind."""

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

from finnmake.engine.realize import Flow
from finnmake.errors import StepError, WorkerError
from tests.waiting import alive, ends


@pytest.mark.parametrize(("how", "words"), [("die", "ended at once"), ("raise", "no toy today")])
def test_worker_that_cannot_start_is_an_error(bench, how, words):
    bench.step("return model")
    bench.pool = bench.new_pool(TOY_PRELOAD=how)
    for _ in range(2):
        with pytest.raises(WorkerError, match=words):
            bench.run("p:f")
    assert bench.pool._worker is None


def test_worker_that_dies_between_jobs_is_replaced(bench):
    bench.step("return model")
    bench.run("p:f")
    worker = bench.pool._worker
    os.kill(worker.pid, signal.SIGKILL)
    worker.obituary()
    bench.step("return [*model, 'again']")
    assert bench.result(bench.run("p:f")) == ["model", "again"]


def test_pool_can_be_closed_and_used_again(bench):
    bench.step("return [*model, 'x']")
    bench.run("p:f")
    pid = bench.pool._worker.pid
    bench.pool.close()
    bench.pool.close()
    assert not alive(pid)
    assert bench.pool._worker is None
    assert bench.hits("p:f", "p:f") == [True, False]


def test_environment_is_scrubbed(bench, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    bench.step("import json; return [json.dumps(dict(os.environ))]")
    seen = json.loads(bench.result(bench.run("p:f"))[0])
    assert "SECRET" not in seen
    assert (seen["PYTHONHASHSEED"], seen["TZ"], seen["LC_ALL"]) == ("0", "UTC", "C.UTF-8")
    assert seen["OMP_NUM_THREADS"] == "1"


def test_output_of_the_step_and_its_children_is_in_the_log(bench):
    bench.step(
        "print('one', flush=True); os.system('echo two'); print('three', file=sys.stderr); return model"
    )
    assert bench.log(bench.run("p:f")[0]) == "one\ntwo\nthree\n"


def test_child_that_answers_nonsense_first_is_understood(bench):
    """A child killed in the middle of an answer leaves half a line."""
    bench.step("return model")
    pool = bench.new_pool()
    with pool.job() as job:
        job._buffer = b'{"ok": tr\n{"ok": true}\n'
        assert job.run({}, 1.0) == {"ok": True}


def test_unusable_store_is_told_by_the_child(bench):
    bench.step("return model")
    with bench.pool.job():
        pass
    real = bench.store.tmp
    flow: Flow = bench.flow("p:f")
    os.rename(real, f"{real}.away")
    try:
        with bench.pool.job() as job:
            answer = job.run({}, 10.0)
    finally:
        os.rename(f"{real}.away", real)
    assert not answer["ok"]
    assert answer["category"] == "environment"
    assert "No such file" in answer["message"]
    assert flow.timeout


def test_cleared_folders_after_a_job(bench):
    bench.step("Path('rubbish').write_text('x'); return model")
    bench.run("p:f")
    bench.pool.close()
    assert list(bench.store.tmp.glob("run-*")) == []


def test_background_process_that_writes_on_does_not_fail_the_step(bench):
    bench.step("import subprocess; subprocess.Popen(['sh', '-c', 'while :; do echo x; done']); return model")
    assert bench.hits("p:f") == [False]
    bench.pool.close()


MAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.engine.conftest import Bench
from finnmake.engine.store import Store
bench = Bench(Path(sys.argv[2]), Store(Path(sys.argv[3])).open())
bench.run("p:f")
"""


def test_killed_main_process_leaves_nobody_behind(bench, tmp_path):
    pids = tmp_path / "pids"
    bench.step(
        f"""
        import subprocess, time
        sleeper = subprocess.Popen(["sleep", "1000"])
        numbers = f"{{os.getppid()}} {{os.getpid()}} {{sleeper.pid}}"
        os.system(f"echo {{numbers}} > {pids}.new && mv {pids}.new {pids}")
        time.sleep(1000)
        """
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(MAIN), str(root), str(bench.root), str(bench.store.root)]
    main = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not pids.exists():
            assert main.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        main.kill()
        main.wait()
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 3
    ends(*left)


@pytest.mark.slow
def test_two_processes_run_each_step_once(bench, tmp_path):
    bench.step(f"import time; time.sleep(0.3); os.system('echo x >> {tmp_path}/count'); return model")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(MAIN), str(root), str(bench.root), str(bench.store.root)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert (tmp_path / "count").read_text() == "x\n"


@pytest.mark.slow
def test_main_process_killed_at_any_time_loses_no_result(bench, tmp_path):
    for name in "abc":
        bench.step(
            f"import time; time.sleep(0.05); os.system('echo {name} >> {tmp_path}/count');"
            f" Path('artifacts/{name}').write_text('{name}'); return [*model, '{name}']",
            name,
        )
    bench.step("return model")
    root = Path(__file__).parents[2]
    script = textwrap.dedent(MAIN).replace('bench.run("p:f")', 'bench.run("a:f", "b:f", "c:f")')
    command = [sys.executable, "-c", script, str(root), str(bench.root), str(bench.store.root)]
    for delay in (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
        main = subprocess.Popen(command)
        time.sleep(delay)
        main.kill()
        main.wait()
    outcomes = bench.run("a:f", "b:f", "c:f")
    assert bench.result(outcomes) == ["model", "a", "b", "c"]
    assert bench.files(outcomes) == {name: name.encode() for name in "abc"}
    bench.store.sweep()
    assert bench.hits("a:f", "b:f", "c:f") == [True] * 3


def test_failing_step_does_not_stop_others(bench):
    bench.step("raise ValueError", "bad")
    bench.step("return [*model, 'x']", "good")
    with pytest.raises(StepError):
        bench.run("bad:f")
    assert bench.hits("good:f") == [False]
