"""MLflowHook: an exploration as a run of MLflow, with a nested run for each configuration."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import Location, ToolError
from finnmake.exploration.axes import Axis, space_axes, values_at
from finnmake.exploration.hooks import ExplorationHook
from finnmake.exploration.ranking import METRICS, metric_value
from finnmake.exploration.results import ExplorationResult
from finnmake.records import BuildConfig, BuildResult, BuildStatus

#: Files of a build that are kept beside its run, where asked for.
_ARTIFACTS = ("report.html", "metrics.json")

#: The tag by which MLflow knows a nested run.
_PARENT = "mlflow.parentRunId"

#: Status of a build -> that of its run; one that was skipped was stopped before it began.
_STATUS = {
    BuildStatus.SUCCESS: "FINISHED",
    BuildStatus.FAILED: "FAILED",
    BuildStatus.TIMEOUT: "FAILED",
    BuildStatus.SKIPPED: "KILLED",
}

#: MLflow takes so many parameters at once, and values up to this length (characters).
_BATCH, _LONGEST = 100, 6000


class MLflowHook(ExplorationHook):
    """Keeps explorations in MLflow: parameters, metrics, tags and, where asked for, reports.

    The parent run tells counts, sharing and the best configuration. A nested run, named by the configuration,
    has the configuration's fields and axes as parameters, its metrics, and the tags `status`, `simulated`,
    `content_id`, `error_category` and `pareto`. MLflow's own active run is left alone.

    Args:
        tracking_uri: of the server or folder, as MLflow takes it; None for MLflow's own setting.
        experiment: its name, made where it does not exist; None for that of the design space.
        artifacts: keep `report.html` and `metrics.json` of each build as well.
        project: the folder that holds `builds/`; None for the current one.

    Raises:
        ToolError: MLflow is not installed.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        artifacts: bool = False,
        project: Path | None = None,
    ) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise ToolError(
                f"MLflow cannot be imported: {error}",
                where=Location(key="MLflowHook"),
                cure='pip install --target mlflow-packages "mlflow-skinny>=3.10" alembic sqlalchemy, and set '
                "PYTHONPATH=mlflow-packages; inside .venv they would belong to the toolchain.",
            ) from None
        self._client = MlflowClient(tracking_uri=tracking_uri)
        self._experiment = experiment
        self._artifacts = artifacts
        self._project = Path.cwd() if project is None else project
        self._lock = threading.Lock()
        self._runs: dict[str, str] = {}

    def before_exploration(self, space: DesignSpace, configs: Sequence[BuildConfig]) -> None:
        """Start the parent run."""
        self._space: DesignSpace = space
        self._axes: tuple[Axis, ...] = space_axes(space)
        self._runs = {}
        self._experiment_id = self._find_experiment(self._experiment or space.name)
        self._parent: str = self._start(space.name, {})
        self._log_params(
            self._parent,
            {
                "design_space": space.name,
                "model": space.model_path,
                "backend": space.backend,
                "configurations": len(configs),
                "objectives": ", ".join(f"{metric} {sense}" for metric, sense in space.objectives),
                "limits": "; ".join(limit.text for limit in space.limits),
                **space.global_config,
            },
        )

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        """The configuration's run, whole."""
        tags = {
            _PARENT: self._parent,
            "status": result.status.value,
            "simulated": str(result.simulated).lower(),
            "content_id": config.content_id,
            "error_category": result.error_category or "",
        }
        run = self._start(config.id, tags, result.start_time)
        with self._lock:
            self._runs[config.id] = run
        values = values_at(self._space, self._axes, config.combination_index)
        axes = dict(zip((axis.column for axis in self._axes), values, strict=True))
        self._log_params(run, {**config.config_flags, **axes})
        figures = {name: metric_value(result.metrics, name) for name in METRICS}
        self._log_metrics(run, {**figures, "duration_seconds": result.duration_seconds})
        self._end(run, _STATUS[result.status], result.end_time)

    def after_exploration(self, result: ExplorationResult) -> None:
        """The figures of the whole, the Pareto set, the reports; then the parent run ends."""
        self._log_metrics(
            self._parent,
            {
                "evaluated": result.evaluated_count,
                "successful": result.success_count,
                "skipped": result.skipped_count,
                "feasible": len(result.feasible),
                "pareto": len(result.pareto),
                "steps": result.steps.total,
                "steps_ran": result.steps.ran,
                "sharing": result.steps.sharing,
                "duration_seconds": result.duration_seconds,
            },
        )
        self._client.set_tag(self._parent, "best_config", result.best_config.id if result.best_config else "")
        self._client.set_tag(self._parent, "simulated", str(result.simulated).lower())
        for config in result.pareto:
            if config.id in self._runs:
                self._client.set_tag(self._runs[config.id], "pareto", "true")
        for config in result.configs if self._artifacts else ():
            self._keep_files(config)
        self._end(self._parent, "FINISHED", 0.0)

    def _find_experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        found: str = known.experiment_id if known else self._client.create_experiment(name)
        return found

    def _start(self, name: str, tags: Mapping[str, str], seconds: float = 0.0) -> str:
        """A new run; times are seconds since the epoch, 0 for now."""
        began = int(seconds * 1000) or None
        run = self._client.create_run(self._experiment_id, start_time=began, tags=tags, run_name=name)
        found: str = run.info.run_id
        return found

    def _end(self, run: str, status: str, seconds: float) -> None:
        self._client.set_terminated(run, status, int(seconds * 1000) or None)

    def _log_params(self, run: str, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(key, _text(value)[:_LONGEST]) for key, value in _keyed(values)]
        for start in range(0, len(params), _BATCH):
            self._client.log_batch(run, params=params[start : start + _BATCH])

    def _log_metrics(self, run: str, values: Mapping[str, float | None]) -> None:
        from mlflow.entities import Metric

        known = [Metric(name, float(value), 0, 0) for name, value in values.items() if value is not None]
        self._client.log_batch(run, metrics=known)

    def _keep_files(self, config: BuildConfig) -> None:
        for name in _ARTIFACTS:
            path = self._project / config.output_dir / name
            if config.id in self._runs and path.is_file():
                self._client.log_artifact(self._runs[config.id], str(path))


def _keyed(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values under names that MLflow takes: `steps[3]` is `steps.3`; those alike then are numbered."""
    taken: set[str] = set()
    for key, value in values.items():
        name = wished = re.sub(r"[^\w.\- /]+", ".", key, flags=re.ASCII).strip(".")
        number = 1
        while name in taken:
            number += 1
            name = f"{wished}.{number}"
        taken.add(name)
        yield name, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
