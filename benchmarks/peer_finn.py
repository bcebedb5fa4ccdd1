"""The peer: FINN's own builder, `build_dataflow_cfg`, in a process of its own. Usage: peer_finn.py JSON.

Takes `{"model", "output_dir", "flags"}`; the flags are fields of DataflowBuildConfig. A step that is not
FINN's is `{"file", "function", "parameters"}`: FINN takes functions of a model and a configuration.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

from finnmake.backends import placeholders

placeholders.install()
wanted = json.loads(sys.argv[1])
Path(wanted["output_dir"]).mkdir(parents=True)
os.environ["FINN_SETTINGS"] = str(Path(wanted["output_dir"]) / "none.yaml")
os.environ["FINN_BUILD_DIR"] = wanted["output_dir"]

import finn.xsi  # noqa: E402
from finn.util.settings import initialize_dummy_settings  # noqa: E402

initialize_dummy_settings()
vars(finn.xsi)["SimEngine"] = object  # build_dataflow_steps imports it; without Vivado its look-up raises
# FINN names the version of Vivado in a file at the end, and wants the variable for it.
os.environ["XILINX_VIVADO"] = "/none/Vivado/2022.2"

from finn.builder.build_dataflow import build_dataflow_cfg  # noqa: E402
from finn.builder.build_dataflow_config import DataflowBuildConfig  # noqa: E402


def own_step(entry):
    """The function in a file with its parameters given; FINN names what a step leaves by `__name__`."""
    spec = importlib.util.spec_from_file_location("own_steps", entry["file"])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, entry["function"])

    def step(model, cfg):
        return function(model, cfg, **entry["parameters"])

    step.__name__ = entry["function"]
    return step


flags = {**wanted["flags"], "output_dir": wanted["output_dir"]}
config = DataflowBuildConfig.from_dict({name: value for name, value in flags.items() if name != "steps"})
config.steps = [each if isinstance(each, str) else own_step(each) for each in flags["steps"]]
sys.exit(build_dataflow_cfg(wanted["model"], config))
