"""What changed between two explorations: only that runs, and nothing is answered from before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.explorations import STEPS, fields, mock_space, record, statuses, table
from tests.projects import Project, sha256

RATE = "step_target_fps_parallelization"
REPORTS = "step_generate_estimate_reports"

#: What tells nothing of a configuration's results.
IDS = ("duration_seconds", "config_id", "feasible", "pareto")


def by_content(project: Project) -> Mapping[str, Mapping[str, str]]:
    """Content id -> the row of results.csv, without what follows from the other rows."""
    return {row["content_id"]: row for row in table(project, without=IDS)}


def ids(project: Project) -> Mapping[str, str]:
    """Content id -> configuration id."""
    return {row["content_id"]: row["config_id"] for row in table(project)}


def test_a_wider_blueprint_runs_the_new_points_alone(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    before, old_ids = by_content(empty_project), ids(empty_project)
    mock_space(empty_project, config=fields(target_fps=[500, 1000, 100000]))
    run = empty_project.succeed("explore")
    assert sorted(run.steps) == sorted([RATE, RATE, REPORTS, REPORTS])
    after, new_ids = by_content(empty_project), ids(empty_project)
    assert len(after) == 6 and {each: after[each] for each in before} == before
    assert [old_ids[each] for each in before] == ["config_001", "config_002", "config_003", "config_004"]
    assert [new_ids[each] for each in before] == ["config_002", "config_003", "config_005", "config_006"]
    assert record(empty_project)["steps"]["ran"] == 4
    mock_space(empty_project)
    assert empty_project.succeed("explore").steps == []
    assert by_content(empty_project) == before and ids(empty_project) == old_ids


def test_a_renumbered_configuration_has_its_own_outputs(empty_project: Project, tmp_path: Path) -> None:
    """config_001 stands for another point than before: nothing of that may be left in its folder."""
    mock_space(empty_project)
    empty_project.succeed("explore")
    wider = fields(target_fps=[500, 1000, 100000])
    mock_space(empty_project, config=wider)
    empty_project.succeed("explore")
    for config in statuses(empty_project):
        metrics = empty_project.read("metrics.json", "tiny", config)
        written = empty_project.read("config.json", "tiny", config)
        assert written["id"] == config and written["total_combinations"] == 6
        assert empty_project.read("manifest.json", "tiny", config)["content_id"] == written["content_id"]
        row = next(row for row in table(empty_project) if row["config_id"] == config)
        assert float(row["throughput"]) == metrics["throughput"]
        assert int(row["target_fps"]) == written["config_flags"]["target_fps"]


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "clock": {"config": fields(synth_clk_period_ns=[4.0, 8.0])},
    "step list": {"steps": [STEPS[0], "step_convert_to_hw", *STEPS[1:]]},
    "fewer steps": {"steps": STEPS[1:]},
    "order of steps": {"steps": [STEPS[1], STEPS[0], *STEPS[2:]]},
    "step parameter": {"steps": [STEPS[0], {"step": STEPS[1], "strength": 2}, *STEPS[2:]]},
    "kernel": {"kernels": {"MVAU": "MVAU_rtl"}, "steps": [*STEPS[:2], "step_specialize_layers", *STEPS[2:]]},
    "kernel attribute": {
        "kernels": {"MVAU": {"attributes": {"resType": "dsp"}}},
        "steps": [*STEPS[:2], "step_specialize_layers", *STEPS[2:]],
    },
    "transform": {"transforms": {"pre_proc": ["GiveUniqueNodeNames"]}},
    "transform's parameter": {
        "transforms": {"pre_proc": [{"name": "GiveUniqueNodeNames", "parameters": {"prefix": "a"}}]}
    },
    "stage": {
        "transforms": {"late": ["GiveUniqueNodeNames"]},
        "steps": [*STEPS[:2], {"stage": "late"}, *STEPS[2:]],
    },
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project and a store in which one variant after the other is explored."""
    made = tmp_path_factory.mktemp("changes")
    project = Project.clone(made / "project", made / "store")
    mock_space(project, steps=[*STEPS[:2], "step_specialize_layers", *STEPS[2:]])
    project.succeed("explore")
    return project


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_never_answered_from_before(
    base: Project, tmp_path: Path, change: Mapping[str, Any]
) -> None:
    """What comes out on a store full of other variants is what comes out on an empty one."""
    fresh = Project.clone(tmp_path / "project", tmp_path / "store")
    for project in (base, fresh):
        mock_space(project, **change)
        project.succeed("explore")
    assert table(base) == table(fresh)
    for config in statuses(fresh):
        for file in ("final_model.onnx", "metrics.json", "manifest.json", "config.json"):
            ours, theirs = (each.folder("tiny", config) / file for each in (base, fresh))
            assert ours.read_bytes() == theirs.read_bytes(), file


