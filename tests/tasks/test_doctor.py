"""`doit doctor`: each check with a real cause, and a report that goes on past whatever is broken."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finnmake.engine import locked
from finnmake.engine.store import STORE_VERSION
from finnmake.tasks import doctor_machine, doctor_project, doctor_python, doctor_tools
from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Check, Finding, examine
from finnmake.tasks.doctor_text import finding_text, summary_text
from tests import fake_vivado
from tests.fake_vivado import write_script
from tests.projects import REPOSITORY, Project


@pytest.fixture
def project(empty_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in which nothing was built, and this process in it."""
    shutil.copy(REPOSITORY / "requirements.lock", empty_project.root)
    empty_project.enter(monkeypatch)
    return empty_project


def only(findings: Iterator[Finding], state: str) -> Finding:
    """The one finding that is in this state."""
    found = [each for each in findings if each.state == state]
    assert len(found) == 1, found
    return found[0]


def states(findings: Iterator[Finding]) -> set[str]:
    return {each.state for each in findings}


# the report


def test_all_is_well_in_a_fresh_clone(project: Project) -> None:
    run = project.succeed("doctor", "--quick")
    assert "\nproblem" not in run.output and not run.output.startswith("problem")
    assert run.output.splitlines()[-1].startswith("0 problems, ")
    assert not project.store.exists() and not (project.root / "builds").exists()  # it changes nothing


@pytest.mark.finn
def test_finn_is_loaded_in_a_fresh_process(project: Project) -> None:
    found = only(doctor_python.check_finn(project.root), OK)
    assert found.found.startswith("loads in ")


def test_json_has_every_finding_with_its_cure(project: Project) -> None:
    (project.root / "requirements.lock").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "finnmake", "doctor", "--json", "--quick"],
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["ok"] is True
    lock = next(each for each in told["findings"] if each["check"] == "lock")
    assert lock["state"] == WARNING and "Restore it" in lock["cure"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("pyproject.toml", "[tool.doit", "not a TOML file"),
        ("pyproject.toml", "[tool.finnmake]\nruntime = 7\n", "there is no runtime 7"),
        ("blueprints/digits.yaml", "name: [", "blueprints/digits.yaml"),
        ("plugins/lutram.py", "def (", "plugins/lutram.py"),
    ],
)
def test_the_rest_is_told_where_something_is_broken(
    project: Project, name: str, text: str, words: str
) -> None:
    (project.root / name).write_text(text)
    run = project.run("doctor", "--quick")
    assert "Traceback" not in run.output and words in run.output
    assert run.code == (0 if name.startswith("plugins") else 1), run.output
    for check in ("Python", "lock", "store", "disk", "container", "Vivado"):
        assert f" {check} " in run.output


@pytest.mark.parametrize(("backend", "state"), [("finn", OK), ("open_rtl", PROBLEM)])
def test_open_tools_that_are_missing_matter_where_they_are_needed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, state: str
) -> None:
    project.blueprint(keys={"backend": backend})
    (there,) = doctor_tools.check_open_rtl(project.root)
    assert there.state == OK and "verilator 5." in there.found
    monkeypatch.setenv("PATH", str(tmp_path))
    (missing,) = doctor_tools.check_open_rtl(project.root)
    assert missing.state == state and "there is no g++ on PATH" in missing.found
    assert ("apt install g++" in missing.cure) == (state == PROBLEM)


def test_it_works_without_any_package(project: Project) -> None:
    """With another Python, in which not even doit is installed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BARE, str(REPOSITORY / "src"), "doctor", "--quick"],
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    assert "problem toolchain     not installed: finn-plus, qonnx" in done.stdout
    assert "ok      disk" in done.stdout and "ok      settings" in done.stdout


_BARE = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
from finnmake.__main__ import main
sys.exit(main())
"""


def test_a_check_that_breaks_is_a_finding_and_the_next_one_runs() -> None:
    def breaks(root: Path) -> Iterator[Finding]:
        yield Finding("one", OK, "fine")
        raise AttributeError("half a package")

    checks = [
        Check("one", breaks),
        Check("two", lambda root: [Finding("two", OK, "fine")], lambda root: "slow"),
    ]
    said: list[str] = []
    found = list(examine(checks, Path(), said.append))
    assert [each.state for each in found] == [OK, PROBLEM, OK]
    assert "AttributeError: half a package" in found[1].found
    assert said == ["slow"]


