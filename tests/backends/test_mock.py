"""The mock backend: what its steps depend on, what they leave, and that all of it says what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.backends import ALIASES, BACKENDS, mock, onnx_metadata
from finnmake.backends.mock_figures import Design, reports
from finnmake.blueprint import schema, tables
from finnmake.engine import toolchain
from finnmake.engine.recording import RecordedFields
from finnmake.engine.state import StepCall
from finnmake.error_patterns import CATEGORIES, classify
from finnmake.errors import ModelError, StepError
from finnmake.runner.metrics import collect
from tests.projects import REPOSITORY

MODEL = REPOSITORY / "models" / "digits_mlp_w2a2.onnx"
PACKAGE = Path(mock.__file__).parent.parent

#: Two values for every field that a step reads, paths aside.
VALUES: Mapping[str, tuple[Any, Any]] = {
    "board": ("Pynq-Z1", "Ultra96"),
    "debug_fifo": (False, True),
    "folding_two_pass_relaxation": (False, True),
    "fpga_part": ("xc7z020clg400-1", "xczu3eg-sbva484-1-e"),
    "generate_outputs": (["estimate_reports"], []),
    "hls_clk_period_ns": (5.0, 4.0),
    "infer_shuffle_skip_first": (False, True),
    "kernels": ({"MVAU": {"backends": ["MVAU_hls"]}}, {"MVAU": {"backends": ["MVAU_rtl"]}}),
    "max_multithreshold_bit_width": (8, 9),
    "minimize_bit_width": (False, True),
    "mvau_wwidth_max": (36, 72),
    "requant_bitwidth_threshold": (8, 9),
    "save_intermediate_models": (False, True),
    "standalone_thresholds": (False, True),
    "synth_clk_period_ns": (10.0, 5.0),
    "target_fps": (1000, 100_000),
    "verify_steps": ([], ["initial_python"]),
}
FLAGS = {name: first for name, (first, _) in VALUES.items() if name != "board"}


class Notes:
    """Stands for the recorder: the names of the fields that were read."""

    def __init__(self) -> None:
        self.fields: set[str] = set()

    def note_field(self, name: str) -> None:
        self.fields.add(name)


def call_of(name: str, kind: str = "step", **parameters: Any) -> StepCall:
    target = f"{tables.STEP_MODULE}:{name}" if name.startswith("step_") else f"my_plugins:{name}"
    given = {"parameters": parameters} if kind == "analysis" else parameters
    return StepCall(name, kind, target, given, 0)


def run(call: StepCall, loaded: mock.Simulated, flags: Mapping[str, Any] = FLAGS) -> mock.Simulated:
    return mock.run(call, loaded, RecordedFields(flags, Notes()), Path("work"))  # type: ignore[arg-type]


def flow(flags: Mapping[str, Any], *steps: str) -> mock.Simulated:
    """The default estimate flow, or these steps."""
    loaded = mock.load(MODEL)
    for step in steps or tables.step_list("estimate_only_dataflow_steps"):
        loaded = run(call_of(step), loaded, flags)
    return loaded


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the steps of a test run."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


# the table of backends


def test_blueprints_know_the_same_backends() -> None:
    stages = {name: tuple(each.value for each in one.output_stages) for name, one in BACKENDS.items()}
    assert stages == schema.BACKEND_STAGES
    assert schema.BACKEND_ALIASES == ALIASES
    assert [name for name, backend in BACKENDS.items() if backend.simulated] == ["mock"]


def test_modules_of_backends_count_in_the_keys() -> None:
    inside = {*toolchain._INSIDE, *(name for names in toolchain._INSIDE_OF.values() for name in names)}
    own = {f"backends/{name}.py" for name in ("mock", "mock_figures", "onnx_metadata", "finn")}
    assert own <= inside
    assert all((PACKAGE / name).exists() for name in inside)
    assert set(toolchain._INSIDE_OF) <= {backend.adapter for backend in BACKENDS.values()}


def test_importing_it_brings_nothing_heavy() -> None:
    heavy = ("finn", "qonnx", "onnx", "numpy")
    code = (
        "import sys; from finnmake.backends import mock; mock.preload();"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# what a step depends on


def test_the_table_of_fields_names_steps_and_fields_of_finn() -> None:
    known = {*tables.config_field_names(), "kernels"}
    assert set(mock.FIELDS) <= set(tables.step_names())
    assert {name for names in mock.FIELDS.values() for name in names} <= known


@pytest.mark.parametrize("step", [*mock.FIELDS, "step_create_stitched_ip", "my_step"])
def test_a_step_reads_the_fields_of_the_table_and_no_others(step: str) -> None:
    notes = Notes()
    mock.run(call_of(step), mock.load(MODEL), RecordedFields(FLAGS, notes), Path("work"))  # type: ignore[arg-type]
    assert notes.fields == set(mock.FIELDS.get(step, ()))


@pytest.mark.parametrize("step", [*mock.FIELDS, "my_step"])
def test_a_result_depends_on_what_is_read_alone(step: str) -> None:
    before = run(call_of(step), mock.load(MODEL)).data
    for name, (_, second) in VALUES.items():
        after = run(call_of(step), mock.load(MODEL), {**FLAGS, name: second}).data
        assert (after != before) == (name in mock.FIELDS.get(step, ())), name


def test_the_board_is_read_where_there_is_no_part() -> None:
    flags = {name: value for name, value in FLAGS.items() if name != "fpga_part"}
    one, two = (
        run(call_of("step_specialize_layers"), mock.load(MODEL), {**flags, "board": board}).data
        for board in VALUES["board"]
    )
    assert one != two


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(0, 1)))
def test_equal_inputs_give_equal_bytes(choice: dict[str, int]) -> None:
    flags = {name: VALUES[name][index] for name, index in choice.items()}
    assert flow(flags).data == flow(dict(reversed(flags.items()))).data


def test_parameters_and_what_came_before_count() -> None:
    results = {
        run(call_of("my_step"), mock.load(MODEL)).data,
        run(call_of("my_step", bits=4), mock.load(MODEL)).data,
        run(call_of("my_step", bits=5), mock.load(MODEL)).data,
        run(call_of("my_step"), flow(FLAGS, "step_tidy_up")).data,
        run(call_of("my_step"), flow(FLAGS, "step_streamline")).data,
    }
    assert len(results) == 5


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ("step_apply_folding_config", "folding_config_file"),
        ("step_specialize_layers", "specialize_layers_config_file"),
        ("step_generate_estimate_reports", "multi_dnn_config_path"),
    ],
)
def test_the_content_of_a_file_that_a_field_names_counts(folder: Path, step: str, field: str) -> None:
    def result(content: str) -> bytes:
        (folder / "project" / "x.json").write_text(content)
        return run(call_of(step), mock.load(MODEL), {**FLAGS, field: "x.json"}).data

    assert result("{}") == result("{}") != result('{"a": 1}')


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StepError, match=r"folding_config_file: gone\.json cannot be read") as caught:
        run(call_of("step_apply_folding_config"), mock.load(MODEL), {"folding_config_file": "gone.json"})
    assert caught.value.category == "config"


# what a step leaves


def test_the_model_stays_a_valid_onnx_model_and_says_what_it_is(folder: Path) -> None:
    final = folder / "final_model.onnx"
    final.write_bytes(mock.save(flow(FLAGS)))
    model, source = onnx.load(final), onnx.load(MODEL)
    onnx.checker.check_model(model.SerializeToString())
    assert model.graph == source.graph
    entries = {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith(mock.KEY)}
    steps = tables.step_list("estimate_only_dataflow_steps")
    assert [json.loads(value)["step"] for value in entries.values()] == list(steps)
    assert all("FINN did not run" in value for value in entries.values())
    assert onnx_metadata.read(final.read_bytes())[-len(steps) :] == list(entries.items())


def test_a_model_that_was_stored_on_the_way_goes_on_alike(folder: Path) -> None:
    loaded = mock.load(MODEL)
    for step in tables.step_list("estimate_only_dataflow_steps"):
        (folder / "between.onnx").write_bytes(mock.save(loaded))
        again = mock.load(folder / "between.onnx")
        assert again == loaded
        loaded = run(call_of(step), again)
    assert loaded.data == flow(FLAGS).data


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.binary(max_size=300))
def test_metadata_is_read_as_it_was_written(entries: list[tuple[str, str]], graph: bytes) -> None:
    model = onnx.ModelProto(ir_version=8, doc_string=graph.hex()).SerializeToString()
    whole = model + b"".join(onnx_metadata.entry(key, value) for key, value in entries)
    assert onnx_metadata.read(whole) == entries
    parsed = onnx.ModelProto.FromString(whole)
    assert [(entry.key, entry.value) for entry in parsed.metadata_props] == entries


@given(st.binary(max_size=200))
def test_what_is_no_model_is_refused_in_words(data: bytes) -> None:
    path = Path("noise.onnx")
    path.write_bytes(data)
    try:
        mock.load(path)
    except ModelError as error:
        assert "not an ONNX file" in str(error) or "no ONNX file" in str(error)


def test_an_analysis_says_nothing_but_that_it_was_simulated(folder: Path) -> None:
    loaded = mock.load(MODEL)
    assert run(call_of("energy", "analysis", config={}, metrics={}), loaded) is loaded
    written = json.loads((folder / "artifacts/postprocessing/energy.json").read_text())
    assert written == {"simulated": True}


def test_the_log_says_that_nothing_was_run(capsys: pytest.CaptureFixture[str]) -> None:
    run(call_of("step_tidy_up"), mock.load(MODEL))
    assert "step_tidy_up: simulated by finnmake's backend mock" in capsys.readouterr().out


# trying what goes wrong


@pytest.mark.parametrize(
    ("kind", "category"),
    [("step", "transform"), ("transform", "transform"), ("analysis", "postprocessing")],
)
def test_fail_fails(kind: str, category: str) -> None:
    with pytest.raises(StepError) as caught:
        run(call_of("broken", kind, fail=True), mock.load(MODEL))
    assert (caught.value.category, caught.value.step) == (category, "broken")
    run(call_of("broken", kind, fail=False), mock.load(MODEL))


@pytest.mark.parametrize("category", mock.FAILURES)
def test_fail_fails_with_an_error_of_the_category(category: str) -> None:
    with pytest.raises(
        StepError, match="simulated failure, as the blueprint asks the backend mock"
    ) as caught:
        run(call_of("broken", fail=category), mock.load(MODEL))
    assert caught.value.category == category
    assert category in caught.value.cure
    assert classify([str(caught.value)], category)[0] == category, "it reads like an error of a tool"


@pytest.mark.parametrize("fail", ["simulation", 1, None, ["timing"], {"timing": 0.5}])
def test_a_failure_that_is_none_is_refused(fail: Any) -> None:
    with pytest.raises(StepError, match="cannot fail with") as caught:
        run(call_of("broken", fail=fail), mock.load(MODEL))
    assert caught.value.category == "config"


def test_categories_are_those_of_errors_and_of_blueprints() -> None:
    assert set(mock.FAILURES) <= set(CATEGORIES)
    assert set(mock.FAILURES) == {*schema.MOCK_FAILURES, "postprocessing"}


def test_how_a_call_behaves_changes_no_result() -> None:
    slow, quick = (
        run(call_of("my_step", sleep=0.001, fail=False), mock.load(MODEL)),
        run(call_of("my_step"), mock.load(MODEL)),
    )
    assert slow.data == quick.data


def test_sleep_sleeps_before_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(mock.time, "sleep", slept.append)
    with pytest.raises(StepError, match="as the blueprint asks"):
        run(call_of("slow", sleep=0.25, fail=True), mock.load(MODEL))
    assert slept == [0.25]


@pytest.mark.parametrize("pause", [-1, "1", True, None, float("nan"), float("inf"), [1]])
def test_a_sleep_that_is_none_is_refused(pause: Any) -> None:
    with pytest.raises(StepError, match="cannot sleep") as caught:
        run(call_of("slow", sleep=pause), mock.load(MODEL))
    assert caught.value.category == "config"


# the figures

CLOCKS = st.sampled_from((2.5, 4.0, 5.0, 10.0))
TARGETS = st.sampled_from([10**power for power in range(3, 8)])
PART = "xczu3eg-sbva484-1-e"


def figures(design: Design, clock_ns: float = 5.0, part: str = PART) -> tuple[float, float, float]:
    """Throughput in inferences/s, LUTs, DSPs."""
    made = reports(design, clock_ns, part)
    total = made["estimate_layer_resources.json"]["total"]
    performance = made["estimate_network_performance.json"]
    return performance["estimated_throughput_fps"], total["LUT"], total["DSP"]


@given(TARGETS, TARGETS, CLOCKS)
def test_more_throughput_takes_more_of_the_device(one: int, two: int, clock_ns: float) -> None:
    slow, fast = sorted((one, two))
    (slow_fps, slow_lut, _), (fast_fps, fast_lut, _) = (
        figures(Design().folded(target, clock_ns), clock_ns) for target in (slow, fast)
    )
    assert slow_fps <= fast_fps and slow_lut <= fast_lut
    assert (slow_fps == fast_fps) == (slow_lut == fast_lut)


@given(TARGETS, CLOCKS)
def test_the_target_is_reached_where_there_is_parallelism_left(target: int, clock_ns: float) -> None:
    design = Design().folded(target, clock_ns)
    reached, _, _ = figures(design, clock_ns)
    assert reached >= target or max(design.parallel) > 500
    assert all(parallel & (parallel - 1) == 0 for parallel in design.parallel)


@given(TARGETS, CLOCKS)
def test_rtl_layers_trade_luts_for_dsps(target: int, clock_ns: float) -> None:
    folded = Design().folded(target, clock_ns)
    hls, rtl = (
        figures(folded.specialized({"MVAU": {"backends": [f"MVAU_{style}"]}}), clock_ns)
        for style in ("hls", "rtl")
    )
    assert rtl[0] == hls[0] and rtl[1] < hls[1] and rtl[2] > hls[2]


def built(**changes: Any) -> dict[str, float]:
    """The figures of FINN's default estimate flow with these fields."""
    flow({**FLAGS, **changes})
    found: dict[str, float] = {}
    for name in ("estimate_network_performance", "estimate_layer_resources"):
        report = json.loads(Path("artifacts/report", f"{name}.json").read_text())
        found.update(report.get("total", report))
    return found


