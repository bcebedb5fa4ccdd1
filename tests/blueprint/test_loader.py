"""What a good blueprint becomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blueprint_samples import GOOD

from finnmake.blueprint.loader import forge
from finnmake.blueprint.names import NameCatalog
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog, step_list
from finnmake.errors import BlueprintError
from finnmake.plugins.catalog import PluginCatalog
from finnmake.runner import devices

Read = Callable[[str | bytes], DesignSpace]
REPOSITORY = Path(__file__).parents[2]


class ProjectCatalog:
    """FINN's names and those of the project's plugins."""

    def __init__(self) -> None:
        self._catalogs: list[NameCatalog] = [PluginCatalog(REPOSITORY / "plugins"), FinnCatalog()]

    def find(self, kind: str, name: str) -> str | None:
        return next(filter(None, (catalog.find(kind, name) for catalog in self._catalogs)), None)

    def names(self, kind: str) -> list[str]:
        return [name for catalog in self._catalogs for name in catalog.names(kind)]


def test_the_least_blueprint_has_the_defaults(read: Read, project: Path) -> None:
    space = read(GOOD)
    assert space.name == "small"
    assert space.path == project / "blueprints/small.yaml"
    assert space.model_path == "models/net.onnx"
    assert space.backend == "finn"
    assert space.flags == {"fpga_part": "xc7z020clg400-1"}
    assert space.axes == {}
    assert space.global_config == {"output_stage": "ESTIMATES", "timeout_seconds": 3600}
    assert space.build_steps == step_list("estimate_only_dataflow_steps")
    assert space.transforms_by_stage == {"pre_proc": (), "post_proc": ()}
    assert space.get_total_combinations() == 1


def test_null_means_not_written(read: Read) -> None:
    empty = "  transforms:\n  steps:\ndescription:\nbackend:\ntimeout:\noutput_stage:\n"
    assert read(GOOD + empty) == read(GOOD)


def test_a_list_is_an_axis_in_the_written_order(read: Read) -> None:
    space = read(GOOD + "    target_fps: [30, 10]\n    synth_clk_period_ns: [5, 2.5]\n    mlo: true\n")
    assert list(space.axes.items()) == [("target_fps", (30, 10)), ("synth_clk_period_ns", (5.0, 2.5))]
    assert space.flags["mlo"] is True
    assert space.get_total_combinations() == 4


def test_a_field_of_lists_needs_a_list_of_lists_for_an_axis(read: Read) -> None:
    space = read(GOOD + "    signature: [1, 2]\n    verify_steps: [[initial_python], [], null]\n")
    assert space.flags["signature"] == [1, 2]
    assert space.axes == {"verify_steps": (["initial_python"], [], None)}


def test_a_field_of_lists_of_lists_has_one_level_more(read: Read) -> None:
    assert read(GOOD + "    loop_body_hierarchy: [[a, b]]\n").flags["loop_body_hierarchy"] == [["a", "b"]]
    assert read(GOOD + "    loop_body_hierarchy: [[[a]], [[b]]]\n").axes == {
        "loop_body_hierarchy": ([["a"]], [["b"]])
    }


def test_a_number_with_an_exponent_is_a_number(read: Read) -> None:
    assert read(GOOD + "    verification_atol: 1e-3\n").flags["verification_atol"] == 0.001


def test_paths_are_known_by_their_place_in_the_project(
    read: Read, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "folding.json"
    outside.write_text("{}")
    space = read(GOOD + f"    folding_config_file: [../models/folding.json, {outside}]\n")
    assert space.axes["folding_config_file"] == ("models/folding.json", str(outside))


def test_a_project_reached_through_a_link_gives_the_same_names(
    read: Read, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    direct = read(GOOD)
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(project)
    linked = forge(project / "blueprints/small.yaml", link, known=FinnCatalog())
    assert linked.model_path == direct.model_path


def test_a_linked_model_keeps_its_place_in_the_project(
    read: Read, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("big") / "net.onnx"
    target.write_bytes(b"model")
    (project / "models/net.onnx").unlink()
    (project / "models/net.onnx").symlink_to(target)
    assert read(GOOD).model_path == "models/net.onnx"


def test_entries_keep_their_parameters_only_where_there_are_any(read: Read) -> None:
    space = read(
        GOOD
        + "  transforms: {pre_proc: [{name: FoldConstants}, {name: my.T, parameters: {a: [1, {b: x}]}}]}\n"
        + "  steps: [{step: step_tidy_up}, {step: my.s, a: 1}, {step: my.s, parameters: {a: 1}}]\n"
    )
    assert space.transforms_by_stage["pre_proc"] == (
        "FoldConstants",
        {"name": "my.T", "parameters": {"a": [1, {"b": "x"}]}},
    )
    with_parameters = {"step": "my.s", "parameters": {"a": 1}}
    assert space.build_steps == ("step_tidy_up", with_parameters, with_parameters)


def test_an_empty_list_of_steps_is_no_default(read: Read) -> None:
    assert read(GOOD + "  steps: []\n").build_steps == ()


def test_steps_of_ones_own_need_no_device(read: Read) -> None:
    text = "name: a\nmodel: ../models/net.onnx\ndesign_space: {steps: [step_tidy_up]}\n"
    assert read(text).build_steps == ("step_tidy_up",)


def test_a_byte_order_mark_and_windows_lines_are_read(read: Read) -> None:
    assert read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()) == read(GOOD)


def test_an_alias_stands_for_its_anchor(read: Read) -> None:
    space = read(GOOD + "    target_fps: &n 10\n    mvau_wwidth_max: *n\n")
    assert space.flags["mvau_wwidth_max"] == 10


def test_lines_tell_where_a_value_stands(read: Read) -> None:
    space = read(GOOD + "    target_fps: [10, 20]\n")
    assert str(space.lines["design_space.config.target_fps[1]"]) == (
        "blueprints/small.yaml:6:22: design_space.config.target_fps[1]"
    )


@pytest.mark.parametrize(("name", "total"), [("digits", 8), ("digits_cnn", 4)])
def test_the_blueprints_of_the_project_are_good(name: str, total: int) -> None:
    file = REPOSITORY / "blueprints" / f"{name}.yaml"
    space = forge(file, REPOSITORY, known=ProjectCatalog(), known_parts=devices)
    assert space.name == name
    assert space.get_total_combinations() == total


def test_the_catalog_that_is_passed_in_decides(project: Path) -> None:
    class Plugins:
        def find(self, kind: str, name: str) -> str | None:
            return "plugins.mine:f" if (kind, name) == ("analysis", "energy") else None

        def names(self, kind: str) -> list[str]:
            return ["energy"] if kind == "analysis" else []

    file = project / "blueprints/small.yaml"
    text = "name: a\nmodel: ../models/net.onnx\ndesign_space: {steps: [], transforms: {post_proc: [%s]}}\n"
    file.write_text(text % "energy")
    assert forge(file, project, known=Plugins()).transforms_by_stage["post_proc"] == ("energy",)
    file.write_text(text % "enrgy")
    with pytest.raises(BlueprintError, match=r"unknown analysis 'enrgy'\n  -> Did you mean energy\?"):
        forge(file, project, known=Plugins())
