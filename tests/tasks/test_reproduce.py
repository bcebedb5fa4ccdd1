"""`doit reproduce`: what was exported is built again and compared; what was altered is noticed and named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.archive import SUMS, pack, unpack
from finnmake.tasks import archived as archives
from finnmake.tasks.reproduce_environment import environment_for
from tests.fake_vivado import write_script
from tests.projects import Project, contents, sha256

NAME = "tiny-config_001-simulated"
CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 10000}
STEPS = ["step_target_fps_parallelization", "step_generate_estimate_reports"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A simulated build and its archive. Its `doitw` makes no environment: it says so, and uses this one."""
    folder = tmp_path_factory.mktemp("exported")
    project = Project.clone(folder / "project", folder / "store")
    write_script(
        project.root / "doitw",
        f'#!/bin/sh\necho "an environment of its own"\nexec {sys.executable} -m finnmake "$@"\n',
    )
    project.blueprint(keys={"backend": "mock"}, config=CONFIG, steps=STEPS)
    project.succeed("build:config_001")
    project.succeed("export", "config_001")
    return project


@pytest.fixture
def altered(exported: Project, tmp_path: Path) -> Callable[..., Path]:
    """Makes an archive of which a file was altered; `sums` says whether its list of sums was made again."""

    def alter(change: Callable[[Path], None], *, sums: bool) -> Path:
        (tmp_path / "altered").mkdir()
        top = unpack(exported.root / f"{NAME}.tar.gz", tmp_path / "altered")
        old = (top / SUMS).read_bytes()
        change(top)
        paths = {path.relative_to(top).as_posix(): path for path in top.rglob("*") if path.is_file()}
        del paths[SUMS]
        target = tmp_path / "altered.tar.gz"
        pack(target, top.name, dict(paths), executable=("project/doitw", "reproduce.py"))
        if not sums:
            (top / SUMS).write_bytes(old)
            target.unlink()
            subprocess.run(["tar", "czf", target, "-C", top.parent, top.name], check=True)
        return target

    return alter


def flip(name: str, at: int = -1) -> Callable[[Path], None]:
    """Changes one byte of a file."""

    def change(top: Path) -> None:
        data = bytearray((top / name).read_bytes())
        data[at] ^= 1
        (top / name).write_bytes(data)

    return change


def left_over() -> list[Path]:
    import tempfile

    return list(Path(tempfile.gettempdir()).glob("finnmake-reproduce-*"))


def test_a_build_is_reproduced_elsewhere(exported: Project, tmp_path: Path) -> None:
    archive = shutil.copy(exported.root / f"{NAME}.tar.gz", tmp_path)
    other = Project.clone(tmp_path / "other", tmp_path / "store")
    run = other.succeed("reproduce", str(archive), "--keep", str(tmp_path / "kept"))
    assert f"{NAME}: reproduced: every output is the same, byte for byte (simulated)" in run.output
    assert "environment: this one" in run.output
    assert run.steps[-1] == STEPS[-1]  # with an empty store
    again = tmp_path / "kept/again/project/builds/tiny/config_001"
    assert contents(again) == contents(exported.folder("tiny"))
    assert not (other.store / "actions").exists()


def test_nothing_is_left_in_the_temporary_folder(exported: Project) -> None:
    before = left_over()
    told = json.loads(_stdout(exported, "reproduce", f"{NAME}.tar.gz", "--json"))
    assert told["same"] is True and told["simulated"] is True
    assert {each["state"] for each in told["files"]} == {"same"}
    assert left_over() == before


def _stdout(project: Project, *arguments: str) -> str:
    done = subprocess.run(
        [project.python, "-m", "finnmake", *arguments],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_archive_reproduces_itself_with_nothing_but_python(exported: Project, tmp_path: Path) -> None:
    """No package is there for the script: its own doitw brings them."""
    subprocess.run(["tar", "xzf", exported.root / f"{NAME}.tar.gz", "-C", tmp_path], check=True)
    before = contents(tmp_path, without=())
    done = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / NAME / "reproduce.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "an environment of its own" in done.stderr
    assert "reproduced: every output is the same, byte for byte" in done.stdout
    assert contents(tmp_path, without=()) == before


# what was altered


@pytest.mark.parametrize(
    "name",
    [
        "project/models/digits_mlp_w2a2.onnx",  # a weight
        "project/requirements.lock",
        "project/blueprints/tiny.yaml",
        "project/src/finnmake/records.py",
        "expected/final_model.onnx",
        "expected/artifacts/report/estimate_layer_cycles.json",
        "archive.json",
    ],
)
def test_one_altered_byte_is_noticed_and_named(
    exported: Project, altered: Callable[..., Path], name: str
) -> None:
    at = 0 if name == "archive.json" else -1
    if name == "archive.json":
        archive = altered(lambda top: (top / name).write_text((top / name).read_text() + " "), sums=False)
    else:
        archive = altered(flip(name, at), sums=False)
    run = exported.fail("reproduce", str(archive))
    assert run.code == 1
    assert f"not as exported: {name} is not the file that was exported" in run.output
    assert "nothing was built" in run.output and run.steps == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("project/models/digits_mlp_w2a2.onnx", "is not the input that the manifest names"),
        (
            "expected/artifacts/report/estimate_layer_cycles.json",
            "is not the output that the manifest names",
        ),
    ],
)
def test_sums_that_were_made_again_do_not_hide_it(
    exported: Project, altered: Callable[..., Path], name: str, words: str
) -> None:
    run = exported.fail("reproduce", str(altered(flip(name), sums=True)))
    assert run.code == 1
    assert f"{name} {words}" in run.output


