"""Finds images in files, folders, archives and DICOMDIRs: the adapter behind ``services.ports.Scanner``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ImageNode, LookUp, PassedOver, ScanBatch
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Header
from cxr_viewer.sources.headerline import HeaderLine, Looked
from cxr_viewer.sources.listing import Candidate, Listing, Tally, name_of
from cxr_viewer.sources.sandbox import Sandbox

LISTED_AHEAD = 200_000
WALK_SLICE_S = 0.02
WAIT_S = 0.25
_MANY_READ, _MANY_WAITING = 64, 400  # a scan of many files, to which a further reader process is worth its start
_NOT_WORTH_A_NOTE = ("not-an-image", "no-image-object", "dicomdir", "empty-file", "zip-archive")
_LASTING = (
    "not-an-image",
    "no-image-object",
    "dicomdir",
    "empty-file",
    "no-pixel-data",
    "unsupported-depth",
    "damaged",
)
_TOLD_TOGETHER = {
    "file-missing": (
        "{count:,} files were no longer there when their turn came. "
        "Check that their disk or network folder is connected, then open the folder again."
    ),
    "disk-error": (
        "{count:,} files could not be read from their disk. Check the disk or the network, then open the folder again."
    ),
    "permission-denied": (
        "You are not allowed to read {count:,} of the files. "
        "Ask their owner for permission, or copy them to a folder of your own."
    ),
}
_UNREACHABLE = ("file-missing", "disk-error")


class FolderScanner:
    """Scans on the caller's thread, reading headers in ``sandbox``, which belongs to someone else.

    Args:
        helpers: further reader processes for a scan of many files; None for what the computer can bear.
    """

    def __init__(self, sandbox: Sandbox, helpers: int | None = None) -> None:
        self._sandbox = sandbox
        self._listing = Listing(sandbox)
        self._helpers = max(1, min((os.cpu_count() or 2) - 1, 3)) if helpers is None else helpers

    def scan(self, paths: Sequence[Path], cancel: CancelToken, known: LookUp | None = None) -> Iterator[ScanBatch]:
        """Yield what is found, the first few images within a moment.

        ``total`` stays 0 until all folders are listed. The last batch is yielded even if empty.

        Raises:
            CancelledError: ``cancel`` was set; what was yielded before stays valid.
            ReadError: there is no reader process (any more); no file is to blame.
        """
        tally, losses = Tally(), _Losses()
        walk = self._listing.candidates(paths, cancel, tally)
        listed = reinforced = False
        with ExitStack() as reinforcement, HeaderLine(self._sandbox, known, cancel) as line:
            while not (listed and line.empty):
                cancel.raise_if_cancelled()
                walking = not listed and line.waiting < LISTED_AHEAD
                if walking:
                    listed = _walk_on(walk, line)
                    tally.total = line.added if listed else 0
                line.fill()
                if not reinforced and line.read > _MANY_READ and line.waiting > _MANY_WAITING:
                    reinforced = True
                    reinforcement.enter_context(self._sandbox.reinforced(self._helpers))
                looked = line.take(0 if walking and not listed else WAIT_S)
                if looked:
                    yield _told(looked, tally, losses)
        cancel.raise_if_cancelled()
        tally.note_lost_folders()
        for sentence in losses.sentences():
            tally.note(sentence)
        if tally.notes_left_out:
            tally.notes.append(f"{tally.notes_left_out} more remarks were left out.")
        yield _batch(tally, losses)


def _walk_on(walk: Iterator[Candidate | None], line: HeaderLine) -> bool:
    """List further files for a moment, until there is one at least; True when all are listed."""
    pause = time.monotonic() + WALK_SLICE_S
    for candidate in walk:
        if candidate is not None:
            line.add(candidate)
        if time.monotonic() > pause and not line.empty:
            return False
    return True


# ---------------------------------------------------------------- what became of them


@dataclass(slots=True)
class _Losses:
    """Files that nobody could read for the same reason, one sentence for all of them: a disc was pulled out."""

    names: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, candidate: Candidate, header: Header) -> None:
        self.counts[header.code] = self.counts.get(header.code, 0) + 1
        self.names.setdefault(header.code, [_sentence(candidate, header)])

    @property
    def unreachable(self) -> int:
        return sum(self.counts.get(code, 0) for code in _UNREACHABLE)

    def sentences(self) -> Iterator[str]:
        for code, count in self.counts.items():
            yield self.names[code][0] if count == 1 else _TOLD_TOGETHER[code].format(count=count)


def _told(looked: list[Looked], tally: Tally, losses: _Losses) -> ScanBatch:
    found: list[FoundImage] = []
    images: list[ImageNode] = []
    passed_over: list[PassedOver] = []
    for item in looked:
        tally.looked_at += 1
        outcome = item.outcome
        if isinstance(outcome, tuple):
            images.extend(outcome)
            continue
        if isinstance(outcome, Header) and outcome.found is not None:
            found.append(outcome.found)
            images.append(outcome.found.image)
            continue
        tally.skipped += 1
        if isinstance(outcome, PassedOver):
            header = Header(None, outcome.code, outcome.summary, outcome.hint)
        else:
            header = outcome
            lasting = header.code in _LASTING and item.stamp.modified_ns >= 0
            passed_over.append(PassedOver(item.stamp, header.code, header.summary, header.hint, lasting))
        if header.code == faults.PASSWORD_NEEDED:
            tally.lock(item.candidate.path)
        elif header.code in _TOLD_TOGETHER:
            losses.add(item.candidate, header)
        elif item.candidate.chosen or header.code not in _NOT_WORTH_A_NOTE:
            tally.note(_sentence(item.candidate, header))
    return _batch(tally, losses, tuple(found), tuple(images), tuple(passed_over))


def _batch(
    tally: Tally,
    losses: _Losses,
    found: tuple[FoundImage, ...] = (),
    images: tuple[ImageNode, ...] = (),
    passed_over: tuple[PassedOver, ...] = (),
) -> ScanBatch:
    return replace(
        tally.batch(found),
        images=images,
        passed_over=passed_over,
        unreachable=losses.unreachable + len(tally.lost_folders),
    )


def _sentence(candidate: Candidate, header: Header) -> str:
    """A note about one file; the sentences of ``faults`` say "this file", a list of notes needs its name."""
    name = name_of(candidate.path)
    if header.code == "not-an-image":
        fault = faults.not_an_image(name)
        return f"{fault.summary} {fault.hint}"
    if candidate.member:
        name = f"A file in {name}"
    return f"{name}: {header.summary} {header.hint}".rstrip()
