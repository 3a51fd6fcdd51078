"""Asks for the password of a ZIP archive, has it tried away from the window, and opens what was waiting for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.services import events as ev
from cxr_viewer.services.ports import ImageReader
from cxr_viewer.services.state import NoticeLevel, PaneStatus, ViewerState
from cxr_viewer.ui.password_dialog import PasswordDialog, shown_name

_log = logging.getLogger(__name__)

PASSWORD_NEEDED = "password-needed"


class Unlocker(QObject):
    """One question at a time, one per archive. The password goes to the reader and is kept nowhere else.

    Args:
        window: the dialog stands over it.
        open_paths: scans an archive once it is open.
        state: the state of the window now.

    Signals:
        sends(object): OpenImage for films that waited for the password; Tell where an archive is left out.
        tried(object, bool, str): archive, whether it is open, and a sentence where it could not be tried. From the
            thread that waits for the reading process.
    """

    sends = Signal(object)
    tried = Signal(object, bool, str)

    def __init__(
        self,
        window: QWidget,
        reader: ImageReader,
        open_paths: Callable[[Sequence[Path]], None],
        state: Callable[[], ViewerState],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._reader, self._open_paths, self._state = window, reader, open_paths, state
        self._waiting: dict[Path, bool] = {}
        self._dialog: PasswordDialog | None = None
        self._pool = ThreadPoolExecutor(1, "unlocker")
        self._closing = CancelToken()
        self.tried.connect(self._answer, Qt.ConnectionType.QueuedConnection)

    @property
    def dialog(self) -> PasswordDialog | None:
        """The question that is being asked now."""
        return self._dialog

    @Slot(object)
    def locked(self, archives: Sequence[Path]) -> None:
        """A scan has left these out."""
        for archive in archives:
            self._waiting[archive] = True
        self._next()

    @Slot(object)
    def happened(self, event: ev.Event) -> None:
        """A film could not be read: is it for want of a password?"""
        if isinstance(event, ev.LoadFailed) and event.failure.code == PASSWORD_NEEDED:
            panes = self._state().panes
            node = panes[event.failure.pane].node if 0 <= event.failure.pane < len(panes) else None
            if node is not None:
                self._waiting.setdefault(node.path, False)
                self._next()

    # ------------------------------------------------------------ one archive after the other

    def _next(self) -> None:
        if self._dialog is not None or not self._waiting or self._closing.cancelled:
            return
        archive = next(iter(self._waiting))
        self._dialog = PasswordDialog(archive, len(self._waiting) - 1, self._window)
        self._dialog.given.connect(self._try)
        self._dialog.finished.connect(self._finished)
        self._dialog.open()

    @Slot(str)
    def _try(self, password: str) -> None:
        if self._dialog is not None:
            self._pool.submit(self._unlock, self._dialog.archive, password)

    def _unlock(self, archive: Path, password: str) -> None:
        try:
            self.tried.emit(archive, self._reader.unlock(archive, password, self._closing), "")
        except CancelledError:
            pass
        except Exception as error:
            failure = failure_from(error, job="unlock")
            self.tried.emit(archive, False, f"{failure.summary} {failure.hint}".strip())

    @Slot(object, bool, str)
    def _answer(self, archive: Path, opened: bool, sentence: str) -> None:
        if self._dialog is None or self._dialog.archive != archive:
            if opened:  # the reader closed the question while the answer was on its way
                self._go_on(archive, [])
            return
        if not opened:
            self._dialog.say(sentence or "This password does not open the archive. Try another one.")
            return
        scanned = self._waiting.get(archive, False)
        left_out = [other for other, was_scanned in self._waiting.items() if was_scanned and other != archive]
        for other in left_out:  # archives often share a password: the scan tells again which of them do not
            del self._waiting[other]
        _log.info("an archive was unlocked")
        self._dialog.accept()
        self._go_on(archive, [archive, *left_out] if scanned else left_out)

    def _go_on(self, archive: Path, left_out: list[Path]) -> None:
        """Open again what could not be read, then look through what was left out."""
        state = self._state()
        waiting = [
            (index, pane.node)
            for index, pane in enumerate(state.panes)
            if pane.node is not None and pane.node.path == archive and pane.status is PaneStatus.FAILED
        ]
        for index, node in sorted(waiting, key=lambda found: found[0] == state.active):  # the active one stays it
            self.sends.emit(ev.OpenImage(node, index))
        if left_out:
            self._open_paths(left_out)

    @Slot(int)
    def _finished(self, result: int) -> None:
        if self._dialog is not None:
            was_scanned = self._waiting.pop(self._dialog.archive, False)
            if was_scanned and result != PasswordDialog.DialogCode.Accepted and not self._closing.cancelled:
                text = f"{shown_name(self._dialog.archive)} was left out: it is protected by a password."
                self.sends.emit(ev.Tell(NoticeLevel.INFO, text, "Open it again to type the password."))
            if result == PasswordDialog.ALL_LEFT_OUT:
                self._waiting.clear()
            self._dialog.deleteLater()
            self._dialog = None
        self._next()

    def close(self) -> None:
        """Ask nothing any more and wait for what is being tried. Safe to call twice."""
        self._closing.cancel()
        self._waiting.clear()
        if self._dialog is not None:
            self._dialog.reject()
        self._pool.shutdown(wait=True, cancel_futures=True)
