"""Asking how long a line on the film really is, and showing what the answer would mean."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.annotations import Mark, mark_label
from cxr_viewer.core.image import PixelSpacing, Radiograph
from cxr_viewer.services.session.calibration import LONGEST_MM, SHORTEST_MM, measured
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named

WIDTH_PX = 460
_KNOWN = ((25.0, "25 mm ball"), (30.0, "30 mm ball"), (100.0, "10 cm of a ruler"))
_LARGEST_FILM_MM, _SMALLEST_FILM_MM = 1000.0, 20.0
_PLANE = (
    "This holds only in the plane of the object you measured: what lies nearer to the tube is drawn larger, what lies "
    "nearer to the detector smaller."
)


class CalibrationDialog(QDialog):
    """How long a length mark really is.

    Args:
        line: a length mark that can calibrate ``image``.
        of_file: what the file says of millimetres.
    """

    def __init__(
        self, image: Radiograph, line: Mark, of_file: PixelSpacing | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calibrate by this line")
        self._image, self._line, self._of_file = image, line, of_file
        self._field = named(
            QLineEdit(),
            "Real length of the line in millimetres",
            f"From {SHORTEST_MM:g} to {LONGEST_MM:g}; comma and point both mark the decimals",
        )
        self._field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._field.setFixedWidth(90)
        self._field.setMaxLength(12)
        self._field.setAcceptDrops(False)  # a film dropped here is to be opened
        self._field.textEdited.connect(self._show)
        self._meaning = named(QLabel(wordWrap=True), "What this length would mean")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._ok = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        named(self._ok, "Calibrate", "Measure this film by this line").setText("Calibrate")
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._build()
        self._show()
        self._field.setFocus()

    def _build(self) -> None:
        entry = QHBoxLayout()
        entry.addWidget(QLabel("This line is really"))
        entry.addWidget(self._field)
        entry.addWidget(QLabel("mm long"))
        entry.addStretch(1)
        known = QHBoxLayout()
        for mm, words in _KNOWN:
            button = named(QPushButton(words), f"The line is {words}: {mm:g} mm", f"Write {mm:g} into the field")
            button.setAutoDefault(False)  # Enter calibrates, whatever has the focus
            button.clicked.connect(lambda _=False, mm=mm: self._take(mm))
            known.addWidget(button)
        known.addStretch(1)
        now = QLabel(f"It reads {mark_label(self._line, self._image.spacing)} now.")
        now.setProperty("role", "muted")
        frame = f" (frame {self._image.key.frame + 1} of {self._image.frames} only)" if self._image.frames > 1 else ""
        kept = QLabel(f"The program keeps it for this film{frame} and writes nothing into the file.", wordWrap=True)
        kept.setProperty("role", "muted")
        plane = QLabel(_PLANE, wordWrap=True)
        plane.setProperty("role", "caution")
        column = QVBoxLayout(self)
        column.setSpacing(theme.SPACE_PX)
        column.addLayout(entry)
        column.addWidget(now)
        column.addLayout(known)
        column.addWidget(self._meaning)
        column.addWidget(plane)
        column.addWidget(kept)
        column.addStretch(1)
        column.addWidget(self._buttons)
        self._meaning.setMinimumHeight(3 * self.fontMetrics().height())  # the dialog does not jump while typing
        self.setFixedWidth(WIDTH_PX)

    def mm(self) -> float | None:
        """The length given; None while there is none that could be one."""
        try:
            value = float(self._field.text().strip().replace(",", "."))
        except ValueError:
            return None
        return value if math.isfinite(value) and SHORTEST_MM <= value <= LONGEST_MM else None

    def accept(self) -> None:
        if self._spacing() is not None:
            super().accept()

    def _take(self, mm: float) -> None:
        self._field.setText(f"{mm:g}")
        self._show()
        self._field.setFocus()

    def _spacing(self) -> PixelSpacing | None:
        mm = self.mm()
        return measured(self._image, self._line, mm) if mm is not None else None

    def _show(self) -> None:
        spacing = self._spacing()
        self._ok.setEnabled(spacing is not None)
        if spacing is not None:
            text, doubtful = meaning(self._image, spacing, self._of_file)
        else:
            given = bool(self._field.text().strip())
            text, doubtful = f"Give a length from {SHORTEST_MM:g} to {LONGEST_MM:g} mm.", given
        role = "caution" if doubtful else "muted"
        self._meaning.setText(text)
        if self._meaning.property("role") != role:
            self._meaning.setProperty("role", role)
            self._meaning.style().unpolish(self._meaning)
            self._meaning.style().polish(self._meaning)


def meaning(image: Radiograph, spacing: PixelSpacing, of_file: PixelSpacing | None) -> tuple[str, bool]:
    """What a calibration says of the whole film, for a look at whether it can be, and whether it is doubtful."""
    width, height = image.columns * spacing.column_mm, image.rows * spacing.row_mm
    text = f"The whole film is then {width / 10:.1f} x {height / 10:.1f} cm, {spacing.column_mm:.4g} mm per pixel."
    doubtful = max(width, height) > _LARGEST_FILM_MM or max(width, height) < _SMALLEST_FILM_MM
    if of_file is not None:
        share = spacing.row_mm / of_file.row_mm
        text += f" That is {share:.3g} times what the file says ({of_file.source.value})."
        doubtful = doubtful or not 0.5 <= share <= 2.0
    return (text + " Please check the length.", True) if doubtful else (text, False)
