"""Progress of a running scan, and the way to stop it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from cxr_viewer.services.state import ScanStatus
from cxr_viewer.ui import theme


class ScanBar(QWidget):
    """Hidden while nothing is scanned.

    Signals:
        cancel_scan(): the reader wants the scan to stop.
    """

    cancel_scan = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.progress = QProgressBar(textVisible=False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName("Progress of the scan")
        self.words = QLabel()
        self.words.setProperty("role", "muted")
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop scanning. What has been found stays in the list.")
        self.cancel.setAccessibleName("Cancel the scan")
        self.cancel.clicked.connect(self._cancel)
        line = QHBoxLayout()
        line.addWidget(self.words, 1)
        line.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX, theme.SPACE_PX // 2, theme.SPACE_PX, theme.SPACE_PX)
        column.addWidget(self.progress)
        column.addLayout(line)
        self.hide()

    def show_scan(self, scan: ScanStatus | None) -> None:
        """Show how far the scan is; None hides the bar."""
        if (scan is not None) != self._running:
            self._running = scan is not None
            self.setVisible(self._running)
            self.cancel.setEnabled(True)
            self.cancel.setText("Cancel")
        if scan is None:
            return
        found = "1 image" if scan.found == 1 else f"{scan.found:,} images"
        if scan.total:
            self.progress.setRange(0, scan.total)
            self.progress.setValue(min(scan.looked_at, scan.total))
            self.words.setText(f"{scan.looked_at:,} of {scan.total:,}, {found}")
            self.words.setToolTip(f"{scan.looked_at:,} of {scan.total:,} files looked at, {found} found so far")
        else:
            self.progress.setRange(0, 0)
            self.words.setText(f"Looking for files, {found}")
            self.words.setToolTip("The folders are still being listed")

    @Slot()
    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.cancel.setText("Stopping")
        self.cancel_scan.emit()
