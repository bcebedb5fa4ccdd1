"""Why a task would run: everything in which now differs from what the task's last run used and left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.explain import Comparison, Difference, nearest, parts, steps_changed, without_echoes
from finnmake.engine.explain_flow import RUN, Foreseen
from finnmake.engine.paths import absolute, portable
from finnmake.exploration.tree import AFTER_STEPS, links
from finnmake.hashing import canonical_json, digest_value
from finnmake.records import BuildConfig, BuildStatus
from finnmake.runner.flow import flags_of, named
from finnmake.runner.reports import read_json
from finnmake.tasks.fresh import output_as_left
from finnmake.tasks.planning import Planner
from finnmake.tasks.standing import FRESH, STALE, Standing
from finnmake.tasks.workspace import Workspace

#: Groups whose tasks walk through steps.
_STEPPED = ("preprocess", "segment", "estimate", "finn", "analyze")

#: What tells one configuration from another and is no input.
IDENTITY = ("id", "output_dir", "combination_index", "total_combinations", "design_space_id")

#: Parts of a configuration that are compared as the steps that come of them.
_STEPS = ("build_steps", "transforms_by_stage")


@dataclass(frozen=True)
class StepReason:
    """Why the first step of a task that runs does.

    Attributes:
        name, position, count: of the step in the flow, 1-based.
        differences: in what it differs from the nearest run of it before.
    """

    name: str
    position: int
    count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Reason:
    """Why one task would run, or would not.

    Attributes:
        task: its name.
        stands: how it stands, see `standing`.
        differences: what is not as it was; empty where it runs for tasks before it alone, or not at all.
        because: tasks before it that would run, the nearest ones.
        step: the first of its steps that would run; None where none does, or it has none.
        near: of a configuration that was never built, the one most like it that was.
        unlike: in what that one differs.
        uses: of a task that is up to date, how many files it depends on and which.
    """

    task: str
    stands: str
    differences: tuple[Difference, ...] = ()
    because: tuple[str, ...] = ()
    step: StepReason | None = None
    near: str = ""
    unlike: tuple[Difference, ...] = ()
    uses: tuple[str, ...] = ()


class Reasons:
    """Finds out why tasks would run."""

    def __init__(self, ws: Workspace, standing: Standing, planner: Planner) -> None:
        self._ws = ws
        self._standing = standing
        self._planner = planner
        self._comparison = Comparison(planner.store, ws.root, ws.digests)

    def of(self, name: str) -> Reason:
        """Why that task would run."""
        stands = self._standing.stands(name)
        because = tuple(each for each in self._standing.before(name) if self._standing.stands(each) != FRESH)
        if stands == FRESH:
            return Reason(name, stands, uses=tuple(self._used(name)))
        differences = tuple(self._differences(name)) if stands == STALE else ()
        never = any(each.name == "never" for each in differences if each.kind == "record")
        step = self._step(name) if name.partition(":")[0] in _STEPPED else None
        near, unlike = self._near(self._config(name)) if never else ("", ())
        return Reason(name, stands, differences, because, step, near, unlike)

    def chain(self, name: str) -> list[Reason]:
        """The task, and all tasks before it that would run, the first ones first."""
        found, waiting = {name}, [name]
        while waiting:
            new = [each for each in self._standing.before(waiting.pop()) if each not in found]
            new = [each for each in new if self._standing.stands(each) != FRESH]
            found.update(new)
            waiting += new
        return [self.of(each) for each in self._standing.order if each in found]

    def _config(self, name: str) -> BuildConfig:
        group, _, owner = name.partition(":")
        ws = self._ws
        return ws.site(ws.leader(ws.tree.by_id[owner]) if group == "segment" else owner).config

    def _used(self, name: str) -> Iterator[str]:
        record = self._standing.record(name) or {}
        depends = (portable(path, str(self._ws.root)) for path in self._standing.tasks[name].file_dep)
        yield from sorted({*depends, *record.get("files", ())})

    # a task and its record

    def _differences(self, name: str) -> list[Difference]:
        record = self._standing.record(name)
        if record is None:
            return [self._ended(name)]
        found = [*self._of_whole(name, record), *self._outputs(name, record)]
        found += self._comparison.files({file: sha for file, (_, sha) in record["files"].items()})
        found += self._comparison.listings(record["listings"])
        found += self._comparison.presence(record["presence"])
        found += self._depends(name, record, {each.name for each in found})
        if not found and not self._before_runs(name):
            found.append(Difference("record", "unknown", known=False))
        return without_echoes(found)

    def _ended(self, name: str) -> Difference:
        """Why there is no record: the build was never begun, or did not end well."""
        result, _ = read_json(self._folder(name) / "result.json")
        status = result.get("status") if isinstance(result, dict) else None
        if status in (None, BuildStatus.SUCCESS.value):
            return Difference("record", "never", known=False)
        return Difference(
            "record", "ended", status, str(result.get("error_message") or "").partition("\n")[0]
        )

    def _of_whole(self, name: str, record: Mapping[str, Any]) -> Iterator[Difference]:
        ws = self._ws
        if record["identity"] != ws.toolchain.digest:
            yield from self._toolchain(name, record["identity"])
        if record["content"] != self._standing.content(name):
            yield from self._configuration(name)
        if not record["steady"]:
            yield Difference("record", "unsteady", known=False)
        if record["paths"] not in (None, ws.fixed):
            yield Difference("paths", "of the store and of Python", record["paths"], list(ws.fixed))

    def _toolchain(self, name: str, identity: str) -> list[Difference]:
        told, _ = read_json(self._folder(name) / "manifest.json")
        old = told.get("toolchain") if isinstance(told, dict) else None
        if not isinstance(old, dict) or digest_value("toolchain", old) != identity:
            return [Difference("toolchain", "", known=False)]
        return parts(old, json.loads(canonical_json(dict(self._ws.toolchain.parts))), "toolchain")

    def _folder(self, name: str) -> Path:
        return self._ws.root / self._config(name).output_dir

    def _configuration(self, name: str) -> list[Difference]:
        """What differs in the configuration; where nothing does, finnmake's own modules do."""
        old, _ = read_json(self._folder(name) / "config.json")
        new = self._config(name).to_dict()
        found = config_differences(old, new, ()) if isinstance(old, dict) else []
        return found or [Difference("modules", "", known=False)]

    def _outputs(self, name: str, record: Mapping[str, Any]) -> Iterator[Difference]:
        root = str(self._ws.root)
        outputs = {absolute(each, root): known for each, known in record["outputs"].items()}
        for path in dict.fromkeys([*outputs, *self._standing.tasks[name].targets]):
            if not os.path.exists(path):
                yield Difference("output", portable(path, root), "there", "missing")
            elif path in outputs and not output_as_left(path, outputs[path]):
                yield Difference("output", portable(path, root), "as it was left", "touched")

    def _depends(self, name: str, record: Mapping[str, Any], told: set[str]) -> Iterator[Difference]:
        """Files that doit compares; one that another task is to make again is told there."""
        root = str(self._ws.root)
        now, then = self._standing.tasks[name].file_dep, set(record["depends"])
        for path in sorted(now - then):
            yield Difference("dependency", portable(path, root), None, "used")
        for path in sorted(then - now):
            yield Difference("dependency", portable(path, root), "used", None)
        runs = {target for each in self._before_runs(name) for target in self._standing.tasks[each].targets}
        used = self._standing.depended(name)
        wanted = {
            portable(path, root): used[path]
            for path in sorted(now & then)
            if path not in runs and portable(path, root) not in told
        }
        yield from self._comparison.files(wanted)

    def _before_runs(self, name: str) -> list[str]:
        return [each for each in self._standing.before(name) if self._standing.stands(each) != FRESH]

    # its steps

    def _step(self, name: str) -> StepReason | None:
        group, _, owner = name.partition(":")
        config = self._config(name)
        if group == "segment":
            walked = self._planner.walk(config, self._ws.tree.depth(owner), placed=False)
        else:
            walked = self._planner.foresee(config, {group})
        at = next((at for at, each in enumerate(walked) if each.how == RUN), None)
        if at is None:
            return None
        differences = self._of_step(walked, at, config)
        return StepReason(walked[at].call.name, at + 1, len(walked), tuple(differences))

    def _of_step(self, walked: Sequence[Foreseen], at: int, config: BuildConfig) -> list[Difference]:
        step = walked[at]
        overrides = step.before.overrides if step.before is not None else {}
        flags = {**flags_of(config), **overrides}
        candidates = [
            (found, self._comparison.reads(found.trace["reads"], flags, self._ws.fixed))
            for found in self._planner.foresight.lookup.all(step.key)
        ]
        best = nearest(candidates)
        if best is None:
            return self._unknown_to_store(walked, at, config)
        return best[1] or [Difference("result", step.call.name, known=False)]

    def _unknown_to_store(self, walked: Sequence[Foreseen], at: int, config: BuildConfig) -> list[Difference]:
        """No run of this call on this model is known: in what it differs from that of the last build."""
        manifest, _ = read_json(self._ws.root / config.output_dir / "manifest.json")
        then = manifest.get("steps") if isinstance(manifest, dict) else None
        if not isinstance(then, list) or not then:
            return [Difference("trace", walked[at].call.name, known=False)]
        toolchain = json.loads(canonical_json(dict(self._ws.toolchain.parts)))
        found = parts(manifest.get("toolchain") or {}, toolchain, "toolchain")
        if at == 0:
            new = self._ws.digests.digest(self._ws.root / config.model_path)
            old = manifest.get("model", {}).get("sha256")
            found += [Difference("file", config.model_path, old, new)] if old != new else []
        found += steps_changed(
            [_shown(each) for each in then], [_shown(each.call.to_dict()) for each in walked]
        )
        if not found and at and at < len(then):
            found.append(Difference("model", walked[at - 1].call.name, known=False))
        return found or [Difference("trace", walked[at].call.name, known=False)]

    # a configuration that was never built

    def _near(self, config: BuildConfig) -> tuple[str, tuple[Difference, ...]]:
        """Of the configurations that were built the one most like this, and in what it differs."""
        candidates = []
        for path in sorted(self._ws.folder.glob("*/config.json")):
            old, _ = read_json(path)
            if isinstance(old, dict) and old.get("id") != config.id:
                candidates.append((path.parent.name, config_differences(old, config.to_dict(), IDENTITY)))
        best = nearest(candidates)
        return ("", ()) if best is None else (best[0], tuple(best[1]))


