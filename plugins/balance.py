"""An analysis of the example `digits_cnn`."""

import json

from finnmake.plugins import analysis


@analysis
def layer_balance(build):
    """How evenly the layers are folded: the share of the time that each is busy (0 to 1)."""
    cycles = json.loads((build.artifacts / "report" / "estimate_layer_cycles.json").read_text())
    slowest = max(cycles, key=cycles.get)
    return {
        "bottleneck": slowest,
        "busy": {layer: round(count / cycles[slowest], 3) for layer, count in cycles.items()},
    }
