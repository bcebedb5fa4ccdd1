"""Steps that misbehave in every way, with FINN: each fails alone, says why, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.projects import Project, contents
from tests.tasks.test_kill import gone, problems
from tests.tasks.test_many_workspaces import differing, left_over

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: A rate that FINN would aim at -> what the step does in the configuration that asks for it.
FAULTS = {
    1: "good",
    2: "allocates without end",
    3: "aborts for want of memory",
    4: "is killed",
    5: "segfaults",
    6: "hangs, and so does its daemon",
    7: "leaves processes",
    8: "changes the process",
    9: "closes its output",
    10: "exits",
    11: "recurses without end",
    12: "starts processes without waiting",
}

PLUGIN = '''\
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from finnmake.plugins import step

STORE = Path(os.environ["FINNMAKE_STORE"])


def limit():
    """512 MB more than there is."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), used + (1 << 29)))


def daemon():
    """Two generations below, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (STORE / f"left_{os.getpid()}").touch()
            time.sleep(1000)
        os._exit(0)


@step
def faulty(model, cfg):
    mode = cfg.target_fps
    print("here we are", flush=True)
    if not MISBEHAVE:
        return model
    if mode == 2:
        limit()
        hoard = []
        while True:
            hoard.append(bytearray(1 << 24))
    if mode == 3:
        limit()
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        while libc.malloc(ctypes.c_size_t(1 << 26)):
            pass
        os.abort()
    if mode == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == 5:
        ctypes.string_at(0)
    if mode == 6:
        daemon()
        subprocess.Popen(["sleep", "1000"])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    if mode == 7:
        daemon()
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
    if mode == 8:
        os.environ.clear()
        os.environ["PATH"] = "/nowhere"
        os.chdir("/")
        os.umask(0o077)
        sys.path.clear()
        sys.stdout = sys.stderr = None
    if mode == 9:
        os.close(1)
        os.close(2)
        os.system("echo unheard")
    if mode == 10:
        sys.exit(7)
    if mode == 11:
        again(1)
    if mode == 12:
        for _ in range(50):
            subprocess.Popen(["sleep", "1000"])
    return model


def again(depth):
    return again(depth + 1) + 1
'''

#: What failing ones say of themselves, and their category.
WORDS = {
    2: ("MemoryError", "memory"),
    3: ("ended by SIGABRT in the middle of the step", None),
    4: ("the worker was killed: most likely because memory ran out", "memory"),
    5: ("ended by SIGSEGV in the middle of the step", None),
    6: ("no result after 8 s; the step and all it started were stopped", "timeout"),
    10: ("it called exit(7)", None),
    11: ("RecursionError", None),
}


def name(rate: int) -> str:
    return f"config_{rate:03}"


def build(project: Project, *, misbehave: bool) -> None:
    project.plugin("faulty.py", f"MISBEHAVE = {misbehave}\n{PLUGIN}")
    config = {"fpga_part": "xc7z020clg400-1", "target_fps": list(FAULTS)}
    project.blueprint(
        config=config, steps=["step_tidy_up", "faulty", "step_qonnx_to_finn"], keys={"timeout": 8}
    )


def results(project: Project) -> dict[int, Mapping[str, object]]:
    return {
        rate: json.loads((project.folder("tiny", name(rate)) / "result.json").read_text()) for rate in FAULTS
    }


def sleepers(store: Path) -> list[int]:
    """The daemons that steps have started, those that are alive."""
    pids = [int(path.name.partition("_")[2]) for path in store.glob("left_*")]
    assert pids, "none was started"
    return [pid for pid in pids if "sleep" in _words(pid) or "finnmake" in _words(pid)]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def test_each_fails_alone_and_the_next_run_is_right(tmp_path: Path) -> None:
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    build(project, misbehave=True)
    run = project.run("-n", "2", "--continue", "build")
    assert run.code in (1, 2), run.output
    assert "Traceback" not in run.output
    found = results(project)
    failed = {rate for rate, result in found.items() if result["status"] != "SUCCESS"}
    assert failed == set(WORDS), {FAULTS[rate]: found[rate]["error_message"] for rate in failed ^ set(WORDS)}
    for rate, (words, category) in WORDS.items():
        said = str(found[rate]["error_message"])
        assert words in said, (FAULTS[rate], said)
        assert category in (None, found[rate]["error_category"]), FAULTS[rate]
        assert found[rate]["status"] == ("TIMEOUT" if rate == 6 else "FAILED")
        assert "here we are" in (project.folder("tiny", name(rate)) / "build.log").read_text()
        assert words.splitlines()[0] in run.output
    assert gone(project.store, 20)
    assert sleepers(project.store) == []
    assert list(problems(project)) == []

    build(project, misbehave=False)
    mended = project.succeed("-n", "2", "build")
    assert "step_tidy_up" not in mended.steps  # what was done before the fault is kept
    fresh = Project.clone(tmp_path / "fresh", tmp_path / "fresh_store")
    build(fresh, misbehave=False)
    fresh.succeed("-n", "2", "build")
    for rate in FAULTS:
        folders = [each.folder("tiny", name(rate)) for each in (project, fresh)]
        assert differing(*map(contents, folders)) == [], FAULTS[rate]
    assert left_over(project.store) == []
