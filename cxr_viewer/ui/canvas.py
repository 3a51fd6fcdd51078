"""The films side by side: up to four panes laid out as the state says."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import PANE_COUNT, Layout, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.pane_view import PaneView
from cxr_viewer.ui.placement import Placement

_GAP_PX = 2


class CanvasGrid(QWidget):
    """Lays out the panes and outlines the active one. Films dropped here are left to the window.

    Signals:
        sends(object): for the session.
        context_menu_requested(int, QPoint): pane and global position.
        image_step(int, int): pane and number of images to go on, +1 being the next.
    """

    sends = Signal(object)
    context_menu_requested = Signal(int, QPoint)
    image_step = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = ViewerState()
        self._before_maximise: Layout | None = None
        self._views = tuple(PaneView(index, self) for index in range(PANE_COUNT))
        for view in self._views:
            view.sends.connect(self.sends)
            view.context_menu_requested.connect(self.context_menu_requested)
            view.image_step.connect(self.image_step)
            view.maximise_requested.connect(self._maximise)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 240)
        self.setAccessibleName("Films")
        self.setFocusProxy(self._views[self._state.active])
        self._lay_out()

    def view(self, pane: int) -> PaneView:
        """The widget of a pane."""
        return self._views[pane]

    def show_state(self, state: ViewerState) -> None:
        """Draw ``state``."""
        before, self._state = self._state, state
        for view in self._views:
            view.show_state(state)
        if state.layout is not Layout.ONE:
            self._before_maximise = None
        if (state.layout, state.visible) != (before.layout, before.visible):
            self._lay_out()
        if state.active != before.active:
            had_focus = any(view.hasFocus() for view in self._views)
            self.setFocusProxy(self._views[state.active])  # keys go to the active film
            if had_focus:
                self.setFocus()
            self.update()

    def grab_view(self, pane: int) -> QImage:
        """The film of a pane as on screen, with its texts and marks; a null image where there is none."""
        return self._views[pane].grab_view()

    def zoom_shown(self, pane: int) -> float:
        """Screen pixels per image pixel, also while the film is fitted; 1 without a film."""
        placement = self._views[pane].placement
        return placement.zoom if placement is not None else 1.0

    def closer(self, pane: int, box: ImageRect) -> Placement | None:
        """Where the film of a pane lies once ``box`` of it fills the pane; None without a film."""
        return self._views[pane].closer(box)

    def choose_calliper(self) -> None:
        """Let the arrow keys move the next end of the callipers on the active film."""
        view = self._views[self._state.active]
        view.setFocus()
        view.choose_calliper()

    def cancel_tool(self) -> bool:
        """Give up a half-drawn mark or an open note in any pane; whether there was one."""
        return sum(view.cancel_tool() for view in self._views) > 0  # every pane is asked

    @staticmethod
    def warm_up() -> None:
        """Load pyqtgraph (0.3 s) before the first film needs it; may be called on any thread."""
        import cxr_viewer.ui.film_item  # noqa: F401

    def _maximise(self, pane: int) -> None:
        """Show a pane alone, or go back to the layout from before."""
        layout = self._state.layout
        if layout is not Layout.ONE:
            self.sends.emit(ev.ActivatePane(pane))
            self.sends.emit(ev.SetLayout(Layout.ONE))
            self._before_maximise = layout
        elif self._before_maximise is not None:
            self.sends.emit(ev.SetLayout(self._before_maximise))

    def _lay_out(self) -> None:
        visible = self._state.visible
        rows, columns = self._state.layout.value
        for place, index in enumerate(visible):
            row, column = divmod(place, columns)
            self._views[index].setGeometry(self._cell(row, column, rows, columns))
            self._views[index].show()
        for index, view in enumerate(self._views):
            if index not in visible:
                view.hide()
        self.update()

    def _cell(self, row: int, column: int, rows: int, columns: int) -> QRect:
        left, right = (self.width() * n // columns for n in (column, column + 1))
        top, bottom = (self.height() * n // rows for n in (row, row + 1))
        gap = _GAP_PX if rows * columns > 1 else 0  # one film alone needs no outline
        return QRect(left, top, right - left, bottom - top).adjusted(gap, gap, -gap, -gap)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.WINDOW))
        if self._state.layout is not Layout.ONE:
            outline = self._views[self._state.active].geometry().adjusted(-1, -1, 0, 0)
            painter.setPen(QColor(theme.ACCENT))
            painter.drawRect(outline)
