"""What a good blueprint becomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blueprint_samples import GOOD

from finnmake.blueprint.loader import forge
from finnmake.blueprint.slots import Point
from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.blueprint.tables import FinnCatalog, step_list
from finnmake.errors import BlueprintError, ModelError
from finnmake.runner import devices
from tests.catalogs import ProjectNames

Read = Callable[[str | bytes], DesignSpace]
REPOSITORY = Path(__file__).parents[2]


def only(space: DesignSpace) -> Point:
    """The one point of a space without axes."""
    (point,) = space
    return point


def axes(space: DesignSpace) -> dict[str, tuple[Any, ...]]:
    return {slot.name: slot.options for slot in space.hw_compiler_space.axes}


def test_the_least_blueprint_has_the_defaults(read: Read, project: Path) -> None:
    space = read(GOOD)
    assert space.name == "small"
    assert space.path == project / "blueprints/small.yaml"
    assert space.model_path == "models/net.onnx"
    assert space.backend == "finn"
    assert space.hw_compiler_space.config == {"fpga_part": ("xc7z020clg400-1",)}
    assert space.hw_compiler_space.axes == ()
    assert space.global_config == {"output_stage": "ESTIMATES", "timeout_seconds": 3600}
    assert only(space).build_steps == step_list("estimate_only_dataflow_steps")
    assert only(space).transforms_by_stage == {"pre_proc": [], "post_proc": []}
    assert space.get_total_combinations() == 1
    assert space.hw_compiler_space.kernels == {}
    assert space.search_config == SearchConfig(max_combinations=100_000)
    assert space.objectives == (("throughput", "max"), ("lut_utilization", "min"))
    assert (space.constraints, space.limits, space.notes) == ((), (), ())


def test_null_means_not_written(read: Read) -> None:
    keys = ["description", "backend", "timeout", "output_stage", "version", "extends", "constraints"]
    keys += ["objectives", "limits", "search"]
    empty = "  transforms:\n  steps:\n  kernels:\n" + "".join(f"{key}:\n" for key in keys)
    assert read(GOOD + empty) == read(GOOD)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("", (True,)),
        ("    standalone_thresholds: false\n", (False,)),
        ("    standalone_thresholds: [false, true]\n", (False, True)),
    ],
)
def test_thresholds_are_layers_of_open_rtl_unless_the_blueprint_says_otherwise(
    read: Read, line: str, values: tuple[bool, ...]
) -> None:
    config = read(GOOD + line + "backend: open_rtl\n").hw_compiler_space.config
    assert config == {"fpga_part": ("xc7z020clg400-1",), "standalone_thresholds": values}
    assert "standalone_thresholds" not in read(GOOD).hw_compiler_space.config


def test_a_list_is_an_axis_in_the_written_order(read: Read) -> None:
    space = read(GOOD + "    target_fps: [30, 10]\n    synth_clk_period_ns: [5, 2.5]\n    mlo: true\n")
    assert list(axes(space).items()) == [("target_fps", (30, 10)), ("synth_clk_period_ns", (5.0, 2.5))]
    assert space.hw_compiler_space.config["mlo"] == (True,)
    assert space.get_total_combinations() == 4


def test_a_field_of_lists_needs_a_list_of_lists_for_an_axis(read: Read) -> None:
    space = read(GOOD + "    signature: [1, 2]\n    verify_steps: [[initial_python], [], null]\n")
    assert space.hw_compiler_space.config["signature"] == ([1, 2],)
    assert axes(space) == {"verify_steps": (["initial_python"], [], None)}


def test_a_field_of_lists_of_lists_has_one_level_more(read: Read) -> None:
    one = read(GOOD + "    loop_body_hierarchy: [[a, b]]\n")
    assert one.hw_compiler_space.config["loop_body_hierarchy"] == ([["a", "b"]],)
    two = read(GOOD + "    loop_body_hierarchy: [[[a]], [[b]]]\n")
    assert axes(two) == {"loop_body_hierarchy": ([["a"]], [["b"]])}


def test_a_number_with_an_exponent_is_a_number(read: Read) -> None:
    assert only(read(GOOD + "    verification_atol: 1e-3\n")).flags["verification_atol"] == 0.001


def test_paths_are_known_by_their_place_in_the_project(
    read: Read, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "folding.json"
    outside.write_text("{}")
    space = read(GOOD + f"    folding_config_file: [../models/folding.json, {outside}]\n")
    assert axes(space)["folding_config_file"] == ("models/folding.json", str(outside))


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
        + "  transforms: {pre_proc: [{name: FoldConstants}, {name: my.T, parameters: {a: {b: [x]}}}]}\n"
        + "  steps: [{step: step_tidy_up}, {step: my.s, a: 1}, {step: my.s, parameters: {a: 1}}]\n"
    )
    assert only(space).transforms_by_stage["pre_proc"] == [
        "FoldConstants",
        {"name": "my.T", "parameters": {"a": {"b": ["x"]}}},
    ]
    with_parameters = {"step": "my.s", "parameters": {"a": 1}}
    assert only(space).build_steps == ("step_tidy_up", with_parameters, with_parameters)


def test_an_empty_list_of_steps_is_no_default(read: Read) -> None:
    assert only(read(GOOD + "  steps: []\n")).build_steps == ()


def test_steps_of_ones_own_need_no_device(read: Read) -> None:
    text = "name: a\nmodel: ../models/net.onnx\ndesign_space: {steps: [step_tidy_up]}\n"
    assert only(read(text)).build_steps == ("step_tidy_up",)


def test_a_byte_order_mark_and_windows_lines_are_read(read: Read) -> None:
    assert read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()) == read(GOOD)


def test_an_alias_stands_for_its_anchor(read: Read) -> None:
    space = read(GOOD + "    target_fps: &n 10\n    mvau_wwidth_max: *n\n")
    assert only(space).flags["mvau_wwidth_max"] == 10


def test_lines_tell_where_a_value_stands(read: Read) -> None:
    space = read(GOOD + "    target_fps: [10, 20]\n")
    assert str(space.lines["design_space.config.target_fps[1]"]) == (
        "blueprints/small.yaml:6:22: design_space.config.target_fps[1]"
    )


@pytest.mark.parametrize(("name", "total"), [("digits", 8), ("digits_cnn", 4)])
def test_the_blueprints_of_the_project_are_good(name: str, total: int) -> None:
    file = REPOSITORY / "blueprints" / f"{name}.yaml"
    space = forge(file, REPOSITORY, known=ProjectNames(), known_parts=devices)
    assert space.name == name
    assert space.get_total_combinations() == total


def test_the_catalog_that_is_passed_in_decides(project: Path) -> None:
    class Plugins:
        def find(self, kind: str, name: str) -> str | None:
            return "plugins.mine:f" if (kind, name) == ("analysis", "energy") else None

        def names(self, kind: str) -> list[str]:
            return ["energy"] if kind == "analysis" else []

        def parameters(self, kind: str, name: str) -> None:
            return None

    file = project / "blueprints/small.yaml"
    text = "name: a\nmodel: ../models/net.onnx\ndesign_space: {steps: [], transforms: {post_proc: [%s]}}\n"
    file.write_text(text % "energy")
    assert only(forge(file, project, known=Plugins())).transforms_by_stage["post_proc"] == ["energy"]
    file.write_text(text % "enrgy")
    with pytest.raises(BlueprintError, match=r"unknown analysis 'enrgy'\n  -> Did you mean energy\?"):
        forge(file, project, known=Plugins())


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        ("ESTIMATES", step_list("estimate_only_dataflow_steps")),
        ("DATAFLOW_GRAPH", step_list("estimate_only_dataflow_steps")),
        ("RTL", step_list("hw_codegen_dataflow_steps")),
        ("BITFILE", step_list("default_build_dataflow_steps")),
    ],
)
def test_every_output_stage_has_default_steps(read: Read, stage: str, steps: tuple[str, ...]) -> None:
    assert only(read(GOOD + f"output_stage: {stage}\n")).build_steps == steps


def test_the_default_steps_of_a_stitched_ip_end_with_it(read: Read) -> None:
    steps = only(read(GOOD + "output_stage: STITCHED_IP\n")).build_steps
    assert steps[-1] == "step_create_stitched_ip"
    assert steps == step_list("default_build_dataflow_steps")[: len(steps)]


def test_slots_stand_in_the_order_of_the_file(read: Read) -> None:
    text = (
        "name: a\nmodel: ../models/net.onnx\ndesign_space:\n  kernels: [MVAU]\n  steps: [step_tidy_up]\n"
        "  transforms: {post_proc: [a.b], pre_proc: [FoldConstants]}\n  config: {target_fps: 3}\n"
    )
    slots = read(text).hw_compiler_space.slots
    assert [(slot.kind, slot.name, slot.key.removeprefix("design_space.")) for slot in slots] == [
        ("kernel", "MVAU", "kernels[0]"),
        ("step", "", "steps[0]"),
        ("transform", "post_proc", "transforms.post_proc[0]"),
        ("transform", "pre_proc", "transforms.pre_proc[0]"),
        ("field", "target_fps", "config.target_fps"),
    ]


def test_a_model_given_beside_the_blueprint_takes_the_place_of_its_own(read: Read, project: Path) -> None:
    (project / "other.onnx").write_bytes(b"model")
    read(GOOD)
    file = Path("blueprints/small.yaml")
    assert forge(file, project, known=FinnCatalog(), model="other.onnx").model_path == "other.onnx"
    absolute = project / "other.onnx"
    assert forge(file, project, known=FinnCatalog(), model=absolute).model_path == "other.onnx"
    with pytest.raises(
        BlueprintError, match=r"^model: there is no file 'othr.onnx'\n  -> Did you mean other"
    ):
        forge(file, project, known=FinnCatalog(), model="othr.onnx")
    (project / file).write_text(GOOD.replace("model: ../models/net.onnx\n", ""))
    assert forge(file, project, known=FinnCatalog(), model="other.onnx").model_path == "other.onnx"


def test_the_models_information_is_read_when_it_is_asked_for(read: Read, project: Path) -> None:
    asked: list[Path] = []
    read(GOOD)
    space = forge(
        Path("blueprints/small.yaml"),
        project,
        known=FinnCatalog(),
        read_model=lambda path: asked.append(path),
    )
    assert asked == []
    assert space.model_info is None
    assert asked == [project / "models/net.onnx"]


def test_a_space_without_a_reader_says_so_when_it_is_asked_for_the_model(read: Read) -> None:
    with pytest.raises(ModelError, match="made without a reader of models"):
        read(GOOD).model_info  # noqa: B018
