"""The cardiothoracic ratio in the findings panel: its value, what it was measured from, and how far it holds."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.image import PixelSpacing
from cxr_viewer.core.measuring import (
    WIDE_HEART,
    automatic_words,
    halves_words,
    not_measured_words,
    ratio_words,
    widths_words,
)
from cxr_viewer.core.wording import spacing_text
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named, panel_label

_NAME = "Cardiothoracic ratio"
_ABOUT = (
    "The widest extent of the heart to both sides of the midline over the widest inner diameter of the chest, as the "
    f"callipers on the film lie. {WIDE_HEART}"
)
_ERROR = "After ±: of 100 ratios on films the model had not seen, 95 lay this near to that of the given outlines."
_CALLIPERS_TIP = "Draw the callipers on the film (C). Drag their ends, or choose one with Shift+C and use the arrows."
_OUTLINES_TIP = "Draw the outlines of lungs and heart that the ratio was measured from"
_RESET_TIP = "Put the callipers back where the anatomy model laid them"


class RatioSection(QWidget):
    """Nothing where no anatomy model has looked at the film.

    Signals:
        sends(object): ShowCallipers, ShowOutlines, ResetCallipers.
    """

    sends = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pane_index = 0
        self._drawn: tuple[object, ...] | None = None
        title = QLabel(_NAME)
        title.setToolTip(f"{_NAME}. {_ABOUT}")
        self.value = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.value.setProperty("role", "title")
        self.automatic, self.widths, self.cautions = panel_label("muted"), panel_label("muted"), panel_label("caution")
        for label in (self.automatic, self.widths, self.cautions):
            label.setContentsMargins(0, 0, 0, 0)
        self.callipers = named(QCheckBox("Callipers"), "Callipers", _CALLIPERS_TIP)
        self.outlines = named(QCheckBox("Outlines"), "Outlines of lungs and heart", _OUTLINES_TIP)
        self.reset = named(QPushButton("Reset"), "Reset callipers", _RESET_TIP)
        self.callipers.toggled.connect(lambda on: self.sends.emit(ev.ShowCallipers(on)))
        self.outlines.toggled.connect(lambda on: self.sends.emit(ev.ShowOutlines(on)))
        self.reset.clicked.connect(lambda: self.sends.emit(ev.ResetCallipers(self._pane_index)))
        self._lay_out(title)
        self.hide()

    def _lay_out(self, title: QLabel) -> None:
        head = QHBoxLayout()
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self.value)
        boxes = QHBoxLayout()
        boxes.setSpacing(theme.SPACE_PX * 2)
        boxes.addWidget(self.callipers)
        boxes.addWidget(self.outlines)
        boxes.addStretch(1)
        boxes.addWidget(self.reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.automatic)
        column.addWidget(self.widths)
        column.addWidget(self.cautions)
        column.addLayout(boxes)

    def show_state(self, state: ViewerState) -> None:
        """Follow the active pane."""
        pane = state.pane
        self._pane_index = state.active
        for box, on in ((self.callipers, state.show_callipers), (self.outlines, state.show_outlines)):
            with QSignalBlocker(box):
                box.setChecked(on)
        spacing = pane.image.spacing if pane.image is not None else None
        drawn = (pane.anatomy, pane.callipers, spacing)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.setVisible(pane.anatomy is not None)
        if pane.anatomy is not None:
            self._show_ratio(pane.anatomy, pane.callipers, spacing)

    def _show_ratio(self, anatomy: Anatomy, callipers: Callipers | None, spacing: PixelSpacing | None) -> None:
        measured = callipers is not None
        value, _, hand = "not measurable", "", ""
        if callipers is not None:  # the hand's word goes to the next line: the panel is narrow
            value, _, hand = ratio_words(callipers, anatomy, spacing, reader="you").partition(", ")
        self.value.setText(value)
        self.value.setToolTip(f"{_NAME}. {_ABOUT}\n{_ERROR}" if measured else _NAME)
        edited = callipers is not None and callipers.edited
        before = automatic_words(anatomy, spacing) if edited else ""
        self.automatic.setText("; ".join(part for part in (hand, before) if part))
        self.automatic.setVisible(edited)
        self.reset.setVisible(edited)
        self.widths.setText(widths_words(callipers, spacing) if callipers is not None else "")
        halves = halves_words(callipers, spacing) if callipers is not None else ""
        self.widths.setToolTip(f"{halves}\nPixel spacing: {spacing_text(spacing)}.")
        self.widths.setVisible(measured)
        words = "\n".join(caution.text for caution in anatomy.cautions) if measured else not_measured_words(anatomy)
        self.cautions.setText(words)
        self.cautions.setVisible(bool(words))
        self.callipers.setEnabled(measured)
        self.outlines.setEnabled(bool(anatomy.outlines))
        self.setAccessibleName(_NAME)
        self.setAccessibleDescription(f"{value} {self.automatic.text()}. {self.widths.text()} {words}".strip())
