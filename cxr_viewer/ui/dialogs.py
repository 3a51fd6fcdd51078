"""Export, key sheet and about."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer import __version__
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.ui import theme
from cxr_viewer.ui.actions import MENUS, SPECS
from cxr_viewer.ui.widgets import named

_MOUSE = (
    ("Left drag", "Window: right is wider, up is brighter (Shift fine, Ctrl coarse); or the chosen tool"),
    ("Drag an end of the callipers", "Move it (Shift fine); a click chooses it for the arrow keys"),
    ("Middle drag", "Move the film"),
    ("Right drag", "Zoom"),
    ("Right click", "Menu of the film"),
    ("Wheel", "Next or previous image; in a film of several frames, its frames"),
    ("Ctrl+wheel", "Zoom at the pointer"),
    ("Double click", "One film alone, and back"),
)


class ExportDialog(QDialog):
    """Where the report goes and whether the patient's identity goes with it (by default it does not)."""

    def __init__(self, folder: Path, name: str, name_with_identity: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export report")
        self._names = {False: name, True: name_with_identity}
        self._path = named(QLineEdit(str(folder / name)), "File of the report")
        self._path.setMinimumWidth(460)
        browse = named(QPushButton("Browse\N{HORIZONTAL ELLIPSIS}"), "Choose another folder or name")
        browse.clicked.connect(self._browse)
        self._identity = named(
            QCheckBox("Write the patient's name, number and dates into the report"),
            "Include the patient's identity",
            "Off: the report shows age and sex only",
        )
        row = QHBoxLayout()
        row.addWidget(self._path, 1)
        row.addWidget(browse)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        note = QLabel(DISCLAIMER)
        note.setProperty("role", "caution")
        column = QVBoxLayout(self)
        column.setSpacing(theme.SPACE_PX * 2)
        column.addLayout(row)
        column.addWidget(self._identity)
        column.addWidget(note)
        column.addWidget(buttons)

    def path(self) -> Path:
        path = Path(self._path.text()).expanduser()
        return path if path.suffix.lower() == ".png" else path.with_name(path.name + ".png")

    def with_identity(self) -> bool:
        return self._identity.isChecked()

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Export report", self._path.text(), "PNG (*.png)")
        if chosen:
            self._path.setText(chosen)

    def accept(self) -> None:
        path = self.path()
        if path.exists() and not self._overwrite(path):
            return
        super().accept()

    def _overwrite(self, path: Path) -> bool:
        answer = QMessageBox.question(self, "Export report", f"{path.name} is there already. Replace it?")
        return bool(answer == QMessageBox.StandardButton.Yes)


class KeySheet(QDialog):
    """All keys and mouse moves on one page."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        body = QWidget()
        grid = QGridLayout(body)
        grid.setHorizontalSpacing(theme.SPACE_PX * 3)
        row = self._section(grid, 0, "Mouse", _MOUSE)
        for menu in MENUS:
            lines = tuple(
                (
                    ", ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in spec.keys),
                    spec.tip or spec.text.rstrip("\N{HORIZONTAL ELLIPSIS}"),
                )
                for spec in SPECS
                if spec.menu == menu and spec.keys
            )
            row = self._section(grid, row, menu, lines)
        grid.setColumnStretch(1, 1)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setWidget(body)
        column = QVBoxLayout(self)
        column.addWidget(scroll)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        column.addWidget(close)
        self.resize(560, 620)

    @staticmethod
    def _section(grid: QGridLayout, row: int, title: str, lines: tuple[tuple[str, str], ...]) -> int:
        heading = QLabel(title)
        heading.setProperty("role", "title")
        grid.addWidget(heading, row, 0, 1, 2)
        for offset, (keys, words) in enumerate(lines, 1):
            key = QLabel(keys)
            key.setStyleSheet(f"color: {theme.ACCENT};")
            grid.addWidget(key, row + offset, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(QLabel(words, wordWrap=True), row + offset, 1)
        return row + len(lines) + 1


def about_text() -> str:
    """What the program is and is not, in plain text."""
    return (
        f"cxr_viewer {__version__}\n\n"
        "A chest X-ray workstation: it shows films as the DICOM standard says and runs a model beside them on this "
        "machine. Nothing of a patient leaves it.\n\n"
        f"{DISCLAIMER} It is not a medical device.\n\n"
        "Apache License 2.0. Credits for libraries and data are in NOTICE."
    )


def writable_folder(preferred: Path | None) -> Path:
    """The folder an export starts in: the last one, else the reader's documents or home."""
    home = Path.home()
    for folder in (preferred, home / "Documents", home):
        if folder is not None and folder.is_dir() and os.access(folder, os.W_OK):
            return folder
    return home
