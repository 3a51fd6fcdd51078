"""The study list and the scans that fill it, on one thread of their own."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from cxr_viewer.core.errors import CancelledError, CxrError
from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.jobs import CancelToken, Failure, failure_from
from cxr_viewer.core.study import ImageNode, ReadStatus, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import Scanner
from cxr_viewer.services.scanning import Taken, scan_into
from cxr_viewer.services.state import NoticeLevel

_log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 0.1
_NAMES_AT_THE_START = re.compile(r"^.*(?= (?:is neither a file|is not an image|names more than)\b)")
_GO_ON = "File > Continue scan goes on where it stopped."


class LibraryLoader(QObject):
    """Reads and changes the study list. Everything waits for its turn on one thread.

    Signals:
        sends(object): ScanProgressed, ScanEnded or Tell.
        studies_changed(object): tuple of StudyNode that a scan has added to or changed.
        scan_found(object): tuple of FoundImage of one batch, newly read, after the library has taken them in.
        scan_met(object): tuple of ImageNode of one batch, newly read or known, in the order of the folder.
        scan_done(object): tuple of ImageKey of everything met.
        scan_locked(object): tuple of Path, archives a scan has left out because they need a password.
        library_read(object): tuple of StudyNode, the whole library.
        scans_unfinished(object): tuple of Path, folders that were not looked through to the end.
    """

    sends = Signal(object)
    studies_changed = Signal(object)
    scan_found = Signal(object)
    scan_met = Signal(object)
    scan_done = Signal(object)
    scan_locked = Signal(object)
    library_read = Signal(object)
    scans_unfinished = Signal(object)

    def __init__(self, scanner: Scanner, library: Library, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._scanner, self._library = scanner, library
        self._scans = ThreadPoolExecutor(1, "loader-scan")
        self._scan_token = CancelToken()
        self._closing = CancelToken()
        self._listed: set[tuple[Path, str]] = set()

    # -------------------------------------------------------- the list

    def read_library(self) -> None:
        """Send the whole library, then look which files have vanished since and which scans did not end."""
        self._scans.submit(self._read_library)

    def _read_library(self) -> None:
        try:
            studies = self._library.studies()
            self._note_listed(studies)
            self.library_read.emit(studies)
            changed = self._library.refresh_missing()
            if changed:
                self.studies_changed.emit(changed)
            broken_off = self._send_unfinished()
            if broken_off:
                text = f"The scan of the folder {_named(broken_off)} did not come to its end."
                self.sends.emit(ev.Tell(NoticeLevel.INFO, text, _GO_ON))
        except Exception as error:
            self._tell(failure_from(error, job="library"))

    def _send_unfinished(self) -> tuple[Path, ...]:
        """Tell which scans can be gone on with; returns those that were broken off by an end of the program."""
        there = [(path, cancelled) for path, cancelled in self._library.unfinished_scans() if _is_there(path)]
        self.scans_unfinished.emit(tuple(path for path, _ in there))
        return tuple(path for path, cancelled in there if not cancelled)

    def _note_listed(self, studies: Iterable[StudyNode]) -> None:
        for study in studies:
            for image in study.images:
                self._listed.update(((image.path, image.member), *image.copies))

    def set_status(self, study_uid: str, status: ReadStatus) -> None:
        """Mark a study as new or read."""
        self._submit_quietly(self._set_status, study_uid, status)

    def _set_status(self, study_uid: str, status: ReadStatus) -> None:
        self.studies_changed.emit(self._library.set_status(study_uid, status))

    def remember(self, path: Path) -> None:
        """Put a path the reader opened on the recent list."""
        self._submit_quietly(self._library.add_recent, path)

    def remove_study(self, study_uid: str) -> None:
        """Take a study off the list; its files stay where they are."""
        self._submit_quietly(self._library.remove, study_uid)

    def check_missing(self, path: Path) -> None:
        """Look whether a file is there, and list it as missing or as back."""
        self._submit_quietly(self._check_missing, path)

    def _check_missing(self, path: Path) -> None:
        changed = self._library.refresh_missing([path])
        if changed:
            self.studies_changed.emit(changed)

    # -------------------------------------------------------- scans

    def scan(self, paths: Sequence[Path]) -> None:
        """Find images and put them into the library. A scan that runs already goes on first."""
        if self._scan_token.cancelled:
            self._scan_token = CancelToken()
        self._scans.submit(self._scan, tuple(paths), self._scan_token)

    def cancel_scan(self) -> None:
        """Stop the running scan and those that wait; what was found stays."""
        self._scan_token.cancel()
        self._scan_token = CancelToken()

    def _scan(self, paths: tuple[Path, ...], token: CancelToken) -> None:
        keys: list[ImageKey] = []
        notes: list[str] = []
        locked: dict[Path, None] = {}
        failed, shown_at = False, 0.0
        try:
            for taken in scan_into(self._library, self._scanner, paths, token):
                batch = taken.batch
                self._show(taken)
                keys.extend(image.key for image in batch.met)
                notes.extend(batch.notes)
                locked.update(dict.fromkeys(batch.locked))
                if time.monotonic() - shown_at > PROGRESS_EVERY_S:
                    shown_at = time.monotonic()
                    self.sends.emit(ev.ScanProgressed(batch.looked_at, batch.total, len(keys)))
        except CancelledError:
            go_on = f" {_GO_ON}" if self._stopped_by_the_reader(paths) else ""
            notes.append(f"The scan was cancelled; {len(keys):,} images found so far are in the list.{go_on}")
        except Exception as error:
            failed = True
            self._tell(failure_from(error, job="scan"))
        finally:
            self.sends.emit(ev.ScanEnded())
        self._report_scan(keys, notes, failed or bool(locked))
        self.scan_done.emit(tuple(keys))
        if locked:
            self.scan_locked.emit(tuple(locked))
        self._after_scan()

    def _show(self, taken: Taken) -> None:
        if taken.changed:
            self._note_listed(taken.changed)
            self.studies_changed.emit(taken.changed)
        met = taken.batch.met
        self._catch_up(met)
        if taken.batch.found:
            self.scan_found.emit(taken.batch.found)
        if met:
            self.scan_met.emit(met)

    def _catch_up(self, met: Sequence[ImageNode]) -> None:
        """What another program has put into the list meanwhile is known, but not on screen yet."""
        unseen = {image.key.study_uid for image in met if (image.path, image.member) not in self._listed}
        if unseen:
            studies = self._library.studies_of(tuple(unseen))
            self._note_listed(studies)
            self.studies_changed.emit(studies)

    def _report_scan(self, keys: Sequence[ImageKey], notes: Sequence[str], explained: bool) -> None:
        if notes:
            more = f" (and {len(notes) - 1} more, see the log)" if len(notes) > 1 else ""
            for note in notes:
                _log.info("scan: %s", _without_names(note))
            self.sends.emit(ev.Tell(NoticeLevel.CAUTION, notes[0] + more))
        elif not keys and not explained:
            text = "No images were found there."
            self.sends.emit(ev.Tell(NoticeLevel.INFO, text, "Choose a DICOM file, a picture, or a folder of them."))

    def _stopped_by_the_reader(self, paths: Sequence[Path]) -> bool:
        """True where there is something to go on with. A scan that ends with the program was not stopped by anybody."""
        try:
            if not self._closing.cancelled:
                self._library.cancel_scan(paths)
            unfinished = self._library.unfinished_scans()
        except CxrError as error:
            _log.warning("that a scan was cancelled could not be kept: %s", error.detail)
            return False
        return not {path.absolute() for path in paths}.isdisjoint(path for path, _ in unfinished)

    def _after_scan(self) -> None:
        for notice in self._library.take_notices():
            self.sends.emit(ev.Tell(NoticeLevel.CAUTION, notice))
        try:
            self._send_unfinished()
        except Exception as error:
            failure_from(error, job="library")

    # -------------------------------------------------------- ends

    def _submit_quietly(self, work: Callable[..., object], *args: object) -> None:
        def run() -> None:
            try:
                work(*args)
            except Exception as error:
                self._tell(failure_from(error, job="library"))

        if not self._closing.cancelled:
            self._scans.submit(run)

    def _tell(self, failure: Failure) -> None:
        self.sends.emit(ev.Tell(NoticeLevel.ERROR, failure.summary, failure.hint))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a share that does not answer has nothing to go on with now
        return False


def _without_names(note: str) -> str:
    """What a scan noted without the files it is about: those, and archives in archives, are named after patients.

    A name may hold anything, so all before the last colon goes with it; that may be the beginning of a sentence.
    """
    _, colon, rest = note.rpartition(": ")
    return f"... {rest}" if colon else _NAMES_AT_THE_START.sub("...", note)


def _named(folders: Sequence[Path]) -> str:
    first = f"\N{LEFT DOUBLE QUOTATION MARK}{folders[0].name or folders[0]}\N{RIGHT DOUBLE QUOTATION MARK}"
    return first if len(folders) == 1 else f"{first} (and of {len(folders) - 1} more)"
