"""`doit export`: what is in an archive, that it is the same each time, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.archive import check_sums, unpack
from tests.projects import TIMED, Project, contents

NAME = "tiny-config_001-simulated"

#: The mock backend reads the folding file of the configuration alone.
CONFIG = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": 10.0,
    "folding_config_file": ["../folding/a.json", "../folding/b.json"],
}
STEPS = ["step_apply_folding_config", "step_generate_estimate_reports"]

UNUSED = "from finnmake.plugins import step\n\n@step\ndef unused(model, cfg):\n    return model\n"


def mocked(folder: Path) -> Project:
    """A project of two simulated configurations, with files that no step reads, built."""
    project = Project.clone(folder / "project", folder / "store")
    (project.root / "folding").mkdir()
    for name in "ab":
        (project.root / "folding" / f"{name}.json").write_text(json.dumps({"Defaults": {}, "of": name}))
    (project.root / "folding" / "secret.json").write_text("secret")
    (project.root / ".env").write_text("TOKEN=secret")
    project.plugin("unused.py", UNUSED)
    project.blueprint(keys={"backend": "mock"}, config=CONFIG, steps=STEPS)
    project.succeed("build:config_001")
    return project


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project `mocked`. Not to be changed, but for archives."""
    return mocked(tmp_path_factory.mktemp("mocked"))


