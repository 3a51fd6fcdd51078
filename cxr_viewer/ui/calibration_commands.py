"""Calibrating a film by a line of known length, and the way back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.calibration import measured
from cxr_viewer.services.state import NoticeLevel, Pane, Tool
from cxr_viewer.ui.calibration_dialog import CalibrationDialog
from cxr_viewer.ui.controller import Controller


def line_to_calibrate_by(pane: Pane) -> Mark | None:
    """The selected length; where nothing is selected, the only one there is."""
    lines = [mark for mark in pane.marks if mark.kind is MarkKind.LENGTH]
    if pane.selected_mark is not None:
        return next((mark for mark in lines if mark.mark_id == pane.selected_mark), None)
    return lines[0] if len(lines) == 1 else None


class CalibrationCommands:
    """Commands for the film of the active pane. ``window`` carries the dialog."""

    def __init__(self, window: QWidget, controller: Controller) -> None:
        self._window, self._controller = window, controller

    def table(self) -> dict[str, Callable[[], None]]:
        """Commands by action name."""
        return {"calibrate": self.calibrate, "file_millimetres": self.back_to_file}

    def calibrate(self) -> None:
        """Ask how long the selected line really is; without one, say how to come by it."""
        state = self._controller.state
        pane, image = state.pane, state.pane.image
        if image is None or image.preview:
            return
        line = line_to_calibrate_by(pane)
        if line is None:
            self._controller.dispatch(ev.SetMarksVisible(True))
            self._controller.dispatch(ev.SetTool(Tool.LENGTH))
            self._tell("Draw a line along something whose length you know, or click one, then calibrate again.")
        elif measured(image, line, 1.0) is None:
            self._tell("This line is too short to calibrate by.", "Draw it along the whole of the known length.")
        else:
            self._ask(state.active, pane, line)

    def _ask(self, index: int, pane: Pane, line: Mark) -> None:
        if pane.image is None:
            return
        dialog = CalibrationDialog(pane.image, line, pane.file_spacing, self._window)

        def accepted() -> None:
            now = self._controller.state.panes[index]
            if now.generation == pane.generation and line in now.marks:
                self._controller.dispatch(ev.Calibrate(index, line.mark_id, dialog.mm()))
                self._tell(
                    "Lengths on this film now come from your line.",
                    "Tools > Back to the file's millimetres takes it back.",
                )
            else:
                self._tell("The film was not calibrated.", "It has changed while the length was being given.")

        dialog.accepted.connect(accepted)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def back_to_file(self) -> None:
        """Lengths as the file gives them again."""
        state = self._controller.state
        if state.pane.calibrated:
            self._controller.dispatch(ev.Calibrate(state.active))

    def _tell(self, text: str, hint: str = "") -> None:
        self._controller.dispatch(ev.Tell(NoticeLevel.INFO, text, hint))
