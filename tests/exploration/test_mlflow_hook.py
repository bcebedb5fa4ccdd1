"""MLflowHook, with the real MLflow where FINNMAKE_TEST_MLFLOW names the folder that it is installed in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finnmake.errors import ToolError
from finnmake.exploration.mlflow_hook import MLflowHook

FOLDER = os.environ.get("FINNMAKE_TEST_MLFLOW", "")

#: An exploration with two configurations told to the hook; then what MLflow has of it, as JSON.
SCRIPT = """
import json, sys
from pathlib import Path
from finnmake.exploration.hooks import Hooks
from finnmake.exploration.mlflow_hook import MLflowHook
from mlflow.tracking import MlflowClient
from tests.exploration.test_hooks import CONFIGS, FAILURE, RESULT, SKIPPED, SPACE, SUCCESS, run

folder = Path(sys.argv[1])
uri = f"sqlite:///{folder / 'runs.db'}"
build = folder / CONFIGS[0].output_dir
build.mkdir(parents=True)
(build / "report.html").write_text("<p>report</p>")
hooks = Hooks([MLflowHook(tracking_uri=uri, experiment="ours", artifacts=True, project=folder)])
run(hooks)
client = MlflowClient(tracking_uri=uri)
experiment = client.get_experiment_by_name("ours")
print(json.dumps({"warnings": hooks.warnings, "runs": {
    run.info.run_name: {
        "id": run.info.run_id,
        "status": run.info.status,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": run.data.tags,
        "files": [each.path for each in client.list_artifacts(run.info.run_id)],
    }
    for run in client.search_runs([experiment.experiment_id])
}}))
"""


@pytest.mark.skipif(not FOLDER, reason="FINNMAKE_TEST_MLFLOW names no folder with MLflow")
def test_an_exploration_is_a_run_with_a_nested_run_for_each_configuration(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    # The folder stands behind site-packages, as the lock is made for: an earlier copy of a package wins.
    code = f"import sys; sys.path.append({FOLDER!r})\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["warnings"] == []
    runs = found["runs"]
    assert set(runs) == {"small", "config_001", "config_002", "config_003"}
    parent, first, second = runs["small"], runs["config_001"], runs["config_002"]
    assert {runs[name]["tags"]["mlflow.parentRunId"] for name in runs if name != "small"} == {parent["id"]}
    assert [runs[name]["status"] for name in sorted(runs)] == ["FINISHED", "FAILED", "KILLED", "FINISHED"]
    assert parent["params"]["configurations"] == "3"
    assert parent["metrics"]["sharing"] == pytest.approx(2 / 3)
    assert first["params"]["target_fps"] == "1"
    assert first["params"]["fpga_part"] == "xc7z020clg400-1"
    assert first["params"]["generate_outputs"] == '["estimate_reports"]'
    assert first["metrics"] == {"throughput": 1.0, "duration_seconds": 0.0}
    assert (first["tags"]["simulated"], first["tags"]["status"]) == ("true", "SUCCESS")
    assert first["files"] == ["report.html"]
    assert (second["tags"]["error_category"], second["files"]) == ("memory", [])


def test_without_mlflow_the_constructor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(
        ToolError, match=r"MLflowHook: MLflow cannot be imported(.|\n)*pip install --target mlflow-packages"
    ):
        MLflowHook()
