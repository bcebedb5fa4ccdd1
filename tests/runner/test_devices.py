"""Part names, and the table of device totals."""

import json

import pytest

from finnmake.runner.devices import _devices, device_of, is_known_part, known_parts_hint, totals
from finnmake.runner.metrics import collect
from finnmake.runner.report_shapes import UTILIZATION

WHOLE_PARTS = {
    "xc7z020clg400-1": "xc7z020",
    "XC7Z020CLG400-1": "xc7z020",
    " xc7z020clg400-1 ": "xc7z020",
    "xc7a35ticsg324-1L": "xc7a35t",
    "xczu3eg-sbva484-1-e": "xczu3eg",
    "xcu50-fsvh2104-2L-e": "xcu50",
    "xcu250-figd2104-2L-e": "xcu250",
    "xcu55c-fsvh2892-2L-e": "xcu55c",
    "xck26-sfvc784-2LV-c": "xck26",
    "xcvc1902-vsva2197-2MP-e-S": "xcvc1902",
    "xcv80-lsva4737-2MHP-e-s": "xcv80",
}


@pytest.mark.parametrize(("part", "device"), WHOLE_PARTS.items())
def test_package_speed_and_case_do_not_matter(part, device):
    assert device_of(part) == device
    assert is_known_part(part)
    assert totals(part) == totals(device)


@pytest.mark.parametrize(
    "part",
    [
        "xc7z020",
        "xc7z020clg400",
        "xc7z020-clg400-1",
        "xczu3eg-sbva484-1",
        "xczu3egsbva484-1-e",
        "xczu3eg-sbva484-9-e",
    ],
)
def test_a_name_without_its_whole_suffix_is_no_part(part):
    assert not is_known_part(part)


@pytest.mark.parametrize(
    "part", ["", "banana", "xc7z021clg400-1", "xczu3-sbva484-1-e", "xc7z0200clg400-1", "xcu5"]
)
def test_unknown_devices_are_not_guessed(part):
    assert device_of(part) is None
    assert totals(part) is None
    assert not is_known_part(part)


def test_hint_names_devices_that_are_written_alike():
    assert known_parts_hint("xc7z02clg400-1")[0] == "xc7z020"
    assert known_parts_hint("xczu3-sbva484-1-e")[0] == "xczu3eg"
    assert known_parts_hint("xcu55-fsvh2892-2L-e")[0] == "xcu55c"
    assert known_parts_hint("banana") == []


def test_hint_gives_the_form_where_only_the_suffix_is_wrong():
    assert known_parts_hint("xc7z020-clg400-1") == ["xc7z020<package>-<speed>"]
    assert known_parts_hint("xczu3eg") == ["xczu3eg-<package>-<speed>-<grade>"]


def test_block_rams_are_counted_in_halves_of_36_kb():
    z020 = totals("xc7z020")
    assert z020 is not None
    assert z020.counts() == {"LUT": 53200, "FF": 106400, "DSP": 220, "BRAM_18K": 280, "URAM": 0}
    assert z020.source.startswith("DS190")


#: Whole parts, one of every family that FINN's boards have, with what AMD's data sheets say: 6-input LUTs,
#: DSP slices, block RAMs of 36 Kb, UltraRAMs, and the document. Written down apart from devices.json.
DATA_SHEETS = {
    "xc7z010clg400-1": (17_600, 80, 60, 0, "DS190"),
    "xc7z020clg400-1": (53_200, 220, 140, 0, "DS190"),
    "xc7z045ffg900-2": (218_600, 900, 545, 0, "DS190"),
    "xc7a100tcsg324-1": (63_400, 240, 135, 0, "DS180"),
    "xc7k325tffg900-2": (203_800, 840, 445, 0, "DS180"),
    "xczu3eg-sbva484-1-e": (70_560, 360, 216, 0, "DS891"),
    "xczu5ev-sfvc784-1-e": (117_120, 1_248, 144, 64, "DS891"),
    "xczu7ev-ffvc1156-2-e": (230_400, 1_728, 312, 96, "DS891"),
    "xczu9eg-ffvb1156-2-e": (274_080, 2_520, 912, 0, "DS891"),
    "xczu28dr-ffvg1517-2-e": (425_280, 4_272, 1_080, 80, "DS889"),
    "xczu48dr-ffvg1517-2-e": (425_280, 4_272, 1_080, 80, "DS889"),
    "xck26-sfvc784-2LV-c": (117_120, 1_248, 144, 64, "DS987"),
    "xcku115-flvb2104-2-e": (663_360, 5_520, 2_160, 0, "DS890"),
    "xcvu9p-flga2104-2L-e": (1_182_240, 6_840, 2_160, 960, "DS890"),
    "xcu50-fsvh2104-2L-e": (871_680, 5_952, 1_344, 640, "DS965"),
    "xcu55c-fsvh2892-2L-e": (1_303_680, 9_024, 2_016, 960, "DS978"),
    "xcu200-fsgd2104-2-e": (1_182_240, 6_840, 2_160, 960, "DS962"),
    "xcu250-figd2104-2L-e": (1_728_000, 12_288, 2_688, 1_280, "DS962"),
    "xcu280-fsvh2892-2L-e": (1_303_680, 9_024, 2_016, 960, "DS963"),
    "xcvc1902-vsva2197-2MP-e-S": (899_840, 1_968, 967, 463, "DS950"),
}


