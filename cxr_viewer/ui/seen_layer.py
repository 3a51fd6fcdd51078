"""Hatching over what the model was not given: thin lines that leave the film under them readable."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.ui import theme
from cxr_viewer.ui.placement import Placement

STEP_PX = 14.0
"""Distance from one line to the next along an edge of the film, whatever the zoom."""
_LIGHT_ALPHA, _DARK_ALPHA = 78, 60  # a light line and a dark one beside it: seen on air and on bone, a wash on neither
_EDGE_ALPHA = 130


class SeenLayer(QGraphicsItem):
    """Slanted lines over strips of one film. It follows zoom, turns and mirroring; its lines keep their distance."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[Placement, tuple[ImageRect, ...]] | None = None
        self._strips: list[QRectF] = []
        self._film = QRectF()
        self.hide()

    def refresh(self, placement: Placement, strips: tuple[ImageRect, ...]) -> None:
        """Hatch these parts of the film (image pixels) where it lies now; nothing where there are none."""
        if (placement, strips) != self._drawn:
            self.prepareGeometryChange()
            self._drawn = (placement, strips)
            self._film = rect_of(placement, ImageRect(0, 0, placement.columns, placement.rows))
            self._strips = [rect_of(placement, strip) for strip in strips]
            self.update()
        self.setVisible(bool(strips))

    def boundingRect(self) -> QRectF:
        return self._film

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        in_sight = self._film if widget is None else self._film & QRectF(widget.rect())
        path = QPainterPath()
        for strip in self._strips:
            path.addRect(strip)
        painter.save()
        painter.setClipPath(path, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for shift, color, alpha in ((1.2, theme.FILM_BACKGROUND, _DARK_ALPHA), (0.0, theme.FILM_TEXT, _LIGHT_ALPHA)):
            ink = QColor(color)
            ink.setAlpha(alpha)
            painter.setPen(QPen(ink, 1.2))
            painter.drawLines(self._lines(in_sight, shift))
        self._paint_edge(painter, path)
        painter.restore()

    def _lines(self, area: QRectF, shift: float) -> list[QLineF]:
        """Lines rising to the right over ``area``; they are tied to the film, so that they move with it."""
        if area.isEmpty():
            return []
        tied = self._film.left() + self._film.top() + shift
        first = math.ceil((area.left() + area.top() - tied) / STEP_PX)
        last = math.floor((area.right() + area.bottom() - tied) / STEP_PX)
        lines = []
        for number in range(first, last + 1):
            total = tied + number * STEP_PX  # x + y along the line
            lines.append(QLineF(total - area.bottom(), area.bottom(), total - area.top(), area.top()))
        return lines

    def _paint_edge(self, painter: QPainter, strips: QPainterPath) -> None:
        """A thin line where the model's view ends, on the side that it did not see."""
        film = QPainterPath()
        film.addRect(self._film)
        ink = QColor(theme.FILM_TEXT)
        ink.setAlpha(_EDGE_ALPHA)
        painter.setPen(QPen(ink, 2.0))  # the inner half is clipped away
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(film.subtracted(strips))


def rect_of(placement: Placement, part: ImageRect) -> QRectF:
    """Where a part of the film (image pixels) lies on the widget."""
    left, top, right, bottom = placement.rect_on_widget(part)
    return QRectF(left, top, right - left, bottom - top)
