"""Finds images in files, folders and DICOMDIRs: the adapter behind ``services.ports.Scanner``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ScanBatch
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Header, Headers
from cxr_viewer.sources.listing import Candidate, Listing, Tally, name_of
from cxr_viewer.sources.sandbox import Sandbox

FIRST_BATCH, BATCH = 4, 32
BATCH_LIMIT_S, SINGLE_LIMIT_S = 30.0, 10.0
WALK_SLICE_S = 0.05
_NOT_WORTH_A_NOTE = ("not-an-image", "no-image-object", "dicomdir", "empty-file", "zip-archive")
_NO_READER = ("reader-closed", "reader-not-started")  # the fault of no file


class FolderScanner:
    """Scans on the caller's thread, reading headers in ``sandbox``, which belongs to someone else."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._listing = Listing(sandbox)

    def scan(self, paths: Sequence[Path], cancel: CancelToken) -> Iterator[ScanBatch]:
        """Yield what is found, the first few images within a moment.

        ``total`` stays 0 until all folders are listed. The last batch is yielded even if empty.

        Raises:
            CancelledError: ``cancel`` was set; what was yielded before stays valid.
            ReadError: there is no reader process (any more); no file is to blame.
        """
        tally = Tally()
        walk = self._listing.candidates(paths, cancel, tally)
        known: list[Candidate] = []
        listed, size = False, FIRST_BATCH
        while not listed or known:
            cancel.raise_if_cancelled()
            listed = listed or _walk_on(walk, known, size)
            tally.total = tally.looked_at + len(known) if listed else 0
            batch, known = known[:size], known[size:]
            if batch:
                yield self._look(batch, cancel, tally)
            size = BATCH
        if tally.notes_left_out:
            tally.notes.append(f"{tally.notes_left_out} more remarks were left out.")
        yield tally.batch()

    # ------------------------------------------------------------ headers

    def _look(self, batch: list[Candidate], cancel: CancelToken, tally: Tally) -> ScanBatch:
        found: list[FoundImage] = []
        for candidate, header in zip(batch, self._headers(batch, cancel), strict=True):
            tally.looked_at += 1
            if header.found is not None:
                found.append(header.found)
                continue
            tally.skipped += 1
            if candidate.chosen or header.code not in _NOT_WORTH_A_NOTE:
                tally.note(_sentence(candidate.path, header))
        return tally.batch(tuple(found))

    def _headers(self, batch: list[Candidate], cancel: CancelToken) -> tuple[Header, ...]:
        """One header per file; where a batch kills its reader, each file is tried alone, so that one is blamed."""
        if len(batch) > 1:
            try:
                return self._ask(batch, BATCH_LIMIT_S, cancel)
            except ReadError as error:
                if error.code in _NO_READER:
                    raise
        return tuple(self._header(item, cancel) for item in batch)

    def _header(self, candidate: Candidate, cancel: CancelToken) -> Header:
        try:
            return self._ask([candidate], SINGLE_LIMIT_S, cancel)[0]
        except ReadError as error:
            if error.code in _NO_READER:
                raise
            return Header(None, error.code, error.summary)

    def _ask(self, batch: list[Candidate], limit_s: float, cancel: CancelToken) -> tuple[Header, ...]:
        files = [(str(item.path), item.member) for item in batch]
        answer = self._sandbox.ask(Headers, "headers", cancel, time_limit_s=limit_s, files=files)
        if len(answer.files) != len(batch):
            raise faults.reader_crashed("a batch came back with another number of headers")
        return answer.files


def _walk_on(walk: Iterator[Candidate | None], known: list[Candidate], enough: int) -> bool:
    """List further files for a moment, until there are ``enough`` at least; True when all are listed."""
    pause = time.monotonic() + WALK_SLICE_S
    for candidate in walk:
        if candidate is not None:
            known.append(candidate)
        if time.monotonic() > pause and len(known) >= enough:
            return False
    return True


def _sentence(path: Path, header: Header) -> str:
    """A note about one file; the sentences of ``faults`` say "this file", a list of notes needs its name."""
    if header.code == "not-an-image":
        fault = faults.not_an_image(name_of(path))
        return f"{fault.summary} {fault.hint}"
    if header.code == "zip-archive":
        return f"{name_of(path)}: ZIP archives cannot be opened yet: unpack it and open the folder."
    return f"{name_of(path)}: {header.summary}"
