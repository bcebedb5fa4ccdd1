"""Every way a blueprint can be wrong, with the whole message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blueprint_samples import GOOD

from finnmake.blueprint.loader import forge
from finnmake.blueprint.problems import BlueprintErrors
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog
from finnmake.errors import BlueprintError

Read = Callable[[str | bytes], DesignSpace]

FILE = "blueprints/small.yaml"
LOOK = "Look at the indentation, and for a missing colon, quote or bracket, here and in the line above."
CONFIG = "design_space.config"
PLUGINS = "live in plugins/*.py."
OWN_STEPS = "finnmake runs the steps itself"

DOCUMENT = {
    "empty": ("", ": the file is empty", "Write at least `name` and `model`."),
    "only a comment": ("# nothing\n", ": the file is empty", "Write at least `name` and `model`."),
    "a list": ("- a\n", ":1:1: found a list, wanted a mapping (key: value)", ""),
    "text": ("hello\n", ":1:1: found the text 'hello', wanted a mapping (key: value)", ""),
    "syntax": (
        "name: [a\nmodel: b\n",
        ":2:6: this is not YAML: did not find expected ',' or ']' while parsing a flow sequence",
        LOOK,
    ),
    "indentation": (
        "name: b\n  x: 1\n",
        ":2:4: this is not YAML: mapping values are not allowed in this context",
        LOOK,
    ),
    "two documents": (
        "name: b\n---\nname: c\n",
        ":2:1: this is not YAML: but found another document expected a single document in the stream",
        LOOK,
    ),
    "control character": (
        "# \u00e9\nname: \x01\n",
        ":2:7: this is not YAML: control characters are not allowed",
        "Take the control character out.",
    ),
    "encoding": (b"a: 1\nname: \xe9\n", ":2: this is not UTF-8 text", "Save the file as UTF-8."),
    "tag": (
        "name: !!python/object/apply:os.system [ls]\n",
        ":1:7: name: the tag !!python/object/apply:os.system is not allowed",
        "Take the tag out: a blueprint holds plain values only.",
    ),
    "value of a tag": ("name: !!int x\n", ":1:7: name: 'x' is not a whole number", ""),
    "not finite": ("timeout: .inf\n", ":1:10: timeout: '.inf' is not a finite number", ""),
    "too large": ("timeout: 1e999\n", ":1:10: timeout: '1e999' is not a finite number", ""),
    "loop": ("name: &a [*a]\n", ":1:7: name[0]: the alias lies inside its own anchor", ""),
    "levels": ("- " * 100_000 + "a\n", ":1:81: more than 40 levels, one inside the other", ""),
    "merge": ("<<: {a: 1}\n", ":1:1: merge keys (<<) are not supported", "Write the keys out."),
    "key": ("[a]: 1\n", ":1:1: a key must be plain text", ""),
    "duplicate": (
        GOOD + "    target_fps: 1\n    target_fps: 2\n",
        f":7:5: {CONFIG}.target_fps: the key 'target_fps' is already in line 6",
        "Keep one of the two.",
    ),
}

TOP = {
    "unknown": (GOOD + "nmae: a\n", ":6:1: nmae: unknown key 'nmae'", "Did you mean name?"),
    "unlike any": (
        GOOD + "xyz: a\n",
        ":6:1: xyz: unknown key 'xyz'",
        "The keys here are version, name, description, model, extends, backend, output_stage, timeout, "
        "mock, design_space, constraints, objectives, limits, search.",
    ),
    "field in the wrong place": (
        GOOD + "target_fps: 1\n",
        ":6:1: target_fps: unknown key 'target_fps'",
        "target_fps is a field of FINN's configuration: write it below design_space.config.",
    ),
    "below design_space": (
        GOOD + "  step: []\n",
        ":6:3: design_space.step: unknown key 'step'",
        "Did you mean steps?",
    ),
    "stage": (
        GOOD + "  transforms: {preproc: []}\n",
        ":6:16: design_space.transforms.preproc: the stage 'preproc' stands nowhere among the steps",
        "Did you mean pre_proc or post_proc? Else write {stage: preproc} into design_space.steps.",
    ),
    "section": (
        GOOD + "  transforms: 3\n",
        ":6:15: design_space.transforms: found the whole number 3, wanted a mapping (key: value)",
        "",
    ),
    "no name": (
        GOOD.replace("name: small\n", ""),
        ":1:1: name: the key 'name' is missing",
        "Write `name: ...`.",
    ),
    "name": (
        GOOD.replace("small", "a b"),
        ":1:7: name: 'a b' cannot be a name",
        "Use letters, digits, '_' and '-' only.",
    ),
    "name is a number": (
        GOOD.replace("small", "5"),
        ":1:7: name: found the whole number 5, wanted text",
        "Put it in quotes.",
    ),
    "model": (
        GOOD.replace("net.onnx", "nets.onnx"),
        ":2:8: model: there is no file '../models/nets.onnx'",
        "Did you mean net.onnx?",
    ),
    "model unlike any": (
        GOOD.replace("net.onnx", "resnet50_imagenet.onnx"),
        ":2:8: model: there is no file '../models/resnet50_imagenet.onnx'",
        "Paths are relative to the blueprint's own folder.",
    ),
    "model is a folder": (
        GOOD.replace("/net.onnx", ""),
        ":2:8: model: '../models' is not a file",
        "Name a file that can be read.",
    ),
    "backend": (
        GOOD + "backend: fin\n",
        ":6:10: backend: there is no backend 'fin'",
        "Did you mean finn? There are finn, brainsmith, mock, open_rtl, legacy_finn, future_brainsmith.",
    ),
    "stage of outputs": (
        GOOD + "output_stage: ESTIMATE\n",
        ":6:15: output_stage: found the text 'ESTIMATE', "
        "wanted one of ESTIMATES, DATAFLOW_GRAPH, RTL, STITCHED_IP, BITFILE",
        "Did you mean ESTIMATES?",
    ),
    "timeout": (GOOD + "timeout: 0\n", ":6:10: timeout: 0 is out of range", "It must be at least 1."),
    "timeout with a unit": (
        GOOD + "timeout: 60s\n",
        ":6:10: timeout: found the text '60s', wanted a whole number",
        "Write it without quotes and unit.",
    ),
    "description": (
        GOOD + "description: [a]\n",
        ":6:14: description: found a list, wanted text",
        "",
    ),
    "device": (
        "name: a\nmodel: ../models/net.onnx\n",
        f":1:1: {CONFIG}: FINN's default steps need a device",
        "Set fpga_part (or board) below design_space.config.",
    ),
    "version": (
        GOOD + "version: 2\n",
        ":6:10: version: found the whole number 2, wanted 1, the only version that this finnmake reads",
        "",
    ),
    "version of another format": (
        GOOD + 'version: "1"\n',
        ":6:10: version: found the text '1', wanted 1, the only version that this finnmake reads",
        "",
    ),
    "stage that another backend does not reach": (
        GOOD + "output_stage: RTL\nbackend: future_brainsmith\n",
        ":6:15: output_stage: the backend brainsmith does not go as far as RTL",
        "It reaches ESTIMATES, STITCHED_IP, BITFILE.",
    ),
    "delay": (
        GOOD + "mock: {delay: -1}\n",
        ":6:15: mock.delay: -1.0 is out of range",
        "It must be at least 0 and at most 86400.",
    ),
    "failure that there is not": (
        GOOD + "mock: {failures: {timings: 0.1}}\n",
        ":6:19: mock.failures.timings: unknown key 'timings'",
        "Did you mean timing?",
    ),
    "rate": (
        GOOD + "mock: {failures: {timing: 10%}}\n",
        ":6:27: mock.failures.timing: found the text '10%', wanted a number",
        "Write it without quotes and unit.",
    ),
    "rates of more than all": (
        GOOD + "mock: {failures: {timing: 0.6, synthesis: 0.6}}\n",
        ":6:18: mock.failures: the rates add up to 1.2",
        "All builds together are 1: lower one of them.",
    ),
    "stage that the backend does not reach": (
        GOOD + "backend: mock\noutput_stage: BITFILE\n",
        ":7:15: output_stage: the backend mock does not go as far as BITFILE",
        "It reaches ESTIMATES, DATAFLOW_GRAPH, RTL.",
    ),
    "too many combinations": (
        GOOD + f"  steps: [{', '.join(['[step_tidy_up, ~]'] * 200)}]\n",
        ":4:3: design_space: more than 10^60 combinations",
        "Take values or alternatives out.",
    ),
}

FIELDS = {
    "unknown": (
        "target_fsp: 1",
        ":6:5",
        "target_fsp",
        "unknown key 'target_fsp'",
        "Did you mean target_fps or start_step?",
    ),
    "float": (
        "synth_clk_period_ns: fast",
        ":6:26",
        "synth_clk_period_ns",
        "found the text 'fast', wanted a number",
        "",
    ),
    "quoted": (
        'target_fps: "10000"',
        ":6:17",
        "target_fps",
        "found the text '10000', wanted a whole number or null",
        "Write it without quotes and unit.",
    ),
    "bool for int": (
        "target_fps: true",
        ":6:17",
        "target_fps",
        "found true, wanted a whole number or null",
        "",
    ),
    "fraction for int": (
        "target_fps: 2.5",
        ":6:17",
        "target_fps",
        "found the number 2.5, wanted a whole number or null",
        "",
    ),
    "int for bool": ("mlo: 1", ":6:10", "mlo", "found the whole number 1, wanted true or false", ""),
    "null": ("mlo: null", ":6:10", "mlo", "found nothing (null), wanted true or false", ""),
    "list in an axis": (
        "target_fps: [[1]]",
        ":6:18",
        "target_fps[0]",
        "found a list, wanted a whole number or null",
        "",
    ),
    "item": (
        "signature: [1, a]",
        ":6:20",
        "signature[1]",
        "found the text 'a', wanted a whole number",
        "",
    ),
    "no list": (
        "verify_steps: initial_python",
        ":6:19",
        "verify_steps",
        "found the text 'initial_python', wanted a list, each item one of finn_onnx_python, initial_python, "
        "streamlined_python, folded_hls_cppsim, node_by_node_rtlsim, stitched_ip_rtlsim, "
        "passes_frontend or null",
        "",
    ),
    "choice": (
        "shell_flow_type: vivado_zinq",
        ":6:22",
        "shell_flow_type",
        "found the text 'vivado_zinq', wanted one of vivado_zynq, vitis_alveo or null",
        "Did you mean vivado_zynq?",
    ),
    "choice without quotes": (
        "vitis_opt_strategy: 0",
        ":6:25",
        "vitis_opt_strategy",
        "found the whole number 0, wanted one of 0, 1, 2, 3, s, quick",
        "Put it in quotes.",
    ),
    "clock": (
        "synth_clk_period_ns: 0",
        ":6:26",
        "synth_clk_period_ns",
        "0.0 is out of range",
        "It must be above 0.",
    ),
    "hls clock": (
        "hls_clk_period_ns: -1",
        ":6:24",
        "hls_clk_period_ns",
        "-1.0 is out of range",
        "It must be above 0.",
    ),
    "rate": ("target_fps: 0", ":6:17", "target_fps", "0 is out of range", "It must be at least 1."),
    "huge": (
        f"synth_clk_period_ns: {'9' * 400}",
        ":6:26",
        "synth_clk_period_ns",
        "the number is too large",
        "",
    ),
    "twice on an axis": (
        "synth_clk_period_ns: [5, 5.0]",
        ":6:30",
        "synth_clk_period_ns[1]",
        "5.0 is already on the axis",
        "Take one of them out.",
    ),
    "twice, small numbers": (
        "target_fps: [1, 1]",
        ":6:21",
        "target_fps[1]",
        "1 is already on the axis",
        "Take one of them out.",
    ),
    "empty axis": (
        "target_fps: []",
        ":6:17",
        "target_fps",
        "the axis has no values",
        "Write one, or take the key out.",
    ),
    "file": (
        "folding_config_file: ../models/foldin.json",
        ":6:26",
        "folding_config_file",
        "there is no file '../models/foldin.json'",
        "Did you mean folding.json?",
    ),
    "file that FINN types as text": (
        "multi_dnn_config_path: no.json",
        ":6:28",
        "multi_dnn_config_path",
        "there is no file 'no.json'",
        "Paths are relative to the blueprint's own folder.",
    ),
    "file with a name too long": (
        f"folding_config_file: {'x' * 5000}",
        ":6:26",
        "folding_config_file",
        f"there is no file '{'x' * 57}...'",
        "Paths are relative to the blueprint's own folder.",
    ),
    "board": (
        "board: PynqZ1",
        ":6:12",
        "board",
        "unknown board 'PynqZ1'",
        "Did you mean Pynq-Z1 or Pynq-Z2?",
    ),
    "outputs": (
        "output_dir: x",
        ":6:5",
        "output_dir",
        "output_dir cannot be set here: finnmake sets it for every build",
        "Take it out: outputs are in builds/<name>/<configuration>.",
    ),
    "steps": (
        "steps: []",
        ":6:5",
        "steps",
        f"steps cannot be set here: {OWN_STEPS}",
        "Write them into design_space.steps.",
    ),
}

STEPS = {
    "step": (
        "steps: [step_tidy]",
        ":6:11: design_space.steps[0]: unknown step 'step_tidy'",
        f"Did you mean step_tidy_up? Your own steps {PLUGINS}",
    ),
    "transform": (
        "transforms: {pre_proc: [giveuniquenodename]}",
        ":6:27: design_space.transforms.pre_proc[0]: unknown transform 'giveuniquenodename'",
        "Did you mean GiveUniqueNodeNames, GiveUniqueNodeNamesRecursive or GiveUniqueTensorNames? "
        f"Your own transforms {PLUGINS}",
    ),
    "analysis": (
        "transforms: {post_proc: [{name: x}]}",
        ":6:35: design_space.transforms.post_proc[0].name: unknown analysis 'x'",
        f"Your own analyses {PLUGINS}",
    ),
    "no list": (
        "steps: all",
        ":6:10: design_space.steps: found the text 'all', wanted `default` or a list of steps",
        "",
    ),
    "transforms no list": (
        "transforms: {pre_proc: FoldConstants}",
        ":6:26: design_space.transforms.pre_proc: found the text 'FoldConstants', wanted a list",
        "",
    ),
    "no name": (
        "steps: [{stp: step_tidy_up}]",
        ":6:11: design_space.steps[0]: the key 'step' is missing",
        "Name the step: `step: ...`.",
    ),
    "number": (
        "steps: [3]",
        ":6:11: design_space.steps[0]: found the whole number 3, "
        "wanted the name of a step, or {step: ..., parameters: {...}}",
        "",
    ),
    "name is no text": (
        "steps: [{step: [a]}]",
        ":6:18: design_space.steps[0].step: found a list, wanted text",
        "",
    ),
    "parameter twice": (
        "steps: [{step: a.b, x: 1, parameters: {x: 2}}]",
        ":6:23: design_space.steps[0].x: the parameter 'x' is given twice",
        "Keep one of the two.",
    ),
    "parameters no mapping": (
        "steps: [{step: a.b, parameters: 3}]",
        ":6:35: design_space.steps[0].parameters: found the whole number 3, wanted a mapping (key: value)",
        "",
    ),
    "reaction": (
        "transforms: {pre_proc: [{name: a.b, on_error: passthru}]}",
        ":6:49: design_space.transforms.pre_proc[0].on_error: found the text 'passthru', wanted one of fail, "
        "passthrough",
        "Did you mean passthrough?",
    ),
    "reaction of an analysis": (
        "transforms: {post_proc: [{name: a.b, on_error: passthrough}]}",
        ":6:40: design_space.transforms.post_proc[0].on_error: unknown key 'on_error'",
        "The keys here are name, parameters.",
    ),
    "key of a transform": (
        "transforms: {pre_proc: [{name: a.b, params: {}}]}",
        ":6:39: design_space.transforms.pre_proc[0].params: unknown key 'params'",
        "Did you mean parameters?",
    ),
}


def check(read: Read, text: str | bytes, message: str, cure: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        read(text)
    assert str(caught.value) == FILE + message + (f"\n  -> {cure}" if cure else "")


@pytest.mark.parametrize("case", DOCUMENT)
def test_document(read: Read, case: str) -> None:
    check(read, *DOCUMENT[case])


@pytest.mark.parametrize("case", TOP)
def test_keys_of_the_file(read: Read, case: str) -> None:
    check(read, *TOP[case])


@pytest.mark.parametrize("case", FIELDS)
def test_fields_of_the_configuration(read: Read, case: str) -> None:
    line, place, key, message, cure = FIELDS[case]
    check(read, f"{GOOD}    {line}\n", f"{place}: {CONFIG}.{key}: {message}", cure)


@pytest.mark.parametrize("case", STEPS)
def test_steps_and_transforms(read: Read, case: str) -> None:
    line, message, cure = STEPS[case]
    check(read, f"{GOOD}  {line}\n", message, cure)


def test_unknown_part_with_the_nearest(read: Read) -> None:
    check(
        read,
        GOOD.replace("400-1", "400"),
        f":5:16: {CONFIG}.fpga_part: unknown part 'xc7z020clg400'",
        "Did you mean xc7z020clg400-1?",
    )


def test_unknown_part_unlike_any(read: Read) -> None:
    check(
        read,
        GOOD.replace("xc7z020clg400-1", "arty"),
        f":5:16: {CONFIG}.fpga_part: unknown part 'arty'",
        "Write the part as Vivado does, e.g. xc7z020clg400-1 or xczu3eg-sbva484-1-e.",
    )


def test_all_errors_are_reported_in_the_order_of_the_file(read: Read) -> None:
    with pytest.raises(BlueprintErrors) as caught:
        read(GOOD.replace("small", "a b") + "    target_fps: [0, x]\n  steps: [nope]\nbackend: fin\n")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{FILE}:1:7: name: 'a b' cannot be a name -> Use letters, digits, '_' and '-' only."
    assert [line.split(": ")[0] for line in lines] == [
        f"{FILE}:{place}" for place in ("1:7", "6:18", "6:21", "7:11", "8:10")
    ]
    assert len(caught.value.errors) == 5


def test_aliases_that_multiply_are_stopped(read: Read) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(BlueprintError, match="more than 100000 values") as caught:
        read("a0: &a0 x\n" + levels)
    assert str(caught.value).count("more than") == 1


def test_a_file_that_cannot_be_read(project: Path) -> None:
    with pytest.raises(
        BlueprintError, match=r"^blueprints/none\.yaml: cannot be read: No such file or directory"
    ):
        forge(Path("blueprints/none.yaml"), project, known=FinnCatalog())


@pytest.mark.parametrize(
    ("written", "base", "write"),
    [
        ("010", "8: 8", "10 (or 8, if base 8 is meant)"),
        ("0777", "8: 511", "777 (or 511, if base 8 is meant)"),
        ("-010", "8: -8", "-10 (or -8, if base 8 is meant)"),
        ("0_17", "8: 15", "17 (or 15, if base 8 is meant)"),
        ("+07", "8: 7", "7"),
        ("1:30", "60: 90", "90"),
        ("-1:30", "60: -90", "-90"),
        ("1:00:00", "60: 3600", "3600"),
        ("1:30.5", "60: 90.5", "90.5"),
    ],
)
@pytest.mark.parametrize("key", ["timeout", "description"])
def test_numbers_that_a_reader_takes_for_others(
    read: Read, key: str, written: str, base: str, write: str
) -> None:
    with pytest.raises(BlueprintError) as caught:
        read(f"{GOOD}{key}: {written}\n")
    assert str(caught.value) == (
        f"blueprints/small.yaml:6:{len(key) + 3}: {key}: {written!r} is a number in base {base}\n"
        f"  -> Write {write}, or put it in quotes where text is wanted."
    )
    assert read(f"{GOOD}description: '{written}'\n").description == written


@pytest.mark.parametrize(("written", "seconds"), [("0x10", 16), ("1_000", 1000), ("100", 100), ("0b101", 5)])
def test_numbers_that_nobody_takes_for_others(read: Read, written: str, seconds: int) -> None:
    assert read(f"{GOOD}timeout: {written}\n").global_config["timeout_seconds"] == seconds


def test_zero_and_fractions_keep_their_zeros(read: Read) -> None:
    space = read(f"{GOOD}    synth_clk_period_ns: [0.5, 007.5, 10.0]\nsearch: {{seed: 0}}\n")
    assert space.hw_compiler_space.config["synth_clk_period_ns"] == (0.5, 7.5, 10.0)
    assert space.search_config.seed == 0
