"""Good blueprints and the mistakes made in them, for `test_broken`."""

from __future__ import annotations

from pathlib import Path

from mutations import Case, doubled_keys, misspelt_keys, swap, tagged, wrong_types

REPOSITORY = Path(__file__).parents[2]

RICH = """\
version: 1
name: rich
description: every construct
model: ../models/digits_mlp_w2a2.onnx
backend: finn
output_stage: ESTIMATES
timeout: 600
design_space:
  config:
    fpga_part: [xc7z020clg400-1, xczu3eg-sbva484-1-e]
    synth_clk_period_ns: {from: 4, to: 8, step: 2}
    target_fps: {from: 1000, to: 8000, factor: 2}
    standalone_thresholds: [false, true]
    mvau_wwidth_max: 36
    verify_steps: [[initial_python], []]
    auto_fifo_strategy: live_fifo
    folding_config_file: ../models/folding.json
    signature: [1, 2]
  transforms:
    pre_proc:
      - ~FoldConstants
      - {name: InsertTopK, parameters: {k: [1, 3]}}
      - [GiveUniqueNodeNames, ~, [RemoveUnusedTensors, GiveReadableTensorNames]]
    post_proc:
      - layer_balance
    widths:
      - RoundAndClipThresholds
  steps:
    - step_qonnx_to_finn
    - ~step_tidy_up
    - {step: my.quantise, gain: [1, 2]}
    - [step_streamline, ~, [step_loop_rolling, my.other]]
    - stage: widths
    - step_specialize_layers
    - {step: my.last, parameters: {gain: 1}}
  kernels:
    MVAU: {choose: [MVAU_hls, [MVAU_rtl, MVAU_hls]], attributes: {resType: [lut, dsp], pumpedMemory: 1}}
    Thresholding: [Thresholding_rtl, Thresholding_hls]
    VVAU: {priority: [VVAU_rtl], attributes: {ram_style: block}}
    Pool: Pool_hls
constraints:
  - standalone_thresholds or MVAU == "MVAU_hls"
  - "'my.other' not in steps"
objectives:
  throughput: max
  latency: min
limits:
  - lut_utilization <= 0.7
search:
  strategy: random
  samples: 10
  seed: 3
  max_builds: 5
  max_combinations: 50000
  fail_fast: false
  early_stop: true
  timeout: 60
"""

CHILD = """\
name: child
extends: rich.yaml
design_space:
  config:
    target_fps: {to: 4000}
  steps:
    - {after: step_qonnx_to_finn, insert: my.first}
    - {before: my.last, insert: [my.a, [my.b, ~]]}
    - {replace: my.quantise, with: my.narrow}
    - {remove: step_tidy_up}
    - {at_start: {insert: my.start}}
    - {at_end: {insert: [my.end]}}
    - {remove: [step_streamline, ~, [step_loop_rolling, my.other]]}
constraints: null
"""

#: Name -> text of all good ones.
GOOD = {
    **{path.name: path.read_text() for path in sorted((REPOSITORY / "blueprints").glob("*.yaml"))},
    "rich.yaml": RICH,
    "child.yaml": CHILD,
}

TAGS = (
    "!!python/object/apply:os.system",
    "!!python/name:os.system",
    "!!python/object/new:os.system",
    "!!python/module:os",
    "!!python/tuple",
    "!!binary",
    "!!set",
    "!!omap",
    "!Ref",
    "!include",
)

