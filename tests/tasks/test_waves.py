"""`doit waves`: the waveform of a design that was built, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finnmake.backends.open_rtl import simulate, tools
from finnmake.backends.open_rtl.deadlock import Deadlock
from finnmake.backends.open_rtl.measured import DEADLOCK, DONE, LIMIT, Measured
from finnmake.backends.open_rtl.simulate import Program, Run
from finnmake.errors import WorkspaceError
from finnmake.hashing import digest_file
from finnmake.tasks import waves
from finnmake.tasks.waves import Waves
from finnmake.tasks.workspace import Workspace, using
from tests.backends.open_rtl import handmade
from tests.projects import Project, contents

DONE_AT = 1_000

#: Where a build leaves the design, relative to `artifacts/`.
RTL = "open_rtl/rtl"


def built(folder: Path) -> Project:
    """A project in which the design by hand is what was built, as far as the command looks."""
    project = Project.clone(folder / "project", folder / "store")
    project.blueprint(keys={"backend": "open_rtl", "output_stage": "RTL"})
    handmade.write(project.folder("tiny") / "artifacts" / RTL)
    manifest(project)
    return project


def manifest(project: Project) -> None:
    """Write the manifest for the files that are there."""
    artifacts = project.folder("tiny") / "artifacts"
    files = sorted(path for path in artifacts.rglob("*") if path.is_file())
    outputs = {path.relative_to(artifacts).as_posix(): digest_file(path) for path in files}
    (project.folder("tiny") / "manifest.json").write_text(json.dumps({"outputs": outputs}))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project `built`. Not to be changed, but for waveforms."""
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture
def own(tmp_path: Path) -> Project:
    """One to change."""
    return built(tmp_path)


class Simulator:
    """Stands in for Verilator: notes what was asked for, and writes so many bytes.

    Attributes:
        measured: what it gives.
        seconds: that it takes.
        asked: the run that was asked for last.
        files: that lay in the design's folder.
    """

    def __init__(self) -> None:
        self.measured = Measured(DONE, DONE_AT, (0, 1, 2), (400, 700, DONE_AT))
        self.seconds = 0.0
        self.asked = Run()
        self.files: dict[str, str] = {}
        self.shapes: dict[str, Any] = {}

    def build(self, design: Any, source: Path, folder: Path, **options: Any) -> Program:
        assert options["waves"] and options["observe"]
        self.files = contents(source)
        return Program(folder / "sim", source, design, observe=True, waves=True)

    def run(self, program: Program, inputs: Any, asked: Run) -> tuple[Measured, dict[str, Any]]:
        time.sleep(self.seconds)
        self.asked = asked
        self.shapes = {name: values.shape for name, values in inputs.items()}
        assert asked.waves is not None
        asked.waves.file.write_bytes(b"waveform")
        return self.measured, {}


