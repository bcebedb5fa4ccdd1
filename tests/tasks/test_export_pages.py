"""The pages of an archive: the README, against a golden file, and what its notes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finnmake.errors import WorkspaceError
from finnmake.tasks import export_pages
from finnmake.tasks.archived import Archived
from finnmake.tasks.export_lock import packages_beside
from tests.projects import REPOSITORY

GOLDEN = Path(__file__).parent / "data" / "archive_readme.md"

ARCHIVED = Archived(
    name="digits-config_001-simulated",
    blueprint="digits",
    config_id="config_001",
    backend="mock",
    simulated=True,
    arguments=("blueprint=blueprints/digits.yaml",),
    runtime="container",
    switches={"LIVENESS_THRESHOLD": "5"},
    paths=True,
    placeholders=("plugins/data/other.txt",),
    beside=("no_such 1.0",),
)
MANIFEST: dict[str, Any] = {
    "model": {"path": "models/x.onnx"},
    "toolchain": {"python": "CPython 3.11.7 x86_64", "tools": {"version": "2022.2"}},
}
METRICS = {"throughput": 48828.125, "latency": 32.64, "lut_utilization": 0.021, "accuracy": None}


@pytest.fixture(autouse=True)
def _version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_pages.metadata, "version", lambda name: "0.1.0")


def test_the_readme_is_the_golden_file() -> None:
    found = export_pages.pages(REPOSITORY / "templates", ARCHIVED, MANIFEST, METRICS)
    assert found["README.md"].decode() == GOLDEN.read_text()


def test_a_missing_template_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="the template is missing"):
        export_pages.pages(tmp_path, ARCHIVED, MANIFEST, METRICS)


@pytest.mark.parametrize(
    ("toolchain", "words"),
    [
        ({"packages": {"numpy": "2.0"}}, "numpy 2.0, where the lock has 1.0"),
        ({"contents": {"no_such_plugins": "0"}}, "no_such_plugins, which brings plugins"),
    ],
)
def test_what_the_lock_does_not_bring_is_refused(
    tmp_path: Path, toolchain: dict[str, Any], words: str
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==1.0 \\\n    --hash=sha256:00\n")
    whole = {"packages": {"numpy": "1.0"}, "contents": {}, "image": "sha256:0", **toolchain}
    with pytest.raises(WorkspaceError, match=words):
        packages_beside(lock, whole)


def test_packages_beside_the_lock_are_told(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==1.0\n")
    packages = {"numpy": "1.0", "ipython": "9.0"}
    found = packages_beside(lock, {"packages": packages, "contents": {}, "image": "sha256:0"})
    assert found == ("ipython 9.0",)
