"""The Brainsmith backend: what it hands over and takes back, and what it says without Brainsmith."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from finnmake.backends import brainsmith, brainsmith_blueprint, find_backend, onnx_metadata
from finnmake.blueprint import schema, tables
from finnmake.blueprint.brainsmith_fields import FIELDS
from finnmake.blueprint.brainsmith_steps import FINN_STEPS, STEPS, default_steps
from finnmake.blueprint.loader import forge
from finnmake.blueprint.tables import FinnCatalog
from finnmake.engine.files import FileDigests
from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall
from finnmake.errors import BlueprintError, StepError, ToolError
from finnmake.exploration.configs import iter_configs
from finnmake.records import BuildConfig, OutputStage
from finnmake.runner.flow import calls_of, flags_of
from tests.backends import fake_brainsmith
from tests.plugins.third_party import Environment
from tests.projects import REPOSITORY, Project

MODEL = REPOSITORY / "models/digits_mlp_w2a2.onnx"
BACKEND = find_backend("brainsmith")
DEFAULT = default_steps("brainsmith", "ESTIMATES")


def config_of(**changes: Any) -> BuildConfig:
    """A configuration of one blueprint of FINN's steps."""
    values: dict[str, Any] = {
        "id": "config_001",
        "design_space_id": "small",
        "content_id": "0" * 64,
        "model_path": "models/net.onnx",
        "kernels": (("MVAU", ("MVAU_rtl", "MVAU_hls")), ("Thresholding", ())),
        "transforms_by_stage": {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": []},
        "build_steps": DEFAULT,
        "config_flags": {"synth_clk_period_ns": 5.0, "board": "Pynq-Z1", "target_fps": 10_000},
        "global_config": {"output_stage": "ESTIMATES", "timeout_seconds": 60},
        "backend": "brainsmith",
        "output_dir": "builds/small/config_001",
        "combination_index": 0,
        "total_combinations": 1,
    }
    return BuildConfig(**{**values, **changes})


def flow_of(config: BuildConfig, depth: int | None = None) -> list[StepCall]:
    return calls_of(config, BACKEND, FinnCatalog(), FileDigests(), depth)


class Notes:
    """Stands for the recorder: the names of the fields that were read."""

    def __init__(self) -> None:
        self.fields: set[str] = set()

    def note_field(self, name: str) -> None:
        self.fields.add(name)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the calls of a test run."""
    found = tmp_path / "step"
    (found / "project/models").mkdir(parents=True)
    (found / "artifacts").mkdir()
    monkeypatch.chdir(found)
    return found


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if Brainsmith could be imported."""
    monkeypatch.setitem(sys.modules, "brainsmith", fake_brainsmith)
    brainsmith._brainsmith.cache_clear()
    fake_brainsmith.TAKEN.clear()
    yield
    brainsmith._brainsmith.cache_clear()


def run(config: BuildConfig, loaded: Any = None) -> Any:
    """All calls after the transforms, one after another."""
    calls = [call for call in flow_of(config) if call.kind == "build"]
    for call in calls:
        fields = RecordedFields(flags_of(config), Notes())  # type: ignore[arg-type]
        loaded = brainsmith.run(call, loaded, fields, Path("work"))
    return loaded


def marshalled(config: BuildConfig) -> dict[str, Any]:
    call = next(call for call in flow_of(config) if call.kind == "build")
    fields = RecordedFields(flags_of(config), Notes())  # type: ignore[arg-type]
    brainsmith.run(call, None, fields, Path("work"))
    return dict(yaml.safe_load(brainsmith.BLUEPRINT.read_text()))


# the flow


def test_all_steps_are_one_build_after_the_transforms() -> None:
    calls = flow_of(config_of())
    assert [(call.name, call.kind) for call in calls] == [
        ("GiveUniqueNodeNames", "transform"),
        ("brainsmith_marshal", "build"),
        ("brainsmith_explore", "build"),
    ]
    assert [step["name"] for step in calls[1].parameters["steps"]] == list(DEFAULT)
    assert calls[2].parameters == {}, "what it needs, the first has left"


def test_a_part_of_the_steps_is_for_estimates() -> None:
    config = config_of(global_config={"output_stage": "BITFILE", "timeout_seconds": 60})
    assert [call.kind for call in flow_of(config, 1)] == ["transform"]
    _, marshal, _ = flow_of(config, 4)
    assert [step["name"] for step in marshal.parameters["steps"]] == list(DEFAULT[:3])
    assert marshal.parameters["output_stage"] == "ESTIMATES"
    assert flow_of(config)[1].parameters["output_stage"] == "BITFILE"


def test_what_brainsmith_never_sees_changes_nothing_for_it() -> None:
    others = config_of(
        id="config_002", transforms_by_stage={"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["x"]}
    )
    assert flow_of(others) == flow_of(config_of())


# what is handed over


def test_the_blueprint_of_a_configuration() -> None:
    assert marshalled(config_of()) == {
        "name": "small",
        "description": "One configuration of small, written by finnmake",
        "clock_ns": 5.0,
        "output": "estimates",
        "board": "Pynq-Z1",
        "finn_config": {"target_fps": 10_000},
        "design_space": {
            "kernels": [{"MVAU": ["MVAU_rtl", "MVAU_hls"]}, "Thresholding"],
            "steps": [name.removeprefix("step_") for name in DEFAULT],
        },
    }


def test_the_specification_names_kernels_transforms_and_stages() -> None:
    marshalled(config_of())
    told = json.loads(brainsmith.SPECIFICATION.read_text())
    assert told["kernels"] == [
        {"name": "MVAU", "backends": ["MVAU_rtl", "MVAU_hls"], "attributes": {}},
        {"name": "Thresholding", "backends": [], "attributes": {}},
    ]
    assert told["transforms"] == {"pre_proc": ["GiveUniqueNodeNames"]}
    assert [(each["stage"], each["run_by"]) for each in told["stages"]] == [
        ("pre_proc", "finnmake"),
        ("steps", "brainsmith"),
        ("post_proc", "finnmake"),
    ]
    assert told["config"]["synth_clk_period_ns"] == 5.0


def test_files_lie_beside_the_blueprint(folder: Path) -> None:
    (folder / "project/models/fold$ing.json").write_text("{}")
    flags = {"synth_clk_period_ns": 5.0, "folding_config_file": "models/fold$ing.json"}
    found = marshalled(config_of(config_flags=flags))
    assert (
        found["finn_config"]["folding_config_file"]
        == "${BLUEPRINT_DIR}/files/folding_config_file/fold_ing.json"
    )
    read = fake_brainsmith.parse(brainsmith.BLUEPRINT)["finn_config"]["folding_config_file"]
    assert Path(read).read_text() == "{}"


def test_a_file_that_is_gone_is_named() -> None:
    flags = {"synth_clk_period_ns": 5.0, "folding_config_file": "models/gone.json"}
    with pytest.raises(BlueprintError, match=r"models/gone\.json cannot be read"):
        marshalled(config_of(config_flags=flags))


def test_all_fields_count_in_the_key_of_the_first_call() -> None:
    notes = Notes()
    call = flow_of(config_of())[1]
    brainsmith.run(call, None, RecordedFields(flags_of(config_of()), notes), Path("work"))  # type: ignore[arg-type]
    assert "*" in notes.fields or notes.fields >= set(flags_of(config_of()))


NO_PLACE: Mapping[str, tuple[dict[str, Any], str]] = {
    "parameters": (
        {"build_steps": [{"step": "step_tidy_up", "parameters": {"a": 1}}]},
        r"parameters of steps \(step_tidy_up: a\)",
    ),
    "a stage among the steps": (
        {"build_steps": [{"stage": "mine"}], "transforms_by_stage": {"mine": ["FoldConstants"]}},
        r"a transform among the steps \(FoldConstants\)",
    ),
    "attributes": (
        {"kernel_attributes": {"MVAU": {"resType": "dsp"}}},
        r"attributes of kernels \(MVAU: resType\)",
    ),
    "no board": (
        {
            "config_flags": {"fpga_part": "xc7z020clg400-1"},
            "global_config": {"output_stage": "BITFILE", "timeout_seconds": 60},
        },
        "Brainsmith needs a board for bitfile",
    ),
}


@pytest.mark.parametrize("case", NO_PLACE)
def test_what_a_blueprint_of_brainsmith_cannot_say_is_refused(case: str) -> None:
    changes, message = NO_PLACE[case]
    with pytest.raises(BlueprintError, match=message) as caught:
        marshalled(config_of(**changes))
    assert caught.value.cure


STEPS_KNOWN = st.lists(st.sampled_from(DEFAULT), min_size=1, max_size=6)
KERNELS = st.lists(st.sampled_from(["MVAU", "Thresholding", "VVAU"]), unique=True)


@st.composite
def configs(draw: st.DrawFn) -> BuildConfig:
    """Configurations that a blueprint of Brainsmith has a place for."""
    kernels = [
        (name, tuple(draw(st.permutations(tables.kernel_backends(name)))[: draw(st.integers(0, 2))]))
        for name in draw(KERNELS)
    ]
    flags: dict[str, Any] = {
        "synth_clk_period_ns": draw(st.floats(0.5, 100)),
        "board": draw(st.sampled_from(sorted(tables.boards()))),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "target_fps": st.none() | st.integers(1, 10**7),
                    "standalone_thresholds": st.booleans(),
                    "save_intermediate_models": st.booleans(),
                    "mvau_wwidth_max": st.integers(1, 512),
                    "folding_config_file": st.sampled_from([None, "models/folding.json"]),
                    "verify_steps": st.just(["initial_python"]),
                },
            )
        ),
    }
    stage = draw(st.sampled_from([each.value for each in BACKEND.output_stages]))
    return config_of(
        kernels=tuple(kernels),
        config_flags=flags,
        build_steps=(*draw(STEPS_KNOWN), "step_specialize_layers"),
        global_config={"output_stage": stage, "timeout_seconds": 60},
    )


