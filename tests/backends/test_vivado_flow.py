"""FINN's flow as far as Vivado takes it: IP of every layer, stitched IP, out-of-context synthesis.

The tools are scripts; code generation, the Tcl and the reading of reports are FINN's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fake_vivado
from tests.projects import Project, Run

pytestmark = [pytest.mark.finn, pytest.mark.slow]

TO_HARDWARE = [
    "step_qonnx_to_finn",
    "step_tidy_up",
    "step_streamline",
    "step_convert_to_hw",
    "step_minimize_bit_width_initial",
    "step_create_dataflow_partition",
    "step_specialize_layers",
    "step_target_fps_parallelization",
    "step_apply_folding_config",
    "step_minimize_bit_width",
    "step_transpose_decomposition",
    "step_generate_estimate_reports",
    "step_generate_hardware",
]

TO_SYNTHESIS = [*TO_HARDWARE, "step_create_stitched_ip", "step_out_of_context_synthesis"]

PLUGIN = """
from finn.transformation.fpgadataflow.prepare_rtlsim import PrepareRTLSim

from finnmake.plugins import step


@step
def ask_for_bitfile(model, config):
    config.generate_outputs = ["bitfile"]
    return model


@step
def simulate(model, config):
    return model.transform(PrepareRTLSim())
"""

TABLE = "[tool.finnmake.toolchain]"

FIELDS = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": 10.0,
    "target_fps": 10000,
    "auto_fifo_strategy": "force_minimal_fifos",  # any other simulates
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_vivado.make(tmp_path_factory.mktemp("tools") / "Xilinx")


@pytest.fixture(scope="module")
def project(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("flow")
    project = Project.clone(folder / "project", folder / "store")
    project.extra = {"FINN_DEPS": str(fake_vivado.make_dependencies(folder / "deps"))}
    project.plugin("own.py", PLUGIN)
    use(project, tree)
    return project


@pytest.fixture
def changing(project: Project) -> Iterator[Project]:
    """The project, whose settings and variables a test changes."""
    settings, extra = (project.root / "pyproject.toml").read_text(), dict(project.extra)
    yield project
    (project.root / "pyproject.toml").write_text(settings)
    project.extra = extra


def use(project: Project, tree: Path | None, licence: str = "none") -> None:
    """Write Vivado's folder and licence into the settings; None takes them out."""
    path = project.root / "pyproject.toml"
    text = path.read_text().partition(TABLE)[0]
    if tree is not None:
        text += f'{TABLE}\nvivado = {{ path = "{tree}", version = "{tree.name}" }}\n'
        text += f'licence = "{licence}"\n' if licence else ""
    path.write_text(text)


def build(project: Project, name: str, steps: list[str], **fields: Any) -> Run:
    stage = "STITCHED_IP" if steps == TO_SYNTHESIS else "ESTIMATES"
    project.blueprint(name, keys={"output_stage": stage}, config={**FIELDS, **fields}, steps=steps)
    return project.run("build:config_001")


@pytest.fixture(scope="module")
def synthesised(project: Project) -> Run:
    run = build(project, "synthesised", TO_SYNTHESIS)
    assert run.code == 0, run.output
    return run


def test_every_layer_becomes_ip(project: Project, synthesised: Run, tree: Path) -> None:
    found = project.read("artifacts/report/estimate_layer_resources_hls.json", "synthesised")
    layers = {f"MVAU_hls_{number}" for number in range(3)}
    assert set(found) == {*layers, "total"}
    assert all(found[layer]["LUT"] == 200 for layer in layers)
    called = {Path(call).name for call in fake_vivado.calls(tree) if call.startswith("vitis_hls ")}
    assert called == {"vitis_hls -version", *(f"hls_syn_{layer}.tcl" for layer in layers)}


def test_ip_is_stitched(project: Project, synthesised: Run) -> None:
    folder = project.folder("synthesised") / "artifacts" / "stitched_ip"
    assert "finn_design" in (folder / "ip" / "component.xml").read_text()
    script = (folder / "make_project.tcl").read_text()
    for layer in range(3):
        assert f"project_MVAU_hls_{layer}/sol1/impl/ip" in script


def test_figures_come_from_synthesis(project: Project, synthesised: Run) -> None:
    raw = project.read("metrics.json", "synthesised")["raw_metrics"]
    assert (raw["LUT"], raw["FF"], raw["DSP"], raw["wns_ns"]) == (1200, 900, 3, 1.25)


