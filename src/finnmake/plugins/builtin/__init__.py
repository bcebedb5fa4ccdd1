"""The plugins that finnmake brings: one table of their names, each module imported by the worker alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from finnmake.engine.files import FileDigests
from finnmake.hashing import digest_value

_PACKAGE = "finnmake.plugins.builtin"


class Builtin(NamedTuple):
    """One plugin: its kind, the stage that it is for, and where the worker finds it, `module:attribute`."""

    kind: str
    stage: str
    target: str


#: Name, as a blueprint writes it -> plugin.
BUILTINS: Mapping[str, Builtin] = {
    name: Builtin(kind, stage, f"{_PACKAGE}.{module}:{name}")
    for name, kind, stage, module in (
        ("graph_optimization", "transform", "pre_proc", "clean_up"),
        ("input_normalization", "transform", "pre_proc", "normalization"),
        ("quantize_model", "transform", "pre_proc", "quantization"),
        ("performance_analysis", "analysis", "post_proc", "performance"),
        ("resource_analysis", "analysis", "post_proc", "resources"),
        ("accuracy_validation", "analysis", "post_proc", "accuracy"),
        ("roofline", "analysis", "post_proc", "roofline"),
        ("verify_ops", "analysis", "post_proc", "mapping"),
    )
}


def source_digest(target: str, digests: FileDigests) -> str:
    """Digest of the sources behind a target of this package; empty for any other, which the trace follows."""
    if not target.startswith(f"{_PACKAGE}."):
        return ""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return digest_value("builtin", [[path.name, digests.digest(path)] for path in sources])
