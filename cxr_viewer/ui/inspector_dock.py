"""The inspector in its dock, with the thread that reads attributes for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget

from cxr_viewer.services.ports import ImageReader
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui.inspector_panel import InspectorPanel
from cxr_viewer.ui.main_window import MainWindow
from cxr_viewer.ui.tag_loader import TagLoader


class InspectorDock(QObject):
    """Opens and closes the inspector; behind another tab it waits without working.

    Args:
        films: what the films are drawn in.
        zoom_shown: the zoom of a pane there, also while its film is fitted.

    Signals:
        sends(object): for the session.
        shown(bool): the inspector came into sight or went out of it.
    """

    sends = Signal(object)
    shown = Signal(bool)

    def __init__(
        self,
        window: MainWindow,
        reader: ImageReader,
        films: QWidget,
        zoom_shown: Callable[[int], float],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = InspectorPanel(zoom_shown)
        self.dock = window.add_inspector(self.panel)
        self._loader = TagLoader(reader, self)
        self.panel.sends.connect(self.sends)
        self.panel.tags_wanted.connect(self._loader.want)
        self._loader.read.connect(self.panel.take_tags, Qt.ConnectionType.QueuedConnection)
        self.dock.visibilityChanged.connect(self._visible)
        self._films = films
        films.installEventFilter(self)
        back = QShortcut(QKeySequence("Esc"), self.panel, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        back.activated.connect(films.setFocus)

    @property
    def busy(self) -> bool:
        """Attributes are being read."""
        return self._loader.busy

    @Slot()
    def switch(self) -> None:
        """Bring the inspector into sight, or close it where it is in sight."""
        if self.panel.is_open:
            focus = QApplication.focusWidget()
            was_here = focus is not None and self.panel.isAncestorOf(focus)
            self.dock.close()
            if was_here:  # and not by chance in a field where a key would change something
                self._films.setFocus()
        else:
            self.dock.show()
            self.dock.raise_()
        self.shown.emit(self.panel.is_open)

    @Slot(bool)
    def _visible(self, visible: bool) -> None:
        if not visible:
            self._loader.cancel()
        self.panel.set_open(visible)
        self.shown.emit(visible)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.panel.refresh_soon()  # a fitted film has another zoom now
        return super().eventFilter(watched, event)

    def show_state(self, state: ViewerState) -> None:
        """Follow ``state``."""
        self.panel.show_state(state)

    def close(self) -> None:
        """Stop reading; waits for the thread. Safe to call twice."""
        self._loader.close()