def test_bitfile(project: Project, synthesised: Run) -> None:
    steps = [*TO_HARDWARE, "own.ask_for_bitfile", "step_synthesize_bitfile"]
    fields = {"board": "Pynq-Z1", "shell_flow_type": "vivado_zynq", "instrumentation_no_dma": False}
    run = build(project, "bitfile", steps, **fields)
    assert run.code == 0, run.output
    folder = project.folder("bitfile") / "artifacts"
    assert (folder / "bitfile" / "finn-accel.bit").read_text() == "bits for Pynq-Z1\n"
    assert (folder / "bitfile" / "finn-accel.hwh").exists()
    assert (folder / "report" / "post_route_timing.rpt").exists()


def test_nothing_is_synthesised_twice(project: Project, synthesised: Run, tree: Path) -> None:
    before = fake_vivado.calls(tree)
    assert build(project, "again", TO_SYNTHESIS).steps == []
    assert project.read("metrics.json", "again") == project.read("metrics.json", "synthesised")
    assert fake_vivado.calls(tree) == before


def test_another_clock_is_synthesised_anew(project: Project, synthesised: Run, tree: Path) -> None:
    before = len(fake_vivado.calls(tree))
    run = build(project, "faster", TO_SYNTHESIS, synth_clk_period_ns=5.0)
    assert run.code == 0, run.output
    assert "step_generate_hardware" in run.steps
    assert "step_streamline" not in run.steps
    assert len(fake_vivado.calls(tree)) > before


def test_simulation_says_what_it_lacks(project: Project, synthesised: Run, tree: Path) -> None:
    run = build(project, "simulated", [*TO_HARDWARE, "own.simulate"])
    assert run.code in (1, 2)
    assert not {"step_generate_hardware", "own.simulate"} & set(run.steps)
    assert "RTL simulation needs FINN's extension xsi.so" in run.output
    assert f"headers not found at {tree}/data/xsim/include" in run.output
    assert project.read("result.json", "simulated")["error_category"] == "environment"


def test_same_release_elsewhere_shares_results(changing: Project, synthesised: Run, tmp_path: Path) -> None:
    use(changing, fake_vivado.make(tmp_path / "other"))
    run = build(changing, "elsewhere", TO_SYNTHESIS)
    assert run.code == 0, run.output
    assert run.steps == []


def test_another_release_does_not(changing: Project, synthesised: Run, tmp_path: Path) -> None:
    use(changing, fake_vivado.make(tmp_path, "2023.2"))
    run = build(changing, "newer", TO_HARDWARE)
    assert run.code == 0, run.output
    assert run.steps == TO_HARDWARE


def test_tree_that_lies_stops_the_build(changing: Project, tmp_path: Path) -> None:
    use(changing, fake_vivado.make(tmp_path, says="2023.1"))
    run = changing.fail("build:config_001")
    assert "is v2023.1" in run.output
    assert "2022.2 is pinned" in run.output
    assert run.steps == []


def test_no_licence_stops_the_build(changing: Project, tree: Path) -> None:
    use(changing, tree, licence="")
    run = changing.fail("build:config_001")
    assert "tool.finnmake.toolchain.licence" in run.output
    assert 'licence = "' in run.output
    assert run.steps == []


def test_headers_that_are_missing(changing: Project, tmp_path: Path) -> None:
    changing.extra["FINN_DEPS"] = str(tmp_path)
    run = build(changing, "headless", TO_HARDWARE)
    assert run.code in (1, 2)
    assert "HLS IP Generation failed" in run.output
    assert "'bnn-library.h' file not found" in (changing.folder("headless") / "build.log").read_text()


def test_without_vivado(changing: Project) -> None:
    use(changing, None)
    run = build(changing, "bare", TO_HARDWARE)
    assert run.code in (1, 2)
    assert "step_generate_hardware" in run.output
    assert "this step needs Vitis HLS: XILINX_VIVADO is not set" in run.output
    assert run.steps == TO_HARDWARE[:-1]


@pytest.mark.parametrize("where", ["tree", "/no/such/folder"])
def test_estimates_need_no_simulation(empty_project: Project, tree: Path, where: str) -> None:
    """Whatever XILINX_VIVADO names: nothing is compiled against it, and nothing is looked for there."""
    empty_project.extra["XILINX_VIVADO"] = str(tree) if where == "tree" else where
    assert empty_project.succeed("build:config_001").steps
