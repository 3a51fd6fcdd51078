"""Text on a film: readable on white and on black, the same size at any zoom, cut with an ellipsis where it is long."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPixmap

from cxr_viewer.ui import theme

_OUTLINE = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1))
_OUTLINE_ALPHA = 210
_CACHE_SIZE = 64
_APART = re.compile("  | \N{MIDDLE DOT} ")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in one colour."""

    text: str
    color: str = theme.FILM_TEXT


def broken(lines: Sequence[Line], font: QFont, width: float) -> tuple[Line, ...]:
    """The lines; those too wide are broken where their parts stand apart: a number cut short is another number."""
    metrics, found = QFontMetricsF(font), list[Line]()
    for line in lines:
        fits = metrics.horizontalAdvance(line.text) <= width - 2
        parts = [line.text] if fits else _APART.split(line.text)
        found += [Line(part, line.color) for part in parts if part]
    return tuple(found)


class TextBlocks:
    """Draws blocks of outlined lines. Keeps each as a small picture: during a drag only one of them changes."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[tuple[object, ...], QPixmap] = OrderedDict()

    def size(self, lines: Sequence[Line], font: QFont, width: float) -> tuple[float, float]:
        """(width, height) the block takes when it may be ``width`` wide."""
        metrics = QFontMetricsF(font)
        widest = max((metrics.horizontalAdvance(line.text) for line in lines), default=0.0)
        return min(width, widest + 3), metrics.height() * len(lines) + 2

    def draw(
        self, painter: QPainter, x: float, y: float, lines: Sequence[Line], font: QFont, width: float, *, right: bool
    ) -> QRectF:
        """Draw with the top left (or top right) corner at (x, y), at most ``width`` wide; returns the place taken."""
        if not lines or width < 8:
            return QRectF()
        taken, height = self.size(lines, font, width)
        rect = QRectF(round(x - taken if right else x), round(y), taken, height)
        ratio = painter.device().devicePixelRatioF()
        key = (tuple(lines), font.key(), taken, right, ratio)
        picture = self._pictures.get(key)
        if picture is None:
            picture = _picture(lines, font, taken, height, right, ratio)
            self._pictures[key] = picture
            if len(self._pictures) > _CACHE_SIZE:
                self._pictures.popitem(last=False)
        else:
            self._pictures.move_to_end(key)
        painter.drawPixmap(rect.topLeft(), picture)
        return rect


def _picture(lines: Sequence[Line], font: QFont, width: float, height: float, right: bool, ratio: float) -> QPixmap:
    picture = QPixmap(QSize(int(width * ratio) + 2, int(height * ratio) + 2))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    metrics = QFontMetricsF(font)
    for number, line in enumerate(lines):
        text = metrics.elidedText(line.text, Qt.TextElideMode.ElideRight, width - 2)
        x = width - 1.5 - metrics.horizontalAdvance(text) if right else 1.0
        outlined(painter, QPointF(x, 1 + metrics.ascent() + number * metrics.height()), text, font, line.color)
    painter.end()
    return picture


def outlined(painter: QPainter, baseline: QPointF, text: str, font: QFont, color: str) -> None:
    """One line with a dark outline, its baseline starting at ``baseline``."""
    painter.setFont(font)
    dark = QColor(theme.FILM_BACKGROUND)
    dark.setAlpha(_OUTLINE_ALPHA)
    painter.setPen(dark)
    for dx, dy in _OUTLINE:
        painter.drawText(baseline + QPointF(dx, dy), text)
    painter.setPen(QColor(color))
    painter.drawText(baseline, text)
