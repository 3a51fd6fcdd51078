"""One quiet line that unfolds: which findings of a model are not offered for a film, and why."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

from cxr_viewer.core.findings import AnalysisResult
from cxr_viewer.core.measuring import withheld_words
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named, panel_label

_ARROW_PX = 24


class WithheldLine(QWidget):
    """Which findings of the model are not offered for the film; unfolded, why. Nothing where all are."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.head = named(QToolButton(), "Findings not offered", "Which are not offered for this film, and why")
        self.head.setCheckable(True)
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setStyleSheet(f"QToolButton {{ color: {theme.MUTED}; border: none; padding: 0; background: none; }}")
        self.head.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # words never widen the panel
        self._line = ""
        self.words = panel_label("muted")
        self.words.setContentsMargins(theme.SPACE_PX, 0, 0, 0)
        self.head.toggled.connect(self._fold)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        column.setSpacing(2)
        column.addWidget(self.head)
        column.addWidget(self.words)
        self._fold(False)
        self.hide()

    def show_result(self, result: AnalysisResult | None) -> None:
        """Draw what is withheld in this answer; folded and unfolded stays as it was."""
        lines = withheld_words(result) if result is not None else ()
        self.setVisible(bool(lines))
        if result is None or not lines:
            return
        self._line = "Not offered: " + ", ".join(one.label for one in result.withheld)
        self._elide()
        self.head.setToolTip("\n".join(lines))
        self.words.setText("\n".join(lines))
        self.setAccessibleName("Findings not offered")
        self.setAccessibleDescription(" ".join(lines))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.width() - 2 * (theme.SPACE_PX + 4) - _ARROW_PX
        self.head.setText(self.fontMetrics().elidedText(self._line, Qt.TextElideMode.ElideRight, room))

    def _fold(self, open_: bool) -> None:
        self.head.setArrowType(Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow)
        self.words.setVisible(open_)
