"""Opening, exporting and the other actions that need a dialog."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from cxr_viewer import __version__
from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.report import Report, suggested_name
from cxr_viewer.services import events as ev
from cxr_viewer.services.report import make_report
from cxr_viewer.services.state import NoticeLevel
from cxr_viewer.ui.controller import Controller
from cxr_viewer.ui.dialogs import ExportDialog, KeySheet, about_text, writable_folder
from cxr_viewer.ui.exporter import Exporter

_FILTERS = "All files (*);;ZIP archives (*.zip *.ZIP)"


class FileCommands:
    """Commands around files. ``grab_view`` pictures a pane as it is on screen."""

    def __init__(
        self,
        window: QWidget,
        controller: Controller,
        exporter: Exporter,
        open_paths: Callable[[Sequence[Path]], None],
        grab_view: Callable[[int], QImage],
        samples: Path,
        log_file: Path,
    ) -> None:
        self._window, self._controller, self._exporter = window, controller, exporter
        self._open_paths, self._grab_view = open_paths, grab_view
        self._samples, self._log_file = samples, log_file
        self.open_folder_at: Path | None = None
        self.export_folder: Path | None = None

    def table(self) -> dict[str, Callable[[], None]]:
        """Commands by action name."""
        return {
            "open_files": self.open_files,
            "open_folder": self.open_folder,
            "open_sample": lambda: self._open_paths([self._samples]),
            "export_report": self.export_report,
            "save_view": self.save_view,
            "copy_view": self.copy_view,
            "keys": self.show_keys,
            "show_log": self.show_log,
            "about": lambda: QMessageBox.about(self._window, "About cxr_viewer", about_text()),
        }

    # ------------------------------------------------------------ opening

    def _start_folder(self) -> str:
        folder = self.open_folder_at
        return str(folder if folder is not None and folder.is_dir() else Path.home())

    def open_files(self) -> None:
        # Films on a medium have no common suffix, so every file is offered.
        chosen, _ = QFileDialog.getOpenFileNames(self._window, "Open films", self._start_folder(), _FILTERS)
        if chosen:
            self.open_folder_at = Path(chosen[0]).parent
            self._open_paths([Path(path) for path in chosen])

    def open_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self._window, "Open a folder of films", self._start_folder())
        if chosen:
            self.open_folder_at = Path(chosen)
            self._open_paths([Path(chosen)])

    # ------------------------------------------------------------ leaving with a result

    def report(self, *, with_identity: bool) -> Report | None:
        """The report of the active pane as it stands; None without a film, or with words for the reader why not."""
        state = self._controller.state
        pane, result = state.pane, state.pane.result
        if pane.image is None:
            return None
        card = next((card for card in state.cards if result and card.sha256 == result.model_sha256), None)
        try:
            return make_report(
                pane,
                card,
                with_identity=with_identity,
                program_version=__version__,
                created=dt.datetime.now().astimezone(),
                marks_visible=state.marks_visible,
                show_seen=state.show_seen,
                show_callipers=state.show_callipers,
                show_outlines=state.show_outlines,
            )
        except ExportError as error:  # a preview is looked at, it leaves the program in no form
            self._controller.dispatch(ev.Tell(NoticeLevel.INFO, error.summary, error.hint))
            return None

    def export_report(self) -> None:
        # The report is made before the dialog opens: it shows what the reader saw when asking for it.
        report = self.report(with_identity=False)
        if report is None:
            return
        named = replace(report, with_identity=True)
        folder = writable_folder(self.export_folder)
        dialog = ExportDialog(folder, suggested_name(report), suggested_name(named), self._window)
        if dialog.exec():
            self.export_folder = dialog.path().parent
            self._exporter.report(named if dialog.with_identity() else report, dialog.path())

    def save_view(self) -> None:
        state = self._controller.state
        report = self.report(with_identity=False)
        if report is None:
            return
        picture = self._grab_view(state.active)
        name = suggested_name(report).replace("cxr-report", "cxr-view")
        start = writable_folder(self.export_folder) / name
        chosen, _ = QFileDialog.getSaveFileName(self._window, "Save view", str(start), "PNG (*.png)")
        if chosen:
            path = Path(chosen)
            self.export_folder = path.parent
            self._exporter.view(picture, path if path.suffix else path.with_suffix(".png"))

    def copy_view(self) -> None:
        state = self._controller.state
        if self.report(with_identity=False) is not None:
            QGuiApplication.clipboard().setImage(self._grab_view(state.active))
            self._controller.dispatch(ev.Tell(NoticeLevel.INFO, "The view is on the clipboard."))

    def show_keys(self) -> None:
        KeySheet(self._window).exec()

    def show_log(self) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._log_file))):
            self._controller.dispatch(ev.Tell(NoticeLevel.INFO, f"The log is in {self._log_file}."))
