"""Switches of the heat map: on or off, opacity, threshold, colour or contour, method."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QSlider, QStyledItemDelegate, QWidget

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.core.measuring import map_cautions
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named, panel_label

MethodsOf = Callable[[ModelCard, bool], tuple[str, ...]]


def _slider(name: str, tip: str) -> QSlider:
    slider = named(QSlider(Qt.Orientation.Horizontal), name, tip)
    slider.setRange(0, 100)
    slider.setPageStep(10)
    return slider


class OverlayControls(QWidget):
    """Draws and changes the overlay of the active pane.

    Args:
        methods: all methods of maps.
        methods_of: those a model can be explained by, from its card and whether its network ends in a linear head.
    """

    sends = Signal(object)

    def __init__(self, methods: Sequence[str], methods_of: MethodsOf, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._methods_of = methods_of
        self._headless: set[str] = set()
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
        self._method.setItemDelegate(QStyledItemDelegate(self._method))  # its own one greys nothing under a style sheet
        self._offered: tuple[str, ...] = tuple(methods)
        self._alpha_text, self._threshold_text = QLabel(), QLabel()
        self.note = panel_label("caution")
        self.note.setContentsMargins(0, 0, 0, 0)
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
        grid.addWidget(self.note, 4, 0, 1, 3)
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
        self._offer_methods(state)
        self._show_note(pane)
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

    def _show_note(self, pane: Pane) -> None:
        """What has to be known of the very map that is shown."""
        heatmap, result = pane.heatmap, pane.result
        cautions = map_cautions(result, heatmap.label) if result is not None and heatmap is not None else ()
        self.note.setText("\n".join(caution.text for caution in cautions))
        self.note.setVisible(bool(cautions))

    def _offer_methods(self, state: ViewerState) -> None:
        """Let only the methods be chosen that the model of this film can be explained by."""
        pane = state.pane
        model_id = pane.model.model_id if pane.model is not None else state.model_id
        card = next((card for card in state.cards if card.model_id == model_id), None)
        if card is None or card.task is not Task.CLASSIFY:
            return
        self._learn(card, state)
        offered = self._methods_of(card, card.sha256 not in self._headless)
        if offered == self._offered:
            return
        self._offered = offered
        items = self._method.model()
        for row in range(self._method.count()):
            item = items.item(row) if isinstance(items, QStandardItemModel) else None
            if item is not None:
                possible = item.text() in offered
                item.setEnabled(possible)
                item.setToolTip("" if possible else f"{card.name} cannot be explained by this method.")

    def _learn(self, card: ModelCard, state: ViewerState) -> None:
        """Whether a foreign network ends in a head is known once it has answered."""
        result = state.pane.result
        if result is None or result.model_sha256 != card.sha256:
            return
        of_heads = set(self._methods_of(card, True)) - set(self._methods_of(card, False))
        if any(heatmap.method in of_heads for heatmap in result.heatmaps):
            self._headless.discard(card.sha256)
        elif not result.heatmaps and state.method in of_heads:
            self._headless.add(card.sha256)
