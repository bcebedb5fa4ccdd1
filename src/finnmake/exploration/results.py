"""ExplorationResult: what came of the configurations of a space, which are the best, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.space import DesignSpace
from finnmake.checked import arguments, refusal, validate
from finnmake.errors import BlueprintError, Location, WorkspaceError
from finnmake.exploration.axes import FIRST_COLUMNS, LAST_COLUMNS, space_axes, values_at
from finnmake.exploration.estimates import Misled, estimates_of, misled
from finnmake.exploration.judging import Judgement
from finnmake.exploration.ranking import METRICS, SENSES, metric_value
from finnmake.exploration.table import make_frame, write_csv, write_parquet
from finnmake.hashing import canonical_json
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from finnmake.whole import written_whole

if TYPE_CHECKING:
    import pandas as pd

#: The files of `write`.
CSV_FILE, JSON_FILE, PARQUET_FILE = "results.csv", "results.json", "results.parquet"

#: The file of `write` that is there where something was both estimated and measured.
ESTIMATES_FILE = "estimates.csv"


@dataclass(frozen=True)
class StepCounts:
    """Where the steps of all configurations came from. Steps behind a failure are in none of the figures.

    Attributes:
        ran: how many ran in this run.
        shared: how many came from the store or from another configuration.
        up_to_date: how many belong to builds that were up to date already.
    """

    ran: int = 0
    shared: int = 0
    up_to_date: int = 0

    def __post_init__(self) -> None:
        validate(self)

    @property
    def total(self) -> int:
        """All of them."""
        return self.ran + self.shared + self.up_to_date

    @property
    def sharing(self) -> float:
        """The part, 0 to 1, that did not run."""
        return 1 - self.ran / self.total if self.total else 0.0


@dataclass(frozen=True, repr=False)
class ExplorationResult:
    """What an exploration returns.

    Attributes:
        design_space_id: the blueprint's name.
        objectives: (metric, `max` or `min`), the most important first.
        limits: conditions over the metrics, as written.
        axes: what varies: the names of columns.
        configs: the configurations, in order.
        results: what came of each, in the same order.
        steps: how many steps ran, and how many did not have to.
        duration_seconds: of the whole exploration.
        simulated: whether any figure is made up by a backend that simulates.
        axis_values: for each configuration its values on the axes: JSON scalars.
    """

    design_space_id: str
    objectives: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    axes: tuple[str, ...]
    configs: tuple[BuildConfig, ...]
    results: tuple[BuildResult, ...]
    steps: StepCounts
    duration_seconds: float
    simulated: bool
    axis_values: tuple[tuple[Any, ...], ...] = ()

    def __repr__(self) -> str:
        return (
            f"<ExplorationResult {self.design_space_id}: {self.success_count} of {len(self.results)} built, "
            f"best {self.best_config.id if self.best_config else None}>"
        )

    def __post_init__(self) -> None:
        if [config.id for config in self.configs] != [result.config_id for result in self.results]:
            raise ValueError("the results are not those of the configurations, in their order")
        if self.axes and [len(row) for row in self.axis_values] != [len(self.axes)] * len(self.configs):
            raise ValueError("axis_values has not one value for every axis of every configuration")

    @classmethod
    def of(
        cls,
        space: DesignSpace,
        configs: Sequence[BuildConfig],
        results: Sequence[BuildResult],
        steps: StepCounts,
        duration_seconds: float,
    ) -> ExplorationResult:
        """The result for some configurations of a space, in its order, with the results in theirs."""
        axes = space_axes(space)
        return cls(
            design_space_id=space.name,
            objectives=space.objectives,
            limits=tuple(limit.text for limit in space.limits),
            axes=tuple(axis.column for axis in axes),
            configs=tuple(configs),
            results=tuple(results),
            steps=steps,
            duration_seconds=duration_seconds,
            simulated=any(result.simulated for result in results),
            axis_values=tuple(values_at(space, axes, config.combination_index) for config in configs),
        )

    @property
    def evaluated_count(self) -> int:
        """Configurations that were built, well or not."""
        return len(self.results) - self.skipped_count

    @property
    def success_count(self) -> int:
        """Configurations whose build ended well."""
        return sum(result.is_successful() for result in self.results)

    @property
    def skipped_count(self) -> int:
        """Configurations that were not built, as something before them failed or ruled them out."""
        return sum(result.status is BuildStatus.SKIPPED for result in self.results)

    @property
    def failures(self) -> dict[str, list[str]]:
        """Category of the error -> the configurations that failed with it or ran out of time."""
        found: dict[str, list[str]] = {}
        for result in self.results:
            if result.status in (BuildStatus.FAILED, BuildStatus.TIMEOUT):
                usual = "timeout" if result.status is BuildStatus.TIMEOUT else "unknown"
                found.setdefault(result.error_category or usual, []).append(result.config_id)
        return found

    @cached_property
    def feasible(self) -> tuple[BuildConfig, ...]:
        """The configurations that were built well and meet all limits; what is unknown meets none."""
        return tuple(self._by_id[each][0] for each in self._judgement.feasible)

    @cached_property
    def pareto(self) -> tuple[BuildConfig, ...]:
        """The feasible configurations that no other feasible one beats in all objectives, in order.

        Objectives that none of them has a value for do not count; `warnings` names them.
        """
        return tuple(self._by_id[each][0] for each in self._judgement.pareto)

    @cached_property
    def best_config(self) -> BuildConfig | None:
        """The first of the Pareto set by the objectives in turn; None where nothing can be ranked."""
        return next(iter(self.ranked), None)

    @property
    def ranked(self) -> tuple[BuildConfig, ...]:
        """The Pareto set, best first."""
        return tuple(self._by_id[each][0] for each in self._judgement.ranked)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What limits and objectives could not be held against, a sentence each."""
        return tuple(self._judgement.warnings)

    @cached_property
    def misled(self) -> Misled | None:
        """Where FINN's estimates misled; None where nothing was both estimated and measured."""
        return misled(self.results, self.objectives, self.limits, self._judgement)

    def result_of(self, config_id: str) -> BuildResult:
        """What came of a configuration. Raises KeyError."""
        return self._by_id[config_id][1]

    def to_dataframe(self) -> pd.DataFrame:
        """A table with a row for each configuration, in order.

        Columns: config_id, content_id, status, simulated, feasible, pareto, those of `axes`, the metrics
        (throughput in inferences/s, latency in µs, clock_frequency in MHz, utilisations and accuracy as
        fractions, total_power in W; NaN where unknown), duration_seconds, error_category and the first line
        of error_message.
        """
        columns: dict[str, list[Any]] = {name: [] for name in (*FIRST_COLUMNS, *self.axes, *LAST_COLUMNS)}
        feasible, pareto = set(self._judgement.feasible), set(self._judgement.pareto)
        values = self.axis_values or ((),) * len(self.configs)
        for config, result, row in zip(self.configs, self.results, values, strict=True):
            first = (config.id, config.content_id, result.status.value, result.simulated)
            judged = (config.id in feasible, config.id in pareto)
            metrics = (metric_value(result.metrics, name) for name in METRICS)
            message = (result.error_message or "").strip().partition("\n")[0] or None
            last = (float(result.duration_seconds), result.error_category, message)
            for column, value in zip(columns.values(), (*first, *judged, *row, *metrics, *last), strict=True):
                column.append(value)
        for name in METRICS:  # a metric without any value is a column of numbers all the same
            columns[name] = [float("nan") if value is None else value for value in columns[name]]
        return make_frame(columns)

    def estimates_dataframe(self) -> pd.DataFrame:
        """A table of what was both estimated and measured, with a row for each configuration and metric.

        Columns: config_id, pareto, pareto_by_estimates, metric, estimated and measured (in the metric's
        unit), ratio (measured over estimated; NaN where nothing was estimated to be taken).
        """
        found = self.misled
        guessed = set(found.pareto) if found else set()
        pareto = set(self._judgement.pareto)
        rows = []
        for result in filter(BuildResult.is_successful, self.results):
            name = result.config_id
            for metric, guess in estimates_of(result.metrics).items():
                value = metric_value(result.metrics, metric) or 0.0
                ratio = value / guess if guess else None
                rows.append((name, name in pareto, name in guessed, metric, guess, value, ratio))
        columns = ("config_id", "pareto", "pareto_by_estimates", "metric", "estimated", "measured", "ratio")
        return make_frame({name: [row[at] for row in rows] for at, name in enumerate(columns)})

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values; `summary` repeats what follows from the rest, for other readers."""
        return {
            "design_space_id": self.design_space_id,
            "objectives": [list(objective) for objective in self.objectives],
            "limits": list(self.limits),
            "axes": list(self.axes),
            "axis_values": [list(row) for row in self.axis_values],
            "configs": [config.to_dict() for config in self.configs],
            "results": [result.to_dict() for result in self.results],
            "steps": asdict(self.steps),
            "duration_seconds": self.duration_seconds,
            "simulated": self.simulated,
            "summary": {
                "evaluated_count": self.evaluated_count,
                "success_count": self.success_count,
                "skipped_count": self.skipped_count,
                "failures": self.failures,
                "feasible": [config.id for config in self.feasible],
                "pareto": [config.id for config in self.pareto],
                "best_config": self.best_config.id if self.best_config else None,
                "sharing": self.steps.sharing,
                "warnings": list(self.warnings),
                "misled": self.misled.to_dict() if self.misled else None,
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExplorationResult:
        """The record that `to_dict` gave, also through JSON. Raises ValueError for anything else."""
        try:
            found = cls(
                design_space_id=data["design_space_id"],
                objectives=tuple((metric, sense) for metric, sense in data["objectives"]),
                limits=tuple(data["limits"]),
                axes=tuple(data["axes"]),
                configs=tuple(BuildConfig.from_dict(config) for config in data["configs"]),
                results=tuple(BuildResult.from_dict(result) for result in data["results"]),
                steps=StepCounts(**arguments(StepCounts, data["steps"])),
                duration_seconds=data["duration_seconds"],
                simulated=data["simulated"],
                axis_values=tuple(tuple(row) for row in data["axis_values"]),
            )
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from error
        except TypeError as error:
            raise ValueError(f"an entry is not of the kind that it should be: {error}") from error
        _check(found)
        return found

    @cached_property
    def _by_id(self) -> dict[str, tuple[BuildConfig, BuildResult]]:
        return {
            config.id: (config, result) for config, result in zip(self.configs, self.results, strict=True)
        }

    @cached_property
    def _judgement(self) -> Judgement:
        return Judgement(self.results, self.objectives, self.limits)


def write(result: ExplorationResult, folder: Path) -> None:
    """Write `results.csv`, `results.parquet` and `results.json`, the whole record, each by rename.

    `estimates.csv` beside them is there where FINN's estimates can be compared with what was measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = result.to_dataframe()
    if result.misled is None:
        (folder / ESTIMATES_FILE).unlink(missing_ok=True)
    else:
        with written_whole(folder / ESTIMATES_FILE) as path:
            write_csv(result.estimates_dataframe(), path)
    with written_whole(folder / CSV_FILE) as path:
        write_csv(frame, path)
    with written_whole(folder / PARQUET_FILE) as path:
        write_parquet(frame, path)
    with written_whole(folder / JSON_FILE) as path:
        path.write_bytes(_laid_out(result.to_dict()))


