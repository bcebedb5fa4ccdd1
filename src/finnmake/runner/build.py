"""BuildRunner: what happens to one configuration, stage by stage. doit's tasks and the Python API call it."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from finnmake.backends import Backend
from finnmake.engine.files import digest_listing
from finnmake.engine.paths import portable
from finnmake.engine.realize import Engine, Flow, Listener, StepOutcome
from finnmake.errors import FinnmakeError, StepError, from_os_error
from finnmake.exploration.early_stop import broken_limits
from finnmake.records import BuildConfig, BuildMetrics, BuildResult, BuildStatus, OutputStage
from finnmake.runner import metrics as collector
from finnmake.runner.failures import FAILURE_PAGE, log_tail, tell
from finnmake.runner.flow import Names, part_of
from finnmake.runner.manifest import manifest
from finnmake.runner.outputs import log_of, place_artifacts, write_json, write_text
from finnmake.runner.postprocessing import FOLDER, Analyzed, PostprocessingPipeline
from finnmake.runner.preprocessing import PreprocessingPipeline, passed_over
from finnmake.runner.realizer import Reads, Realized, Realizer

#: FINN's default for `synth_clk_period_ns`.
_FINN_CLOCK_NS = 10.0


class Pages(Protocol):
    """The pages that a build leaves, as text."""

    def report(self, folder: Path) -> str:
        """The report of the build in `folder`. Raises WorkspaceError."""

    def failure(self, result: BuildResult, config: BuildConfig) -> str:
        """What went wrong. Raises WorkspaceError."""


def figures_of(config: BuildConfig, reports: Path, simulated: bool) -> tuple[BuildMetrics, list[str]]:
    """The figures of a build in FINN's reports, as metrics.json tells them, and warnings about them."""
    found, warnings = collector.collect(
        reports,
        fpga_part=part_of(config),
        synth_clk_period_ns=float(config.config_flags.get("synth_clk_period_ns", _FINN_CLOCK_NS)),
        simulated=simulated,
    )
    # Also where there is no figure whose source could say so.
    found.raw_metrics.update({"simulated": True} if simulated else {})
    return found, warnings