@pytest.mark.finn
def test_with_finn_a_change_of_files_is_never_answered_from_before(
    empty_project: Project, tmp_path: Path
) -> None:
    """The model, a plugin and a file that the plugin reads, on a store with the old ones."""
    plugin = (
        "from pathlib import Path\n"
        "from finnmake.plugins import step\n\n"
        "@step\n"
        "def mark(model, cfg, text='NAME'):\n"
        "    model.set_metadata_prop('mark', text + (Path(__file__).parent / 'note.txt').read_text())\n"
        "    return model\n"
    )
    steps: list[Any] = ["step_qonnx_to_finn", "step_tidy_up", "mark"]
    other = Project.clone(tmp_path / "other", tmp_path / "other-store")
    for project in (empty_project, other):
        project.blueprint(config=fields(target_fps=1000), steps=steps)
    models = empty_project.root / "models"

    def shown(project: Project) -> Mapping[str, str]:
        project.succeed("explore")
        return {each: sha256(project.folder("tiny", each) / "final_model.onnx") for each in statuses(project)}

    found = []
    for name, note, model in (
        ("a", "1", "mlp_w2a2"),
        ("b", "1", "mlp_w2a2"),
        ("b", "2", "mlp_w2a2"),
        ("b", "2", "cnn_w4a4"),
    ):
        empty_project.plugin("mark.py", plugin.replace("NAME", name))
        (empty_project.root / "plugins" / "note.txt").write_text(note)
        source = (other.root / "models" / f"digits_{model}.onnx").read_bytes()
        (models / "digits_mlp_w2a2.onnx").write_bytes(source)
        found.append(shown(empty_project))
    assert len({json.dumps(each) for each in found}) == 4
    other.plugin("mark.py", plugin.replace("NAME", "b"))
    (other.root / "plugins" / "note.txt").write_text("2")
    (other.root / "models" / "digits_mlp_w2a2.onnx").write_bytes(
        (models / "digits_mlp_w2a2.onnx").read_bytes()
    )
    assert shown(other) == found[-1]


def test_a_branch_below_a_long_shared_prefix_builds_every_child(empty_project: Project) -> None:
    prefix = ["step_tidy_up", "step_streamline", "step_convert_to_hw", "step_create_dataflow_partition"]
    children = [
        "step_minimize_bit_width",
        "step_apply_folding_config",
        {"step": "step_tidy_up", "strength": 3},
    ]
    mock_space(
        empty_project,
        config=fields(synth_clk_period_ns=5.0, target_fps=1000),
        steps=[*prefix, children, "step_generate_estimate_reports"],
    )
    run = empty_project.succeed("explore")
    assert set(statuses(empty_project).values()) == {"SUCCESS"}
    models = {
        sha256(empty_project.folder("tiny", each) / "final_model.onnx") for each in statuses(empty_project)
    }
    assert len(models) == 3
    for step in prefix[1:]:
        assert run.steps.count(step) == 1
    assert len(run.steps) == len(prefix) + 3 * 2
    chains = [
        [each["name"] for each in empty_project.read("manifest.json", "tiny", config)["steps"]]
        for config in statuses(empty_project)
    ]
    assert [each[4] for each in chains] == [
        "step_minimize_bit_width",
        "step_apply_folding_config",
        "step_tidy_up",
    ]
    assert all(each[:4] == prefix and len(each) == 6 for each in chains)


@pytest.mark.finn
def test_with_finn_too_every_child_is_built(empty_project: Project) -> None:
    prefix = ["step_qonnx_to_finn", "step_tidy_up"]
    children: list[Any] = ["step_streamline", "~", ["step_streamline", "step_convert_to_hw"]]
    empty_project.blueprint(
        config=fields(synth_clk_period_ns=5.0, target_fps=1000), steps=[*prefix, children]
    )
    run = empty_project.succeed("explore", "-n", "2")
    assert sorted(run.steps) == sorted([*prefix, "step_streamline", "step_convert_to_hw"])
    models = {
        sha256(empty_project.folder("tiny", each) / "final_model.onnx") for each in statuses(empty_project)
    }
    assert len(models) == len(statuses(empty_project)) == 3