def test_figures_that_were_embellished_are_found_by_building_again(
    exported: Project, altered: Callable[..., Path]
) -> None:
    def embellish(top: Path) -> None:
        path = top / "expected/metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "throughput": 1e9}, indent=2))

    run = exported.fail("reproduce", str(altered(embellish, sums=True)))
    assert run.code == 1
    assert "differs       metrics.json" in run.output
    assert "throughput: 1000000000.0 in the archive" in run.output
    assert "not reproduced" in run.output


def test_a_build_that_fails_is_said(exported: Project, altered: Callable[..., Path]) -> None:
    def break_it(top: Path) -> None:
        (top / "project/blueprints/tiny.yaml").write_text("nonsense: [")

    run = exported.fail("reproduce", str(altered(break_it, sums=True)))
    assert run.code == 1 and "the build failed (exit code 3)" in run.output


# stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_ends_its_build_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    steps = [{"step": STEPS[0], "sleep": 4}, STEPS[1]]
    project.blueprint(keys={"backend": "mock"}, config=CONFIG, steps=steps)
    project.succeed("build:config_001")
    project.succeed("export", "config_001")
    (tmp_path / "tmp").mkdir()
    project.extra["TMPDIR"] = str(tmp_path / "tmp")
    with project.start("reproduce", f"{NAME}.tar.gz") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "running, " in line:
                break
        os.kill(run.pid, number)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert "Traceback" not in output
    assert list((tmp_path / "tmp").glob("finnmake-reproduce-*")) == []


# which environment


def test_another_finnmake_builds_in_its_own_environment(
    exported: Project, altered: Callable[..., Path]
) -> None:
    def edit(top: Path) -> None:
        with open(top / "project/src/finnmake/tasks/screen.py", "a") as stream:
            stream.write("# a comment\n")

    run = exported.succeed("reproduce", str(altered(edit, sums=True)))
    assert "environment: the archive's own" in run.output and "finnmake is another" in run.output
    assert "an environment of its own" in run.output


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("python", "CPython 3.10.1 x86_64", "Python is CPython 3."),
        ("packages", {"numpy": "1.2.3"}, ", not 1.2.3"),
        ("packages", {"no_such": "1"}, "no_such is missing, not 1"),
    ],
)
def test_what_is_not_the_archives_is_named(
    exported: Project, tmp_path: Path, part: str, value: Any, why: str
) -> None:
    top = unpack(exported.root / f"{NAME}.tar.gz", tmp_path)
    manifest = json.loads((top / "expected/manifest.json").read_text())
    old = manifest["toolchain"][part]
    manifest["toolchain"][part] = {**old, **value} if isinstance(value, dict) else value
    assert why not in environment_for(top, archives.read(top)).why
    (top / "expected/manifest.json").write_text(json.dumps(manifest))
    found = environment_for(top, archives.read(top))
    assert found.python == "" and why in found.why


# wrong commands


def test_what_is_there_in_the_folder_to_keep_stays(exported: Project, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    run = exported.fail("reproduce", f"{NAME}.tar.gz", "--keep", str(tmp_path))
    assert run.code == 3 and "there is something already" in run.output
    assert sha256(tmp_path / "mine") and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs the name of an archive"),
        (("no/such",), "there is no archive"),
        (("dodo.py",), "no archive"),
    ],
)
def test_a_wrong_command_is_said(exported: Project, arguments: tuple[str, ...], words: str) -> None:
    run = exported.fail("reproduce", *arguments)
    assert run.code == 3 and words in run.output


@pytest.mark.parametrize("change", [{"version": 2}, {"config_id": "../.."}, {"arguments": "x"}, {"more": 1}])
def test_a_description_that_is_none_is_refused(
    exported: Project, altered: Callable[..., Path], change: dict[str, Any]
) -> None:
    def edit(top: Path) -> None:
        path = top / "archive.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    run = exported.fail("reproduce", str(altered(edit, sums=True)))
    assert run.code == 3 and "archive.json" in run.output
