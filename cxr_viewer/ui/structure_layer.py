"""Outlines of a segmenter's structures over the film, each with its name in its colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QPolygonF

from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.imaging.structures import main_line, name_places, outlines_on_image, structure_colour
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_text import outlined
from cxr_viewer.ui.placement import Placement
from cxr_viewer.ui.seen_layer import rect_of

_LINE_PX, _RIM_PX = 1.8, 3.6
_MARGIN_PX = 4.0
_CORNER_LINES, _LEGEND_LINES, _TALL_LINES = 4, 6, 20

Line = NDArray[np.float64]


class StructureLines:
    """The outlines of one result in image coordinates, worked out once and drawn wherever the film lies."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[Heatmap, list[Line]]] = {}  # the map is held, so that its id stays its own

    def draw(
        self,
        painter: QPainter,
        outlines: tuple[Heatmap, ...],
        structures: tuple[str, ...],
        placement: Placement,
        font: QFont,
    ) -> None:
        """Over the film, clipped to it; names are kept inside the widget. ``structures`` give each its colour."""
        if not outlines:
            self._lines.clear()
            return
        film = rect_of(placement, ImageRect(0, 0, placement.columns, placement.rows))
        drawn: list[tuple[str, QColor, Line]] = []
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(film, Qt.ClipOperation.IntersectClip)
        for heatmap in outlines:
            lines = [on_widget(line, placement) for line in self._outlines(heatmap)]
            color = QColor(*structure_colour(heatmap.label, structures))
            path = path_of(lines)
            for ink, width in ((QColor(theme.FILM_BACKGROUND), _RIM_PX), (color, _LINE_PX)):
                painter.setPen(QPen(ink, width))
                painter.drawPath(path)
            main = main_line(lines)
            if main is not None:
                drawn.append((heatmap.label, color, main))
        painter.restore()
        _draw_names(painter, drawn, film & _between_corners(placement, font), font)

    def _outlines(self, heatmap: Heatmap) -> list[Line]:
        kept = self._lines.get(id(heatmap))
        if kept is None:
            kept = self._lines[id(heatmap)] = (heatmap, outlines_on_image(heatmap))
        return kept[1]


def drawn_outlines(state: ViewerState, pane: Pane) -> tuple[tuple[Heatmap, ...], tuple[str, ...]]:
    """What is outlined over a film, and all that could be: of a segmenter, and lungs and heart on demand."""
    found = pane.anatomy.outlines if pane.anatomy is not None else ()
    names = pane.result.structures if pane.result is not None else ()
    shown = (*pane.outlines, *(found if state.show_outlines else ()))
    return shown, (*names, *(one.label for one in found if one.label not in names))


def on_widget(line: Line, placement: Placement) -> Line:
    """A line of image points, float64 (n, 2), in widget positions."""
    matrix = placement.matrix
    moved: Line = line @ matrix[:, :2].T + matrix[:, 2]
    return moved


def path_of(lines: list[Line]) -> QPainterPath:
    path = QPainterPath()
    for line in lines:
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in line.tolist()]))
    return path


def _between_corners(placement: Placement, font: QFont) -> QRectF:
    """The widget without the rows that the corner texts above and the legend below are written in, where it is tall."""
    line = QFontMetricsF(font).height()
    tall = placement.frame.height > _TALL_LINES * line
    above, below = (_CORNER_LINES * line, _LEGEND_LINES * line) if tall else (0.0, 0.0)
    return QRectF(0, above, placement.frame.width, placement.frame.height - above - below)


def _draw_names(painter: QPainter, drawn: list[tuple[str, QColor, Line]], bounds: QRectF, font: QFont) -> None:
    metrics = QFontMetricsF(font)
    sizes = [(metrics.horizontalAdvance(name) + 2, metrics.height()) for name, _, _ in drawn]
    inner = bounds.adjusted(_MARGIN_PX, _MARGIN_PX, -_MARGIN_PX, -_MARGIN_PX)
    box = (inner.left(), inner.top(), inner.right(), inner.bottom())
    places = name_places([line for _, _, line in drawn], sizes, box)
    for (name, color, _), (left, top, _, _) in zip(drawn, places, strict=True):
        outlined(painter, QPointF(left + 1, top + metrics.ascent()), name, font, color.name())
