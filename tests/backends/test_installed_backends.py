"""What the results of an installed package's backend hang on: all that the package holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from finnmake.backends import find_backend
from finnmake.backends.installed import adapter_sources
from finnmake.engine.files import FileDigests
from finnmake.engine.toolchain import Toolchain
from finnmake.errors import WorkspaceError

BACKEND = """\
from finnmake.backends import Backend
from finnmake.records import OutputStage

BACKEND = Backend("{name}", "{adapter}", False, (OutputStage.ESTIMATES,))
"""


def put(site: Path, name: str, adapter: str, modules: Mapping[str, str], sources: Path | None = None) -> Path:
    """Put a package into a folder of installed ones; with `sources` it is editable, and they lie there."""
    top = adapter.partition(".")[0]
    texts = {f"{name}_backend.py": BACKEND.format(name=name, adapter=adapter), **modules}
    for file, text in texts.items():
        path = (sources or site) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[finnmake.backends]\n{name} = {name}_backend:BACKEND\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in texts) + f"../../bin/{top},,\n")
    if sources is not None:
        origin = {"url": sources.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))
    return info


def identity(name: str) -> str:
    backend = find_backend(name)
    return Toolchain({}, "").for_backend(backend.adapter, FileDigests(), adapter_sources(backend)).digest


@pytest.mark.parametrize("editable", [False, True])
@pytest.mark.parametrize("edited", ["adapter.py", "model.py", "space/rules.py"])
def test_every_module_of_the_package_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editable: bool, edited: str
) -> None:
    """Its adapter imports another top-level package of it, and one of a namespace."""
    name = f"lab{int(editable)}{len(edited)}"
    site, project = tmp_path / "site", tmp_path / "project"
    modules = {
        f"{name}_adapter/__init__.py": "",
        f"{name}_adapter/adapter.py": f"import {name}_model.model\n",
        f"{name}_model/__init__.py": "",
        f"{name}_model/model.py": "a = 1\n",
        f"{name}_name/space/rules.py": "a = 1\n",
    }
    sources = project if editable else None
    put(site, name, f"{name}_adapter.adapter", modules, sources)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site), str(project)])
    before = identity(name)
    assert identity(name) == before
    (path,) = [path for path in (sources or site).rglob("*.py") if path.as_posix().endswith(edited)]
    path.write_text("a = 2\n")
    assert identity(name) != before


def test_an_adapter_in_a_namespace_counts_with_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"names/lab/adapter.py": "from names.lab import rules\n", "names/lab/rules.py": "a = 1\n"}
    put(tmp_path, "labspace", "names.lab.adapter", modules)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = identity("labspace")
    (tmp_path / "names/lab/rules.py").write_text("a = 2\n")
    assert identity("labspace") != before


def test_an_environment_beside_the_sources_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    put(site, "labenv", "labenv_adapter", {"labenv_adapter.py": ""}, project)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site), str(project)])
    before = identity("labenv")
    (project / "env/lib").mkdir(parents=True)
    (project / "env/pyvenv.cfg").write_text("")
    (project / "env/lib/other.py").write_text("")
    assert identity("labenv") == before


def test_another_editable_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter may import it when the worker starts, which no trace tells."""
    site, project = tmp_path / "site", tmp_path / "project"
    put(site, "labuser", "labuser_adapter", {"labuser_adapter.py": "import labhelp_rules\n"})
    info = put(site, "labhelp", "labhelp_rules", {"labhelp_rules.py": "a = 1\n"}, project)
    (info / "entry_points.txt").unlink()
    monkeypatch.setattr(sys, "path", [*sys.path, str(site), str(project)])
    before = identity("labuser")
    assert identity("labuser") == before
    (project / "labhelp_rules.py").write_text("a = 2\n")
    assert identity("labuser") != before


@pytest.mark.parametrize(
    "record", [b"", b"{", b"[]", b"\xff", b'{"dir_info": 1}', b'{"dir_info": {"editable": true}}']
)
def test_a_package_with_a_broken_record_of_its_origin_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: bytes
) -> None:
    """Whether its code counts cannot be told."""
    put(tmp_path, "labfine", "labfine_adapter", {"labfine_adapter.py": "a = 1\n"})
    info = put(tmp_path, "labbroken", "labbroken_adapter", {"labbroken_adapter.py": "a = 1\n"})
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (info / "direct_url.json").write_bytes(record)
    with pytest.raises(WorkspaceError, match="labbroken") as raised:
        identity("labfine")
    assert raised.value.where.path == tmp_path
    assert "Install labbroken again" in raised.value.cure
