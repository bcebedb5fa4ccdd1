"""BuildRunner: what happens to one configuration, stage by stage. doit's tasks and the Python API call it."""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from finnmake.backends import Backend
from finnmake.blueprint.tables import KERNELS_FIELD, boards
from finnmake.engine.files import digest_listing
from finnmake.engine.folders import remove_tree
from finnmake.engine.paths import portable
from finnmake.engine.realize import Engine, Flow, Listener, StepOutcome, seconds_run
from finnmake.engine.state import StepCall
from finnmake.engine.store import DamagedBlob
from finnmake.errors import BlueprintError, FinnmakeError, StepError, StoreError, from_os_error
from finnmake.exploration.early_stop import broken_limits
from finnmake.exploration.tree import BEFORE_STEPS, links
from finnmake.records import BuildConfig, BuildMetrics, BuildResult, BuildStatus, OutputStage
from finnmake.runner import metrics as collector
from finnmake.runner.modelfile import check_model
from finnmake.runner.outputs import analysis_entry, log_of, place_artifacts, write_json, write_text

_Placed = TypeVar("_Placed")

#: FINN's default for `synth_clk_period_ns`.
_FINN_CLOCK_NS = 10.0


class Names(Protocol):
    """Where the names in a blueprint lead: kind and name -> `module:attribute`."""

    def find(self, kind: str, name: str) -> str | None:
        """The target, or None."""


#: What a step read, as a trace keeps it: `files`, `listings`, `presence`.
Reads = Mapping[str, Any]


@dataclass(frozen=True)
class Realized(Generic[_Placed]):
    """A flow that ended well: its steps, what was placed, and all that was read, the model included."""

    outcomes: list[StepOutcome]
    placed: _Placed
    reads: list[Reads]


@dataclass
class Analyzed:
    """What the analyses of a build came to: all that they read, what failed, whether all reads are known."""

    reads: list[Reads] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    whole: bool = True


