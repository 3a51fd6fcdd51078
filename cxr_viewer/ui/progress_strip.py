"""How far an installation is, with a button that stops it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from cxr_viewer.core.offers import InstallProgress
from cxr_viewer.ui.model_text import progress_text
from cxr_viewer.ui.widgets import named

_STEPS = 1000


class ProgressStrip(QWidget):
    """Stage, bar and *Cancel*; nothing while nothing is installed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.stage = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.bar = named(QProgressBar(), "Progress of the installation")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.cancel = named(QPushButton("Cancel"), "Cancel the installation", "What was downloaded is kept")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.stage)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        self.hide()

    def begin(self, working: bool) -> None:
        """An installation is under way, or none any more."""
        self.setVisible(working)
        self.cancel.setEnabled(True)
        self.cancel.setText("Cancel")

    def show_progress(self, progress: InstallProgress) -> None:
        """How far it is; a bar that only moves where the whole is not known."""
        self.stage.setText(progress_text(progress))
        known = progress.total > 0
        self.bar.setRange(0, _STEPS if known else 0)
        if known:
            self.bar.setValue(min(_STEPS, _STEPS * progress.done // progress.total))

    def stopping(self) -> None:
        """The reader has cancelled; it takes a moment."""
        self.cancel.setEnabled(False)
        self.cancel.setText("Stopping")
