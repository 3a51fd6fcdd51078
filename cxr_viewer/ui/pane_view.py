"""One pane: a film with its overlays, or words in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QToolTip, QWidget

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph, Voi
from cxr_viewer.core.seeing import unseen_strips
from cxr_viewer.core.wording import view_text
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, PaneStatus, Tool, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.calliper_layer import CalliperHand, handle_words
from cxr_viewer.ui.corner_text import caution_tip
from cxr_viewer.ui.film_layer import FilmLayer
from cxr_viewer.ui.gestures import FrameGate
from cxr_viewer.ui.graphics_layer import GraphicsLayer
from cxr_viewer.ui.heat_layer import ContourLines, HeatLayer
from cxr_viewer.ui.note_hand import NoteHand
from cxr_viewer.ui.overlays import Overlays, OverlayScene, draw_words
from cxr_viewer.ui.pane_mouse import PaneMouse
from cxr_viewer.ui.placement import Frame, Placement, place
from cxr_viewer.ui.seen_layer import SeenLayer
from cxr_viewer.ui.structure_layer import StructureLines, drawn_outlines
from cxr_viewer.ui.tools import Drawn, MarkHand

if TYPE_CHECKING:
    from cxr_viewer.ui.film_item import FilmItem

BUSY_AFTER_MS = 300
"""Reading is not mentioned before: fast answers should not flicker."""
EMPTY_TEXT = "Drop a film here or press Ctrl+O"
BUSY_TEXT, BUSY_HINT = "Reading\N{HORIZONTAL ELLIPSIS}", "Esc cancels"


class PaneView(QGraphicsView):
    """Draws one pane of the state and turns what the mouse does on it into events.

    Signals:
        sends(object): for the session.
        context_menu_requested(int, QPoint): pane and global position of a right click.
        image_step(int, int): pane and number of images the wheel asks for, +1 being the next.
        maximise_requested(int): the pane was double clicked.
    """

    sends = Signal(object)
    context_menu_requested = Signal(int, QPoint)
    image_step = Signal(int, int)
    maximise_requested = Signal(int)
    # pyqtgraph's items listen to these; the view never moves under them, they are moved themselves
    sigDeviceRangeChanged = Signal(object, object)
    sigDeviceTransformChanged = Signal(object)

    def __init__(self, index: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._index = index
        self._state = ViewerState()
        self._image: Radiograph | None = None
        self._layer: FilmLayer | None = None
        self._film: FilmItem | None = None
        self._drawn: tuple[Placement, Voi | None, bool, bool, bool] | None = None
        self._cursor: QPointF | None = None
        self._notes = NoteHand(self)
        self._overlays = Overlays(self.font())
        self._contours = ContourLines()
        self._structures = StructureLines()
        self._marks = MarkHand(index, self._overlays.font)
        self._callipers = CalliperHand(index, self._overlays.font)
        self._mouse = PaneMouse(self, self._marks, self._callipers, FrameGate(self))
        self._busy = QTimer(self, singleShot=True, interval=BUSY_AFTER_MS)
        self._busy.timeout.connect(self.redraw)
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._refresh)
        self._set_up()

    def _set_up(self) -> None:
        self.setScene(QGraphicsScene(self))
        self._heat = HeatLayer()
        self._heat.setZValue(1)
        self.scene().addItem(self._heat)
        self._seen = SeenLayer()
        self._seen.setZValue(1.5)
        self.scene().addItem(self._seen)
        self._graphics = GraphicsLayer()
        self._graphics.setZValue(2)
        self.scene().addItem(self._graphics)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        self.setBackgroundBrush(QColor(theme.FILM_BACKGROUND))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(False)  # the main window takes films dropped anywhere
        self.viewport().setAcceptDrops(False)
        self.setMouseTracking(True)
        self.setAccessibleName(f"Film {self._index + 1}")
        self.setMinimumSize(120, 120)

    # ------------------------------------------------------------ what others ask

    @property
    def index(self) -> int:
        return self._index

    @property
    def state(self) -> ViewerState:
        return self._state

    @property
    def placement(self) -> Placement | None:
        """Where the state puts the film now; None without a film."""
        image = self._pane.image
        return place(image, self._pane.display, self._frame()) if image is not None else None

    def closer(self, box: ImageRect) -> Placement | None:
        """Where the film lies once ``box`` of it fills the pane; None without a film."""
        placement = self.placement
        return placement.showing(box) if placement is not None else None

    @property
    def _pane(self) -> Pane:
        return self._state.panes[self._index]

    def grab_view(self) -> QImage:
        """The pane as it is on screen, without the value under the mouse; a null image without a film."""
        if self._image is None:
            return QImage()
        self._refresh()
        cursor, self._cursor = self._cursor, None
        picture = self.viewport().grab().toImage()
        self._cursor = cursor
        return picture

    def cancel_tool(self) -> bool:
        """Give up a half-drawn mark or an open note; whether there was one."""
        note = self._notes.close()
        return self._mouse.cancel() or note

    # ------------------------------------------------------------ drawing the state

    def show_state(self, state: ViewerState) -> None:
        """Draw the pane of ``state``. Another film, or none, takes the old pixels away before this returns."""
        before, self._state = self._state, state
        pane, old = state.panes[self._index], before.panes[self._index]
        if pane.image is not self._image:
            self._change_film(pane.image)
        if state.tool is not before.tool:
            self.cancel_tool()
            self._show_cursor()
        if pane.generation != old.generation or pane.status is not old.status:
            self._show_status(pane)
        if pane.status is PaneStatus.LOADING and state.active != before.active:
            self.viewport().update()  # Esc is for the active film only
        if pane is not old or _over_film(state) != _over_film(before):
            self._soon.start()

    def _change_film(self, image: Radiograph | None) -> None:
        before, self._image = self._image, image
        if before is None or image is None or not before.preview or before.key != image.key:
            self._notes.close()
            self._mouse.let_go()  # only where a preview becomes its own whole film may the hand go on
        self._drawn = None
        self._layer = FilmLayer(image) if image is not None else None
        if self._film is not None:
            self._film.clear_film()
        self._heat.forget()
        self._seen.hide()
        self._graphics.change_film(image)
        self.setAccessibleDescription(f"{view_text(image)} film" if image is not None else "no film")
        self.viewport().update()

    def _show_status(self, pane: Pane) -> None:
        if pane.status is PaneStatus.LOADING:
            self._busy.start()
        else:
            self._busy.stop()
        if pane.status is PaneStatus.FAILED and pane.failure is not None:
            self.setAccessibleDescription(f"{pane.failure.summary} {pane.failure.hint}".strip())
        self._show_cursor()
        self.viewport().update()

    def redraw(self) -> None:
        """Draw again what lies over the film."""
        self.viewport().update()

    def _frame(self) -> Frame:
        port = self.viewport()
        return Frame(float(port.width()), float(port.height()), port.devicePixelRatioF())

    def _refresh(self) -> None:
        """Bring film and heat map up to the state, whatever has not changed staying as it is."""
        self._soon.stop()
        pane = self._pane
        if pane.image is None or self._layer is None:
            return
        placement = place(pane.image, pane.display, self._frame())
        display = pane.display
        wanted = (placement, display.voi, display.inverted, display.padding, display.shutter)
        if wanted != self._drawn:
            if self._film is None:
                from cxr_viewer.ui.film_item import FilmItem

                self._film = FilmItem(self.scene())
            area, pixels = self._layer.render(*wanted[:3], padding=display.padding, shutter=display.shutter)
            self._film.show_pixels(area, pixels, placement.frame.device_ratio)
            self._drawn = wanted
        self._heat.refresh(pane.heatmap, placement, display.overlay)
        self._refresh_seen(pane, placement)
        self._graphics.refresh(placement, display.overlays)
        self.viewport().update()

    def _refresh_seen(self, pane: Pane, placement: Placement) -> None:
        """Hatch what the model was not given, where the reader asked for it or something the model says is drawn."""
        result = pane.result
        wanted = self._state.show_seen or pane.heatmap is not None or bool(pane.outlines)
        strips = unseen_strips(result, placement.rows, placement.columns) if result is not None and wanted else ()
        self._seen.refresh(placement, strips)

    def drawForeground(self, painter: QPainter, rect: QRectF | object) -> None:
        pane, placement = self._pane, self.placement
        if placement is None:
            self._draw_words(painter, pane)
            return
        at = self._cursor
        cursor = placement.to_image(at.x(), at.y()) if at is not None else None
        outlines, structures = drawn_outlines(self._state, pane)
        shown = (self._state.show_seen, bool(outlines))
        scene = OverlayScene(pane, self._state.corner_text, placement, cursor, *shown)
        heatmap = pane.heatmap
        if heatmap is not None and pane.display.overlay.mode is OverlayMode.CONTOUR:
            self._contours.draw(painter, heatmap, placement, pane.display.overlay)
        self._structures.draw(painter, outlines, structures, placement, self._overlays.font)
        self._callipers.draw(painter, self._state, placement)
        self._marks.draw(painter, self._state, placement)
        self._overlays.draw(painter, scene)

    def _draw_words(self, painter: QPainter, pane: Pane) -> None:
        frame = QRectF(self.viewport().rect())
        if pane.status is PaneStatus.EMPTY:
            draw_words(painter, frame, self._overlays.font, EMPTY_TEXT)
        elif pane.status is PaneStatus.LOADING and not self._busy.isActive():
            hint = BUSY_HINT if self._state.active == self._index else ""
            draw_words(painter, frame, self._overlays.font, BUSY_TEXT, hint)
        elif pane.status is PaneStatus.FAILED and pane.failure is not None:
            draw_words(painter, frame, self._overlays.font, pane.failure.summary, pane.failure.hint)

    # ------------------------------------------------------------ Qt's events

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._soon.isActive() or (self._drawn is not None and self._drawn[0].frame != self._frame()):
            self._refresh()  # never paint what the state no longer says, nor for another screen's pixels
        super().paintEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setSceneRect(QRectF(self.viewport().rect()))
        self._soon.start()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._mouse.press(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._mouse.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._mouse.double_click(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._cursor = event.position()
        self.viewport().update(self._overlays.moving_rect.toAlignedRect())
        self._mouse.move(event)
        if event.buttons() == Qt.MouseButton.NoButton:
            if self._callipers.hover(self._mouse.calliper_at(event.position())):
                self.redraw()
            self._show_cursor()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._cursor = None
        if self._callipers.hover(None):
            self.redraw()
        self.viewport().update(self._overlays.moving_rect.toAlignedRect())

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._mouse.wheel(event)

    def event(self, event: QEvent) -> bool:
        """Keys that move the chosen end of the callipers page through no films meanwhile."""
        keys, placement = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress), self.placement
        if not isinstance(event, QKeyEvent) or event.type() not in keys or placement is None:
            return super().event(event)
        if not self._callipers.takes(event, self._state):
            return super().event(event)
        if event.type() is QEvent.Type.KeyPress:
            self._send_all(self._callipers.key(event, self._state, placement))
        event.accept()
        return True

    def choose_calliper(self) -> None:
        """Choose the next end of the callipers, for the arrow keys."""
        self._send_all(self._callipers.choose_next(self._state))

    def _send_all(self, events: list[ev.Event]) -> None:
        for event in events:
            self.send(event)
        chosen, image = self._callipers.chosen, self._image
        about = f"{view_text(image)} film" if image is not None else "no film"
        self.setAccessibleDescription(f"{about}, callipers: {chosen.value}" if chosen is not None else about)
        self.redraw()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The mouse's own comes with the release, as the right button also zooms; this is the keyboard's."""
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            self.ask_menu(self.mapToGlobal(self.rect().center()))
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            over = self._image is not None and self._overlays.caution_rect.contains(QPointF(event.pos()))
            handle = self._mouse.calliper_at(QPointF(event.pos()))
            if over and self._image is not None:
                QToolTip.showText(event.globalPos(), caution_tip(self._image), self)
            elif handle is not None:
                QToolTip.showText(event.globalPos(), handle_words(handle), self)
            else:
                QToolTip.hideText()
            return True
        if isinstance(event, QNativeGestureEvent) and event.gestureType() is Qt.NativeGestureType.ZoomNativeGesture:
            if self._image is not None:
                self._mouse.zoom(1.0 + event.value(), event.position())
            return True
        return super().viewportEvent(event)

    def _show_cursor(self) -> None:
        """The mouse pointer says what a press would do."""
        shape = Qt.CursorShape.ArrowCursor
        placement = self.placement
        if placement is not None:
            held = None
            if self._cursor is not None:
                held = self._marks.hold_at(self._cursor, self._state, placement)
            shape = _POINTERS.get(self._state.tool, Qt.CursorShape.CrossCursor)
            if held is not None:
                shape = Qt.CursorShape.PointingHandCursor if held.point is not None else Qt.CursorShape.SizeAllCursor
            elif self._cursor is not None and self._mouse.calliper_at(self._cursor) is not None:
                shape = Qt.CursorShape.PointingHandCursor
        if self.viewport().cursor().shape() is not shape:
            self.viewport().setCursor(shape)

    # ------------------------------------------------------------ what the mouse did

    def send(self, event: ev.Event) -> None:
        self.sends.emit(event)

    def ask_menu(self, at: QPoint) -> None:
        self.context_menu_requested.emit(self._index, at)

    def step_image(self, steps: int) -> None:
        self.image_step.emit(self._index, steps)

    def maximise(self) -> None:
        self.maximise_requested.emit(self._index)

    def mark_drawn(self, drawn: Drawn) -> None:
        self._notes.add(drawn)

    def edit_mark(self, mark_id: int) -> None:
        self._notes.edit(mark_id)


def _over_film(state: ViewerState) -> tuple[object, ...]:
    """What of the whole window's state is drawn over each film."""
    return (state.corner_text, state.marks_visible, state.show_seen, state.show_callipers, state.show_outlines)


_POINTERS = {
    Tool.WINDOW: Qt.CursorShape.ArrowCursor,
    Tool.PAN: Qt.CursorShape.OpenHandCursor,
    Tool.ZOOM: Qt.CursorShape.SizeVerCursor,
}
