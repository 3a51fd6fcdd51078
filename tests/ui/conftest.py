"""Real films for the widgets, a session to show them in, and a hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.anatomy import HEART, LUNGS, Anatomy, Callipers
from cxr_viewer.core.findings import AnalysisResult, Finding, ScoreKind
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.heatmaps import Heatmap, MapScale
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import AnalysisStatus, Layout, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.canvas import CanvasGrid

LEFT = Qt.MouseButton.LeftButton
NO_KEY = Qt.KeyboardModifier.NoModifier
ALL_ORIENTATIONS = tuple(Orientation(turns, flipped) for turns in range(4) for flipped in (False, True))

RealFilm = Callable[[str], Radiograph]
MakeFilm = Callable[..., Radiograph]


class Shows(Protocol):
    sends: Any

    def show_state(self, state: ViewerState) -> None: ...


class Session:
    """Panels over one state: events go to ``reduce``, the next state goes to every panel."""

    def __init__(self, *panels: Shows) -> None:
        self.state = ViewerState()
        self.events: list[ev.Event] = []
        self._panels = panels
        for panel in panels:
            panel.sends.connect(self.dispatch)
            panel.show_state(self.state)

    def dispatch(self, event: ev.Event) -> tuple[ev.Effect, ...]:
        self.events.append(event)
        self.state, effects = reduce(self.state, event)
        self.show()
        return effects

    def show(self, state: ViewerState | None = None) -> None:
        """Show the state, or put another in its place."""
        self.state = state or self.state
        for panel in self._panels:
            panel.show_state(self.state)

    def begin_open(self, film: Radiograph, pane: int = 0) -> ev.LoadImage:
        """Open a film as far as the loader's turn."""
        node = ImageNode(film.key, film.path, film.rows, film.columns)
        effects = self.dispatch(ev.OpenImage(node, pane))
        return next(effect for effect in effects if isinstance(effect, ev.LoadImage))

    def open(self, film: Radiograph, pane: int = 0) -> None:
        load = self.begin_open(film, pane)
        self.dispatch(ev.ImageLoaded(pane, load.generation, film))
        self.events.clear()

    def sent(self, kind: type[Any]) -> list[Any]:
        """Events of one kind since the film was opened."""
        return [event for event in self.events if isinstance(event, kind)]

    def layout(self, layout: Layout) -> None:
        self.dispatch(ev.SetLayout(layout))


class Hand:
    """Presses, moves and lets go of the mouse on a widget, with keys held."""

    def send(
        self,
        widget: QWidget,
        kind: QEvent.Type,
        at: tuple[float, float],
        button: Qt.MouseButton,
        held: Qt.MouseButton,
        keys: Qt.KeyboardModifier = NO_KEY,
    ) -> None:
        point = QPointF(*at)
        event = QMouseEvent(kind, point, QPointF(widget.mapToGlobal(QPoint(*map(int, at)))), button, held, keys)
        QApplication.sendEvent(widget, event)

    def press(self, widget: QWidget, at: tuple[float, float], button: Qt.MouseButton = LEFT, **keys: Any) -> None:
        self.send(widget, QEvent.Type.MouseButtonPress, at, button, button, **keys)

    def move(self, widget: QWidget, at: tuple[float, float], button: Qt.MouseButton = LEFT, **keys: Any) -> None:
        self.send(widget, QEvent.Type.MouseMove, at, Qt.MouseButton.NoButton, button, **keys)

    def release(self, widget: QWidget, at: tuple[float, float], button: Qt.MouseButton = LEFT, **keys: Any) -> None:
        self.send(widget, QEvent.Type.MouseButtonRelease, at, button, Qt.MouseButton.NoButton, **keys)

    def click(self, widget: QWidget, at: tuple[float, float], button: Qt.MouseButton = LEFT) -> None:
        self.press(widget, at, button)
        self.release(widget, at, button)

    def double_click(self, widget: QWidget, at: tuple[float, float]) -> None:
        self.click(widget, at)
        self.send(widget, QEvent.Type.MouseButtonDblClick, at, LEFT, LEFT)
        self.release(widget, at)

    def drag(
        self,
        widget: QWidget,
        start: tuple[float, float],
        end: tuple[float, float],
        button: Qt.MouseButton = LEFT,
        keys: Qt.KeyboardModifier = NO_KEY,
        steps: int = 8,
    ) -> None:
        self.press(widget, start, button, keys=keys)
        for step in range(1, steps + 1):
            share = step / steps
            at = (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            self.move(widget, at, button, keys=keys)
        self.release(widget, end, button, keys=keys)


def pixels(picture: QImage) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): red, green, blue of a picture."""
    ready = picture.convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(ready.constBits(), np.uint8).reshape(ready.height(), ready.bytesPerLine())
    return flat[:, : 3 * ready.width()].reshape(ready.height(), ready.width(), 3).copy()


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasGrid:
    """The films' part of the window, 640 x 520, on screen."""
    grid = CanvasGrid()
    qtbot.addWidget(grid)
    grid.resize(640, 520)
    with qtbot.waitExposed(grid):
        grid.show()
    return grid