class BuildRunner:
    """Builds configurations on one engine. Every stage leaves its files in the configuration's folder."""

    def __init__(
        self,
        backend: Backend,
        engine: Engine,
        project: Path,
        names: Names,
        pages: Pages,
        listener: Listener,
    ) -> None:
        self.backend = backend
        self.engine = engine
        self.project = project
        self._realizer = Realizer(backend, engine, project, names, listener)
        self.preprocessing_pipeline = PreprocessingPipeline(self._realizer)
        self.postprocessing_pipeline = PostprocessingPipeline(self._realizer)
        self._pages = pages
        self._started: dict[str, float] = {}
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
        self._restart(config)
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
        return self.preprocessing_pipeline.run(config)

    def segment(self, config: BuildConfig, depth: int) -> tuple[Realized[None] | None, str | None]:
        """Run the first `depth` steps, so that other configurations find what they share in the store.

        A step that fails here is told in words and raises nothing: the builds of those that share it will
        say so, and it may be this configuration's alone.
        """
        self._begin(config)
        try:
            calls = self._realizer.shared_calls(config, depth)
            return self._realizer.realize(config, calls, lambda *_: None), None
        except StepError as error:
            self._blame(config, error)
            return None, str(error)

    def estimate(self, config: BuildConfig, depth: int) -> Realized[None]:
        """Run the first `depth` steps and read FINN's estimates: estimate.json."""
        self._begin(config)
        folder = self._realizer.folder(config)

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            with tempfile.TemporaryDirectory(prefix="finnmake-") as made:
                place_artifacts(self.engine.store, outcomes, Path(made) / "artifacts", False)
                found, _ = self._metrics(config, Path(made))
            write_json(folder / "estimate.json", found.to_dict())

        return self._realizer.realize(config, self._realizer.calls(config, depth), place)

    def build(self, config: BuildConfig) -> Realized[dict[str, str]]:
        """Run FINN: artifacts/, final_model.onnx, config.json, manifest.json, build.log; gives the artifacts.

        Nothing of an earlier build is replaced before the last step has ended well.
        """
        self._begin(config)
        folder = self._realizer.folder(config)
        checkpoints = bool(config.config_flags.get("save_intermediate_models", True))

        def place(flow: Flow, outcomes: list[StepOutcome]) -> dict[str, str]:
            store = self.engine.store
            artifacts = place_artifacts(store, outcomes, folder / "artifacts", checkpoints)
            store.place(outcomes[-1].state.model, folder / "final_model.onnx")
            write_json(folder / "config.json", {**config.to_dict(), **self._mark})
            told = manifest(
                config,
                flow,
                outcomes,
                artifacts,
                toolchain=self.engine.toolchain,
                simulated=self.backend.simulated,
            )
            write_json(folder / "manifest.json", told)
            write_text(folder / "build.log", log_of(store, outcomes))
            return artifacts

        return self._realizer.realize(config, self._realizer.calls(config), place)

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
        write_json(self._realizer.folder(config) / "metrics.json", found.to_dict())
        return found

    def _metrics(self, config: BuildConfig, folder: Path | None = None) -> tuple[BuildMetrics, list[str]]:
        """The figures in FINN's reports, in the build's folder or another, and warnings about them."""
        reports = (folder or self._realizer.folder(config)) / "artifacts" / "report"
        return figures_of(config, reports, self.backend.simulated)

    def analyze(self, config: BuildConfig) -> Analyzed:
        """Run the `post_proc` analyses: postprocessing/<name>.json. A failing one is a warning."""
        self._begin(config)
        return self.postprocessing_pipeline.run(config)

    def report(self, config: BuildConfig) -> list[Reads]:
        """Write report.html from the JSON files; gives the analyses' files that it shows."""
        folder = self._realizer.folder(config)
        analyses = folder / FOLDER
        shown = {self._name(path): self.engine.digests.digest(path) for path in analyses.glob("*.json")}
        listings = {self._name(analyses): digest_listing(analyses)}
        write_text(folder / "report.html", self._pages.report(folder))
        return [{"files": shown, "listings": listings, "presence": {}}]

    @property
    def _mark(self) -> dict[str, bool]:
        """What a file says besides where nothing in it is real."""
        return {"simulated": True} if self.backend.simulated else {}

    def _name(self, path: Path) -> str:
        return portable(str(path), str(self.project))

    def finish(self, config: BuildConfig) -> BuildResult:
        """Write result.json for a build that went well."""
        folder = self._realizer.folder(config)
        result = self._result(config, BuildStatus.SUCCESS)
        result.metrics, warnings = self._metrics(config)
        warnings += passed_over(folder)
        warnings += json.loads((folder / FOLDER / "warnings.json").read_text())
        warnings += collector.add_accuracy(result.metrics, folder / FOLDER)
        warnings += broken_limits(config.global_config.get("limits", ()), result.metrics)
        result.artifacts = {
            name: name for name in ("final_model.onnx", "manifest.json", "report.html", "artifacts")
        }
        result.logs = {"build": "build.log"}
        result.warnings = warnings
        return self._end(config, result)

    def read_of_analyses(self, config: BuildConfig) -> Reads:
        """The analysis' file that `finish` takes a metric from, be it that there is none."""
        path = self._realizer.folder(config) / FOLDER / collector.ACCURACY
        return {"files": {self._name(path): self.engine.digests.digest(path)}, "listings": {}, "presence": {}}

    def fail(self, config: BuildConfig, error: FinnmakeError) -> BuildResult:
        """Write result.json for a build that failed; outputs of earlier builds stay.

        It is SKIPPED where the step failed for another configuration and did not run again for this one.
        """
        folder = self._realizer.folder(config)
        first = self._blame(config, error)
        if first != config.id and isinstance(error, StepError):
            message = f"not built: {error.step}, which it shares with {first}, failed there: {error.message}"
            result = self._result(config, BuildStatus.SKIPPED)
        else:
            timed_out = isinstance(error, StepError) and error.timed_out
            message = error.located()
            result = self._result(config, BuildStatus.TIMEOUT if timed_out else BuildStatus.FAILED)
        tell(result, error)
        result.warnings = self._realizer.left_out(config)
        if isinstance(error, StepError) and error.log is not None and first == config.id:
            result.logs = {"build": "build.log"}
            result.log_tail = log_tail(folder / "build.log")
        self._end(config, result, message)
        with suppress(FinnmakeError):  # a template that cannot be used is told where a report needs it
            write_text(folder / FAILURE_PAGE, self._pages.failure(result, config))
        return result

    def skip(self, config: BuildConfig, reason: str, metrics: BuildMetrics | None) -> BuildResult:
        """Write result.json for a configuration that is not built further, for a reason in words."""
        result = self._result(config, BuildStatus.SKIPPED)
        result.metrics = metrics
        result.warnings = self._realizer.left_out(config)
        return self._end(config, result, reason)

    def _end(self, config: BuildConfig, result: BuildResult, message: str | None = None) -> BuildResult:
        result.complete(result.status, time.time(), message)
        folder = self._realizer.folder(config)
        write_json(folder / "result.json", result.to_dict())
        (folder / FAILURE_PAGE).unlink(missing_ok=True)  # that of an earlier build
        return result

    def _blame(self, config: BuildConfig, error: FinnmakeError) -> str:
        """The configuration for which this very failure happened first."""
        with self._lock:
            return self._failed_for.setdefault(id(error), (config.id, error))[0]

    def failure_of(self, config_id: str) -> FinnmakeError | None:
        """What failed for this configuration first, be it on behalf of others."""
        with self._lock:
            return next((error for first, error in self._failed_for.values() if first == config_id), None)

    def _result(self, config: BuildConfig, status: BuildStatus) -> BuildResult:
        started = self._begin(config)
        return BuildResult(config.id, status, start_time=started, simulated=self.backend.simulated)

    def _restart(self, config: BuildConfig) -> None:
        """Forget the times of an earlier build of the same id, which may be another design space's."""
        self._realizer.restart(config)
        with self._lock:
            self._started.pop(config.id, None)

    def _begin(self, config: BuildConfig) -> float:
        with self._lock:
            return self._started.setdefault(config.id, time.time())
