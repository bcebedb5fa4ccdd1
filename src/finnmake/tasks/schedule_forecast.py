"""What a run is expected to take, by what earlier runs took, and the time that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: So many configurations must have ended before the share of steps that run is told from them.
_ENOUGH = 3


@dataclass(frozen=True)
class Expected:
    """What earlier runs tell of the configurations of this one.

    Attributes:
        configs: configuration id -> names of its steps, in order.
        totals: configuration id -> seconds of all its steps as far as they are known, as if it shared none.
        seconds: step name -> seconds; without those that never ran.
        peak: bytes of the step that took the most; None where nothing is known.
    """

    configs: Mapping[str, tuple[str, ...]]
    totals: Mapping[str, float]
    seconds: Mapping[str, float]
    peak: int | None = None


class Forecast:
    """The time that is left: steps that are still to run, times what they take, over builds at once.

    How many are still to run is told from those that have: of the configurations that went past a step the
    first had to run it, and of those to come as large a part will as of the others so far.
    """

    def __init__(self, expected: Expected, jobs: int) -> None:
        self._expected = expected
        self._jobs = jobs
        self._to_pass = Counter(step for steps in expected.configs.values() for step in steps)
        self._passed: Counter[str] = Counter()
        self._passed_by: Counter[str] = Counter()
        self._ran: Counter[str] = Counter()
        self._took: dict[str, float] = {}
        self._ended: set[str] = set()

    def expected(self, step: str) -> float | None:
        """Seconds that a step is likely to take; None where nothing is known."""
        if step in self._expected.seconds:
            return self._expected.seconds[step]
        return self._took[step] / self._ran[step] if self._ran[step] else None

    def ran(self, step: str, seconds: float) -> None:
        """A step has run, for whomever."""
        self._ran[step] += 1
        self._took[step] = self._took.get(step, 0.0) + seconds

    def passed(self, config: str, step: str) -> None:
        """A configuration has gone past its next step, whether that ran or came from the store."""
        self._passed[step] += 1
        self._passed_by[config] += 1

    def ended(self, config: str) -> None:
        """Nothing is left to do for a configuration: what it did not come to will not be passed."""
        if config in self._expected.configs and config not in self._ended:
            self._ended.add(config)
            self._to_pass.subtract(self._expected.configs[config][self._passed_by[config] :])

    def left(self, running: Sequence[tuple[str, float]], elapsed: float) -> float | None:
        """Seconds until all is done; None where that would be a guess.

        Args:
            running: steps that run now, with the seconds since they began.
            elapsed: seconds since the first step began.
        """
        remaining = len(self._expected.configs) - len(self._ended)
        if not remaining or len(self._ended) < min(_ENOUGH, len(self._expected.configs) - 1):
            return None
        work = self._work(Counter(step for step, _ in running))
        now = [self._rest(step, since) for step, since in running]
        if work is None or None in now:
            return None
        at_work = [each for each in now if each is not None]
        spent = sum(self._took.values()) + sum(since for _, since in running)
        beside = max(0.0, elapsed * self._jobs - spent) / len(self._ended) if self._ended else 0.0
        together = (work + sum(at_work) + beside * remaining) / min(self._jobs, remaining)
        return max([together, *at_work])

    def _work(self, running: Mapping[str, int]) -> float | None:
        """Seconds of the steps that are still to begin; None where those of one are not known."""
        work = 0.0
        for step, wanted in self._to_pass.items():
            count = self._to_run(step, wanted, running.get(step, 0))
            seconds = self.expected(step)
            if count > 0 and seconds is None:
                return None
            work += count * (seconds or 0.0)
        return work

    def _to_run(self, step: str, wanted: int, running: int) -> float:
        passed, ran = self._passed[step], self._ran[step]
        to_come = max(0, wanted - max(passed, ran + running))
        return to_come * (1.0 if passed < 2 else min(1.0, max(0, ran - 1) / (passed - 1)))

    def _rest(self, step: str, since: float) -> float | None:
        seconds = self.expected(step)
        return None if seconds is None else max(0.0, seconds - since)


def duration(seconds: float) -> str:
    """A time span in words that claim no more than is known: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 5:
        return "5 s"
    if seconds < 55:
        return f"{5 * round(seconds / 5)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
