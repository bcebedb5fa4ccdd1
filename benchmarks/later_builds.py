"""Builds several models in one run of finnmake, none sharing a step with another; prints seconds for each.

Usage: later_builds.py COUNT STORE, in a project's folder. The models are the digits MLP, each with another
producer version, so that every state from the first on differs and every step is missing.
"""

import json
import os
import sys
import time
from dataclasses import replace

import onnx

from finnmake.tasks.workspace import workspace

count, store = int(sys.argv[1]), sys.argv[2]
os.environ["FINNMAKE_STORE"] = store
os.environ["FINNMAKE_WORKER_IDLE"] = "0"
ws = workspace()
seconds = []
for number in range(count):
    model = onnx.load("models/digits_mlp_w2a2.onnx")
    model.producer_version = str(number)
    onnx.save(model, f"models/variant{number}.onnx")
    config = replace(
        ws.configs[0],
        id=f"variant_{number}",
        content_id=str(number),
        model_path=f"models/variant{number}.onnx",
        output_dir=f"builds/variants/{number}",
    )
    started = time.monotonic()
    result = ws.runner.run(config)
    seconds.append(time.monotonic() - started)
    assert result.is_successful(), result.error_message
    ran = ws.screen.steps_ran
    assert ran == (number + 1) * 12, f"{ran} steps ran: the configurations shared some"
sys.stdout.write(json.dumps(seconds))
