"""The page of a failed build: a golden file, and what it says when less is known.

After a wanted change of the template, write the golden file anew: `python tests/report/test_failure_page.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.error_patterns import CATEGORIES
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from finnmake.report.html import render_failure
from tests.report.test_html import check

GOLDEN = Path(__file__).parent / "data" / "failure.html"
TEMPLATES = Path(__file__).parents[2] / "templates"

CONFIG = BuildConfig(
    id="config_003",
    design_space_id="digits",
    content_id="0" * 64,
    model_path="models/digits_mlp_w2a2.onnx",
    kernels=(("MVAU", ("hls",)),),
    transforms_by_stage={"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["layer_balance"]},
    build_steps=(
        "step_qonnx_to_finn",
        "step_tidy_up",
        "step_convert_to_hw",
        "step_create_dataflow_partition",
        "step_specialize_layers",
        {"step": "small_weights_in_lutram", "max_bits": 4096},
    ),
    config_flags={"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 10000},
    global_config={"output_stage": "ESTIMATES", "timeout_seconds": 3600},
    backend="finn",
    output_dir="builds/digits/config_003",
    combination_index=2,
    total_combinations=8,
)

RESULT = BuildResult(
    config_id="config_003",
    status=BuildStatus.FAILED,
    logs={"build": "build.log"},
    error_category="kernel",
    error_message="step_create_dataflow_partition, node Mul_2: AssertionError: cycle-free graph violated: "
    "partition depends on itself; without a hardware layer: Mul_2 (Mul), Relu_0 (Relu)",
    error_step="step_create_dataflow_partition",
    error_node="Mul_2",
    tips=["The operators named have no hardware layer. Streamline them away, or quantise their inputs."],
    log_tail=[
        "WARNING: The following nodes use floating point operations in the graph: Mul_2.",
        "Traceback (most recent call last):",
        '  File "qonnx/transformation/create_generic_partitions.py", line 118, in apply',
        '    assert node not in seen, """cycle-free graph violated: partition depends on itself"""',
        "AssertionError: cycle-free graph violated: partition depends on itself",
    ],
)


def page(**changes: object) -> str:
    return render_failure(replace(RESULT, **changes), CONFIG, TEMPLATES)  # type: ignore[arg-type]


def test_page_equals_the_golden_file() -> None:
    assert page() == GOLDEN.read_text(encoding="utf-8")


def test_page_stands_alone_and_is_well_formed() -> None:
    check(page())


def test_what_went_before_is_marked_done() -> None:
    shown = page()
    assert '<li class="done">step_convert_to_hw</li>' in shown
    assert '<li class="failed">step_create_dataflow_partition</li>' in shown
    assert '<li class="ahead">small_weights_in_lutram</li>' in shown


def test_trouble_without_a_step() -> None:
    shown = page(
        error_category="model_load",
        error_message="models/x.onnx: the model is truncated",
        error_step=None,
        error_node=None,
        logs={},
        log_tail=[],
    )
    check(shown)
    assert "models/x.onnx: the model is truncated" in shown
    assert all(word not in shown for word in ("<dt>Step</dt>", "<dt>Node</dt>", "<li", "<pre"))


@pytest.mark.parametrize(
    ("status", "words"),
    [("TIMEOUT", "ran out of time"), ("SKIPPED", "was not built"), ("FAILED", "failed")],
)
def test_the_title_says_how_it_ended(status: str, words: str) -> None:
    assert f"<title>config_003 {words} · digits · finnmake</title>" in page(status=BuildStatus(status))


def test_simulated_failures_say_so() -> None:
    assert "<title>simulated: config_003" in page(simulated=True)
    assert "Simulated." in page(simulated=True)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_is_explained(category: str) -> None:
    assert f"<dd>{category}: {CATEGORIES[category]}</dd>" in page(error_category=category)


@given(st.text(min_size=1), st.text())
def test_no_message_breaks_the_page(message: str, line: str) -> None:
    hostile = "<script>alert('&')</script>" + message
    shown = page(error_message=hostile, tips=[hostile], log_tail=[line, hostile])
    assert "<script" not in shown
    check(shown.replace("http", ""))


if __name__ == "__main__":
    GOLDEN.write_text(page(), encoding="utf-8")
