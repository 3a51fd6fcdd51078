"""The box one types into to search the study list."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget


class SearchBox(QLineEdit):
    """A line that hands some of its keys on.

    Signals:
        down(): the reader wants to go into the list.
        chosen(): Enter; the reader wants the first match.
        left(): Esc where there is nothing to clear; the reader wants to go back.
    """

    down = Signal()
    chosen = Signal()
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText("Search name, ID, description, date")
        self.setClearButtonEnabled(True)
        self.setToolTip(
            "Search as you type (Ctrl+F): name, ID, birth date, study date, description, view.\n"
            "Several words must all be found. Enter opens the first match, Down goes into the list.\n"
            "Esc shows all, and then leads back to the film."
        )
        self.setAccessibleName("Search studies")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        elif event.key() == Qt.Key.Key_Down:
            self.down.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit()
        else:
            super().keyPressEvent(event)