#: In rich.yaml: what is there -> what is written instead; a § marks the line of the mistake.
SWAPS = {
    "version: 1": ["version: 2", "version: '1'", "version: 1.0", "version: true"],
    "name: rich": [
        "name: rich space",
        "name: ''",
        "name: ../rich",
        "name: 5",
        "name: [rich]",
        "name: rich.yaml",
    ],
    "model: ../models/digits_mlp_w2a2.onnx": [
        "model: ../models/digits_mlp.onnx",
        "model: ../models",
        "model: ''",
        "model: 3",
        'model: "\\0"',
    ],
    "backend: finn": ["backend: fin", "backend: FINN", "backend: vivado", "backend: 1"],
    "output_stage: ESTIMATES": ["output_stage: estimates", "output_stage: BITSTREAM", "output_stage: 1"],
    "timeout: 600": ["timeout: 0", "timeout: -1", "timeout: 10 minutes", "timeout: 1.5", "timeout: .inf"],
    "[xc7z020clg400-1, xczu3eg-sbva484-1-e]": [
        "xc7z020",
        "[]",
        "[xc7z020clg400-1, xc7z020clg400-1]",
        "[xc7z020clg400-1, arty]",
        "{from: a, to: b, step: 1}",
        "[xc7z020clg400-1, [xczu3eg-sbva484-1-e]]",
        "1",
        "&a [*a]",
        "*nothing",
    ],
    "{from: 4, to: 8, step: 2}": [
        "0",
        "-5",
        "5 ns",
        "'5'",
        "200MHz",
        ".nan",
        "[5, 5.0]",
        "[4, {from: 4, to: 8, step: 2}]",
        "{from: 4, to: 8}",
        "{from: 4, step: 2}",
        "{to: 8, step: 2}",
        "{from: 4, to: 8, step: 0}",
        "{from: 4, to: 8, step: -2}",
        "{from: 8, to: 4, step: 2}",
        "{from: 4, to: 8, step: 2, factor: 2}",
        "{from: 4, to: 8, steps: 2}",
        "{from: 4, to: 8, by: 2}",
        "{from: four, to: 8, step: 2}",
        "{from: 0, to: 8, step: 2}",
        "{from: 4, to: 8, step: 1e-9}",
        "{from: 4, to: 8, step: [2]}",
        "{from: 4, to: 8, factor: 1}",
        "{from: 4, to: 8, factor: 0.5}",
        "{from: 0, to: 8, factor: 2}",
        "{from: -4, to: 8, factor: 2}",
        "{from: 4, to: 8, factor: -2}",
        "{from: 4, to: 8, factor: 1.0000001}",
        "{from: true, to: 8, step: 2}",
        "{from: .inf, to: 8, step: 2}",
    ],
    "{from: 1000, to: 8000, factor: 2}": [
        "0",
        "1000.0",
        "1e3",
        "true",
        "[1000, 2000, 1000]",
        "[1000, fast]",
        "[[1000]]",
        "{from: 1000, to: 8000, factor: 1.3}",
        "{from: 1000, to: 2000, step: 0.5}",
        "{from: 1000.5, to: 8000, factor: 2}",
        "{from: 0, to: 100, step: 10}",
        "{from: 1, to: 1000000, step: 1}",
        "{from: 1000, to: 8000, step: 1, factor: 2}",
    ],
    "standalone_thresholds: [false, true]": [
        "standalone_thresholds: [0, 1]",
        "standalone_thresholds: 'yes'",
        "standalone_thresholds: [true, true]",
        "standalone_thresholds: {from: 0, to: 1, step: 1}",
        "standalone_treshold: true",
        "output_dir: x",
        "steps: []",
        "generate_outputs: [estimate_reports]",
        "start_step: step_streamline",
        "board: Pynq",
        "board: [Pynq-Z1, Pynq-Z9]",
        "clock: 5",
    ],
    "mvau_wwidth_max: 36": [
        "mvau_wwidth_max: 36.5",
        "mvau_wwidth_max: []",
        "mvau_wwidth_max: 0x",
        "mvau: 36",
    ],
    "[[initial_python], []]": [
        "initial_python",
        "[final_python]",
        "[[initial_python], [initial_python]]",
        "[[1]]",
    ],
    "auto_fifo_strategy: live_fifo": ["auto_fifo_strategy: life_fifo", "auto_fifo_strategy: 0"],
    "folding_config_file: ../models/folding.json": [
        "folding_config_file: folding.json",
        "folding_config_file: [../models/folding.json, ../models/foldings.json]",
        "folding_config_file: 7",
        "folding_config_file: ${HOME}/folding.json",
    ],
    "signature: [1, 2]": ["signature: [1, a]", "signature: 1", "signature: [[1], [1]]"],
    "- ~FoldConstants": [
        "- ~FoldConstant",
        "- ~",
        "- '~'",
        "- ~~FoldConstants",
        "- fold constants",
        "- 5",
        "- []",
        "- {stage: widths}",
        "- {step: step_tidy_up}",
        "- ''",
        "- ~ FoldConstants",
    ],
    "{name: InsertTopK, parameters: {k: [1, 3]}}": [
        "{name: InsertTopK, k: 1}",
        "{name: InsertTopK, parameters: [k]}",
        "{name: InsertTopK, parameters: {k: []}}",
        "{name: InsertTopK, parameters: {k: [1, 1]}}",
        "{name: InsertTop, parameters: {k: 1}}",
        "{name: [InsertTopK]}",
        "{parameters: {k: 1}}",
        "{name: InsertTopK, parameters: 1}",
        "{name: ~InsertTopK}",
        "{}",
    ],
    "[GiveUniqueNodeNames, ~, [RemoveUnusedTensors, GiveReadableTensorNames]]": [
        "[GiveUniqueNodeNames, GiveUniqueNodeNames]",
        "[~, ~]",
        "[~, '~']",
        "[[]]",
        "[GiveUniqueNodeNames, [~]]",
        "[GiveUniqueNodeNames, [RemoveUnusedTensors, Nothing]]",
        "[[GiveUniqueNodeNames], GiveUniqueNodeNames]",
    ],
    "- layer_balance": [
        "- layer_balanc",
        "- FoldConstants",
        "- {name: layer_balance, x: 1}",
        "- {stage: widths}",
    ],
    "- RoundAndClipThresholds": ["- RoundAndClipTresholds", "- step_tidy_up"],
    "- step_qonnx_to_finn": [
        "- step_qonnx_to_fin",
        "- FoldConstants",
        "- null",
        "- '~'",
        "- [[step_qonnx_to_finn, ~]]",
        "- []",
        "- [step_qonnx_to_finn, step_qonnx_to_finn]",
        "- [[[step_qonnx_to_finn, {remove: step_tidy_up}]]]",
        "- [{after: step_tidy_up, insert: my.a}, ~]",
        "- {stage: width}",
        "- {stage: pre_proc}",
        "- {stage: [widths]}",
        "- {stage: widths}\n    - §{stage: widths, gain: 1}",
        "- {steps: step_qonnx_to_finn}",
        "- {step: }",
        "- {step: step_qonnx_to_finn, parameters: {x: 1}, x: 2}",
        "- {step: step_qonnx_to_finn, parameters: x}",
        "- {step: step_qonnx_to_finn, x: []}",
        "- {step: step_qonnx_to_finn, x: [1, 1]}",
        "- {step: 1}",
        "- 3.5",
        "- true",
        "- .step",
        "- my..step",
        "- step qonnx",
        "- {after: step_tidy, insert: my.a}",
        "- {after: step_tidy_up}",
        "- {after: step_tidy_up, insert: }",
        "- {after: step_tidy_up, insert: []}",
        "- {after: step_tidy_up, insert: step_nothing}",
        "- {after: step_tidy_up, before: my.last, insert: my.a}",
        "- {after: step_tidy_up, with: my.a}",
        "- {after: step_loop_rolling, insert: my.a}",
        "- {after: [step_streamline, ~], insert: my.a}",
        "- {after: 3, insert: my.a}",
        "- {after: [], insert: my.a}",
        "- {replace: step_tidy_up, insert: my.a}",
        "- {replace: step_tidyup, with: my.a}",
        "- {replace: step_tidy_up, with: ~}",
        "- {remove: step_convert_to_hw}",
        "- {remove: my.other}",
        "- {remove: }",
        "- {remove: step_tidy_up, with: my.a}",
        "- {at_start: my.a}",
        "- {at_start: }",
        "- {at_end: {with: my.a}}",
        "- {at_end: {insert: }}",
        "- {at_middle: {insert: my.a}}",
        "- {insert: my.a}",
    ],
    "stage: widths": ["stage: pre_proc", "stage: wdths", "step: widths"],
    "[step_streamline, ~, [step_loop_rolling, my.other]]": [
        "[[step_streamline, ~], ~]",
        "[step_streamline, {name: my.other}]",
        "{step: my.many, a: [1, 2], b: [1, 1]}",
        f"[{', '.join(['[' + ', '.join(['~my.a'] * 20) + ']'])}]",
    ],
    "[MVAU_hls, [MVAU_rtl, MVAU_hls]]": [
        "[MVAU_hls, MVAU_hls]",
        "[MVAU_hsl]",
        "[]",
        "[[]]",
        "MVAU_hls",
        "[MVAU_hls, ~]",
        "[VVAU_hls]",
        "[[MVAU_rtl, MVAU_rtl]]",
        "[MVAU_hls], priority: [MVAU_rtl]",
        "[MVAU_hls], choice: 1",
    ],
    "resType: [lut, dsp]": [
        "resType: [lut, lut]",
        "resType: [lut, bram]",
        "resType: []",
        "resType: 1",
        "restype: lut",
        "PE: 4",
        "pumpedCompute: [1, x]",
        "ActVal: 1",
        "ram_style: {from: a}",
    ],
    "Pool: Pool_hls": [
        "Pool: Pool_rtl",
        "Poool: Pool_hls",
        "Pool: [Pool_hls, Pool_hls]",
        "Pool: 1",
        "Pool: []",
    ],
    '- standalone_thresholds or MVAU == "MVAU_hls"': [
        "- standalone_treshold",
        "- standalone_thresholds or",
        "- standalone_thresholds = true",
        "- __import__('os').system('ls')",
        "- target_fps.real > 1",
        "- target_fps.__class__",
        "- len(steps) > 1",
        "- steps[0] == 'a'",
        '- "[x for x in steps]"',
        "- 'lambda: 1'",
        "- (x := 1) > 0",
        "- target_fps + 1",
        "- \"f'{target_fps}'\"",
        "- 5",
        "- true",
        "- ''",
        "- ~",
        "- [target_fps > 1]",
        "- target_fps > 1; 1",
        "- accuracy > 0.5",
        "- print(1)",
        "- exec('1')",
        "- open('x')",
        "- 1 if",
        "- await x",
        "- " + "not " * 300 + "standalone_thresholds",
        "- Swish > 1",
    ],
    "throughput: max": [
        "throughput: maximum",
        "throughput: 1",
        "speed: max",
        "throughput: ~",
    ],
    "latency: min": ["latency: Min", "latency: lower", "latencies: min"],
    "- lut_utilization <= 0.7": [
        "- luts <= 0.7",
        "- target_fps > 1",
        "- lut_utilization <= 70%",
        "- 0.7",
        "- max(latency, 1) < 2",
        "- lut_utilization.x < 1",
    ],
    "strategy: random": ["strategy: rand", "strategy: grid", "strategy: 1"],
    "strategy: random\n  samples: 10": [
        "strategy: exhaustive\n  §samples: 10",
        "samples: 10",
        "strategy: random",
        "strategy: random\n  samples: ~",
    ],
    "samples: 10": ["samples: 0", "samples: -3", "samples: many", "samples: 1.5", "sample: 10"],
    "seed: 3": ["seed: -1", "seed: a", "seed: 0.5"],
    "max_builds: 5": ["max_builds: 0", "max_builds: all", "max_build: 5"],
    "max_combinations: 50000": ["max_combinations: 0", "max_combinations: none"],
    "fail_fast: false": ["fail_fast: 0", "fail_fast: never", "failfast: true"],
    "early_stop: true": ["early_stop: 1", "early_stop: [true]"],
    "  timeout: 60\n": ["  timeout: 0\n", "  timeout: 1h\n", "  timeout: 60\n  §limit: 3\n"],
}

