"""Drawing, moving and selecting marks by hand. Keeps only what is half done; everything finished is an event."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import QLineEdit, QWidget

from cxr_viewer.core.annotations import POINTS_NEEDED, Mark, MarkKind
from cxr_viewer.core.geometry import Point
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui.gestures import CLICK_REACH_PX, next_gesture
from cxr_viewer.ui.mark_shapes import Hold, draw_draft, draw_mark, hold_at
from cxr_viewer.ui.placement import Placement

_NOTE_WIDTH_PX = 220


@dataclass(slots=True)
class _Draft:
    """A mark being drawn: ``points`` are placed, ``hand`` follows the mouse, ``held`` until the first release."""

    kind: MarkKind
    points: list[Point]
    hand: Point
    held: bool = True


@dataclass(slots=True)
class _Move:
    mark: Mark
    point: int | None
    start: Point
    gesture: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mark that has all its points."""

    kind: MarkKind
    points: tuple[Point, ...]


class MarkHand:
    """What the left button does to marks of one pane.

    A mark is drawn either by pressing, pulling and letting go, or by clicking its points one after the other.
    """

    def __init__(self, index: int, font: QFont) -> None:
        self._index = index
        self._font = font
        self._draft: _Draft | None = None
        self._move: _Move | None = None
        self._press = QPointF()

    @property
    def busy(self) -> bool:
        """A mark is half drawn or held."""
        return self._draft is not None or self._move is not None

    @property
    def drawing(self) -> bool:
        return self._draft is not None

    def cancel(self) -> bool:
        """Let go of what is half done; whether there was anything."""
        was_busy = self.busy
        self._draft = self._move = None
        return was_busy

    # ------------------------------------------------------------ the hand

    def hold_at(self, at: QPointF, state: ViewerState, placement: Placement, *, any_part: bool = False) -> Hold | None:
        """The mark under ``at`` that a press would take hold of; ``any_part`` whatever the tool in hand."""
        pane = state.panes[self._index]
        if pane.image is None or not state.marks_visible:
            return None
        hold = hold_at(pane.marks, at, placement, pane.image.spacing, self._font, pane.selected_mark)
        if hold is not None and state.tool.mark_kind is not None and not any_part:  # a new mark may begin on an old one
            takes = hold.point is not None and hold.mark.mark_id == pane.selected_mark
            return hold if takes else None
        return hold

    def press(self, at: QPointF, state: ViewerState, placement: Placement) -> list[ev.Event] | None:
        """The left button goes down. None means: not for marks, let it change the display."""
        self._press = at
        pane = state.panes[self._index]
        here = _on_film(placement, at)
        if self._draft is not None:
            self._draft.hand = here
            return []
        hold = self.hold_at(at, state, placement)
        if hold is not None:
            self._move = _Move(hold.mark, hold.point, placement.to_image(at.x(), at.y()), next_gesture())
            return [] if pane.selected_mark == hold.mark.mark_id else [ev.SelectMark(self._index, hold.mark.mark_id)]
        kind = state.tool.mark_kind
        if kind is None:
            return None
        self._draft = _Draft(kind, [here], here)
        events: list[ev.Event] = [] if state.marks_visible else [ev.SetMarksVisible(True)]
        return events if pane.selected_mark is None else [*events, ev.SelectMark(self._index, None)]

    def move(self, at: QPointF, placement: Placement) -> list[ev.Event]:
        """The mouse moves, with or without the button."""
        if self._draft is not None:
            self._draft.hand = _on_film(placement, at)
        move = self._move
        if move is None:
            return []
        points = _moved(move, at, placement)
        return [ev.ChangeMark(self._index, move.mark.mark_id, points, None, move.gesture)]

    def release(self, at: QPointF, placement: Placement) -> Drawn | None:
        """The left button goes up. Returns the mark that has all its points with it."""
        self._move = None
        draft = self._draft
        if draft is None:
            return None
        way = at - self._press
        pulled = max(abs(way.x()), abs(way.y())) > CLICK_REACH_PX
        here = _on_film(placement, at)
        needed = POINTS_NEEDED[draft.kind]
        if len(draft.points) < needed and (pulled or not draft.held) and here != draft.points[-1]:
            draft.points.append(here)
        draft.held = False
        if len(draft.points) < needed:
            return None
        self._draft = None
        return Drawn(draft.kind, tuple(draft.points))

    # ------------------------------------------------------------ drawing

    def draw(self, painter: QPainter, state: ViewerState, placement: Placement) -> None:
        """Every mark of the pane and the one being drawn."""
        pane = state.panes[self._index]
        if pane.image is None:
            return
        spacing = pane.image.spacing
        if state.marks_visible:
            for mark in pane.marks:
                chosen = mark.mark_id == pane.selected_mark
                draw_mark(painter, mark, placement, spacing, self._font, selected=chosen)
        if self._draft is not None and self._draft.kind is not MarkKind.TEXT:
            points = [*self._draft.points, self._draft.hand]
            draw_draft(painter, self._draft.kind, points, placement, spacing, self._font)


