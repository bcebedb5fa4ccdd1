"""Bad input: a message that names the place and the cure, exit code 1 to 3, earlier outputs untouched."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project, Run, contents

pytestmark = pytest.mark.finn

MODEL = "digits_mlp_w2a2.onnx"


def refused(project: Project, *words: str, task: str = "build:config_001") -> Run:
    """A run that fails with these words and a cure, and leaves the example's outputs as they were."""
    before = contents(project.folder())
    run = project.fail(task)
    for word in words:
        assert word in run.output, f"{word!r} is not in:\n{run.output}"
    assert "->" in run.output, run.output
    assert contents(project.folder()) == before
    return run


def change(project: Project, old: str, new: str) -> None:
    """Edit the example blueprint."""
    path = project.root / "blueprints" / "digits.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# the model


def test_missing_model(project: Project) -> None:
    (project.root / "models" / MODEL).unlink()
    refused(project, MODEL, "blueprints/digits.yaml")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_model(project: Project, share: float) -> None:
    path = project.root / "models" / MODEL
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    run = refused(project, MODEL)
    assert "truncated" in run.output or "no ONNX graph" in run.output


def test_git_lfs_pointer(project: Project) -> None:
    path = project.root / "models" / MODEL
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n")
    refused(project, MODEL, "Git-LFS pointer", "git lfs pull")


# the blueprint


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: digits ", "name: [digits ", [r"blueprints/digits\.yaml:\d+:\d+", "not YAML"]),
        ("output_stage:", "output_stag:", [r"digits\.yaml:\d+:\d+", "'output_stag'", "output_stage"]),
        ("    target_fps:", "    target_fsp:", [r"digits\.yaml:\d+:\d+", "'target_fsp'", "target_fps"]),
        ("[5.0, 10.0]", "[fast]", [r"digits\.yaml:\d+:\d+", "synth_clk_period_ns", "fast"]),
        ("[10000, 100000]", "[0]", [r"digits\.yaml:\d+:\d+", "target_fps", "at least 1"]),
        ("steps: default", "steps: [step_streamlin]", ["step_streamlin", "step_streamline"]),
        ("[GiveUniqueNodeNames]", "[GiveUniqeNodeNames]", ["GiveUniqeNodeNames", "GiveUniqueNodeNames"]),
        ("post_proc: []", "post_proc: [nothing_such]", [r"digits\.yaml:\d+:\d+", "nothing_such"]),
        ("xc7z020clg400-1,", "xc7z02clg400-1,", ["fpga_part", "xc7z02clg400-1", "xc7z020"]),
        ("backend: finn ", "backend: fin ", [r"digits\.yaml:\d+:\d+", "backend", "finn"]),
        ("backend: finn ", "backend: moc ", [r"digits\.yaml:\d+:\d+", "backend", "finn"]),
        ("../models/digits_mlp_w2a2.onnx", "../models/digits.onnx", [r"digits\.yaml:\d+:\d+", "digits.onnx"]),
    ],
)
def test_blueprint(project: Project, old: str, new: str, words: list[str]) -> None:
    change(project, old, new)
    run = project.fail("build:config_001")
    for word in words:
        assert re.search(word, run.output), f"{word!r} is not in:\n{run.output}"
    assert "->" in run.output or "wanted" in run.output, run.output
    assert str(project.root) not in run.output
    assert (project.folder() / "result.json").exists()


def test_blueprint_that_does_not_exist(project: Project) -> None:
    run = project.fail("blueprint=digit", "build:config_001")
    assert "digit" in run.output
    assert "digits" in run.output


def test_variable_that_does_not_exist(project: Project) -> None:
    """Else the default blueprint would be built in place of the one meant."""
    refused(project, "'bluprint'", "blueprint=…", task="bluprint=digits_cnn")


def test_configuration_that_does_not_exist(project: Project) -> None:
    run = refused(project, "config_009", "config_001", "config_008", task="build:config_009")
    assert "digits" in run.output


def test_task_that_does_not_exist(project: Project) -> None:
    run = project.fail("bild")
    assert '"bild"' in run.output
    assert "doit list" in run.output


def test_settings_with_an_unknown_key(project: Project) -> None:
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace("blueprint =", "bluprint =", 1))
    refused(project, "pyproject.toml", "tool.finnmake", "'bluprint'", "blueprint")


def test_settings_that_are_no_toml(project: Project) -> None:
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text() + "\n[tool.finnmake\n")
    run = project.fail("build:config_001")
    assert "pyproject.toml" in run.output


# folding files


