"""`doit tree`, `doit graph` and `doit space` as a user runs them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project, contents

COMMANDS = ("tree", "graph", "space")

#: A fork below four shared steps, and a field that is an axis: four configurations.
FORKED = {
    "config": {
        "fpga_part": "xc7z020clg400-1",
        "synth_clk_period_ns": [5.0, 10.0],
        "target_fps": 10000,
    },
    "steps": [
        "step_qonnx_to_finn",
        "step_tidy_up",
        "step_streamline",
        ["step_convert_to_hw", "~"],
        "step_minimize_bit_width_initial",
    ],
}

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the blueprint `FORKED`. Not to be changed."""
    folder = tmp_path_factory.mktemp("forked")
    project = Project.clone(folder / "project", folder / "store")
    project.blueprint(**FORKED)
    return project


def test_the_tree_is_drawn(forked: Project) -> None:
    output = forked.succeed("tree").output
    assert output.startswith("models/digits_mlp_w2a2.onnx\n└── ")
    assert "├── " in output
    assert "config_001, config_003" in output
    assert "4 configurations, 3 segments." in output
    assert "18 steps in all, 6 with each prefix once: 66.7% come from sharing." in output


def test_segments_are_those_of_the_tasks(forked: Project) -> None:
    tasks = [line.split()[0] for line in forked.succeed("list", "--all").output.splitlines() if line]
    ids = [name.partition(":")[2] for name in tasks if name.startswith("segment:")]
    output = forked.succeed("tree").output
    assert ids
    assert all(f"── {each}  " in output for each in ids)


def test_ascii_where_the_terminal_knows_no_more(forked: Project) -> None:
    asked = forked.succeed("tree", "--ascii").output
    assert asked.isascii()
    limited = Project(forked.root, forked.store, {"PYTHONIOENCODING": "ascii"})
    assert limited.succeed("tree").output == asked
    assert limited.succeed("space", "--no-model").output.isascii()


def test_the_tree_is_cut_at_a_depth(forked: Project) -> None:
    output = forked.succeed("tree", "--depth", "1").output
    assert "… 2 more segments, 4 configurations" in output
    assert "2 segments left out: --all shows everything." in output


def test_all_leaves_nothing_out(empty_project: Project) -> None:
    output = empty_project.succeed("tree", "--all").output
    assert "step_specialize_layers\n" in output
    assert "config_004, config_005" in output


def test_another_blueprint(forked: Project) -> None:
    output = forked.succeed("tree", "blueprint=digits_cnn").output
    assert output.startswith("models/digits_cnn_w4a4.onnx")


def test_the_text_of_the_graph(forked: Project, tmp_path: Path) -> None:
    text = forked.succeed("graph").output
    assert text.startswith("digraph ")
    for name in ("tree.dot", "tree.gv"):
        run = forked.succeed("graph", "-o", str(tmp_path / name))
        assert run.output == f"written: {tmp_path / name}\n"
        assert (tmp_path / name).read_text(encoding="utf-8") == text


@needs_dot
@pytest.mark.parametrize(
    ("name", "start"), [("tree.svg", b"<?xml"), ("tree.png", b"\x89PNG"), ("tree.pdf", b"%PDF")]
)
def test_a_picture_of_the_graph(forked: Project, tmp_path: Path, name: str, start: bytes) -> None:
    forked.succeed("graph", f"--output={tmp_path / name}")
    assert (tmp_path / name).read_bytes().startswith(start)


def without_dot(project: Project, folder: Path, script: str = "") -> Project:
    """The project where PATH holds no Graphviz, or a `dot` that is this script."""
    folder.mkdir()
    if script:
        (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "dot").chmod(0o755)
    return Project(project.root, project.store, {"PATH": f"{folder}:/nonesuch"})


