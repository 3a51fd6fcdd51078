"""Patient, study, series and image as the browser lists them: header only, no pixels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from cxr_viewer.core.image import ImageKey, PatientInfo, View


class ReadStatus(Enum):
    """What the reader has done with a study."""

    NEW = "new"
    READ = "read"


@dataclass(frozen=True, slots=True)
class ImageNode:
    """One image file (or one frame of it) known to the library.

    Attributes:
        path: the file. It comes from the reader's own choice or a scan, never from a UID.
        member: place inside ``path`` where that is a ZIP archive: ``"3"`` is its fourth entry, ``"3/0"`` the first of
            an archive inside it; empty for plain files. Numbers: a name in a file is never made into a path.
        missing: the file was there once and is not there now.
        problem: one sentence when the header could be read only in part, else empty.
        copies: further files with the same identity, size and header, each as (path, member); they take over when
            ``path`` vanishes.
    """

    key: ImageKey
    path: Path = field(repr=False)
    rows: int = 0
    columns: int = 0
    view: View = View.UNKNOWN
    laterality: str = ""
    modality: str = ""
    body_part: str = ""
    instance_number: int | None = None
    acquired: str = ""
    frames: int = 1
    is_dicom: bool = True
    missing: bool = False
    problem: str = ""
    copies: tuple[tuple[Path, str], ...] = field(default=(), repr=False)
    member: str = ""

    def is_file(self, path: Path, member: str = "") -> bool:
        """Whether this is the image of that file (or member of an archive), or the file holds a copy of it."""
        return (path, member) in ((self.path, self.member), *self.copies)

    def at_frame(self, frame: int) -> ImageNode:
        """The same file at another of its frames, the first being 0, which stands for the file in a list."""
        return replace(self, key=replace(self.key, frame=frame))


def member_stamp_ns(size_bytes: int, modified_ns: int) -> int:
    """One number for ``FoundImage.modified_ns`` of a film in an archive that changes whenever the archive does.

    Args:
        size_bytes, modified_ns: of the archive; the film's own size says nothing of the files around it.
    """
    return modified_ns + size_bytes


@dataclass(frozen=True, slots=True)
class SeriesNode:
    series_uid: str
    modality: str
    description: str = field(repr=False)
    number: int | None
    images: tuple[ImageNode, ...]


@dataclass(frozen=True, slots=True)
class StudyNode:
    study_uid: str
    patient: PatientInfo
    date: dt.date | None
    time: str
    description: str = field(repr=False)
    series: tuple[SeriesNode, ...]
    status: ReadStatus = ReadStatus.NEW

    @property
    def images(self) -> tuple[ImageNode, ...]:
        """All images of the study, in series order."""
        return tuple(image for series in self.series for image in series.images)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """One file met by a scan, with what is needed to place it in the tree.

    Attributes:
        size_bytes: of the file, unpacked where it lies in an archive.
        modified_ns: when the file was changed; :func:`member_stamp_ns` where it lies in an archive.
    """

    image: ImageNode
    patient: PatientInfo
    study_date: dt.date | None
    study_time: str
    study_description: str = field(repr=False)
    series_description: str = field(repr=False)
    series_number: int | None
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file as it was when it was looked at; while it stays so, nobody needs to read it again.

    Attributes:
        member: as in :class:`ImageNode`; empty for a plain file.
        size_bytes: of the file; None for a member of an archive, whose size only the archive knows.
        modified_ns: as in :class:`FoundImage`; -1 where the file system would not say.
    """

    path: Path = field(repr=False)
    member: str
    size_bytes: int | None
    modified_ns: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that gave a scan no image, with the reason as in ``CxrError``.

    Attributes:
        lasting: it will be no image as long as it stays as it is; else the disk, a right or a reader process failed.
    """

    stamp: FileStamp
    code: str
    summary: str
    hint: str
    lasting: bool


KnownFile = tuple[ImageNode, ...] | PassedOver
"""What an earlier scan has made of a file: its images, or the reason why it has none."""

LookUp = Callable[[Sequence[FileStamp]], Sequence[KnownFile | None]]
"""What is known already of each of these files as they are now; None for those that have to be read."""


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """A piece of what a scan has found so far.

    Attributes:
        found: new images.
        looked_at: files opened so far.
        total: files known so far, 0 while counting.
        skipped: files that are not images, so far.
        notes: sentences about things the reader should know (an unreadable folder, a DICOMDIR entry that climbs out).
        locked: ZIP archives that were left out because they need a password (another one, if it was given).
        images: of this piece, read now or known from an earlier scan, in the order of the listing; see :attr:`met`.
        passed_over: files read now, or not readable now, that gave no image.
        unreachable: files that the disk or network did not give, so far: they are looked at again by the next scan.
    """

    found: tuple[FoundImage, ...]
    looked_at: int
    total: int
    skipped: int
    notes: tuple[str, ...] = ()
    locked: tuple[Path, ...] = field(default=(), repr=False)
    images: tuple[ImageNode, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    unreachable: int = 0

    @property
    def met(self) -> tuple[ImageNode, ...]:
        """All images of this piece, read now or known."""
        return self.images or tuple(found.image for found in self.found)
