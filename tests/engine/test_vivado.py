"""Vivado: found or refused in words, asked for its version once, never taken for another release."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from finnmake.engine import vivado
from finnmake.engine.vivado import Installation
from finnmake.errors import ToolError
from finnmake.settings import ToolchainSettings, VivadoSettings
from tests import fake_vivado
from tests.waiting import ends

VERSIONS = {
    "vivado": "v2022.2 (64-bit) SW Build 3671981",
    "vitis_hls": "v2022.2 (64-bit) SW Build 3671979",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return fake_vivado.make(tmp_path / "Xilinx")


def find(path: Path, version: str = "2022.2", licence: str = "none", **environ: str) -> Installation:
    settings = ToolchainSettings(vivado=VivadoSettings(path, version), licence=licence)
    found = vivado.find(settings, environ)
    assert found is not None
    return found


def refused(path: Path, **options: str) -> str:
    with pytest.raises(ToolError) as caught:
        find(path, **options)
    assert caught.value.cure
    return str(caught.value)


def not_to_be_asked(command: Sequence[str]) -> str:
    raise AssertionError(command)


# what is there


def test_no_vivado_is_none():
    assert vivado.find(ToolchainSettings(), {}) is None


def test_tree_is_found_with_what_lies_beside_it(tree, tmp_path):
    found = find(tree)
    assert found.folders == (tree, tmp_path / "Xilinx/Vitis_HLS/2022.2")
    assert set(found.tools) == {"vivado", "xelab", "xvlog", "vitis_hls"}
    assert found.tools["vitis_hls"] == tmp_path / "Xilinx/Vitis_HLS/2022.2/bin/vitis_hls"
    assert fake_vivado.calls(tree) == []


def test_release_without_a_folder_for_hls(tmp_path):
    """As from 2024.2 on: Vitis holds what Vitis_HLS held."""
    tree = fake_vivado.make(tmp_path, "2024.2", hls=False)
    fake_vivado.write_script(tmp_path / "Vitis/2024.2/bin/vitis_hls", "#!/bin/sh\n")
    (tmp_path / "Vitis/2023.2").mkdir()
    found = find(tree, "2024.2")
    assert found.folders == (tree, tmp_path / "Vitis/2024.2")
    assert found.tools["vitis_hls"] == tmp_path / "Vitis/2024.2/bin/vitis_hls"


def test_both_names_of_a_linked_tree_are_needed(tree, tmp_path):
    """The scripts inside name the folder that they were installed in."""
    (tmp_path / "link").symlink_to(tmp_path / "Xilinx")
    folders = find(tmp_path / "link/Vivado/2022.2").folders
    assert set(folders) == {
        Path(root, name, "2022.2")
        for root in (tmp_path / "link", tmp_path / "Xilinx")
        for name in ("Vivado", "Vitis_HLS")
    }


def test_missing_folder(tmp_path):
    said = refused(tmp_path / "Vivado/2022.2")
    assert "there is no folder" in said
    assert "tool.finnmake.toolchain.vivado.path" in said


@pytest.mark.parametrize("missing", ["bin/vivado", "settings64.sh"])
def test_folder_that_is_no_vivado(tree, missing):
    (tree / missing).unlink()
    assert f"it has no {missing}" in refused(tree)


@pytest.mark.parametrize("above", [1, 2])
def test_folder_above_leads_to_the_right_one(tree, above):
    assert f'path = "{tree}"' in refused(tree.parents[above - 1])


# licences


def test_licence_file(tree, tmp_path):
    file = tmp_path / "Xilinx.lic"
    assert str(file) in refused(tree, licence=str(file))
    file.write_text("")
    found = find(tree, licence=str(file), LM_LICENSE_FILE="2100@other")
    assert found.environment == {"XILINXD_LICENSE_FILE": str(file)}
    assert found.licence_files == (file,)
    assert not found.needs_network


def test_no_licence(tree):
    said = refused(tree, licence="", LM_LICENSE_FILE=" : ")
    for word in ("tool.finnmake.toolchain.licence", "XILINXD_LICENSE_FILE", "LM_LICENSE_FILE", '"none"'):
        assert word in said


def test_device_without_licence_needs_none(tree):
    found = find(tree, licence="none", XILINXD_LICENSE_FILE="2100@server")
    assert (found.environment, found.licence_files, found.needs_network) == ({}, (), False)


def test_several_entries(tree, tmp_path):
    """A stale entry is passed over, as the licence client does; folders stand for their *.lic files."""
    (tmp_path / "a.lic").write_text("")
    folder = tmp_path / "licences"
    folder.mkdir()
    for name in ("z.lic", "b.lic", "readme"):
        (folder / name).write_text("")
    (tmp_path / "empty").mkdir()
    entries = [tmp_path / "a.lic", tmp_path / "gone.lic", folder, tmp_path / "empty", "2100@one,2100@two"]
    found = find(
        tree,
        licence="",
        XILINXD_LICENSE_FILE=";".join(map(str, entries)),
        LM_LICENSE_FILE=f"{tmp_path}/gone.lic:{tmp_path}/a.lic",
    )
    assert found.environment == {
        "XILINXD_LICENSE_FILE": f"{tmp_path}/a.lic:{folder}:2100@one,2100@two",
        "LM_LICENSE_FILE": f"{tmp_path}/a.lic",
    }
    assert found.licence_files == (tmp_path / "a.lic", folder / "b.lic", folder / "z.lic")
    assert not found.needs_network


def test_only_stale_entries(tree, tmp_path):
    said = refused(tree, licence="", LM_LICENSE_FILE=f"{tmp_path}/gone.lic:{tmp_path}")
    assert f"{tmp_path}/gone.lic, {tmp_path}" in said
    assert "LM_LICENSE_FILE" in said


def test_unreadable_licence(tree, tmp_path, monkeypatch):
    file = tmp_path / "Xilinx.lic"
    file.write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "rights" in refused(tree, licence=str(file))


def test_at_sign_in_a_path_is_no_server(tree, tmp_path):
    folder = tmp_path / "me@work"
    folder.mkdir()
    (folder / "a.lic").write_text("")
    assert find(tree, licence=f"{folder}/a.lic").licence_files == (folder / "a.lic",)


def test_server_needs_a_network(tree):
    found = find(tree, licence="2100@server")
    vivado.check_network(found, "bridge")
    with pytest.raises(ToolError, match="2100@server") as caught:
        vivado.check_network(found, "none")
    assert 'network = "bridge"' in caught.value.cure


# versions


def test_versions_are_asked_once(tree, tmp_path):
    found = find(tree)
    assert vivado.versions(found, vivado.ask, tmp_path / "cache") == VERSIONS
    assert len(fake_vivado.calls(tree)) == 2
    assert vivado.versions(found, not_to_be_asked, tmp_path / "cache") == VERSIONS


@pytest.mark.parametrize(
    "changed", ["bin/vivado", "bin/xelab", "settings64.sh", "bin/unwrapped/lnx64.o/vivado"]
)
def test_changed_tree_is_asked_again(tree, tmp_path, changed):
    path = tree / changed
    path.parent.mkdir(parents=True, exist_ok=True)
    found = find(tree)
    vivado.versions(found, vivado.ask, tmp_path / "cache")
    with path.open("a") as stream:
        stream.write("\n# updated\n")
    vivado.versions(found, vivado.ask, tmp_path / "cache")
    assert len(fake_vivado.calls(tree)) == 4


@pytest.mark.parametrize("content", ["", "[]", '{"vivado": "v2022.2"}', '{"vivado": 1, "vitis_hls": 2}'])
def test_broken_cache_is_written_anew(tree, tmp_path, content):
    cache = tmp_path / "cache"
    vivado.versions(find(tree), vivado.ask, cache)
    (file,) = cache.iterdir()
    file.write_text(content)
    assert vivado.versions(find(tree), vivado.ask, cache) == VERSIONS
    assert json.loads(file.read_text()) == VERSIONS
    assert list(cache.iterdir()) == [file]


def test_cache_that_cannot_be_written(tree, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert vivado.versions(find(tree), vivado.ask, tmp_path / "cache") == VERSIONS


@pytest.mark.parametrize("runs", [1, 2])
def test_tree_that_lies(tmp_path, runs):
    """Also when the answer comes from the cache."""
    tree = fake_vivado.make(tmp_path, says="2023.2")
    for _ in range(runs):
        with pytest.raises(ToolError) as caught:
            vivado.versions(find(tree), vivado.ask, tmp_path / "cache")
    said = str(caught.value)
    assert "is v2023.2 (64-bit) SW Build 4029153, and 2022.2 is pinned" in said
    assert 'version = "2023.2"' in said
    assert len(fake_vivado.calls(tree)) == 2


def test_hls_of_another_release(tmp_path):
    tree = fake_vivado.make(tmp_path)
    version = tmp_path / "Vitis_HLS/2022.2/bin/vitis_hls.version"
    version.write_text(version.read_text().replace("2022.2", "2022.1"))
    with pytest.raises(ToolError, match=r"vitis_hls is v2022\.1"):
        vivado.versions(find(tree), vivado.ask, tmp_path / "cache")


@pytest.mark.parametrize("banner", ["v2022.2.1 (64-bit)", "v2022.2_AR000034 (64-bit)"])
def test_update_of_the_release_is_that_release(tmp_path, banner):
    tree = fake_vivado.make(tmp_path, hls=False)
    version = tree / "bin/vivado.version"
    version.write_text(version.read_text().replace("v2022.2 (64-bit)", banner))
    found = vivado.versions(find(tree), vivado.ask, tmp_path / "cache")
    assert found == {"vivado": f"{banner} SW Build 3671981"}


def failing(tree: Path, script: str) -> str:
    fake_vivado.write_script(tree / "bin/vivado", f"#!/bin/bash\n{script}\n")
    with pytest.raises(ToolError) as caught:
        vivado.versions(find(tree), lambda command: vivado.ask(command, seconds=2), tree / "cache")
    assert not (tree / "cache").exists()
    return str(caught.value)


def test_tool_that_fails(tree):
    said = failing(tree, "echo first; echo 'error: libtinfo.so.5: cannot open' >&2; exit 127")
    assert "exit code 127" in said
    assert "libtinfo.so.5: cannot open" in said


def test_tool_that_hangs_is_ended_with_all_it_started(tree):
    said = failing(tree, "echo starting; sleep 60 & echo $! > $(dirname $0)/pid; wait")
    assert "no answer within" in said
    assert "starting" in said
    ends(int((tree / "bin/pid").read_text()))


def test_tool_that_says_something_else(tree):
    assert "(no version in its output): hello" in failing(tree, "echo hello")


def test_tool_that_cannot_be_run(tree):
    (tree / "bin/vivado").write_text("#!/no/such/interpreter\n")
    with pytest.raises(ToolError, match="does not work"):
        vivado.versions(find(tree), vivado.ask, tree / "cache")


# identity and environment


def test_identity_does_not_name_the_place(tmp_path):
    one, two = (find(fake_vivado.make(tmp_path / name)) for name in ("one", "two"))
    assert vivado.identity(one, VERSIONS) == vivado.identity(two, VERSIONS)
    assert str(tmp_path) not in json.dumps(vivado.identity(one, VERSIONS))


def test_identity_knows_build_and_tools(tmp_path):
    whole = find(fake_vivado.make(tmp_path / "whole"))
    lean = find(fake_vivado.make(tmp_path / "lean", hls=False))
    other = {**VERSIONS, "vivado": "v2022.2.1 (64-bit) SW Build 3719031"}
    identities = [
        vivado.identity(whole, VERSIONS),
        vivado.identity(whole, other),
        vivado.identity(lean, VERSIONS),
    ]
    assert len({json.dumps(each) for each in identities}) == 3


def test_command_runs_with_the_tools(tmp_path):
    """Also where the environment tells shells to stop at what is not set or not there."""
    tree = fake_vivado.make(tmp_path)
    found = find(tree)
    command = ["sh", "-c", 'command -v vivado; command -v vitis_hls; echo "$XILINX_VIVADO,$XILINX_HLS,$1"']
    done = subprocess.run(
        vivado.wrap(found, [*command, "sh", "a  b'c"]),
        env={"PATH": os.environ["PATH"], "SHELLOPTS": "nounset:errexit"},
        capture_output=True,
        text=True,
        check=True,
    )
    hls = tmp_path / "Vitis_HLS/2022.2"
    lines = [f"{tree}/bin/vivado", f"{hls}/bin/vitis_hls", f"{tree},{hls},a  b'c"]
    assert done.stdout.splitlines() == lines
    assert done.stderr == ""


def test_command_keeps_its_exit_code(tree):
    assert subprocess.run(vivado.wrap(find(tree), ["sh", "-c", "exit 7"]), check=False).returncode == 7
