"""doit's side: task generators, what is fresh, and what the screen shows. `dodo.py` imports from here."""

from finnmake.tasks.generators import (
    DOIT_CONFIG,
    task_analyze,
    task_build,
    task_finn,
    task_metrics,
    task_preprocess,
    task_report,
    task_segment,
)

__all__ = [
    "DOIT_CONFIG",
    "task_analyze",
    "task_build",
    "task_finn",
    "task_metrics",
    "task_preprocess",
    "task_report",
    "task_segment",
]
