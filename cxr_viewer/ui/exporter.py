"""Writes reports and views to disk away from the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, QSaveFile, Signal
from PySide6.QtGui import QImage

from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.jobs import failure_from
from cxr_viewer.core.report import Report
from cxr_viewer.services import events as ev
from cxr_viewer.services.ports import ReportWriter
from cxr_viewer.services.state import NoticeLevel


class Exporter(QObject):
    """One export after the other; ``make_writer`` is called on the exporting thread.

    Signals:
        sends(object): Tell, when an export is done or has failed.
        exported(object, object): Report and Path, after a report is written.
    """

    sends = Signal(object)
    exported = Signal(object, object)

    def __init__(self, make_writer: Callable[[], ReportWriter], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make_writer = make_writer
        self._pool = ThreadPoolExecutor(1, "exporter")

    def report(self, report: Report, path: Path) -> None:
        """Write an annotated report."""

        def write() -> None:
            self._make_writer().write_png(report, path)
            self.exported.emit(report, path)

        self._submit(write, path)

    def view(self, picture: QImage, path: Path) -> None:
        """Write a picture of what is on screen."""
        self._submit(lambda: _save(picture, path), path)

    def _submit(self, write: Callable[[], None], path: Path) -> None:
        def run() -> None:
            try:
                write()
                self.sends.emit(ev.Tell(NoticeLevel.INFO, f"Saved {path.name} in {path.parent}."))
            except Exception as error:
                failure = failure_from(error, job="export")
                self.sends.emit(ev.Tell(NoticeLevel.ERROR, failure.summary, failure.hint))

        self._pool.submit(run)

    def close(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown(wait=True)


def _save(picture: QImage, path: Path) -> None:
    """Write a PNG, or nothing at all."""
    file = QSaveFile(str(path))
    done = (
        file.open(QSaveFile.OpenModeFlag.WriteOnly)
        and picture.save(file, "PNG")  # type: ignore[call-overload]
        and file.commit()
    )
    if not done:
        raise ExportError(
            f"{path.name} could not be written.",
            hint="Choose another folder, or make room on the disk.",
            detail=file.errorString(),
            code="export-failed",
        )