@pytest.fixture(scope="module")
def folding(built: Project) -> dict[str, Any]:
    """The folding that FINN found for the example."""
    found: dict[str, Any] = built.read("artifacts/report/auto_folding_config.json")
    return found


def matrix_node(folding: dict[str, Any]) -> str:
    return next(name for name in folding if name.startswith("MVAU"))


@pytest.fixture(scope="module")
def folded(
    tmp_path_factory: pytest.TempPathFactory,
    copy_of_built: Callable[[Path], Project],
    folding: dict[str, Any],
) -> tuple[Project, Run]:
    """A run of `build` with four bad folding files and a good one, over an earlier build."""
    project = copy_of_built(tmp_path_factory.mktemp("folded") / "here")
    node = matrix_node(folding)
    files: dict[str, Any] = {
        "nodes.json": {**folding, f"{node}7": {"PE": 1}},
        "pe.json": {**folding, node: {**folding[node], "PE": 5}},
        "attribute.json": {**folding, node: {"PEE": 1}},
        "syntax.json": '{\n  "MVAU_hls_0": {"PE": 1,}\n}',
        "good.json": folding,
    }
    for name, entries in files.items():
        text = entries if isinstance(entries, str) else json.dumps(entries)
        (project.root / "blueprints" / name).write_text(text)
    change(project, "[5.0, 10.0]", "5.0")
    change(project, "[xc7z020clg400-1, xczu3eg-sbva484-1-e]", "xc7z020clg400-1")
    change(project, "target_fps: [10000, 100000]", f"folding_config_file: [{', '.join(files)}]")
    return project, project.fail("build")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, ["blueprints/nodes.json", "'{node}7'", "{node},"]),
        (2, ["blueprints/pe.json", "'{node}'", "PE=5", "MH=64"]),
        (3, ["blueprints/attribute.json", "'{node}'", "'PEE'", "PE"]),
        (4, ["blueprints/syntax.json:2", "not JSON"]),
    ],
)
def test_bad_folding_file(
    folded: tuple[Project, Run], folding: dict[str, Any], number: int, words: list[str]
) -> None:
    project, run = folded
    result = project.read("result.json", config=f"config_{number:03d}")
    assert result["status"] == "FAILED"
    assert result["error_category"] in ("config", "resource")
    for word in words:
        shown = word.replace("{node}", matrix_node(folding))
        assert shown in result["error_message"], result["error_message"]
        assert shown in run.output
    assert result["tips"]
    assert result["tips"]


def test_bad_folding_file_leaves_the_earlier_build(folded: tuple[Project, Run], built: Project) -> None:
    project, _ = folded
    assert contents(project.folder()) == contents(built.folder())


def test_good_folding_file(folded: tuple[Project, Run], folding: dict[str, Any]) -> None:
    project, _ = folded
    assert project.read("result.json", config="config_005")["status"] == "SUCCESS"
    assert "blueprints/good.json" in project.read("manifest.json", config="config_005")["inputs"]
    assert project.read("artifacts/report/estimate_layer_cycles.json", config="config_005") == project.read(
        "artifacts/report/estimate_layer_cycles.json"
    )


def test_folding_file_that_is_missing(project: Project) -> None:
    change(project, "target_fps: [10000, 100000]", "folding_config_file: folding.json")
    refused(project, "folding.json", "digits.yaml")


# plugins

