"""The mouse over one pane: which button does what, and when a press is a click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent

from cxr_viewer.core.anatomy import Handle
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, Tool, ViewerState
from cxr_viewer.ui.calliper_layer import CalliperHand
from cxr_viewer.ui.gestures import CLICK_REACH_PX, Drag, DragKind, FrameGate, Wheel, fineness
from cxr_viewer.ui.placement import Placement
from cxr_viewer.ui.tools import Drawn, MarkHand

_DRAG_OF_TOOL = {Tool.WINDOW: DragKind.WINDOW, Tool.PAN: DragKind.PAN, Tool.ZOOM: DragKind.ZOOM}
_DRAG_OF_BUTTON = {Qt.MouseButton.MiddleButton: DragKind.PAN, Qt.MouseButton.RightButton: DragKind.ZOOM}


class Surface(Protocol):
    """What the mouse needs to know of its pane, and where it sends what it did."""

    @property
    def index(self) -> int: ...
    @property
    def state(self) -> ViewerState: ...
    @property
    def placement(self) -> Placement | None: ...
    def send(self, event: ev.Event) -> None: ...
    def redraw(self) -> None: ...
    def ask_menu(self, at: QPoint) -> None: ...
    def mark_drawn(self, drawn: Drawn) -> None: ...
    def edit_mark(self, mark_id: int) -> None: ...
    def maximise(self) -> None: ...
    def step_image(self, steps: int) -> None: ...


@dataclass(slots=True)
class _Press:
    """A button that is down. ``drag`` is None while it holds or draws a mark or holds an end of the callipers."""

    button: Qt.MouseButton
    at: QPointF
    drag: Drag | None
    moved: bool = False
    calliper: bool = False


class PaneMouse:
    """Turns the mouse events of one pane into events of the session."""

    def __init__(self, surface: Surface, marks: MarkHand, callipers: CalliperHand, gate: FrameGate) -> None:
        self._surface = surface
        self._marks = marks
        self._callipers = callipers
        self._gate = gate
        self._wheel = Wheel()
        self._press: _Press | None = None

    @property
    def _pane(self) -> Pane:
        return self._surface.state.panes[self._surface.index]

    def let_go(self) -> None:
        """Forget what the hand is doing: the film under it has changed."""
        self._press = None
        self._gate.drop()
        self._marks.cancel()
        self._callipers.let_go()

    def cancel(self) -> bool:
        """Let go of a half-drawn or held mark, of an end of the callipers; whether there was one."""
        if not self._marks.busy and self._callipers.chosen is None:
            return False
        self.let_go()
        self._surface.redraw()
        return True

    # ------------------------------------------------------------ buttons

    def press(self, event: QMouseEvent) -> None:
        surface = self._surface
        if surface.index != surface.state.active:
            surface.send(ev.ActivatePane(surface.index))
        placement = surface.placement
        if self._press is not None or placement is None or self._pane.image is None:
            return
        button, at = event.button(), event.position()
        kind = _DRAG_OF_BUTTON.get(button)
        if button is Qt.MouseButton.LeftButton:
            if self.calliper_at(at) is not None:
                self._callipers.press(at, surface.state, placement)
                self._press = _Press(button, at, None, calliper=True)
                surface.redraw()
                return
            taken = self._marks.press(at, surface.state, placement)
            if taken is not None:
                self._press = _Press(button, at, None)
                for sent in taken:
                    surface.send(sent)
                surface.redraw()
                return
            kind = _DRAG_OF_TOOL.get(surface.state.tool)
        if kind is None:
            return
        drag = Drag(
            kind,
            surface.index,
            self._pane,
            placement,
            at,
            fineness(event.modifiers()),
            up_darkens=surface.state.invert_drag,
        )
        self._press = _Press(button, at, drag)

    def calliper_at(self, at: QPointF) -> Handle | None:
        """The end of the callipers that a press at ``at`` would take; marks come first."""
        surface, placement = self._surface, self._surface.placement
        if placement is None or self._marks.hold_at(at, surface.state, placement) is not None:
            return None
        return self._callipers.hold_at(at, surface.state, placement)

    def move(self, event: QMouseEvent) -> None:
        """Follow the hand, at most once per picture on screen."""
        at, factor = event.position(), fineness(event.modifiers())
        press = self._press
        if press is None:
            if self._marks.drawing:
                self._gate.put(lambda: self._follow(at))
            return
        way = at - press.at
        press.moved = press.moved or max(abs(way.x()), abs(way.y())) >= CLICK_REACH_PX
        if press.calliper and press.moved:
            fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._gate.put(lambda: self._pull_calliper(at, fine))
        elif press.calliper:
            return
        elif press.drag is not None and press.moved:
            self._gate.put(lambda: self._pull(press, at, factor))
        elif press.drag is None and (press.moved or self._marks.drawing):
            self._gate.put(lambda: self._follow(at))

    def release(self, event: QMouseEvent) -> None:
        press, placement = self._press, self._surface.placement
        if press is None and placement is None:
            self._click(event.button(), event)  # a pane without a film has its menu too
        if press is None or event.button() is not press.button:
            return
        self._gate.drop()
        at = event.position()
        if press.calliper:
            self._let_calliper_go(press, event)
            return
        if press.drag is not None and press.moved:
            self._pull(press, at, fineness(event.modifiers()))
        elif press.drag is None and press.moved:
            self._follow(at)
        self._press = None
        if press.drag is None and placement is not None:
            drawn = self._marks.release(at, placement)
            if drawn is not None:
                self._surface.mark_drawn(drawn)
            self._surface.redraw()
        elif not press.moved:
            self._click(press.button, event)

    def _let_calliper_go(self, press: _Press, event: QMouseEvent) -> None:
        if press.moved:
            self._pull_calliper(event.position(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        self._press = None
        self._callipers.release()
        self._surface.redraw()

    def _pull_calliper(self, at: QPointF, fine: bool) -> None:
        placement = self._surface.placement
        if placement is not None:
            for event in self._callipers.pull(at, placement, fine=fine):
                self._surface.send(event)

    def _click(self, button: Qt.MouseButton, event: QMouseEvent) -> None:
        if button is Qt.MouseButton.RightButton:
            self._select_at(event.position())  # the menu is about the mark it was asked for on
            self._surface.ask_menu(event.globalPosition().toPoint())
        elif button is Qt.MouseButton.LeftButton:
            if self._callipers.drop():
                self._surface.redraw()
            if self._pane.selected_mark is not None:
                self._surface.send(ev.SelectMark(self._surface.index, None))

    def _select_at(self, at: QPointF) -> None:
        surface, placement = self._surface, self._surface.placement
        if placement is None:
            return
        hold = self._marks.hold_at(at, surface.state, placement, any_part=True)
        if hold is not None and hold.mark.mark_id != self._pane.selected_mark:
            surface.send(ev.SelectMark(surface.index, hold.mark.mark_id))

    def double_click(self, event: QMouseEvent) -> None:
        """Write on a mark that carries words, else show the pane alone; a second click while a mark is drawn."""
        surface, placement = self._surface, self._surface.placement
        if event.button() is not Qt.MouseButton.LeftButton:
            self.press(event)
            return
        hold = self._marks.hold_at(event.position(), surface.state, placement) if placement is not None else None
        if hold is not None:
            surface.edit_mark(hold.mark.mark_id)
        elif self.calliper_at(event.position()) is not None or (
            surface.state.tool.mark_kind is not None and placement is not None
        ):
            self.press(event)
        else:
            surface.maximise()

    def _pull(self, press: _Press, at: QPointF, factor: float) -> None:
        if press.drag is not None:
            for event in press.drag.moved(at, factor):
                self._surface.send(event)

    def _follow(self, at: QPointF) -> None:
        placement = self._surface.placement
        if placement is None:
            return
        for event in self._marks.move(at, placement):
            self._surface.send(event)
        self._surface.redraw()

    # ------------------------------------------------------------ wheel

    def wheel(self, event: QWheelEvent) -> None:
        """Next and previous image, or frame where the film has several; with Ctrl, zoom at the cursor."""
        placement = self._surface.placement
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if placement is not None and self._pane.image is not None:
                self.zoom(self._wheel.zoom_factor(event), event.position())
        else:
            steps = self._wheel.steps(event)
            if steps and self._pane.frames > 1:
                self._surface.send(ev.StepFrame(self._surface.index, steps))
            elif steps:
                self._surface.step_image(steps)
        event.accept()

    def zoom(self, factor: float, at: QPointF) -> None:
        """Zoom with the film point under ``at`` staying where it is."""
        placement = self._surface.placement
        if placement is not None:
            zoomed = placement.zoomed(factor, at.x(), at.y())
            self._surface.send(ev.SetView(self._surface.index, zoomed.zoom, zoomed.center))
