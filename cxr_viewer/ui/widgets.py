"""Small things every panel needs of its controls."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QLabel, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from cxr_viewer.ui import theme

WidgetT = TypeVar("WidgetT", bound=QWidget)


def named(control: WidgetT, name: str, tip: str = "") -> WidgetT:
    """The control with the name a screen reader says and a tooltip (the name, where there is nothing to add)."""
    control.setAccessibleName(name)
    control.setToolTip(tip or name)
    return control


def panel_label(role: str = "") -> QLabel:
    """Words in a panel: wrapped, never rich text, to be selected with the mouse; ``role`` as in the style sheet."""
    label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if role:
        label.setProperty("role", role)
    return label


class ElidingBox(QComboBox):
    """A list to choose from; where its choice is wider than the box it ends in dots, not in half a letter."""

    def shown_text(self) -> str:
        """What there is room for."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._elided(option)

    def _elided(self, option: QStyleOptionComboBox) -> str:
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width()
        words = self.currentText() or self.placeholderText()  # what stands there while nothing is chosen
        return self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, room - 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self._elided(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()
