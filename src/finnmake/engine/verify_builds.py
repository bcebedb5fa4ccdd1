"""What the files of builds should hold, as their manifests tell."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

#: Output -> what it may hold (SHA-256, any of them); None for anything that the store holds.
Expected = Mapping[Path, Collection[str] | None]


def expected_outputs(project: Path) -> Expected:
    """The outputs of all builds of a project with what they should hold.

    A manifest that cannot be read may hold nothing at all: it is to be made again.
    """
    found: dict[Path, Collection[str] | None] = {}
    for path in sorted((project / "builds").glob("*/*/manifest.json")):
        try:
            found.update(_outputs(path.parent, json.loads(path.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            found[path] = set()
    return found


def _outputs(folder: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[Path, set[str] | None]]:
    for name, sha in manifest["outputs"].items():
        yield folder / "artifacts" / name, {str(sha)}
    yield folder / "final_model.onnx", {str(manifest["steps"][-1]["output"])}
    for name in ("model.onnx", "processed_model.onnx"):
        if (
            folder / name
        ).exists():  # of a later build, where that failed: the manifest tells of the last one
            yield folder / name, None
