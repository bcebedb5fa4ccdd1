"""One exploration: which configurations, what became of each, and the ranking; doit does the building."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from finnmake.errors import WorkspaceError
from finnmake.exploration.early_stop import rule_out, unknown_objectives, unknown_to_estimates
from finnmake.exploration.results import ExplorationResult, StepCounts, write
from finnmake.exploration.tree import chain, estimates_at
from finnmake.records import BuildConfig, BuildMetrics, BuildResult, BuildStatus
from finnmake.runner.reports import read_json
from finnmake.tasks.workspace import Workspace

#: Where the results are, below the folder of the design space.
FOLDER = "exploration"


class Exploration:
    """Follows the builds of a design space from the first task to the table of results."""

    def __init__(self, ws: Workspace, *, fail_fast: bool) -> None:
        self._ws = ws
        self.configs = ws.configs
        self.fail_fast = fail_fast
        self._started = time.monotonic()

    @property
    def remaining(self) -> list[BuildConfig]:
        """Those that estimates have not ruled out."""
        return [config for config in self.configs if config.id not in self._ws.ruled_out]

    @property
    def beyond_estimates(self) -> list[BuildConfig]:
        """Those whose builds go on after the estimates."""
        return [config for config in self.configs if estimates_at(config) is not None]

    def begin(self) -> None:
        """Tell the hooks, and the screen how many there are and what cannot be judged."""
        self._ws.screen.expect(len(self.configs))
        for warning in unknown_to_estimates(self._ws.space):
            self._ws.screen.line(f"warning: {warning}")
        self._ws.hooks.before_exploration(self._ws.space, self.configs)

    def stop_early(self) -> None:
        """Rule out what breaks a limit or is dominated, by its estimates; the rest is built to its end."""
        ws = self._ws
        estimates = {
            config.id: metrics
            for config in self.beyond_estimates
            if config.id in ws.estimated and (metrics := self._estimate(config)) is not None
        }
        for name in unknown_objectives(estimates, ws.space.objectives):
            ws.screen.line(
                f"early stop: estimates do not tell {name}, so that limits alone rule anything out"
            )
        reasons = rule_out(estimates, ws.space.objectives, ws.space.limits)
        for config in self.configs:
            if config.id in reasons and config.id not in ws.up_to_date:  # what is built to its end stays
                result = ws.runner.skip(config, reasons[config.id], estimates[config.id])
                ws.ruled_out[config.id] = result
                ws.screen.skipped(config, reasons[config.id])
                ws.hooks.after_build(config, result)

    def _estimate(self, config: BuildConfig) -> BuildMetrics | None:
        with suppress(ValueError):
            return BuildMetrics.from_dict(_read(self._ws, config, "estimate.json"))
        return None  # its build fails on the way there, and says why

    def finish(self) -> ExplorationResult:
        """Collect and rank the results, write and show them."""
        ws = self._ws
        found = self.collect()
        folder = ws.folder / FOLDER
        write(found, folder)
        ws.exploration = found
        ws.screen.exploration(found, folder.relative_to(ws.root), ws.hooks.warnings)
        return found

    def collect(self) -> ExplorationResult:
        """Put the results together and tell the hooks; writes nothing."""
        ws = self._ws
        results = []
        for config in self.configs:
            result = self._result(config)
            results.append(result)
            if config.id not in ws.results and config.id not in ws.ruled_out:
                ws.hooks.after_build(config, result)
        spent = time.monotonic() - self._started
        found = ExplorationResult.of(ws.space, self.configs, results, self._steps(), spent)
        ws.hooks.after_exploration(found)
        return found

    def _result(self, config: BuildConfig) -> BuildResult:
        """What became of a configuration in this run, or in an earlier one that is still right."""
        ws = self._ws
        known = ws.results.get(config.id) or ws.ruled_out.get(config.id)
        if known is not None:
            return known
        if config.id in ws.up_to_date:
            try:
                return BuildResult.from_dict(_read(ws, config, "result.json"))
            except ValueError as error:
                raise WorkspaceError(
                    f"{config.output_dir}/result.json cannot be read: {error}",
                    cure="Start again: a file that somebody touched is made again.",
                ) from error
        own = ws.runner.failure_of(config.id)
        if own is not None:
            return ws.runner.fail(config, own)
        result = BuildResult(config.id, BuildStatus.SKIPPED, simulated=ws.backend.simulated)
        failed = next((each.config_id for each in ws.results.values() if not each.is_successful()), None)
        why = "the exploration stopped" if self.fail_fast else "something that it needs was not made"
        when = f" when {failed} failed" if failed else ""
        result.complete(BuildStatus.SKIPPED, 0.0, f"not reached: {why}{when}")
        return result

    def _steps(self) -> StepCounts:
        """The steps of all configurations: run now, shared, or of builds that were up to date."""
        ws = self._ws
        lengths = {config.id: self._length(config) for config in self.configs}
        fresh = sum(length for each, length in lengths.items() if each in ws.up_to_date)
        fresh += sum(lengths[each] for each in ws.ruled_out if not ws.began(each))
        built = sum(lengths[each] for each, result in ws.results.items() if result.is_successful())
        built += sum(lengths[each] for each in ws.ruled_out if ws.began(each))
        ran = ws.screen.steps_ran
        return StepCounts(ran=ran, shared=max(0, built - ran), up_to_date=fresh)

    def _length(self, config: BuildConfig) -> int:
        """How many steps a configuration has come to, if all went well."""
        estimates = estimates_at(config) if config.id in self._ws.ruled_out else None
        return len(chain(config)) if estimates is None else estimates


def _read(ws: Workspace, config: BuildConfig, name: str) -> Any:
    """A JSON file of a configuration, whatever it holds. Raises ValueError where it cannot be read."""
    found, problem = read_json(ws.root / config.output_dir / name)
    if problem:
        raise ValueError(f"it {problem}")
    return found
