"""Keeps what stands below the model's answer in its place while the next answer is awaited."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from cxr_viewer.ui import theme


class AnswerBox(QWidget):
    """A column of what the model says of a film.

    Answers come within a fraction of a second. If the column collapsed meanwhile, everything below would jump up and
    down again from film to film, and the list a reader has just chosen from would move from under the pointer.
    """

    def __init__(self, parts: Sequence[QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._waiting = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_PX)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)

    def wait(self, waiting: bool) -> None:
        """While waiting it stays at least as high as the last answer was."""
        if waiting == self._waiting:
            return
        self._waiting = waiting
        self.setMinimumHeight(self.height() if waiting and self.isVisible() else 0)
