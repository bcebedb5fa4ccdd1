"""What finnmake builds equals what FINN's own builder makes of the same model and steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.projects import REPORTS, REPOSITORY, Project

pytestmark = [pytest.mark.finn, pytest.mark.slow]

SHARED = Path(os.environ.get("FINNMAKE_SHARED_MODELS", REPOSITORY.parent / "shared" / "models"))

MODELS = {
    "digits_mlp": REPOSITORY / "models" / "digits_mlp_w2a2.onnx",
    "digits_cnn": REPOSITORY / "models" / "digits_cnn_w4a4.onnx",
    "tfc_2w2a": SHARED / "tfc_2w2a.onnx",
    "cnv_2w2a_random": SHARED / "cnv_2w2a_random.onnx",
}

FIELDS = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 1000}

#: FINN's own bookkeeping, which a run outside its builder does not have: who built, and how long it took.
BOOKKEEPING = {"metadata_builder.json", "time_per_step.json"}

# FINN's builder as it is, in a process of its own. Two things make it run without Vivado and touch no result:
# the name that build_dataflow_steps imports from finn.xsi, and XILINX_VIVADO, which `exit_buildflow` reads
# after the last step for the version in metadata_builder.json.
SCRIPT = """
import json, os, sys
from finnmake.backends import placeholders

placeholders.install()
model, output, fields = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
os.environ["FINN_SETTINGS"] = os.path.join(output, "none")
os.environ["FINN_BUILD_DIR"] = os.path.join(output, "tmp")
os.makedirs(os.environ["FINN_BUILD_DIR"])
from finn.util.settings import initialize_dummy_settings

initialize_dummy_settings()
import finn.xsi

vars(finn.xsi)["SimEngine"] = None
os.environ["XILINX_VIVADO"] = os.path.join(output, "2024.2")
from finn.builder import build_dataflow
from finn.builder.build_dataflow_config import DataflowBuildConfig, DataflowOutputType
from finn.builder.build_dataflow_config import estimate_only_dataflow_steps

config = DataflowBuildConfig(
    output_dir=os.path.join(output, "out"),
    steps=estimate_only_dataflow_steps,
    generate_outputs=[DataflowOutputType.ESTIMATE_REPORTS],
    **fields,
)
sys.exit(0 if build_dataflow.build_dataflow_cfg(model, config) == 0 else 1)
"""


def built_by_finn(model: Path, folder: Path) -> dict[str, Any]:
    """The reports of FINN's own builder."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(model), str(folder), json.dumps(FIELDS)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return reports(folder / "out" / "report")


def reports(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", MODELS)
def test_reports_equal_finns(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    if not model.exists():
        pytest.skip(f"{model.name} is not here")
    project = Project.clone(tmp_path / "project", tmp_path / "store")
    (project.root / "models" / "model.onnx").write_bytes(model.read_bytes())
    project.blueprint("same", keys={"model": "../models/model.onnx"}, config=FIELDS)
    project.succeed("build:config_001")
    ours = reports(project.folder("same") / "artifacts" / "report")
    theirs = built_by_finn(model, tmp_path / "finn")
    assert set(ours) == set(theirs) - BOOKKEEPING == REPORTS
    for report in ours:
        assert ours[report] == theirs[report], report
