"""The words of the live display: a sentence on the whole run, then a line for each step that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finnmake.tasks.progress import Running, View

#: The steps that run have at most this part of the terminal's height.
_PART = 0.5


def frame(view: View, width: int, height: int) -> list[str]:
    """The lines, each shorter than the terminal is wide, so that none is broken.

    Args:
        width: columns of the terminal.
        height: its lines.
    """
    room = max(1, int(height * _PART))
    shown = list(view.running[:room])
    lines = [view.sentence] if view.sentence else []
    lines += _rows(shown)
    if len(view.running) > room:
        lines.append(f"  and {len(view.running) - room} more")
    return [line[: max(1, width - 1)] for line in lines]


def _rows(running: Sequence[Running]) -> list[str]:
    """Time first: it is what changes, and a narrow terminal cuts the end off."""
    times = [_times(each) for each in running]
    widest = max(map(len, times), default=0)
    longest = max((len(each.config) for each in running), default=0)
    return [
        f"  {taken:<{widest}}  {each.config:<{longest}}  {each.step}"
        for taken, each in zip(times, running, strict=True)
    ]


def _times(running: Running) -> str:
    expected = "" if running.expected is None else f" of {clock(running.expected)}"
    return f"{clock(running.seconds)}{expected}"


def clock(seconds: float) -> str:
    """A time as clocks show it: `0:07`, `2:05`, `1:02:03`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
