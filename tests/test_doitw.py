"""doitw and _bootstrap: a tiny project with one locked package, set up for real and offline."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from finnmake import _bootstrap

SOURCE = Path(__file__).resolve().parents[1]

PYPROJECT = """\
[build-system]
requires = []
build-backend = "tiny_backend"
backend-path = ["."]

[project]
name = "finnmake"
version = "0.1"
"""

BACKEND = '''\
"""A build backend for an editable finnmake. While a file "hold" exists it writes "held" and waits."""
import pathlib, time, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    while pathlib.Path("hold").exists():
        pathlib.Path("held").touch()
        time.sleep(0.01)
    name = "finnmake-0.1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        wheel.writestr("finnmake.pth", str(pathlib.Path("src").resolve()))
        info = "finnmake-0.1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: finnmake\\nVersion: 0.1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
'''

MAIN = """\
import os, sys, tiny
print("tiny", tiny.VERSION, sys.argv[1:], os.getcwd(), os.environ.get("PYTHONPATH"))
"""


def make_wheel(folder: Path, version: str) -> str:
    """Puts a wheel of a package ``tiny`` there; returns its line for a lock file."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny/__init__.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"tiny=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@dataclass(frozen=True)
class TinyProject:
    root: Path
    wheels: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "doitw", *arguments],
            cwd=self.root.parent,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **environment) as process:
            output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def lock(self, line: str) -> None:
        (self.root / "requirements.lock").write_text(line)

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + 60
        while not (self.root / name).exists():
            assert time.monotonic() < deadline, f"{name} never appeared"
            time.sleep(0.01)


@pytest.fixture
def project(tmp_path: Path) -> TinyProject:
    root = tmp_path / "a project"
    package = root / "src" / "finnmake"
    package.mkdir(parents=True)
    shutil.copy(SOURCE / "doitw", root)
    shutil.copy(SOURCE / "src" / "finnmake" / "_bootstrap.py", package)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(MAIN)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "tiny_backend.py").write_text(BACKEND)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "FINNMAKE_", "PYTHON"))
    }
    environment |= {
        "FINNMAKE_PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
    }
    tiny = TinyProject(root, wheels, environment)
    tiny.lock(make_wheel(wheels, "1.0"))
    return tiny


@pytest.mark.slow
def test_makes_the_environment_then_leaves_it_alone(project: TinyProject) -> None:
    first = project.run("build:config_001", "a b", PYTHONPATH="/nowhere")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"tiny 1.0 ['build:config_001', 'a b'] {project.root} None\n"
    phases = [line.split(" (")[0] for line in first.stderr.splitlines()]
    assert phases[0].startswith("doitw: making .venv with Python 3.")
    assert phases[1:3] == [
        "doitw: installing 1 packages from requirements.lock",
        "doitw: installing finnmake",
    ]
    assert phases[3].startswith("doitw: ready in ")

    made = (project.root / ".venv").stat().st_mtime_ns
    second = project.run()
    assert (second.returncode, second.stderr) == (0, "")
    # The check itself starts no Python: it says all is well even where there is none to be found.
    assert project.run(PATH="/usr/bin:/bin").stderr == ""
    assert (project.root / ".venv").stat().st_mtime_ns == made


@pytest.mark.slow
def test_a_changed_file_is_noticed(project: TinyProject) -> None:
    assert project.run().returncode == 0
    kept = project.root / ".venv" / "kept"
    kept.touch()

    (project.root / "pyproject.toml").write_text(PYPROJECT + "# edited\n")
    edited = project.run()
    assert edited.returncode == 0
    assert "doitw: installing finnmake (pyproject.toml has changed)" in edited.stderr
    assert "making" not in edited.stderr
    assert kept.exists()

    project.lock(make_wheel(project.wheels, "2.0"))
    locked = project.run()
    assert "(requirements.lock has changed)" in locked.stderr
    assert locked.stdout.startswith("tiny 2.0 ")
    assert not kept.exists()
    assert project.run().stderr == ""

    moved = project.root.with_name("moved")
    project.root.rename(moved)
    again = TinyProject(moved, project.wheels, project.environment).run()
    assert f"(the one there was made for {project.root})" in again.stderr
    assert again.stdout == f"tiny 2.0 [] {moved} None\n"


@pytest.mark.slow
def test_killed_half_way_starts_over(project: TinyProject) -> None:
    (project.root / "hold").touch()
    process = project.start()
    project.wait_for("held")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    (project.root / "hold").unlink()
    after = project.run()
    assert after.returncode == 0, after.stderr
    assert "(the one there was not completed)" in after.stderr
    assert after.stdout.startswith("tiny 1.0 ")
    assert project.run().stderr == ""


