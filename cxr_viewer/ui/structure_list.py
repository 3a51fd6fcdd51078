"""The structures a segmenter outlined, with a tick for each that is drawn over the film."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.imaging.structures import structure_colour
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named

_ABOUT = (
    "Outlines where the model holds a structure more likely than not (0.5). "
    "It gives no findings and no scores, and nobody has checked these outlines."
)
_SWATCH = QSize(26, 14)


class StructureList(QWidget):
    """Nothing for classifiers; for segmenters a check box per structure, in the colour of its outline."""

    sends = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pane = 0
        self._structures: tuple[str, ...] = ()
        self.checks: dict[str, QCheckBox] = {}
        self._boxes = QVBoxLayout()
        self._boxes.setSpacing(4)
        about = QLabel(_ABOUT, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        about.setProperty("role", "muted")
        everything = named(QPushButton("All"), "Outline all structures", "Outline all structures (G: all or none)")
        nothing = named(QPushButton("None"), "Outline no structure", "Outline no structure (G: all or none)")
        everything.clicked.connect(lambda: self.sends.emit(ev.SetOverlay(self._pane, visible=True)))
        nothing.clicked.connect(lambda: self.sends.emit(ev.SetOverlay(self._pane, visible=False)))
        row = QHBoxLayout()
        row.addWidget(everything)
        row.addWidget(nothing)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        column.setSpacing(theme.SPACE_PX)
        column.addWidget(about)
        column.addLayout(row)
        column.addLayout(self._boxes)
        self.hide()

    def show_state(self, state: ViewerState) -> None:
        """Follow the active pane."""
        pane = state.pane
        self._pane = state.active
        structures = pane.result.structures if pane.result is not None else ()
        if structures != self._structures:
            self._fill(structures)
        drawn = {heatmap.label for heatmap in pane.outlines}
        for label, box in self.checks.items():
            with QSignalBlocker(box):
                box.setChecked(label in drawn)
        self.setVisible(bool(structures))

    def _fill(self, structures: tuple[str, ...]) -> None:
        for old in self.checks.values():
            self._boxes.removeWidget(old)
            old.hide()  # it lives until the next turn of the event loop, and must not be seen under the new ones
            old.deleteLater()
        self._structures, self.checks = structures, {}
        for label in structures:
            box = named(QCheckBox(label), f"Outline {label}", f"Draw the outline of {label} over the film")
            box.setIcon(_swatch(QColor(*structure_colour(label, structures))))
            box.setIconSize(_SWATCH)
            box.toggled.connect(lambda on, label=label: self.sends.emit(ev.ShowStructure(self._pane, label, on)))
            self.checks[label] = box
            self._boxes.addWidget(box)


def _swatch(color: QColor) -> QIcon:
    """A piece of the line as it is over a film."""
    picture = QPixmap(_SWATCH)
    picture.fill(QColor(theme.FILM_BACKGROUND))
    painter = QPainter(picture)
    painter.fillRect(3, _SWATCH.height() // 2 - 1, _SWATCH.width() - 6, 3, color)
    painter.end()
    return QIcon(picture)
