"""A field and a slider for one number of the window."""

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QWidget

from cxr_viewer.ui.gestures import next_gesture

_STEPS = 1000


class ValueSpin(QDoubleSpinBox):
    """A number field that takes both comma and point for the decimal mark, whatever the language of the system."""

    def __init__(self, name: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setKeyboardTracking(False)  # a number counts when it is whole
        self.setGroupSeparatorShown(False)
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.lineEdit().setAcceptDrops(False)  # a film dropped here is to be opened
        self.setAcceptDrops(False)

    def _local(self, text: str) -> str:
        point = self.locale().decimalPoint()
        return text.replace(",", point).replace(".", point)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        return super().validate(self._local(text), position)

    def valueFromText(self, text: str) -> float:
        return super().valueFromText(self._local(text))


class ValueSlider(QSlider):
    """A slider over real numbers, evenly or by equal shares (``logarithmic``).

    Signals:
        moved(float, int): the value the hand asks for, and the number of its gesture: one from press to release.
    """

    moved = Signal(float, int)

    def __init__(self, name: str, tip: str, *, logarithmic: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, _STEPS)
        self.setPageStep(_STEPS // 20)
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self._logarithmic = logarithmic
        self._low, self._high = 0.0, 1.0
        self._gesture = 0
        self.sliderPressed.connect(self._begin)
        self.valueChanged.connect(self._tell)

    def show_value(self, value: float, low: float, high: float) -> None:
        """Stand at ``value`` between ``low`` and ``high`` without telling anyone."""
        self._low, self._high = low, high
        with QSignalBlocker(self):
            self.setValue(round(_STEPS * self._share(value)))

    def _share(self, value: float) -> float:
        if self._high <= self._low:
            return 0.0
        if self._logarithmic:
            return math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        return (value - self._low) / (self._high - self._low)

    def _begin(self) -> None:
        self._gesture = next_gesture()

    def _tell(self, place: int) -> None:
        share = place / _STEPS
        if self._logarithmic:
            value = self._low * (self._high / self._low) ** share
        else:
            value = self._low + share * (self._high - self._low)
        self.moved.emit(value, self._gesture if self.isSliderDown() else next_gesture())