@given(configs())
def test_what_is_written_is_read_as_the_same_design(config: BuildConfig) -> None:
    """By Brainsmith's rules, and by finnmake's own reader of Brainsmith's blueprints."""
    project = Path("project")
    for name in ("models/net.onnx", "models/folding.json"):
        (project / name).write_text("{}")
    shutil.rmtree("artifacts")
    marshalled(config)
    shutil.copytree(brainsmith.FOLDER, project / "blueprints", dirs_exist_ok=True)
    fake_brainsmith.parse(brainsmith.BLUEPRINT)
    space = forge(
        Path("blueprints/blueprint.yaml"), project.absolute(), known=FinnCatalog(), model="models/net.onnx"
    )
    (read,) = iter_configs(space)
    assert not space.notes
    own = dict(read.config_flags)
    own.pop("generate_outputs")
    if own.get("folding_config_file"):
        own["folding_config_file"] = "models/folding.json"
    assert own == dict(config.config_flags)
    assert read.kernels == config.kernels
    assert read.build_steps == config.build_steps
    assert read.global_config["output_stage"] == config.global_config["output_stage"]


def test_the_output_stages_are_those_that_brainsmith_has() -> None:
    assert tuple(stage.value for stage in BACKEND.output_stages) == tuple(brainsmith_blueprint.OUTPUTS)
    assert set(OutputStage) > set(BACKEND.output_stages)


