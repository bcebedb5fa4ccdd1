"""The live display: finished lines scroll above a few lines that tell what runs. Only one thread draws."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from finnmake.tasks.progress import View

#: Seconds between two drawings.
INTERVAL = 0.25

#: Terminals that can move no cursor.
_DUMB = ("", "dumb", "unknown")


def able(stream: IO[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether lines of a stream can be drawn anew: a terminal with somebody before it."""
    try:
        terminal = stream.isatty()
    except ValueError:  # it is closed
        return False
    return terminal and not environment.get("CI") and environment.get("TERM", "") not in _DUMB


class Live:
    """Lines are kept for the next drawing; a drawing is one write.

    `write` may be called by any thread; `draw` and `close` by one at a time.

    Args:
        stream: the terminal.
        view: gives the moment to draw.
        mark: stands at the end of each line of the display.
    """

    def __init__(self, stream: IO[str], view: Callable[[], View], mark: str = "") -> None:
        from rich.live import Live as RichLive  # few runs need it

        self._view = view
        self._mark = mark
        self._lines: deque[str] = deque()
        self._console = _console(stream)
        self._live = RichLive(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def start(self) -> None:
        """From now on the display stands below the lines."""
        self._live.start()

    def write(self, text: str) -> None:
        """A line, or several, above the display."""
        self._lines.append(text + "\n")

    def draw(self) -> None:
        """Draw the lines that came since the last time, and this moment."""
        from finnmake.tasks.live_text import frame

        self._flush()
        width, height = self._console.size
        self._live.update(_Lines(frame(self._view(), width - len(self._mark), height), self._mark))
        self._live.refresh()

    def close(self) -> None:
        """Draw the last lines, and take the display away."""
        try:
            self._flush()
        finally:
            self._live.stop()

    def _flush(self) -> None:
        text = "".join(self._lines.popleft() for _ in range(len(self._lines)))
        if text:
            self._console.print(_Raw(text), soft_wrap=True)


def _console(stream: IO[str]) -> Console:
    from rich.console import Console

    class Steady(Console):
        """Never hides the cursor: a run that is killed could not bring it back."""

        def show_cursor(self, show: bool = True) -> bool:
            return False

    return Steady(file=stream, force_terminal=True, force_interactive=True, highlight=False, emoji=False)


class _Raw:
    """Text as it is: no markup, no folding, no tabs replaced."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, *_: Any) -> Iterator[Any]:
        from rich.segment import Segment

        yield Segment(self._text)


class _Lines:
    """The lines of the display: the first stands out."""

    def __init__(self, lines: list[str], mark: str) -> None:
        self._lines = lines
        self._mark = mark

    def __rich_console__(self, *_: Any) -> Iterator[Any]:
        from rich.text import Text

        for number, line in enumerate(self._lines):
            yield Text(line + self._mark, style="" if number else "bold", no_wrap=True, overflow="crop")
