"""The traps of doit: each is shown to be there with doit as it is, and to be closed in finnmake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from doit import dependency
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from finnmake.engine import files
from finnmake.tasks.checker import ContentChecker
from finnmake.tasks.workspace import Workspace, using
from tests.explorations import STEPS, fields, mock_space
from tests.projects import Project, contents, sha256
from tests.waiting import until

#: One configuration, and two.
ONE = fields(synth_clk_period_ns=10.0, target_fps=1000)
TWO = fields(synth_clk_period_ns=10.0)


class Plain:
    """doit as it is, on a dodo.py in a folder of its own."""

    def __init__(self, folder: Path, dodo: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "dodo.py").write_text(textwrap.dedent(dodo))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "doit", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            return process.communicate(timeout=60)[0]


@pytest.fixture
def plain(tmp_path: Path) -> Callable[[str], Plain]:
    return lambda dodo: Plain(tmp_path / "plain", dodo)


def sleeping(index: int, seconds: float) -> list[Any]:
    """The steps, of which one takes its time."""
    return [{"step": each, "sleep": seconds} if at == index else each for at, each in enumerate(STEPS)]


def steps_done(project: Project) -> int:
    return len(list((project.store / "actions").glob("*/*/*/*.json")))


def model_with(project: Project, text: str) -> bytes:
    """The example's model with a remark."""
    model = onnx.load(project.root / "models" / "digits_mlp_w2a2.onnx")
    model.doc_string = text
    return bytes(model.SerializeToString())


