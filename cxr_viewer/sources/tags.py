"""Every attribute of a file as text, for the tag browser. Runs in the reader process only."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import BinaryIO

from pydicom.datadict import keyword_for_tag

from cxr_viewer.core.confidential import identifies
from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.tags import TagList, TagRow
from cxr_viewer.sources import dicomfile, faults, identity
from cxr_viewer.sources.answers import Tags
from cxr_viewer.sources.place import LARGEST_FILE, Place
from cxr_viewer.sources.tagtext import items_text, value_text
from cxr_viewer.sources.tagwalk import Element, Walk

MOST_ROWS = 20_000
MOST_CHARACTERS = 4_000_000
DEEPEST = 64
_HEAD_BYTES = 4096


def read(place: Place) -> Tags:
    """The attributes of the file at ``place``; none for pictures that are not DICOM.

    Raises:
        ReadError: no file, an empty one, or one that unpacks beyond all measure.
        OSError: as the file system says.
    """
    size = place.facts().size_bytes
    if size > LARGEST_FILE:
        raise faults.file_too_large(size, LARGEST_FILE)
    with place.open() as file:
        head = file.read(_HEAD_BYTES)
        if not head:
            raise faults.empty_file()
        if not dicomfile.looks_like_dicom(head):
            return Tags(None, TagList(()))
        return Tags(_key(place, file), tag_list(file))


def _key(place: Place, file: BinaryIO) -> ImageKey | None:
    """Which image this is, as a scan would say; None where the header is too broken for a scan."""
    try:
        header = dicomfile.read_header(file).header
        return identity.image_key(header, place.digest() if identity.needs_digest(header) else "", 0)
    except Exception:  # pydicom raises all sorts of things on damage; the list itself has its own way of reading
        return None


def tag_list(file: BinaryIO) -> TagList:
    """The attributes of an open DICOM file in its order.

    At most ``MOST_ROWS``, ``DEEPEST`` sequences deep, and ``MOST_CHARACTERS`` of values in all; ``complete`` is False
    where one of these or damage ended the list or left something out.
    """
    rows: list[TagRow] = []
    open_sequences: list[int | None] = []  # row of each sequence around the present place, None where it has none
    hidden_below = -1  # depth of the sequence whose whole content is identity
    characters, complete = 0, True
    walk = Walk(file)
    for element in walk:
        if len(rows) >= MOST_ROWS or characters >= MOST_CHARACTERS:
            complete = False
            break
        if element.ends:
            place = open_sequences.pop() if open_sequences else None
            if place is not None:
                rows[place] = replace(rows[place], value=items_text(element.items))
            if element.depth <= hidden_below:
                hidden_below = -1
            continue
        shown = element.depth <= DEEPEST
        complete &= shown
        if shown:
            row = _row(element, inherited=0 <= hidden_below < element.depth)
            characters += len(row.value)
            rows.append(row)
        if element.opens:
            open_sequences.append(len(rows) - 1 if shown else None)
            if shown and rows[-1].identity and hidden_below < 0:
                hidden_below = element.depth
    return TagList(tuple(rows), complete and not walk.damaged)


def _row(element: Element, *, inherited: bool) -> TagRow:
    if element.item:
        return TagRow(element.depth, f"Item {element.item}", "", "", "", inherited)
    tag = element.tag
    value = value_text(element)
    return TagRow(
        element.depth,
        f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
        _keyword(tag),
        element.vr,
        value,
        inherited or (identifies(tag, element.vr, value) if _keyword(tag) or tag & 0xFFFF == 0 else True),
    )


@lru_cache(maxsize=4096)
def _keyword(tag: int) -> str:
    return "" if (tag >> 16) % 2 else keyword_for_tag(tag)
