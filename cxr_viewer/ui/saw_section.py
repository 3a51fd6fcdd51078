"""“What the model saw” in the findings panel: a small picture of the input, and what it is in plain words."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from cxr_viewer.core.findings import AnalysisResult
from cxr_viewer.core.seeing import seen_rows
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.saw_picture import input_image
from cxr_viewer.ui.widgets import named

SMALL_PX = 176
_NOTHING = "No model has looked at this film."
_NO_PICTURE = "The picture the model was given is not kept for this answer."


class SawSection(QWidget):
    """Folded away until it is asked for; hatching on the films goes with it.

    Signals:
        sends(object): events.
        large_wanted(): the reader asks for the picture beside the film.
    """

    sends = Signal(object)
    large_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[object, ...] | None = None
        self.header = named(
            QToolButton(),
            "What the model saw",
            "Show what the model was given, and hatch on the films what it was not (E)",
        )
        self.header.setText("What the model saw")
        self.header.setStyleSheet("QToolButton:checked { background: transparent; border-color: transparent; }")
        self.header.setCheckable(True)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setArrowType(Qt.ArrowType.RightArrow)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.picture = named(
            QPushButton(flat=True), "Open what the model saw beside the film", "Compare it with the film (Shift+E)"
        )
        self.picture.setFixedSize(SMALL_PX + 8, SMALL_PX + 8)
        self.picture.setIconSize(QSize(SMALL_PX, SMALL_PX))
        self.picture.setStyleSheet(f"padding: 2px; background: {theme.FILM_BACKGROUND};")
        self.words = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.words.setProperty("role", "muted")
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        column.setSpacing(theme.SPACE_PX - 2)
        column.addWidget(self.header)
        column.addWidget(self.picture)
        column.addWidget(self.words)
        self.header.clicked.connect(lambda on: self.sends.emit(ev.SetShowSeen(on)))
        self.picture.clicked.connect(lambda: self.large_wanted.emit())

    def show_state(self, state: ViewerState) -> None:
        """Follow the active pane."""
        pane = state.pane
        spacing = pane.image.spacing if pane.image is not None else None
        drawn = (state.show_seen, pane.result, pane.display.orientation, spacing)
        if drawn == self._shown:
            return
        self._shown = drawn
        self.header.setChecked(state.show_seen)
        self.header.setArrowType(Qt.ArrowType.DownArrow if state.show_seen else Qt.ArrowType.RightArrow)
        result = pane.result
        saw = result.saw if result is not None else None
        if saw is not None and state.show_seen:
            # not enlarged by averaging: the model's own pixels are what is to be seen
            pixels = QPixmap.fromImage(input_image(saw)).scaled(
                SMALL_PX,
                SMALL_PX,
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.FastTransformation
                if saw.picture.shape[0] <= SMALL_PX
                else Qt.TransformationMode.SmoothTransformation,
            )
            self.picture.setIcon(QIcon(pixels))
        self.picture.setVisible(saw is not None and state.show_seen)
        self.words.setText(_words(pane, result))
        self.words.setVisible(state.show_seen)


def _words(pane: Pane, result: AnalysisResult | None) -> str:
    if pane.image is None:
        return ""
    if result is None:
        return _NOTHING
    rows = [("Model", f"{result.model_name} {result.model_version}")]
    rows += seen_rows(result, pane.image, pane.display.orientation)
    lines = [f"{name}: {words}." for name, words in rows]
    if result.saw is None:
        lines.append(_NO_PICTURE)
    return "\n".join(lines)