def test_without_graphviz_the_cure_is_told(forked: Project, tmp_path: Path) -> None:
    project = without_dot(forked, tmp_path / "bin")
    run = project.run("graph", "-o", str(tmp_path / "tree.svg"))
    assert run.code == 1
    assert "needs Graphviz" in run.output
    assert "\n  -> Install Graphviz" in run.output
    assert not (tmp_path / "tree.svg").exists()
    project.succeed("graph", "-o", str(tmp_path / "tree.dot"))


def test_what_graphviz_says_is_passed_on_and_the_old_file_stays(forked: Project, tmp_path: Path) -> None:
    picture = tmp_path / "tree.svg"
    picture.write_text("old")
    run = without_dot(forked, tmp_path / "bin", "echo 'Error: too wide' >&2; exit 1").run(
        "graph", "-o", str(picture)
    )
    assert run.code == 1
    assert "`dot` failed: Error: too wide" in run.output
    assert picture.read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tree", "--nonesuch"), "doit tree: option --nonesuch not recognized"),
        (("tree", "config_001"), "doit tree: it takes no 'config_001'"),
        (("tree", "--depth", "0"), "a whole number from 1 on, not '0'"),
        (("tree", "--depth", "deep"), "a whole number from 1 on, not 'deep'"),
        (("tree", "--depth"), "doit tree: option --depth requires argument"),
        (("tree", "blueprnt=digits"), "there is no variable 'blueprnt'"),
        (("tree", "blueprint=nonesuch"), "nonesuch"),
        (("graph", "-o"), "doit graph: option -o requires argument"),
        (("graph", "-o", "tree"), "cannot be written to a file that ends in ''"),
        (("graph", "-o", "tree.jpeg"), "cannot be written to a file that ends in '.jpeg'"),
        (("graph", "-o", "nonesuch/tree.dot"), "nonesuch/tree.dot: cannot be written: No such file"),
        (("graph", "tree.svg"), "doit graph: it takes no 'tree.svg'"),
        (("space", "--yaml"), "doit space: option --yaml not recognized"),
        (("space", "digits"), "doit space: it takes no 'digits'"),
    ],
)
def test_a_wrong_command_line(forked: Project, arguments: tuple[str, ...], message: str) -> None:
    run = forked.fail(*arguments)
    assert run.code == 3
    assert run.output.startswith("ERROR: ")
    assert message in run.output
    assert "\n  -> " in run.output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(forked: Project, command: str) -> None:
    output = forked.succeed("help", command).output
    assert forked.succeed(command, "--help").output == output
    options = {"tree": ("--ascii", "--all", "--depth"), "graph": ("-o FILE", "--all", "--depth")}
    for option in options.get(command, ("--json", "--no-model")):
        assert option in output
    assert f"doit {command} " in forked.succeed("help").output


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_written_and_another_run_is_not_waited_for(
    empty_project: Project, tmp_path: Path, command: str
) -> None:
    (empty_project.root / "builds").mkdir()
    lock = empty_project.root / "builds" / ".lock"
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        before = contents(empty_project.root, without=())
        empty_project.succeed(command)
    assert contents(empty_project.root, without=()) == before
    assert not empty_project.store.exists()