# what its FINN has, which is not finn-plus


def own_blueprint(folder: Path, **space: Any) -> Path:
    """A blueprint for Brainsmith in a project that `folder` holds."""
    project = folder / "project"
    (project / "models/net.onnx").write_text("{}")
    (project / "blueprints").mkdir(exist_ok=True)
    path = project / "blueprints/own.yaml"
    stage = space.pop("output_stage", "ESTIMATES")
    keys = {"name": "own", "model": "../models/net.onnx", "backend": "brainsmith", "output_stage": stage}
    inner = {"config": {"board": "Pynq-Z1"}, **space}
    path.write_text(yaml.safe_dump({**keys, "design_space": inner}, sort_keys=False))
    return path


def read(path: Path) -> BuildConfig:
    (config,) = iter_configs(forge(path, path.parents[1], known=FinnCatalog()))
    return config


@pytest.mark.parametrize("stage", brainsmith_blueprint.OUTPUTS)
@pytest.mark.parametrize("steps", ["default", None, "changed"])
def test_the_default_steps_are_steps_that_brainsmith_has(folder: Path, stage: str, steps: str | None) -> None:
    space: dict[str, Any] = {"output_stage": stage}
    if steps == "changed":
        space["steps"] = [{"after": "step_tidy_up", "insert": "bert_cleanup"}]
    elif steps is not None:
        space["steps"] = steps
    found = marshalled(read(own_blueprint(folder, **space)))["design_space"]["steps"]
    fake_brainsmith.parse(brainsmith.BLUEPRINT)
    assert set(found) <= fake_brainsmith.FINN_STEPS | {"bert_cleanup"}, "in every release of the registry"
    last = {"ESTIMATES": "generate_estimate_reports", "STITCHED_IP": "create_stitched_ip"}
    assert found[-1] == last.get(stage, "deployment_package")
    assert found.count("bert_cleanup") == (steps == "changed")


