"""The toolchain identity: what raises it and what does not."""

from __future__ import annotations

import ast
import json
import platform
import sys
from pathlib import Path

import pytest

import finnmake
from finnmake.engine import toolchain
from finnmake.engine.files import FileDigests


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site-packages folder with a few packages, one of them QONNX as an editable installation."""
    folder = tmp_path / "site"
    for name in ("numpy-1.0", "finn_plus-1.6.1", "qonnx-1.0.0", "pytest-9.0", "finnmake-0.1"):
        (folder / f"{name}.dist-info").mkdir(parents=True)
        (folder / f"{name}.dist-info/RECORD").write_text(name)
    sources = tmp_path / "qonnx"
    (sources / "pack").mkdir(parents=True)
    (sources / "pack/a.py").write_text("a = 1")
    origin = {"url": f"file://{sources}", "dir_info": {"editable": True}}
    (folder / "qonnx-1.0.0.dist-info/direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(toolchain, "getsitepackages", lambda: [str(folder)])
    for name in (*toolchain.SWITCHES, *toolchain._PATHS, *toolchain._VIVADO):
        monkeypatch.delenv(name, raising=False)
    return folder


def identity(**options) -> str:
    return whole(**options).digest


def whole(*, contained=False, vivado=False, **options) -> toolchain.Toolchain:
    digests = FileDigests()
    seen = toolchain.variables(contained=contained, vivado=vivado)
    return toolchain.identify(toolchain.installed(digests), digests, variables=seen, **options)


def test_identity_is_stable(site):
    assert identity() == identity()
    parts = whole().parts
    assert parts["packages"] == {"numpy": "1.0", "finn_plus": "1.6.1", "qonnx": "1.0.0"}


def test_editable_source_counts_by_content(site, tmp_path):
    before = identity()
    (tmp_path / "qonnx/pack/__pycache__").mkdir()
    (tmp_path / "qonnx/pack/__pycache__/a.cpython.pyc").write_text("")
    (tmp_path / "qonnx/.git").mkdir()
    (tmp_path / "qonnx/.git/index").write_text("")
    assert identity() == before
    (tmp_path / "qonnx/pack/a.py").write_text("a = 2")
    assert identity() != before


@pytest.mark.parametrize("name", ["numpy-1.0", "finn_plus-1.6.1"])
def test_another_version_counts(site, name):
    before = identity()
    (site / f"{name}.dist-info").rename(site / f"{name}.1.dist-info")
    assert identity() != before


def test_all_folders_of_packages_count(site, tmp_path, monkeypatch):
    """Where those for pure Python and for machine code are two, as on Fedora."""
    other = tmp_path / "lib64"
    folders = [str(other), str(tmp_path / "absent"), str(site)]
    monkeypatch.setattr(toolchain, "getsitepackages", lambda: folders)
    (other / "scipy-1.0.dist-info").mkdir(parents=True)
    (other / "numpy-2.0.dist-info").mkdir()
    found = toolchain.installed(FileDigests())["packages"]
    assert (found["scipy"], found["numpy"]) == ("1.0", "2.0")  # Python takes the first on its path
    assert "qonnx" in found


def test_a_preview_of_python_is_another_one(monkeypatch):
    names = {toolchain._python()}
    for version in ("3.13.0rc1 (main) [GCC]", "3.13.0 (main) [GCC]"):
        monkeypatch.setattr(toolchain.sys, "version", version)
        names.add(toolchain._python())
    assert len(names) == 3


def test_python_is_named_as_platform_names_it():
    implementation, version = platform.python_implementation(), platform.python_version()
    assert toolchain._python() == f"{implementation} {version} {platform.machine()}"


def test_record_of_finn_counts(site):
    before = identity()
    (site / "finn_plus-1.6.1.dist-info/RECORD").write_text("patched")
    assert identity() != before


def test_tools_that_take_no_part_do_not_count(site):
    before = identity()
    (site / "pytest-9.0.dist-info").rename(site / "pytest-9.1.dist-info")
    (site / "finnmake-0.1.dist-info").rename(site / "finnmake-0.2.dist-info")
    assert identity() == before


@pytest.mark.parametrize("name", ["XILINX_VIVADO", "LIVENESS_THRESHOLD", "LD_LIBRARY_PATH"])
def test_variables_count(site, monkeypatch, name):
    before = identity()
    monkeypatch.setenv(name, "x")
    assert identity() != before
    monkeypatch.setenv("SOMETHING_ELSE", "x")
    with_variable = identity()
    monkeypatch.setenv("SOMETHING_ELSE", "y")
    assert identity() == with_variable


def test_paths_of_this_machine_do_not_reach_a_container(site, monkeypatch):
    for name in ("LD_LIBRARY_PATH", "XILINX_VIVADO", "FINN_DEPS", "LIVENESS_THRESHOLD", "HOME"):
        monkeypatch.setenv(name, "/x")
    assert toolchain.variables(contained=True, vivado=False) == {"LIVENESS_THRESHOLD": "/x"}
    assert "XILINX_VIVADO" in toolchain.variables(contained=False, vivado=False)
    assert "XILINX_VIVADO" not in toolchain.variables(contained=False, vivado=True)


def test_another_image_is_another_toolchain(site):
    assert len({identity(), identity(image="sha256:1"), identity(image="sha256:2")}) == 3


def test_tools_count(site):
    tools = ({}, {"version": "2022.2"}, {"version": "2022.2", "tools": ["vivado"]})
    assert len({identity(tools=each) for each in tools}) == 3


def test_sharing_leaves_out_the_image_and_the_patch_release(site, monkeypatch):
    inside = {"share": True, "image": "sha256:1"}
    assert identity(share=True) == identity(**inside) != identity()
    monkeypatch.setattr(toolchain, "_python", lambda: "CPython 3.11.99 x86_64")
    patched = identity(share=True)
    monkeypatch.setattr(toolchain, "_python", lambda: "CPython 3.11.2 x86_64")
    assert identity(**inside) == patched
    monkeypatch.setattr(toolchain, "_python", lambda: "CPython 3.12.2 x86_64")
    assert identity(**inside) != patched


def test_sharing_still_tells_packages_apart(site):
    before = identity(share=True)
    (site / "numpy-1.0.dist-info").rename(site / "numpy-1.1.dist-info")
    assert identity(share=True) != before


def test_every_module_that_counts_is_there():
    package = Path(finnmake.__file__).parent
    assert [name for name in toolchain._INSIDE if not (package / name).exists()] == []


#: What a step's process imports from finnmake, and its results do not come from.
WORDS_AND_NAMES = {
    *("backends/__init__.py", "backends/installed.py", "blueprint/__init__.py", "blueprint/names.py"),
    *("checked.py", "engine/__init__.py", "engine/editable.py", "engine/search.py", "error_patterns.py"),
    *("errors.py", "plugins/entry_points.py", "plugins/locate.py", "records.py"),
    # What a blueprint of Brainsmith's is read with: the worker writes them only.
    *(f"blueprint/{name}.py" for name in ("document", "inherit", "paths", "problems", "reading", "schema")),
}


@pytest.mark.parametrize(
    ("backend", "modules"),
    [
        ("finn", ("finn.py",)),
        ("mock", ("mock.py",)),
        ("brainsmith", ("brainsmith.py",)),
        ("open_rtl", ("open_rtl/__init__.py", "open_rtl/steps.py")),
    ],
)
def test_whatever_a_step_imports_of_finnmake_counts(backend, modules):
    own = toolchain._INSIDE_OF.get(f"finnmake.backends.{backend}", ())
    imported = imports("engine/worker.py", "engine/warm_worker.py", *(f"backends/{name}" for name in modules))
    left = imported - WORDS_AND_NAMES - set(toolchain._INSIDE)
    assert [name for name in left if not name.startswith(own)] == []


def test_every_file_of_a_folder_counts(tmp_path, monkeypatch):
    package = tmp_path / "finnmake"
    (package / "engine").mkdir(parents=True)
    (package / "toys/rtl").mkdir(parents=True)
    (package / "toys/rtl/core.sv").write_text("module core; endmodule")
    monkeypatch.setattr(toolchain, "__file__", str(package / "engine/toolchain.py"))
    monkeypatch.setitem(toolchain._INSIDE_OF, "toys", ("toys/",))
    before = toolchain._inside(FileDigests(), "toys")
    assert toolchain._inside(FileDigests(), "toys") == before
    (package / "toys/rtl/core.sv").write_text("module core(); endmodule")
    assert toolchain._inside(FileDigests(), "toys") != before


def imports(*modules):
    """The modules of finnmake that these import, at the top or in a function, directly or not."""
    package = Path(finnmake.__file__).parent
    found, left = set(), list(modules)
    while left:
        module = left.pop()
        if module in found:
            continue
        found.add(module)
        for node in ast.walk(ast.parse((package / module).read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{each.name}" for each in node.names)]
            for name in names:
                path = package.joinpath(*name.split(".")[1:])
                if name.startswith("finnmake."):
                    files = (path.with_suffix(".py"), path / "__init__.py")
                    left += [each.relative_to(package).as_posix() for each in files if each.is_file()]
    return found


def test_backends_on_the_same_tools_have_identities_of_their_own(site):
    digests = FileDigests()
    tools = whole()
    adapters = ("finnmake.backends.finn", "finnmake.backends.mock", "toy")
    digests_of = {tools.for_backend(adapter, digests).digest for adapter in adapters}
    assert len(digests_of | {tools.digest}) == 4
    parts = tools.for_backend("toy", digests).parts
    assert parts["adapter"]["name"] == "toy" and parts.items() > tools.parts.items()


def test_a_module_of_the_mock_counts_for_the_mock_alone(site, monkeypatch):
    def of(adapter: str) -> str:
        return whole().for_backend(f"finnmake.backends.{adapter}", FileDigests()).digest

    mock, finn = of("mock"), of("finn")
    monkeypatch.setitem(toolchain._INSIDE_OF, "finnmake.backends.mock", ("backends/mock.py",))
    assert of("mock") != mock and of("finn") == finn


@pytest.fixture
def plugged(site):
    """A package with a plugin, as pip leaves it; gives its metadata folder."""
    (site / "lab/data").mkdir(parents=True)
    (site / "lab/__init__.py").write_text("a = 1")
    (site / "single.py").write_text("b = 1")
    info = site / "lab-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[finnmake.plugins]\nlab = lab\n")
    files = ("lab/__init__.py", "single.py", "../../../bin/lab", "lab-1.0.dist-info/METADATA")
    (info / "RECORD").write_text("".join(f"{name},sha256=x,1\n" for name in files))
    return info


@pytest.mark.parametrize("name", ["lab/__init__.py", "single.py", "lab/data/new.json", "lab/more.py"])
def test_a_package_with_plugins_counts_by_what_its_files_are_now(site, plugged, name):
    before = identity()
    (site / "lab/__pycache__").mkdir()
    (site / "lab/__pycache__/a.cpython.pyc").write_text("")
    assert identity() == before
    (site / name).write_text("c = 2")
    assert identity() != before


@pytest.mark.parametrize("kind", ["dist-info", "no list", "egg-info"])
def test_a_package_with_plugins_counts_wherever_it_is_found(site, tmp_path, monkeypatch, kind):
    """In any folder on the search path, however its installer has left it."""
    elsewhere = tmp_path / "elsewhere"
    info = elsewhere / ("lab.egg-info" if kind == "egg-info" else "lab-1.0.dist-info")
    info.mkdir(parents=True)
    (elsewhere / "lab.py").write_text("a = 1")
    (info / "entry_points.txt").write_text("[finnmake.plugins]\nlab = lab:thing\n")
    if kind == "dist-info":
        (info / "RECORD").write_text("lab.py,,\n")
    if kind == "egg-info":
        monkeypatch.setattr(toolchain.sys, "prefix", str(tmp_path))  # elsewhere the trace sees it
    before = identity()
    monkeypatch.setattr(sys, "path", [*sys.path, str(elsewhere)])
    found = identity()
    assert found != before
    (elsewhere / "lab.py").write_text("a = 2")
    assert identity() not in (before, found)


def test_of_two_packages_of_a_name_the_first_on_the_path_counts(site, plugged, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    (hidden / "lab-2.0.dist-info").mkdir(parents=True)
    (hidden / "lab-2.0.dist-info/entry_points.txt").write_text("[finnmake.plugins]\nlab = lab\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    before = identity()
    monkeypatch.setattr(sys, "path", [*sys.path, str(hidden)])
    assert identity() == before


def test_a_package_without_plugins_counts_by_version(site, plugged):
    (plugged / "entry_points.txt").write_text("[console_scripts]\nlab = lab:main\n")
    before = identity()
    (site / "lab/__init__.py").write_text("a = 2")
    assert identity() == before


def test_an_editable_package_with_plugins_is_left_to_the_trace(tmp_path, plugged, monkeypatch):
    source = tmp_path / "a lab"
    source.mkdir()
    (source / "lab.py").write_text("a = 1")
    origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (plugged / "direct_url.json").write_text(json.dumps(origin))

    def counts(text: str) -> bool:
        before = identity()
        (source / "lab.py").write_text(text)
        return identity() != before

    assert not counts("a = 2")
    monkeypatch.setattr(toolchain.sys, "prefix", str(tmp_path))  # where the trace sees nothing
    assert counts("a = 3")


def test_an_adapter_of_a_package_counts_by_its_sources(site, tmp_path):
    (tmp_path / "lab").mkdir()
    module = tmp_path / "lab/adapter.py"
    module.write_text("a = 1")

    def of(sources: Path) -> str:
        return whole().for_backend("lab.adapter", FileDigests(), {"adapter": sources}).digest

    before = of(tmp_path / "lab"), of(module)
    module.write_text("a = 2")
    assert not {of(tmp_path / "lab"), of(module)} & set(before)
    assert len({*before, whole().for_backend("lab.adapter", FileDigests()).digest}) == 3


def test_same_package_in_another_environment_is_the_same(tmp_path):
    sources = ["finn/util.py,sha256=abc,10", "finn/core.py,sha256=def,20"]
    for name, place in (("one", "aaa"), ("two", "bbb")):
        scripts = [
            f"../../../bin/finn,sha256={place},200",
            f"finn_plus-1.dist-info/direct_url.json,sha256={place},9",
        ]
        compiled = [f"finn/__pycache__/util.{place}.pyc,,"]
        (tmp_path / name).write_text("\n".join([*scripts, *sources, *compiled]))
    (tmp_path / "other").write_text("\n".join([sources[0], "finn/core.py,sha256=eee,20"]))
    one, two, other = (toolchain._digest_record(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two != other


def test_sources_behind_links_count(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.h").write_text("1")
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps/hlslib").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "deps/back").symlink_to(tmp_path / "deps")
    before = toolchain.digest_sources(tmp_path / "deps", FileDigests())
    (tmp_path / "elsewhere/a.h").write_text("2")
    assert toolchain.digest_sources(tmp_path / "deps", FileDigests()) != before
