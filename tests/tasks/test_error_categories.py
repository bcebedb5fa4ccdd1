"""Every category of error, reached by a real cause, and what a user then sees: screen, result.json, page.

FINN's own failures where FINN runs, fake tools where Vivado would be. One project: shared steps run once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finnmake.error_patterns import CATEGORIES
from tests import fake_vivado
from tests.projects import Project, Run

pytestmark = pytest.mark.finn

TO_FINN = ["step_qonnx_to_finn", "step_tidy_up"]
TO_LAYERS = [
    *TO_FINN,
    "step_streamline",
    "step_convert_to_hw",
    "step_minimize_bit_width_initial",
    "step_create_dataflow_partition",
    "step_specialize_layers",
]
TO_ESTIMATES = [*TO_LAYERS, "step_target_fps_parallelization", "step_generate_estimate_reports"]

FIELDS = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 10000}
VERSAL = {**FIELDS, "fpga_part": "xcvc1902-vsva2197-2MP-e-S", "standalone_thresholds": True}

PLUGIN = """
import time
from pathlib import Path

import numpy as np
from finnmake.plugins import analysis, step, transform
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation


@transform(stage="pre_proc")
class FoldScale(Transformation):
    def apply(self, model):
        raise ValueError("the first node is no Mul")


@step
def odd(model, cfg):
    print("looking at the keyboard")
    raise RuntimeError("the cat sat on it")


@step
def hungry(model, cfg):
    np.zeros(1 << 50)
    return model


@step
def sleepy(model, cfg):
    time.sleep(60)
    return model


@step
def by_three(model, cfg):
    for node in model.get_nodes_by_op_type("MVAU_hls"):
        getCustomOp(node).set_nodeattr("PE", 3)
    return model


@step
def cut_report(model, cfg):
    path = Path(cfg.output_dir) / "report" / "estimate_layer_resources.json"
    path.write_text(path.read_text()[:99])
    return model


@analysis
def gloomy(build):
    raise LookupError("no light in here")
"""

#: A Vitis HLS that finds a mistake in the code, and one that is not licensed, as the real one says it.
BROKEN_HLS = "echo 'ERROR: [HLS 200-70] Compilation errors found.' >&2\nexit 1\n"
NO_LICENCE = "echo \"ERROR: [Common 17-345] A valid license was not found for feature 'HLS'\" >&2\nexit 1\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("errors")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("own.py", PLUGIN)
    return project


@pytest.fixture
def changing(project: Project) -> Iterator[Project]:
    """The project, whose settings and variables a test changes."""
    path = project.root / "pyproject.toml"
    settings, extra = path.read_text(), dict(project.extra)
    yield project
    path.write_text(settings)
    project.extra = extra


def build(project: Project, name: str, keys: dict[str, Any] | None = None, **space: Any) -> Run:
    project.blueprint(name, keys=keys, **{"config": FIELDS, **space})
    return project.run("build:config_001")


def failed(
    project: Project, run: Run, name: str, category: str, *words: str, config: str = "config_001"
) -> dict[str, Any]:
    """The result of a build that failed so, after a look at all that tells it."""
    assert run.code in (1, 2), run.output
    assert "Traceback" not in run.output, run.output
    result: dict[str, Any] = project.read("result.json", name, config)
    assert result["error_category"] == category, result
    page = (project.folder(name, config) / "failure.html").read_text()
    assert f"<dd>{category}: {CATEGORIES[category]}</dd>" in page
    for word in (*words, *result["tips"], result["error_step"] or ""):
        assert word in run.output, f"{word!r} is not in:\n{run.output}"
    return result


def use(project: Project, tree: Path) -> None:
    """Write Vivado's folder into the settings."""
    path = project.root / "pyproject.toml"
    path.write_text(
        f"{path.read_text()}\n[tool.finnmake.toolchain]\n"
        f'vivado = {{ path = "{tree}", version = "{tree.name}" }}\nlicence = "none"\n'
    )


