"""Nodes that are not in hardware are found and named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.plugins import Build
from finnmake.plugins.builtin.mapping import verify_ops
from tests.plugins.real_flow import CNN, MLP, STEPS, build, changed

pytestmark = pytest.mark.finn


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return build(tmp_path_factory.mktemp("cnn"), CNN, STEPS[:7])


def test_a_transposition_on_the_host_is_no_fault(cnn: Build) -> None:
    found = verify_ops(cnn)
    assert found == {
        "ok": True,
        "counts": {"hls": 3, "rtl": 5, "not_specialised": 0, "host": 1},
        "unmapped": [],
        "layout_on_host": [{"node": "Transpose_0", "operator": "Transpose", "where": "parent"}],
        "warnings": [],
    }


def test_layers_that_are_not_specialised_are_named(tmp_path: Path) -> None:
    found = verify_ops(build(tmp_path, MLP, STEPS[:6]))
    assert found["ok"] is False
    assert found["counts"] == {"hls": 0, "rtl": 0, "not_specialised": 4, "host": 0}
    assert found["unmapped"][0] == {
        "node": "Thresholding_0",
        "operator": "Thresholding",
        "where": "final model",
        "reason": "step_specialize_layers has made neither an HLS nor an RTL layer of it",
    }
    assert found["warnings"][0].startswith("not in hardware: Thresholding_0 (Thresholding), MVAU_0 (MVAU)")


def test_a_flow_that_ends_early_has_no_hardware(tmp_path: Path) -> None:
    found = verify_ops(build(tmp_path, MLP, STEPS[:2]))
    assert found["ok"] is False
    assert found["counts"]["host"] == len(found["unmapped"]) == 11
    reasons = {row["operator"]: row["reason"] for row in found["unmapped"]}
    assert reasons["MultiThreshold"] == (
        "thresholds that step_convert_to_hw did not turn into a layer: its input is not quantised to integers"
    )
    assert reasons["BatchNormalization"].startswith("step_streamline did not absorb it")
    assert reasons["Mul"] == "its input is not quantised to integers"


def with_parent(given: Build, folder: Path, change: Any) -> Build:
    """The build with another model around its accelerator."""
    shutil.copytree(given.artifacts, folder / "artifacts")
    path = folder / "artifacts" / "intermediate_models" / "dataflow_parent.onnx"
    parent = ModelWrapper(str(path))
    change(parent)
    parent.save(str(path))
    return changed(given, artifacts=folder / "artifacts")


def test_arithmetic_on_the_host_is_a_fault(cnn: Build, tmp_path: Path) -> None:
    def scaled(parent: ModelWrapper) -> None:
        node = helper.make_node("Mul", ["global_out", "scale"], ["scaled"], name="Mul_9")
        parent.graph.node.append(node)

    found = verify_ops(with_parent(cnn, tmp_path, scaled))
    assert found["ok"] is False
    assert [row["node"] for row in found["unmapped"]] == ["Mul_9"]
    assert found["unmapped"][0]["where"] == "parent"
    assert found["warnings"] == ["not in hardware: Mul_9 (Mul)"]


def test_partitions_are_looked_into(cnn: Build) -> None:
    parent = ModelWrapper(str(cnn.dataflow_parent))
    found = verify_ops(changed(cnn, model=parent))
    assert found["counts"] == {"hls": 0, "rtl": 0, "not_specialised": 8, "host": 1}
    assert {row["where"] for row in found["unmapped"]} == {"partition GenericPartition_0"}


def test_a_partition_without_its_model_is_told(cnn: Build, tmp_path: Path) -> None:
    parent = ModelWrapper(str(cnn.dataflow_parent))
    found = verify_ops(changed(cnn, model=parent, artifacts=tmp_path / "artifacts"))
    assert found["ok"] is False
    assert found["warnings"] == [
        "the model of partition GenericPartition_0 is missing: its nodes are not known"
    ]


def test_an_empty_model_is_not_in_order(cnn: Build, tmp_path: Path) -> None:
    empty = ModelWrapper(helper.make_model(helper.make_graph([], "empty", [], [])))
    found = verify_ops(changed(cnn, model=empty, artifacts=tmp_path))
    assert found["ok"] is False
    assert found["warnings"] == ["the final model has no nodes"]


def test_the_layers_in_a_loop_are_looked_at(cnn: Build) -> None:
    body = helper.make_graph([helper.make_node("Mul", ["a", "b"], ["c"], name="left_over")], "body", [], [])
    model = ModelWrapper(str(cnn.models / "after" / "006_step_specialize_layers.onnx"))
    model.graph.node.append(
        helper.make_node(
            "FINNLoop", ["x"], ["y"], name="loop_0", domain="finn.custom_op.fpgadataflow.rtl", body=body
        )
    )
    found = verify_ops(changed(cnn, model=model))
    assert found["ok"] is False and found["counts"]["rtl"] == 6
    assert [(row["node"], row["where"]) for row in found["unmapped"]] == [("left_over", "loop loop_0")]