@pytest.fixture
def simulator(shared: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator in the place of the real one, in the project `shared`."""
    fake = Simulator()
    shared.enter(monkeypatch)
    monkeypatch.setattr(tools, "check", dict)
    monkeypatch.setattr(simulate, "build", fake.build)
    monkeypatch.setattr(simulate, "run", fake.run)
    monkeypatch.setattr(waves.signal, "signal", lambda *_: None)
    with using(Workspace(shared.root)):
        yield fake
    for path in shared.root.glob("*.fst"):
        path.unlink()


def call(*arguments: str) -> int:
    """The command in this process; gives the exit code."""
    code: int = Waves().parse_execute(list(arguments))
    return code


def test_design_is_simulated_as_it_was_built(
    shared: Project, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("config_001") == 0
    assert simulator.files == contents(shared.folder("tiny") / "artifacts" / RTL)
    assert simulator.asked.inferences == 3 and simulator.asked.limit is None
    assert simulator.shapes == {"in0": (3, 16, 2), "in1": (3, 4, 5)}
    assert (shared.root / "tiny-config_001.fst").read_bytes() == b"waveform"
    said = capsys.readouterr()
    assert said.out == "tiny-config_001.fst: cycles 0 to 999, 3 of 3 inferences to the end, 8 B\n"
    assert said.err == "", "it took no two seconds"


def test_after_a_build_each_configuration_has_its_waveform(
    shared: Project, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert waves.write_all(["config_001"]) == 0
    assert capsys.readouterr().out.startswith("tiny-config_001.fst: cycles 0 to 999")
    with pytest.raises(WorkspaceError, match="no configuration is built by these tasks"):
        waves.write_all([])


@pytest.mark.parametrize(
    ("given", "first", "last", "limit"),
    [("10:20", 10, 20, 21), (":20", 0, 20, 21), ("10:", 10, 2**63, None), ("7:7", 7, 7, 8)],
)
def test_cycles_are_a_window_and_the_simulation_ends_behind_it(
    simulator: Simulator, given: str, first: int, last: int, limit: int | None
) -> None:
    simulator.measured = Measured(LIMIT if limit else DONE, limit or DONE_AT, (0,), ())
    assert call("build:config_001", "--cycles", given) == 0
    window = simulator.asked.waves
    assert window is not None
    assert (window.first, window.last, simulator.asked.limit) == (first, last, limit)


def test_options_may_stand_before_the_configuration(shared: Project, simulator: Simulator) -> None:
    (shared.root / "here.fst").write_bytes(b"an older one")
    assert call("--inferences=250", "-o", "here.fst", "config_001") == 0
    assert simulator.asked.inferences == 250
    assert simulator.shapes["in0"] == (100, 16, 2), "inputs come over and over"
    assert (shared.root / "here.fst").read_bytes() == b"waveform"


def test_cycles_that_are_never_reached_leave_no_file(
    shared: Project, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("config_001", "--cycles", "5000:6000") == 3
    assert "ends after 1,000 cycles, before cycle 5,000" in capsys.readouterr().err
    assert not list(shared.root.glob("*.fst*"))


def test_deadlock_is_told_and_its_waveform_written(
    shared: Project, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Deadlock(("fifo_0",), ("add_0",), "FIFO fifo_0 is full, and add_0 waits for held_q")
    simulator.measured = Measured(DEADLOCK, 5_000, (0,), (), deadlock=found)
    assert call("config_001") == 1
    said = capsys.readouterr()
    assert "0 of 3 inferences to the end" in said.out
    assert found.message in said.err
    assert (shared.root / "tiny-config_001.fst").exists()


def test_what_takes_long_is_told(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("finnmake.tasks.amounts._PATIENCE", 0.05)
    simulator.seconds = 0.5
    assert call("config_001") == 0
    assert "waves: simulating 3 inferences of config_001, 0 s so far\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "it needs the name of a configuration"),
        (("config_002",), "config_002"),
        (("config_001", "more"), "it takes no 'more'"),
        (("config_001", "--cycles", "20:10"), "takes FIRST:LAST"),
        (("config_001", "--cycles", "20"), "takes FIRST:LAST"),
        (("config_001", "--cycles", "-1:5"), "takes FIRST:LAST"),
        (("config_001", "--inferences", "0"), "takes a whole number from 1 on"),
        (("config_001", "--inferences", "many"), "takes a whole number from 1 on"),
        (("config_001", "-o", "wave.vcd"), "a waveform's name ends in .fst"),
        (("config_001", "-o", "nowhere/wave.fst"), "there is no folder"),
        (("config_001", "-o", "models"), "this is a folder"),
    ],
)
def test_command_that_cannot_be_is_refused(shared: Project, arguments: tuple[str, ...], said: str) -> None:
    run = shared.fail("waves", *arguments)
    assert run.code == 3
    assert said in run.output


def test_configuration_that_is_not_built_is_refused(own: Project) -> None:
    (own.folder("tiny") / "manifest.json").unlink()
    run = own.fail("waves", "config_001")
    assert (run.code, "config_001: it is not built" in run.output) == (3, True)
    assert "doit build:config_001" in run.output


def test_build_that_ends_before_the_design_is_refused(own: Project) -> None:
    (own.folder("tiny") / "manifest.json").write_text('{"outputs": {"report/a.json": "0"}}')
    run = own.fail("waves", "config_001")
    assert "ends before the design is stitched (output_stage RTL)" in run.output


@pytest.mark.parametrize("content", ["", "[]", '{"outputs": 1}', "{}"])
def test_damaged_manifest_is_refused(own: Project, content: str) -> None:
    (own.folder("tiny") / "manifest.json").write_text(content)
    assert "its manifest.json cannot be read" in own.fail("waves", "config_001").output


def test_file_that_is_not_as_built_is_named(own: Project) -> None:
    path = own.folder("tiny") / "artifacts" / RTL / "scale.dat"
    path.write_text("00\n00\n")
    assert f"{RTL}/scale.dat is not what was built" in own.fail("waves", "config_001").output
    path.unlink()
    assert f"{RTL}/scale.dat cannot be read" in own.fail("waves", "config_001").output


def test_design_of_another_finnmake_is_refused(own: Project) -> None:
    (own.folder("tiny") / "artifacts" / RTL / "design.json").write_text('{"top": "a"}')
    manifest(own)
    assert f"{RTL}/design.json is of another finnmake" in own.fail("waves", "config_001").output


def test_build_of_another_backend_is_refused(own: Project) -> None:
    own.blueprint(keys={"backend": "mock"})
    run = own.fail("waves", "config_001")
    assert run.code == 3
    assert "this blueprint's is mock" in run.output and "backend: open_rtl" in run.output


def test_missing_compiler_is_told_with_its_cure(own: Project, tmp_path: Path) -> None:
    own.extra["PATH"] = str(tmp_path)
    run = own.fail("waves", "config_001")
    assert run.code == 1
    assert "there is no g++ on PATH" in run.output and "apt install g++ make" in run.output
    assert not list(own.root.glob("*.fst*"))


@pytest.mark.slow
@pytest.mark.finn
def test_real_simulation_writes_a_waveform(shared: Project) -> None:
    """An FST file begins with its header: a block of type 0, of 329 bytes."""
    run = shared.succeed("waves", "config_001", "--cycles", "5:60", "-o", "real.fst")
    assert "real.fst: cycles 5 to 60, " in run.output
    found = (shared.root / "real.fst").read_bytes()
    assert found[:9] == bytes((0,)) + (329).to_bytes(8, "big")
    assert len(found) > 330
