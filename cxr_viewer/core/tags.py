"""Every attribute of a DICOM file as text, for looking at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TagRow:
    """One attribute.

    Attributes:
        depth: 0 at the top, one more inside each sequence item.
        tag: ``"(0028,1050)"``; the item heads of sequences read ``"Item 1"``.
        keyword: of the dictionary, e.g. ``"WindowCenter"``; empty for private and unknown ones.
        vr: two letters, or empty for an item head.
        value: as text; long and binary values are described (``"4096 bytes"``) or cut.
        identity: it may tell who the patient is (PS3.15 table E.1-1, private attributes, free text included).
    """

    depth: int
    tag: str
    keyword: str
    vr: str
    value: str = field(repr=False)
    identity: bool = False


@dataclass(frozen=True, slots=True)
class TagList:
    """The attributes of one file in its order; ``complete`` is False where a limit or damage ended the list."""

    rows: tuple[TagRow, ...] = field(repr=False)
    complete: bool = True
