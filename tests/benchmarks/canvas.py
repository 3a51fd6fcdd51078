"""A window drag on a film of 3000 x 2500 pixels and 12 bit: what one frame costs, against pyqtgraph's own way.

Run it on a quiet machine, with a screen or under ``xvfb-run``::

    python tests/benchmarks/canvas.py [--frames 120] [--size 1280x960]

Each frame is a mouse move on the real widget: event, state, grey values, window panel, and waiting until Qt has painted
the film. The peer, in the same run, is pyqtgraph's ``ImageItem.setLevels`` on the 16-bit film in its
own ``ViewBox``, fitted likewise. ``grey_values.py`` holds the grey values against other libraries.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QWidget

from cxr_viewer.core.display import DisplayState, OverlayState
from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ScoreKind
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import ImageKey, Radiograph, Rescale, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.display_panel import DisplayPanel
from cxr_viewer.ui.film_layer import FilmLayer
from cxr_viewer.ui.placement import Frame, place

ROWS, COLUMNS = 3000, 2500
GREY_GOAL_MS, FRAME_GOAL_MS = 4.0, 8.0


def chest_like(voi: tuple[VoiWindow | VoiTable, ...]) -> Radiograph:
    """Smooth shapes and noise over the whole 12-bit range, so that nothing is spared by the content."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0 : 1 : ROWS * 1j, 0 : 1 : COLUMNS * 1j].astype(np.float32)
    lungs = np.exp(-(((x - 0.3) / 0.15) ** 2 + ((y - 0.5) / 0.3) ** 2)) + np.exp(
        -(((x - 0.7) / 0.15) ** 2 + ((y - 0.5) / 0.3) ** 2)
    )
    stored = np.clip(3300 - 2600 * lungs + rng.normal(0, 40, (ROWS, COLUMNS)), 0, 4095).astype(np.uint16)
    stored.flags.writeable = False
    return Radiograph(
        key=ImageKey("1", "2", "3"),
        path=Path("film.dcm"),
        stored=stored,
        bits_stored=12,
        photometric="MONOCHROME1",
        modality="DX",
        modality_lut=Rescale(1.0, -1024.0),
        voi=voi,
    )


class Session:
    """State and ``reduce``, with the panels that follow a drag in the real window."""

    def __init__(self, canvas: CanvasGrid, panel: DisplayPanel) -> None:
        self.state, self._canvas, self._panel = ViewerState(), canvas, panel
        canvas.event.connect(self.dispatch)

    def dispatch(self, event: ev.Event) -> tuple[ev.Effect, ...]:
        self.state, effects = reduce(self.state, event)
        self._canvas.show_state(self.state)
        self._panel.show_state(self.state)
        return effects

    def open(self, film: Radiograph) -> None:
        node = ImageNode(film.key, film.path, film.rows, film.columns)
        for effect in self.dispatch(ev.OpenImage(node, 0)):
            if isinstance(effect, ev.LoadImage):
                self.dispatch(ev.ImageLoaded(0, effect.generation, film))


def line(name: str, times_ms: list[float], note: str = "") -> float:
    p50, p95 = (float(np.percentile(times_ms, p)) for p in (50, 95))
    print(f"  {name:<58} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms   {note}")
    return p50


def timed(work: Callable[[int], object], frames: int) -> list[float]:
    for number in range(5):
        work(number)
    times = []
    for number in range(frames):
        start = time.perf_counter()
        work(number)
        times.append(1000 * (time.perf_counter() - start))
    return times


def mouse(port: QWidget, kind: QEvent.Type, x: float, y: float) -> None:
    at = QPointF(x, y)
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = none if kind is QEvent.Type.MouseMove else left
    held = none if kind is QEvent.Type.MouseButtonRelease else left
    modifiers = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(port, QMouseEvent(kind, at, port.mapToGlobal(at), button, held, modifiers))


def drag_frames(canvas: CanvasGrid, frames: int) -> list[float]:
    """A drag in circles; each frame ends when the widget has painted."""
    port = canvas.view(0).viewport()
    x, y = port.width() / 2, port.height() / 2
    painted = Painted(port)
    mouse(port, QEvent.Type.MouseButtonPress, x, y)

    def frame(number: int) -> None:
        time.sleep(0.009)  # the hand is not faster than the screen
        angle = number / 9
        started = time.perf_counter()
        painted.last = 0.0
        mouse(port, QEvent.Type.MouseMove, x + 60 * np.cos(angle), y + 60 * np.sin(angle))
        while not painted.last:
            QApplication.processEvents()
        QApplication.processEvents()  # the panel beside it
        costs.append(1000 * (time.perf_counter() - started))

    costs: list[float] = []
    for number in range(5):
        frame(number)
    costs.clear()
    for number in range(frames):
        frame(number)
    mouse(port, QEvent.Type.MouseButtonRelease, x, y)
    port.removeEventFilter(painted)
    return costs


