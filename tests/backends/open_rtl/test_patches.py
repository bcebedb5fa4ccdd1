from __future__ import annotations

import importlib.util
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from finnmake.backends.open_rtl import patches, tools
from finnmake.engine.parts import Parts
from finnmake.errors import ToolError
from finnmake.hashing import digest_bytes

_BENCHES = Path(__file__).parent / "benches"
_MVU = ("mvu_pkg.sv", "replay_buffer.sv", "add_multi.sv", "mvu.sv", "mvu_vvu_8sx9_dsp58.sv", "mvu_vvu_axi.sv")
_STALLS, _INPUTS = 1009, 150


@dataclass(frozen=True)
class Case:
    """A matrix-vector unit of the bench; `fold` is MW / SIMD, `nf` is MH / PE."""

    simd: int
    version: int = 1
    fold: int = 1
    pe: int = 1
    nf: int = 1

    @property
    def name(self) -> str:
        return f"s{self.simd}v{self.version}f{self.fold}p{self.pe}n{self.nf}"


# SIMD a power of two and not, more than one PE, and the core for DSP58 with its own depth.
_SHORT = (Case(1), Case(4), Case(3, 2, pe=2, nf=2), Case(2, 3))
_CASES = (*_SHORT, Case(3, fold=4))


def rtllib() -> Path:
    finn = importlib.util.find_spec("finn")
    assert finn is not None and finn.submodule_search_locations
    return Path(finn.submodule_search_locations[0]) / "finn-rtllib"


def _hex(rows: np.ndarray) -> str:
    """Rows of 4-bit values as words for $readmemh, value 0 in the low bits."""
    words = (sum(int(value) % 16 << 4 * place for place, value in enumerate(row)) for row in rows)
    return "".join(f"{word:x}\n" for word in words)


@dataclass(frozen=True)
class Run:
    """What came out of (case, patched or not), as rows of PE values, what should have, and what asserted."""

    got: dict[tuple[str, bool], np.ndarray]
    expected: dict[str, np.ndarray]
    said: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Run:
    folder = tmp_path_factory.mktemp("mvu")
    random = np.random.default_rng(7)
    stalls = random.random(_STALLS) < np.repeat([0.1, 0.9], 40).take(np.arange(_STALLS) % 80)
    (folder / "stalls.hex").write_text("".join(f"{int(stall)}\n" for stall in stalls))
    expected = {}
    for case in _CASES:
        inputs = random.integers(0, 16, (_INPUTS, case.simd * case.fold))
        matrix = random.integers(-7, 8, (case.pe * case.nf, case.simd * case.fold))
        words = matrix.reshape(case.nf, case.pe, case.fold, case.simd).transpose(0, 2, 1, 3)
        (folder / f"{case.name}_inputs.hex").write_text(_hex(inputs.reshape(-1, case.simd)))
        (folder / f"{case.name}_weights.hex").write_text(_hex(words.reshape(-1, case.pe * case.simd)))
        expected[case.name] = (inputs @ matrix.T).reshape(-1, case.pe)
    for name in _MVU:
        text = (rtllib() / "mvu" / name).read_text()
        (folder / name).write_text(patches.patched(name, text))
        if name == "mvu_vvu_axi.sv":
            of_finn = patches.patched(name, text, without=("output-queue",))
            (folder / "of_finn.sv").write_text(re.sub(r"\bmvu_vvu_axi\b", "mvu_vvu_axi_of_finn", of_finn))
    (folder / "top.sv").write_text(_top())
    sources = (*_MVU, "of_finn.sv", str(_BENCHES / "mvu_bench.sv"), "top.sv")
    main, place = _BENCHES / "clock.cpp", folder / "built"
    binary = tools.verilate(sources, "top", main, place, cwd=folder, optimise="-O0", runtime=runtime)
    done = subprocess.run([binary, "8000"], cwd=folder, capture_output=True, text=True, check=True)
    got = defaultdict(list)
    for name, patched, word in re.findall(r"^(s\w+) ([01]) ([0-9a-f]+)$", done.stdout, re.M):
        values = [int(word[place - 4 : place or None] or "0", 16) for place in range(0, -len(word), -4)]
        got[name, patched == "1"].append(values)
    rows = {key: np.array(values, dtype=np.uint16).view(np.int16) for key, values in got.items()}
    return Run(rows, expected, done.stdout + done.stderr)


def _top() -> str:
    benches = "".join(
        f'\tmvu_bench #(.CASE("{case.name}"), .PATCHED({patched}), .VERSION({case.version}), '
        f".SIMD({case.simd}), .FOLD({case.fold}), .PE({case.pe}), .NF({case.nf}), "
        f".INPUTS({_INPUTS}), .STALLS({_STALLS})) "
        f"{case.name}_{patched}(.clk, .rst_n);\n"
        for case in _CASES
        for patched in ((0, 1) if case in _SHORT else (1,))
    )
    return f"module top(input clk, input rst_n);\n{benches}endmodule\n"


@pytest.mark.slow
@pytest.mark.parametrize("case", _SHORT, ids=lambda case: case.name)
def test_finns_matrix_vector_unit_loses_data_under_back_pressure(run: Run, case: Case) -> None:
    assert not np.array_equal(run.got[case.name, False], run.expected[case.name])


@pytest.mark.slow
@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_the_patched_unit_is_exact_under_back_pressure(run: Run, case: Case) -> None:
    assert np.array_equal(run.got[case.name, True], run.expected[case.name])


@pytest.mark.slow
def test_finns_own_assertion_sees_the_lost_data(run: Run) -> None:
    units = set(re.findall(r"TOP\.top\.(\w+_[01])\.\S*: Overflowing output queue", run.said))
    assert units == {f"{case.name}_0" for case in _SHORT}, run.said[:2000]


def test_each_patch_applies_to_the_installed_finn_and_says_why() -> None:
    for file in patches.table().values():
        places = list(rtllib().rglob(file.name))
        assert places, file.name
        for place in places:
            text = place.read_text()
            assert patches.patched(file.name, text) != text
        assert all(patch.reason.strip() for patch in file.patches)


def test_a_patch_can_be_left_out() -> None:
    text = (rtllib() / "mvu/mvu_vvu_axi.sv").read_text()
    assert patches.patched("mvu_vvu_axi.sv", text, without=("output-queue",)) == text


def test_only_the_output_queue_changes_what_the_hardware_does() -> None:
    defects = [patch.name for file in patches.table().values() for patch in file.patches if patch.defect]
    assert defects == ["output-queue"]


def test_another_file_of_finns_is_refused() -> None:
    text = (rtllib() / "fifo/hdl/fifo.sv").read_text()
    with pytest.raises(ToolError, match=r"FINN's fifo\.sv is another") as raised:
        patches.patched("fifo.sv", text + "\n")
    assert "patches.toml" in raised.value.cure


def test_a_patch_whose_text_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "module a; endmodule\n"
    change = patches.Patch("gone", "a reason", "endmodule : a", "")
    file = patches.PatchedFile("a.sv", digest_bytes(text.encode()), (change,))
    monkeypatch.setattr(patches, "table", lambda: {"a.sv": file})
    with pytest.raises(ToolError, match=r"'gone' of a\.sv finds its text 0 times, not 1"):
        patches.patched("a.sv", text)


def test_files_that_need_no_patch_stay_as_they_are() -> None:
    assert patches.patched("replay_buffer.sv", "anything") == "anything"