def _moved(move: _Move, at: QPointF, placement: Placement) -> tuple[Point, ...]:
    """The points of a mark after the hand has taken one of them, or all of it, to ``at``. They stay on the film."""
    here = placement.to_image(at.x(), at.y())
    points = move.mark.points
    held = points if move.point is None else (points[move.point],)
    xs, ys = [p.x for p in held], [p.y for p in held]  # moved as a whole, a mark keeps its shape at the edge
    dx = min(max(here.x - move.start.x, -min(xs)), placement.columns - max(xs))
    dy = min(max(here.y - move.start.y, -min(ys)), placement.rows - max(ys))
    moved = tuple(Point(p.x + dx, p.y + dy) for p in held)
    return moved if move.point is None else (*points[: move.point], *moved, *points[move.point + 1 :])


def _on_film(placement: Placement, at: QPointF) -> Point:
    """The image point under the hand, kept on the film: nothing is measured beside it."""
    point = placement.to_image(at.x(), at.y())
    return Point(min(max(point.x, 0.0), placement.columns), min(max(point.y, 0.0), placement.rows))


class NoteEditor(QLineEdit):
    """A line to write on the film, where the note will stand.

    Signals:
        written(str): the note, when Enter is pressed or the line is left; may be empty.
    """

    written = Signal(str)

    def __init__(self, parent: QWidget, text: str = "") -> None:
        super().__init__(text, parent)
        self.setAccessibleName("Note on the film")
        self.setToolTip("Write the note, then press Enter. Esc leaves it out.")
        self.setPlaceholderText("Note, then Enter")
        self.setMaxLength(200)
        self.setAcceptDrops(False)  # a film dropped here is to be opened
        self.setFixedWidth(_NOTE_WIDTH_PX)
        self._film = parent
        self._done = False
        self.returnPressed.connect(self._finish)

    def open_at(self, at: QPointF, frame: QSize) -> None:
        """Show the line near ``at``, inside a widget of size ``frame``."""
        height = self.sizeHint().height()
        left = min(max(0, round(at.x())), max(0, frame.width() - _NOTE_WIDTH_PX))
        self.setGeometry(
            left, min(max(0, round(at.y()) - height // 2), frame.height() - height), _NOTE_WIDTH_PX, height
        )
        self.show()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def drop(self) -> None:
        """Close without a note."""
        self._done = True
        if self.hasFocus():
            self._film.setFocus()  # so that the keys of the film work again
        self.hide()
        self.deleteLater()

    def _finish(self) -> None:
        if not self._done:
            self.drop()
            self.written.emit(self.text().strip())

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._finish()

    def event(self, event: QEvent) -> bool:
        """Keep Esc from the window's own shortcut while a note is written."""
        override = event.type() == QEvent.Type.ShortcutOverride
        if override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.drop()
            return
        super().keyPressEvent(event)
