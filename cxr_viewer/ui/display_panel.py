"""The window of the active film in numbers: centre, width, histogram, the file's own windows."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.core.heatmaps import Heatmap
from cxr_viewer.core.image import Radiograph, Voi, VoiTable, VoiWindow
from cxr_viewer.core.wording import number_text, plain
from cxr_viewer.imaging import levels, luts
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.gestures import next_gesture, tidy
from cxr_viewer.ui.histogram_view import BINS, HistogramView
from cxr_viewer.ui.value_fields import ValueSlider, ValueSpin

WidgetT = TypeVar("WidgetT", bound=QWidget)

FULL_RANGE, AUTOMATIC, BY_HAND, LUNGS = "full", "automatic", "hand", "lungs"
_AUTOMATIC_LABEL = "Automatic"  # of levels.auto_window
_KEYS = 9  # 1 to 9 choose the file's own


class DisplayPanel(QWidget):
    """Draws and changes window and polarity of the active pane.

    Signals:
        sends(object): for the session.
    """

    sends = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pane_index = 0
        self._image: Radiograph | None = None
        self._lungs: Heatmap | None = None
        self._drawn: tuple[object, ...] | None = None
        self._range = (0.0, 1.0)
        self._curve_patterns = np.empty(0, np.int64)
        self._window: VoiWindow | None = None
        self._falls = False
        self._inverted = False
        self._choice = _named(QComboBox(), "Window", "The film's own windows (keys 1 to 9), or another")
        self._choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._choice.setMinimumContentsLength(12)
        self._histogram = HistogramView()
        self._center = ValueSpin("Window centre", "Value shown in middle grey (left drag up and down on the film)")
        self._width = ValueSpin("Window width", "Values from black to white (left drag left and right on the film)")
        self._center_slider = ValueSlider("Window centre slider", "Value shown in middle grey")
        self._width_slider = ValueSlider("Window width slider", "Values from black to white", logarithmic=True)
        self._automatic = _named(QPushButton("Automatic"), "Automatic window", "Window over the anatomy (0)")
        self._invert = _named(QPushButton("Invert"), "Invert", "Exchange black and white (I)")
        self._invert.setCheckable(True)
        self._reset = _named(QPushButton("Reset"), "Reset film", "As the film was opened (Shift+Esc)")
        self._lay_out()
        self._connect()
        self._show_nothing()

    def _lay_out(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.SPACE_PX + 4, theme.SPACE_PX, theme.SPACE_PX + 4, theme.SPACE_PX)
        box.setSpacing(theme.SPACE_PX)
        box.addWidget(self._choice)
        box.addWidget(self._histogram)
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        rows = (("Centre", self._center, self._center_slider), ("Width", self._width, self._width_slider))
        for row, (name, spin, slider) in enumerate(rows):
            label = QLabel(name)
            label.setProperty("role", "muted")
            label.setBuddy(spin)
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(spin, row, 2)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)
        buttons = QHBoxLayout()
        for button in (self._automatic, self._invert, self._reset):
            buttons.addWidget(button)
        box.addLayout(buttons)
        box.addStretch(1)

    def _connect(self) -> None:
        self._choice.activated.connect(self._choose)
        self._histogram.window_dragged.connect(self._ask)
        self._center.valueChanged.connect(lambda value: self._change(next_gesture(), center=value))
        self._width.valueChanged.connect(lambda value: self._change(next_gesture(), width=value))
        self._center_slider.moved.connect(lambda value, gesture: self._change(gesture, center=value))
        self._width_slider.moved.connect(lambda value, gesture: self._change(gesture, width=value))
        self._automatic.clicked.connect(self._ask_automatic)
        self._invert.clicked.connect(lambda on: self.sends.emit(ev.SetInverted(self._pane_index, on)))
        self._reset.clicked.connect(lambda: self.sends.emit(ev.ResetDisplay(self._pane_index)))

    # ------------------------------------------------------------ what the hand asks for

    def _choose(self, row: int) -> None:
        choice = self._choice.itemData(row)
        if self._image is None:
            return
        if choice == FULL_RANGE:
            self.sends.emit(ev.SetVoi(self._pane_index, None))
        elif choice == AUTOMATIC:
            self._ask_automatic()
        elif choice == LUNGS and self._lungs is not None:
            window = levels.lung_window(self._image, self._lungs)
            if window is not None:
                self.sends.emit(ev.SetVoi(self._pane_index, window))
        elif isinstance(choice, int):
            self.sends.emit(ev.SetVoi(self._pane_index, self._image.voi[choice], choice))

    def _ask_automatic(self) -> None:
        if self._image is not None:
            self.sends.emit(ev.SetVoi(self._pane_index, levels.auto_window(self._image)))

    def _change(self, gesture: int, *, center: float | None = None, width: float | None = None) -> None:
        """Change one number of the window, the other staying as it is."""
        window = self._window
        if window is None:
            return
        center = window.center if center is None else center
        self._ask(replace(window, center=center, width=window.width if width is None else width, label=""), gesture)

    def _ask(self, window: VoiWindow, gesture: int) -> None:
        falls, inverted = self._falls, self._inverted  # the first event has taken effect when the second is sent
        self.sends.emit(ev.SetVoi(self._pane_index, tidy(window, self._range), None, gesture))
        if falls:  # a window rises where the table fell: exchange polarity with it
            self.sends.emit(ev.SetInverted(self._pane_index, not inverted))

    # ------------------------------------------------------------ drawing the state

    def show_state(self, state: ViewerState) -> None:
        """Draw the active pane of ``state``."""
        pane = state.pane
        self._pane_index = state.active
        self._lungs = pane.lungs_outline
        drawn = (pane.image, pane.display.voi, pane.display.voi_index, pane.display.inverted, self._lungs)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if pane.image is None:
            self._show_nothing()
            return
        if pane.image is not self._image:
            self._show_film(pane.image)
        self._show_display(pane, pane.image)

    def _show_nothing(self) -> None:
        self._image = self._window = None
        self._histogram.show_film(None, (0.0, 1.0))
        with QSignalBlocker(self._choice):
            self._choice.clear()
        for spin in (self._center, self._width):
            with QSignalBlocker(spin):
                spin.clear()
        with QSignalBlocker(self._invert):
            self._invert.setChecked(False)
        self._enable(False)

    def _enable(self, on: bool) -> None:
        controls = (self._choice, self._histogram, self._center, self._width, self._center_slider, self._width_slider)
        for control in (*controls, self._automatic, self._invert, self._reset):
            control.setEnabled(on)

    def _show_film(self, image: Radiograph) -> None:
        self._image = image
        counts, edges = levels.histogram(image, BINS)
        self._range = (float(edges[0]), float(edges[-1]))
        self._histogram.show_film(counts, self._range)
        values = luts.modality_of_patterns(image)
        order = np.argsort(values, kind="stable")
        places = np.searchsorted(values[order], self._histogram.curve_values())
        self._curve_patterns = order[np.minimum(places, order.size - 1)]
        with QSignalBlocker(self._choice):
            self._choice.clear()
            for place, voi in enumerate(image.voi):
                self._choice.addItem(voi_name(voi, place), place)
            self._choice.addItem("Automatic", AUTOMATIC)
            self._choice.addItem("Lowest to highest value", FULL_RANGE)
        self._enable(True)

    def _show_display(self, pane: Pane, image: Radiograph) -> None:
        voi, inverted = pane.display.voi, pane.display.inverted
        window = levels.equivalent_window(image, voi)
        self._window, self._inverted, self._falls = window, inverted, levels.falls(voi)
        grey = luts.compose(image, voi, inverted)[self._curve_patterns]  # from the table the film is shown with
        self._histogram.show_window(window, grey / 255.0)
        limits = levels.window_limits(self._range, window)
        span = self._range[1] - self._range[0]
        self._show_number(self._center, window.center, limits.lowest_center - span, limits.highest_center + span)
        self._show_number(self._width, window.width, limits.narrowest, 4 * limits.widest)
        self._center_slider.show_value(window.center, limits.lowest_center, limits.highest_center)
        self._width_slider.show_value(window.width, limits.narrowest, limits.widest)
        self._show_choice(voi, pane.display.voi_index, window)
        with QSignalBlocker(self._invert):
            self._invert.setChecked(inverted)

    def _show_number(self, spin: ValueSpin, value: float, low: float, high: float) -> None:
        """Show a number with as many decimals as it needs and the film's values are worth."""
        span = self._range[1] - self._range[0]
        with QSignalBlocker(spin):
            spin.setDecimals(0 if float(value).is_integer() and span >= 20 else 2 if span >= 20 else 4)
            spin.setSingleStep(max(1.0, round(span / 100)) if span >= 20 else span / 100 or 0.01)
            spin.setRange(low, high)
            spin.setValue(value)

    def _show_choice(self, voi: Voi | None, index: int | None, window: VoiWindow) -> None:
        wanted: object = BY_HAND
        if index is not None:
            wanted = index
        elif voi is None:
            wanted = FULL_RANGE
        elif voi.label == _AUTOMATIC_LABEL:
            wanted = AUTOMATIC
        elif voi.label == levels.LUNGS_LABEL:
            wanted = LUNGS
        self._offer_lungs(wanted == LUNGS)
        with QSignalBlocker(self._choice):
            place = self._choice.findData(BY_HAND)
            if wanted == BY_HAND:
                text = f"By hand ({number_text(window.center)} / {number_text(window.width)})"
                if place < 0:
                    self._choice.addItem(text, BY_HAND)
                else:
                    self._choice.setItemText(place, text)
            elif place >= 0:
                self._choice.removeItem(place)
            self._choice.setCurrentIndex(self._choice.findData(wanted))

    def _offer_lungs(self, chosen: bool) -> None:
        """The window over the lungs, where they were found or the film is shown with it already."""
        there = self._choice.findData(LUNGS)
        wanted = chosen or self._lungs is not None
        with QSignalBlocker(self._choice):
            if wanted and there < 0:
                self._choice.insertItem(self._choice.findData(FULL_RANGE), "Lungs (inside their outline)", LUNGS)
            elif not wanted and there >= 0:
                self._choice.removeItem(there)


def _named(control: WidgetT, name: str, tip: str) -> WidgetT:
    control.setAccessibleName(name)
    control.setToolTip(tip)
    return control


def voi_name(voi: Voi, place: int) -> str:
    """One of the file's own, by its explanation; its number is the key that chooses it."""
    number = f"{place + 1}  " if place < _KEYS else ""
    label = plain(voi.label)
    if isinstance(voi, VoiTable):
        return f"{number}{label or 'Lookup table'} (table)"
    return f"{number}{label or 'Window'} ({number_text(voi.center)} / {number_text(voi.width)})"
