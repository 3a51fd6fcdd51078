"""Finds images in files, folders and DICOMDIRs: the adapter behind ``services.ports.Scanner``."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ScanBatch
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Directory, Header, Headers
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.words import clean

FIRST_BATCH, BATCH = 4, 32
BATCH_LIMIT_S, SINGLE_LIMIT_S = 30.0, 10.0
WALK_SLICE_S = 0.05
MAX_NOTES = 50
_NOT_WORTH_A_NOTE = ("not-an-image", "no-image-object", "dicomdir", "empty-file", "zip-archive")
_NO_READER = ("reader-closed", "reader-not-started")  # the fault of no file
_SKIPPED_FOLDERS = {"$recycle.bin", "system volume information", "__macosx", "lost+found", "node_modules"}


@dataclass(slots=True)
class _Tally:
    looked_at: int = 0
    skipped: int = 0
    total: int = 0
    notes: list[str] = field(default_factory=list)
    notes_left_out: int = 0

    def note(self, sentence: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(sentence)
        else:
            self.notes_left_out += 1

    def batch(self, found: tuple[FoundImage, ...] = ()) -> ScanBatch:
        notes, self.notes = tuple(self.notes), []
        return ScanBatch(found, self.looked_at, self.total, self.skipped, notes)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file to look at; ``chosen`` by the reader himself, so that he is told when it is no image."""

    path: Path
    chosen: bool


class FolderScanner:
    """Scans on the caller's thread, reading headers in ``sandbox``, which belongs to someone else."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def scan(self, paths: Sequence[Path], cancel: CancelToken) -> Iterator[ScanBatch]:
        """Yield what is found, the first few images within a moment.

        ``total`` stays 0 until all folders are listed. The last batch is yielded even if empty.

        Raises:
            CancelledError: ``cancel`` was set; what was yielded before stays valid.
            ReadError: there is no reader process (any more); no file is to blame.
        """
        tally = _Tally()
        walk = self._candidates(paths, cancel, tally)
        known: list[_Candidate] = []
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

    def _look(self, batch: list[_Candidate], cancel: CancelToken, tally: _Tally) -> ScanBatch:
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

    def _headers(self, batch: list[_Candidate], cancel: CancelToken) -> tuple[Header, ...]:
        """One header per file; where a batch kills its reader, each file is tried alone, so that one is blamed."""
        if len(batch) > 1:
            try:
                return self._ask([item.path for item in batch], BATCH_LIMIT_S, cancel)
            except ReadError as error:
                if error.code in _NO_READER:
                    raise
        return tuple(self._header(item.path, cancel) for item in batch)

    def _header(self, path: Path, cancel: CancelToken) -> Header:
        try:
            return self._ask([path], SINGLE_LIMIT_S, cancel)[0]
        except ReadError as error:
            if error.code in _NO_READER:
                raise
            return Header(None, error.code, error.summary)

    def _ask(self, paths: list[Path], limit_s: float, cancel: CancelToken) -> tuple[Header, ...]:
        answer = self._sandbox.ask(
            Headers, "headers", cancel, time_limit_s=limit_s, paths=[str(path) for path in paths]
        )
        if len(answer.files) != len(paths):
            raise faults.reader_crashed("a batch came back with another number of headers")
        return answer.files

    # ------------------------------------------------------------ files

    def _candidates(self, paths: Sequence[Path], cancel: CancelToken, tally: _Tally) -> Iterator[_Candidate | None]:
        """Files to look at, in a stable order, each once; None is a chance to pause."""
        seen: set[tuple[int, int]] = set()
        for path in paths:
            path = path.absolute()
            try:
                mode = path.stat().st_mode
            except OSError as error:
                tally.note(f"{_name(path)}: {faults.from_os_error(error).summary}")
                continue
            if stat.S_ISDIR(mode):
                yield from _files_below(path, seen, tally)
            elif not stat.S_ISREG(mode):
                tally.note(f"{_name(path)} is neither a file nor a folder.")
            elif path.name.upper() == "DICOMDIR":
                yield from self._named_by_dicomdir(path, cancel, tally)
            else:
                yield _Candidate(path, chosen=True)

    def _named_by_dicomdir(self, path: Path, cancel: CancelToken, tally: _Tally) -> Iterator[_Candidate]:
        try:
            directory = self._sandbox.ask(Directory, "dicomdir", cancel, path=str(path))
        except ReadError as error:
            tally.note(f"{_name(path)}: {error.summary} {error.hint}")
            return
        root = path.parent.absolute()  # as the reader named it: the same film by folder is the same path
        climbing = missing = 0
        for parts in directory.file_ids:
            file = _inside(root, parts)
            if file is None:
                climbing += 1
            elif not file.is_file():
                missing += 1
            else:
                yield _Candidate(file, chosen=True)
        if climbing:
            what = "1 entry of the DICOMDIR points" if climbing == 1 else f"{climbing} entries of the DICOMDIR point"
            tally.note(f"{what} outside of its folder and {'was' if climbing == 1 else 'were'} refused.")
        if missing:
            what = "1 image" if missing == 1 else f"{missing} images"
            tally.note(f"{what} named by the DICOMDIR {'is' if missing == 1 else 'are'} not there.")


def _walk_on(walk: Iterator[_Candidate | None], known: list[_Candidate], enough: int) -> bool:
    """List further files for a moment, until there are ``enough`` at least; True when all are listed."""
    pause = time.monotonic() + WALK_SLICE_S
    for candidate in walk:
        if candidate is not None:
            known.append(candidate)
        if time.monotonic() > pause and len(known) >= enough:
            return False
    return True


def _files_below(root: Path, seen: set[tuple[int, int]], tally: _Tally) -> Iterator[_Candidate | None]:
    """Every file below a folder; a folder reached twice (by a link that leads back) is entered once."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen and status.st_ino:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listing = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            tally.note(faults.folder_note(folder, error))
            continue
        deeper = []
        for entry in listing:
            if _skipped(entry.name):
                continue
            try:
                if entry.is_dir():
                    deeper.append(Path(entry.path))
                elif entry.is_file() and entry.name.upper() != "DICOMDIR":
                    yield _Candidate(Path(entry.path), chosen=False)
            except OSError:
                continue
        waiting.extend(reversed(deeper))
        yield None


def _skipped(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SKIPPED_FOLDERS


def _inside(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The file of a File ID, or None where it leads out of ``root``. Discs write capitals."""
    place = root
    for part in parts:
        if part in ("", ".", "..") or any(c in part for c in "/\\:\0"):
            return None
        exact = place / part
        place = exact if exact.exists() else _any_case(place, part)
    home, resolved = root.resolve(), place.resolve()
    return place if resolved.is_relative_to(home) and resolved != home else None


def _any_case(folder: Path, name: str) -> Path:
    for spelling in (name.lower(), name.upper(), f"{name.lower()};1", f"{name.upper()};1"):
        if (folder / spelling).exists():
            return folder / spelling
    return folder / name


def _name(path: Path) -> str:
    return clean(path.name or str(path), 80)


def _sentence(path: Path, header: Header) -> str:
    """A note about one file; the sentences of ``faults`` say "this file", a list of notes needs its name."""
    if header.code == "not-an-image":
        fault = faults.not_an_image(_name(path))
        return f"{fault.summary} {fault.hint}"
    if header.code == "zip-archive":
        return f"{_name(path)}: ZIP archives cannot be opened yet: unpack it and open the folder."
    return f"{_name(path)}: {header.summary}"
