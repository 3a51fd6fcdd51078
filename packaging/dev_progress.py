"""How the set-up speaks: plain sentences, one line that moves on a terminal, and faults with their way out."""

from __future__ import annotations

import shutil
import sys
import threading
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
    """A line of progress with the time passed, to be used in a ``with``.

    On a terminal it is rewritten in place and ticks by itself; elsewhere a new line comes every ``quiet_s`` seconds.
    """

    def __init__(self, stream: TextIO | None = None, quiet_s: float = 10.0) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._pause_s = 0.25 if self._live else quiet_s
        self._started = time.monotonic()
        self._text = ""
        self._width = 0
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> LiveLine:
        self._ticker.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._ticker.join()
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()

    def show(self, text: str) -> None:
        """The text to show from now on."""
        self._text = text

    def seconds(self) -> float:
        """Time since the line was made."""
        return time.monotonic() - self._started

    def _tick(self) -> None:
        while not self._stop.wait(self._pause_s):
            if not self._text:
                continue
            line = f"  {self._text}, {duration(self.seconds())}"
            if self._live:
                line = line[: shutil.get_terminal_size().columns - 1]
                self._stream.write("\r" + line.ljust(self._width))
                self._width = len(line)
            else:
                self._stream.write(line + "\n")
            self._stream.flush()


def duration(seconds: float) -> str:
    """``"8 s"`` or ``"2 min 5 s"``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