@pytest.mark.parametrize("step", sorted({*tables.step_names()} - {f"step_{name}" for name in FINN_STEPS}))
def test_steps_of_finn_plus_alone_are_refused_when_the_blueprint_is_read(folder: Path, step: str) -> None:
    path = own_blueprint(folder, steps=["step_tidy_up", step])
    with pytest.raises(BlueprintError, match=f"Brainsmith has no step '{step}'") as caught:
        read(path)
    assert (caught.value.where.line, caught.value.category) == (10, "config")
    assert "backend finn" in caught.value.cure
    with pytest.raises(BlueprintError, match=f"Brainsmith has no step '{step}'"):
        marshalled(config_of(build_steps=("step_tidy_up", step)))


def test_step_names_are_those_of_the_registry() -> None:
    assert set(FINN_STEPS) == fake_brainsmith.FINN_STEPS | fake_brainsmith.LATER_STEPS
    assert set(STEPS) == fake_brainsmith.OWN_STEPS
    assert {f"step_{name}" for name in FINN_STEPS} <= set(tables.step_names())


@pytest.mark.parametrize("step", ["finn:minimize_bit_width_initial", "my_package.steps.mine"])
def test_steps_that_brainsmith_cannot_find_are_refused(folder: Path, step: str) -> None:
    with pytest.raises(BlueprintError, match=f"Brainsmith has no step '{step}'"):
        read(own_blueprint(folder, steps=[step]))


def test_steps_of_plugins_are_refused(folder: Path) -> None:
    class Known(FinnCatalog):
        def find(self, kind: str, name: str) -> str | None:
            return "mine:my_step" if (kind, name) == ("step", "my_step") else super().find(kind, name)

    path = own_blueprint(folder, steps=["my_step"])
    with pytest.raises(BlueprintError, match="Brainsmith has no step 'my_step'") as caught:
        forge(path, path.parents[1], known=Known())
    assert "project:my_step" in caught.value.cure