@pytest.fixture(scope="session")
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="session")
def screen_pixels() -> Callable[[QWidget], NDArray[np.uint8]]:
    """What a widget paints: uint8 (height, width, 3)."""
    return lambda widget: pixels(widget.grab().toImage())


@pytest.fixture(scope="session")
def new_session() -> type[Session]:
    """``new_session(panel, ...)``: a state, ``reduce`` and the panels that show it."""
    return Session


@pytest.fixture(params=ALL_ORIENTATIONS, ids=lambda o: f"{o.quarter_turns}{'f' if o.flipped else ''}")
def orientation(request: pytest.FixtureRequest) -> Orientation:
    """Each of the eight ways a film can lie on the screen."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def real_film(request: pytest.FixtureRequest) -> RealFilm:
    """``real_film("name.dcm")``: a film of ../shared/data/dicom as the program's own reader gives it, kept."""
    kept: dict[str, Radiograph] = {}
    need = request.getfixturevalue("need_data")

    def read(name: str) -> Radiograph:
        if name not in kept:
            path = need(f"dicom/{name}")
            reader = SandboxReader()
            try:
                found = reader.describe(path, CancelToken())
                kept[name] = reader.read(found.image, CancelToken())
            finally:
                reader.close()
        return kept[name]

    return read


@pytest.fixture(scope="session")
def make_film() -> MakeFilm:
    """``make_film(stored, photometric="MONOCHROME1", ...)``: a film around an array, for what no real film shows."""

    def make(stored: Any, **changes: Any) -> Radiograph:
        array = np.ascontiguousarray(stored)
        fields: dict[str, Any] = {
            "key": ImageKey("1", "2", str(id(array))),
            "path": "film.dcm",
            "stored": array,
            "bits_stored": 8 * array.dtype.itemsize,
            "photometric": "MONOCHROME2",
            "modality": "DX",
        }
        return Radiograph(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_anatomy() -> Callable[..., Anatomy]:
    """``make_anatomy(film, ...)``: two lungs, a heart and callipers as on an ordinary upright chest film."""

    def box(film: Radiograph, left: float, top: float, right: float, bottom: float) -> ImageRect:
        w, h = film.columns, film.rows
        return ImageRect(left * w, top * h, (right - left) * w, (bottom - top) * h)

    def outline(film: Radiograph, label: str, boxes: tuple[ImageRect, ...]) -> Heatmap:
        values = np.zeros((64, 64), np.float32)
        for one in boxes:
            rows = slice(round(64 * one.y / film.rows), round(64 * one.bottom / film.rows))
            values[rows, round(64 * one.x / film.columns) : round(64 * one.right / film.columns)] = 0.9
        whole = ImageRect(0, 0, film.columns, film.rows)
        return Heatmap(label, values, whole, "U-Net", MapScale.PROBABILITY)

    def make(film: Radiograph, **changes: Any) -> Anatomy:
        w, h = film.columns, film.rows
        lungs = (box(film, 0.15, 0.15, 0.45, 0.75), box(film, 0.55, 0.15, 0.85, 0.75))
        heart = box(film, 0.38, 0.45, 0.7, 0.72)
        callipers = Callipers(
            (Point(0.5 * w, 0.2 * h), Point(0.5 * w, 0.7 * h)),
            (Point(0.4 * w, 0.6 * h), Point(0.7 * w, 0.62 * h)),
            (Point(0.15 * w, 0.66 * h), Point(0.85 * w, 0.66 * h)),
        )
        fields: dict[str, Any] = {
            "model_id": "anatomy",
            "model_name": "Anatomy",
            "model_version": "1",
            "model_sha256": "ab" * 32,
            "lungs": lungs,
            "heart": heart,
            "outlines": (outline(film, LUNGS, lungs), outline(film, HEART, (heart,))),
            "callipers": callipers,
            "ratio_error": 0.04,
            "trusted": True,
        }
        return Anatomy(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def answer_with() -> Callable[..., AnalysisResult]:
    """``answer_with(session, anatomy=..., check=...)``: the film in the first pane gets this answer of a model."""

    def answer(session: Session, **changes: Any) -> AnalysisResult:
        pane = session.state.panes[0]
        assert pane.image is not None
        fields: dict[str, Any] = {
            "pane": 0,
            "generation": pane.question,
            "key": pane.image.key,
            "model_id": "findings",
            "model_name": "Findings",
            "model_version": "1",
            "model_sha256": "cd" * 32,
            "findings": (Finding("Effusion", 0.7, ScoreKind.CALIBRATED, 0.4),),
            "heatmaps": (),
            "seen": ImageRect(0, 0, pane.image.columns, pane.image.rows),
            "device": "CPU (OpenVINO)",
            "elapsed_s": 0.05,
        }
        result = AnalysisResult(**(fields | changes))
        ready = replace(pane, result=result, refusal=None, analysis=AnalysisStatus.READY, selected="Effusion")
        session.show(replace(session.state, panes=(ready, *session.state.panes[1:])))
        return result

    return answer
