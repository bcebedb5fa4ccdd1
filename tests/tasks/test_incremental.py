"""After an edit: only what the edit reaches runs again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import Project, contents

pytestmark = pytest.mark.finn

TRANSFORM = '''\
from finnmake.plugins import transform
from qonnx.transformation.base import Transformation
from naming_helper import PREFIX


@transform(stage="pre_proc")
class RenameNodes(Transformation):
    """Give every node a name with a prefix."""

    def apply(self, model):
        for number, node in enumerate(model.graph.node):
            node.name = f"{PREFIX}{number}"
        return model, False
'''

STEP = """\
from pathlib import Path

from finnmake.plugins import step

HERE = Path(__file__).parent


@step
def mark(model, cfg):
    model.set_metadata_prop("mark", (HERE / "mark.txt").read_text())
    return model
"""

ANALYSES = """\
from finnmake.plugins import analysis


@analysis
def node_count(build):
    return {"nodes": len(build.model.graph.node), "fps": build.metrics["throughput"]}


@analysis
def hopeless(build):
    raise RuntimeError("nothing to analyse")
"""

STEPS = ["step_qonnx_to_finn", "mark", "step_tidy_up"]


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with plugins before and between FINN's steps, built."""
    folder = tmp_path_factory.mktemp("plugged")
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("renaming.py", TRANSFORM)
    project.plugin("naming_helper.py", 'PREFIX = "node_"\n')
    project.plugin("marking.py", STEP)
    project.plugin("mark.txt", "first")
    project.plugin("analyses.py", ANALYSES)
    project.blueprint(
        transforms={"pre_proc": ["RenameNodes"], "post_proc": ["node_count", "hopeless"]}, steps=STEPS
    )
    project.succeed("build:config_001")
    return project


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def run_after(project: Project, change: Callable[[], object]) -> list[str]:
    """The steps that run after a change, and that a further run does nothing."""
    assert "nothing to do" in project.succeed("build:config_001").output
    change()
    steps = project.succeed("build:config_001").steps
    assert "nothing to do" in project.succeed("build:config_001").output
    return [step for step in steps if step not in ("node_count", "hopeless")]


def test_comment_in_a_transform_reruns_it_alone(plugged: Project) -> None:
    provenance = ("manifest.json", "report.html", "result.json", "build.log")
    before = contents(plugged.folder("tiny"), without=provenance)
    path = plugged.root / "plugins" / "renaming.py"
    assert run_after(plugged, lambda: edit(path, "class Rename", "# why\nclass Rename")) == ["RenameNodes"]
    assert contents(plugged.folder("tiny"), without=provenance) == before


def test_behaviour_of_a_transform_reruns_what_follows(plugged: Project) -> None:
    path = plugged.root / "plugins" / "renaming.py"
    steps = run_after(plugged, lambda: edit(path, "{number}", "{number + 7}"))
    assert steps[:2] == ["RenameNodes", "step_qonnx_to_finn"]


def test_comment_in_a_step_between_finns_steps_reruns_it_alone(plugged: Project) -> None:
    path = plugged.root / "plugins" / "marking.py"
    assert run_after(plugged, lambda: edit(path, "@step", "# a remark\n@step")) == ["mark"]


def test_behaviour_of_a_step_reruns_it_and_what_follows(plugged: Project) -> None:
    path = plugged.root / "plugins" / "marking.py"
    assert run_after(plugged, lambda: edit(path, '"mark",', '"label",')) == ["mark", "step_tidy_up"]


def test_helper_module_counts_like_the_plugin(plugged: Project) -> None:
    path = plugged.root / "plugins" / "naming_helper.py"
    assert run_after(plugged, lambda: edit(path, "PREFIX", "# a remark\nPREFIX")) == ["RenameNodes"]


def test_data_file_counts_like_the_plugin_and_going_back_runs_nothing(plugged: Project) -> None:
    path = plugged.root / "plugins" / "mark.txt"
    first = path.read_text()
    assert run_after(plugged, lambda: path.write_text("second")) == ["mark", "step_tidy_up"]
    assert run_after(plugged, lambda: path.write_text(first)) == []


def test_unused_plugin_runs_nothing_at_all(plugged: Project) -> None:
    text = "from finnmake.plugins import step\n\n\n@step\ndef unused(model, cfg):\n    return model\n"
    path = plugged.plugin("of_no_use.py", text)
    plugged.succeed("build:config_001")
    edit(path, "return model", "return None")
    assert "nothing to do" in plugged.succeed("build:config_001").output


def test_touched_plugin_runs_nothing_at_all(plugged: Project) -> None:
    plugged.succeed("build:config_001")
    for path in (plugged.root / "plugins").glob("*.py"):
        path.write_bytes(path.read_bytes())
    assert "nothing to do" in plugged.succeed("build:config_001").output


def test_analysis_writes_its_file_and_a_failing_one_is_a_warning(plugged: Project) -> None:
    edit(plugged.root / "plugins" / "analyses.py", "@analysis\ndef node", "\n@analysis\ndef node")
    run = plugged.succeed("build:config_001")
    found = plugged.read("postprocessing/node_count.json", "tiny")
    assert found["nodes"] > 0
    result = plugged.read("result.json", "tiny")
    assert result["status"] == "SUCCESS"
    assert any("hopeless" in text and "nothing to analyse" in text for text in result["warnings"])
    assert any("analyses.py" in text for text in result["warnings"])
    assert "warning: postprocessing: analysis hopeless" in run.output
    assert not (plugged.folder("tiny") / "postprocessing" / "hopeless.json").exists()


def test_changed_clock_runs_only_what_reads_the_clock(project: Project) -> None:
    edit(project.root / "blueprints" / "digits.yaml", "[5.0, 10.0]", "[4.0, 10.0]")
    steps = project.succeed("build:config_001").steps
    assert steps[0] == "step_target_fps_parallelization"
    assert steps[-1] == "step_generate_estimate_reports"


def test_changed_model_is_seen(project: Project) -> None:
    """The CNN under the MLP's name: nothing of the old build is taken."""
    model = project.root / "models" / "digits_mlp_w2a2.onnx"
    model.write_bytes((project.root / "models" / "digits_cnn_w4a4.onnx").read_bytes())
    assert "step_qonnx_to_finn" in project.succeed("build:config_001").steps


def test_same_time_and_size_with_other_content_is_seen(plugged: Project) -> None:
    """Trap: doit takes a file with the old mtime and size for the old file."""
    path = plugged.root / "plugins" / "mark.txt"
    plugged.succeed("build:config_001")
    before = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert plugged.succeed("build:config_001").steps[:1] == ["mark"]