def test_fields_of_finn_plus_alone_are_refused_when_the_blueprint_is_read(folder: Path) -> None:
    path = own_blueprint(folder, config={"board": "Pynq-Z1", "enable_instrumentation": True})
    with pytest.raises(
        BlueprintError, match="Brainsmith's FINN has no field 'enable_instrumentation'"
    ) as caught:
        read(path)
    assert (caught.value.where.line, caught.value.where.column) == (8, 5)
    flags = {"synth_clk_period_ns": 5.0, "verification_rtol": 0.1}
    with pytest.raises(BlueprintError, match="Brainsmith's FINN has no field 'verification_rtol'"):
        marshalled(config_of(config_flags=flags))


def test_unknown_fields_get_one_message(folder: Path) -> None:
    with pytest.raises(BlueprintError, match="unknown key 'target_fsp'"):
        read(own_blueprint(folder, config={"board": "Pynq-Z1", "target_fsp": 1}))


def test_fields_are_those_of_its_finn() -> None:
    assert FIELDS == fake_brainsmith.FINN_FIELDS
    with pytest.raises(TypeError, match="enable_instrumentation"):
        marshalled(config_of())
        text = brainsmith.BLUEPRINT.read_text().replace("target_fps", "enable_instrumentation")
        brainsmith.BLUEPRINT.write_text(text)
        fake_brainsmith.parse(brainsmith.BLUEPRINT)


# Brainsmith's own steps


def blueprint_with(step: str, **keys: Any) -> str:
    space = {"config": {"board": "Pynq-Z1"}, "steps": [step]}
    return yaml.safe_dump({"name": "own", "model": "../models/net.onnx", **keys, "design_space": space})


@pytest.mark.parametrize("step", [*STEPS, "project:my_step", "finn:tidy_up"])
def test_steps_of_brainsmith_are_known_where_it_builds(folder: Path, step: str) -> None:
    project = folder / "project"
    (project / "models/net.onnx").write_text("{}")
    (project / "blueprints").mkdir()
    path = project / "blueprints/own.yaml"
    path.write_text(blueprint_with(step, backend="future_brainsmith"))
    (config,) = iter_configs(forge(path, project, known=FinnCatalog()))
    assert (config.backend, config.build_steps) == ("brainsmith", (step,))
    assert marshalled(config)["design_space"]["steps"] == [step]
    path.write_text(blueprint_with(step, backend="finn"))
    with pytest.raises(BlueprintError, match="unknown step"):
        forge(path, project, known=FinnCatalog())


def test_a_typo_is_still_one_and_gets_the_nearest(folder: Path) -> None:
    (folder / "project/models/net.onnx").write_text("{}")
    (folder / "project/blueprints").mkdir()
    path = folder / "project/blueprints/own.yaml"
    path.write_text(blueprint_with("build_hw_grap", backend="brainsmith"))
    with pytest.raises(BlueprintError, match="unknown step 'build_hw_grap'") as caught:
        forge(path, folder / "project", known=FinnCatalog())
    assert "build_hw_graph" in caught.value.cure


# what is taken back


@pytest.mark.finn
def test_its_outputs_lie_where_those_of_finn_do(installed: None) -> None:
    brainsmith.preload()
    result = run(config_of(), brainsmith.load(MODEL))
    (taken,) = fake_brainsmith.TAKEN
    assert taken["finn_config"] == {"target_fps": 10_000}
    files = {
        path.relative_to("artifacts").as_posix() for path in Path("artifacts").rglob("*") if path.is_file()
    }
    assert files == {
        "brainsmith/blueprint.yaml",
        "brainsmith/specification.json",
        "intermediate_models/tidy_up.onnx",
        *(f"report/{name}" for name in fake_brainsmith._reports(taken)),
    }
    assert ("brainsmith", "estimates") in onnx_metadata.read(brainsmith.save(result))