class Painted(QWidget):
    """Notes when a widget has painted: the filter runs before, the next event after."""

    def __init__(self, port: QWidget) -> None:
        super().__init__()
        self.last = 0.0
        port.installEventFilter(self)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint and isinstance(watched, QWidget):
            watched.removeEventFilter(self)
            QApplication.sendEvent(watched, event)
            watched.installEventFilter(self)
            self.last = time.perf_counter()
            return True
        return False


def peer_frames(film: Radiograph, size: tuple[int, int], frames: int) -> list[float]:
    """pyqtgraph as it comes: the 16-bit film in a ViewBox, its levels moved."""
    layout = pg.GraphicsLayoutWidget()
    layout.resize(*size)
    box = layout.addViewBox(lockAspect=True, invertY=True)
    box.setContentsMargins(0, 0, 0, 0)
    item = pg.ImageItem(film.stored, axisOrder="row-major", levels=(0, 4095))
    box.addItem(item)
    layout.show()
    QApplication.processEvents()
    port = layout.viewport()

    def frame(number: int) -> None:
        item.setLevels((100 + 10 * (number % 30), 3900 - 10 * (number % 30)))
        port.repaint()

    times = timed(frame, frames)
    layout.close()
    return times


def with_heatmap(session: Session, canvas: CanvasGrid, film: Radiograph) -> None:
    values = np.random.default_rng(3).random((16, 16), dtype=np.float32)
    whole = ImageRect(0, 0, film.columns, film.rows)
    findings = (Finding("Mass", 0.9, ScoreKind.CALIBRATED, 0.5),)
    heatmaps = (Heatmap("Mass", values, whole),)
    result = AnalysisResult(0, 0, film.key, "m", "Model", "1", "0", findings, heatmaps, whole, "CPU", 0.1)
    pane = session.state.panes[0]
    pane = replace(pane, result=result, display=replace(pane.display, overlay=OverlayState("Mass")))
    session.state = replace(session.state, panes=(pane, *session.state.panes[1:]))
    canvas.show_state(session.state)


def grey_values(film: Radiograph, size: tuple[int, int], frames: int) -> None:
    """Composing the table and laying it: over what is in sight, and over every pixel of the film."""
    windows = [VoiWindow(1024.0 + 3 * n, 3000.0 + 7 * n) for n in range(frames + 5)]
    layer, full = FilmLayer(film), FilmLayer(film)
    fitted = place(film, DisplayState(), Frame(*size))
    whole = place(film, DisplayState(zoom=1.0), Frame(COLUMNS, ROWS))
    line("grey values, fitted to the window", timed(lambda n: layer.render(fitted, windows[n % frames], False), frames))
    line(
        "grey values, all 3000 x 2500 pixels",
        timed(lambda n: full.render(whole, windows[n % frames], False), frames),
        f"goal {GREY_GOAL_MS:g} ms",
    )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", default="1280x960", help="of the pane, in pixels")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    size: tuple[int, int] = (width, height)
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    ramp: NDArray[np.uint16] = (np.arange(4096) ** 2 >> 8).astype(np.uint16)
    vois: tuple[VoiWindow | VoiTable, ...] = (
        VoiWindow(1024.0, 4096.0),
        VoiWindow(1024.0, 2000.0, WindowFunction.SIGMOID),
        VoiTable(-1024, ramp, 16, "LUT"),
    )
    film = chest_like(vois)
    print(
        f"{film.rows} x {film.columns} x 12 bit, pane {options.size}, {app.platformName()}, {options.frames} frames\n"
    )
    grey_values(film, size, options.frames)

    window = QWidget()
    row = QHBoxLayout(window)
    row.setContentsMargins(0, 0, 0, 0)
    canvas, panel = CanvasGrid(), DisplayPanel()
    canvas.setFixedSize(*size)
    panel.setFixedWidth(300)
    row.addWidget(panel)
    row.addWidget(canvas)
    window.show()
    session = Session(canvas, panel)
    session.open(film)
    app.processEvents()
    ours = line(
        "whole frame of a drag, fitted, linear window",
        drag_frames(canvas, options.frames),
        f"goal {FRAME_GOAL_MS:g} ms",
    )
    for name, place_in_file in (("sigmoid", 1), ("from a lookup table", 2)):
        session.dispatch(ev.SetVoi(0, vois[place_in_file], place_in_file))
        line(f"whole frame of a drag, fitted, {name}", drag_frames(canvas, options.frames))
    session.dispatch(ev.SetView(0, 1.0, Point(1250, 1500)))
    line("whole frame of a drag, 1:1", drag_frames(canvas, options.frames))
    with_heatmap(session, canvas, film)
    session.dispatch(ev.SetView(0, None, None))
    line("whole frame of a drag, fitted, heat map shown", drag_frames(canvas, options.frames))
    window.close()
    peer = line(
        "pyqtgraph ImageItem.setLevels in a ViewBox, fitted", peer_frames(film, size, max(5, options.frames // 3))
    )
    print(f"  -> {peer / ours:.1f} x faster than pyqtgraph's own levels")


if __name__ == "__main__":
    main()
