"""Writes down what was opened, scored and exported, away from the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, Slot

from cxr_viewer.core.report import Report
from cxr_viewer.core.study import FoundImage, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.audit import AuditTrail
from cxr_viewer.services.records import Redactor


class Recorder(QObject):
    """Feeds the audit trail, and tells the log whose names it must never carry."""

    def __init__(self, trail: AuditTrail, redactor: Redactor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._trail, self._redactor = trail, redactor
        self._pool = ThreadPoolExecutor(1, "audit")
        self._opened: dict[int, int] = {}

    @Slot(object)
    def happened(self, event: ev.Event) -> None:
        """Write down an event that has taken effect."""
        if isinstance(event, ev.ImageLoaded):
            self._redactor.protect([event.image.patient])
            if self._opened.get(event.pane) != event.generation:  # the whole film follows its preview: opened once
                self._opened[event.pane] = event.generation
                self._submit(lambda: self._trail.opened(event.image.key))
        elif isinstance(event, ev.AnalysisArrived):
            self._submit(lambda: self._trail.analysed(event.result))
        elif isinstance(event, ev.AnalysisRefused):
            self._submit(lambda: self._trail.refused(event.refusal))
        elif isinstance(event, ev.ModelsChanged):
            self._submit(lambda: self._trail.models(event.cards))

    @Slot(object)
    def overrode(self, effect: ev.RecordOverride) -> None:
        """Write down that the reader wanted a score the guard had blocked."""
        self._submit(lambda: self._trail.overrode(effect.key, effect.model_id, effect.codes))

    @Slot(object, object)
    def exported(self, report: Report, path: Path) -> None:
        """Write down that a report left the program."""
        self._redactor.protect_path(path)
        key, named = report.image.key, report.with_identity
        self._submit(lambda: self._trail.exported(key, "png report", with_identity=named))

    @Slot(object)
    def found(self, found: tuple[FoundImage, ...]) -> None:
        """Names met by a scan."""
        self._pool.submit(self._redactor.protect, [item.patient for item in found])

    @Slot(object)
    def listed(self, studies: tuple[StudyNode, ...]) -> None:
        """Names in the library."""
        self._pool.submit(self._redactor.protect, [study.patient for study in studies])

    def _submit(self, write: Callable[[], bool]) -> None:
        self._pool.submit(write)

    def close(self) -> None:
        """Finish writing."""
        self._pool.shutdown(wait=True)
