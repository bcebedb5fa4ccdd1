from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finnmake.backends.open_rtl import instances
from finnmake.backends.open_rtl.design import Design, Layer
from finnmake.backends.open_rtl.instances import Instance
from finnmake.errors import StepError

_LIBRARY = 'module rom #(parameter FILE = "") (input clk, output [7:0] data); endmodule\n'
_OTHER = "module other(); endmodule\n"
_TOP = """module finn_top(input ap_clk, input go, output [7:0] out0_V_TDATA);
	layer_0 layer_0 (.clk(ap_clk), .clk2x(ap_clk), .tied(4'b10x1), .go(go), .seen(out0_V_TDATA), .unseen());
	layer_1 layer_1 (.clk(ap_clk), .clk2x(ap_clk), .tied(4'b10x1), .go(go), .seen(), .unseen());
	rom #(.FILE("layer_0_weights.dat")) layer_0_weights (.clk(ap_clk), .data());
	rom #(.FILE("layer_1_weights.dat")) layer_1_weights (.clk(ap_clk), .data());
endmodule
"""


def _layer(name: str) -> str:
    """A module as FINN generates it: with its own name, and that of its data."""
    ports = "input clk, input clk2x, input [3:0] tied, input go, output [7:0] seen, output [1:0] unseen"
    return f'module {name} ({ports});\n\trom #(.FILE("./{name}_thresholds.dat")) u (clk, seen);\nendmodule\n'


def _cell(kind: str, **pins: tuple[str, list[Any]]) -> dict[str, Any]:
    return {
        "type": kind,
        "connections": {pin: bits for pin, (_, bits) in pins.items()},
        "port_directions": {pin: direction for pin, (direction, _) in pins.items()},
    }


def _netlist() -> dict[str, Any]:
    out = list(range(10, 18))

    def layer(name: str, seen: list[int]) -> dict[str, Any]:
        return _cell(
            name,
            clk=("input", [2]),
            clk2x=("input", [2]),
            tied=("input", ["1", "x", "0", "1"]),
            go=("input", [3]),
            seen=("output", seen),
            unseen=("output", [30, 31]),
        )

    def rom(base: int) -> dict[str, Any]:
        return _cell("rom", clk=("input", [2]), data=("output", list(range(base, base + 8))))

    return {
        "modules": {
            "finn_top": {
                "ports": {
                    "ap_clk": {"direction": "input", "bits": [2]},
                    "go": {"direction": "input", "bits": [3]},
                    "out0_V_TDATA": {"direction": "output", "bits": out},
                },
                "cells": {
                    "layer_0": layer("layer_0", out),
                    "layer_1": layer("layer_1", list(range(40, 48))),
                    "layer_0_weights": rom(50),
                    "layer_1_weights": rom(60),
                    "$not": _cell("$logic_not", A=("input", [3]), Y=("output", [70])),
                },
            }
        }
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"library.sv": _LIBRARY, "other.sv": _OTHER, "finn_top.sv": _TOP}
    files |= {f"layer_{k}.sv": _layer(f"layer_{k}") for k in (0, 1)}
    files |= {f"layer_{k}_{kind}.dat": "0a\n" for k in (0, 1) for kind in ("weights", "thresholds")}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _design(folder: Path) -> Design:
    layers = tuple(Layer(f"layer_{k}", "Layer_rtl", f"layer_{k}", (), ()) for k in (0, 1))
    sources = ("library.sv", "other.sv", "layer_0.sv", "layer_1.sv", "finn_top.sv")
    data = tuple(sorted(path.name for path in folder.glob("*.dat")))
    return Design("finn_top", (), (), layers, (), (), sources, data, (), ())


def _find(folder: Path, netlist: dict[str, Any] | None = None, flow: str = "flow") -> dict[str, Instance]:
    found = instances.find(_design(folder), folder, netlist or _netlist(), flow)
    return {one.name: one for one in found}


def _same_nets() -> dict[str, Any]:
    netlist = _netlist()
    netlist["modules"]["finn_top"]["ports"]["more"] = {"direction": "output", "bits": list(range(40, 48))}
    return netlist


def test_the_wrapper_ties_constants_joins_pins_and_leaves_open_what_nothing_reads(folder: Path) -> None:
    assert _find(folder)["layer_0"].wrapper == (
        "module finnmake_instance (input [1:0] i, output [7:0] o);\n"
        "\twire [7:0] w_seen;\n"
        "\tassign o = {w_seen[7], w_seen[6], w_seen[5], w_seen[4], "
        "w_seen[3], w_seen[2], w_seen[1], w_seen[0]};\n"
        "\tlayer_0  u (.clk({i[0]}), .clk2x({i[0]}), .go({i[1]}), .seen(w_seen), "
        ".tied({1'b1, 1'b0, 1'bx, 1'b1}));\n"
        "endmodule\n"
    )


def test_parameters_are_as_the_top_writes_them(folder: Path) -> None:
    assert '\trom #(.FILE("layer_0_weights.dat")) u (' in _find(folder)["layer_0_weights"].wrapper


def test_logic_of_the_top_is_no_instance(folder: Path) -> None:
    assert list(_find(folder)) == ["layer_0", "layer_0_weights", "layer_1", "layer_1_weights"]
    assert instances.modules(_design(folder), folder) == ["layer_0", "layer_1", "rom"]


def test_an_instance_needs_only_the_files_that_it_names(folder: Path) -> None:
    assert _find(folder)["layer_0"].sources == ("library.sv", "layer_0.sv")


def test_instances_that_are_equal_but_for_their_names_have_one_key(folder: Path) -> None:
    found = _find(folder, _same_nets())
    assert found["layer_0"].key == found["layer_1"].key
    assert found["layer_0_weights"].key == found["layer_1_weights"].key
    assert found["layer_0"].key != found["layer_0_weights"].key


def test_outputs_that_are_read_make_a_difference(folder: Path) -> None:
    found = _find(folder)
    assert found["layer_0"].key != found["layer_1"].key


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("layer_1_weights.dat", "layer_1_weights"),
        ("layer_1_thresholds.dat", "layer_1"),
        ("layer_1.sv", "layer_1"),
    ],
)
def test_a_change_of_content_changes_the_keys_of_those_that_read_it(
    folder: Path, name: str, changed: str
) -> None:
    before = _find(folder)
    (folder / name).write_text((folder / name).read_text() + "// 0b\n")
    after = _find(folder)
    assert {one for one in before if before[one].key != after[one].key} == {changed}


def test_a_change_of_the_library_changes_all_that_use_it_and_no_other_file_any(folder: Path) -> None:
    before = _find(folder)
    (folder / "other.sv").write_text(_OTHER + "// changed\n")
    assert _find(folder) == before
    (folder / "library.sv").write_text(_LIBRARY + "// changed\n")
    after = _find(folder)
    assert all(before[one].key != after[one].key for one in before)


def test_the_flow_enters_the_key(folder: Path) -> None:
    assert _find(folder)["layer_0"].key != _find(folder, flow="another")["layer_0"].key


def test_an_instance_that_the_top_does_not_write_in_one_line_is_refused(folder: Path) -> None:
    (folder / "finn_top.sv").write_text(_TOP.replace("\tlayer_1 layer_1 (", "\tlayer_1 renamed ("))
    with pytest.raises(StepError, match="no line for the instance layer_1 of layer_1"):
        _find(folder)
