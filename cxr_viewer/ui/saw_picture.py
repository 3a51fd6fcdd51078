"""Pictures of what the model was given, and of the same part of the film, to be compared."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.findings import Saw
from cxr_viewer.core.geometry import ImageRect, Orientation
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.render import picture_at
from cxr_viewer.ui import theme

CROP_PX = 1000
"""Long side of the film's own part: sharp beside an input of any size."""
_CROSS_GAP_PX = 9.0


def input_image(saw: Saw) -> QImage:
    """The very input of the model, pixel for pixel."""
    grey = np.ascontiguousarray(saw.picture)
    rows, columns = grey.shape
    return QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8).copy()


def film_image(image: Radiograph, display: DisplayState, seen: ImageRect) -> QImage:
    """The part of the film that the model's input covers, in the window on screen, as stored: not turned, not mirrored.

    What of it lies outside the film is black, as in the input.
    """
    upright = replace(display, orientation=Orientation())
    scale = min(1.0, CROP_PX / max(seen.width, seen.height))
    size = (max(1, round(image.columns * scale)), max(1, round(image.rows * scale)))
    film = picture_at(image, upright, size)
    across, down = size[0] / image.columns, size[1] / image.rows
    wide, high = max(1, round(seen.width * across)), max(1, round(seen.height * down))
    # one shift, nothing interpolated: the corner of `seen` comes to the corner of the picture
    shift = np.array([[1, 0, -round(seen.x * across)], [0, 1, -round(seen.y * down)]], np.float64)
    part = np.ascontiguousarray(cv2.warpAffine(film, shift, (wide, high), flags=cv2.INTER_NEAREST), dtype=np.uint8)
    return QImage(part.data, wide, high, 3 * wide, QImage.Format.Format_RGB888).copy()


class SawPicture(QWidget):
    """One picture as large as its place allows, its pixels as they are where it is enlarged, and a cross in it.

    Signals:
        pointed(object): where the mouse is, as (x, y) shares of the picture from its top left corner, or None.
    """

    pointed = Signal(object)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image = QImage()
        self._aspect = 1.0
        self._cross: tuple[float, float] | None = None
        self.setMouseTracking(True)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_image(self, image: QImage, aspect: float) -> None:
        """Show a picture; ``aspect`` is width over height it is drawn with."""
        self._image, self._aspect = image, aspect
        self.update()

    def show_cross(self, at: tuple[float, float] | None) -> None:
        """Mark a place, as shares of the picture."""
        self._cross = at
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(420, 420)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 160)

    def place(self) -> QRectF:
        """Where the picture is drawn."""
        wide = min(float(self.width()), self.height() * self._aspect)
        high = wide / self._aspect
        return QRectF((self.width() - wide) / 2, (self.height() - high) / 2, wide, high)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.FILM_BACKGROUND))
        place = self.place()
        smaller = place.width() < self._image.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smaller)
        if not self._image.isNull():
            painter.drawImage(place, self._image)
        if self._cross is not None:
            self._paint_cross(painter, place, *self._cross)
        painter.end()

    @staticmethod
    def _paint_cross(painter: QPainter, place: QRectF, x: float, y: float) -> None:
        """Four lines that leave the place itself free."""
        at = QPointF(place.left() + x * place.width(), place.top() + y * place.height())
        for color, width in ((theme.FILM_BACKGROUND, 3.0), (theme.MARK, 1.0)):
            painter.setPen(QPen(QColor(color), width))
            painter.drawLine(QPointF(place.left(), at.y()), QPointF(at.x() - _CROSS_GAP_PX, at.y()))
            painter.drawLine(QPointF(at.x() + _CROSS_GAP_PX, at.y()), QPointF(place.right(), at.y()))
            painter.drawLine(QPointF(at.x(), place.top()), QPointF(at.x(), at.y() - _CROSS_GAP_PX))
            painter.drawLine(QPointF(at.x(), at.y() + _CROSS_GAP_PX), QPointF(at.x(), place.bottom()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = self.place()
        x = (event.position().x() - place.left()) / place.width()
        y = (event.position().y() - place.top()) / place.height()
        self.pointed.emit((x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None)

    def leaveEvent(self, event: object) -> None:
        self.pointed.emit(None)
