"""The callipers of the cardiothoracic ratio over a film: their lines, and the hand that moves their ends.

Keeps only what hovers, is chosen or held; every move is an event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QPainter, QPainterPath, QPen

from cxr_viewer.core.anatomy import Callipers, Handle
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.measuring import ratio_words
from cxr_viewer.imaging.levels import FINE
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_text import outlined
from cxr_viewer.ui.gestures import next_gesture
from cxr_viewer.ui.mark_shapes import REACH_PX
from cxr_viewer.ui.placement import Placement

_LINE_PX, _ACTIVE_LINE_PX = 1.2, 2.0
_RIM_PX = 2.2  # more than the line, so that it is read on white too
_HANDLE_PX, _ACTIVE_HANDLE_PX = 2.8, 6.0
_TICK_PX = 7.0
_LABEL_GAP_PX = 9.0
_EDGE_PX = 4.0
_STRIDE = 10.0  # of Shift with an arrow key
_ARROWS = {
    Qt.Key.Key_Left: QPointF(-1, 0),
    Qt.Key.Key_Right: QPointF(1, 0),
    Qt.Key.Key_Up: QPointF(0, -1),
    Qt.Key.Key_Down: QPointF(0, 1),
}
_TABS = {Qt.Key.Key_Tab: 1, Qt.Key.Key_Backtab: -1}
_ORDER = tuple(Handle)


@dataclass(slots=True)
class _Move:
    """An end in the hand: where it is on the widget, where the hand was last."""

    handle: Handle
    here: QPointF
    hand: QPointF
    gesture: int


def shown_callipers(state: ViewerState, index: int) -> Callipers | None:
    """The callipers that are drawn over the film of a pane."""
    pane = state.panes[index]
    return pane.callipers if state.show_callipers and pane.image is not None else None


def handle_words(handle: Handle) -> str:
    """What an end is and how it is moved, for the tooltip."""
    return f"{handle.value.capitalize()}. Drag it (Shift: fine), or choose it with Shift+C and use the arrow keys."


class CalliperHand:
    """What mouse and keys do to the callipers of one pane."""

    def __init__(self, index: int, font: QFont) -> None:
        self._index = index
        self._font = font
        self._hovered: Handle | None = None
        self._move: _Move | None = None
        self._gesture = 0
        self.chosen: Handle | None = None
        """The end that the arrow keys move."""

    @property
    def busy(self) -> bool:
        """An end is held."""
        return self._move is not None

    def let_go(self) -> None:
        """Forget what is held and chosen: the film under it has changed."""
        self._move = self._hovered = self.chosen = None

    def drop(self) -> bool:
        """Choose no end any more; whether one was chosen."""
        was, self.chosen = self.chosen, None
        return was is not None

    # ------------------------------------------------------------ the mouse

    def hold_at(self, at: QPointF, state: ViewerState, placement: Placement) -> Handle | None:
        """The end under ``at`` that a press would take: within a few pixels, and not while a mark is to be drawn."""
        callipers = shown_callipers(state, self._index)
        if callipers is None or state.tool.mark_kind is not None:
            return None
        near = min(_ORDER, key=lambda handle: _distance(at, _place(callipers, handle, placement)))
        return near if _distance(at, _place(callipers, near, placement)) <= REACH_PX else None

    def hover(self, handle: Handle | None) -> bool:
        """The mouse is over this end; whether it was not before."""
        before, self._hovered = self._hovered, handle
        return before is not handle

    def press(self, at: QPointF, state: ViewerState, placement: Placement) -> bool:
        """The left button goes down; whether it has taken hold of an end."""
        handle, callipers = self.hold_at(at, state, placement), shown_callipers(state, self._index)
        if handle is None or callipers is None:
            return False
        self.chosen = handle
        self._move = _Move(handle, _place(callipers, handle, placement), at, next_gesture())
        return True

    def pull(self, at: QPointF, placement: Placement, *, fine: bool) -> list[ev.Event]:
        """The hand is at ``at`` now; with ``fine`` the end goes a fifth of its way."""
        move = self._move
        if move is None:
            return []
        move.here += (at - move.hand) * (FINE if fine else 1.0)
        move.hand = at
        return [ev.MoveCalliper(self._index, move.handle, _on_film(move.here, placement), move.gesture)]

    def release(self) -> None:
        """The left button goes up."""
        self._move = None

    # ------------------------------------------------------------ the keys

    def choose_next(self, state: ViewerState, step: int = 1) -> list[ev.Event]:
        """Choose the next end; the callipers are shown for it."""
        pane = state.panes[self._index]
        if pane.image is None or pane.callipers is None:
            return []
        place = _ORDER.index(self.chosen) + step if self.chosen is not None else (0 if step > 0 else -1)
        self.chosen = _ORDER[place % len(_ORDER)]
        return [] if state.show_callipers else [ev.ShowCallipers(True)]

    def takes(self, event: QKeyEvent, state: ViewerState) -> bool:
        """Whether a key is for the chosen end and not for the film."""
        if self.chosen is None or shown_callipers(state, self._index) is None:
            return False
        plain = event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
        known = Qt.Key(event.key()) in _ARROWS or Qt.Key(event.key()) in _TABS
        return known and plain == Qt.KeyboardModifier.NoModifier

    def key(self, event: QKeyEvent, state: ViewerState, placement: Placement) -> list[ev.Event]:
        """Arrows move the chosen end by a pixel of the screen, with Shift by ten; Tab goes on to the next.

        A key that is held is one step of undo.
        """
        callipers, handle, key = shown_callipers(state, self._index), self.chosen, Qt.Key(event.key())
        if callipers is None or handle is None:
            return []
        if key in _TABS:
            back = _TABS[key] < 0 or event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            return self.choose_next(state, -1 if back else 1)
        if not event.isAutoRepeat():
            self._gesture = next_gesture()
        stride = _STRIDE if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0
        to = _place(callipers, handle, placement) + _ARROWS[key] * stride
        return [ev.MoveCalliper(self._index, handle, _on_film(to, placement), self._gesture)]

    # ------------------------------------------------------------ drawing

    def draw(self, painter: QPainter, state: ViewerState, placement: Placement) -> None:
        """Midline, three lines, their ends and the ratio; thin unless a hand is near."""
        pane, callipers = state.panes[self._index], shown_callipers(state, self._index)
        if callipers is None or pane.image is None:
            return
        active = self._move.handle if self._move is not None else self._hovered or self.chosen
        color = QColor(theme.MARK if callipers.edited else theme.CALLIPER)
        width = _LINE_PX if active is None else _ACTIVE_LINE_PX
        lines = [_ends(line, placement) for line in callipers.lines(pane.image.spacing)]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _stroke(painter, _path([_ends(callipers.midline, placement)], ticks=False), color, width, dashed=True)
        _stroke(painter, _path(lines, ticks=True), color, width)
        for handle in _ORDER:
            self._draw_handle(painter, _place(callipers, handle, placement), color, handle is active)
        painter.restore()
        self._draw_ratio(painter, pane, callipers, lines[-1], placement, color)

    def _draw_handle(self, painter: QPainter, at: QPointF, color: QColor, active: bool) -> None:
        radius = _ACTIVE_HANDLE_PX if active else _HANDLE_PX
        painter.setPen(QPen(QColor(theme.FILM_BACKGROUND), 1.2))
        painter.setBrush(QColor(theme.ACCENT) if active else color)
        painter.drawEllipse(at, radius, radius)

    def _draw_ratio(
        self,
        painter: QPainter,
        pane: Pane,
        callipers: Callipers,
        chest: tuple[QPointF, QPointF],
        placement: Placement,
        color: QColor,
    ) -> None:
        """Below the chest's line, where no lung is, beside the midline; inside the pane as long as the line is."""
        spacing = pane.image.spacing if pane.image is not None else None
        text = f"CTR {ratio_words(callipers, pane.anatomy, spacing, reader='you')}"
        metrics = QFontMetricsF(self._font)
        size = (metrics.horizontalAdvance(text) + 2, metrics.height())
        middle = chest[0] * 0.75 + chest[1] * 0.25
        place = QRectF(middle.x() - size[0] / 2, middle.y() + _drop(chest, size[0]) + _LABEL_GAP_PX, *size)
        frame = QRectF(0, 0, placement.frame.width, placement.frame.height)
        if frame.contains(middle):
            right, bottom = frame.right() - size[0] - _EDGE_PX, frame.bottom() - size[1] - _EDGE_PX
            place.moveTo(max(_EDGE_PX, min(place.left(), right)), max(_EDGE_PX, min(place.top(), bottom)))
        outlined(painter, QPointF(place.left() + 1, place.top() + metrics.ascent()), text, self._font, color.name())


