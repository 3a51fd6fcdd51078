"""One sentence at a time above the films; it never takes the focus."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Notice, NoticeLevel, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named

_COLOURS = {NoticeLevel.INFO: theme.ACCENT, NoticeLevel.CAUTION: theme.CAUTION, NoticeLevel.ERROR: theme.ERROR}
_INFO_STAYS_MS = 8_000


class NoticeBar(QWidget):
    """Draws ``ViewerState.notice``; information goes by itself, cautions and errors stay until dismissed."""

    sends = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notice: Notice | None = None
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._close = named(QToolButton(), "Dismiss notice")
        self._close.setText("\N{MULTIPLICATION SIGN}")
        self._close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._close.clicked.connect(self._dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_PX + 4, 4, theme.SPACE_PX, 4)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._close)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setObjectName("notice")
        self._timer = QTimer(self, singleShot=True, interval=_INFO_STAYS_MS)
        self._timer.timeout.connect(self._dismiss)
        self.hide()

    def show_state(self, state: ViewerState) -> None:
        if state.notice is self._notice:
            return
        self._notice = state.notice
        self._timer.stop()
        if state.notice is None:
            self.hide()
            return
        colour = _COLOURS[state.notice.level]
        self.setStyleSheet(f"#notice {{ background: {theme.RAISED}; border-left: 4px solid {colour}; }}")
        self._text.setText(" ".join(part for part in (state.notice.text, state.notice.hint) if part))
        self._text.setAccessibleName(self._text.text())
        self.show()
        if state.notice.level is NoticeLevel.INFO:
            self._timer.start()

    def _dismiss(self) -> None:
        if self._notice is not None:
            self.sends.emit(ev.DismissNotice(self._notice.number))