TWO_TASKS = """
    import time
    from pathlib import Path

    def write(name, seconds):
        Path(f"started_{name}").touch()
        time.sleep(seconds)
        Path(name).write_text("x")

    def task_first():
        return {"actions": [(write, ["a", 0])], "file_dep": ["dodo.py"], "targets": ["a"]}

    def task_second():
        return {"actions": [(write, ["b", 30])], "task_dep": ["first"], "targets": ["b"]}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_done_is_lost_when_doit_is_ended(
    plain: Callable[[str], Plain], empty_project: Project, number: signal.Signals
) -> None:
    theirs = plain(TWO_TASKS)
    with theirs.start("second") as process:
        until((theirs.folder / "started_b").exists)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert ".  first" in theirs.run("first")  # it is done again

    mock_space(empty_project, config=ONE, steps=sleeping(2, 30))
    with empty_project.start("build:config_001") as process:
        until(lambda: steps_done(empty_project) == 2)
        os.killpg(process.pid, number)
        process.communicate(timeout=30)
    mock_space(empty_project, config=ONE, steps=sleeping(2, 0.001))
    assert empty_project.succeed("build:config_001").steps == STEPS[2:]


def test_an_edit_during_a_run_is_taken_for_up_to_date(
    plain: Callable[[str], Plain], empty_project: Project
) -> None:
    theirs = plain(
        """
        import shutil, time
        from pathlib import Path

        def copy():
            shutil.copy("input", "output")
            Path("read").touch()
            time.sleep(1)

        def task_copy():
            return {"actions": [copy], "file_dep": ["input"], "targets": ["output"]}
        """
    )
    (theirs.folder / "input").write_text("before")
    with theirs.start() as process:
        until((theirs.folder / "read").exists)
        (theirs.folder / "input").write_text("after")
        process.communicate(timeout=30)
    assert "-- copy" in theirs.run()
    assert (theirs.folder / "output").read_text() == "before"  # for good

    mock_space(empty_project, config=ONE, steps=sleeping(2, 1.5))
    model = empty_project.root / "models" / "digits_mlp_w2a2.onnx"
    with empty_project.start("build:config_001") as process:
        until(lambda: steps_done(empty_project) == 2)
        model.write_bytes(model_with(empty_project, "after"))
        process.communicate(timeout=60)
    assert "nothing to do" not in empty_project.succeed("build:config_001").output
    for name in ("model.onnx", "final_model.onnx"):
        assert onnx.load(empty_project.folder("tiny") / name).doc_string == "after"
    assert empty_project.read("manifest.json", "tiny")["model"]["sha256"] == sha256(model)


def test_other_content_of_the_same_time_is_taken_for_the_same(
    plain: Callable[[str], Plain], empty_project: Project
) -> None:
    theirs = plain(
        """
        def task_copy():
            return {"actions": ["cp input output"], "file_dep": ["input"], "targets": ["output"]}
        """
    )
    source = theirs.folder / "input"
    source.write_text("before")
    theirs.run()
    replace_secretly(source, b"after!")
    assert "-- copy" in theirs.run()
    assert (theirs.folder / "output").read_text() == "before"

    model = empty_project.root / "models" / "digits_mlp_w2a2.onnx"
    model.write_bytes(model_with(empty_project, "before"))
    mock_space(empty_project, config=ONE)
    empty_project.succeed("build:config_001")
    replace_secretly(model, model_with(empty_project, "after!"))
    assert empty_project.succeed("build:config_001").steps == STEPS


def replace_secretly(path: Path, data: bytes) -> None:
    """Another content, as large and as old as the one before."""
    before = path.stat()
    assert before.st_size == len(data)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_output_that_was_tampered_with_is_taken_for_up_to_date(
    plain: Callable[[str], Plain], empty_project: Project
) -> None:
    theirs = plain(
        """
        def task_copy():
            return {"actions": ["cp dodo.py output"], "file_dep": ["dodo.py"], "targets": ["output"]}
        """
    )
    theirs.run()
    (theirs.folder / "output").write_text("tampered with")
    assert "-- copy" in theirs.run()
    assert (theirs.folder / "output").read_text() == "tampered with"

    mock_space(empty_project, config=ONE)
    empty_project.succeed("build:config_001")
    left = contents(empty_project.folder("tiny"))
    for name in left:
        output = empty_project.folder("tiny") / name
        output.unlink()
        output.write_text("tampered with")
        run = empty_project.succeed("build:config_001")
        assert run.steps == [] and contents(empty_project.folder("tiny")) == left, name


def test_an_action_runs_before_a_missing_input_is_noticed(
    plain: Callable[[str], Plain], empty_project: Project
) -> None:
    theirs = plain(
        """
        def task_write():
            return {"actions": ["touch ran"], "file_dep": ["nowhere"], "uptodate": [False]}
        """
    )
    assert "nowhere" in theirs.run()
    assert (theirs.folder / "ran").exists()

    mock_space(empty_project, config=ONE)
    (empty_project.root / "models" / "digits_mlp_w2a2.onnx").unlink()
    refused = empty_project.fail("build:config_001")
    assert "digits_mlp_w2a2.onnx" in refused.output and refused.steps == []
    assert steps_done(empty_project) == 0


@pytest.mark.parametrize("backend", ["dbm", "json"])
def test_of_two_runs_at_once_one_is_forgotten(
    plain: Callable[[str], Plain], empty_project: Project, backend: str
) -> None:
    theirs = plain(
        """
        import time
        from pathlib import Path

        def write(name):
            Path(f"started_{name}").touch()
            while not Path("go").exists():
                time.sleep(0.01)
            Path(name).write_text("x")

        def task_write():
            for name in "ab":
                yield {"name": name, "actions": [(write, [name])], "file_dep": ["dodo.py"], "targets": [name]}
        """
    )
    runs = [theirs.start("run", "--backend", backend, f"write:{name}") for name in "ab"]
    time.sleep(1)
    (theirs.folder / "go").touch()
    for process in runs:
        process.communicate(timeout=30)
    known = theirs.run("run", "--backend", backend, "write:a", "write:b")
    assert ".  write:" in known  # one is done again, as nothing is known of it

    mock_space(empty_project, config=TWO, steps=sleeping(2, 3))
    with empty_project.start("build:config_001") as first:
        until(lambda: steps_done(empty_project) == 2)
        second = empty_project.fail("build:config_002")
        first.communicate(timeout=60)
    assert "another run is building in this folder" in second.output
    assert empty_project.succeed("build:config_001").output.startswith("nothing to do")


def test_an_input_of_fifty_tasks_is_hashed_fifty_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("input").write_bytes(bytes(50 << 20))

    def task_each() -> Any:
        for number in range(50):
            yield {"name": str(number), "actions": [lambda: None], "file_dep": ["input"]}

    def hashed(function: str, module: Any, **settings: Any) -> int:
        count = 0
        original = getattr(module, function)

        def counted(path: Any) -> Any:
            nonlocal count
            count += 1
            return original(path)

        monkeypatch.setattr(module, function, counted)
        config = {"dep_file": function, **settings}
        assert DoitMain(ModuleTaskLoader({"task_each": task_each, "DOIT_CONFIG": config})).run([]) == 0
        return count

    assert hashed("get_file_md5", dependency) == 50
    os.utime("input", (1e9, 1e9))  # young files are not trusted
    time.sleep(0.15)
    with using(Workspace(tmp_path)):
        assert hashed("digest_file", files, check_file_uptodate=ContentChecker) == 1


def test_a_task_that_fails_leaves_half_a_target(
    plain: Callable[[str], Plain], empty_project: Project
) -> None:
    theirs = plain(
        """
        from pathlib import Path

        def write():
            Path("output").write_text("half")
            raise OSError("in the middle")

        def task_write():
            return {"actions": [write], "targets": ["output"]}
        """
    )
    assert "in the middle" in theirs.run()
    assert (theirs.folder / "output").exists()

    mock_space(empty_project, config=ONE)
    empty_project.succeed("build:config_001")
    left = contents(empty_project.folder("tiny"))
    mock_space(empty_project, config=ONE, steps=[*STEPS[:3], {"step": STEPS[3], "fail": True}])
    empty_project.fail("build:config_001")
    assert contents(empty_project.folder("tiny")) == left


def test_the_output_of_tasks_at_once_is_mixed(plain: Callable[[str], Plain], empty_project: Project) -> None:
    theirs = plain(
        """
        import sys, time

        def say(name):
            for _ in range(200):
                sys.stdout.write(name * 3)
                time.sleep(0.0001)
                sys.stdout.write(name * 3 + "\\n")

        def task_say():
            for name in "ab":
                yield {"name": name, "actions": [(say, [name])], "verbosity": 2, "io": {"capture": False}}
        """
    )
    lines = theirs.run("-n", "2", "-P", "thread").splitlines()
    assert any("a" in line and "b" in line for line in lines if not line.startswith("."))

    steps = [{"step": each, "sleep": 0.001} for each in STEPS]
    mock_space(empty_project, config=fields(target_fps=list(range(1000, 3000, 100))), steps=steps)
    run = empty_project.succeed("-n", "2", "build")
    starts = ("preprocess:", "segment:", "finn:", "build:", "report:", "slowest", "  ", "note:")
    told = [line for line in run.output.splitlines() if "config_" in line or "segment:" in line]
    assert len(told) > 40 and all(line.startswith(starts) for line in told)
    assert all(line.count("(simulated)") == 1 for line in told)
    for config in ("config_001", "config_020"):
        log = (empty_project.folder("tiny", config) / "build.log").read_text()
        assert log.count("simulated by finnmake's backend mock") == len(STEPS)
