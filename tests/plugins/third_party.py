"""Packages of third parties, and environments of their own to install them in, beside the real toolchain."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.projects import Project


def put(site: Path, name: str, version: str, entries: Mapping[str, str], **modules: str) -> None:
    """Put a package into a folder of installed packages, as pip would; modules by name, `__` for a dot."""
    for module, text in modules.items():
        path = site / f"{module.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[finnmake.plugins]", *lines, ""]))
    files = [path for path in sorted(site.rglob("*")) if path.is_file() and path != info / "RECORD"]
    record = [f"{path.relative_to(site).as_posix()},," for path in files]
    (info / "RECORD").write_text("\n".join([*record, f"{info.name}/RECORD,,", ""]))
    importlib.invalidate_caches()


@dataclass(frozen=True)
class Source:
    """The source of a package: a folder with pyproject.toml and one module or package."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, files: Mapping[str, str]) -> Source:
        """Write it out, from the text of its files by their names."""
        source = cls(folder)
        for name, text in files.items():
            source.change(name, text)
        return source

    def change(self, name: str, text: str) -> None:
        """Write one of its files."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Environment:
    """A virtual environment that holds the toolchain of the one that runs the tests, by links, and more."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin/python"
        self.site = folder / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            (self.site / entry.name).symlink_to(entry)

    def install(self, source: Source, *options: str) -> None:
        """Install a package from its source, by pip, without a network."""
        pip = [self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        alone = ["--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall"]
        done = subprocess.run(
            [*pip, *alone, *options, source.folder],
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def project(self, folder: Path) -> Project:
        """A fresh project whose command line runs in this environment."""
        project = Project.clone(folder / "project", folder / "store")
        project.python = str(self.python)
        return project