@pytest.mark.parametrize("command", ["tree", "list"])
def test_a_reader_that_has_seen_enough_is_no_error(forked: Project, command: str) -> None:
    script = f"{sys.executable} -m finnmake {command} --all | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        cwd=forked.root,
        env={**forked.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""


# the design space


@pytest.mark.finn
def test_the_space_with_its_model(forked: Project) -> None:
    output = forked.succeed("space").output
    assert output.startswith("reading models/digits_mlp_w2a2.onnx")
    lines = {" ".join(line.split()) for line in output.splitlines()}
    assert lines >= {
        "tiny",
        "blueprint blueprints/tiny.yaml",
        "model models/digits_mlp_w2a2.onnx",
        "input global_in: 1 x 64 UINT8",
        "operators BatchNormalization (2), MatMul (3), Quant (6), Relu (2)",
        "weights INT2 (3)",
        "parameters 6,464 (1.6 KiB)",
        "MACs 6,464 an inference",
        "config.synth_clk_period_ns 2 5.0 | 10.0",
        "steps[3] 2 step_convert_to_hw | ~",
        "config.fpga_part xc7z020clg400-1",
        "combinations 4",
        "selected 4",
    }


def test_the_space_without_its_model(forked: Project) -> None:
    output = forked.succeed("space", "--no-model").output
    assert "reading" not in output
    assert "parameters" not in output


def described(project: Project, *arguments: str) -> Any:
    return json.loads(project.succeed("space", "--json", "--no-model", *arguments).output)


def test_the_space_as_json(forked: Project) -> None:
    found = described(forked)
    assert (found["name"], found["blueprint"]) == ("tiny", "blueprints/tiny.yaml")
    assert found["model"] == "models/digits_mlp_w2a2.onnx"
    assert [axis["options"] for axis in found["axes"]] == [[5.0, 10.0], [["step_convert_to_hw"], []]]
    assert (found["product"], found["combinations"], found["selected"]) == (4, 4, 4)
    assert found["search"]["strategy"] == "exhaustive"
    assert found["model_info"] is None
    assert found["errors"] == []


@pytest.fixture
def rules(empty_project: Project) -> Callable[..., Project]:
    """Makes a project with the blueprint `FORKED` and these top-level keys."""

    def make(**keys: Any) -> Project:
        empty_project.blueprint(keys=keys, **FORKED)
        return empty_project

    return make


def test_constraints_objectives_and_limits_are_shown(rules: Callable[..., Project]) -> None:
    project = rules(
        description="two clocks",
        constraints=["synth_clk_period_ns > 5"],
        objectives={"throughput": "max", "lut_utilization": "min"},
        limits=["lut_utilization <= 0.7"],
        search={"strategy": "random", "samples": 1, "seed": 7},
    )
    output = project.succeed("space", "--no-model").output
    assert output.startswith("tiny: two clocks\n")
    assert "constraints   synth_clk_period_ns > 5\n" in output
    assert "objectives    max throughput, min lut_utilization\n" in output
    assert "limits        lut_utilization <= 0.7\n" in output
    assert "search        random: 1 samples, seed 7\n" in output
    assert "combinations  4\n  allowed     2\n  selected    1\n" in output
    found = described(project)
    assert (found["product"], found["combinations"], found["selected"]) == (4, 2, 1)


def test_a_space_that_is_not_valid_is_shown_with_its_errors(rules: Callable[..., Project]) -> None:
    project = rules(search={"max_combinations": 3})
    run = project.fail("space", "--no-model")
    assert run.code == 1
    assert "combinations  4\n" in run.output
    assert run.output.count("ERROR: ") == 1
    assert "4 combinations are more than max_combinations (3)" in run.output
    as_json = project.fail("space", "--no-model", "--json")
    assert as_json.code == 1
    assert "more than max_combinations" in json.loads(as_json.output)["errors"][0]
    assert project.fail("tree").code == 3


def test_a_blueprint_with_several_errors_shows_all(empty_project: Project) -> None:
    empty_project.blueprint(keys={"colour": 1}, config={"target_fsp": 3}, steps=["step_nonesuch"])
    run = empty_project.fail("space")
    assert run.code == 3
    for name in ("colour", "target_fsp", "step_nonesuch"):
        assert name in run.output


@pytest.mark.finn
def test_a_model_that_cannot_be_read_is_an_error_of_the_space(empty_project: Project) -> None:
    empty_project.blueprint(**FORKED)
    (empty_project.root / "models" / "digits_mlp_w2a2.onnx").write_bytes(b"version https://git-lfs")
    run = empty_project.fail("space")
    assert run.code == 1
    assert "  selected    4\n" in run.output
    assert "ERROR: " in run.output
    assert "not an ONNX model" in run.output
    empty_project.succeed("space", "--no-model")
