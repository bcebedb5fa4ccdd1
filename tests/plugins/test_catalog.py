"""The registry: plugins of the project and of installed packages, duplicates, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnmake.errors import BlueprintError, PluginError
from finnmake.plugins.builtin import BUILTINS
from finnmake.plugins.catalog import PluginCatalog
from finnmake.tasks.names import Names
from tests.plugins.third_party import put

STEP = "from finnmake.plugins import step\n\n\n@step\ndef {}(model, cfg): ...\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, found before all others."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """The plugins of a project."""
    folder = tmp_path / "project/plugins"
    folder.mkdir(parents=True)
    return folder


def names(plugins: Path) -> Names:
    return Names(PluginCatalog(plugins))


def test_plugins_of_a_package_are_found(site: Path, plugins: Path) -> None:
    modules = {"greenlab__plugins": STEP.format("cool"), "greenlab____init__": "raise SystemExit"}
    put(site, "green-lab", "1.2", {"any": "greenlab.plugins"}, **modules)
    catalog = PluginCatalog(plugins)
    plugin = catalog.get("cool")
    assert plugin is not None
    assert plugin.target == "greenlab.plugins:cool" == names(plugins).find("step", "cool")
    assert (plugin.origin, plugin.package, plugin.version) == ("installed", "green-lab", "1.2")
    assert catalog.source("cool") == site / "greenlab/plugins.py"
    assert catalog.errors() == []


def test_an_entry_point_may_name_one_attribute(site: Path, plugins: Path) -> None:
    put(site, "lab", "1", {"a": "lab_one:first"}, lab_one=STEP.format("first") + STEP.format("second"))
    assert set(PluginCatalog(plugins).names("step")) == {"first"}


def test_one_module_by_two_entry_points_is_no_duplicate(site: Path, plugins: Path) -> None:
    put(site, "lab", "1", {"a": "lab_two", "b": "lab_two:only"}, lab_two=STEP.format("only"))
    assert names(plugins).find("step", "only") == "lab_two:only"


def test_plugins_by_kind_and_stage(plugins: Path) -> None:
    catalog = PluginCatalog(plugins)
    found = {each.name for each in catalog.plugins("transform", "pre_proc")}
    assert found == {name for name, each in BUILTINS.items() if each.kind == "transform"}
    assert catalog.plugins("transform", "post_proc") == []


def test_two_files_of_the_project_with_one_name(plugins: Path) -> None:
    for file in ("one", "two"):
        (plugins / f"{file}.py").write_text(STEP.format("same"))
    words = r"plugins/one\.py:5: 'same' is defined twice, here and at plugins/two\.py:5\n  -> Rename one of"
    with pytest.raises(PluginError, match=words):
        names(plugins).find("step", "step_tidy_up")  # whatever is asked for


def test_a_plugin_with_the_name_of_a_built_in_one(plugins: Path) -> None:
    (plugins / "own.py").write_text(STEP.format("roofline"))
    words = (
        r"plugins/own\.py:5: 'roofline' is defined twice, here and at \S+builtin/roofline\.py \(built in\)"
    )
    with pytest.raises(PluginError, match=words):
        names(plugins).find("step", "step_tidy_up")


def test_a_plugin_with_the_name_of_an_installed_one(site: Path, plugins: Path) -> None:
    put(site, "lab", "1.0", {"a": "lab_three"}, lab_three=STEP.format("same"))
    (plugins / "own.py").write_text(STEP.format("same"))
    words = r"own\.py:5: 'same' is defined twice, here and at \S+lab_three\.py:5 \(lab 1\.0\)\n  -> Rename"
    with pytest.raises(PluginError, match=words):
        names(plugins).find("step", "same")


def test_two_packages_with_one_name_matter_to_who_uses_it(site: Path, plugins: Path) -> None:
    put(site, "lab", "1.0", {"a": "lab_four"}, lab_four=STEP.format("same"))
    put(site, "other", "2.0", {"a": "lab_five"}, lab_five=STEP.format("same"))
    known = names(plugins)
    assert known.find("step", "step_tidy_up")
    words = r"lab_four\.py:5: 'same' is defined twice, here and at \S+five\.py:5 \(other 2\.0\)\n  -> Unins"
    with pytest.raises(PluginError, match=words):
        known.find("step", "same")
    assert len(known.plugins.errors()) == 1


def test_a_plugin_with_the_name_of_finns(plugins: Path) -> None:
    (plugins / "own.py").write_text(STEP.format("step_tidy_up"))
    words = (
        r"own\.py:5: the plugin 'step_tidy_up' has the name of finn\.builder\.build_dataflow_steps:step_tidy"
    )
    with pytest.raises(PluginError, match=words):
        names(plugins).find("step", "step_tidy_up")


def test_a_plugin_in_the_place_of_another_kind(plugins: Path) -> None:
    (plugins / "own.py").write_text(STEP.format("mine"))
    with pytest.raises(
        BlueprintError, match=r"'mine' is no analysis: plugins/own\.py:5 defines it as a step"
    ):
        names(plugins).find("analysis", "mine")


@pytest.mark.parametrize("stem", ["json", "qonnx", "pytest", "lab_six"])
def test_a_file_with_the_name_of_an_installed_module(site: Path, plugins: Path, stem: str) -> None:
    put(site, "lab", "1.0", {"a": "lab_six"}, lab_six=STEP.format("theirs"))
    (plugins / f"{stem}.py").write_text(STEP.format("mine"))
    with pytest.raises(PluginError, match=f"a plugin file must not be called '{stem}'"):
        names(plugins).find("step", "mine")


BROKEN = {
    "no module": ({"a": "nowhere.plugins"}, "", "there is no module 'nowhere.plugins'"),
    "no name of a module": ({"a": "lab plugins"}, "", "there is no module 'lab plugins'"),
    "does not parse": ({"a": "lab_broken"}, "def (", "a plugin of the package lab 1.0 does not parse"),
    "not text": ({"a": "lab_broken"}, "\0", "a plugin of the package lab 1.0"),
    "no plugins": ({"a": "lab_broken"}, "x = 1", "no function or class in"),
    "no such plugin": ({"a": "lab_broken:b"}, STEP.format("c"), "'b' in"),
    "no stage": (
        {"a": "lab_broken"},
        "from finnmake.plugins import transform\n@transform\nclass T: ...",
        "the transform 'T' of the package lab 1.0 does not say the stage",
    ),
}


@pytest.mark.parametrize(("entries", "text", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_named_when_a_name_is_missing(
    site: Path, plugins: Path, entries: dict[str, str], text: str, words: str
) -> None:
    put(site, "lab", "1.0", entries, lab_broken=text)
    known = names(plugins)
    assert known.find("step", "step_tidy_up")
    with pytest.raises(PluginError) as caught:
        known.find("step", "step_tidi_up")
    error = str(caught.value)
    assert words in error and "lab 1.0" in error
    assert "The blueprint's step 'step_tidi_up' is found nowhere else. Did you mean step_tidy_up" in error
    assert len(known.plugins.errors()) == 1


def test_the_broken_file_of_a_project_is_named_when_a_name_is_missing(plugins: Path) -> None:
    (plugins / "own.py").write_text("def (")
    assert names(plugins).find("transform", "InsertTopK")
    with pytest.raises(PluginError, match=r"plugins/own\.py:1:5: the plugin does not parse"):
        names(plugins).find("transform", "Missing")


def test_what_steps_cannot_see_brings_nothing(
    site: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finnmake.engine import search

    put(site, "lab", "1.0", {"a": "lab_seven"}, lab_seven=STEP.format("theirs"))
    monkeypatch.setattr(search, "_UNSEEN", {str(site)})  # as it is for a folder of PYTHONPATH
    assert names(plugins).find("step", "theirs") is None


RESERVED = "from finnmake.plugins import analysis\n\n\n@analysis\ndef warnings(build):\n    return {}\n"


def test_an_analysis_named_as_a_file_of_finnmake_is_refused(site: Path, plugins: Path) -> None:
    put(site, "lab", "1", {"a": "lab_warns"}, lab_warns=RESERVED)
    (error,) = PluginCatalog(plugins).errors()
    assert "an analysis of the package lab must not be called 'warnings'" in str(error)
    (plugins / "mine.py").write_text(RESERVED)
    with pytest.raises(PluginError, match=r"plugins/mine\.py:5: an analysis must not be called 'warnings'"):
        names(plugins).find("analysis", "anything")
