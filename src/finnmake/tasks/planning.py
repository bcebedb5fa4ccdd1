"""What a build would do now: tasks that are not up to date, and of their steps those that would run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.explain_flow import RUN, STORE, UNKNOWN, Foreseen, Foresight
from finnmake.engine.explain_store import StoreView
from finnmake.engine.history import History
from finnmake.engine.realize import Flow
from finnmake.engine.state import StepCall
from finnmake.errors import ModelError
from finnmake.exploration.tree import AFTER_STEPS, BEFORE_STEPS, estimates_at
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig
from finnmake.runner.at_once import WHOLE
from finnmake.runner.build import figures_of
from finnmake.runner.flow import call_of, calls_of, flags_of
from finnmake.runner.modelfile import check_model
from finnmake.runner.postprocessing import given, named_models
from finnmake.runner.reports import read_json
from finnmake.tasks.standing import FOLLOWS, FRESH, STALE, Standing
from finnmake.tasks.workspace import Workspace

#: Where FINN's reports are in its output folder.
_REPORTS = "report/"


@dataclass(frozen=True)
class PlannedStep:
    """A step of a configuration or segment.

    Attributes:
        name: as the blueprint writes it.
        how: `run`, `from the store`, or `unknown`.
        after: for what is unknown, the step that must have run first.
        shared: whether it is the same as one of another configuration before it, which runs it.
        seconds: what it is expected to take; None where nothing tells.
    """

    name: str
    how: str
    after: str = ""
    shared: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Planned:
    """One configuration, or a segment none of whose configurations has anything to run.

    Attributes:
        name: its id.
        stale: its tasks that run in any case.
        follows: its tasks that run where one before them leaves something else than before.
        steps: the steps that those tasks walk through.
        problem: what keeps it from being foretold; else empty.
    """

    name: str
    stale: tuple[str, ...]
    follows: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Attributes:
        planned: what is not up to date.
        up_to_date: how many configurations asked for are.
        simulated: whether the backend makes its results up.
    """

    planned: tuple[Planned, ...]
    up_to_date: int
    simulated: bool

    def steps(self, how: str) -> list[PlannedStep]:
        """All steps of which that is said, those that are shared once."""
        return [step for each in self.planned for step in each.steps if step.how == how and not step.shared]

    def seconds(self, how: str) -> float:
        """What these steps are expected to take together, one after another."""
        return sum(step.seconds or 0.0 for step in self.steps(how))

    @property
    def without_seconds(self) -> int:
        """How many steps that run, or may, have never run before, so that no time is known."""
        return sum(step.seconds is None for how in (RUN, UNKNOWN) for step in self.steps(how))


