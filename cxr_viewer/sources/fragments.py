"""The fragments of encapsulated pixel data (PS3.5 A.4), and which of them make up a frame.

With one frame all fragments are its own, and no table is asked. For several frames the Basic Offset Table is believed
as long as it agrees with the fragments; the Extended Offset Table is not needed, since it demands one fragment for each
frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from itertools import pairwise

from pydicom.encaps import get_frame

from cxr_viewer.sources import codestream, damage, faults
from cxr_viewer.sources.pixelformat import UNDEFINED_LENGTH, PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEAD = 68
DAMAGED = "The compressed picture is damaged: a part of what is shown is probably wrong."
_WRONG_TABLE = (
    "The table that says where each frame begins contradicts the frames that are there; it is passed over, and each "
    "frame is taken in the order of the file."
)


@dataclass(frozen=True, slots=True)
class Fragments:
    """``parts`` without the table, ``starts`` where the item of each lies behind the table, ``table`` the offsets of
    the frames; ``expected`` the bytes that the items announce; ``tail`` the first bytes of what stands behind them."""

    parts: tuple[memoryview, ...]
    starts: tuple[int, ...]
    table: tuple[int, ...]
    expected: int
    tail: bytes


def walk(data: memoryview) -> Fragments:
    """The items of encapsulated pixel data, the last one short in a torn file."""
    place, items, places = 0, [], []
    while place + 8 <= len(data) and data[place : place + 4] == _ITEM:
        (length,) = struct.unpack_from("<I", data, place + 4)
        items.append(data[place + 8 : place + 8 + length])
        places.append(place)
        place += 8 + int(length)
    table = tuple(offset for (offset,) in struct.iter_unpack("<I", items[0][: len(items[0]) // 4 * 4])) if items else ()
    first = places[1] if len(places) > 1 else place
    starts = tuple(start - first for start in places[1:])
    return Fragments(tuple(items[1:]), starts, table, max(place, 16), bytes(data[place : place + 4]))


def frame_of(pixels: PixelElement, frame: int, form: PixelFormat, cautions: Cautions) -> tuple[bytes, int, int]:
    """The bytes of one compressed frame, its fragments joined; bytes of pixel data there, and announced.

    Raises:
        ReadError: the frame is not there, or cannot be told from the others.
    """
    found = walk(pixels.data)
    expected = found.expected
    present = min(len(pixels.data), expected)
    if form.frames == 1:
        if present < damage.LEAST_BYTES * expected:
            raise faults.truncated(present, expected)
        data = _only_frame(found)
        if not data:
            raise faults.truncated(present, expected) if present < expected else faults.damaged_pixels("no fragments")
        if present == expected and len(found.tail) == 4 and found.tail != _SEQUENCE_END:
            cautions.add("damaged-pixels", DAMAGED, "PixelData")
        return data, present, expected
    if present < expected:
        if frame == form.frames - 1:  # decoders make a whole picture of half a codestream, and say nothing
            if present < damage.LEAST_BYTES * expected:
                raise faults.truncated(present, expected)
        else:
            cautions.add("frames-missing", "The file is truncated: its last frames are not there.", "PixelData")
            present = expected
    return _one_of_many(pixels, found, frame, form, cautions), present, expected


def frames_there(pixels: PixelElement | None, form: PixelFormat, cautions: Cautions) -> PixelFormat:
    """The format with as many frames as there can be, where the file announces more than it has fragments.

    A truncated file keeps its number: the frames were there once.
    """
    if form.frames == 1 or pixels is None or (pixels.length != UNDEFINED_LENGTH and pixels.data[:4] != _ITEM):
        return form
    found = walk(pixels.data)
    if found.tail != _SEQUENCE_END or not 0 < len(found.parts) < form.frames:
        return form
    there = max(1, sum(map(_begins_picture, found.parts)))
    text = f"The file announces {form.frames} frames, but holds {there}."
    cautions.add("bad-frames", text, "NumberOfFrames")
    return replace(form, frames=there)


def _only_frame(found: Fragments) -> bytes:
    """All fragments; only those up to the second frame where a sound table says that there is one after all."""
    parts = found.parts
    if len(found.table) > 1 and _is_sound(found):
        second = found.starts.index(found.table[1])
        if all(_begins_picture(parts[found.starts.index(offset)]) for offset in found.table):
            parts = parts[:second]
    return b"".join(parts)


def _one_of_many(pixels: PixelElement, found: Fragments, frame: int, form: PixelFormat, cautions: Cautions) -> bytes:
    torn = found.tail != _SEQUENCE_END
    if found.table and not torn and not (len(found.table) == form.frames and _is_sound(found)):
        firsts = [index for index, part in enumerate(found.parts) if _begins_picture(part)]
        if len(found.parts) == form.frames:
            firsts = list(range(form.frames))
        if len(firsts) != form.frames:
            raise faults.damaged_pixels(f"{form.frames} frames, {len(found.parts)} fragments, and a wrong table")
        cautions.add("offset-table", _WRONG_TABLE, "PixelData")
        return b"".join(found.parts[slice(*[*firsts, None][frame : frame + 2])])
    if not found.table and len(found.parts) == form.frames:
        return bytes(found.parts[frame])
    try:
        return get_frame(bytes(pixels.data), frame, number_of_frames=form.frames)
    except Exception as error:
        if torn:
            raise faults.truncated(min(len(pixels.data), found.expected), found.expected) from error
        raise faults.damaged_pixels(f"fragments: {str(error)[:300]}") from error


def _is_sound(found: Fragments) -> bool:
    """The offsets begin at 0, rise, and each is that of a fragment."""
    table = found.table
    rising = all(one < other for one, other in pairwise(table))
    return table[:1] == (0,) and rising and set(found.starts).issuperset(table)


def _begins_picture(part: memoryview) -> bool:
    head = bytes(part[:_HEAD])
    return head[:3] == b"\xff\xd8\xff" or codestream.inspect(head) is not None or damage.is_rle(head, len(part))
