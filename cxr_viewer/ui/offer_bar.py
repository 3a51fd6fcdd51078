"""The one offer of the first start: the recommended model, quietly above the films."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.core.offers import Offer
from cxr_viewer.ui import theme
from cxr_viewer.ui.model_text import size_text
from cxr_viewer.ui.widgets import named

_DOTS = "\N{HORIZONTAL ELLIPSIS}"


class OfferBar(QWidget):
    """Says what could be installed; takes no focus and fetches nothing by itself.

    Signals:
        answered(str, str): id of the offer, and ``"install"``, ``"file"``, ``"details"`` or ``"later"``.
    """

    answered = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offer: Offer | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setObjectName("offer")
        self.setStyleSheet(f"#offer {{ background: {theme.RAISED}; border-left: 4px solid {theme.ACCENT}; }}")
        self.text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.figures = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.figures.setProperty("role", "muted")
        self.buttons = {
            "install": named(QPushButton("Install"), "Install", "Fetch this model and install it"),
            "file": named(QPushButton(f"From a file{_DOTS}"), "Install from a file", "Without the network"),
            "details": named(QPushButton("Details"), "Details", "What is known of this model"),
            "later": named(QPushButton("Not now"), "Not now", "The program works without it; see Findings > Models"),
        }
        row = QHBoxLayout()
        row.addStretch(1)
        for answer, button in self.buttons.items():
            button.clicked.connect(lambda _=False, answer=answer: self._answer(answer))
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 6, theme.SPACE_PX, 6)
        column.setSpacing(4)
        for label in (self.text, self.figures):
            column.addWidget(label)
        column.addLayout(row)
        self.hide()

    def show_offer(self, offer: Offer) -> None:
        """Offer this model."""
        self._offer = offer
        what, size = offer.summary.split(";")[0].rstrip("."), _first_upper(size_text(offer.size_bytes))
        self.text.setText(f"Recommended, not installed: {offer.name}. {what}. {size}.")
        terms, _, more = offer.licence.partition(". ")
        published = f"Published: {'; '.join(offer.figures)}. " if offer.figures else ""
        self.figures.setText(f"{published}{terms.rstrip('.')}.{' More under Details.' if more else ''}")
        self.setToolTip(f"{offer.summary}\n{offer.licence}")
        self.setAccessibleName(f"{self.text.text()} {self.figures.text()}".strip())
        self.show()

    def _answer(self, answer: str) -> None:
        if self._offer is not None:
            offer, self._offer = self._offer, None
            self.hide()
            self.answered.emit(offer.offer_id, answer)


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