def config_differences(
    old: Mapping[str, Any], new: Mapping[str, Any], without: Sequence[str]
) -> list[Difference]:
    """In what two configurations, as `config.json` has them, differ: fields by name, steps by place.

    Args:
        without: attributes that do not count.
    """
    fields = parts(_map(old.get("config_flags")), _map(new.get("config_flags")), "field")
    left_out = {*without, *_STEPS, "config_flags", "content_id", "simulated"}
    before, after = (
        {name: _named(value) for name, value in each.items() if name not in left_out} for each in (old, new)
    )
    others = parts(before, after, "configuration")
    return [*fields, *others, *steps_changed(_chain(old), _chain(new))]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _named(value: Any) -> Any:
    """Pairs, as kernels are, by their names."""
    if isinstance(value, (list, tuple)) and all(
        isinstance(each, (list, tuple)) and len(each) == 2 for each in value
    ):
        return {str(name): each for name, each in value}
    return value


def _chain(config: Mapping[str, Any]) -> list[str]:
    """Transforms, steps and analyses of a configuration, as text."""
    try:
        record = BuildConfig.from_dict({name: each for name, each in config.items() if name != "simulated"})
        after = [("analysis", each) for each in record.transforms_by_stage.get(AFTER_STEPS, [])]
        return [call_text(*named(kind, entry)) for kind, entry in (*links(record), *after)]
    except (ValueError, KeyError, TypeError):
        return []


def call_text(name: str, parameters: Any) -> str:
    """A step with all its parameters, as text."""
    given = ", ".join(f"{key}={json.dumps(value, sort_keys=True)}" for key, value in _map(parameters).items())
    return f"{name}({given})" if given else name


def _shown(step: Mapping[str, Any]) -> str:
    """A step of a manifest, or a call, as text."""
    return call_text(str(step.get("name")), step.get("parameters"))