PERIODS = st.floats(1.0, 50.0)
FURTHER = st.sets(st.sampled_from(["Pool", "VVAU", "FMPadding", "ConvolutionInputGenerator"]), min_size=1)


@given(PERIODS, PERIODS)
def test_a_faster_clock_gives_more_for_more(one: float, two: float) -> None:
    fast, slow = (built(target_fps=None, synth_clk_period_ns=period) for period in sorted((one, two)))
    assert fast["estimated_throughput_fps"] * min(one, two) == pytest.approx(
        slow["estimated_throughput_fps"] * max(one, two)
    )
    assert fast["estimated_latency_ns"] <= slow["estimated_latency_ns"]
    assert fast["LUT"] >= slow["LUT"]


@given(TARGETS, TARGETS)
def test_a_higher_target_folds_less(one: int, two: int) -> None:
    slow, fast = (built(target_fps=target) for target in sorted((one, two)))
    assert slow["estimated_throughput_fps"] <= fast["estimated_throughput_fps"]
    assert slow["LUT"] <= fast["LUT"] and slow["max_cycles"] >= fast["max_cycles"]


@given(TARGETS)
def test_layers_in_rtl_take_fewer_luts_and_more_dsps(target: int) -> None:
    hls, rtl = (
        built(target_fps=target, kernels={"MVAU": {"backends": [f"MVAU_{style}"]}})
        for style in ("hls", "rtl")
    )
    assert rtl["LUT"] < hls["LUT"] and rtl["DSP"] > hls["DSP"]
    assert rtl["estimated_throughput_fps"] == hls["estimated_throughput_fps"]


