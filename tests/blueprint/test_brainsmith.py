"""Blueprints of Brainsmith 0.1: what they become, what is left out, and mistakes that remain mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blueprint_samples import KnownParts, marked

from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog
from finnmake.errors import BlueprintError

Load = Callable[..., DesignSpace]

BERT = """\
version: "4.0"
name: "BERT demo"
description: as Brainsmith writes it
clock_ns: 5.0
output: rtl
board: Pynq-Z1
parallel_builds: 1
save_intermediate_models: true
finn_config:
  target_fps: 3000
  standalone_thresholds: true
  rtlsim_batch_size: 100
  output_dir: x
design_space:
  kernels:
    - LayerNorm
    - finn:Thresholding
    - MVAU: [finn:MVAU_hls, MVAU_rtl]
    - Shuffle
    - brainsmith:Crop
    - Softmax: Softmax_hls
  steps:
    - qonnx_to_finn
    - finn:tidy_up
    - step_streamline
    - ["minimize_bit_width", ~]
    - [convert_to_hw, ""]
    - before: tidy_up
      insert: [transpose_decomposition, [specialize_layers, a.b]]
    - at_end: {insert: generate_estimate_reports}
"""


@pytest.fixture
def load(project: Path) -> Load:
    """Writes files below `blueprints` and reads `small.yaml` with a model given beside it."""

    def loading(text: str, model: str | None = "models/net.onnx", **files: str) -> DesignSpace:
        for name, content in {"small": text, **files}.items():
            (project / f"blueprints/{name}.yaml").write_text(content)
        file = Path("blueprints/small.yaml")
        return forge(file, project, known=FinnCatalog(), known_parts=KnownParts(), model=model)

    return loading


def test_what_it_becomes(load: Load) -> None:
    space = load(BERT)
    assert (space.name, space.description, space.model_path) == (
        "BERT_demo",
        "as Brainsmith writes it",
        "models/net.onnx",
    )
    assert space.global_config["output_stage"] == "STITCHED_IP"
    compiler = space.hw_compiler_space
    assert compiler.config == {
        "synth_clk_period_ns": (5.0,),
        "board": ("Pynq-Z1",),
        "save_intermediate_models": (True,),
        "target_fps": (3000,),
        "standalone_thresholds": (True,),
    }
    assert compiler.kernels == {
        "LayerNorm": ({"backends": [], "attributes": {}},),
        "Thresholding": ({"backends": [], "attributes": {}},),
        "MVAU": ({"backends": ["MVAU_hls", "MVAU_rtl"], "attributes": {}},),
    }
    assert compiler.steps == (
        (("step_qonnx_to_finn",),),
        (("step_transpose_decomposition",),),
        (("step_specialize_layers",), ("a.b",)),
        (("step_tidy_up",),),
        (("step_streamline",),),
        (("step_minimize_bit_width",), ()),
        (("step_convert_to_hw",), ()),
        (("step_generate_estimate_reports",),),
    )


def test_what_has_no_meaning_is_noted_with_its_place(load: Load) -> None:
    assert load(BERT).notes == tuple(
        f"blueprints/small.yaml:{note}"
        for note in (
            "1:1: version is left out: it is the version of another format",
            "7:1: parallel_builds is left out: how many builds run at once is said on the command line: -n",
            "12:3: finn_config.rtlsim_batch_size is left out: the installed FINN has no such field",
            "13:3: finn_config.output_dir is left out: finnmake sets it for every build",
            "19:7: the kernel Shuffle is left out: FINN does not have it",
            "20:7: the kernel brainsmith:Crop is left out: FINN does not have it",
            "21:7: the kernel Softmax is left out: FINN does not have it",
            "2:1: name: it is BERT_demo here, as it names a folder",
        )
    )


CYBERSECURITY = """\
name: cybsec
clock_ns: 10.0
output: estimates
board: RFSoC2x2
parallel_builds: 1
verify: false
verify_data: x
debug: true
stop_step: null
finn_config: {target_fps: 1000000}
design_space:
  kernels: [Thresholding, MVAU]
  steps: [finn:qonnx_to_finn, tidy_up, streamline, convert_to_hw]
