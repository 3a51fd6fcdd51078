"""Signs that a compressed picture is damaged although its decoder took it, and what can be saved of a torn one.

No codec of DICOM carries a checksum. What can be checked without decoding twice is the frame around the entropy-coded
data: markers where none may stand, tiles that do not follow one another, runs that do not end where rows end.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.sources.codestream import Codec

LEAST_SHARE = 0.02
"""Share of a frame below which nothing is shown: a few rows of the upper border are no film."""

_RLE_HEADER = 64


def signs(data: bytes, codec: Codec) -> str:
    """What speaks for damage, for the inspector; empty where nothing does."""
    return ""


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
