"""A terminal for tests: runs a command on a pty, and knows what its screen showed in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A control sequence, or a character that moves the cursor.
_CONTROL = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n\t])")


@dataclass
class Screen:
    """Lines that ever were on the screen; knows the control sequences that the display of finnmake uses."""

    width: int
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    cursor_hidden: bool = False

    def feed(self, text: str) -> None:
        at = 0
        for match in _CONTROL.finditer(text):
            self._put(text[at : match.start()])
            self._control(match[1], match[2], match[3])
            at = match.end()
        self._put(text[at:])

    def _put(self, text: str) -> None:
        assert "\x1b" not in text, repr(text)
        for character in text:
            if self.column >= self.width:
                self._down()
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _control(self, argument: str | None, command: str | None, character: str | None) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        elif character == "\t":
            self.column += 8 - self.column % 8
        elif command == "A":
            self.row -= int(argument or 1)
            assert self.row >= 0
        elif command == "K" and argument == "2":
            self.lines[self.row] = ""
        elif command in ("h", "l") and argument == "?25":
            self.cursor_hidden = command == "l"
        else:
            assert command == "m", f"a sequence that tests do not know: {argument}{command}"

    @property
    def text(self) -> list[str]:
        """The lines without blanks at their ends."""
        return [line.rstrip() for line in self.lines]


@dataclass(frozen=True)
class Shown:
    """A run on a terminal: exit code, all that was sent, the screen at the end, what stderr said apart."""

    code: int
    sent: str
    screen: Screen

    @property
    def lines(self) -> list[str]:
        """What a user sees in the end."""
        return [line for line in self.screen.text if line]


def resize(terminal: int, columns: int, rows: int = 24) -> None:
    """Give a terminal another size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def run_on_terminal(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    columns: int = 100,
    watch: Callable[[subprocess.Popen[bytes], int, str], None] = lambda *_: None,
    seconds: float = 120.0,
) -> Shown:
    """Run a command whose standard output and error are a terminal.

    Args:
        watch: called with the process, the terminal and all that was sent so far, each time that more is.
    """
    ours, theirs = pty.openpty()
    resize(theirs, columns)
    screen, sent = Screen(columns), b""
    environment = {"TERM": "xterm-256color", **environment}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 0.2)[0]:
                    continue
                try:
                    data = os.read(ours, 1 << 16)
                except OSError:  # the other side is closed
                    break
                sent += data
                watch(process, ours, sent.decode(errors="replace"))
            else:
                process.kill()
                raise AssertionError(f"not done in {seconds:.0f} s: {sent!r}")
        finally:
            os.close(ours)
    text = sent.decode()
    screen.feed(text)
    return Shown(process.returncode, text, screen)