def test_model_load(project: Project) -> None:
    whole = (project.root / "models" / "digits_mlp_w2a2.onnx").read_bytes()
    (project.root / "models" / "cut.onnx").write_bytes(whole)
    project.blueprint("cut", keys={"model": "../models/cut.onnx"}, config=FIELDS)
    (project.root / "models" / "cut.onnx").write_bytes(whole[:2000])
    run = project.run("build:config_001")
    failed(project, run, "cut", "model_load", "models/cut.onnx: the model is truncated or not an ONNX file")


def test_preprocessing(project: Project) -> None:
    run = build(project, "pre", transforms={"pre_proc": ["own.FoldScale"]}, steps=TO_FINN)
    result = failed(project, run, "pre", "preprocessing", "the first node is no Mul", "plugins/own.py:14")
    assert result["error_step"] == "own.FoldScale"


def test_transform(project: Project) -> None:
    """FINN takes symmetric quantisers only."""
    import numpy as np
    from qonnx.core.modelwrapper import ModelWrapper

    model = ModelWrapper(str(project.root / "models" / "digits_mlp_w2a2.onnx"))
    for node in model.get_nodes_by_op_type("Quant"):
        model.set_initializer(node.input[2], np.ones_like(model.get_initializer(node.input[2])))
    model.save(str(project.root / "models" / "shifted.onnx"))
    run = build(project, "shifted", {"model": "../models/shifted.onnx"}, steps=TO_FINN)
    result = failed(project, run, "shifted", "transform", "Only Quant nodes with zero-point == 0")
    assert "ExtractQuantScaleZeroPt" in result["tips"][0]


def test_kernel_names_the_operators(project: Project) -> None:
    """Without streamlining, operators are left over between the layers."""
    steps = [*TO_FINN, "step_convert_to_hw", "step_create_dataflow_partition"]
    run = build(project, "left", steps=steps)
    result = failed(project, run, "left", "kernel", "BatchNormalization_0", "MatMul_0")
    assert result["error_step"] == "step_create_dataflow_partition"
    assert result["error_node"] == "BatchNormalization_0"
    assert run.steps == steps[:-1]


def test_kernel_where_nothing_became_hardware(project: Project) -> None:
    """FINN says no more than that there is not one partition."""
    run = build(project, "none", steps=["step_tidy_up", "step_create_dataflow_partition"])
    failed(project, run, "none", "kernel", "Only a single StreamingDataflowPartition", "(Quant)", "(MatMul)")


def test_resource(project: Project) -> None:
    run = build(project, "third", steps=[*TO_LAYERS, "own.by_three", "step_minimize_bit_width"])
    result = failed(project, run, "third", "resource", "step_minimize_bit_width", "PE")
    assert result["error_node"] == "MVAU_hls_0"
    assert "MVAU_hls_0" in run.output


def test_timing(project: Project) -> None:
    run = build(
        project,
        "hasty",
        {"output_stage": "RTL"},
        config={**VERSAL, "synth_clk_period_ns": 0.5},
        kernels=[{"MVAU": ["MVAU_rtl"]}],
        steps=[*TO_LAYERS, "step_hw_codegen"],
    )
    result = failed(project, run, "hasty", "timing", "Infeasible clk target of 0.5 ns", "synth_clk_period_ns")
    assert result["error_node"] == "MVAU_rtl_0"


def test_config(project: Project) -> None:
    (project.root / "folding.json").write_text('{"MVAU_hls_0": {"PEE": 2}}')
    fields = {**FIELDS, "folding_config_file": "../folding.json"}
    run = build(project, "folded", config=fields, steps=[*TO_LAYERS, "step_apply_folding_config"])
    words = ("folding.json: node 'MVAU_hls_0' has no attribute 'PEE'", "auto_folding_config.json")
    failed(project, run, "folded", "config", *words)


def test_timeout(project: Project) -> None:
    run = build(project, "sleepy", {"timeout": 1}, steps=["own.sleepy"])
    result = failed(project, run, "sleepy", "timeout", "no result after 1 s", "Raise `timeout`")
    assert result["status"] == "TIMEOUT"
    assert "ran out of time" in (project.folder("sleepy") / "failure.html").read_text()