def read(folder: Path) -> ExplorationResult:
    """The result that was written to a folder. Raises WorkspaceError where there is none, or no whole one."""
    path = folder / JSON_FILE
    try:
        return ExplorationResult.from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        message, cure = "there are no results of an exploration", "Run `doit explore`."
    except OSError as error:
        message, cure = f"cannot be read: {error.strerror or error}", "Look at the rights of this file."
    except (ValueError, RecursionError) as error:
        message, cure = f"is no result of an exploration: {error}", "Run `doit explore` again."
    raise WorkspaceError(message, where=Location(path), cure=cure)


def _check(found: ExplorationResult) -> None:
    """Raise ValueError where an entry that JSON allows cannot be: it would be met only when it is used."""
    validate(found)
    for metric, sense in found.objectives:
        if metric not in METRICS or sense not in SENSES:
            raise refusal("objectives", [metric, sense], f"one of {', '.join(METRICS)}, and max or min")
    for name, values in (("limits", found.limits), ("axes", found.axes)):
        if not all(isinstance(value, str) for value in values):
            raise refusal(name, list(values), "a list of texts")
    columns = (*FIRST_COLUMNS, *found.axes, *LAST_COLUMNS)
    if len(set(columns)) < len(columns):
        raise refusal("axes", list(found.axes), "a list of names that no other column has")
    if len(found.configs) != len(found.results) or len(found.axis_values) not in (0, len(found.configs)):
        raise ValueError("configs, results and axis_values differ in length")
    for row in found.axis_values:
        if len(row) != len(found.axes):
            raise refusal("axis_values", list(row), f"a list with a value for each axis: {len(found.axes)}")
        if not all(value is None or isinstance(value, str | int | float) for value in row):
            raise refusal("axis_values", list(row), "a list of texts, numbers, truth values and null")
    for limit in found.limits:
        try:
            Expression.read(limit, Location(), METRICS, "metric")
        except BlueprintError as error:
            raise ValueError(error.message) from error


def _laid_out(record: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and a line for each configuration and each result."""
    parts = []
    for key, value in sorted(record.items()):
        text = canonical_json(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = b"[\n" + b",\n".join(map(canonical_json, value)) + b"\n]"
        parts.append(canonical_json(key) + b":" + text)
    return b"{\n" + b",\n".join(parts) + b"\n}\n"
