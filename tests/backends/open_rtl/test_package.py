"""The folder that Vivado takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import package
from finnmake.backends.open_rtl.design import Design

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def design(tmp_path: Path) -> Design:
    """A design whose sources stand for themselves."""
    found = designs.read(GOLDEN / "digits_cnn")
    (tmp_path / "rtl").mkdir()
    for name in (*found.sources, *found.data):
        (tmp_path / "rtl" / name).write_text(f"// {name}\n")
    designs.write(found, tmp_path / "rtl")
    return found


def packed(design: Design, folder: Path, **facts: object) -> Path:
    told = {"interval": 5184.0, "latency": 5296, "resources": {"LUT": 1234}, **facts}
    known = package.Facts("xc7z020clg400-1", 5.0, **told)  # type: ignore[arg-type]
    package.write(design, folder / "rtl", folder / "stitched_ip", known, {"fifo_depths": {}})
    return folder / "stitched_ip"


def test_it_holds_all_files_and_names_them(design: Design, tmp_path: Path) -> None:
    folder = packed(design, tmp_path)
    script = (folder / "import.tcl").read_text()
    for name in (*design.sources, *design.data):
        assert (folder / name).read_text() == f"// {name}\n"
        assert f"[file join $here {name}] \\\n" in script
    assert json.loads((folder / package.FIFO_CONFIG).read_text()) == {"fifo_depths": {}}
    assert "-period 5.0 " in (folder / "constraints.xdc").read_text()


def test_the_page_tells_ports_figures_and_the_hosts_part(design: Design, tmp_path: Path) -> None:
    page = (packed(design, tmp_path) / "README.md").read_text()
    assert "| `in0_V` | `global_in` 1x8x8x1 | 1 UINT8 a beat | 64 | 8 |" in page
    assert "5184.0 cycles (simulated)" in page and "| LUT | 1234 (Yosys" in page
    assert "Transpose before, nothing behind" in page
    assert str(tmp_path) not in page


def test_what_is_not_known_is_left_out(design: Design, tmp_path: Path) -> None:
    page = (packed(design, tmp_path, interval=None, latency=None, resources={}) / "README.md").read_text()
    assert "simulated" in page and "an inference every" not in page and "latency" not in page
    assert "None" not in page


def test_files_of_an_earlier_package_go(design: Design, tmp_path: Path) -> None:
    (tmp_path / "stitched_ip").mkdir()
    (tmp_path / "stitched_ip/old.sv").write_text("")
    assert not (packed(design, tmp_path) / "old.sv").exists()