#: In child.yaml, likewise.
CHILD_SWAPS = {
    "name: child\n": ["§"],
    "extends: rich.yaml": [
        "extends: child.yaml",
        "extends: poor.yaml",
        "extends: ..",
        "extends: ''",
        "extends: 3",
        "extends: [rich.yaml]",
        "extends: ${FINNMAKE_TEST_NOWHERE}/rich.yaml",
        "extends: ${FINNMAKE_TEST_UNSET}/rich.yaml",
        "extends: ${}/rich.yaml",
        "extends: $HOME/rich.yaml",
        "extends: ~/rich.yaml",
    ],
    "{to: 4000}": ["{to: fast}", "{step: 0}", "{too: 4000}", "{to: 1e9, step: 1}", "{from: ~}"],
    "after: step_qonnx_to_finn": ["after: step_qonnx", "after: my.end", "after: step_streamline", "after: "],
    "before: my.last": ["before: my.lost", "before: [my.last]", "before: widhts"],
    "replace: my.quantise": ["replace: my.quantize", "replace: 1"],
    "remove: step_tidy_up": [
        "remove: step_tidy",
        "remove: my.first, insert: my.b",
        "remove: {step: step_tidy_up}",
    ],
    "insert: my.start": [
        "insert: {stage: widths}}}\n    - §{remove: my.nothing}\n    - {at_end: {insert: my.start"
    ],
    "[step_streamline, ~, [step_loop_rolling, my.other]]": ["[step_streamline, ~]", "step_streamline"],
    "constraints: null": [
        "constraints: [target_fp > 1]",
        "kernels: {MVAU: ~}",
        "backend: mocked",
        "steps: []",
        "target_fps: 10",
        "backend: mock\noutput_stage: §BITFILE",
    ],
}


def all_cases() -> list[Case]:
    """Every broken blueprint, in a fixed order."""
    cases = [case for file in GOOD for case in _systematic(file)]
    for file, swaps in (("rich.yaml", SWAPS), ("child.yaml", CHILD_SWAPS)):
        cases += [swap(file, GOOD[file], old, new) for old, news in swaps.items() for new in news]
    return cases


def _systematic(file: str) -> list[Case]:
    text = GOOD[file]
    return [
        *misspelt_keys(file, text),
        *wrong_types(file, text),
        *doubled_keys(file, text),
        *tagged(file, text, TAGS),
    ]
