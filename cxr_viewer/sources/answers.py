"""What reader processes answer beside films: plain values, so that the window's process needs no DICOM library."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.study import FoundImage
from cxr_viewer.core.tags import TagList


@dataclass(frozen=True, slots=True)
class Header:
    """What became of one file of a header batch: an image, or why it is none (as in ``CxrError``)."""

    found: FoundImage | None
    code: str
    summary: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Headers:
    """One entry for each file asked for, in the same order."""

    files: tuple[Header, ...]


MAX_RECORDS = 200_000
"""Records of a DICOMDIR that are looked at."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Files named by a DICOMDIR, each as the parts of its File ID.

    Attributes:
        cut: there are more than ``MAX_RECORDS`` records.
    """

    file_ids: tuple[tuple[str, ...], ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Tags:
    """The attributes of one file, and which image it holds (its first frame), where that can be told."""

    key: ImageKey | None
    tags: TagList


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, a PNG in base 64, and the image it was made of."""

    key: ImageKey
    png: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a ZIP archive holds for a scan.

    Attributes:
        members: (member, size in bytes) of every entry worth looking at, as in ``core.study.ImageNode``.
        locked: some entries need a password that was not given.
        notes: sentences about what was left out.
    """

    members: tuple[tuple[str, int], ...]
    locked: bool
    notes: tuple[str, ...]
