"""The film's own part and the model's input side by side, in a window of their own beside the film."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from cxr_viewer.core.findings import AnalysisResult
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.core.seeing import seen_rows
from cxr_viewer.core.wording import turn_text
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.placement import pixel_stretch
from cxr_viewer.ui.saw_picture import SawPicture, film_image, input_image

_FILM_TITLE = "The same part of the film, in the window on screen"
_INPUT_TITLE = "What the model was given, pixel for pixel"


def _label(role: str = "") -> QLabel:
    label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if role:
        label.setProperty("role", role)
    return label


class SawWindow(QDialog):
    """Follows the active pane as long as it is open; a cross shows the same place in both pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("saw-window")
        self.setWindowTitle("What the model saw")
        self.setModal(False)
        self._drawn: tuple[object, ...] | None = None
        self._state: ViewerState | None = None
        self.film = SawPicture(_FILM_TITLE)
        self.input = SawPicture(_INPUT_TITLE)
        self.words, self.note, self._warning = _label("muted"), _label("muted"), _label("caution")
        self._warning.setText(DISCLAIMER)
        grid = QGridLayout()
        grid.setSpacing(theme.SPACE_PX)
        for column, (picture, title) in enumerate(((self.film, _FILM_TITLE), (self.input, _INPUT_TITLE))):
            heading = _label("title")
            heading.setText(title)
            grid.addWidget(heading, 0, column)
            grid.addWidget(picture, 1, column)
            grid.setColumnStretch(column, 1)
            picture.pointed.connect(self._point)
        grid.setRowStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(grid, 1)
        for label in (self.note, self.words, self._warning):
            layout.addWidget(label)
        self.resize(940, 640)

    @Slot()
    def switch(self) -> None:
        """Open the window, or close it where it is open."""
        if self.isVisible():
            self.close()
            return
        self._drawn = None
        self.show()
        self._refresh()

    def show_state(self, state: ViewerState) -> None:
        """Follow ``state``; nothing is worked out while the window is closed."""
        self._state = state
        if self.isVisible():
            self._refresh()

    def _refresh(self) -> None:
        if self._state is None:
            return
        pane = self._state.pane
        display = pane.display
        wanted = (pane.image, pane.result, display.voi, display.inverted, display.orientation, display.shutter)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        self._point(None)
        if pane.image is not None and pane.result is not None and pane.result.saw is not None:
            self._show(pane, pane.image, pane.result)
        else:
            for picture in (self.film, self.input):
                picture.hide()
            self.note.setText("There is no picture of what a model was given of this film.")
            self.words.setText("")

    def _show(self, pane: Pane, image: Radiograph, result: AnalysisResult) -> None:
        saw = result.saw
        if saw is None:
            return
        across, down = pixel_stretch(image)
        self.film.show_image(
            film_image(image, pane.display, result.seen), result.seen.width * across / (result.seen.height * down)
        )
        self.input.show_image(input_image(saw), saw.picture.shape[1] / saw.picture.shape[0])
        for picture in (self.film, self.input):
            picture.show()
        turned = turn_text(pane.display.orientation)
        note = "Both lie as the film is stored."
        self.note.setText(f"{note} On screen the film is {turned}." if turned else note)
        rows = (("Model", f"{result.model_name} {result.model_version}"), *seen_rows(result, image))
        self.words.setText("\n".join(f"{name}: {words}." for name, words in rows))

    @Slot(object)
    def _point(self, at: tuple[float, float] | None) -> None:
        for picture in (self.film, self.input):
            picture.show_cross(at)