@pytest.mark.parametrize("part", DATA_SHEETS)
def test_totals_are_those_of_the_data_sheet(part):
    found = totals(part)
    assert found is not None and is_known_part(part)
    lut, dsp, bram_36k, uram, document = DATA_SHEETS[part]
    assert (found.lut, found.dsp, found.bram_18k, found.uram) == (lut, dsp, 2 * bram_36k, uram)
    assert found.source.startswith(f"{document} ")


@pytest.mark.parametrize("part", DATA_SHEETS)
def test_utilisation_is_of_the_device(tmp_path, part):
    lut, dsp, bram_36k, uram, document = DATA_SHEETS[part]
    half = {"LUT": lut / 2, "DSP": dsp / 2, "BRAM_18K": bram_36k, "URAM": uram / 2}
    (tmp_path / "estimate_layer_resources.json").write_text(json.dumps({"total": half}))
    metrics, warnings = collect(tmp_path, fpga_part=part, synth_clk_period_ns=5.0)
    assert warnings == []
    assert (metrics.lut_utilization, metrics.dsp_utilization, metrics.bram_utilization) == (0.5, 0.5, 0.5)
    assert metrics.uram_utilization == (0.5 if uram else None)
    assert metrics.raw_metrics["device"]["source"].startswith(document)


@pytest.mark.parametrize("part", ["xc7z021clg400-1", "xcku5000-x", "banana", ""])
def test_of_an_unknown_part_there_is_no_utilisation_but_a_warning(tmp_path, part):
    resources = {"total": {"LUT": 1, "DSP": 1, "BRAM_18K": 1, "URAM": 1}}
    (tmp_path / "estimate_layer_resources.json").write_text(json.dumps(resources))
    metrics, (warning,) = collect(tmp_path, fpga_part=part, synth_clk_period_ns=5.0)
    assert [getattr(metrics, name) for name in UTILIZATION] == [None] * 4
    assert warning.startswith(f"utilisation is not known: no device totals for fpga_part {part}")
    assert metrics.raw_metrics["LUT"] == 1


def test_every_device_is_plausible():
    for name, entry in _devices().items():
        counts = entry.totals.counts()
        assert name == name.lower()
        assert counts["FF"] == 2 * counts["LUT"]  # two flip-flops for each LUT in every one of these families
        assert counts["BRAM_18K"] % 2 == 0
        assert counts["DSP"] > 0
        assert entry.totals.source.startswith("DS")


def test_two_names_for_one_die_agree():
    for left, right in [
        ("xcu200", "xcvu9p"),
        ("xcu250", "xcvu13p"),
        ("xcu50", "xcvu35p"),
        ("xcu280", "xcvu37p"),
        ("xcu55c", "xcvu47p"),
        ("xck26", "xczu5ev"),
        ("xczu9eg", "xcku9p"),
        ("xczu19eg", "xcku15p"),
    ]:
        one, other = totals(left), totals(right)
        assert one is not None and other is not None
        assert one.counts() == other.counts()


@pytest.mark.finn
def test_every_part_of_finns_boards_is_known():
    basic = pytest.importorskip("finn.util.basic")
    assert [part for part in basic.part_map.values() if not is_known_part(part)] == []


@pytest.mark.finn
def test_finns_platforms_agree_where_they_list_the_device():
    basic = pytest.importorskip("finn.util.basic")
    platforms = pytest.importorskip("finn.util.platforms")
    for board, platform in platforms.platforms.items():
        device = totals(basic.part_map[board])
        assert device is not None
        for resource, available in device.counts().items():
            listed = sum(region[resource] for region in platform().resource_count_dict.values())
            # FINN rounds some up to thousands, and leaves out what the shell of an Alveo card takes
            assert 0.75 * available <= listed <= 1.01 * available, (board, resource)
