"""Whose calibration a model scores with: as it was shipped, or the one made on this site's own films."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QRadioButton, QVBoxLayout, QWidget

from cxr_viewer.core.findings import ModelCard, SiteCalibration
from cxr_viewer.ui.widgets import named

_SHIPPED_TIP = "Score with the calibration and the operating points that came with the model"


class CalibrationChoice(QWidget):
    """Two buttons where a model has both; nothing where it has only what it was shipped with.

    Signals:
        wanted(str, bool): id of the model, and whether the site's own is wanted.
    """

    wanted = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model_id = ""
        title = QLabel("Calibration")
        title.setProperty("role", "muted")
        self.shipped = named(QRadioButton("As shipped"), "Calibration as shipped", _SHIPPED_TIP)
        self.site = named(QRadioButton("This site's"), "Calibration of this site")
        self.about = QLabel(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self.about.setProperty("role", "muted")
        self.shipped.clicked.connect(lambda: self.wanted.emit(self._model_id, False))
        self.site.clicked.connect(lambda: self.wanted.emit(self._model_id, True))
        row = QHBoxLayout()
        row.addWidget(title)
        row.addWidget(self.shipped)
        row.addWidget(self.site)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.about)
        self.hide()

    def show_card(self, card: ModelCard | None, made: tuple[SiteCalibration, bool] | None) -> None:
        """Draw what there is for this model; ``made``: the site's calibration and whether it is in use."""
        self._model_id = card.model_id if card is not None else ""
        self.setVisible(card is not None and made is not None)
        if made is None:
            return
        calibration, used = made
        with QSignalBlocker(self.shipped), QSignalBlocker(self.site):
            self.site.setChecked(used)
            self.shipped.setChecked(not used)
        self.about.setText(about_calibration(calibration))
        self.site.setToolTip(f"Score with the calibration made here: {calibration.text}")
        self.site.setAccessibleDescription(self.about.text())


def about_calibration(calibration: SiteCalibration) -> str:
    """What it was made from and for which findings: ``"St. Anna, 412 films, 2026-11-22; Effusion, Edema."``."""
    tuned = [label.name for label in calibration.labels]
    findings = f"{', '.join(tuned)}. Other findings stay as shipped" if tuned else "no finding could be tuned"
    return f"{calibration.text}, {calibration.patients} patients; {findings}."
