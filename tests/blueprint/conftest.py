"""A small project with one blueprint, and the ways to read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blueprint_samples import KnownParts

from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "blueprints").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models/net.onnx").write_bytes(b"model")
    (tmp_path / "models/folding.json").write_text("{}")
    return tmp_path


@pytest.fixture
def read(project: Path) -> Callable[[str | bytes], DesignSpace]:
    """Reads a text as `blueprints/small.yaml`."""

    def reading(text: str | bytes) -> DesignSpace:
        file = project / "blueprints/small.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return forge(file, project, known=FinnCatalog(), known_parts=KnownParts())

    return reading
