"""What the report shows of analyses: tables with columns, sentences, failures, the measured accuracy."""

import json
import re
import shutil
from pathlib import Path

import pytest

from finnmake.report.html import render
from tests.report.page_tables import table_under, tables_of, texts_under

DATA = Path(__file__).parent / "data"
TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture
def build(tmp_path):
    return Path(shutil.copytree(DATA / "build", tmp_path / "config_001"))


def write(build: Path, name: str, content: object) -> None:
    (build / "postprocessing" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def page(build: Path) -> str:
    return render(build, TEMPLATES)


def analyses_of(build: Path, *entries: object) -> None:
    """Put these entries into the configuration's `post_proc`."""
    path = build / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["transforms_by_stage"] = {**config.get("transforms_by_stage", {}), "post_proc": list(entries)}
    path.write_text(json.dumps(config), encoding="utf-8")


def test_list_of_rows_is_a_table_with_columns(build):
    rows = [
        {"model": "original", "correct": 447, "top1": 0.99, "changed": None},
        {"model": "processed", "correct": 446, "top1": 0.98, "changed": 1},
    ]
    write(build, "check", {"data": "x.npz", "images": 450, "models": rows})
    found = page(build)
    assert table_under(found, "Analyses", "check").rows == [["data", "x.npz"], ["images", "450"]]
    models = table_under(found, "Analyses", "check", "models")
    assert models.columns == ["model", "correct", "top1", "changed"]
    assert models.rows == [["original", "447", "0.99", ""], ["processed", "446", "0.98", "1"]]
    assert "models.0" not in found


def test_figures_in_groups_stand_in_one_table(build):
    write(
        build,
        "speed",
        {"measured": {"throughput": 10.5, "source": None}, "target": {"throughput": 10, "too_slow": []}},
    )
    write(build, "more", {"bottleneck": "A", "measured": {"throughput": 10.5}, "target": {"met": True}})
    found = page(build)
    more = table_under(found, "Analyses", "more")
    assert more.rows == [["bottleneck", "A"], ["measured.throughput", "10.5"], ["target.met", "yes"]]
    speed = table_under(found, "Analyses", "speed")
    assert ["target.too_slow", "none"] in speed.rows and ["measured.source", "–"] in speed.rows


def test_rows_below_a_mapping_and_lists_in_rows(build):
    resources = [{"resource": "LUT", "share": 0.5}, {"resource": "DSP", "by": {"a": 1, "b": [2, 3]}}]
    write(build, "use", {"device": {"name": "xc7z020", "resources": resources}})
    found = page(build)
    assert table_under(found, "Analyses", "use").rows == [["device.name", "xc7z020"]]
    table = table_under(found, "Analyses", "use", "device.resources")
    assert table.columns == ["resource", "share", "by.a", "by.b"]
    assert table.rows == [["LUT", "0.5", "", ""], ["DSP", "", "1", "2, 3"]]


def test_mapping_of_rows_names_them(build):
    write(build, "layers", {"unit": "us", "layers": {"A": {"cycles": 1}, "B": {"cycles": 2, "idle": 0.5}}})
    table = table_under(page(build), "Analyses", "layers", "layers")
    assert (table.columns, table.rows) == (["", "cycles", "idle"], [["A", "1", ""], ["B", "2", "0.5"]])


def test_rows_with_too_many_columns_are_names_and_values(build):
    write(build, "wide", {"rows": [{f"c{i}": i for i in range(40)}]})
    table = table_under(page(build), "Analyses", "wide")
    assert table.columns == [] and len(table.rows) == 40


def test_warnings_and_other_sentences_are_sentences(build):
    long = "all of the device's LUTs and DSPs multiply and add, all at once"
    write(build, "roof", {"bound": None, "assumptions": [long, "short"], "warnings": ["no <clock> known"]})
    found = page(build)
    assert texts_under(found, "Analyses", "roof") == ["no <clock> known"]
    assert texts_under(found, "Analyses", "roof", "assumptions") == [long, "short"]
    assert not [t for t in tables_of(found) if any("warnings" in "".join(row) for row in t.rows)]


def test_warnings_of_any_kind_are_shown(build):
    write(build, "one", {"ok": True, "warnings": "just text"})
    write(build, "two", {"warnings": [1, None]})
    found = page(build)
    assert texts_under(found, "Analyses", "one") == ["just text"]
    assert texts_under(found, "Analyses", "two")[:2] == ["1", "–"]


def test_failed_analysis_has_a_heading_and_its_words(build):
    analyses_of(build, "layer_balance", {"name": "roofline", "parameters": {"usable_share": 2}}, "other")
    told = [
        "config: analysis roofline: usable_share: 2 is no share -> Write 1.",
        "other: a warning of its own",
    ]
    write(build, "warnings", told)
    found = page(build)
    assert texts_under(found, "Analyses", "Failed: roofline") == ["usable_share: 2 is no share -> Write 1."]
    headings = {table.under[1] for table in tables_of(found) if table.under[0] == "Analyses"}
    assert headings == {"energy_per_inference", "layer_balance"}
    assert "Failed: other" not in found and "Failed: layer_balance" not in found


def test_section_stands_where_all_analyses_failed(build):
    shutil.rmtree(build / "postprocessing")
    (build / "postprocessing").mkdir()
    analyses_of(build, "mine")
    write(build, "warnings", ["postprocessing: analysis mine: ZeroDivisionError: division by zero"])
    assert texts_under(page(build), "Analyses", "Failed: mine") == ["ZeroDivisionError: division by zero"]


def card(found: str, label: str) -> str:
    return re.search(rf"<h2>{label}</h2>(.*?)</div>", found, re.DOTALL)[1]


def test_measured_accuracy_is_shown_with_its_source(build):
    write(build, "accuracy_validation", {"accuracy": 0.993333, "models": []})
    found = page(build)
    assert ">99.33<" in card(found, "Accuracy") and "top-1" in card(found, "Accuracy")
    sources = table_under(found, "Provenance", "Where the figures come from")
    (source,) = (row[1] for row in sources.rows if row[0] == "accuracy")
    assert source.startswith("postprocessing/accuracy_validation.json")


def test_accuracy_that_nobody_measured_is_not_blamed_on_the_estimates(build):
    assert "not measured" in card(page(build), "Accuracy")
    assert "not known from estimates" in card(page(build), "Power")
    write(build, "accuracy_validation", {"accuracy": None})
    assert "not measured" in card(page(build), "Accuracy")


def test_transforms_and_analyses_of_the_configuration_take_a_row_a_stage(build):
    roof = {"name": "roofline", "parameters": {"memory_bandwidth_gb_s": 19.2, "on": ["/a/b.npz", None]}}
    analyses_of(build, "layer_balance", roof)
    rows = dict(table_under(page(build), "Configuration").rows)
    expected = "layer_balance, roofline (memory_bandwidth_gb_s: 19.2, on: […/b.npz, –])"
    assert rows["transforms.post_proc"] == expected
    assert not [name for name in rows if name.startswith("transforms.post_proc.")]


def test_long_names_leave_the_values_their_width():
    """A fixed layout: a name that does not break would take the column of the values."""
    style = (TEMPLATES / "report.html.j2").read_text("utf-8")
    assert re.search(r"\.pairs \{[^}]*table-layout: fixed", style)
    assert re.search(r"\.pairs th, \.pairs td \{[^}]*overflow-wrap: anywhere", style)