@pytest.fixture
def own(built_once: Project, tmp_path: Path) -> Project:
    """A copy of it, at the same age of files and built again there, to change at will."""
    shutil.copytree(built_once.root, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project", built_once.store)
    project.succeed("build:config_001")
    return project


@pytest.fixture(scope="module")
def unpacked(built_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    built_once.succeed("export", "config_001", "-o", str(folder / "a.tar.gz"))
    (folder / "out").mkdir()
    return unpack(folder / "a.tar.gz", folder / "out")


def described(folder: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((folder / "archive.json").read_text())
    return found


# what is in it


def test_all_that_was_built_is_in_the_archive(built_once: Project, unpacked: Path) -> None:
    assert check_sums(unpacked) == []
    assert contents(unpacked / "expected") == contents(built_once.folder("tiny"))


def test_what_holds_times_is_not(unpacked: Path) -> None:
    assert not [path for path in unpacked.rglob("*") if path.name in TIMED]


def test_the_project_is_in_it_as_far_as_the_build_reads_it(unpacked: Path) -> None:
    project = unpacked / "project"
    names = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    outside_sources = {name for name in names if not name.startswith(("src/", "templates/"))}
    assert outside_sources == {
        "LICENSE",
        "README.md",
        "blueprints/tiny.yaml",
        "dodo.py",
        "doitw",
        "folding/a.json",
        "folding/b.json",  # of the other configuration: without it the blueprint is not valid
        "models/digits_mlp_w2a2.onnx",
        "pyproject.toml",
        "requirements.lock",
    }
    assert {"src/finnmake/_bootstrap.py", "templates/report.html.j2"} <= names
    assert os.access(project / "doitw", os.X_OK) and os.access(unpacked / "reproduce.py", os.X_OK)


def test_nothing_in_it_tells_of_this_machine(built_once: Project, unpacked: Path) -> None:
    said = [str(built_once.root), str(built_once.store), "TOKEN=secret"]
    for path in unpacked.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [each for each in said if each.encode() in data], path


def test_a_simulated_build_is_marked_everywhere(built_once: Project, unpacked: Path) -> None:
    assert unpacked.name == NAME
    assert "**Simulated:" in (unpacked / "README.md").read_text()
    assert described(unpacked)["simulated"] is True
    assert "(simulated)" in built_once.succeed("export", "config_001").output
    assert (built_once.root / f"{NAME}.tar.gz").is_file()


def test_equal_builds_give_equal_archives(built_once: Project, tmp_path: Path) -> None:
    """In another folder, with another store, at another time."""
    other = mocked(tmp_path)
    for project in (built_once, other):
        project.succeed("export", "build:config_001")
    one, two = (project.root / f"{NAME}.tar.gz" for project in (built_once, other))
    assert one.read_bytes() == two.read_bytes()


def test_json_tells_where_it_is(built_once: Project, tmp_path: Path) -> None:
    told = json.loads(built_once.succeed("export", "config_001", "--json", "-o", f"{tmp_path}/x").output)
    assert told["file"] == f"{tmp_path}/x" and told["bytes"] == (tmp_path / "x").stat().st_size
    assert told["simulated"] is True and len(told["sha256"]) == 64
    with tarfile.open(tmp_path / "x") as archive:
        assert told["files"] == sum(each.isfile() for each in archive)


def test_where_a_licence_is_stays_here(own: Project, tmp_path: Path) -> None:
    settings = own.root / "pyproject.toml"
    text = settings.read_text()
    settings.write_text(text + '\n[tool.finnmake.toolchain]\nlicence = "2100@secret.example"\n')
    own.succeed("export", "config_001", "-o", str(tmp_path / "a"))
    (tmp_path / "out").mkdir()
    packed = unpack(tmp_path / "a", tmp_path / "out") / "project" / "pyproject.toml"
    assert packed.read_text() == text + "\n[tool.finnmake.toolchain]\n"

    settings.write_text(
        text.replace(
            "[tool.finnmake]\n", '[tool.finnmake]\ntoolchain = { licence = "2100@secret.example" }\n'
        )
    )
    assert "says where a licence is" in own.fail("export", "config_001").output


# what is refused


def refused(project: Project, *arguments: str) -> str:
    before = sorted(project.root.glob("*.tar.gz"))
    run = project.fail("export", *(arguments or ("config_001",)))
    assert run.code == 3
    assert sorted(project.root.glob("*.tar.gz")) == before
    return run.output


def test_a_configuration_that_is_not_built_is_refused(built_once: Project) -> None:
    output = refused(built_once, "config_002")
    assert "config_002: not exported: it is not built" in output
    assert "doit build:config_002" in output


@pytest.mark.parametrize(
    ("edited", "task"),
    [
        ("models/digits_mlp_w2a2.onnx", "preprocess:config_001"),
        ("folding/a.json", "finn:config_001"),
        ("templates/report.html.j2", "report:config_001"),
        ("builds/tiny/config_001/final_model.onnx", "finn:config_001"),
        ("builds/tiny/config_001/metrics.json", "metrics:config_001"),
    ],
)
def test_a_stale_configuration_is_refused_and_the_task_named(own: Project, edited: str, task: str) -> None:
    path = own.root / edited
    path.chmod(0o644)
    with open(path, "ab") as stream:
        stream.write(b" ")
    assert f"not exported: {task} is out of date" in refused(own)


def test_an_edited_blueprint_is_stale(own: Project) -> None:
    own.blueprint(keys={"backend": "mock"}, config={**CONFIG, "synth_clk_period_ns": 5.0}, steps=STEPS)
    assert "is out of date" in refused(own)


def test_a_file_that_no_step_reads_may_change(own: Project) -> None:
    (own.root / "folding" / "secret.json").write_text("other")
    own.succeed("export", "config_001")


def test_an_output_that_was_exchanged_with_its_times_is_refused(own: Project) -> None:
    """What the state of files cannot show, their digests do."""
    path = own.folder("tiny") / "artifacts/report/estimate_layer_cycles.json"
    data, found = path.read_bytes(), path.stat()
    path.chmod(0o644)
    with open(path, "r+b") as stream:
        stream.write(data.replace(b"1", b"2"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    path.chmod(0o444)
    assert "not exported" in refused(own) or "changed" in refused(own)


def test_a_failed_build_is_refused(own: Project) -> None:
    own.blueprint(
        keys={"backend": "mock"},
        config=CONFIG,
        steps=[{"step": "step_apply_folding_config", "fail": True}, "step_generate_estimate_reports"],
    )
    own.fail("build:config_001")
    assert "not exported" in refused(own)


def test_what_lies_outside_of_the_project_is_refused_and_listed(own: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"Defaults": {}}')
    own.blueprint(
        keys={"backend": "mock"}, config={**CONFIG, "folding_config_file": str(outside)}, steps=STEPS
    )
    own.succeed("build:config_001")
    output = refused(own)
    assert "lies outside of the project" in output
    assert str(outside) in output


def test_an_environment_that_the_lock_does_not_bring_is_refused(own: Project) -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    version = next(line for line in lock.splitlines() if line.startswith("numpy==")).split()[0]
    (own.root / "requirements.lock").write_text(lock.replace(version, "numpy==1.2.3"))
    output = refused(own)
    assert "requirements.lock does not bring" in output
    assert f"numpy {version.removeprefix('numpy==')}, where the lock has 1.2.3" in output


def test_another_run_in_the_folder_is_waited_for_by_hand(own: Project) -> None:
    own.blueprint(
        keys={"backend": "mock"},
        config=CONFIG,
        steps=[{"step": "step_apply_folding_config", "sleep": 30}, "step_generate_estimate_reports"],
    )
    with own.start("build:config_001") as run:
        try:
            _wait_for(lambda: (own.root / "builds/.lock").read_text().strip() == str(run.pid))
            assert "another run is building" in refused(own)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()


def _wait_for(happens: Any) -> None:
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs the name of a configuration"),
        (("config_999",), "no configuration 'config_999'"),
        (("config_001", "config_002"), "it takes no 'config_002'"),
        (("config_001", "-o", "no/such/folder/x"), "there is no folder"),
        (("config_001", "-o", "models"), "this is a folder"),
        (("config_001", "--nonsense"), "nonsense"),
    ],
)
def test_a_wrong_command_is_said(built_once: Project, arguments: tuple[str, ...], words: str) -> None:
    run = built_once.fail("export", *arguments)
    assert run.code == 3 and words in run.output


def test_an_archive_that_is_there_stays_when_the_new_one_cannot_be_written(own: Project) -> None:
    target = own.root / f"{NAME}.tar.gz"
    target.write_text("the one before")
    (own.root / "templates/archive/README.md.j2").write_text("{{ nothing }}")
    assert "the template has an error" in own.fail("export", "config_001").output
    assert target.read_text() == "the one before"
