"""A question inside a dialog: it holds up nothing else, and Escape takes it back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named


class QuestionStrip(QFrame):
    """A sentence, a field where something is to be typed, a button that does it and one that takes it back."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("question")
        self.setStyleSheet(f"#question {{ background: {theme.RAISED}; border-left: 4px solid {theme.CAUTION}; }}")
        self.text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.field = named(QLineEdit(), "Answer")
        self.field.setAcceptDrops(False)
        self.yes = named(QPushButton(), "Yes")
        self.no = named(QPushButton(), "No")
        self.yes.clicked.connect(self._answer)
        self.no.clicked.connect(self.take_back)
        self._then: Callable[[str], None] | None = None
        self._before: QWidget | None = None
        row = QHBoxLayout()
        row.addWidget(self.field, 1)
        row.addStretch(0)
        row.addWidget(self.yes)
        row.addWidget(self.no)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addLayout(row)
        self.hide()

    def ask(
        self, text: str, yes: str, no: str, then: Callable[[str], None], *, field: tuple[str, str] | None = None
    ) -> None:
        """Ask; ``then`` is called with what was typed, after yes.

        Args:
            field: name of the field and what it holds at first; None for a question of yes and no.
        """
        self._then, self._before = then, self.window().focusWidget()
        self.text.setText(text)
        self.yes.setText(yes)
        self.no.setText(no)
        for button in (self.yes, self.no):
            button.setAccessibleName(f"{button.text()}: {text}")
            button.setToolTip(button.text())
        self.field.setVisible(field is not None)
        if field is not None:
            named(self.field, field[0]).setText(field[1])
        self.show()
        if field is not None:
            self.yes.setDefault(True)
            self.field.setFocus()
        else:  # Return must not say yes to what the reader has not read
            self.no.setFocus()

    def take_back(self) -> None:
        """No: nothing is done."""
        self._close()

    def _answer(self) -> None:
        then, typed = self._then, self.field.text().strip()
        self._close()
        if then is not None:
            then(typed)

    def _close(self) -> None:
        self._then = None
        self.yes.setDefault(False)
        self.hide()
        if self._before is not None and self._before.isVisible() and self._before.isEnabled():
            self._before.setFocus()