"""


def test_its_keys_without_a_meaning_here_and_kernels_by_name_alone_are_read(load: Load) -> None:
    space = load(CYBERSECURITY)
    assert [note.split(": ")[1] for note in space.notes] == [
        "parallel_builds is left out",
        "verify is left out",
        "verify_data is left out",
        "debug is left out",
    ]
    assert list(space.hw_compiler_space.kernels) == ["Thresholding", "MVAU"]


def test_no_design_space_takes_the_parents_steps_out_but_not_its_clock(load: Load) -> None:
    space = load(
        "name: a\nextends: base.yaml\nboard: Pynq-Z1\ndesign_space:\n",
        base="clock_ns: 4\ndesign_space: {kernels: [MVAU], steps: [tidy_up]}\n",
    )
    assert space.hw_compiler_space.kernels == {}
    assert len(space.hw_compiler_space.steps) > 1
    assert space.hw_compiler_space.config["synth_clk_period_ns"] == (4.0,)


@pytest.mark.parametrize(
    ("output", "stage"),
    [("estimates", "ESTIMATES"), ("rtl", "STITCHED_IP"), ("bitfile", "BITFILE"), ("null", "ESTIMATES")],
)
def test_outputs(load: Load, output: str, stage: str) -> None:
    text = f"clock_ns: 5\noutput: {output}\nboard: Pynq-Z1\n"
    assert load(text).global_config["output_stage"] == stage


def test_without_a_name_it_has_that_of_its_file(load: Load) -> None:
    space = load("clock_ns: 5\nboard: Pynq-Z1\n")
    assert space.name == "small"
    assert space.notes == ("blueprints/small.yaml:1:1: name: it is small here, as it names a folder",)


def test_limits_of_its_search_are_ours(load: Load) -> None:
    search = load(
        "name: a\nclock_ns: 5\nboard: Pynq-Z1\nfail_fast: true\nmax_combinations: 50\n"
    ).search_config
    assert (search.fail_fast, search.max_combinations) == (True, 50)


@pytest.mark.parametrize("mark", ["clock_ns: 5", "output: estimates", "board: Pynq-Z1", "finn_config: {}"])
def test_one_of_its_own_keys_is_enough_to_know_it(load: Load, mark: str) -> None:
    space = load(f"name: a\n{mark}\ndesign_space: {{steps: [tidy_up]}}\n")
    assert space.hw_compiler_space.steps == ((("step_tidy_up",),),)


def test_ours_are_never_taken_for_one(load: Load) -> None:
    with pytest.raises(BlueprintError, match="unknown step 'tidy_up'"):
        load("name: a\ndesign_space: {steps: [tidy_up]}\n")
    with pytest.raises(BlueprintError, match=r"version: found the text '4\.0', wanted 1"):
        load('version: "4.0"\nname: a\ndesign_space: {steps: []}\n')


def test_a_child_extends_its_parent_in_the_same_language(load: Load) -> None:
    space = load(
        "name: a\nextends: base.yaml\nfinn_config: {target_fps: 7}\n"
        "design_space: {steps: [{after: finn:tidy_up, insert: streamline}]}\n",
        base="name: Base\nclock_ns: 4\nfinn_config: {mlo: true, target_fps: 5}\n"
        "design_space: {kernels: [MVAU], steps: [tidy_up]}\n",
    )
    assert space.hw_compiler_space.config == {
        "synth_clk_period_ns": (4.0,),
        "mlo": (True,),
        "target_fps": (7,),
    }
    assert space.hw_compiler_space.steps == ((("step_tidy_up",),), (("step_streamline",),))


def test_a_child_of_a_brainsmith_blueprint_may_be_written_as_ours(load: Load) -> None:
    space = load(
        "name: a\nextends: base.yaml\n"
        "design_space: {config: {target_fps: [1, 2]}, steps: [{remove: tidy_up}]}\n",
        base="clock_ns: 4\ndesign_space: {steps: [tidy_up, streamline]}\n",
    )
    assert space.hw_compiler_space.config["target_fps"] == (1, 2)
    assert space.hw_compiler_space.steps == ((("step_streamline",),),)


WRONG = {
    "clock": ("clock_ns: §0", "clock_ns: 0.0 is out of range", "It must be above 0."),
    "clock as text": ("clock_ns: §fast", "clock_ns: found the text 'fast', wanted a number", ""),
    "output": ("output: §rlt", "output: found the text 'rlt', wanted one of estimates, rtl, bitfile", ""),
    "board": ("board: §PynqZ1", "board: unknown board 'PynqZ1'", "Did you mean Pynq-Z1 or Pynq-Z2?"),
    "key": (
        "clock_ns: 5\n§stop_stp: a",
        "stop_stp: unknown key 'stop_stp'",
        None,
    ),
    "key like one of theirs": (
        "clock_ns: 5\n§parallel_build: 1",
        "parallel_build: unknown key 'parallel_build'",
        None,
    ),
    "stop_step": (
        "clock_ns: 5\n§stop_step: tidy_up",
        "stop_step: stop_step is not supported: a build runs all of design_space.steps",
        "Take it out, and shorten design_space.steps: a build ends with the last of them.",
    ),
    "start_step": (
        "clock_ns: 5\n§start_step: tidy_up",
        "start_step: start_step is not supported: a build runs all of design_space.steps",
        "Take it out, and the steps before it out of design_space.steps.",
    ),
    "stop_step of FINN": (
        "finn_config: {§stop_step: tidy_up}",
        "finn_config.stop_step: stop_step is not supported: a build runs all of design_space.steps",
        "Take it out, and shorten design_space.steps: a build ends with the last of them.",
    ),
    "field": (
        "finn_config: {§target_fsp: 3}",
        "finn_config.target_fsp: unknown key 'target_fsp'",
        "Did you mean target_fps or start_step?",
    ),
    "field twice": (
        "clock_ns: 5\nfinn_config: {§synth_clk_period_ns: 4}",
        "finn_config.synth_clk_period_ns: synth_clk_period_ns is already given in line 2",
        "Keep one of the two.",
    ),
    "stage twice": (
        "output_stage: RTL\n§output: rtl",
        "output: output_stage is already given in line 2",
        "Keep one of the two.",
    ),
    "finn_config": (
        "finn_config: §[]",
        "finn_config: found a list, wanted a mapping (key: value)",
        "",
    ),
    "step of Brainsmith's own": (
        "clock_ns: 5\ndesign_space: {steps: [§build_dataflow_graph]}",
        "design_space.steps[0]: unknown step 'build_dataflow_graph'",
        None,
    ),
    "backend": (
        "clock_ns: 5\ndesign_space: {steps: [specialize_layers], "
        "kernels: [MVAU: [finn:MVAU_hls, §MVAU_dyn]]}",
        "design_space.kernels[0].MVAU[1]: the kernel MVAU has no backend 'MVAU_dyn'",
        None,
    ),
    "kernel that is a number": (
        "clock_ns: 5\ndesign_space: {steps: [], kernels: [§3]}",
        "design_space.kernels[0]: found the whole number 3, wanted the name of a kernel, "
        "or {KERNEL: its backends}",
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_real_mistakes_remain_errors(load: Load, case: str) -> None:
    written, message, cure = WRONG[case]
    steps = "" if "steps" in written else "design_space: {steps: []}\n"
    text, place = marked(f"name: a\n{written}\n{steps}")
    with pytest.raises(BlueprintError) as caught:
        load(text)
    said, _, tip = str(caught.value).partition("\n  -> ")
    assert said == f"blueprints/small.yaml:{place}: {message}"
    assert cure is None or tip == cure


def test_it_names_no_model_so_one_must_be_given(load: Load) -> None:
    with pytest.raises(
        BlueprintError, match=r"^blueprints/small\.yaml:1:1: model: the key 'model' is missing"
    ):
        load("name: a\nclock_ns: 5\nboard: Pynq-Z1\n", model=None)
