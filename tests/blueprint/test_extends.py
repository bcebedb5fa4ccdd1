"""`extends`: what a child takes from its parent, where its mistakes are said to be, and circles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blueprint_samples import GOOD, KnownParts

from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog, step_list
from finnmake.errors import BlueprintError

Load = Callable[..., DesignSpace]

CHILD = "name: child\nextends: base.yaml\n"


@pytest.fixture
def load(project: Path) -> Load:
    """Writes files below `blueprints` and reads `child.yaml`."""

    def loading(variables: tuple[str, ...] = (), **files: str) -> DesignSpace:
        for name, text in files.items():
            file = project / "blueprints" / f"{name.replace('__', '/')}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return forge(
            Path("blueprints/child.yaml"),
            project,
            known=FinnCatalog(),
            known_parts=KnownParts(),
            variables=variables,
        )

    return loading


def refused(load: Load, **files: str) -> str:
    with pytest.raises(BlueprintError) as caught:
        load(**files)
    return str(caught.value)


def test_a_child_has_what_the_parent_says_and_a_name_of_its_own(load: Load) -> None:
    space = load(base=GOOD + "description: the base\ntimeout: 5\n", child=CHILD)
    assert (space.name, space.description) == ("child", "the base")
    assert space.model_path == "models/net.onnx"
    assert space.global_config["timeout_seconds"] == 5
    assert space.hw_compiler_space.config == {"fpga_part": ("xc7z020clg400-1",)}


def test_mappings_merge_and_all_else_is_replaced(load: Load) -> None:
    space = load(
        base=GOOD
        + "    target_fps: [1, 2]\n    mlo: true\nobjectives: {latency: min}\nlimits: [accuracy > 0]\n",
        child=CHILD + "design_space: {config: {mlo: false, target_fps: [3]}}\n"
        "objectives: {accuracy: max}\nlimits: [latency < 9]\n",
    )
    assert list(space.hw_compiler_space.config.items()) == [
        ("fpga_part", ("xc7z020clg400-1",)),
        ("target_fps", (3,)),
        ("mlo", (False,)),
    ]
    assert space.objectives == (("latency", "min"), ("accuracy", "max"))
    assert [limit.text for limit in space.limits] == ["latency < 9"]


def test_the_parents_keys_come_first(load: Load) -> None:
    space = load(
        base="design_space: {steps: [step_tidy_up], config: {target_fps: [1, 2]}}\n",
        child="name: a\nmodel: ../models/net.onnx\nextends: base.yaml\n"
        "design_space: {kernels: [MVAU], config: {mlo: true, target_fps: 3}}\n",
    )
    assert [slot.name or "step" for slot in space.hw_compiler_space.slots] == [
        "step",
        "target_fps",
        "mlo",
        "MVAU",
    ]


def test_null_in_the_child_takes_the_parents_value_out(load: Load) -> None:
    space = load(
        base=GOOD
        + "    mlo: true\n    target_fps: 5\ndescription: x\nconstraints: [mlo]\nsearch: {seed: 3}\n",
        child=CHILD
        + "design_space: {config: {mlo: null}}\ndescription:\nconstraints:\nsearch: {seed: null}\n",
    )
    assert list(space.hw_compiler_space.config) == ["fpga_part", "target_fps"]
    assert (space.description, space.constraints, space.search_config.seed) == ("", (), 0)


@pytest.mark.parametrize(
    ("parent", "child", "values"),
    [
        ("{from: 1, to: 4, step: 1}", "{to: 3}", (1, 2, 3)),
        ("{from: 1, to: 4, step: 1}", "{factor: 2}", (1, 2, 4)),
        ("{from: 1, to: 4, factor: 2}", "{from: 2, to: 6, step: 2}", (2, 4, 6)),
        ("{from: 1, to: 4, factor: 2}", "7", (7,)),
        ("[1, 2]", "{from: 1, to: 4, factor: 2}", (1, 2, 4)),
    ],
)
def test_a_range_merges_with_the_parents(
    load: Load, parent: str, child: str, values: tuple[int, ...]
) -> None:
    space = load(
        base=GOOD + f"    target_fps: {parent}\n",
        child=CHILD + f"design_space: {{config: {{target_fps: {child}}}}}\n",
    )
    assert space.hw_compiler_space.config["target_fps"] == values


def test_choose_takes_the_place_of_the_parents_priority(load: Load) -> None:
    space = load(
        base=GOOD + "  kernels: {MVAU: {priority: [MVAU_hls], attributes: {resType: lut}}}\n",
        child=CHILD + "design_space: {kernels: {MVAU: {choose: [MVAU_rtl, MVAU_hls]}}}\n",
    )
    assert space.hw_compiler_space.kernels["MVAU"] == (
        {"backends": ["MVAU_rtl"], "attributes": {"resType": "lut"}},
        {"backends": ["MVAU_hls"], "attributes": {"resType": "lut"}},
    )


@pytest.mark.parametrize(
    ("parent", "child", "backends", "style"),
    [
        ("MVAU_rtl", "{attributes: {resType: lut}}", [["MVAU_rtl"]], "lut"),
        ("[MVAU_rtl, MVAU_hls]", "{attributes: {resType: lut}}", [["MVAU_rtl", "MVAU_hls"]], "lut"),
        ("MVAU_rtl", "{choose: [MVAU_hls, MVAU_rtl]}", [["MVAU_hls"], ["MVAU_rtl"]], None),
        ("MVAU_rtl", "{priority: [MVAU_hls]}", [["MVAU_hls"]], None),
        ("{attributes: {resType: dsp}}", "MVAU_rtl", [["MVAU_rtl"]], "dsp"),
        ("{choose: [MVAU_hls, MVAU_rtl], attributes: {resType: dsp}}", "[MVAU_rtl]", [["MVAU_rtl"]], "dsp"),
        ("MVAU_hls", "[MVAU_rtl]", [["MVAU_rtl"]], None),
    ],
)
def test_the_short_form_of_a_kernel_merges_as_its_priority(
    load: Load, parent: str, child: str, backends: list[list[str]], style: str | None
) -> None:
    space = load(
        base=GOOD + f"  kernels: {{MVAU: {parent}}}\n",
        child=CHILD + f"design_space: {{kernels: {{MVAU: {child}}}}}\n",
    )
    attributes = {} if style is None else {"resType": style}
    assert list(space.hw_compiler_space.kernels["MVAU"]) == [
        {"backends": each, "attributes": attributes} for each in backends
    ]


def test_a_mistake_in_a_parents_short_form_is_said_to_be_there(load: Load) -> None:
    said = refused(
        load,
        base=GOOD + "  kernels: {MVAU: MVAU_rlt}\n",
        child=CHILD + "design_space: {kernels: {MVAU: {attributes: {resType: lut}}}}\n",
    )
    assert said.startswith(
        "blueprints/base.yaml:6:19: design_space.kernels.MVAU: the kernel MVAU has no backend"
    )


def test_null_for_the_design_space_takes_the_parents_steps_out(load: Load) -> None:
    config = "config: {fpga_part: xc7z020clg400-1}"
    base = f"model: ../models/net.onnx\ndesign_space: {{{config}, steps: [step_tidy_up]}}\n"
    steps = tuple(((name,),) for name in step_list("estimate_only_dataflow_steps"))
    middle = "extends: base.yaml\ndesign_space: null\n"
    child = "name: child\nextends: middle.yaml\ndesign_space: {%s}\n"
    assert load(base=base, middle=middle, child=child % config).hw_compiler_space.steps == steps
    changed = load(child=child % f"{config}, steps: [{{at_end: {{insert: a.b}}}}]").hw_compiler_space.steps
    assert changed == (*steps, (("a.b",),))
    assert "FINN's default steps need a device" in refused(load, child=CHILD + "design_space:\n")


def test_paths_are_relative_to_the_file_that_names_them(load: Load, project: Path) -> None:
    (project / "blueprints/deep").mkdir()
    (project / "blueprints/deep/net.onnx").write_bytes(b"model")
    space = load(
        deep__base="model: net.onnx\ndesign_space: {steps: []}\n",
        child="name: a\nextends: deep/base.yaml\n"
        "design_space: {config: {folding_config_file: ../models/folding.json}}\n",
    )
    assert space.model_path == "blueprints/deep/net.onnx"
    assert space.hw_compiler_space.config["folding_config_file"] == ("models/folding.json",)


def test_a_parent_outside_the_project_has_its_own_folder(
    load: Load, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "net.onnx").write_bytes(b"model")
    (folder / "base.yaml").write_text("model: net.onnx\ndesign_space: {steps: []}\n")
    assert load(child=f"name: a\nextends: {folder}/base.yaml\n").model_path == f"{folder}/net.onnx"


def test_grandparents_count_too(load: Load) -> None:
    space = load(
        old=GOOD + "    target_fps: 1\n    mlo: true\n",
        base="extends: old.yaml\ndesign_space: {config: {target_fps: 2}}\n",
        child=CHILD,
    )
    assert space.hw_compiler_space.config["target_fps"] == (2,)
    assert space.hw_compiler_space.config["mlo"] == (True,)


def test_declared_variables_are_replaced_in_extends_only(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAVOUR", "ba")
    space = load(
        ("FLAVOUR",),
        base=GOOD + "description: ${FLAVOUR} costs $5\n",
        child="name: a\nextends: ${FLAVOUR}se.yaml\n",
    )
    assert space.description == "${FLAVOUR} costs $5"


def test_a_dollar_without_braces_is_a_dollar(load: Load) -> None:
    space = load(**{"$HOME": GOOD}, child="name: a\nextends: $HOME.yaml\n")
    assert space.model_path == "models/net.onnx"


def test_a_variable_must_be_declared_and_set(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAVOR", "base")
    monkeypatch.delenv("UNSET", raising=False)
    assert refused(load, child="name: a\nextends: ${FLAVOR}.yaml\n", variables=("FLAVOUR",)) == (
        "blueprints/child.yaml:2:10: extends: the variable 'FLAVOR' is not declared\n"
        '  -> Did you mean FLAVOUR? Declare it in pyproject.toml: [tool.finnmake] variables = ["FLAVOR"].'
    )
    assert refused(load, child="name: a\nextends: ${UNSET}.yaml\n", variables=("UNSET",)) == (
        "blueprints/child.yaml:2:10: extends: the environment does not set the variable UNSET\n"
        "  -> Set it: export UNSET=..."
    )


def test_a_child_needs_a_name_of_its_own(load: Load) -> None:
    assert refused(load, base=GOOD, child="extends: base.yaml\n") == (
        "blueprints/child.yaml:1:1: name: the key 'name' is missing\n"
        "  -> Write `name: ...`: the one that it extends has outputs of its own."
    )


def test_a_mistake_is_said_to_be_in_the_file_that_makes_it(load: Load) -> None:
    said = refused(
        load,
        base=GOOD + "    mlo: 3\nnmae: x\nsearch: {sede: 1}\n",
        child=CHILD + "design_space: {config: {target_fps: 0}, step: []}\n",
    )
    assert sorted(line.partition(" -> ")[0] for line in said.splitlines()) == [
        "blueprints/base.yaml:6:10: design_space.config.mlo: found the whole number 3, wanted true or false",
        "blueprints/base.yaml:7:1: nmae: unknown key 'nmae'",
        "blueprints/base.yaml:8:10: search.sede: unknown key 'sede'",
        "blueprints/child.yaml:3:37: design_space.config.target_fps: 0 is out of range",
        "blueprints/child.yaml:3:41: design_space.step: unknown key 'step'",
    ]


def test_an_unknown_key_of_the_parent_is_an_error_though_the_child_replaces_it(load: Load) -> None:
    said = refused(load, base="design_space: {stepz: []}\n", child=GOOD + "extends: base.yaml\n")
    assert said.startswith("blueprints/base.yaml:1:16: design_space.stepz: unknown key 'stepz'")


def test_a_key_twice_in_the_parent_is_an_error_there(load: Load) -> None:
    said = refused(load, base="model: a\nmodel: b\n", child=CHILD)
    assert said.startswith("blueprints/base.yaml:2:1: model: the key 'model' is already in line 1")


def test_a_circle_is_shown(load: Load) -> None:
    said = refused(load, base="extends: old.yaml\n", old="extends: child.yaml\n", child=CHILD)
    chain = " -> ".join(f"blueprints/{name}.yaml" for name in ("child", "base", "old", "child"))
    assert said == (
        f"blueprints/old.yaml:1:10: extends: the blueprints extend one another in a circle: {chain}\n"
        "  -> Take one `extends` out."
    )


def test_a_circle_through_a_link_is_one(load: Load, project: Path) -> None:
    (project / "blueprints/base.yaml").symlink_to("child.yaml")
    assert "extend one another in a circle: blueprints/child.yaml -> blueprints/base.yaml" in refused(
        load, child=CHILD
    )


def test_the_chain_has_an_end(load: Load) -> None:
    files = {f"b{at}": f"extends: b{at + 1}.yaml\n" for at in range(30)}
    assert "more than 20 blueprints extend one another" in refused(
        load, child="name: a\nextends: b0.yaml\n", **files
    )


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        ("bas.yaml", "there is no file 'bas.yaml'\n  -> Did you mean base.yaml?"),
        ("..", "'..' is not a file"),
        ("../models", "'../models' is not a file"),
        ('"\\0"', "there is no file '\\x00'"),
        ("[a]", "found a list, wanted text"),
        ("3", "found the whole number 3, wanted text"),
        ("loop.yaml", "is not a file"),
    ],
)
def test_a_parent_that_is_no_file(load: Load, project: Path, extends: str, words: str) -> None:
    (project / "blueprints/loop.yaml").symlink_to("loop.yaml")
    said = refused(load, base=GOOD, child=f"name: a\nextends: {extends}\n")
    assert said.startswith("blueprints/child.yaml:2:")
    assert words in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "blueprints/base.yaml:1: this is not UTF-8 text"),
        (b"a: \x00b", "blueprints/base.yaml:1:4: this is not YAML: control characters are not allowed"),
        (b"- a\n", "blueprints/base.yaml:1:1: found a list, wanted a mapping (key: value)"),
        (b"", "blueprints/base.yaml: the file is empty"),
        (
            b"# " + b"x" * (5 << 20),
            "blueprints/base.yaml: with the blueprints that extend it, it is larger than 1 MiB",
        ),
        (b"- " * 1000 + b"a\n", "blueprints/base.yaml:1:81: more than 40 levels, one inside the other"),
    ],
)
def test_a_parent_that_is_no_blueprint(load: Load, project: Path, content: bytes, said: str) -> None:
    (project / "blueprints/base.yaml").write_bytes(content)
    assert refused(load, child=CHILD).startswith(said)


def test_names_of_files_may_be_in_any_script(load: Load) -> None:
    assert load(**{"größe": GOOD}, child="name: a\nextends: größe.yaml\n").model_path == "models/net.onnx"
