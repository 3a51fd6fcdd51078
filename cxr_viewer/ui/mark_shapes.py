"""How marks look and where they can be taken hold of, in widget coordinates. Their size on screen never changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen

from cxr_viewer.core.annotations import POINTS_NEEDED, Mark, MarkKind, mark_label
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_text import outlined
from cxr_viewer.ui.placement import Frame, Placement

REACH_PX = 7.0
"""How near to a line or handle counts as on it."""
_HANDLE_PX = 4.0
_TICK_PX = 6.0
_HEAD_PX = 12.0
_LABEL_GAP_PX = 10.0
_EDGE_PX = 3.0
_ARC_PX = 26.0


@dataclass(frozen=True, slots=True)
class Hold:
    """What of a mark is under the mouse: one of its points, or the whole."""

    mark: Mark
    point: int | None


def on_widget(points: Sequence[Point], placement: Placement) -> list[QPointF]:
    return [QPointF(*placement.to_widget(point)) for point in points]


def hold_at(
    marks: Sequence[Mark],
    at: QPointF,
    placement: Placement,
    spacing: PixelSpacing | None,
    font: QFont,
    selected: int | None,
) -> Hold | None:
    """The mark under ``at``: points of the selected mark first, then the topmost line or label."""
    ordered = sorted(marks, key=lambda mark: (mark.mark_id != selected, -mark.mark_id))
    for mark in ordered:
        points = on_widget(mark.points, placement)
        if mark.kind is not MarkKind.TEXT:
            near = min(range(len(points)), key=lambda i: _distance(points[i], at))
            if _distance(points[near], at) <= REACH_PX:
                return Hold(mark, near)
        text = mark_label(mark, spacing)
        if text and label_rect(mark.kind, points, text, font, placement.frame).adjusted(-3, -2, 3, 2).contains(at):
            return Hold(mark, None)
        if any(_to_segment(at, a, b) <= REACH_PX for a, b in segments(mark.kind, points)):
            return Hold(mark, None)
    return None


def segments(kind: MarkKind, points: Sequence[QPointF]) -> list[tuple[QPointF, QPointF]]:
    """The lines of a mark, also of one that is half drawn."""
    if kind is MarkKind.TEXT:
        return []
    return list(itertools.pairwise(points))


def label_rect(kind: MarkKind, points: Sequence[QPointF], text: str, font: QFont, frame: Frame) -> QRectF:
    """Where the text of a mark stands: beside it, or above it where the pane ends. A measure is never cut off."""
    rect = _beside(kind, points, text, font)
    left = max(_EDGE_PX, min(rect.left(), frame.width - rect.width() - _EDGE_PX))
    if left != rect.left() and _on_pane(points, frame):
        above = max(_EDGE_PX, min(point.y() for point in points) - rect.height() - _LABEL_GAP_PX)
        rect.moveTo(left, rect.top() if kind is MarkKind.TEXT else above)
    return rect


def _on_pane(points: Sequence[QPointF], frame: Frame) -> bool:
    """Part of the mark is in sight, so that its text belongs there as well."""
    return any(0 <= point.x() <= frame.width and 0 <= point.y() <= frame.height for point in points)


def _beside(kind: MarkKind, points: Sequence[QPointF], text: str, font: QFont) -> QRectF:
    metrics = QFontMetricsF(font)
    size = (metrics.horizontalAdvance(text), metrics.height())
    if kind is MarkKind.TEXT:
        return QRectF(points[0].x(), points[0].y() - size[1] / 2, *size)
    anchor = points[1] if kind in (MarkKind.ANGLE, MarkKind.ARROW) else max(points, key=lambda p: (p.x(), p.y()))
    others = [p for p in points if p is not anchor]
    middle = sum((p.x() for p in others), 0.0) / max(1, len(others))
    if anchor.x() >= middle:  # away from the lines of the mark
        return QRectF(anchor.x() + _LABEL_GAP_PX, anchor.y() - size[1] / 2, *size)
    return QRectF(anchor.x() - _LABEL_GAP_PX - size[0], anchor.y() - size[1] / 2, *size)


def draw_mark(
    painter: QPainter, mark: Mark, placement: Placement, spacing: PixelSpacing | None, font: QFont, *, selected: bool
) -> None:
    """One mark with its label, and handles while it is selected."""
    points = on_widget(mark.points, placement)
    color = theme.MARK_SELECTED if selected else theme.MARK
    _stroke(painter, _path(mark.kind, points), color)
    text = mark_label(mark, spacing)
    if text:
        rect = label_rect(mark.kind, points, text, font, placement.frame)
        outlined(painter, QPointF(rect.left(), rect.top() + QFontMetricsF(font).ascent()), text, font, color)
    if selected:
        _handles(painter, points, color)


def draw_draft(
    painter: QPainter,
    kind: MarkKind,
    points: Sequence[Point],
    placement: Placement,
    spacing: PixelSpacing | None,
    font: QFont,
) -> None:
    """A mark that is being drawn, following the hand, with its measurement as soon as it has one."""
    if len(points) == POINTS_NEEDED[kind]:
        draw_mark(painter, Mark(0, kind, tuple(points)), placement, spacing, font, selected=False)
        return
    _stroke(painter, _path(kind, on_widget(points, placement)), theme.MARK)


def _path(kind: MarkKind, points: Sequence[QPointF]) -> QPainterPath:
    path = QPainterPath()
    for a, b in segments(kind, points):
        path.moveTo(a)
        path.lineTo(b)
    if kind is MarkKind.LENGTH and len(points) == 2:
        for end, other in ((points[0], points[1]), (points[1], points[0])):
            across = _unit(QPointF(end.y() - other.y(), other.x() - end.x())) * _TICK_PX
            path.moveTo(end - across)
            path.lineTo(end + across)
    if kind is MarkKind.ARROW and len(points) == 2:
        tip, tail = points
        back = _unit(tail - tip) * _HEAD_PX
        across = QPointF(-back.y(), back.x()) * 0.4
        path.moveTo(tip + back + across)
        path.lineTo(tip)
        path.lineTo(tip + back - across)
    if kind is MarkKind.ANGLE and len(points) == 3:
        _add_arc(path, points)
    return path


def _add_arc(path: QPainterPath, points: Sequence[QPointF]) -> None:
    """The smaller arc between the legs of an angle."""
    vertex = points[1]
    first, second = (math.degrees(math.atan2(vertex.y() - p.y(), p.x() - vertex.x())) for p in (points[0], points[2]))
    sweep = (second - first + 180) % 360 - 180
    radius = min(_ARC_PX, *(_distance(vertex, p) * 0.6 for p in (points[0], points[2])))
    box = QRectF(vertex.x() - radius, vertex.y() - radius, 2 * radius, 2 * radius)
    path.arcMoveTo(box, first)
    path.arcTo(box, first, sweep)


def _stroke(painter: QPainter, path: QPainterPath, color: str) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    dark = QColor(theme.FILM_BACKGROUND)
    dark.setAlpha(170)
    for pen_color, width in ((dark, 3.6), (QColor(color), 1.6)):
        painter.setPen(
            QPen(pen_color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
        )
        painter.drawPath(path)
    painter.restore()


def _handles(painter: QPainter, points: Sequence[QPointF], color: str) -> None:
    for point in points:
        rect = QRectF(point.x() - _HANDLE_PX, point.y() - _HANDLE_PX, 2 * _HANDLE_PX, 2 * _HANDLE_PX)
        painter.fillRect(rect.adjusted(-1, -1, 1, 1), QColor(theme.FILM_BACKGROUND))
        painter.fillRect(rect, QColor(color))


def _unit(vector: QPointF) -> QPointF:
    length = math.hypot(vector.x(), vector.y())
    return vector / length if length else QPointF()


def _distance(a: QPointF, b: QPointF) -> float:
    return math.hypot(a.x() - b.x(), a.y() - b.y())


def _to_segment(point: QPointF, a: QPointF, b: QPointF) -> float:
    """Distance of a point from the line between two others."""
    along = b - a
    length = along.x() ** 2 + along.y() ** 2
    way = point - a
    share = 0.0 if length == 0 else min(1.0, max(0.0, (way.x() * along.x() + way.y() * along.y()) / length))
    return _distance(point, a + along * share)