def _drop(line: tuple[QPointF, QPointF], width: float) -> float:
    """How much lower than at its first quarter a line runs below words of this width; past its end if it is steep."""
    way = line[1] - line[0]
    if abs(way.y()) >= abs(way.x()):
        return max(-0.25 * way.y(), 0.75 * way.y())
    return abs(way.y() / way.x()) * width / 2


def _place(callipers: Callipers, handle: Handle, placement: Placement) -> QPointF:
    return QPointF(*placement.to_widget(callipers.point(handle)))


def _ends(line: tuple[Point, Point], placement: Placement) -> tuple[QPointF, QPointF]:
    return QPointF(*placement.to_widget(line[0])), QPointF(*placement.to_widget(line[1]))


def _on_film(at: QPointF, placement: Placement) -> Point:
    """The image point under a widget position, kept on the film: nothing is measured beside it."""
    point = placement.to_image(at.x(), at.y())
    return Point(min(max(point.x, 0.0), placement.columns), min(max(point.y, 0.0), placement.rows))


def _path(lines: list[tuple[QPointF, QPointF]], *, ticks: bool) -> QPainterPath:
    path = QPainterPath()
    for start, end in lines:
        path.moveTo(start)
        path.lineTo(end)
        length = _distance(start, end)
        if not ticks or length == 0:
            continue
        across = QPointF(start.y() - end.y(), end.x() - start.x()) * (_TICK_PX / length)
        for tip in (start, end):
            path.moveTo(tip - across)
            path.lineTo(tip + across)
    return path


def _stroke(painter: QPainter, path: QPainterPath, color: QColor, width: float, *, dashed: bool = False) -> None:
    dark = QColor(theme.FILM_BACKGROUND)
    dark.setAlpha(170)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for ink, wide in ((dark, width + _RIM_PX), (color, width)):
        pen = QPen(ink, wide, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
        if dashed:
            pen.setDashPattern([7.0 / wide, 5.0 / wide])  # Qt counts in widths of the line
        painter.setPen(pen)
        painter.drawPath(path)


def _distance(a: QPointF, b: QPointF) -> float:
    return math.hypot(a.x() - b.x(), a.y() - b.y())
