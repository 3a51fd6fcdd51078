"""The question for the password of a ZIP archive."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named

_WIDTH_PX = 420


class PasswordDialog(QDialog):
    """Stays open until the password fits or the reader gives up.

    Args:
        waiting: further archives that need a password.

    Signals:
        given(str): what the reader typed; answer with :meth:`say` or ``accept``.
    """

    given = Signal(str)

    ALL_LEFT_OUT = 2
    """Result: this archive and all that wait behind it are left out."""

    def __init__(self, archive: Path, waiting: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.archive = archive
        self.setWindowTitle("Password")
        self.setMinimumWidth(_WIDTH_PX)
        question = QLabel(
            f"{shown_name(archive)} is protected by a password.", textFormat=Qt.TextFormat.PlainText, wordWrap=True
        )
        question.setToolTip(str(archive))
        self.password = named(QLineEdit(), "Password", "Password of the archive")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("Password")
        self._show = named(QCheckBox("Show what is typed"), "Show what is typed", "Show the characters of the password")
        self._show.toggled.connect(self._echo)
        self.sentence = QLabel(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self.sentence.setProperty("role", "caution")
        self.sentence.hide()
        note = QLabel(
            "It is kept in memory until the program ends and written nowhere. Cancel leaves this archive out.",
            wordWrap=True,
        )
        note.setProperty("role", "muted")
        buttons = QDialogButtonBox()
        self.open_button = named(QPushButton("Open"), "Open", "Try this password")
        self.open_button.setDefault(True)
        self.open_button.setEnabled(False)
        buttons.addButton(self.open_button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel).setToolTip("Leave this archive out")
        if waiting:
            count = "the other one" if waiting == 1 else f"the other {waiting:,}"
            leave_all = named(QPushButton("Leave all out"), "Leave all out", f"Leave this archive and {count} out")
            leave_all.setAutoDefault(False)
            buttons.addButton(leave_all, QDialogButtonBox.ButtonRole.ResetRole)
            leave_all.clicked.connect(lambda: self.done(self.ALL_LEFT_OUT))
        self.open_button.clicked.connect(self._give)
        self.password.textChanged.connect(lambda text: self.open_button.setEnabled(bool(text)))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setSpacing(theme.SPACE_PX * 2)
        for widget in (question, self.password, self._show, self.sentence, note, buttons):
            column.addWidget(widget)
        self.password.setFocus()

    def say(self, sentence: str) -> None:
        """Tell why the password did not do, and take another one."""
        self.sentence.setText(sentence)
        self.sentence.setAccessibleName(sentence)
        self.sentence.show()
        layout = self.layout()
        if layout is not None:
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))
        self.password.setEnabled(True)
        self.open_button.setText("Open")
        self.open_button.setEnabled(True)
        self.password.selectAll()
        self.password.setFocus()

    def done(self, result: int) -> None:
        self.password.clear()
        super().done(result)

    def _echo(self, shown: bool) -> None:
        self.password.setEchoMode(QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password)

    def _give(self) -> None:
        self.password.setEnabled(False)
        self.open_button.setEnabled(False)
        self.open_button.setText("Trying\N{HORIZONTAL ELLIPSIS}")
        self.given.emit(self.password.text())


def shown_name(archive: Path) -> str:
    """Its name as it can be read: a name may hold anything, and be very long."""
    name = "".join(c if c.isprintable() else " " for c in archive.name)
    return name if len(name) <= 80 else f"{name[:60]}\N{HORIZONTAL ELLIPSIS}{name[-16:]}"