@pytest.mark.finn
def test_a_build_that_fails_is_told_by_what_its_log_says(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    brainsmith.preload()
    flags = {"synth_clk_period_ns": 5.0, "target_fps": 13}
    with pytest.raises(StepError, match="Brainsmith: DSE failed: No successful builds") as caught:
        run(config_of(config_flags=flags), brainsmith.load(MODEL))
    assert caught.value.category == "environment" and "settings64.sh" in caught.value.cure
    assert "Unable to find /tools/settings64.sh" in capsys.readouterr().err


def test_a_segment_that_did_not_complete_fails_the_build() -> None:
    failed = fake_brainsmith.SegmentResult("root", fake_brainsmith.SegmentStatus.FAILED, error="out of DSPs")
    for results, words in (({"root": failed}, "root: out of DSPs"), ({}, "Brainsmith built nothing")):
        with pytest.raises(ValueError, match=words):
            brainsmith._last_segment(fake_brainsmith.TreeExecutionResult(results, 0.0))


def test_without_brainsmith_it_says_what_to_do() -> None:
    brainsmith._brainsmith.cache_clear()
    marshalled(config_of())
    with pytest.raises(ToolError, match="Brainsmith cannot be imported where the steps run") as caught:
        brainsmith.run(flow_of(config_of())[2], None, RecordedFields({}, Notes()), Path("work"))  # type: ignore[arg-type]
    assert caught.value.category == "environment"
    assert "smith processed_model.onnx artifacts/brainsmith/blueprint.yaml" in caught.value.cure


# from the command line

CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": [5.0, 10.0]}
STAGES = {"pre_proc": ["GiveUniqueNodeNames"]}


@pytest.mark.finn
def test_without_brainsmith_a_build_fails_and_keeps_what_was_marshalled(empty_project: Project) -> None:
    project = empty_project
    project.blueprint(keys={"backend": "future_brainsmith"}, config=CONFIG, transforms=STAGES)
    run = project.fail("build")
    assert "Brainsmith cannot be imported where the steps run" in run.output and "2 failed" in run.output
    result = project.read("result.json", "tiny")
    assert (result["status"], result["error_category"]) == ("FAILED", "environment")
    assert "smith processed_model.onnx" in result["tips"][0]
    folder = project.folder("tiny")
    assert (folder / "processed_model.onnx").exists() and not (folder / "final_model.onnx").exists()
    data = fake_brainsmith.parse(folder / "artifacts/brainsmith/blueprint.yaml")
    assert data["clock_ns"] == 5.0
    assert project.read("artifacts/brainsmith/specification.json", "tiny")["design_space"] == "tiny"


@pytest.mark.finn
def test_with_brainsmith_a_build_has_reports_metrics_and_a_page(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    (environment.site / "brainsmith").mkdir()
    shutil.copy(fake_brainsmith.__file__, environment.site / "brainsmith/__init__.py")
    project = environment.project(tmp_path)
    project.blueprint(keys={"backend": "brainsmith"}, config=CONFIG, transforms=STAGES)
    run = project.succeed("build")
    assert run.steps.count("brainsmith_explore") == 2 and run.steps.count("GiveUniqueNodeNames") == 1
    found = [project.read("metrics.json", "tiny", f"config_00{number}") for number in (1, 2)]
    assert [each["throughput"] for each in found] == [200_000.0, 100_000.0]
    assert found[0]["raw_metrics"]["LUT"] == 1234
    manifest = project.read("manifest.json", "tiny")
    assert (manifest["backend"], manifest["simulated"]) == ("brainsmith", False)
    assert [step["kind"] for step in manifest["steps"]] == ["transform", "build", "build"]
    assert "report.html" in {path.name for path in project.folder("tiny").iterdir()}
    assert "nothing to do" in project.succeed("build").output
    other = project.succeed("tree").output
    assert "config_001, config_002" in other


def test_aliases_and_stages_are_known_to_blueprints() -> None:
    assert schema.BACKEND_STAGES["brainsmith"] == tuple(stage.value for stage in BACKEND.output_stages)
