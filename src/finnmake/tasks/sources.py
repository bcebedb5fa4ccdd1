"""finnmake's own sources behind the outputs: editing them makes these stale, as a transform's source does."""

from __future__ import annotations

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
    files = [path for path in (_PACKAGE / package).iterdir() if path.suffix in (".py", ".json")]
    files += [path for name in _BESIDE[package] for path in _PACKAGE.glob(name)]
    named = ((path.relative_to(_PACKAGE).as_posix(), digests.digest(path)) for path in files)
    return digest_value("modules", sorted(named))
