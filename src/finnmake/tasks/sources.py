"""finnmake's own sources behind the outputs: editing them makes these stale, as a transform's source does."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from finnmake.engine.files import FileDigests
from finnmake.hashing import digest_value

_PACKAGE = Path(__file__).resolve().parent.parent

#: What the outputs come from besides the modules of their own package.
_BESIDE = {
    "runner": (
        "backends/mock_failures.py",
        "backends/passthrough.py",
        "blueprint/expressions.py",
        "blueprint/finn_tables.json",
        "checked.py",
        "exploration/early_stop.py",
        "exploration/judging.py",
        "exploration/ranking.py",
        "plugins/builtin/*.py",
        "records.py",
    ),
    "report": (
        "records.py",
        "runner/metrics.py",
        "runner/preprocessing.py",
        "runner/report_shapes.py",
        "runner/reports.py",
        "templating.py",
    ),
}


def modules_digest(package: str, digests: FileDigests) -> str:
    """Digest of the sources and tables behind what `runner` or `report` writes."""
    names = [name for name in os.listdir(f"{_PACKAGE}/{package}") if name.endswith((".py", ".json"))]
    files = [f"{package}/{name}" for name in names]
    for name in _BESIDE[package]:
        files += glob.glob(name, root_dir=_PACKAGE)
    return digest_value("modules", [[name, digests.digest(f"{_PACKAGE}/{name}")] for name in sorted(files)])