def test_a_finding_is_a_line_with_its_cure_below() -> None:
    text = finding_text(Finding("lock", WARNING, "two\nlines", "Do this."))
    indent = " " * 22
    assert text == f"warning lock          two\n{indent}lines\n{indent}-> Do this.\n"
    found = [Finding("a", OK, ""), Finding("b", PROBLEM, ""), Finding("c", PROBLEM, "")]
    assert summary_text(found) == "2 problems, 0 warnings, 1 ok\n"


def test_a_wrong_option_is_said(project: Project) -> None:
    assert project.fail("doctor", "--nonsense").code == 3


# Python and packages


def test_a_python_of_another_version_is_a_problem(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert "3.14.0" in only(doctor_python.check_python(project.root), PROBLEM).found


def test_a_lock_that_differs_is_told_package_by_package(project: Project) -> None:
    path = project.root / "requirements.lock"
    numpy = locked.installed_versions()["numpy"]
    path.write_text(path.read_text().replace(f"numpy=={numpy}", "numpy==1.2.3") + "no-such==1.0\n")
    found = list(doctor_python.check_lock(project.root))
    assert only(iter(found), PROBLEM).found == "not installed: no_such"
    assert f"numpy {numpy} (lock: 1.2.3)" in only(iter(found), WARNING).found


def test_a_package_beside_the_lock_is_a_warning(project: Project) -> None:
    path = project.root / "requirements.lock"
    path.write_text(path.read_text().replace("numpy==", "# numpy=="))
    assert "installed besides: numpy" in only(doctor_python.check_lock(project.root), WARNING).found


@pytest.mark.parametrize("data", [b"", b"\xff\xfe"])
def test_a_lock_that_says_nothing_is_a_warning(project: Project, data: bytes) -> None:
    (project.root / "requirements.lock").write_bytes(data)
    only(doctor_python.check_lock(project.root), WARNING)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package `qonnx`, which is found before the real one."""
    site = tmp_path / "site"
    (site / "qonnx").mkdir(parents=True)
    (site / "qonnx-1.0.0.dist-info").mkdir()
    (site / "qonnx" / "core.py").write_text("one = 1\n")
    digest = "sha256=gYbAdZ4yZ8H0u0m1mZP8kQG0Yb0H4d4fJm5p3m0Y0bA"  # of nothing that is there
    (site / "qonnx-1.0.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: qonnx\nVersion: 1\n"
    )
    (site / "qonnx-1.0.0.dist-info" / "RECORD").write_text(f"qonnx/core.py,{digest},8\n")
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_package_that_was_edited_in_place_is_a_problem(project: Project, package: Path) -> None:
    found = only(doctor_python.check_edited(project.root), PROBLEM)
    assert "qonnx was edited in place: qonnx/core.py" in found.found


def test_an_editable_package_is_a_warning(project: Project, package: Path) -> None:
    info = package / "qonnx-1.0.0.dist-info"
    (info / "RECORD").write_text("")
    (info / "direct_url.json").write_text('{"url": "file:///src/qonnx", "dir_info": {"editable": true}}')
    found = only(doctor_python.check_edited(project.root), WARNING)
    assert "qonnx is installed editable from file:///src/qonnx" in found.found


# the project


def test_who_builds_in_the_folder_is_told(project: Project) -> None:
    lock = project.root / "builds/.lock"
    lock.parent.mkdir()
    with open(lock, "w") as stream:
        stream.write("4242\n")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert "process 4242 is building" in only(doctor_project.check_lock(project.root), WARNING).found
    assert states(doctor_project.check_lock(project.root)) == {OK}  # left by a run that is no more


@pytest.mark.parametrize("data", [b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_state_of_tasks_is_told(project: Project, data: bytes) -> None:
    path = project.root / "builds/digits/.doit.sqlite"
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tasks (task TEXT PRIMARY KEY, data TEXT)")
    connection.close()
    assert states(doctor_project.check_state(project.root)) == {OK}
    path.write_bytes(data)
    found = only(doctor_project.check_state(project.root), WARNING)
    assert found.found == "builds/digits/.doit.sqlite is damaged"
    assert path.read_bytes() == data


# the machine


def test_a_store_in_place_of_which_there_is_a_file_is_a_problem(project: Project) -> None:
    project.store.write_text("")
    assert "no folder" in only(doctor_machine.check_store(project.root), PROBLEM).found


def test_a_store_that_cannot_be_written_is_a_problem(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write wherever rights forbid it: the read-only disk is played."""
    project.store.mkdir()
    mkdir = Path.mkdir

    def refuses(path: Path, *arguments: object, **options: object) -> None:
        if path.is_relative_to(project.store):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuses)
    found = only(doctor_machine.check_store(project.root), PROBLEM)
    assert "Read-only file system" in found.found and "FINNMAKE_STORE" in found.cure


