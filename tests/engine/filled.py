"""Fills stores with results of steps, and projects with manifests of builds, without running anything."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.engine.roots import note
from finnmake.engine.state import State, StepCall, action_key
from finnmake.engine.store import DamagedBlob, Store
from finnmake.hashing import digest_value

PARTS = {"python": "3"}
TOOLCHAIN = digest_value("toolchain", PARTS)
DAY = 86400.0


def step_call(name: str, position: int, kind: str = "step", inputs: dict[str, str] | None = None) -> StepCall:
    return StepCall(name, kind, f"m:{name}", {}, position, inputs=inputs or {})


@dataclass
class Made:
    """A flow in the store: its traces, and what a manifest says of its steps."""

    traces: list[Path] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    model: str = ""
    after: State | None = None


def add(
    store: Store, call: StepCall, before: State, value: int, age: float, files: dict[str, str] | None = None
) -> tuple[Path, str, State]:
    """A result of one step, last used `age` days ago: its trace, key and state; it has files and a log."""
    key = action_key(call, before, TOOLCHAIN)
    text = f"{key} {value}".encode()
    name = digest_value("work", text.decode())[:32]
    work = dict(before.work)
    if value % 2:
        (store.work / name).mkdir(exist_ok=True)
        (store.work / name / "gen.c").write_bytes(text)
        work[name] = store.put_tree({"gen.c": store.put_bytes(text)})
    tree = {**store.read_tree(before.tree), f"report/{call.name}": store.put_bytes(b"r" + text)}
    after = State(store.put_bytes(b"m" + text), store.put_tree(tree), work)
    source = store.put_bytes(b"source of %d" % value)
    trace = {
        "step": call.to_dict(),
        "reads": {
            "fields": {"a": [value]},
            "files": {"plugins/p.py": source[:64], "none": None, **(files or {})},
            "listings": {},
            "presence": {},
        },
        "output": after.to_dict(),
        "info": {"seconds": 1.0, "peak_rss_kb": 1, "log": store.put_bytes(b"log" + text)},
    }
    path = store.add_trace(key, trace)
    used = time.time() - age * DAY
    os.utime(path, (used, used))
    return path, key, after


def flow(store: Store, depth: int, value: int, age: float, analysis: bool = False) -> Made:
    """A flow of so many steps, used `age` days ago; from the third on `value` tells it from others."""
    made = Made(model=store.put_bytes(b"the model"))
    state = State(made.model, store.put_tree({}))
    for position in range(depth):
        call = step_call(f"s{position}", position)
        path, key, state = add(store, call, state, value if position > 1 else 0, age)
        said = json.loads(path.read_bytes())["reads"]["fields"]
        made.traces.append(path)
        made.steps.append({"action_key": key, "fields": said, "output": state.model[:64]})
    if analysis:
        inputs = {"original.onnx": made.model, "after/x.onnx": state.model}
        path, _, state = add(store, step_call("look", depth, "analysis", inputs), state, value, age)
        made.traces.append(path)
    made.after = state
    return made


def manifest(project: Path, config: str, made: Made) -> Path:
    """A build of a project that took this flow."""
    path = project / "builds" / "b" / config / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "steps": made.steps,
        "model": {"path": "x", "sha256": made.model[:64]},
        "inputs": {"x": made.model[:64]},
        "outputs": {},
        "toolchain": PARTS,
    }
    path.write_text(json.dumps(told))
    return path


def project(store: Store, path: Path) -> Path:
    """A project's folder, noted in the store."""
    path.mkdir(parents=True, exist_ok=True)
    note(store, path)
    return path


def traces(store: Store) -> set[Path]:
    return set(store.actions.glob("*/*/*/*.json"))


def whole(store: Store, path: Path) -> bool:
    """Whether a trace and all that it refers to is there and right, its log and build folders included."""
    found = store.trace(path.parents[1].name, f"{path.parent.name}/{path.name}")
    if found is None:
        return False
    said = found[1]
    after = State.from_dict(said["output"])
    try:
        refs = [after.model, said["info"]["log"], *said["step"]["inputs"].values()]
        for listing in (after.tree, *after.work.values()):
            refs += store.read_tree(listing).values()
        contents = [store.read(ref) for ref in refs]
    except DamagedBlob:
        return False
    files = [sha for sha in said["reads"]["files"].values() if sha]
    return (
        len(contents) == len(refs)
        and all((store.work / name).is_dir() for name in after.work)
        and all(store.blob_path(sha).exists() for sha in files)
    )
