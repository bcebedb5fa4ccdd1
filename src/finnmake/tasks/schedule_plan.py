"""The plan of a run: what earlier runs tell of its configurations, their order, and how many at once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from finnmake.errors import FinnmakeError
from finnmake.exploration.tree import links
from finnmake.hashing import canonical_json
from finnmake.runner.flow import call_of, named
from finnmake.tasks.schedule import Order
from finnmake.tasks.schedule_forecast import Expected, Forecast
from finnmake.tasks.schedule_jobs import Jobs, free_memory, limits_of, within_memory

if TYPE_CHECKING:
    from finnmake.engine.history import Expectation, History
    from finnmake.records import BuildConfig
    from finnmake.tasks.workspace import Workspace


def plan(ws: Workspace, configs: Iterable[str], asked: int) -> Order:
    """Say how many builds run at once and what to expect of them; gives the order.

    Args:
        configs: ids of the configurations in the order in which they are asked for.
        asked: builds at once, as far as memory allows.
    """
    expected = _expected(ws, [ws.site(each).config for each in configs])
    jobs = Jobs(1)
    if asked > 1:
        jobs = within_memory(
            asked, free_memory(limits_of(ws.ground.runtime.name, ws.settings.container)), expected.peak
        )
        ws.gate.limit(jobs.builds)
    if jobs.why:
        ws.screen.line(jobs.why)
    ws.screen.forecast(Forecast(expected, jobs.builds))
    members = {segment.id: segment.config_ids for segment in ws.segments}
    return Order(expected.configs, expected.totals, members)


def _expected(ws: Workspace, configs: Iterable[BuildConfig]) -> Expected:
    """What the history tells of the steps of these configurations, each entry looked up once."""
    look_up = _Entries(ws)
    chains, seconds = {}, {}
    for config in configs:
        found = [look_up(kind, entry) for kind, entry in links(config)]
        chains[config.id] = tuple(name for name, _ in found)
        seconds[config.id] = sum(each.seconds for _, each in found if each is not None)
    return Expected(chains, seconds, look_up.seconds, look_up.peak)


class _Entries:
    """What earlier runs tell of the entries of a blueprint."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._history: History | None = None
        self._known: dict[Any, tuple[str, Expectation | None]] = {}
        with suppress(FinnmakeError, OSError):  # the tasks themselves say what is wrong with the store
            self._history = ws.runner.engine.history

    def __call__(self, kind: str, entry: Any) -> tuple[str, Expectation | None]:
        """The name of an entry, and what is known of it."""
        key = (kind, entry if isinstance(entry, str) else canonical_json(entry))
        if key not in self._known:
            self._known[key] = named(kind, entry)[0], self._look_up(kind, entry)
        return self._known[key]

    def _look_up(self, kind: str, entry: Any) -> Expectation | None:
        if self._history is None:
            return None
        with suppress(FinnmakeError, OSError):  # a name that is gone, likewise
            return self._history.expected(call_of(kind, entry, self._ws.names, self._ws.digests, position=0))
        return None

    @property
    def seconds(self) -> dict[str, float]:
        """Step name -> seconds, whatever its parameters."""
        told: dict[str, list[float]] = {}
        for name, found in self._known.values():
            if found is not None:
                told.setdefault(name, []).append(found.seconds)
        return {name: sum(each) / len(each) for name, each in told.items()}

    @property
    def peak(self) -> int | None:
        """The most that one of them took (bytes)."""
        told = (found.peak_rss_kb for _, found in self._known.values() if found is not None)
        return max(told, default=0) * 1024 or None
