"""How the film's values are spread, with the window drawn over it: to see, and to take hold of."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from cxr_viewer.core.image import VoiWindow, WindowFunction
from cxr_viewer.ui import theme
from cxr_viewer.ui.gestures import FrameGate, next_gesture

BINS = 256
_CURVE_POINTS = 193
_REACH_PX = 6.0
_SIDE_ROOM = 0.04  # of the film's range, so that an edge at its end can be taken hold of


class Grip(Enum):
    """What of the window the hand holds."""

    LOW = "low"
    HIGH = "high"
    WHOLE = "whole"


class HistogramView(QWidget):
    """Draws a histogram and a window, whose edges and middle can be dragged.

    Signals:
        window_dragged(VoiWindow, int): the window the hand asks for, and the number of its gesture.
    """

    window_dragged = Signal(object, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[np.float64] | None = None
        self._range = (0.0, 1.0)
        self._window: VoiWindow | None = None
        self._grey: NDArray[np.float64] | None = None
        self._grip: Grip | None = None
        self._gesture = 0
        self._press = 0.0
        self._start: VoiWindow | None = None
        self._gate = FrameGate(self)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Histogram with window")
        self.setToolTip("Drag an edge to change the window, drag between them to move it")

    def sizeHint(self) -> QSize:
        return QSize(260, 92)

    # ------------------------------------------------------------ what to draw

    def show_film(self, counts: NDArray[np.float64] | None, value_range: tuple[float, float]) -> None:
        """Draw another film: counts per bin over ``value_range`` (modality values), None for no film."""
        self._let_go()
        self._window = self._grey = None
        self._counts, self._range = counts, value_range
        self.update()

    def curve_values(self) -> NDArray[np.float64]:
        """The modality values whose brightness is drawn as a line: float64 (n,), from left to right."""
        return np.linspace(*self._span(), _CURVE_POINTS)

    def show_window(self, window: VoiWindow, grey: NDArray[np.float64]) -> None:
        """Draw a window, and how bright each of :meth:`curve_values` is on screen, 0 to 1."""
        self._window, self._grey = window, grey
        self.update()

    # ------------------------------------------------------------ geometry

    def _span(self) -> tuple[float, float]:
        low, high = self._range
        room = _SIDE_ROOM * max(high - low, 1e-9)
        return low - room, high + room

    def position(self, value: float) -> float:
        """Where a modality value is drawn, in pixels from the left; may be outside."""
        low, high = self._span()
        return (value - low) / (high - low) * self.width()

    def _edges(self) -> tuple[float, float]:
        """Positions of the window's edges, kept in sight so that they can always be taken hold of."""
        assert self._window is not None
        half = self._window.width / 2
        low, high = self.position(self._window.center - half), self.position(self._window.center + half)
        return min(max(low, 1.0), self.width() - 2.0), min(max(high, 1.0), self.width() - 2.0)

    def grip_at(self, x: float) -> Grip | None:
        """What a press at ``x`` would take hold of."""
        if self._window is None:
            return None
        low, high = self._edges()
        nearest = min((abs(x - low), Grip.LOW), (abs(x - high), Grip.HIGH), key=lambda pair: pair[0])
        if high - low < 2 * _REACH_PX and abs(x - (low + high) / 2) <= _REACH_PX:  # narrow: outer halves are edges
            return Grip.LOW if x < (low + high) / 2 else Grip.HIGH
        if nearest[0] <= _REACH_PX:
            return nearest[1]
        return Grip.WHOLE if low < x < high else None

    # ------------------------------------------------------------ the hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        self._grip = self.grip_at(event.position().x())
        self._press, self._start, self._gesture = event.position().x(), self._window, next_gesture()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        if self._grip is None:
            grip = self.grip_at(x)
            shape = Qt.CursorShape.SizeHorCursor if grip in (Grip.LOW, Grip.HIGH) else Qt.CursorShape.OpenHandCursor
            self.setCursor(Qt.CursorShape.ArrowCursor if grip is None else shape)
            return
        self._gate.put(lambda: self._drag_to(x))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._grip is not None and event.button() is Qt.MouseButton.LeftButton:
            self._gate.drop()
            self._drag_to(event.position().x())
            self._let_go()

    def _let_go(self) -> None:
        self._gate.drop()
        self._grip = self._start = None

    def _drag_to(self, x: float) -> None:
        start = self._start
        if start is None or self._grip is None or x == self._press:
            return
        low, high = self._span()
        way = (x - self._press) * (high - low) / max(1, self.width())
        self.window_dragged.emit(dragged(start, self._grip, way), self._gesture)

    # ------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.FILM_BACKGROUND))
        if self._counts is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._window is not None:
            low, high = self._edges()
            inside = QColor(theme.ACCENT_DARK)
            inside.setAlpha(110)
            painter.fillRect(QRectF(low, 0, high - low, self.height()), inside)
        self._draw_counts(painter, self._counts)
        if self._window is not None and self._grey is not None:
            self._draw_window(painter, self._grey)

    def _draw_counts(self, painter: QPainter, counts: NDArray[np.float64]) -> None:
        """Bars on a scale of square roots, cut at the second highest, so that one plateau does not flatten the rest."""
        heights = np.sqrt(counts)
        top = float(np.sort(heights)[-2]) or float(heights.max()) or 1.0
        left, right = self.position(self._range[0]), self.position(self._range[1])
        xs = np.linspace(left, right, counts.size + 1)
        ys = self.height() - np.minimum(heights / top, 1.0) * (self.height() - 4)
        points = [QPointF(left, self.height())]
        for x0, x1, y in zip(xs[:-1].tolist(), xs[1:].tolist(), ys.tolist(), strict=True):
            points += [QPointF(x0, y), QPointF(x1, y)]
        points.append(QPointF(right, self.height()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.DISABLED))
        painter.drawPolygon(QPolygonF(points))

    def _draw_window(self, painter: QPainter, grey: NDArray[np.float64]) -> None:
        """Both edges, and the grey each value gets as a line from dark (bottom) to bright (top)."""
        xs = np.linspace(0, self.width(), grey.size)
        ys = self.height() - 3 - grey * (self.height() - 6)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.TEXT), 1.4))
        painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]))
        painter.setPen(QPen(QColor(theme.ACCENT), 1.6))
        for x in self._edges():
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))


def dragged(start: VoiWindow, grip: Grip, way: float) -> VoiWindow:
    """``start`` after an edge or all of it was moved by ``way`` (modality units); edges do not pass each other."""
    if grip is Grip.WHOLE:
        return replace(start, center=start.center + way, label="")
    least = max(1.0 if start.function is WindowFunction.LINEAR else 0.0, start.width / 1000)
    if grip is Grip.LOW:
        width = max(least, start.width - way)
        return replace(start, center=start.center + (start.width - width) / 2, width=width, label="")
    width = max(least, start.width + way)
    return replace(start, center=start.center + (width - start.width) / 2, width=width, label="")
