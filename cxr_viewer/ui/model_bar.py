"""Which model looks at the films, where it runs, and whether by itself: the head of the findings panel."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.suitability import population_text
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AUTO, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import ElidingBox, named

_MODEL_TIP = (
    "The model that looks at the films. Automatic: for each film the installed model that is meant for it, by age, "
    "view and part of the body; of several the one made for the narrowest range of ages, then one with calibrated "
    "scores, then one with more findings. A model you choose stays chosen."
)
_MODELS_TIP = "Install, check and remove models (Ctrl+Shift+M)"


def _choices(state: ViewerState) -> tuple[object, ...]:
    return state.model_id, state.device, state.automatic, state.cards


class ModelBar(QWidget):
    """Draws and changes what the reader has chosen for all films; asks the model about the active one.

    Signals:
        sends(object): events.
        models_wanted(): the reader asks for the dialog of the models.
    """

    sends = Signal(object)
    models_wanted = Signal()

    def __init__(self, devices: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offered: tuple[ModelCard, ...] = ()
        self._pane_index = 0
        self._drawn: tuple[object, ...] | None = None
        self._model = named(ElidingBox(placeholderText="No model"), "Model", _MODEL_TIP)
        self._models = named(QPushButton("Models\N{HORIZONTAL ELLIPSIS}"), "Models", _MODELS_TIP)
        self._device = named(QComboBox(), "Device", "Where the model runs")
        for device in devices:
            self._device.addItem({"auto": "Auto", "cpu": "CPU", "cuda": "GPU"}.get(device, device), device)
        # A long name must not make the panel wider than its dock.
        self._model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._model.setMinimumContentsLength(4)
        self._device.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._automatic = named(
            QCheckBox("Run on every film"), "Run automatically", "Run the model as soon as a film opens"
        )
        self._run = named(QPushButton("Run"), "Run the model", "Run the model on this film (Ctrl+R)")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        choice = QHBoxLayout()
        choice.addWidget(self._model, 1)
        choice.addWidget(self._models)
        row = QHBoxLayout()
        row.addWidget(self._automatic, 1)
        row.addWidget(self._device)
        row.addWidget(self._run)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        column.setSpacing(theme.SPACE_PX)
        column.addLayout(choice)
        column.addLayout(row)

    def _connect(self) -> None:
        self._model.activated.connect(lambda _: self.sends.emit(ev.ChooseModel(self._model.currentData())))
        self._models.clicked.connect(lambda: self.models_wanted.emit())
        self._device.activated.connect(lambda _: self.sends.emit(ev.SetDevice(self._device.currentData())))
        self._automatic.toggled.connect(lambda on: self.sends.emit(ev.SetAutomatic(on)))
        self._run.clicked.connect(lambda: self.sends.emit(ev.AskModel(self._pane_index)))

    def show_state(self, state: ViewerState) -> None:
        """Draw ``state``."""
        self._pane_index = state.active
        self._run.setEnabled(state.pane.image is not None and bool(state.model_id))
        if self._drawn == _choices(state):
            return
        self._drawn = _choices(state)
        with QSignalBlocker(self._model), QSignalBlocker(self._device), QSignalBlocker(self._automatic):
            self._fill(state.cards)
            self._model.setCurrentIndex(self._model.findData(state.model_id))
            self._device.setCurrentIndex(max(0, self._device.findData(state.device)))
            self._automatic.setChecked(state.automatic)
        self._model.setEnabled(bool(state.cards))

    def _fill(self, cards: tuple[ModelCard, ...]) -> None:
        if self._offered == cards and self._model.count():
            return
        self._offered = cards
        self._model.clear()
        self._model.addItem("Automatic", AUTO)
        for place, card in enumerate((card for card in cards if not card.serves), 1):  # those are asked beside any
            self._model.addItem(card.name, card.model_id)
            tip = " ".join(part for part in (population_text(card), card.intended_use) if part)
            self._model.setItemData(place, tip, Qt.ItemDataRole.ToolTipRole)
