"""Two builds compared: which files are the same, and in what the others differ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from finnmake.tasks.comparison import ASIDE, DIFFERS, MISSING, NEW, SAME, Row, compare
from finnmake.tasks.comparison_text import comparison_text

MANIFEST = {
    "inputs": {"models/x.onnx": "0"},
    "outputs": {"report/a.json": "1"},
    "steps": [{"name": f"step_{name}", "action_key": f"key {name}", "output": name} for name in "abc"],
    "toolchain": {"python": "CPython 3.11.7 x86_64", "packages": {"numpy": "2.4.6"}},
}


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal builds."""
    one = tmp_path / "one"
    (one / "artifacts/report").mkdir(parents=True)
    for name in "ab":
        (one / f"artifacts/report/{name}.json").write_text(json.dumps({"cycles": 7}))
    (one / "metrics.json").write_text(json.dumps({"throughput": 48828.1, "latency": 32.6, "sources": {}}))
    (one / "final_model.onnx").write_bytes(bytes(3 << 20))
    (one / "report.html").write_text("<html>")
    (one / "result.json").write_text("{}")
    (one / "build.log").write_text("1 s")
    write(one, **MANIFEST)
    shutil.copytree(one, tmp_path / "two")
    (tmp_path / "two" / "build.log").write_text("2 s")
    return one, tmp_path / "two"


def write(folder: Path, **manifest: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, **manifest}))


def row(builds: tuple[Path, Path], name: str) -> Row:
    return next(each for each in compare(*builds).rows if each.name == name)


def test_equal_builds_are_the_same_whatever_the_times(builds: tuple[Path, Path]) -> None:
    found = compare(*builds)
    assert found.same and {each.state for each in found.rows} == {SAME}
    assert not {"build.log", "result.json"} & {each.name for each in found.rows}
    assert comparison_text(found) == [
        f"same          {'artifacts/report/':<44} 2 files",
        "same          final_model.onnx",
        "same          manifest.json",
        "same          metrics.json",
        "same          report.html",
        "6 files: 6 same",
    ]


@pytest.mark.parametrize("place", [0, 1 << 20, (3 << 20) - 1])
def test_one_byte_is_enough(builds: tuple[Path, Path], place: int) -> None:
    data = bytearray(3 << 20)
    data[place] = 1
    (builds[1] / "final_model.onnx").write_bytes(data)
    assert not compare(*builds).same
    assert row(builds, "final_model.onnx").detail.startswith(f"from byte {place:,} on; 3,145,728 bytes")


def test_a_file_that_goes_on_differs_at_its_end(builds: tuple[Path, Path]) -> None:
    (builds[1] / "final_model.onnx").write_bytes(bytes((3 << 20) + 5))
    assert row(builds, "final_model.onnx").detail.startswith("from byte 3,145,728 on")


def test_metrics_that_differ_are_told_with_their_values(builds: tuple[Path, Path]) -> None:
    (builds[1] / "metrics.json").write_text(json.dumps({"throughput": 1.5, "latency": 32.6, "sources": {}}))
    assert row(builds, "metrics.json") == Row(
        "metrics.json", DIFFERS, "throughput: 48828.1 in the archive, 1.5 here"
    )


def test_one_and_true_are_not_the_same(builds: tuple[Path, Path]) -> None:
    (builds[1] / "artifacts/report/a.json").write_text(json.dumps({"cycles": 7.0}))
    assert row(builds, "artifacts/report/a.json").detail == "cycles: 7 in the archive, 7.0 here"


def test_files_that_one_of_them_lacks_are_told(builds: tuple[Path, Path]) -> None:
    (builds[1] / "artifacts/report/a.json").unlink()
    (builds[1] / "postprocessing.json").write_text("{}")
    assert row(builds, "artifacts/report/a.json").state == MISSING
    assert row(builds, "postprocessing.json").state == NEW
    assert not compare(*builds).same


def test_another_toolchain_is_named_and_decides_nothing(builds: tuple[Path, Path]) -> None:
    steps = [{**step, "action_key": "another"} for step in MANIFEST["steps"]]  # type: ignore[arg-type]
    write(builds[1], toolchain={**MANIFEST["toolchain"], "python": "CPython 3.11.9 x86_64"}, steps=steps)  # type: ignore[dict-item]
    (builds[1] / "report.html").write_text("<html> on another Python")
    found = compare(*builds)
    assert found.same
    assert row(builds, "report.html").state == ASIDE
    assert found.environment == (
        'python: "CPython 3.11.7 x86_64" in the archive, "CPython 3.11.9 x86_64" here',
    )
    assert "the environment is not that of the archive:" in comparison_text(found)


def test_the_report_counts_where_the_toolchain_is_the_same(builds: tuple[Path, Path]) -> None:
    (builds[1] / "report.html").write_text("<html> other")
    assert row(builds, "report.html").state == DIFFERS


def test_the_first_step_that_differs_is_named(builds: tuple[Path, Path]) -> None:
    steps = [{**step, "output": "z"} if step["name"] != "step_a" else step for step in MANIFEST["steps"]]  # type: ignore[dict-item,index]
    write(builds[1], steps=steps)
    found = compare(*builds)
    assert found.first == "step_b" and not found.same
    assert "the first step whose model differs is step_b" in comparison_text(found)