def test_a_store_of_another_layout_is_a_problem(project: Project) -> None:
    project.store.mkdir()
    (project.store / "VERSION").write_text("99")
    assert "layout '99'" in only(doctor_machine.check_store(project.root), PROBLEM).found


def test_what_the_store_takes_and_how_outputs_are_placed_is_told(project: Project) -> None:
    project.store.mkdir()
    (project.store / "VERSION").write_text(STORE_VERSION)
    (project.store / "blob").write_bytes(b"x" * 100_000)
    store, system = doctor_machine.check_store(project.root)
    assert "in 2 files" in store.found and "kB" in store.found
    assert "links" in system.found or "copies" in system.found
    assert sorted(path.name for path in project.store.iterdir()) == ["VERSION", "blob"]


@pytest.mark.parametrize(("kind", "state"), [("nfs4", WARNING), ("tmpfs", WARNING), ("ext4", OK)])
def test_a_store_on_another_machine_or_in_memory_is_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, state: str
) -> None:
    monkeypatch.setattr(doctor_machine, "_kind", lambda place: kind)
    assert list(doctor_machine.check_store(project.root))[-1].state == state


@pytest.mark.parametrize(("free", "state"), [(10, PROBLEM), (5 << 30, WARNING), (50 << 30, OK)])
def test_little_space_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    real = shutil.disk_usage(project.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=free))
    assert states(doctor_machine.check_disk(project.root)) == {state}


def test_programs_that_are_not_there_are_warnings(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_script(tmp_path / "bin" / "g++", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = list(doctor_machine.check_programs(project.root))
    assert [each.state for each in found] == [WARNING] * 3
    assert found[0].found.startswith("no make: ") and "graphviz" in found[1].cure


def test_a_variable_that_changes_results_is_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVENESS_THRESHOLD", "5")
    assert "LIVENESS_THRESHOLD=5" in only(doctor_machine.check_variables(project.root), WARNING).found


# tools


def name_vivado(project: Project, path: Path, licence: str, version: str = "2022.2") -> None:
    with open(project.root / "pyproject.toml", "a") as stream:
        stream.write(
            f'\n[tool.finnmake.toolchain]\nvivado = {{ path = "{path}", version = "{version}" }}\n'
            f'licence = "{licence}"\n'
        )


def test_vivado_is_asked_for_its_version_and_its_licence_server_for_an_answer(
    project: Project, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        name_vivado(project, fake_vivado.make(tmp_path / "tools"), f"{port}@127.0.0.1")
        vivado, licence = doctor_tools.check_vivado(project.root)
    assert vivado.state == OK and "v2022.2 (64-bit) SW Build 3671981" in vivado.found
    assert licence == Finding("licence", OK, f"{port}@127.0.0.1 answers")
    assert states(iter(list(doctor_tools.check_vivado(project.root))[1:])) == {WARNING}  # it is gone


@pytest.mark.parametrize(
    ("says", "words"), [("2023.1", "2022.2 is pinned"), (None, "there is no folder /no/such")]
)
def test_another_or_no_vivado_is_a_problem(
    project: Project, tmp_path: Path, says: str | None, words: str
) -> None:
    path = fake_vivado.make(tmp_path / "tools", says=says) if says else Path("/no/such")
    name_vivado(project, path, "none")
    assert words in only(doctor_tools.check_vivado(project.root), PROBLEM).found


def test_a_vivado_that_the_environment_names_is_looked_at(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XILINX_VIVADO", str(fake_vivado.make(tmp_path / "tools", hls=False)))
    assert "no licence" in only(doctor_tools.check_vivado(project.root), WARNING).found
    monkeypatch.setenv("XILINX_VIVADO", "/no/such")
    assert "no folder" in only(doctor_tools.check_vivado(project.root), PROBLEM).found


@pytest.mark.parametrize(("runtime", "state"), [("local", OK), ("auto", OK), ("container", PROBLEM)])
def test_no_container_engine_matters_only_where_one_is_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, runtime: str, state: str
) -> None:
    monkeypatch.setenv("FINNMAKE_RUNTIME", runtime)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{project.root}/no.sock")
    assert state in states(doctor_tools.check_container(project.root))
    assert (PROBLEM in states(doctor_tools.check_container(project.root))) == (state == PROBLEM)
