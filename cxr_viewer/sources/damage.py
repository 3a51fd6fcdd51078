"""Signs that a compressed picture is damaged although its decoder took it, and what can be saved of a torn one.

No codec of DICOM carries a checksum. What can be checked without decoding twice is the frame around the entropy-coded
data: markers where none may stand, tiles that do not follow one another, runs that do not end where rows end.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.sources import codestream, packets
from cxr_viewer.sources.codestream import Codec
from cxr_viewer.sources.words import clean

LEAST_SHARE = 0.2
"""Share of the rows of a frame below which nothing is shown: shoulders above a black pane are no film."""
LEAST_BYTES = 0.01
"""Share of the bytes of a frame below which no decoder is asked what they hold."""

_RLE_HEADER = 64
_TILE_PART = b"\xff\x90"
_CODING = b"\xff\x52"
_LEAST_ZEROS = 24
"""Arithmetic coding leaves no such run of zero bytes; empty packets do."""
_LEAST_ZEROS_HT = 256
"""Nor does high-throughput coding: that would be half a code-block of coefficients that are all one."""
_LEAST_ZEROS_RLE = 160
"""Literal zeros come 128 at a time at most, behind a byte that is not zero (PS3.5 G.3.1)."""
_END = 0xD9
_SEGMENTS = {0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xF8, 0xFE, *range(0xE0, 0xF0)}
"""Marker segments that may stand between the scans of one picture."""
_MARKERS = {False: re.compile(rb"\xff[\x01-\xfe]"), True: re.compile(rb"\xff[\x80-\xfe]")}
"""Bytes that are a marker; in JPEG-LS a byte below 80 behind FF is data."""


def signs(data: bytes, codec: Codec, heard: str) -> str:
    """What speaks for damage, for the inspector; empty where nothing does.

    Args:
        heard: what the decoder wrote to the standard error stream.
    """
    for line in heard.splitlines():
        if "Corrupt JPEG data" in line:
            return clean(line, 100)
    if codec in (Codec.JPEG_2000, Codec.HTJ2K):
        return _broken_tiles(data, coded_arithmetically=codec is Codec.JPEG_2000)
    if codec is Codec.RLE:
        return _broken_runs(data)
    return _stray_marker(data, codec)


def _broken_runs(data: bytes) -> str:
    segments = rle_segments(data)
    if not segments:
        return "the header of the RLE segments is impossible"
    if any(segment.rstrip(b"\x00").find(bytes(_LEAST_ZEROS_RLE)) >= 0 for segment in segments):
        return "a run of zeros stands inside the compressed data"
    return ""


def _stray_marker(data: bytes, codec: Codec) -> str:
    """A marker that has no place inside the entropy-coded data of a JPEG or JPEG-LS, restart markers in the wrong order
    (ISO 10918-1 B.1.1.2, ISO 14495-1 annex C)."""
    start = max(codestream.segments(data), default=0)
    wanted = 0
    for match in _MARKERS[codec is Codec.JPEG_LS].finditer(data, start + 2):
        marker = data[match.start() + 1]
        if marker == _END:
            return ""
        if 0xD0 <= marker <= 0xD7:
            if marker != 0xD0 + wanted:
                return "the restart markers are out of order"
            wanted = (wanted + 1) % 8
        elif marker in _SEGMENTS:
            wanted = 0
        else:
            return f"the marker FF{marker:02X} stands inside the compressed data"
    return ""


def _broken_tiles(data: bytes, *, coded_arithmetically: bool) -> str:
    """Tile-parts of JPEG 2000 that do not follow one another (ISO 15444-1 A.4.2)."""
    start = place = data.find(b"\xff\x4f\xff\x51") + 2
    may_be_empty = 0
    while data[place : place + 2] != _TILE_PART:
        if place + 4 > len(data) or data[place] != 0xFF:
            return "the main header of the codestream does not lead to a tile"
        if data[place : place + 2] == _CODING:
            may_be_empty = _packets(data, start, place)
        place += 2 + int(struct.unpack_from(">H", data, place + 2)[0])
    first = place
    while data[place : place + 2] == _TILE_PART and place + 12 <= len(data):
        length = int(struct.unpack_from(">I", data, place + 6)[0])
        if length == 0:  # the last one, up to the end mark
            place = len(data)
            break
        place += length
        if length < 14:
            return "a tile of the codestream has an impossible length"
        if data[place : place + 2] not in (_TILE_PART, b"\xff\xd9"):
            return "a tile of the codestream does not end where it says"
    least = _LEAST_ZEROS if coded_arithmetically else _LEAST_ZEROS_HT
    if data.find(bytes(least), first, place) >= 0:
        inside = packets.has_zeros_in_code(data, least)
        if inside or (inside is None and may_be_empty and data.find(bytes(may_be_empty + least), first, place) >= 0):
            return "a run of zeros stands inside the compressed data"
    return ""


def _packets(data: bytes, start: int, coding: int) -> int:
    """Packets of one tile, as many as may be empty, one zero byte each (ISO 15444-1 B.6, B.10.3).

    A longer run of zeros is damage also where the packets cannot be walked.
    """
    size = struct.unpack_from(">8I", data, start + 6)
    width, height = min(size[0], size[4]), min(size[1], size[5])
    components = int(struct.unpack_from(">H", data, start + 38)[0])
    style, _, layers, _, levels = struct.unpack_from(">BBHBB", data, coding + 4)
    precincts = 0
    for level in range(levels + 1):
        own = data[coding + 14 + level] if style & 1 else 0xFF
        shift = levels - level
        precincts += ((width >> shift >> (own & 15)) + 2) * ((height >> shift >> (own >> 4)) + 2)
    return int(layers) * components * precincts


def rows_before_filling(words: NDArray[Any], block: int) -> int:
    """How many rows from the top a decoder of JPEG had data for, before it filled the rest by prediction from nothing.

    Such rows are all alike. The last ones before them hold the place where the data end, and are not counted.

    Args:
        block: rows that are coded together.
    """
    alike = (words == words[-1]).reshape(len(words), -1).all(axis=1)
    different = np.flatnonzero(~alike)
    told_apart = int(different[-1]) + 1 if different.size else 0
    if len(words) - told_apart < 2:  # the last row is like itself only: the data end in it or behind it
        return len(words)
    return max(0, -(-told_apart // block) * block - block)


# ---------------------------------------------------------------- RLE


def rle_segments(data: bytes) -> list[bytes]:
    """The segments of an RLE frame (PS3.5 annex G.4), the last ones short or missing where the frame is torn; empty
    where its header is impossible."""
    if len(data) < _RLE_HEADER:
        return []
    count, *offsets = struct.unpack_from("<16I", data)
    if not 1 <= count <= 15 or offsets[0] != _RLE_HEADER or sorted(offsets[:count]) != offsets[:count]:
        return []
    ends = [*offsets[1:count], len(data)]
    return [data[start:end] for start, end in zip(offsets[:count], ends, strict=True)]


def is_rle(data: bytes, length: int) -> bool:
    """Whether ``data``, the beginning of a frame of ``length`` bytes, is the header of RLE segments (PS3.5 G.5)."""
    if len(data) < _RLE_HEADER or length <= _RLE_HEADER:
        return False
    count, *offsets = struct.unpack_from("<16I", data)
    if not 1 <= count <= 15 or offsets[0] != _RLE_HEADER or any(offsets[count:]):
        return False
    ends = [*offsets[1:count], length]
    return all(start < end for start, end in zip(offsets[:count], ends, strict=True))


def wrong_segments(data: bytes, planes: int) -> str:
    """What speaks against ``planes`` segments, one for each byte of a pixel (PS3.5 G.2), as :func:`signs`."""
    there = len(rle_segments(data))
    return "" if there == planes else f"there are {there} RLE segments, {planes} by the file"


def unpack_bits(segment: bytes, wanted: int) -> bytes:
    """PackBits (PS3.5 annex G.3) up to ``wanted`` bytes, or as far as the segment goes."""
    out, place, there = bytearray(), 0, len(segment)
    while place + 1 < there and len(out) < wanted:
        control = segment[place]
        if control < 128:
            out += segment[place + 1 : place + 2 + control]
            place += 2 + control
        elif control > 128:
            out += segment[place + 1 : place + 2] * (257 - control)
            place += 2
        else:
            place += 1
    return bytes(out[:wanted])


def rle_rows(data: bytes, rows: int, columns: int, bits_allocated: int) -> tuple[NDArray[np.uint16], int]:
    """Words of the grey frame (rows, columns), zero where nothing is left, and how many rows from the top are whole."""
    planes = [unpack_bits(segment, rows * columns) for segment in rle_segments(data)]
    words = np.zeros(rows * columns, np.uint16)
    if len(planes) != bits_allocated // 8:
        return words.reshape(rows, columns), 0
    whole = min(len(plane) for plane in planes) // columns
    for plane in planes:  # most significant byte first
        part = np.frombuffer(plane, np.uint8, whole * columns)
        words[: part.size] = words[: part.size] << 8 | part
    return words.reshape(rows, columns), whole
