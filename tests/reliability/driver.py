"""The real program, driven file by file: what became of each, how long it took, what it cost.

Used by the scripts beside it; each of them prints its table and, with ``--write``, puts it into docs/reliability.md.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared/data"
PAGE = REPOSITORY / "docs/reliability.md"
LIMIT_S = 90.0
"""Longer than any limit of the program itself: what has no answer by then has hung."""
_RAW = re.compile(r"Traceback|\b[A-Z]\w+(Error|Exception)\b|0x[0-9a-f]{6,}|<class ")
_MIB = 1 << 20


@dataclass(slots=True)
class Answer:
    """What the reader got for one file.

    ``outcome``: shown, caution (shown with at least one), explained (a sentence in its place), hang, blank, raw (words
    no reader can use) or nothing (neither a film nor a word).
    """

    name: str
    outcome: str
    words: str
    seconds: float
    gap_ms: float
    window_mib: float
    reader_mib: float
    stored: np.ndarray | None = field(default=None, repr=False)
    cautions: tuple[str, ...] = ()


class Watch:
    """Samples the event loop of the window, and the memory of its process and of the reading processes."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._timer = QTimer(interval=5)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._me = psutil.Process()
        self._last = time.perf_counter()
        self._looked = 0.0
        self.gap_ms = self.window_mib = self.reader_mib = 0.0

    def start(self) -> None:
        self.gap_ms = self.window_mib = self.reader_mib = 0.0
        self._looked = 0.0
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        self.look()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gap_ms = max(self.gap_ms, 1000 * (now - self._last))
        if now - self._looked > 0.05:
            self._looked = now
            self.look()
        self._last = time.perf_counter()  # looking is no part of the program

    def look(self) -> None:
        self.window_mib = max(self.window_mib, self._me.memory_info().rss / _MIB)
        self.reader_mib = max(self.reader_mib, *(_resident(child) for child in readers()), 0.0)


