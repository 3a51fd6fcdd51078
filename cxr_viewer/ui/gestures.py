"""What the mouse does to a film: window, pan, zoom and paging, as events."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from PySide6.QtCore import QElapsedTimer, QObject, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent

from cxr_viewer.core.image import VoiWindow
from cxr_viewer.imaging import levels, luts
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane
from cxr_viewer.ui.placement import Placement

CLICK_REACH_PX = 4.0
"""A press that moves less is a click, not a drag."""
ZOOM_DOUBLING_PX = 120.0
_FRAME_MS = 8  # no more often than the fastest common screens show a picture
_WHEEL_NOTCH = 120  # Qt counts eighths of a degree, 15 degrees a notch
_TOUCHPAD_STEP_PX = 60
_WHEEL_ZOOM = 1.2  # per notch

_numbers = itertools.count(1)


def next_gesture() -> int:
    """A number for one movement of the hand: all its events become one undo step."""
    return next(_numbers)


class DragKind(Enum):
    WINDOW = "window"
    PAN = "pan"
    ZOOM = "zoom"


@dataclass(slots=True)
class _WindowDrag:
    start: VoiWindow
    anchor: QPointF
    factor: float


class FrameGate(QObject):
    """Lets at most one call through per picture on screen; the latest wins, and none is lost."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: Callable[[], None] | None = None
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, singleShot=True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.flush)

    def put(self, call: Callable[[], None]) -> None:
        """Run ``call`` now or when the next picture is due, in place of what is waiting."""
        self._waiting = call
        if self._timer.isActive():
            return
        due = 0 if not self._clock.isValid() else max(0, _FRAME_MS - self._clock.elapsed())
        if due == 0:
            self.flush()
        else:
            self._timer.start(due)

    def flush(self) -> None:
        """Run what is waiting."""
        self._timer.stop()
        call, self._waiting = self._waiting, None
        if call is not None:
            call()
            self._clock.start()

    def drop(self) -> None:
        """Forget what is waiting."""
        self._timer.stop()
        self._waiting = None


def tidy(window: VoiWindow, image_range: tuple[float, float]) -> VoiWindow:
    """A window the hand has set, without digits that mean nothing: whole numbers on a film of 500 values or more."""
    span = image_range[1] - image_range[0]
    digits = max(0, math.ceil(-math.log10(span / 500.0))) if span > 0 else 2
    least = 10.0**-digits
    return replace(window, center=round(window.center, digits), width=max(least, round(window.width, digits)))


class Drag:
    """One press, move and release on a film that changes how it is shown."""

    def __init__(
        self,
        kind: DragKind,
        index: int,
        pane: Pane,
        placement: Placement,
        at: QPointF,
        factor: float = 1.0,
        *,
        up_darkens: bool = False,
    ) -> None:
        self.kind = kind
        self._index = index
        self._gesture = next_gesture()
        self._pane = pane
        self._placement = placement
        self._press = at
        self._window: _WindowDrag | None = None
        if kind is DragKind.WINDOW and pane.image is not None:
            self._window = _WindowDrag(levels.equivalent_window(pane.image, pane.display.voi), at, factor)
            self._range = luts.modality_range(pane.image)
            self._falls = levels.falls(pane.display.voi)
            self._inverted = (luts.inverts(pane.image) != pane.display.inverted) != self._falls
            self._up_darkens = up_darkens

    def moved(self, at: QPointF, factor: float) -> list[ev.Event]:
        """What the film should become with the hand at ``at``; ``factor`` is the fineness of a window drag."""
        if self.kind is DragKind.PAN:
            way = at - self._press
            return [self._view(self._placement.panned(way.x(), way.y()))]
        if self.kind is DragKind.ZOOM:
            zoom = 2.0 ** ((self._press.y() - at.y()) / ZOOM_DOUBLING_PX)
            return [self._view(self._placement.zoomed(zoom, self._press.x(), self._press.y()))]
        return self._windowed(at, factor)

    def _view(self, placement: Placement) -> ev.SetView:
        return ev.SetView(self._index, placement.zoom, placement.center)

    def _windowed(self, at: QPointF, factor: float) -> list[ev.Event]:
        drag = self._window
        if drag is None:
            return []
        if factor != drag.factor:  # go on from here, so that pressing Shift does not make the film jump
            drag = self._window = _WindowDrag(self._at(drag, at), at, factor)
        events: list[ev.Event] = [ev.SetVoi(self._index, self._at(drag, at), None, self._gesture)]
        if self._falls:  # a window rises where the table fell: exchange polarity with it, once
            self._falls = False
            events.append(ev.SetInverted(self._index, not self._pane.display.inverted))
        return events

    def _at(self, drag: _WindowDrag, at: QPointF) -> VoiWindow:
        way = at - drag.anchor
        if way.isNull():
            return drag.start
        dragged = levels.drag_window(
            drag.start,
            way.x(),
            -way.y() if self._up_darkens else way.y(),
            self._range,
            factor=drag.factor,
            inverted=self._inverted,
        )
        return tidy(dragged, self._range)


def fineness(modifiers: Qt.KeyboardModifier) -> float:
    """Shift is fine, Ctrl is coarse."""
    if modifiers & Qt.KeyboardModifier.ShiftModifier:
        return levels.FINE
    return levels.COARSE if modifiers & Qt.KeyboardModifier.ControlModifier else 1.0


class Wheel:
    """Turns wheel and touchpad movement into whole steps and into zoom factors."""

    def __init__(self) -> None:
        self._angle = 0
        self._pixels = 0

    def steps(self, event: QWheelEvent) -> int:
        """Whole steps: down is +1 (next), up is -1. Touchpads report pixels, which are added up."""
        pixels, angle = event.pixelDelta().y(), event.angleDelta().y()
        if pixels:
            self._pixels = _carry(self._pixels, pixels)
            steps = int(self._pixels / _TOUCHPAD_STEP_PX)
            self._pixels -= steps * _TOUCHPAD_STEP_PX
        else:
            self._angle = _carry(self._angle, angle)
            steps = int(self._angle / _WHEEL_NOTCH)
            self._angle -= steps * _WHEEL_NOTCH
        return -steps

    @staticmethod
    def zoom_factor(event: QWheelEvent) -> float:
        """Up is nearer."""
        pixels, angle = event.pixelDelta().y(), event.angleDelta().y()
        notches = pixels / _TOUCHPAD_STEP_PX if pixels else angle / _WHEEL_NOTCH
        return float(_WHEEL_ZOOM**notches)


def _carry(kept: int, new: int) -> int:
    """Add up, but let a change of direction count at once."""
    return new if kept * new < 0 else kept + new
