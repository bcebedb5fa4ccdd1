"""What is known before the first step runs, and better said then than after hours."""

from __future__ import annotations

from collections.abc import Iterable

from finnmake.backends.finn_tools import first_need
from finnmake.blueprint.slots import entry_name
from finnmake.exploration.tree import chain
from finnmake.records import BuildConfig


def vivado_note(configs: Iterable[BuildConfig]) -> str | None:
    """Before which step builds will stop where no Vivado is named; None where none needs it.

    Configurations with the same steps count once.
    """
    shapes = {id(config.build_steps): config for config in configs}
    for config in shapes.values():
        found = first_need(map(entry_name, chain(config)), config.config_flags)
        if found is not None:
            step, tool = found
            return (
                f"note: builds stop before {step}, which needs {tool.name}: no Vivado is named "
                "([tool.finnmake.toolchain] vivado, or XILINX_VIVADO)"
            )
    return None