class Planner:
    """Foretells the steps of configurations.

    Args:
        standing: how the tasks stand.
    """

    def __init__(self, ws: Workspace, standing: Standing) -> None:
        self._ws = ws
        self._standing = standing
        self.store = StoreView(ws.places.store).look()
        self.foresight = Foresight(self.store, ws.root, ws.toolchain, ws.digests, ws.fixed)
        self._history = History(self.store, ws.backend.adapter)
        self._groups: set[str] = set()
        self._running: set[str] = set()

    def plan(self) -> Plan:
        """The plan for all tasks asked for."""
        by_config: dict[str, list[str]] = {}
        segments: list[str] = []
        for name in self._standing.order:
            group, _, owner = name.partition(":")
            if group == "segment":
                segments.append(owner)
            else:
                by_config.setdefault(owner, []).append(name)
        found = [self._config(owner, names) for owner, names in by_config.items()]
        planned = [each for each in found if each.stale or each.follows]
        planned += self._segments(segments, {each.name for each in planned if each.steps})
        return Plan(tuple(planned), len(found) - sum(each in planned for each in found), self._simulated)

    @property
    def _simulated(self) -> bool:
        return self._ws.backend.simulated

    def _config(self, owner: str, names: Sequence[str]) -> Planned:
        stale = tuple(name for name in names if self._standing.stands(name) == STALE)
        follows = tuple(name for name in names if self._standing.stands(name) == FOLLOWS)
        if not stale and not follows:
            return Planned(owner, (), (), ())
        groups = {name.partition(":")[0] for name in (*stale, *follows)}
        steps, problem = self._steps(self._ws.site(owner).config, groups)
        return Planned(owner, stale, follows, steps, problem)

    def _steps(self, config: BuildConfig, groups: set[str]) -> tuple[tuple[PlannedStep, ...], str]:
        try:
            check_model(self._ws.root / config.model_path)
        except ModelError as error:
            return (), str(error)
        self._learn(config)
        return tuple(self._told(self.foresee(config, groups))), ""

    def foresee(self, config: BuildConfig, groups: Iterable[str]) -> list[Foreseen]:
        """What becomes of the steps that tasks of these groups walk through."""
        first = len(config.transforms_by_stage.get(BEFORE_STEPS, []))
        if "finn" in groups or "analyze" in groups:
            walked = self.walk(config, None, placed="finn" in groups)
            return walked + (self._analyses(config, walked) if "analyze" in groups else [])
        if "estimate" in groups:
            return self.walk(config, estimates_at(config))
        return self.walk(config, first) if "preprocess" in groups else []

    def walk(self, config: BuildConfig, depth: int | None, placed: bool = True) -> list[Foreseen]:
        """What becomes of the first `depth` steps.

        Args:
            placed: whether what they leave is put into the configuration's folder.
        """
        flow = self._flow(config, depth)

        def needed(walked: Sequence[Foreseen]) -> Iterator[str]:
            last = walked[-1].after if walked else None
            if last is not None:
                yield from self._restored(last.work)
            if not placed or last is None:
                return
            yield last.model
            yield from (entry.removesuffix("+x") for entry in self.store.read_tree(last.tree).values())
            if depth is None and config.config_flags.get("save_intermediate_models", True):
                yield from (each.after.model for each in walked if each.call.kind == "step" and each.after)

        return self.foresight.look(flow, needed)

    def _flow(self, config: BuildConfig, depth: int | None) -> Flow:
        ws = self._ws
        calls = calls_of(config, ws.backend, ws.names, ws.digests, depth)
        path = ws.root / config.model_path
        model = f"{ws.digests.digest(path)}-{path.stat().st_size}"
        return Flow(calls, model, flags_of(config), 0.0)

    def _restored(self, work: Mapping[str, str]) -> Iterator[str]:
        """Blobs of build folders whose files are not there."""
        for name, listing in work.items():
            for file, entry in self.store.read_tree(listing).items():
                if not (self.store.work / name / file).exists():
                    yield entry.removesuffix("+x")

    def _analyses(self, config: BuildConfig, walked: Sequence[Foreseen]) -> list[Foreseen]:
        ws, entries = self._ws, config.transforms_by_stage.get(AFTER_STEPS, [])
        flow = self._flow(config, None)
        whole = all(each.how == STORE for each in walked)
        calls = [call_of("analysis", entry, ws.names, ws.digests, position=len(walked)) for entry in entries]
        if not whole or not calls:
            return [self._behind(call, walked) for call in calls]
        after = [(each.call, each.after.model) for each in walked if each.after is not None]
        models = named_models(flow.model, after, len(config.transforms_by_stage.get(BEFORE_STEPS, [])))
        figures = self._metrics(config, walked)
        found = []
        for call in calls:
            told = given(call, config, figures, models)
            again = Flow([*flow.calls, told], flow.model, flow.flags, 0.0)
            found.append(self.foresight.look(again, _last_tree)[-1])
        return found

    def _behind(self, call: StepCall, walked: Sequence[Foreseen]) -> Foreseen:
        """An analysis of a build of which not all steps are known."""
        return Foreseen(
            call, UNKNOWN, "", None, None, digest_value("behind", [walked[-1].group, call.to_dict()])
        )

    def _metrics(self, config: BuildConfig, walked: Sequence[Foreseen]) -> Any:
        """What metrics.json will hold, from the reports that come from the store."""
        last = walked[-1].after if walked else None
        with tempfile.TemporaryDirectory(prefix="finnmake-") as folder:
            for name, entry in (self.store.read_tree(last.tree) if last else {}).items():
                if name.startswith(_REPORTS):
                    path = Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(self.store.read(entry.removesuffix("+x")))
            found, _ = figures_of(config, Path(folder, _REPORTS), self._simulated)
        return found.to_dict()

    def _segments(self, segments: Sequence[str], planned: set[str]) -> Iterator[Planned]:
        """Segments to run of which no configuration's own steps tell."""
        for owner in segments:
            name = f"segment:{owner}"
            segment = self._ws.tree.by_id[owner]
            if self._standing.stands(name) == FRESH or planned.intersection(segment.config_ids):
                continue
            config = self._ws.site(self._ws.leader(segment)).config
            walked = self.walk(config, self._ws.tree.depth(owner), placed=False)
            if self._ws.backend.calls:
                walked = [each for each in walked if each.call.kind != WHOLE]
            yield Planned(name, (name,), (), tuple(self._told(walked)))

    def _told(self, walked: Sequence[Foreseen]) -> Iterator[PlannedStep]:
        after = ""
        for each in walked:
            if each.how == STORE:
                yield PlannedStep(each.call.name, STORE)
                continue
            expected = self._history.expected(each.call)
            seconds = None if expected is None else expected.seconds
            shared = each.group in self._groups
            # Which fields it reads is known when another configuration has run it: it may be the same.
            perhaps = each.how == RUN and each.guessed and each.key in self._running and not shared
            after = each.call.name if each.how == RUN else after
            how = UNKNOWN if perhaps else each.how
            yield PlannedStep(each.call.name, how, after if how == UNKNOWN else "", shared, seconds)
            self._groups.add(each.group)
            self._running.add(each.key)

    def _learn(self, config: BuildConfig) -> None:
        """Which fields the steps of the last build read: two configurations alike in these share them."""
        found, _ = read_json(self._ws.site(config.id).folder / "manifest.json")
        steps = found.get("steps") if isinstance(found, dict) else None
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, dict) and isinstance(step.get("fields"), dict):
                self.foresight.learn(str(step.get("target")), step["fields"])


def _last_tree(walked: Sequence[Foreseen]) -> Iterator[str]:
    """What an analysis leaves."""
    after = walked[-1].after
    return iter(()) if after is None else iter([after.tree])
