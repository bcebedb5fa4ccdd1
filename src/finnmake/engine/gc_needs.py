"""What the builds of projects need of a store: told by their manifests and segment files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.engine.state import State, StepCall, action_key
from finnmake.hashing import canonical_json, digest_value

#: What a step of a build is known by beside its key: its fields as JSON, SHA-256 of the model it left.
Taken = tuple[bytes, str]


@dataclass
class Needs:
    """What must stay.

    Attributes:
        steps: action key -> the results of that action that builds took.
        segments: action keys of which segment files tell, but not which result was taken.
        files: SHA-256 of inputs and outputs.
        ends: the key of each build's last step -> with what results and which toolchains it was taken.
        builds: so many manifests.
        unreadable: what could not be read.
    """

    steps: dict[str, set[Taken]] = field(default_factory=dict)
    segments: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    ends: dict[str, set[tuple[Taken, str]]] = field(default_factory=dict)
    builds: int = 0
    unreadable: list[Path] = field(default_factory=list)

    def add_project(self, project: Path, without: Collection[Path], told: Callable[[str, int], None]) -> None:
        """Take in all builds of a project.

        Args:
            without: folders of builds, and segment files, that are going to be removed.
            told: told how many builds are read.
        """
        for path in _entries(project / "builds", self.unreadable):
            for folder in _entries(path, self.unreadable):
                if folder.name == "segments":
                    self._add_segments(folder, without)
                elif folder not in without:
                    self._add_manifest(folder / "manifest.json")
                    told("reading the manifests of builds", self.builds)

    def _add_segments(self, folder: Path, without: Collection[Path]) -> None:
        for path in _entries(folder, self.unreadable):
            if path not in without and path.suffix == ".json":
                keys = (self._read(path) or {}).get("action_keys")
                self.segments.update(str(key) for key in keys if keys) if isinstance(keys, list) else None

    def _add_manifest(self, path: Path) -> None:
        found = self._read(path)
        if found is None:
            return
        try:
            steps = [(str(step["action_key"]), _taken(step)) for step in found["steps"]]
            files = [found["model"]["sha256"], *found["inputs"].values(), *found["outputs"].values()]
            toolchain = digest_value("toolchain", found["toolchain"])
        except (KeyError, TypeError, AttributeError):
            self.unreadable.append(path)
            return
        self.builds += 1
        self.files.update(str(each) for each in files if each)
        for key, taken in steps:
            self.steps.setdefault(key, set()).add(taken)
        if steps:
            key, taken = steps[-1]
            self.ends.setdefault(key, set()).add((taken, toolchain))

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.unreadable.append(path)
            return None
        if not isinstance(found, dict):
            self.unreadable.append(path)
            return None
        return found


def _taken(step: Mapping[str, Any]) -> Taken:
    return canonical_json(step["fields"]), str(step["output"])


def taken_of(trace: Mapping[str, Any], after: State) -> Taken:
    """What a build that took this trace says of the step."""
    return canonical_json(trace["reads"]["fields"]), after.model[:64]


def _entries(folder: Path, unreadable: list[Path]) -> Iterator[Path]:
    """What lies in a folder, hidden files aside; nothing where there is none."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        unreadable.append(folder)
        return
    yield from (folder / name for name in names if not name.startswith("."))


@dataclass
class Ends:
    """The states with which builds end: analyses start from there, and manifests do not tell of them."""

    states: dict[str, list[tuple[State, str]]] = field(default_factory=dict)

    def add(self, after: State, toolchain: str) -> None:
        """A build ended so."""
        self.states.setdefault(after.model, []).append((after, toolchain))

    def starts(self, key: str, step: Mapping[str, Any]) -> bool:
        """Whether an action is an analysis of one of these builds."""
        call = StepCall.from_dict(step)
        return any(
            action_key(call, state, toolchain) == key
            for model in set(call.inputs.values())
            for state, toolchain in self.states.get(model, ())
        )