@pytest.fixture(scope="module")
def three(project: Project) -> Run:
    """Three configurations that differ in their last step: out of memory, of unknown cause, a cut report."""
    last = ["own.hungry", "own.odd", "own.cut_report"]
    project.blueprint(
        "three", config=FIELDS, steps=[*TO_ESTIMATES, last], transforms={"post_proc": ["own.gloomy"]}
    )
    return project.run("build")


def test_memory(project: Project, three: Run) -> None:
    failed(project, three, "three", "memory", "Unable to allocate 8.00 PiB", "Run fewer builds at once")


def test_unknown(project: Project, three: Run) -> None:
    """What the step printed is shown, and the place in the user's own code."""
    words = ("plugins/own.py:20: RuntimeError: the cat sat on it", "looking at the keyboard", "build.log")
    result = failed(project, three, "three", "unknown", *words, config="config_002")
    assert result["tips"] == []
    assert result["log_tail"][0] == "looking at the keyboard"
    assert result["log_tail"][-1] == "RuntimeError: the cat sat on it"


def test_metrics_and_postprocessing_are_warnings(project: Project, three: Run) -> None:
    result = project.read("result.json", "three", "config_003")
    assert result["status"] == "SUCCESS"
    warnings = "\n".join(result["warnings"])
    assert "metrics: report/estimate_layer_resources.json is not valid JSON" in warnings
    assert "postprocessing: analysis own.gloomy: plugins/own.py:" in warnings
    assert "no light in here" in warnings
    for warning in result["warnings"]:
        assert f"warning: {warning}" in three.output
    assert not (project.folder("three", "config_003") / "failure.html").exists()


def test_environment_is_told_at_the_start_and_before_the_step(project: Project) -> None:
    run = build(project, "stitched", {"output_stage": "STITCHED_IP"})
    note = "note: builds stop before step_generate_hardware, which needs Vitis HLS: no Vivado is named"
    assert run.output.index(note) < run.output.index("step_")
    words = ("step_generate_hardware: this step needs Vitis HLS: XILINX_VIVADO is not set", "vivado")
    result = failed(project, run, "stitched", "environment", *words)
    assert result["error_step"] == "step_generate_hardware"
    again = project.run("build:config_001")
    assert again.steps == []  # what came before is kept


def test_synthesis(changing: Project, tmp_path: Path) -> None:
    tree = fake_vivado.make(tmp_path)
    _break(tree, BROKEN_HLS)
    use(changing, tree)
    run = build(changing, "broken", {"output_stage": "STITCHED_IP"})
    words = ("step_generate_hardware", "HLS IP Generation failed", "[HLS 200-70] Compilation errors found")
    result = failed(changing, run, "broken", "synthesis", *words)
    assert "vitis_hls.log" in result["tips"][0]
    assert "note:" not in run.output


def test_a_tool_says_more_than_finn(changing: Project, tmp_path: Path) -> None:
    """FINN says that IP generation failed; the tool below it why."""
    tree = fake_vivado.make(tmp_path)
    _break(tree, NO_LICENCE)
    use(changing, tree)
    run = build(changing, "unlicensed", {"output_stage": "STITCHED_IP"})
    failed(changing, run, "unlicensed", "environment", "HLS IP Generation failed", "licence")


def test_the_next_success_removes_the_page(empty_project: Project) -> None:
    project, step = empty_project, {"step": "step_tidy_up", "fail": True}
    page, report = (project.folder("moody") / f"{name}.html" for name in ("failure", "report"))
    for steps in ([step], ["step_tidy_up"], [step]):
        run = build(project, "moody", {"backend": "mock"}, steps=steps)
        fine = steps == ["step_tidy_up"]
        assert (run.code == 0) == fine, run.output
        assert page.exists() != fine
        if not fine:
            assert "Simulated." in page.read_text()
    assert report.exists()  # of the build before


def _break(tree: Path, script: str) -> None:
    """Let the tree's vitis_hls do this when it is given a script; it still says its version."""
    tool = tree.parent.parent / "Vitis_HLS" / tree.name / "bin" / "vitis_hls"
    head, found, _ = tool.read_text().partition("\nfi\n")
    tool.write_text(head + found + script)
