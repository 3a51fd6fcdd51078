"""What a compressed picture says of itself, read from its first bytes, before any decoder may allocate for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Codec(Enum):
    JPEG = "JPEG"  # baseline, extended and progressive
    JPEG_LOSSLESS = "JPEG lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    HTJ2K = "High-Throughput JPEG 2000"
    RLE = "RLE"


@dataclass(frozen=True, slots=True)
class Codestream:
    """``precision`` in bits per sample; ``signed`` is known to JPEG 2000 only."""

    codec: Codec
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False


_JPEG_FRAMES = {
    0xC0: Codec.JPEG,
    0xC1: Codec.JPEG,
    0xC2: Codec.JPEG,
    0xC3: Codec.JPEG_LOSSLESS,
    0xF7: Codec.JPEG_LS,
}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_SCAN = 0xDA


def inspect(data: bytes) -> Codestream | None:
    """The codestream at the start of ``data``; None where it is none of the JPEG family or broken in its header."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if data[:4] == b"\xff\x4f\xff\x51":
            return _jpeg_2000(data)
        if data[4:8] == b"jP  " or data[4:8] == b"jP\x1a\x1a":  # a JP2 file wrapped around the codestream
            start = data.find(b"\xff\x4f\xff\x51", 0, 65536)
            return _jpeg_2000(data[start : start + 65536]) if start > 0 else None
    except (struct.error, IndexError):
        return None
    return None


def has_end_mark(data: bytes) -> bool:
    """Whether a codestream of the JPEG family comes to its end mark, which its entropy-coded data cannot hold.

    What follows the mark (padding, a camera's preview) does not matter; a preview before the first scan does not count.
    """
    start = max(segments(data), default=0) if data[:2] == b"\xff\xd8" else 0
    return data.find(b"\xff\xd9", start) >= 0


def segments(data: bytes) -> Iterator[int]:
    """Offsets of the marker segments of a JPEG or JPEG-LS, up to and including the first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        else:
            yield place
            if marker == _SCAN:
                return
            place += 2 + int(struct.unpack_from(">H", data, place + 2)[0])


def _jpeg(data: bytes) -> Codestream | None:
    for place in segments(data):
        codec = _JPEG_FRAMES.get(data[place + 1])
        if codec is not None:
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, place + 4)
            return Codestream(codec, rows, columns, components, precision)
    return None


def _jpeg_2000(data: bytes) -> Codestream:
    capabilities, right, bottom, left, top = struct.unpack_from(">HIIII", data, 6)
    components, depth = struct.unpack_from(">HB", data, 40)
    # ISO 15444-15: a high-throughput codestream sets bit 14 of Rsiz and carries a CAP segment.
    codec = Codec.HTJ2K if capabilities & 0x4000 else Codec.JPEG_2000
    return Codestream(codec, bottom - top, right - left, components, (depth & 0x7F) + 1, bool(depth & 0x80))
