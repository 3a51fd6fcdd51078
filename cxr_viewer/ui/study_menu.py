"""The menu of a row of the study list."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMenu, QWidget

from cxr_viewer.core.study import ReadStatus
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import PANE_COUNT
from cxr_viewer.ui.study_rows import Row


def study_menu(row: Row, emit: Callable[[ev.Event], None], remove: Callable[[str], None], parent: QWidget) -> QMenu:
    """What can be done with a row.

    Args:
        emit: takes OpenStudy, OpenImage and MarkStudy.
        remove: takes the UID of a study to take off the list.
    """
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    _add_open(menu, row, emit)
    menu.addSeparator()
    _add_status(menu, row, emit)
    menu.addSeparator()
    lead = row.lead
    if lead is not None:
        folder = QUrl.fromLocalFile(str(lead.path.parent))
        show = menu.addAction("Show in folder", lambda: QDesktopServices.openUrl(folder))
        show.setEnabled(not lead.missing)
        show.setToolTip(str(lead.path))

    def remove_all() -> None:
        for study in row.studies:
            remove(study.study_uid)

    off = menu.addAction("Remove from list", remove_all)
    off.setToolTip("Takes the study off this list. The files stay where they are.")
    return menu


def _add_open(menu: QMenu, row: Row, emit: Callable[[ev.Event], None]) -> None:
    image, study, lead = row.image, row.studies[0], row.lead
    if image is not None:
        menu.addAction("Open", lambda: emit(ev.OpenImage(image))).setEnabled(not image.missing)
    menu.addAction("Open study", lambda: emit(ev.OpenStudy(study))).setEnabled(not row.missing)
    if lead is not None:
        panes = menu.addMenu("Open in pane")
        panes.setEnabled(not lead.missing)
        for pane in range(PANE_COUNT):
            panes.addAction(f"Pane {pane + 1}", partial(emit, ev.OpenImage(lead, pane)))


def _add_status(menu: QMenu, row: Row, emit: Callable[[ev.Event], None]) -> None:
    def mark(status: ReadStatus) -> None:
        for study in row.studies:
            if study.status is not status:
                emit(ev.MarkStudy(study.study_uid, status))

    statuses = {study.status for study in row.studies}
    menu.addAction("Mark as read", lambda: mark(ReadStatus.READ)).setEnabled(ReadStatus.NEW in statuses)
    menu.addAction("Mark as new", lambda: mark(ReadStatus.NEW)).setEnabled(ReadStatus.READ in statuses)