@pytest.mark.slow
def test_a_pip_that_outlives_its_parent_is_waited_for(project: TinyProject) -> None:
    (project.root / "hold").touch()
    process = project.start()
    project.wait_for("held")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this kernel does not list a process's children")
    bootstrap = int(children.read_text().split()[0])
    os.kill(process.pid, signal.SIGKILL)
    os.kill(bootstrap, signal.SIGKILL)
    process.communicate()

    second = project.start()
    assert second.stderr is not None
    assert second.stderr.readline() == "doitw: waiting for another doitw, which is making .venv\n"
    (project.root / "hold").unlink()
    output, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert "(the one there was not completed)" in errors
    assert output.startswith("tiny 1.0 ")


@pytest.mark.slow
def test_two_at_once_set_up_once(project: TinyProject) -> None:
    (project.root / "hold").touch()
    first = project.start()
    project.wait_for("held")
    second = project.start()
    assert second.stderr is not None
    assert second.stderr.readline() == "doitw: waiting for another doitw, which is making .venv\n"
    (project.root / "hold").unlink()
    for process in (first, second):
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert output.startswith("tiny 1.0 ")
        assert errors.count("making .venv with") == (process is first)


@pytest.mark.slow
def test_a_file_with_another_hash_is_refused(project: TinyProject) -> None:
    right = (project.root / "requirements.lock").read_text()
    project.lock(right[:-5] + "0000\n")
    refused = project.run()
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    last = refused.stderr.splitlines()[-1]
    assert last.startswith(
        "doitw: installing the packages failed: a download is not the file that requirements.lock"
    )

    project.lock(right)
    assert project.run().stdout.startswith("tiny 1.0 ")


def test_no_suitable_python(project: TinyProject, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = project.run(FINNMAKE_PYTHON=str(old))
    assert refused.returncode == 1
    assert f"none of these is Python 3.11, 3.12 or 3.13: {old}\n" in refused.stderr
    assert "FINNMAKE_PYTHON=/path/to/python3 ./doitw" in refused.stderr
    assert not (project.root / ".venv").exists()


def test_a_python_that_does_not_run_is_passed_over(project: TinyProject, tmp_path: Path) -> None:
    """A pyenv shim of a version that is not chosen is found on PATH but fails."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in {
        "python3.11": "#!/bin/sh\nexit 127\n",
        "python3.12": '#!/bin/sh\n[ "$2" = -c ] || echo "chose 3.12"\n',
    }.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    run = project.run(FINNMAKE_PYTHON="", PATH=f"{commands}:{os.environ['PATH']}")
    assert run.stdout == "chose 3.12\n"


def test_a_python_without_ensurepip_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(_bootstrap.BootstrapError, match=r"apt install python3\.\d+-venv"):
        _bootstrap.set_up(tmp_path)
    assert not (tmp_path / ".venv").exists()
    assert "making .venv" in capsys.readouterr().err


def test_a_missing_lock_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(_bootstrap.BootstrapError, match=r"requirements\.lock is missing"):
        _bootstrap.set_up(tmp_path)


def test_an_environment_of_its_own_is_used_as_it_is(project: TinyProject, tmp_path: Path) -> None:
    python = tmp_path / "own" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    own = str(python.parents[1])
    assert project.run("list", FINNMAKE_VENV=own).stdout == "-m finnmake list\n"
    assert project.run("test", "-k", "a b", FINNMAKE_VENV=own).stdout == "-m pytest -k a b\n"
    assert project.run("bench", "--quick", FINNMAKE_VENV=own).stdout == "benchmarks/run.py --quick\n"
    assert not (project.root / ".venv").exists()
    refused = project.run(FINNMAKE_VENV="/nowhere")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "FINNMAKE_VENV=/nowhere holds no environment" in refused.stderr


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "pip cache purge"),
        ("ERROR: all requirements must have their versions pinned", "requirements.in"),
        ("OSError: [Errno 28] No space left on device", "free some space"),
        ("ERROR: No matching distribution found for tiny==3.0", "pip config list"),
        ("pip._vendor.pyproject_hooks._impl.BackendUnavailable: Cannot import 'x'", r"[build-system]"),
        ("a surprise", "starts over"),
    ],
)
def test_a_failure_comes_with_what_to_do(output: str, hint: str) -> None:
    assert hint in _bootstrap.hint_for(output)


def test_the_lock_names_every_package_of_the_list_with_hashes_and_no_host() -> None:
    def normal(name: str) -> str:
        package, _, where = name.partition(";")
        return package.strip().lower().replace("_", "-") + where.replace('"', "'").strip()

    listed = {
        normal(line.strip())
        for line in (SOURCE / "requirements.in").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    }
    text = (SOURCE / "requirements.lock").read_text()
    entries = [entry.split(" --hash=sha256:") for entry in text.replace("\\\n", " ").splitlines()]
    assert {normal(entry[0]) for entry in entries} == listed
    assert all(entry[1:] and all(len(digest.strip()) == 64 for digest in entry[1:]) for entry in entries)
    assert "://" not in text
