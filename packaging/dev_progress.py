"""How the set-up speaks: plain sentences, one line that moves on a terminal, and faults with their way out."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO


class SetupError(Exception):
    """The set-up cannot go on.

    Attributes:
        summary: one sentence that names the fault.
        mend: what to do about it, in one or two sentences or lines to type.
        log_tail: the last lines of what the failing tool said, or an empty string.
    """

    def __init__(self, summary: str, mend: str, log_tail: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.mend = mend
        self.log_tail = log_tail


def say(sentence: str) -> None:
    """Print one sentence at once, also into a pipe."""
    print(sentence, flush=True)


class LiveLine:
    """One line that is rewritten in place on a terminal; elsewhere a new line at most every ``quiet_s`` seconds."""

    def __init__(self, stream: TextIO | None = None, quiet_s: float = 10.0) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._quiet_s = quiet_s
        self._started = self._shown = time.monotonic()
        self._last = ""

    def show(self, text: str) -> None:
        """Show ``text`` with the time passed since the line was made."""
        now = time.monotonic()
        pause_s = 0.1 if self._live else self._quiet_s
        if now - self._shown < pause_s:
            return
        self._shown = now
        line = f"  {text}, {duration(now - self._started)}"
        if not self._live:
            self._stream.write(line + "\n")
        else:
            line = line[: shutil.get_terminal_size().columns - 1]
            self._stream.write("\r" + line.ljust(len(self._last)))
            self._last = line
        self._stream.flush()

    def close(self) -> float:
        """Wipe the moving line; returns the seconds since the line was made."""
        if self._live and self._last:
            self._stream.write("\r" + " " * len(self._last) + "\r")
            self._stream.flush()
        return time.monotonic() - self._started


def duration(seconds: float) -> str:
    """``"8 s"`` or ``"2 min 5 s"``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
