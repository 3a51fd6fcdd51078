"""The inspector: why the active film looks like it does, and every attribute of its file."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from cxr_viewer.services import events as ev
from cxr_viewer.services.inspection import Inspection, as_text, film_title, inspect
from cxr_viewer.services.state import CornerText, Layout, NoticeLevel, Pane, PaneStatus, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.tag_loader import TagAnswer, TagRequest
from cxr_viewer.ui.tag_view import TagView
from cxr_viewer.ui.why_view import WhyView
from cxr_viewer.ui.widgets import named

_TAGS = 1  # place of the tab
_SOON_MS = 60
"""While a hand drags the window the text follows at this pace, so that it never holds up the film."""


class InspectorPanel(QWidget):
    """Follows the active pane while it can be seen; holds nothing of a film while it is closed.

    Signals:
        sends(object): Tell, for the session.
        tags_wanted(object): TagRequest; answer with :meth:`take_tags`.
    """

    sends = Signal(object)
    tags_wanted = Signal(object)

    def __init__(self, zoom_shown: Callable[[int], float], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._zoom_shown = zoom_shown
        self._state = ViewerState()
        self._open = False
        self._asked: TagRequest | None = None
        self._answered: tuple[object, ...] | None = None
        self._drawn: tuple[int, int, PaneStatus] | None = None
        self._corner_text: CornerText | None = None
        self.film = QLabel(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self.film.setProperty("role", "title")
        self.why, self.tags = WhyView(), TagView()
        self.tabs = named(QTabWidget(documentMode=True), "Inspector")
        self.tabs.setToolTip("")
        self.copy = named(
            QPushButton("Copy all"), "Copy all", "Copy the whole text; what may tell who the patient is stays out"
        )
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self._draw_why)
        self._lay_out()
        self.copy.clicked.connect(self.copy_all)
        self.tabs.currentChanged.connect(self._draw)

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, theme.SPACE_PX)
        column.addWidget(self.why, 1)
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_PX, 0, theme.SPACE_PX, 0)
        line.addStretch(1)
        line.addWidget(self.copy)
        column.addLayout(line)
        self.tabs.addTab(page, "Why")
        self.tabs.addTab(self.tags, "Tags")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, theme.SPACE_PX, 0, 0)
        self.film.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX, 0)
        outer.addWidget(self.film)
        outer.addWidget(self.tabs, 1)

    # ------------------------------------------------------------ the state of the window

    @Slot(object)
    def show_state(self, state: ViewerState) -> None:
        """Follow the active pane of ``state``."""
        self._state = state
        if state.corner_text is not self._corner_text:  # who hides names on the film hides them here
            self._corner_text = state.corner_text
            self.tags.hide_identity.setChecked(state.corner_text is not CornerText.FULL)
        if self._open:
            self._draw()

    @property
    def is_open(self) -> bool:
        """It can be seen and follows the active pane."""
        return self._open

    def set_open(self, is_open: bool) -> None:
        """Start or stop following. Closed, nothing of a film is kept."""
        if is_open == self._open:
            return
        self._open = is_open
        if is_open:
            self._draw()
            return
        self._soon.stop()
        self._asked = self._answered = self._drawn = None
        self.film.clear()
        self.why.show_inspection(None)
        self.tags.clear()

    def refresh_soon(self) -> None:
        """The films have another size."""
        if self._open and self.tabs.currentIndex() != _TAGS:
            self._soon.start()

    @Slot()
    def _draw(self) -> None:
        """Another film is drawn at once, so that no text stands beside the wrong one; changes of the same one soon."""
        pane = self._state.pane
        self.film.setText(self._title(pane))
        self.film.setVisible(bool(self.film.text()))
        self.copy.setEnabled(pane.image is not None)
        if self.tabs.currentIndex() == _TAGS:
            self._ask_for_tags(pane)
        elif (self._state.active, pane.generation, pane.status) == self._drawn:
            if not self._soon.isActive():
                self._soon.start()
        else:
            self._draw_why()

    def _title(self, pane: Pane) -> str:
        state = self._state
        parts = [] if state.layout is Layout.ONE else [f"Film {state.active + 1}"]
        if pane.image is not None:
            parts.append(film_title(pane.image, with_date=state.corner_text is CornerText.FULL))
        return ": ".join(parts)

    @Slot()
    def _draw_why(self) -> None:
        pane = self._state.pane
        self._drawn = (self._state.active, pane.generation, pane.status)
        self.why.show_inspection(self._inspection(with_identity=self._state.corner_text is CornerText.FULL))

    def _inspection(self, *, with_identity: bool) -> Inspection:
        return inspect(
            self._state.pane,
            zoom=self._zoom_shown(self._state.active),
            device_ratio=self.devicePixelRatioF(),
            with_identity=with_identity,
        )

    @Slot()
    def copy_all(self) -> None:
        """Put the whole text on the clipboard, without anything that may tell who the patient is."""
        if self._state.pane.image is not None:
            QGuiApplication.clipboard().setText(as_text(self._inspection(with_identity=False)))
            self.sends.emit(ev.Tell(NoticeLevel.INFO, "The text is on the clipboard, without the patient's identity."))

    # ------------------------------------------------------------ attributes

    def _ask_for_tags(self, pane: Pane) -> None:
        node = pane.node
        if node is None or pane.status is PaneStatus.EMPTY:
            self._asked = self._answered = None
            self.tags.clear()
            return
        asked = self._asked
        if asked is not None and (asked.pane, asked.generation) == (self._state.active, pane.generation):
            return
        if self._answered is not None and self._answered == _file_of(pane):  # another frame of the same file
            self._asked = TagRequest(self._state.active, pane.generation, node)
            return
        self._answered = None
        if pane.status is PaneStatus.LOADING:  # the film first; its attributes when it is there, or cannot be shown
            self._asked = None
            self.tags.wait()
            return
        self._asked = TagRequest(self._state.active, pane.generation, node)
        self.tags.wait()
        self.tags_wanted.emit(self._asked)

    @Slot(object)
    def take_tags(self, answer: TagAnswer) -> None:
        """Show an answer, if it is the one waited for and its film is still there."""
        pane = self._state.pane
        current = (self._state.active, pane.generation)
        if answer.request != self._asked or (answer.request.pane, answer.request.generation) != current:
            return
        self._answered = _file_of(pane)
        if answer.tags is not None:
            self.tags.show_tags(answer.tags)
        elif answer.failure is not None:
            self.tags.fail(answer.failure)


def _file_of(pane: Pane) -> tuple[object, ...] | None:
    """What tells one file from another, also where a file was replaced by one of the same name."""
    node, image = pane.node, pane.image
    return None if node is None or image is None else (node.path, node.member, image.source_sha256)
