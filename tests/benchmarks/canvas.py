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
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import (
    ImageKey,
    OverlayPlane,
    Radiograph,
    Rescale,
    Shutter,
    VoiTable,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui import placement
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.display_panel import DisplayPanel
from cxr_viewer.ui.film_layer import FilmLayer
from cxr_viewer.ui.placement import place

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
        canvas.sends.connect(self.dispatch)

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


Frame = Callable[[int], None]


def take_turns(works: dict[str, Frame], frames: int, goal_ms: float | None = None) -> None:
    """Each work once per frame, in turn, so that a busy moment of the machine meets all of them.

    Prints milliseconds by the clock and of the window's own thread, and how many times as long as the first each takes.
    """
    clock: dict[str, list[float]] = {name: [] for name in works}
    thread: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-3, frames):
        for name, work in works.items():
            time.sleep(0.009)  # the hand is not faster than the screen
            began, began_thread = time.perf_counter(), time.thread_time()
            work(number)
            if number >= 0:
                clock[name].append(1000 * (time.perf_counter() - began))
                thread[name].append(1000 * (time.thread_time() - began_thread))
    goal = f", goal {goal_ms:g} ms" if goal_ms is not None else ""
    print(f"  {'':<46}{'p50 ms':>8}{'p95 ms':>8}{'thread p50':>12}{goal}")
    first: float | None = None
    for name in works:
        p50, p95 = (float(value) for value in np.percentile(clock[name], (50, 95)))
        first = p50 if first is None else first
        ratio = "" if p50 == first else f"{p50 / first:8.1f} x"
        print(f"  {name:<46}{p50:8.2f}{p95:8.2f}{np.percentile(thread[name], 50):12.2f}{ratio}")
    print()


def mouse(port: QWidget, kind: QEvent.Type, x: float, y: float) -> None:
    at = QPointF(x, y)
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = none if kind is QEvent.Type.MouseMove else left
    held = none if kind is QEvent.Type.MouseButtonRelease else left
    modifiers = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(port, QMouseEvent(kind, at, port.mapToGlobal(at), button, held, modifiers))


class Painted(QWidget):
    """Notes that a widget has painted."""

    def __init__(self, port: QWidget) -> None:
        super().__init__()
        self.done = False
        port.installEventFilter(self)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        self.done = self.done or event.type() == QEvent.Type.Paint
        return False


def drag(canvas: CanvasGrid) -> Frame:
    """A drag in circles. Each frame is a mouse move, and ends when Qt has painted the film and the panel beside it."""
    port = canvas.view(0).viewport()
    x, y = port.width() / 2, port.height() / 2
    painted = Painted(port)
    mouse(port, QEvent.Type.MouseButtonPress, x, y)

    def frame(number: int) -> None:
        painted.done = False
        mouse(port, QEvent.Type.MouseMove, x + 60 * np.cos(number / 9), y + 60 * np.sin(number / 9))
        while not painted.done:
            QApplication.processEvents()
        QApplication.processEvents()

    return frame


def let_go(canvas: CanvasGrid) -> None:
    port = canvas.view(0).viewport()
    mouse(port, QEvent.Type.MouseButtonRelease, port.width() / 2, port.height() / 2)


def peer(film: Radiograph, size: tuple[int, int], zoom: float | None) -> tuple[QWidget, Frame]:
    """pyqtgraph as it comes: the 16-bit film in a ViewBox, its levels moved."""
    view = pg.GraphicsView()
    box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False)
    view.setCentralItem(box)
    item = pg.ImageItem(film.stored, axisOrder="row-major", levels=(0, 4095))
    box.addItem(item)
    view.resize(*size)
    view.show()
    QApplication.processEvents()
    width, height = (size[0] / zoom, size[1] / zoom) if zoom else (COLUMNS, ROWS)
    box.setRange(xRange=(0, width), yRange=(0, height), padding=0)
    painted = Painted(view.viewport())

    def frame(number: int) -> None:
        painted.done = False
        item.setLevels((100 + 10 * (number % 30), 3900 - 10 * (number % 30)))
        while not painted.done:
            QApplication.processEvents()

    return view, frame


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


def with_layers(film: Radiograph) -> Radiograph:
    """The film with a round field, padding around it, a circular shutter and graphics of its file."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    stored = film.stored.copy()
    stored[np.hypot(x - COLUMNS / 2, y - ROWS / 2) > 0.6 * COLUMNS] = 0
    bits = np.zeros((ROWS, COLUMNS), np.uint8)
    bits[::150] = bits[:, ::150] = 1
    shutter = Shutter(circle=(COLUMNS / 2, ROWS / 2, 0.55 * COLUMNS), grey=20)
    return replace(film, stored=stored, padding=(0, 0), shutter=shutter, overlays=(OverlayPlane(bits),))


def grey_values(film: Radiograph, size: tuple[int, int], frames: int) -> None:
    """Composing the table and laying it: over what is in sight, and over every pixel of the film."""
    layer, full = FilmLayer(film), FilmLayer(film)
    fitted = place(film, DisplayState(), placement.Frame(*size))
    whole = place(film, DisplayState(zoom=1.0), placement.Frame(COLUMNS, ROWS))

    def window(number: int) -> VoiWindow:
        return VoiWindow(1024.0 + 3 * number, 3000.0 + 7 * number)

    def in_sight(number: int) -> None:
        layer.render(fitted, window(number), False)

    def every_pixel(number: int) -> None:
        full.render(whole, window(number), False)

    covered = FilmLayer(with_layers(film))

    def in_sight_covered(number: int) -> None:
        covered.render(fitted, window(number), False)

    print("Grey values of a frame")
    works: dict[str, Frame] = {
        "in sight, film fitted": in_sight,
        "the same with padding and shutter": in_sight_covered,
        "all 3000 x 2500 pixels": every_pixel,
    }
    take_turns(works, frames, GREY_GOAL_MS)


def frames_on_screen(session: Session, canvas: CanvasGrid, film: Radiograph, frames: int) -> None:
    """Whole frames, ours and pyqtgraph's in turn."""
    size = (canvas.width(), canvas.height())
    looks = (
        ("Whole frame, film fitted, linear window", None, 0, False),
        ("Whole frame, film fitted, sigmoid", None, 1, False),
        ("Whole frame, film fitted, drag on from a lookup table", None, 2, False),
        ("Whole frame, 1:1", 1.0, 0, False),
        ("Whole frame, film fitted, heat map shown", None, 0, True),
        ("Whole frame, film fitted, padding, shutter and graphics of the file", None, 0, False),
    )
    for title, zoom, voi, heat in looks:
        if "graphics" in title:
            session.open(with_layers(film))
        session.dispatch(ev.SetVoi(0, film.voi[voi], voi))
        session.dispatch(ev.SetView(0, zoom, None))
        if heat:
            with_heatmap(session, canvas, film)
        QApplication.processEvents()
        view, peers_frame = peer(film, size, zoom)
        print(title)
        works = {"cxr_viewer: mouse, state, film, texts, panel": drag(canvas), "pyqtgraph, setLevels": peers_frame}
        take_turns(works, frames, FRAME_GOAL_MS)
        let_go(canvas)
        view.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=80)
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
    frames_on_screen(session, canvas, film, options.frames)
    window.close()


if __name__ == "__main__":
    main()