FAILING = '''\
"""One step that fails in another way at each target rate."""

import os
import sys
import time

from finnmake.plugins import step


@step
def troubled(model, cfg):
    match cfg.target_fps:
        case 1:
            raise ValueError("the moon is full")
        case 2:
            return None
        case 3:
            os._exit(7)
        case 4:
            time.sleep(120)
        case 5:
            os.kill(os.getpid(), 11)
        case 6:
            sys.exit(3)
        case 7:
            cfg.target_fps = {1, 2}
    return model
'''


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A run of `build` in which seven configurations fail and the eighth does not."""
    folder = tmp_path_factory.mktemp("troubled")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("trouble.py", FAILING)
    project.blueprint(
        keys={"timeout": 1},
        config={"fpga_part": "xc7z020clg400-1", "target_fps": [1, 2, 3, 4, 5, 6, 7, 8]},
        steps=["troubled", "step_tidy_up"],
    )
    return project, project.fail("build")


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (1, "FAILED", ["the moon is full", "plugins/trouble.py:14"]),
        (2, "FAILED", ["NoneType", "not a model", "ModelWrapper"]),
        (3, "FAILED", ["exit code 7"]),
        (4, "TIMEOUT", ["no result after 1 s", "timeout"]),
        (5, "FAILED", ["SIGSEGV"]),
        (6, "FAILED", ["exit(3)", "plugins/trouble.py:24"]),
        (7, "FAILED", ["target_fps", "set"]),
    ],
)
def test_failing_step(troubled: tuple[Project, Run], number: int, status: str, words: list[str]) -> None:
    project, run = troubled
    result = project.read("result.json", "tiny", f"config_{number:03d}")
    assert result["status"] == status
    assert "troubled" in result["error_message"]
    assert "Traceback" not in result["error_message"]
    assert result["error_category"]
    assert f"config_{number:03d}" in run.output
    told = " ".join([result["error_message"], *result["tips"]])
    for word in words:
        assert word in told, told
        assert word in run.output
    assert not (project.folder("tiny", f"config_{number:03d}") / "final_model.onnx").exists()


def test_log_of_a_failed_step_is_kept(troubled: tuple[Project, Run]) -> None:
    project, _ = troubled
    log = (project.folder("tiny") / "build.log").read_text()
    assert "troubled (failed)" in log
    assert "the moon is full" in log
    assert project.read("result.json", "tiny")["logs"] == {"build": "build.log"}


def test_other_configurations_are_built(troubled: tuple[Project, Run]) -> None:
    project, run = troubled
    assert project.read("result.json", "tiny", "config_008")["status"] == "SUCCESS"
    assert (project.folder("tiny", "config_008") / "final_model.onnx").exists()
    assert run.output.splitlines()[-1].startswith("7 failed")


def test_failed_run_leaves_nothing_in_the_store(troubled: tuple[Project, Run]) -> None:
    project, _ = troubled
    assert [path.name for path in (project.store / "tmp").iterdir() if path.is_file()] == []


def broken_plugin(project: Project, text: str) -> None:
    project.plugin("broken.py", text)
    change(project, "steps: default", "steps: [oddity, step_tidy_up]")


def test_plugin_with_a_syntax_error(project: Project) -> None:
    broken_plugin(project, "from finnmake.plugins import step\n\n\n@step\ndef oddity(model cfg):\n    pass\n")
    refused(project, "plugins/broken.py:5")


def test_broken_plugin_that_nothing_names_is_no_matter(project: Project) -> None:
    project.plugin("broken.py", "def (:\n")
    project.succeed("build:config_001")


def test_plugin_that_cannot_be_imported(project: Project) -> None:
    head = "from finnmake.plugins import step\nimport no_such_module\n\n\n@step\n"
    broken_plugin(project, head + "def oddity(model, cfg):\n    return model\n")
    refused(project, "plugins/broken.py:2", "no_such_module")


# disk and store


def test_store_that_is_a_file(project: Project, tmp_path: Path) -> None:
    """Root may write everywhere, so what cannot be written here is a folder below a file."""
    (project.root / "plugins" / "note.txt").write_text("")
    project.store = tmp_path / "occupied"
    project.store.write_text("")
    change(project, "[5.0, 10.0]", "[4.0, 10.0]")
    refused(project, "occupied", "FINNMAKE_STORE")


def test_store_of_another_layout(project: Project) -> None:
    (project.store / "VERSION").write_text("99")
    change(project, "[5.0, 10.0]", "[4.0, 10.0]")
    refused(project, "'99'", "FINNMAKE_STORE")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KB, where one can be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=True)


def test_full_disk(project: Project, small_disk: Path) -> None:
    project.store = small_disk / "store"
    change(project, "[5.0, 10.0]", "[4.0, 10.0]")
    run = refused(project, "No space left on device", "FINNMAKE_STORE")
    assert "FAILED" in run.output


# the project folder


def test_damaged_state_is_put_aside(project: Project) -> None:
    (project.root / "builds" / "digits" / ".doit.sqlite").write_bytes(b"no database" * 1000)
    before = contents(project.folder())
    run = project.succeed("build:config_001")
    assert run.steps == []
    assert contents(project.folder()) == before
    assert "nothing to do" in project.succeed("build:config_001").output


def test_damaged_blob_is_made_again(project: Project) -> None:
    """A blob that somebody edited through a hard link, or a disk that lies: seen, put aside, made again."""
    before = contents(project.folder())
    blobs = sorted((project.store / "blobs").glob("*/*"), key=lambda path: path.stat().st_size)
    for path in blobs[-3:]:
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)
    project.succeed("clean", "build:config_001")
    project.succeed("build:config_001")
    assert contents(project.folder()) == before
