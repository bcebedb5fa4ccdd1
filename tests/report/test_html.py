"""The report page: a golden file, and what it says when pieces are missing or hostile.

After a wanted change of the template, write the golden file anew: `python tests/report/test_html.py`.
"""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.errors import WorkspaceError
from finnmake.report.html import render
from finnmake.report.tables import table, text

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "report.html"
TEMPLATES = Path(__file__).parents[2] / "templates"
VOID = {"meta", "rect", "line", "br", "link", "img"}


class Balance(HTMLParser):
    """Checks that every element that opens also closes, and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"href", "src", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def check(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.addresses == []
    assert not re.search(r"<script|@import|url\(|https?://", page)


@pytest.fixture
def build(tmp_path):
    return Path(shutil.copytree(DATA / "build", tmp_path / "config_001"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), encoding="utf-8")


def test_page_equals_the_golden_file():
    assert render(DATA / "build", TEMPLATES) == GOLDEN.read_text(encoding="utf-8")


def test_page_stands_alone_and_is_well_formed():
    check(GOLDEN.read_text(encoding="utf-8"))


def test_page_does_not_depend_on_where_the_build_lies(build):
    assert render(build, TEMPLATES) == GOLDEN.read_text(encoding="utf-8")


def test_absolute_paths_are_not_shown(build):
    edit(
        build / "config.json",
        model_path="/home/someone/secret/tfc.onnx",
        config_flags={"folding_config_file": "/a/b/f.json"},
    )
    edit(
        build / "manifest.json",
        model={"path": "/home/someone/secret/tfc.onnx"},
        inputs={"/home/someone/x.npz": "00"},
    )
    page = render(build, TEMPLATES)
    assert "/home/" not in page and "/a/b" not in page
    assert "…/tfc.onnx" in page and "…/f.json" in page and "x.npz" in page


def test_empty_build_says_what_is_missing(tmp_path):
    page = render(tmp_path, TEMPLATES)
    check(page)
    for name in ("config.json", "metrics.json", "manifest.json"):
        assert f"{name} is missing." in page
    assert "not known from estimates" in page


def test_damaged_files_are_named(build):
    (build / "metrics.json").write_text('{"throughput": ', encoding="utf-8")
    (build / "artifacts/report/estimate_layer_cycles.json").write_text("[1]", encoding="utf-8")
    (build / "postprocessing/layer_balance.json").write_bytes(b"\xff")
    page = render(build, TEMPLATES)
    check(page)
    assert "metrics.json is not valid JSON" in page
    assert "artifacts/report/estimate_layer_cycles.json is not a JSON object." in page
    assert "postprocessing/layer_balance.json is not valid JSON" in page


def test_simulated_build_has_a_banner(build):
    """In the title, before the figures, and in place of the words that name FINN's estimates."""
    said = ("<title>simulated: ", "<strong>Simulated.</strong>", "Simulated, not FINN's estimates.")
    page = render(build, TEMPLATES)
    assert not [words for words in said if words in page]
    edit(build / "manifest.json", simulated=True)
    page = render(build, TEMPLATES)
    check(page)
    assert [page.index(words) for words in said] == sorted(page.index(words) for words in said)
    assert page.index(said[1]) < page.index('<div class="figures">')


def test_design_that_does_not_fit_passes_the_mark(build):
    edit(build / "metrics.json", lut_utilization=2.1)
    page = render(build, TEMPLATES)
    check(page)
    assert "210.0 %" in page and "does not fit" in page
    mark = float(re.search(r'class="mark" x1="([\d.]+)%"', page)[1])
    width = float(re.search(r'class="beyond" width="([\d.]+)%"', page)[1])
    assert 0 < mark < width < 100


def test_text_from_files_is_escaped(build):
    edit(
        build / "manifest.json",
        blueprint="<script>alert(1)</script>",
        steps=[{"name": "<b>", "action_key": '"><i>'}],
    )
    page = render(build, TEMPLATES)
    check(page)
    assert "&lt;script&gt;" in page


def test_long_analysis_is_cut_and_says_so(build):
    (build / "postprocessing/layer_balance.json").write_text(
        json.dumps({f"n{i}": i for i in range(500)}), encoding="utf-8"
    )
    assert "and 300 more rows in the file" in render(build, TEMPLATES)


def test_missing_or_broken_template_is_an_error_of_the_workspace(tmp_path):
    with pytest.raises(WorkspaceError, match=r"report\.html\.j2"):
        render(DATA / "build", tmp_path)
    (tmp_path / "report.html.j2").write_text("one\n{% if %}", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"report\.html\.j2:2"):
        render(DATA / "build", tmp_path)


def test_template_for_other_values_is_an_error_of_the_workspace(tmp_path):
    """As one of an earlier finnmake is, in a project that was not upgraded with it."""
    (tmp_path / "report.html.j2").write_text("one\n{% for a, b in headlines %}{% endfor %}", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"report\.html\.j2:2.*cannot be used \(TypeError"):
        render(DATA / "build", tmp_path)


def test_cells():
    values = [None, True, 59008, 0.4285714, 10.0, "a", "/x/y.json"]
    assert [text(value) for value in values] == ["–", "yes", "59,008", "0.428571", "10", "a", "…/y.json"]


def test_tables_get_columns_where_rows_are_mappings():
    assert table({"a": {"x": 1}, "b": {"y": 2}}).rows == (("a", "1", ""), ("b", "", "2"))
    assert table({"a": {"b": [1, 2]}, "c": []}).rows == (("a.b", "1, 2"),)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "raw_metrics",
                    "device",
                    "steps",
                    "inputs",
                    "total",
                    "sources",
                    "LUT",
                    "model",
                    "name",
                    "\udfff",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
FILES = [str(path.relative_to(DATA / "build")) for path in sorted((DATA / "build").rglob("*.json"))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(st.sampled_from(FILES), ANYTHING, min_size=1))
def test_no_content_is_fatal(tmp_path, files):
    shutil.rmtree(tmp_path / "build", ignore_errors=True)
    build = Path(shutil.copytree(DATA / "build", tmp_path / "build"))
    for name, content in files.items():
        (build / name).write_text(json.dumps(content), encoding="utf-8")
    page = render(build, TEMPLATES)
    page.encode("utf-8")
    check(page)


if __name__ == "__main__":
    GOLDEN.write_text(render(DATA / "build", TEMPLATES), encoding="utf-8")
