"""Switches of the heat map: on or off, opacity, threshold, colour or contour, method."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QSlider, QWidget

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named


def _slider(name: str, tip: str) -> QSlider:
    slider = named(QSlider(Qt.Orientation.Horizontal), name, tip)
    slider.setRange(0, 100)
    slider.setPageStep(10)
    return slider


class OverlayControls(QWidget):
    """Draws and changes the overlay of the active pane."""

    sends = Signal(object)

    def __init__(self, methods: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pane = 0
        self._shown: object = None
        self._show = named(QCheckBox("Heat map"), "Show heat map", "Show where the model looked (G)")
        self._mode = named(QComboBox(), "Heat map style", "Draw the map in colour or as a contour (Shift+G)")
        for mode in OverlayMode:
            self._mode.addItem(mode.value.capitalize(), mode)
        self._alpha = _slider("Heat map opacity", "Opacity of the map ([ and ])")
        self._threshold = _slider("Heat map threshold", "Hide the map below this share of its scale")
        self._method = named(
            QComboBox(),
            "Heat map method",
            "How the map is computed. Grad-CAM comes with every score; the others take longer.",
        )
        self._method.addItems(list(methods))
        self._alpha_text, self._threshold_text = QLabel(), QLabel()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        grid.setVerticalSpacing(6)
        grid.addWidget(self._show, 0, 0)
        grid.addWidget(self._mode, 0, 1, 1, 2)
        for row, (name, slider, text) in enumerate(
            (("Opacity", self._alpha, self._alpha_text), ("Threshold", self._threshold, self._threshold_text)), 1
        ):
            label = QLabel(name)
            label.setProperty("role", "muted")
            text.setProperty("role", "muted")
            text.setMinimumWidth(text.fontMetrics().horizontalAdvance("100 %") + 4)
            text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(label, row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(text, row, 2)
        method = QLabel("Method")
        method.setProperty("role", "muted")
        grid.addWidget(method, 3, 0)
        grid.addWidget(self._method, 3, 1, 1, 2)
        grid.setColumnStretch(1, 1)

    def _connect(self) -> None:
        self._show.toggled.connect(lambda on: self.sends.emit(ev.SetOverlay(self._pane, visible=on)))
        self._alpha.valueChanged.connect(lambda value: self.sends.emit(ev.SetOverlay(self._pane, alpha=value / 100)))
        self._threshold.valueChanged.connect(
            lambda value: self.sends.emit(ev.SetOverlay(self._pane, threshold=value / 100))
        )
        self._mode.activated.connect(
            lambda _: self.sends.emit(ev.SetOverlay(self._pane, mode=self._mode.currentData()))
        )
        self._method.activated.connect(lambda _: self.sends.emit(ev.SetMethod(self._method.currentText())))

    def show_state(self, state: ViewerState) -> None:
        pane = state.pane
        drawn = (state.active, pane.display.overlay, pane.result is not None, state.method)
        if drawn == self._shown:
            return
        self._shown = drawn
        self._pane = state.active
        overlay = pane.display.overlay
        for control in (self._show, self._alpha, self._threshold, self._mode):
            control.setEnabled(pane.result is not None and bool(pane.result.heatmaps))
        blockers = [
            QSignalBlocker(control) for control in (self._show, self._alpha, self._threshold, self._mode, self._method)
        ]
        self._show.setChecked(overlay.label is not None)
        self._alpha.setValue(round(overlay.alpha * 100))
        self._threshold.setValue(round(overlay.threshold * 100))
        self._mode.setCurrentIndex(self._mode.findData(overlay.mode))
        self._method.setCurrentText(state.method)
        self._alpha_text.setText(f"{self._alpha.value()} %")
        self._threshold_text.setText(f"{self._threshold.value()} %")
        del blockers
