"""The window: browser left, films in the middle, findings right. It lays out and takes drops; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragMoveEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QSplitter, QVBoxLayout, QWidget

from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui.actions import Actions

_TOOLBAR = (
    ("open_files", "export_report"),
    ("tool_window", "tool_pan", "tool_zoom"),
    ("tool_length", "tool_angle", "tool_arrow", "tool_text"),
    ("fit", "actual_size", "turn_right", "flip_horizontal", "invert", "reset"),
    ("layout_one", "layout_two", "layout_four"),
    ("heat_map",),
    ("undo", "redo"),
)
_SHORT = {
    "open_files": "Open",
    "export_report": "Report",
    "actual_size": "1:1",
    "turn_right": "Turn",
    "flip_horizontal": "Flip",
    "layout_one": "1",
    "layout_two": "1\N{MULTIPLICATION SIGN}2",
    "layout_four": "2\N{MULTIPLICATION SIGN}2",
    "fit": "Fit",
    "reset": "Reset",
}


class MainWindow(QMainWindow):
    """Arranges the panels and accepts files dropped anywhere.

    Signals:
        paths_dropped(object): list of Path.
        closing(): the window is about to close.
    """

    paths_dropped = Signal(object)
    closing = Signal()

    def __init__(
        self, browser: QWidget, display: QWidget, films: QWidget, bars: Sequence[QWidget], findings: QWidget
    ) -> None:
        super().__init__()
        self.setObjectName("main-window")
        self.setWindowTitle("cxr_viewer")
        self.setAcceptDrops(True)
        self.setDockOptions(QMainWindow.DockOption.AnimatedDocks | QMainWindow.DockOption.AllowNestedDocks)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for bar in bars:
            column.addWidget(bar)
        column.addWidget(films, 1)
        self.setCentralWidget(centre)
        left = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        left.addWidget(browser)
        left.addWidget(display)
        left.setStretchFactor(0, 1)
        left.setStretchFactor(1, 0)
        self.left = self._dock("Studies", "studies", left, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.right = self._dock("Findings", "findings", findings, Qt.DockWidgetArea.RightDockWidgetArea)
        self.resizeDocks([self.left, self.right], [300, 320], Qt.Orientation.Horizontal)

    def _dock(self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setFeatures(
            QDockWidget.DockWidgetFeature.DockWidgetMovable | QDockWidget.DockWidgetFeature.DockWidgetFloatable
        )
        dock.setWidget(content)
        self.addDockWidget(area, dock)
        return dock

    def add_inspector(self, content: QWidget) -> QDockWidget:
        """A dock behind the findings that is closed until it is asked for; it can be moved, floated and closed."""
        dock = self._dock("Why does it look like this?", "inspector", content, Qt.DockWidgetArea.RightDockWidgetArea)
        dock.setFeatures(dock.features() | QDockWidget.DockWidgetFeature.DockWidgetClosable)
        self.tabifyDockWidget(self.right, dock)
        dock.hide()
        return dock

    def install(self, actions: Actions) -> dict[str, QMenu]:
        """Put the actions into menus and tool bar; returns the menus by title."""
        menus = actions.fill(self.menuBar())
        bar = self.addToolBar("Tools")
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        for number, group in enumerate(_TOOLBAR):
            if number:
                bar.addSeparator()
            for name in group:
                action = actions[name]
                action.setIconText(_SHORT.get(name, action.text().rstrip("\N{HORIZONTAL ELLIPSIS}")))
                bar.addAction(action)
        return menus

    def fill_recent(self, menu: QMenu, recent: tuple[Path, ...], open_path: Callable[[Path], None]) -> None:
        """The recent list, newest first."""
        menu.clear()
        for path in recent:
            action = menu.addAction(str(path))
            action.triggered.connect(lambda _=False, path=path: open_path(path))
        menu.setEnabled(bool(recent))

    # ------------------------------------------------------------ geometry

    def place(self, saved: bytes | None, layout: bytes | None, size: tuple[int, int] | None) -> None:
        """Where the window was, as long as that is still on a screen; else a sensible place."""
        if saved is not None and size is None:
            self.restoreGeometry(QByteArray(saved))
            if layout is not None:
                self.restoreState(QByteArray(layout))
                self.right.raise_()  # the findings come first, also where the inspector was left before them
        else:
            self.resize(*(size or self._first_size()))
        if QGuiApplication.screenAt(self.frameGeometry().center()) is None:
            available = QGuiApplication.primaryScreen().availableGeometry()
            self.move(available.topLeft())

    @staticmethod
    def _first_size() -> tuple[int, int]:
        available = QGuiApplication.primaryScreen().availableGeometry()
        return int(available.width() * 0.92), int(available.height() * 0.9)

    # ------------------------------------------------------------ drops and closing

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.paths_dropped.emit(paths)

    def take_drops_everywhere(self) -> None:
        """Let no child keep a dropped file for itself (line edits and graphics views would)."""
        for child in self.findChildren(QWidget):
            child.setAcceptDrops(False)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closing.emit()
        super().closeEvent(event)

    def show_state(self, state: ViewerState) -> None:
        pane = state.pane
        # The title never carries a name: it is seen in task bars and screen sharing.
        view = pane.image.view.value if pane.image is not None else ""
        # Its end is the program's name, or Qt would add that once more.
        self.setWindowTitle(" - ".join(part for part in (view, "cxr_viewer") if part))
