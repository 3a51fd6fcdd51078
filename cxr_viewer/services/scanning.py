"""A scan that goes into the study list: only changed files are read, and what was broken off can be gone on with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FileStamp, KnownFile, LookUp, ScanBatch, StudyNode
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import Scanner

_log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")

KEPT_FROM: Final = 200
"""Files; a smaller scan is done again sooner than the reader is told that it was broken off."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A piece of a scan, and the studies that are new or changed by it, whole."""

    batch: ScanBatch
    changed: tuple[StudyNode, ...]


def scan_into(library: Library, scanner: Scanner, paths: Sequence[Path], cancel: CancelToken) -> Iterator[Taken]:
    """Look through ``paths`` and take into ``library`` what is found, batch by batch.

    Every batch is kept at once. However the scan ends, by the reader, with the program or with the computer, the next
    scan of the same paths finds the files known that this one has read, and reads the others.

    Raises:
        CancelledError: ``cancel`` was set.
        CxrError: there is no reader process, or the study list cannot be written; then the batch it could not take was
            yielded, so that what it holds can be opened.
    """
    folders = [path for path in paths if not _is_file(path) or path.name.upper() == "DICOMDIR"]
    begun, unreachable = False, 0
    for batch in scanner.scan(paths, cancel, _lookup(library)):
        if folders and not begun and max(batch.total, batch.looked_at) >= KEPT_FROM:
            begun = True
            _quietly(library.begin_scan, folders)
        unreachable = batch.unreachable
        yield from _take(library, batch)
    if folders and not unreachable:
        _quietly(library.finish_scan, folders)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a share that does not answer, a folder without permission: the scan says so
        return False


def _take(library: Library, batch: ScanBatch) -> Iterator[Taken]:
    changed: tuple[StudyNode, ...] = ()
    fault: CxrError | None = None
    try:
        changed = library.add(batch.found)
    except CxrError as error:
        fault = error
    _quietly(library.pass_over, batch.passed_over)
    yield Taken(batch, changed)
    if fault is not None:
        raise fault


def _lookup(library: Library) -> LookUp:
    def known(stamps: Sequence[FileStamp]) -> Sequence[KnownFile | None]:
        try:
            return library.known(stamps)
        except CxrError as error:  # the files can be read all the same
            _log.warning("what is known of files could not be looked up: %s", error.detail)
            return [None] * len(stamps)

    return known


def _quietly(keep: Callable[[Sequence[ItemT]], None], what: Sequence[ItemT]) -> None:
    """Keep what only spares work later: a scan does not end for it."""
    try:
        keep(what)
    except CxrError as error:
        _log.warning("the state of a scan could not be kept: %s", error.detail)
