"""`doit plugins` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finnmake.blueprint import tables
from finnmake.blueprint.open_rtl_steps import PARAMETERS
from finnmake.plugins.builtin import BUILTINS
from tests.projects import Project

BACKENDS = ("finn", "brainsmith", "mock", "open_rtl")

OWN = ("layer_balance", "small_weights_in_lutram")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project as it is cloned. Not to be changed."""
    folder = tmp_path_factory.mktemp("plugins")
    return Project.clone(folder / "project", folder / "store")


def listed(project: Project, *arguments: str) -> dict[str, dict[str, object]]:
    found = json.loads(project.succeed("plugins", "--json", *arguments).output)
    assert found["errors"] == []
    return {each["name"]: each for each in found["plugins"]}


def test_the_list_names_plugins_with_source_version_and_docstring(clone: Project) -> None:
    output = clone.succeed("plugins").output
    assert "  small_weights_in_lutram  step                 plugins/lutram.py:12\n" in output
    assert "      Keep weight memories of up to `max_bits` bits in LUTs, so" in output
    assert "\nfinnmake 0.1.0\n" in output
    assert set(listed(clone)) == {*OWN, *BUILTINS, *BACKENDS}
    assert not clone.store.exists()


def test_every_built_in_plugin_is_where_the_table_says_and_says_what_it_does(clone: Project) -> None:
    found = listed(clone)
    for name in BUILTINS:
        assert str(found[name]["source"]).rpartition(":")[2].isdigit(), (
            f"no {name} in {found[name]['source']}"
        )
        assert found[name]["doc"]


def test_a_kind(clone: Project) -> None:
    analyses = {name for name, each in BUILTINS.items() if each.kind == "analysis"}
    assert set(listed(clone, "analysis")) == {"layer_balance", *analyses}


def test_backends(clone: Project) -> None:
    found = listed(clone, "backend")
    assert set(found) == set(BACKENDS)
    assert found["mock"]["target"] == "finnmake.backends.mock"
    assert all(each["doc"] and str(each["source"]).endswith(".py") for each in found.values())


def test_a_backend_says_its_other_names_and_how_far_it_goes(clone: Project) -> None:
    output = clone.succeed("plugins", "backend").output
    assert "      also legacy_finn; up to ESTIMATES, DATAFLOW_GRAPH, RTL, STITCHED_IP, BITFILE\n" in output
    assert "      up to ESTIMATES, DATAFLOW_GRAPH, RTL\n" in output
    full = clone.succeed("plugins", "brainsmith").output
    assert full.startswith("brainsmith\n\n  kind     backend\n"), "it takes no parameters"
    assert "  stages   ESTIMATES, STITCHED_IP, BITFILE\n  also     future_brainsmith\n" in full
    assert listed(clone, "finn")["finn"]["aliases"] == ["legacy_finn"]


def test_docstrings_are_told_to_the_end_of_their_first_sentence(clone: Project) -> None:
    text = " ".join(clone.succeed("plugins").output.split())
    assert "Keep weight memories of up to `max_bits` bits in LUTs, so that" in text and "…" not in text
    found = listed(clone)
    for name in (*OWN, *BUILTINS):
        doc = " ".join(str(found[name]["doc"]).partition("\n\n")[0].split())
        assert doc.partition(". ")[0].rstrip(".") in text, name


def test_all_names_those_of_finn_and_qonnx_too(clone: Project) -> None:
    found = listed(clone, "--all")
    of_tools = {*tables.step_names(), *PARAMETERS, *tables.transform_names()}
    assert set(found) == {*of_tools, *OWN, *BUILTINS, *BACKENDS}
    assert found["InsertTopK"]["package"] == "qonnx"
    assert str(found["step_streamline"]["source"]).startswith("finn.builder.build_dataflow_steps:")
    assert all(each["version"] for name, each in found.items() if name not in OWN)


def test_one_name_in_full(clone: Project) -> None:
    output = clone.succeed("plugins", "InsertTopK").output
    assert output.startswith("InsertTopK(k=5, axis=-1, largest=1, sorted=1)\n")
    assert "  kind     transform\n  from     qonnx " in output
    assert "  target   qonnx.transformation.insert_topk:InsertTopK\n" in output
    assert "Add TopK node at the network output" in output
    assert clone.succeed("plugins", OWN[1]).output.startswith("small_weights_in_lutram(max_bits=4096)\n")


def test_a_pattern(clone: Project) -> None:
    found = listed(clone, "*analysis")
    assert set(found) == {"performance_analysis", "resource_analysis"}
    assert "InferShuffle" in listed(clone, "Infer*")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("InsertTopk",),
            "there is no plugin or backend 'InsertTopk', nor a step or transform of FINN or QONNX",
        ),
        (("InsertTopk",), "Did you mean InsertTopK"),
        (("Nothing*",), "See `doit plugins --all`."),
        (("step", "transform"), "doit plugins: it takes no 'transform'"),
        (("--every",), "doit plugins: option --every not recognized"),
    ],
)
def test_what_is_asked_for_is_not_there(clone: Project, arguments: tuple[str, ...], words: str) -> None:
    run = clone.fail("plugins", *arguments)
    assert run.code == 3
    assert words in run.output


def test_what_is_wrong_with_plugins_is_told(empty_project: Project) -> None:
    empty_project.plugin("broken.py", "def (")
    empty_project.plugin(
        "same.py", "from finnmake.plugins import step\n@step\ndef verify_ops(model, cfg): ..."
    )
    run = empty_project.fail("plugins")
    assert run.code == 1
    assert "plugins/broken.py:1:5: the plugin does not parse" in run.output
    assert "plugins/same.py:3: 'verify_ops' is defined twice, here and at " in run.output
    assert "plugins/balance.py:9" in run.output
    both = empty_project.fail("plugins", "verify_ops").output
    assert "plugins/same.py:3\n" in both and "builtin/mapping.py" in both
    assert "does not parse" not in both


def test_no_blueprint_is_needed(empty_project: Project, tmp_path: Path) -> None:
    for path in (empty_project.root / "blueprints").iterdir():
        path.unlink()
    assert set(listed(empty_project)) == {*OWN, *BUILTINS, *BACKENDS}


def test_a_terminal_without_other_characters(clone: Project) -> None:
    limited = Project(clone.root, clone.store, {"PYTHONIOENCODING": "ascii", "COLUMNS": "60"})
    output = limited.succeed("plugins", "--all").output
    assert output.isascii()