class BuildRunner:
    """Builds configurations on one engine. Every stage leaves its files in the configuration's folder."""

    def __init__(
        self,
        backend: Backend,
        engine: Engine,
        project: Path,
        names: Names,
        render: Callable[[Path], str],
        listener: Listener,
    ) -> None:
        self.backend = backend
        self.engine = engine
        self.project = project
        self._names = names
        self._render = render
        self._listener = listener
        self._started: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        #: A failure -> the configuration that met it first; the error is kept so that its id stays its own.
        self._failed_for: dict[int, tuple[str, FinnmakeError]] = {}
        self._lock = threading.Lock()

    def get_backend_name(self) -> str:
        """The backend that this runner builds with."""
        return self.backend.name

    def get_supported_output_stages(self) -> list[OutputStage]:
        """How far it can go."""
        return list(self.backend.output_stages)

    def run(self, config: BuildConfig) -> BuildResult:
        """All stages, one after another; failures are in the result, not raised."""
        try:
            self.preprocess(config)
            self.build(config)
            self.collect_metrics(config)
            self.analyze(config)
            self.report(config)
            return self.finish(config)
        except FinnmakeError as error:
            return self.fail(config, error)
        except OSError as error:
            return self.fail(config, from_os_error(error))

    # stages

    def preprocess(self, config: BuildConfig) -> list[Reads]:
        """Apply the `pre_proc` transforms: model.onnx, processed_model.onnx."""
        self._begin(config)
        check_model(self.project / config.model_path)
        calls = self.calls(config)[: len(config.transforms_by_stage.get(BEFORE_STEPS, []))]
        folder = self.project / config.output_dir

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            last = outcomes[-1].state.model if outcomes else flow.model
            self.engine.store.place(flow.model, folder / "model.onnx")
            self.engine.store.place(last, folder / "processed_model.onnx")

        return self._realize(config, calls, place).reads

    def segment(self, config: BuildConfig, depth: int) -> tuple[Realized[None] | None, str | None]:
        """Run the first `depth` steps, so that other configurations find what they share in the store.

        A step that fails here is told in words and raises nothing: the builds of those that share it will
        say so, and it may be this configuration's alone.
        """
        self._begin(config)
        try:
            return self._realize(config, self.calls(config)[:depth], lambda *_: None), None
        except StepError as error:
            self._blame(config, error)
            return None, str(error)

    def estimate(self, config: BuildConfig, depth: int) -> Realized[None]:
        """Run the first `depth` steps and read FINN's estimates: estimate.json."""
        self._begin(config)
        folder = self.project / config.output_dir

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            with tempfile.TemporaryDirectory(prefix="finnmake-") as made:
                place_artifacts(self.engine.store, outcomes, Path(made) / "artifacts", False)
                found, _ = self._metrics(config, Path(made))
            write_json(folder / "estimate.json", found.to_dict())

        return self._realize(config, self.calls(config)[:depth], place)

    def build(self, config: BuildConfig) -> Realized[dict[str, str]]:
        """Run FINN: artifacts/, final_model.onnx, config.json, manifest.json, build.log; gives the artifacts.

        Nothing of an earlier build is replaced before the last step has ended well.
        """
        self._begin(config)
        folder = self.project / config.output_dir
        checkpoints = bool(config.config_flags.get("save_intermediate_models", True))

        def place(flow: Flow, outcomes: list[StepOutcome]) -> dict[str, str]:
            store = self.engine.store
            artifacts = place_artifacts(store, outcomes, folder / "artifacts", checkpoints)
            store.place(outcomes[-1].state.model, folder / "final_model.onnx")
            write_json(folder / "config.json", config.to_dict())
            write_json(folder / "manifest.json", self._manifest(config, flow, outcomes, artifacts))
            write_text(folder / "build.log", log_of(store, outcomes))
            return artifacts

        return self._realize(config, self.calls(config), place)

    def build_folders(self, done: Realized[Any]) -> list[Path]:
        """The files of the build folders that the final model points into (generated code)."""
        store = self.engine.store
        return [
            store.work / name / file
            for name, listing in (done.outcomes[-1].state.work.items() if done.outcomes else ())
            for file in store.read_tree(listing)
        ]

    def collect_metrics(self, config: BuildConfig) -> BuildMetrics:
        """Read FINN's reports: metrics.json."""
        found, _ = self._metrics(config)
        write_json(self.project / config.output_dir / "metrics.json", found.to_dict())
        return found

    def _metrics(self, config: BuildConfig, folder: Path | None = None) -> tuple[BuildMetrics, list[str]]:
        """The figures in FINN's reports, in the build's folder or another, and warnings about them."""
        return collector.collect(
            (folder or self.project / config.output_dir) / "artifacts" / "report",
            fpga_part=_part(config),
            synth_clk_period_ns=float(config.config_flags.get("synth_clk_period_ns", _FINN_CLOCK_NS)),
            simulated=self.backend.simulated,
        )

    def analyze(self, config: BuildConfig) -> Analyzed:
        """Run the `post_proc` analyses: postprocessing/<name>.json. A failing one is a warning."""
        folder = self.project / config.output_dir
        done = Analyzed()
        wanted = {_named(entry, "name")[0] for entry in config.transforms_by_stage.get("post_proc", [])}
        for left in (folder / "postprocessing").glob("*.*"):
            if left.stem not in wanted:
                left.unlink()  # of an analysis that the blueprint no longer has
        for entry in config.transforms_by_stage.get("post_proc", []):
            try:
                done.reads += self._analyze(config, entry, folder)
            except StepError as error:
                done.warnings.append(f"analysis {error.step}: {error.message}")
                done.whole = done.whole and error.reads is not None
                done.reads += [error.reads] if error.reads is not None else []
        write_json(folder / "postprocessing" / "warnings.json", done.warnings)
        return done

    def _analyze(self, config: BuildConfig, entry: Any, folder: Path) -> list[Reads]:
        calls = self.calls(config)
        name, parameters = _named(entry, "name")
        given = {
            "parameters": parameters,
            "config": config.to_dict(),
            "metrics": json.loads((folder / "metrics.json").read_text()),
        }
        call = StepCall(name, "analysis", self._target("analysis", name), given, len(calls))
        target = folder / "postprocessing" / f"{name}.json"
        log = target.with_suffix(".log")

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            store = self.engine.store
            store.place(analysis_entry(store, outcomes[-1]), target)
            log.unlink(missing_ok=True)

        try:
            return self._realize(config, [*calls, call], place, log).reads
        except StepError:
            target.unlink(missing_ok=True)  # it would pass for the result of this build
            raise

    def report(self, config: BuildConfig) -> list[Reads]:
        """Write report.html from the JSON files; gives the analyses' files that it shows."""
        folder = self.project / config.output_dir
        analyses = folder / "postprocessing"
        shown = {self._name(path): self.engine.digests.digest(path) for path in analyses.glob("*.json")}
        listings = {self._name(analyses): digest_listing(analyses)}
        write_text(folder / "report.html", self._render(folder))
        return [{"files": shown, "listings": listings, "presence": {}}]

    def _name(self, path: Path) -> str:
        return portable(str(path), str(self.project))

    def finish(self, config: BuildConfig) -> BuildResult:
        """Write result.json for a build that went well."""
        folder = self.project / config.output_dir
        result = self._result(config, BuildStatus.SUCCESS)
        result.metrics, warnings = self._metrics(config)
        warnings += json.loads((folder / "postprocessing" / "warnings.json").read_text())
        warnings += broken_limits(config.global_config.get("limits", ()), result.metrics)
        result.artifacts = {
            name: name for name in ("final_model.onnx", "manifest.json", "report.html", "artifacts")
        }
        result.logs = {"build": "build.log"}
        result.warnings = warnings
        result.complete(BuildStatus.SUCCESS, time.time())
        write_json(folder / "result.json", result.to_dict())
        return result

    def fail(self, config: BuildConfig, error: FinnmakeError) -> BuildResult:
        """Write result.json for a build that failed; outputs of earlier builds stay.

        It is SKIPPED where the step failed for another configuration and did not run again for this one.
        """
        first = self._blame(config, error)
        if first != config.id and isinstance(error, StepError):
            shared = f"not built: {error.step}, which it shares with {first}, failed there: {error.message}"
            result = self._result(config, BuildStatus.SKIPPED)
            status, message = BuildStatus.SKIPPED, shared
        else:
            timed_out = isinstance(error, StepError) and error.timed_out
            status, message = BuildStatus.TIMEOUT if timed_out else BuildStatus.FAILED, str(error)
            result = self._result(config, status)
        result.error_category = error.category
        result.tips = [error.cure] if error.cure else []
        own_log = isinstance(error, StepError) and error.log is not None and first == config.id
        result.logs = {"build": "build.log"} if own_log else {}
        result.complete(status, time.time(), message)
        write_json(self.project / config.output_dir / "result.json", result.to_dict())
        return result

    def skip(self, config: BuildConfig, reason: str, metrics: BuildMetrics | None) -> BuildResult:
        """Write result.json for a configuration that is not built further, for a reason in words."""
        result = self._result(config, BuildStatus.SKIPPED)
        result.metrics = metrics
        result.complete(BuildStatus.SKIPPED, time.time(), reason)
        write_json(self.project / config.output_dir / "result.json", result.to_dict())
        return result

    def _blame(self, config: BuildConfig, error: FinnmakeError) -> str:
        """The configuration for which this very failure happened first."""
        with self._lock:
            return self._failed_for.setdefault(id(error), (config.id, error))[0]

    def failure_of(self, config_id: str) -> FinnmakeError | None:
        """What failed for this configuration first, be it on behalf of others."""
        with self._lock:
            return next((error for first, error in self._failed_for.values() if first == config_id), None)

    # what the stages share

    def calls(self, config: BuildConfig) -> list[StepCall]:
        """The whole flow of a configuration: `pre_proc` transforms, then the steps.

        Raises BlueprintError for a configuration of another backend: its outputs would bear the wrong name.
        """
        if config.backend != self.backend.name:
            raise BlueprintError(
                f"{config.id} is for the backend {config.backend}, this runner for {self.backend.name}",
                cure="Make the build runner for the backend of the design space.",
            )
        wanted = [
            (kind, *_named(entry, "name" if kind == "transform" else "step")) for kind, entry in links(config)
        ]
        return [
            StepCall(name, kind, self._target(kind, name), parameters, position)
            for position, (kind, name, parameters) in enumerate(wanted)
        ]

    def _target(self, kind: str, name: str) -> str:
        target = self._names.find(kind, name)
        if target is None:
            raise StepError(name, f"there is no {kind} of this name any more", category="config")
        return target

    def _result(self, config: BuildConfig, status: BuildStatus) -> BuildResult:
        started = self._begin(config)
        return BuildResult(config.id, status, start_time=started, simulated=self.backend.simulated)

    def _begin(self, config: BuildConfig) -> float:
        with self._lock:
            return self._started.setdefault(config.id, time.time())

    def _realize(
        self,
        config: BuildConfig,
        calls: Sequence[StepCall],
        place: Callable[[Flow, list[StepOutcome]], _Placed],
        log: Path | None = None,
    ) -> Realized[_Placed]:
        """Realize the calls and place what came of them; what turns out damaged is made again first.

        What a failing step printed becomes `log`, build.log where it is not given.
        """
        model = self.project / config.model_path
        rounds = itertools.count()
        while True:
            outcomes: list[StepOutcome] = []
            flow = Flow(
                calls,
                self.engine.store.put_file(model),
                flags_of(config),
                float(config.global_config["timeout_seconds"]),
                self._budget(config),
            )
            try:
                with self._timed(config, outcomes):
                    self.engine.realize(flow, self._listener, outcomes)
                return Realized(outcomes, place(flow, outcomes), self._reads(config, flow, outcomes))
            except DamagedBlob as damaged:
                found = self.engine.discard(damaged) or damaged.ref == flow.model
                if not found or next(rounds) > len(calls):  # a step may damage its own input each time
                    raise StoreError(
                        f"blob {damaged.ref} is missing from the store and nothing tells how to make it",
                        cure="Move the store away, or set FINNMAKE_STORE to an empty folder.",
                    ) from damaged
            except StepError as error:
                self._keep_failure(log or self.project / config.output_dir / "build.log", outcomes, error)
                raise

    def _budget(self, config: BuildConfig) -> float | None:
        """Seconds that all steps of a build that are still to run may take together; None without a limit."""
        limit = config.global_config.get("build_timeout_seconds")
        return None if limit is None else limit - self._spent.get(config.id, 0.0)

    @contextmanager
    def _timed(self, config: BuildConfig, outcomes: Sequence[StepOutcome]) -> Iterator[None]:
        """The steps that run inside count as time that the build has spent; waiting for others does not."""
        try:
            yield
        finally:
            with self._lock:
                self._spent[config.id] = self._spent.get(config.id, 0.0) + seconds_run(outcomes)

    def _reads(self, config: BuildConfig, flow: Flow, outcomes: Sequence[StepOutcome]) -> list[Reads]:
        """What the steps read, the model first: as it was when it was taken, whatever it is now."""
        model = {"files": {config.model_path: flow.model[:64]}, "listings": {}, "presence": {}}
        return [model, *(outcome.trace["reads"] for outcome in outcomes)]

    def _keep_failure(self, log: Path, outcomes: Sequence[StepOutcome], error: StepError) -> None:
        """Make the failed step's log the end of `log`; of several builds that of the first."""
        with self._lock:
            if error.log is None or not error.log.is_absolute():
                return
            write_text(log, log_of(self.engine.store, outcomes, error))
            remove_tree(error.log)  # whatever the step has put in its place
            error.log = log.relative_to(self.project)

    def _manifest(
        self,
        config: BuildConfig,
        flow: Flow,
        outcomes: Sequence[StepOutcome],
        artifacts: Mapping[str, str],
    ) -> dict[str, Any]:
        """Provenance: all that went in, what came out, and by which keys. The same for the same build."""
        inputs: dict[str, str | None] = {config.model_path: flow.model[:64]}
        for outcome in outcomes:
            inputs.update(outcome.trace["reads"]["files"])
        return {
            "config_id": config.id,
            "content_id": config.content_id,
            "blueprint": config.design_space_id,
            "backend": config.backend,
            "simulated": self.backend.simulated,
            "model": {"path": config.model_path, "sha256": flow.model[:64]},
            "inputs": inputs,
            "steps": [
                {
                    "name": outcome.call.name,
                    "kind": outcome.call.kind,
                    "target": outcome.call.target,
                    "parameters": dict(outcome.call.parameters),
                    "action_key": outcome.key,
                    "fields": outcome.trace["reads"]["fields"],
                    "output": outcome.state.model[:64],
                }
                for outcome in outcomes
            ],
            "outputs": {name: entry[:64] for name, entry in artifacts.items()},
            "toolchain": dict(self.engine.toolchain.parts),
        }


def flags_of(config: BuildConfig) -> dict[str, Any]:
    """The flags of a configuration's flow: FINN's fields, and the kernels where any are chosen."""
    backends = {kernel: list(chosen) for kernel, chosen in config.kernels}
    kernels = {
        kernel: {
            "backends": backends.get(kernel, []),
            "attributes": dict(config.kernel_attributes.get(kernel, {})),
        }
        for kernel in sorted(backends.keys() | config.kernel_attributes.keys())
    }
    return {**config.config_flags, **({KERNELS_FIELD: kernels} if kernels else {})}


def _named(entry: Any, key: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of an entry in the blueprint: `X`, or `{name: X, parameters: {…}}`."""
    if isinstance(entry, str):
        return entry, {}
    rest = {name: value for name, value in entry.items() if name != key}
    return entry[key], rest.get("parameters", rest)


def _part(config: BuildConfig) -> str | None:
    """The FPGA part, which FINN also takes from the board."""
    part: str | None = config.config_flags.get("fpga_part")
    return part or boards().get(config.config_flags.get("board", ""))
