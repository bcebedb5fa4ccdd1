"""The settings in pyproject.toml: what they mean, and that a wrong one is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.errors import WorkspaceError
from finnmake.settings import BASE, ContainerSettings, Settings, read_settings, read_size


def read(folder: Path, text: str) -> Settings:
    (folder / "pyproject.toml").write_text(text)
    return read_settings(folder)


def test_without_a_file_everything_has_its_default(tmp_path):
    assert read_settings(tmp_path) == Settings()
    assert read(tmp_path, "") == Settings()
    assert Settings().container.base == BASE


def test_everything_can_be_set(tmp_path):
    settings = read(
        tmp_path,
        """
        [tool.finnmake]
        blueprint = "blueprints/x.yaml"
        runtime = "container"
        variables = ["SHARED", "BASE_DIR", "SHARED"]
        [tool.finnmake.toolchain]
        share = true
        vivado = { path = "/opt/Xilinx/Vivado/2022.2", version = "2022.2" }
        licence = "2100@server"
        deps = "/opt/deps"
        [tool.finnmake.container]
        base = "python:3.11"
        packages = ["git", "vim=2:9", "git"]
        memory = "1.5g"
        cpus = 2
        pids = 64
        tmp = "512m"
        network = "bridge"
        mounts = ["/data"]
        """,
    )
    assert (settings.blueprint, settings.runtime) == ("blueprints/x.yaml", "container")
    assert settings.variables == ("BASE_DIR", "SHARED")
    assert settings.toolchain.vivado is not None
    assert settings.toolchain.vivado.path == Path("/opt/Xilinx/Vivado/2022.2")
    assert (settings.toolchain.share, settings.toolchain.deps) == (True, Path("/opt/deps"))
    assert settings.container == ContainerSettings(
        "python:3.11", ("git", "vim=2:9"), 1536 << 20, 2.0, 64, 512 << 20, "bridge", (Path("/data"),)
    )


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('[tool.finnmake]\nruntime = "contain"', "2: tool.finnmake.runtime", "auto, local, container"),
        ('[tool.finnmake]\n\nrun_time = "local"', "3: tool.finnmake.run_time", "Did you mean 'runtime'?"),
        ("[tool.finnmake]\nblueprint = 3", "2: tool.finnmake.blueprint", "quotation marks"),
        ('[tool.finnmake]\nvariables = "HOME"', "2: tool.finnmake.variables", "square brackets"),
        ('[tool.finnmake]\nvariables = ["HOME", 3]', "2: tool.finnmake.variables", "quotation marks"),
        ('[tool.finnmake]\nvariables = ["${HOME}"]', "2: tool.finnmake.variables", "without '$'"),
        ('[tool.finnmake]\nvariables = ["2ND"]', "2: tool.finnmake.variables", "name of a variable"),
        ("[tool.finnmake.toolchain]\nshare = 1", "2: tool.finnmake.toolchain.share", "true or false"),
        (
            '[tool.finnmake.toolchain]\nvivado = { path = "/x", version = "2019.1" }',
            "2: tool.finnmake.toolchain.vivado.version",
            "2022.2",
        ),
        (
            '[tool.finnmake.toolchain]\nvivado = { path = "/x" }',
            "2: tool.finnmake.toolchain.vivado",
            "'version' is missing",
        ),
        (
            '[tool.finnmake.toolchain.vivado]\npath = "x"\nversion = "2022.2"',
            "2: tool.finnmake.toolchain.vivado.path",
            "not an absolute path",
        ),
        ("[tool.finnmake.toolchain]\nvivado = 3", "2: tool.finnmake.toolchain.vivado", "must be a table"),
        ('[tool.finnmake.toolchain]\nlicence = "x.lic"', "2: tool.finnmake.toolchain.licence", "port@host"),
        ('[tool.finnmake.container]\nmemory = "1m"', "2: tool.finnmake.container.memory", "512m at least"),
        ('[tool.finnmake.container]\nbase = ""', "2: tool.finnmake.container.base", "is empty"),
        ('[tool.finnmake.container]\nmemory = "8 gigs"', "2: tool.finnmake.container.memory", '"8g"'),
        ("[tool.finnmake.container]\nmemory = 8", "2: tool.finnmake.container.memory", '"8g"'),
        ("[tool.finnmake.container]\ncpus = 0", "2: tool.finnmake.container.cpus", "positive"),
        ("[tool.finnmake.container]\npids = 3", "2: tool.finnmake.container.pids", "from 32 on"),
        ('[tool.finnmake.container]\nmounts = "/x"', "2: tool.finnmake.container.mounts", "square brackets"),
        ('[tool.finnmake.container]\nmounts = ["x"]', "2: tool.finnmake.container.mounts", "slash"),
        ('[tool.finnmake.container]\npackages = ["$(x)"]', "2: tool.finnmake.container.packages", "Debian"),
        ('[tool.finnmake.container]\nbase = "a b"', "2: tool.finnmake.container.base", "name of an image"),
    ],
)
def test_wrong_setting_is_named_with_its_line_and_a_cure(tmp_path, text, place, words):
    with pytest.raises(WorkspaceError) as caught:
        read(tmp_path, f"{text}\n[tool.other]\nx = 1\n")
    said = str(caught.value)
    assert f"pyproject.toml:{place}" in said
    assert words in said
    assert "\n  -> " in said


def test_broken_toml_is_an_error_in_words(tmp_path):
    with pytest.raises(WorkspaceError, match="not a TOML file"):
        read(tmp_path, "[tool.finnmake\n")


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "m", "g", "t"]), st.sampled_from(["", "b", "iB"]))
def test_sizes(number, unit, suffix):
    assert read_size(f"{number}{unit}{suffix}") == number * 1024 ** " kmgt".index(unit or " ")


@pytest.mark.parametrize("text", ["", "g", "-1g", "1x", "1 2", "1e3"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError):
        read_size(text)
