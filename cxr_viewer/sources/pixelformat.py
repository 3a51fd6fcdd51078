"""The Image Pixel module (PS3.3 C.7.6.3) of a file, checked before anything is allocated for its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxr_viewer.sources import faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

LIMIT_MEGAPIXELS = 60
"""Detectors have up to 19, stitched films of a spine 25, film scanners 36. With what drawing needs beside them, 60
megapixels of 16 bits take 150 MiB of the window's process."""
COLOUR_LIMIT_MEGAPIXELS = 30
UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class PixelElement:
    """Pixel Data as it lies in the file.

    Attributes:
        data: the file from the first byte of the value on, with whatever follows.
        length: as the element declares it; ``UNDEFINED_LENGTH`` for encapsulated pixels.
        swapped_bytes: bytes stand in big-endian words (OW in a big-endian file), which matters for 8-bit pixels.
    """

    data: memoryview
    length: int
    little_endian: bool
    swapped_bytes: bool = False


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How pixels are laid out. ``high_bit`` is at least ``bits_stored - 1``."""

    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    frames: int

    @property
    def frame_bits(self) -> int:
        """Length of one native frame; one-bit frames need not end on a byte."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


def pixel_format(ds: Dataset, cautions: Cautions) -> PixelFormat:
    """The module of a data set.

    Raises:
        ReadError: a value without which no picture can be built is absent or impossible.
    """
    rows, columns = _needed(ds, "Rows", 1, 65535), _needed(ds, "Columns", 1, 65535)
    samples = _needed(ds, "SamplesPerPixel", 1, 4, absent=1)
    limit = LIMIT_MEGAPIXELS if samples == 1 else COLOUR_LIMIT_MEGAPIXELS
    if rows * columns > limit * 1_000_000:
        raise faults.image_too_large(rows, columns, limit)
    photometric = tol.code_string(ds, "PhotometricInterpretation")[:16]
    if not photometric:
        cautions.add(
            "no-photometric",
            "The file does not say whether low values are dark; they are shown dark.",
            "PhotometricInterpretation",
        )
        photometric = "MONOCHROME2" if samples == 1 else "RGB"
    allocated = _needed(ds, "BitsAllocated", 1, 64)
    if allocated in (32, 64):
        raise faults.unsupported_depth(f"{allocated} bits")
    if allocated not in (1, 8, 16):
        raise faults.impossible_value(tol.tag_name("BitsAllocated"), allocated)
    stored = _needed(ds, "BitsStored", 1, allocated, absent=allocated)
    return PixelFormat(
        rows,
        columns,
        samples,
        photometric,
        allocated,
        stored,
        high_bit=_high_bit(ds, stored, allocated, cautions),
        signed=tol.integer(ds, "PixelRepresentation") == 1,
        planar=1 if tol.integer(ds, "PlanarConfiguration") == 1 else 0,
        frames=_frames(ds, cautions),
    )


def _needed(ds: Dataset, keyword: str, lowest: int, highest: int, absent: int | None = None) -> int:
    if not tol.has(ds, keyword):
        if absent is None:
            raise faults.missing_value(tol.tag_name(keyword))
        return absent
    value = tol.integer(ds, keyword)
    if value is None or not lowest <= value <= highest:
        raise faults.impossible_value(tol.tag_name(keyword), tol.text(ds, keyword) if value is None else value)
    return value


def _high_bit(ds: Dataset, stored: int, allocated: int, cautions: Cautions) -> int:
    high = tol.integer(ds, "HighBit")
    if high is not None and stored - 1 <= high < allocated:
        return high
    if high is not None:
        cautions.add("bad-high-bit", "The file gives an impossible high bit; the usual one is taken.", "HighBit")
    return stored - 1


def _frames(ds: Dataset, cautions: Cautions) -> int:
    if not tol.has(ds, "NumberOfFrames"):
        return 1
    frames = tol.integer(ds, "NumberOfFrames")
    if frames is None or frames < 1:
        cautions.add("bad-frames", "The file gives an impossible number of frames; one is read.", "NumberOfFrames")
        return 1
    return frames
