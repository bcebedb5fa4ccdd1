"""An engine that loses a layer of its own while it builds is asked again, once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finnmake.engine.runtime import image_build
from finnmake.engine.runtime.client import Engine
from finnmake.errors import ContainerError
from finnmake.settings import read_settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def built(
    monkeypatch: pytest.MonkeyPatch, folder: Path, failures: list[str]
) -> tuple[list[str], ContainerError | None]:
    """What was told, and the error, where the engine's answers to the builds are these failures."""
    for name in ("pyproject.toml", "requirements.lock", "Dockerfile", "docker"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, folder / name)

    def build(*_: object) -> None:
        if failures:
            raise ContainerError(failures.pop(0))

    monkeypatch.setattr(image_build, "_pull", lambda *_: None)
    monkeypatch.setattr(image_build, "_build", build)
    monkeypatch.setattr(image_build, "find_image", lambda *_: object())
    monkeypatch.setattr(image_build, "image_id", lambda _: "sha256:0")
    engine = Engine(folder / "engine.sock", "podman", "4.3.1", "1.41")
    told: list[str] = []
    try:
        image_build.build(folder, read_settings(folder), engine, told.append)
    except ContainerError as error:
        return told, error
    return told, None


def test_a_lost_layer_is_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told, error = built(monkeypatch, tmp_path, ["committing: creating image: layer not known"])
    assert error is None
    assert any("building again" in line for line in told)


def test_but_only_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, error = built(monkeypatch, tmp_path, ["layer not known"] * 2)
    assert error is not None and "layer not known" in error.message


def test_any_other_failure_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told, error = built(monkeypatch, tmp_path, ["no space left on device"])
    assert error is not None and not any("building again" in line for line in told)
