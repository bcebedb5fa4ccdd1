"""Kernels: their backends and attributes, fixed or chosen, and what FINN does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blueprint_samples import GOOD, marked

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError

Read = Callable[[str | bytes], DesignSpace]


def option(*backends: str, **attributes: Any) -> dict[str, Any]:
    return {"backends": list(backends), "attributes": attributes}


SPECS: dict[str, tuple[dict[str, Any], ...]] = {
    "null": (option(),),
    "{}": (option(),),
    "MVAU_rtl": (option("MVAU_rtl"),),
    "[MVAU_rtl]": (option("MVAU_rtl"),),
    "[MVAU_hls, MVAU_rtl]": (option("MVAU_hls", "MVAU_rtl"),),
    "{priority: [MVAU_hls]}": (option("MVAU_hls"),),
    "{priority: [MVAU_hls, MVAU_rtl], choose: null}": (option("MVAU_hls", "MVAU_rtl"),),
    "{choose: [MVAU_rtl, MVAU_hls]}": (option("MVAU_rtl"), option("MVAU_hls")),
    "{choose: [[MVAU_rtl, MVAU_hls], MVAU_hls]}": (option("MVAU_rtl", "MVAU_hls"), option("MVAU_hls")),
    "{attributes: {resType: lut}}": (option(resType="lut"),),
    "{attributes: {resType: [lut, dsp]}}": (option(resType="lut"), option(resType="dsp")),
    "{choose: [MVAU_rtl, MVAU_hls], attributes: {resType: [lut, dsp]}}": (
        option("MVAU_rtl", resType="lut"),
        option("MVAU_rtl", resType="dsp"),
        option("MVAU_hls", resType="lut"),
        option("MVAU_hls", resType="dsp"),
    ),
    "{priority: [MVAU_hls], attributes: {resType: [lut], mem_mode: internal_embedded}}": (
        option("MVAU_hls", resType="lut", mem_mode="internal_embedded"),
    ),
}


@pytest.mark.parametrize("form", ["{MVAU: %s, Thresholding: }", "[MVAU: %s, Thresholding]"])
@pytest.mark.parametrize("spec", SPECS)
def test_the_options_of_a_kernel(read: Read, spec: str, form: str) -> None:
    space = read(f"{GOOD}  kernels: {form % spec}\n")
    assert space.hw_compiler_space.kernels == {"MVAU": SPECS[spec], "Thresholding": (option(),)}
    assert space.get_total_combinations() == len(SPECS[spec])


def test_a_point_has_the_backends_in_order_and_the_attributes(read: Read) -> None:
    kernels = "  kernels: {MVAU: {priority: [MVAU_hls, MVAU_rtl], attributes: {resType: lut}}, Pool: }\n"
    (point,) = read(GOOD + kernels)
    assert point.kernels == (("MVAU", ("MVAU_hls", "MVAU_rtl")), ("Pool", ()))
    assert point.kernel_attributes == {"MVAU": {"resType": "lut"}}


WRONG = {
    "kernel": ("{§MVU: }", "kernels.MVU: unknown kernel 'MVU'", "Did you mean MVAU?"),
    "kernel of a list": ("[§Poool]", "kernels[0]: unknown kernel 'Poool'", "Did you mean Pool?"),
    "kernel twice": ("[MVAU, §MVAU]", "kernels[1]: the kernel 'MVAU' is given twice", "Keep one of the two."),
    "two in one": (
        "[§{MVAU: , Pool: }]",
        "kernels[0]: found a mapping, wanted the name of a kernel, or {KERNEL: its backends}",
        "",
    ),
    "a number": (
        "[§3]",
        "kernels[0]: found the whole number 3, wanted the name of a kernel, or {KERNEL: its backends}",
        "",
    ),
    "text": ("§MVAU", "kernels: found the text 'MVAU', wanted a mapping (key: value)", ""),
    "backend": (
        "{MVAU: §MVAU_rlt}",
        "kernels.MVAU: the kernel MVAU has no backend 'MVAU_rlt'",
        "Did you mean MVAU_rtl or MVAU_hls?",
    ),
    "backend of another": (
        "{Pool: [§Thresholding_rtl]}",
        "kernels.Pool[0]: the kernel Pool has no backend 'Thresholding_rtl'",
        "It has Pool_hls.",
    ),
    "backend twice": (
        "{MVAU: [MVAU_rtl, §MVAU_rtl]}",
        "kernels.MVAU[1]: 'MVAU_rtl' is already in the list",
        "Take one of them out.",
    ),
    "no backend": ("{MVAU: §[]}", "kernels.MVAU: found a list, wanted at least one backend", ""),
    "a number for a backend": (
        "{MVAU: §1}",
        "kernels.MVAU: found the whole number 1, wanted a backend: ",
        "",
    ),
    "key": (
        "{MVAU: {§chose: [MVAU_rtl]}}",
        "kernels.MVAU.chose: unknown key 'chose'",
        "Did you mean choose?",
    ),
    "choose and priority": (
        "{MVAU: {choose: [MVAU_rtl], §priority: [MVAU_hls]}}",
        "kernels.MVAU.priority: both choose and priority",
        "Write priorities into choose, as lists.",
    ),
    "priority no list": (
        "{MVAU: {priority: §MVAU_rtl}}",
        "kernels.MVAU.priority: found the text 'MVAU_rtl', wanted a list of backends in order of priority",
        "",
    ),
    "choose no list": (
        "{MVAU: {choose: §MVAU_rtl}}",
        "kernels.MVAU.choose: found the text 'MVAU_rtl', wanted a list of backends, or of lists of them in "
        "order of priority",
        "",
    ),
    "choice twice": (
        "{MVAU: {choose: [MVAU_rtl, §[MVAU_rtl]]}}",
        "kernels.MVAU.choose[1]: 'MVAU_rtl' is already among the alternatives",
        "Take one of them out.",
    ),
    "attribute": (
        "{MVAU: {attributes: {§restype: lut}}}",
        "kernels.MVAU.attributes.restype: the kernel MVAU has no attribute 'restype'",
        "Did you mean resType or ram_style?",
    ),
    "attribute of a backend that is not named": (
        "{MVAU: {priority: [MVAU_hls], attributes: {§pumpedCompute: 1}}}",
        "kernels.MVAU.attributes.pumpedCompute: MVAU_hls has no attribute 'pumpedCompute'",
        "Only MVAU_rtl has it.",
    ),
    "value": (
        "{MVAU: {attributes: {resType: §luts}}}",
        "kernels.MVAU.attributes.resType: found the text 'luts', wanted one of ",
        "Did you mean lut?",
    ),
    "value twice": (
        "{MVAU: {attributes: {resType: [lut, §lut]}}}",
        "kernels.MVAU.attributes.resType[1]: 'lut' is already on the axis",
        "Take one of them out.",
    ),
    "no values": (
        "{MVAU: {attributes: {resType: §[]}}}",
        "kernels.MVAU.attributes.resType: the axis has no values",
        "Write one, or take the key out.",
    ),
    "too many": (
        f"{{Thresholding: §{{attributes: {{depth_trigger_bram: [{', '.join(map(str, range(10_001)))}]}}}}}}",
        "kernels.Thresholding: 10,001 alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(read: Read, case: str) -> None:
    written, message, cure = WRONG[case]
    text, place = marked(f"{GOOD}  kernels: {written}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    said, _, tip = str(caught.value).partition("\n  -> ")
    assert said.startswith(f"blueprints/small.yaml:{place}: design_space.{message}")
    assert tip == cure


OWN = GOOD + "  kernels: %s\n  steps: %s\n"


@pytest.mark.parametrize("kernels", ["{MVAU: MVAU_rtl}", "[MVAU: {attributes: {resType: [lut, dsp]}}]"])
@pytest.mark.parametrize("steps", ["[]", "[step_tidy_up, ~my.step]", "[my.step_specialize_layers]"])
def test_kernels_that_no_step_would_read_are_refused(read: Read, kernels: str, steps: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        read(OWN % (kernels, steps))
    assert str(caught.value) == (
        "blueprints/small.yaml:6:3: design_space.kernels: nothing would read the kernels: "
        "step_specialize_layers stands nowhere among the steps\n"
        "  -> Add step_specialize_layers to design_space.steps, or take the kernels out."
    )


@pytest.mark.parametrize(
    "steps",
    [
        "[step_specialize_layers]",
        "[finn.builder.build_dataflow_steps.step_specialize_layers]",
        "[~step_specialize_layers]",
        "[[step_tidy_up, [my.step, [step_specialize_layers, ~]]]]",
        "default",
    ],
)
def test_it_is_enough_that_one_combination_reads_them(read: Read, steps: str) -> None:
    assert list(read(OWN % ("{MVAU: MVAU_rtl}", steps)).hw_compiler_space.kernels) == ["MVAU"]


def test_a_kernel_by_its_name_alone_needs_no_reader(read: Read) -> None:
    assert list(read(OWN % ("[MVAU, Pool]", "[step_tidy_up]")).hw_compiler_space.kernels) == ["MVAU", "Pool"]


def test_a_misspelt_step_is_the_only_error(read: Read) -> None:
    with pytest.raises(BlueprintError, match=r"unknown step 'step_specialise_layers'") as caught:
        read(OWN % ("{MVAU: MVAU_rtl}", "[step_specialise_layers]"))
    assert "nothing would read" not in str(caught.value)


@pytest.mark.parametrize("attribute", ["ActVal", "numInputVectors", "noActivation"])
def test_what_a_layer_computes_cannot_be_chosen(read: Read, attribute: str) -> None:
    text = f"{GOOD}  kernels: {{Thresholding: {{attributes: {{{attribute}: 1}}}}}}\n"
    with pytest.raises(BlueprintError, match=f"has no attribute '{attribute}' that can be chosen"):
        read(text)


def test_folding_is_no_choice_of_kernels(read: Read) -> None:
    with pytest.raises(BlueprintError, match="SIMD is folding") as caught:
        read(f"{GOOD}  kernels: {{MVAU: {{attributes: {{SIMD: 4}}}}}}\n")
    assert "target_fps" in str(caught.value)