@given(FURTHER, FURTHER, TARGETS)
def test_more_kernels_are_more_layers(some: set[str], others: set[str], target: int) -> None:
    few, many = (
        built(target_fps=target, kernels={name: {"backends": []} for name in ("MVAU", *sorted(names))})
        for names in (some, some | others)
    )
    assert (few["LUT"] < many["LUT"]) == (not others <= some)
    assert few["estimated_latency_ns"] <= many["estimated_latency_ns"]
    assert few["estimated_throughput_fps"] >= many["estimated_throughput_fps"]


def test_every_layer_is_called_simulated() -> None:
    for name, report in reports(Design().specialized({"Pool": {}}), 5.0, PART).items():
        if name == "estimate_network_performance.json":
            assert report["max_cycles_node_name"].endswith("_simulated")
        else:
            assert all(layer.endswith("_simulated") for layer in report if layer != "total"), name


def test_the_design_survives_the_model_file() -> None:
    design = Design().specialized({"MVAU": {"backends": ["MVAU_rtl"]}, "Pool": {}}).folded(1000, 5.0)
    assert Design.from_dict(json.loads(json.dumps(design.to_dict()))) == design


def test_clock_part_and_other_choices_move_the_figures() -> None:
    design = Design().folded(10_000, 5.0)
    moved = [
        figures(design),
        figures(design, clock_ns=4.0),
        figures(design, part="xc7z020clg400-1"),
        figures(design.flavoured("a")),
        figures(design.flavoured("b")),
    ]
    assert len(set(moved)) == len(moved)