def readers() -> list[psutil.Process]:
    """The reading processes of this program."""
    found = []
    for child in psutil.Process().children():
        try:
            if any("sources.worker" in word for word in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / _MIB
    except psutil.Error:
        return 0.0


class Driver:
    """One running program. ``home`` holds its settings and index."""

    def __init__(self, home: Path, *, automatic: bool = True) -> None:
        os.environ["CXR_VIEWER_HOME"] = str(home)
        from PySide6.QtWidgets import QApplication

        from cxr_viewer.app import Program, dress
        from cxr_viewer.services import events as ev

        self._ev = ev
        self.application = QApplication.instance() or QApplication(sys.argv[:1])
        dress(self.application)  # type: ignore[arg-type]
        self.program = Program((1280, 800))
        self.workbench = self.program.workbench
        self.watch = Watch()
        self._log = home / "log"
        self.program.start([])
        self.pump(lambda: self.workbench.settled, LIMIT_S, least_s=1.0)
        self.send(ev.SetAutomatic(automatic))
        self.pump(lambda: self.workbench.settled, LIMIT_S, least_s=0.5)
        self.at_rest_mib = psutil.Process().memory_info().rss / _MIB

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def state(self) -> Any:
        return self.workbench.controller.state

    def send(self, event: object) -> None:
        self.workbench.controller.dispatch(event)  # type: ignore[arg-type]

    def pump(self, done: Callable[[], bool], limit_s: float, *, least_s: float = 0.0) -> bool:
        """Let the program live until ``done``; False when that took longer than ``limit_s``."""
        started = time.perf_counter()
        while time.perf_counter() - started < limit_s:
            self.application.processEvents()
            if time.perf_counter() - started >= least_s and done():
                return True
            time.sleep(0.0005)
        return False

    def clear(self) -> None:
        """Empty panes, no notice."""
        from cxr_viewer.services.state import Layout

        for index in range(len(self.state.panes)):
            self.send(self._ev.ClosePane(index))
        self.send(self._ev.SetLayout(Layout.ONE))
        self.send(self._ev.ActivatePane(0))
        if self.state.notice is not None:
            self.send(self._ev.DismissNotice(self.state.notice.number))
        self.pump(lambda: True, 1.0)

    def open(self, path: Path) -> Answer:
        """Open one file as a drop on the window does, and wait for what the reader gets."""
        self.clear()
        return self.answer_to(path.name, lambda: self.workbench.opener.open([path]))

    def node_of(self, path: Path) -> Any:
        """The image of a file as the browser lists it."""
        self.open(path)
        node = self.state.pane.node
        self.clear()
        return node

    def open_node(self, node: Any) -> None:
        """What a click in the browser does."""
        self.send(self._ev.OpenImage(node))

    @property
    def told(self) -> str:
        """The sentence on screen now, with its way out."""
        notice = self.state.notice
        return f"{notice.text} {notice.hint}".strip() if notice is not None else ""

    def answer_to(self, name: str, act: Callable[[], object], during: Callable[[], object] | None = None) -> Answer:
        """What the reader gets after ``act``; ``during`` is called while it is under way."""
        number = self.state.notice.number if self.state.notice is not None else 0
        self.watch.start()
        started = time.perf_counter()
        act()
        if during is not None:
            during()
        answered = self.pump(self._answered, LIMIT_S)
        seconds = time.perf_counter() - started
        settled = self.pump(lambda: self.workbench.settled, LIMIT_S)
        self.watch.stop()
        notice = self.state.notice
        told = self.told if notice is not None and notice.number > number else ""
        outcome, words, image = self._outcome(told)
        if not (answered and settled):
            outcome = "hang"
        if outcome != "hang" and _RAW.search(words):
            outcome = "raw"
        cautions = tuple(caution.code for caution in image.cautions) if image is not None else ()
        stored = image.stored if image is not None else None
        watch = self.watch
        return Answer(name, outcome, words, seconds, watch.gap_ms, watch.window_mib, watch.reader_mib, stored, cautions)

    def _answered(self) -> bool:
        from cxr_viewer.services.state import PaneStatus

        if self.workbench.opener.busy or self.state.scan is not None:
            return False
        panes = [self.state.panes[index] for index in self.state.visible]
        return all(
            pane.status is not PaneStatus.LOADING and not (pane.image is not None and pane.image.preview)
            for pane in panes
        )

    def _outcome(self, told: str) -> tuple[str, str, Any]:
        from cxr_viewer.services.state import PaneStatus

        pane = self.state.pane
        if pane.status is PaneStatus.FAILED and pane.failure is not None:
            return "explained", f"{pane.failure.summary} {pane.failure.hint}".strip(), None
        if pane.status is PaneStatus.SHOWN and pane.image is not None:
            words = "; ".join(caution.text for caution in pane.image.cautions)
            if self._blank(pane):
                return "blank", words, pane.image
            return ("caution" if words else "shown"), words, pane.image
        return ("explained" if told else "nothing"), told, None

    def _blank(self, pane: Any) -> bool:
        """The pane shows one colour although the film holds more than one value."""
        picture = self.workbench.canvas.view(self.state.active).grab_view()
        width, height = picture.width(), picture.height()
        # Over almost the whole height: of a torn film there may be the upper rows only. The corners hold words.
        middle = picture.copy(width // 3, height // 50, width // 3, height * 24 // 25)
        if middle.isNull():
            return True
        colours = {middle.pixel(x, y) for x in range(0, middle.width(), 3) for y in range(0, middle.height(), 3)}
        return len(colours) < 3 and bool((pane.image.stored != pane.image.stored.flat[0]).mean() > 0.01)

    def close(self) -> None:
        self.program.close()
        self.application.processEvents()


# ---------------------------------------------------------------- results


def counts(answers: Sequence[Answer]) -> dict[str, int]:
    names = ("shown", "caution", "explained", "blank", "nothing", "raw", "hang")
    return {name: sum(answer.outcome == name for answer in answers) for name in names}


def machine() -> str:
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), platform.machine()
    )
    load = os.getloadavg()[0]
    return f"{date.today().isoformat()}, {os.cpu_count()} cores ({model}), load {load:.1f} at the end"


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write_section(name: str, text: str, target: Path = PAGE) -> None:
    """Put ``text`` between the marks of section ``name`` in a page, by itself docs/reliability.md."""
    page = target.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: made by tests/reliability/{name}.py -->", f"<!-- end of {name} -->"
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    target.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def plain(words: str) -> str:
    """Words for a cell of a table."""
    return " ".join(words.split()).replace("|", "/")
