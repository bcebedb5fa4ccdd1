"""`doit runtime=bwrap`: the sandbox of bubblewrap, what it hides, and that its results are the local ones."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.projects import Project, Run, contents
from tests.tasks.test_kill import dawdling, wait_for

pytestmark = [
    pytest.mark.finn,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]

LOOK = """
import json
import os
import socket
from pathlib import Path

from finnmake.plugins import step


def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return True
    return False


@step
def look(model, cfg):
    probe = socket.socket()
    probe.settimeout(3)
    found = {{
        "network": not refused(probe.connect, ("127.0.0.1", {port})),
        "devices": sorted(os.listdir("/sys/class/net")) if Path("/sys/class/net").exists() else [],
        "read only": [
            name for name in ("/workspace/x", "/workspace/plugins/x", "/usr/x", "/etc/x")
            if refused(Path(name).touch)
        ],
        "home": os.path.exists({home!r}),
        "variables": sorted(os.environ),
        "remounted": os.system("mount -o remount,rw,bind /workspace 2> /dev/null") == 0,
    }}
    print("found", json.dumps(found))
    return model
"""


@pytest.fixture
def sandboxed(project: Project) -> Project:
    """The project that was built locally, whose runs use bubblewrap."""
    project.extra["FINNMAKE_RUNTIME"] = "bwrap"
    return project


def descendants(pid: int) -> set[int]:
    """The processes below one."""
    below: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            below.setdefault(parent, set()).add(int(entry.name))
    found, new = set(), {pid}
    while new:
        new = set().union(*(below.get(each, set()) for each in new))
        found |= new
    return found


def ended(pids: set[int], seconds: float) -> bool:
    """Whether all of these processes end within the time."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_result_is_the_local_one(cold_build: tuple[Project, Run], tmp_path: Path) -> None:
    built, cold = cold_build
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    run = project.succeed("runtime=bwrap", "build:config_001")
    assert run.steps == cold.steps
    assert contents(project.folder()) == contents(built.folder())
    assert "in a sandbox of bubblewrap (weaker than a container: no limits)" in run.output
    assert "nothing to do" in project.succeed("runtime=bwrap", "build:config_001").output
    assert list((project.store / "tmp").glob("run-*")) == []


def test_local_results_are_taken_from_the_store(built: Project, tmp_path: Path) -> None:
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    shutil.copytree(built.store, project.store, symlinks=True)
    assert project.succeed("runtime=bwrap", "build:config_001").steps == []
    assert contents(project.folder()) == contents(built.folder())


def test_what_a_step_sees(sandboxed: Project) -> None:
    """No network, not even this machine's; the project read-only; neither the home nor its variables."""
    sandboxed.extra["SECRET"] = "x"
    home = sandboxed.root.parent / "home"
    home.mkdir()
    sandboxed.extra["HOME"] = str(home)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sandboxed.plugin("look.py", LOOK.format(port=server.getsockname()[1], home=str(home)))
        sandboxed.blueprint(steps=["look", "step_qonnx_to_finn"])
        sandboxed.succeed("build:config_001")
    log = (sandboxed.folder("tiny") / "build.log").read_text()
    found = json.loads(next(line for line in log.splitlines() if "found {" in line).partition("found ")[2])
    assert not found["network"]
    assert set(found["devices"]) <= {"lo"}
    assert found["read only"] == ["/workspace/x", "/workspace/plugins/x", "/usr/x", "/etc/x"]
    assert not found["home"]
    assert not found["remounted"]
    assert "SECRET" not in found["variables"]


def test_without_the_program(sandboxed: Project) -> None:
    before = contents(sandboxed.folder())
    sandboxed.extra["PATH"] = str(sandboxed.root)
    sandboxed.blueprint(steps=["step_qonnx_to_finn"])
    run = sandboxed.fail("build:config_001")
    assert "there is no bubblewrap on PATH" in run.output
    assert "-> Install it" in run.output
    assert contents(sandboxed.folder()) == before


def test_mount_that_is_not_there(sandboxed: Project, tmp_path: Path) -> None:
    path = sandboxed.root / "pyproject.toml"
    path.write_text(f'{path.read_text()}\n[tool.finnmake.container]\nmounts = ["{tmp_path}/nonesuch"]\n')
    run = sandboxed.fail("build:config_001")
    assert f"there is no {tmp_path}/nonesuch" in run.output
    assert "tool.finnmake.container.mounts" in run.output


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_nothing_is_left(sandboxed: Project, number: signal.Signals) -> None:
    dawdling(sandboxed, sleep=True)
    with sandboxed.start("build:config_001") as process:
        wait_for(sandboxed.store / "tmp" / "dawdling")
        below = descendants(process.pid)
        assert below
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert ended(below, 10)
    if number is not signal.SIGKILL:
        assert process.returncode == 130, output
        assert "stopped; what was done is kept" in output
        assert list((sandboxed.store / "tmp").glob("run-*")) == []
    dawdling(sandboxed, sleep=False)
    sandboxed.succeed("build:config_001")
    assert list((sandboxed.store / "tmp").glob("run-*")) == []