def test_a_design_space_has_more_than_one_best_point() -> None:
    points = [
        figures(Design().folded(target, clock_ns).specialized({"MVAU": {"backends": [style]}}), clock_ns)
        for target in (10**4, 10**5, 10**6)
        for clock_ns in (5.0, 10.0)
        for style in ("MVAU_hls", "MVAU_rtl")
    ]
    scores = {(fps, -lut, -dsp) for fps, lut, dsp in points}
    best = [
        score
        for score in scores
        if not any(other != score and all(map(float.__ge__, other, score)) for other in scores)
    ]
    assert 1 < len(best) < len(scores)


@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}))
def test_the_readers_of_reports_take_the_figures(flags: dict[str, Any]) -> None:
    flags = {**flags, "generate_outputs": ["estimate_reports"]}
    flow(flags)
    metrics, warnings = collect(
        Path("artifacts/report"),
        fpga_part=flags["fpga_part"],
        synth_clk_period_ns=flags["synth_clk_period_ns"],
        simulated=True,
    )
    assert warnings == []
    for name in ("throughput", "latency", "lut_utilization", "bram_utilization", "dsp_utilization"):
        assert getattr(metrics, name) is not None
        assert metrics.sources[name].endswith("(simulated)")
    layers = json.loads(Path("artifacts/report/estimate_layer_resources.json").read_text())
    total = layers.pop("total")
    for resource, count in total.items():
        assert count == sum(layer[resource] for layer in layers.values())


def test_reports_are_written_where_finn_would_write_them(folder: Path) -> None:
    flow({**FLAGS, "generate_outputs": ["stitched_ip"]})
    assert not (folder / "artifacts" / "report").exists()
