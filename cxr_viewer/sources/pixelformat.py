"""The Image Pixel module (PS3.3 C.7.6.3) of a file, checked before anything is allocated for its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

LIMIT_MEGAPIXELS = 60
"""Detectors have up to 19, stitched films of a spine 25, film scanners 36. With what drawing needs beside them, 60
megapixels of 16 bits take 150 MiB of the window's process."""
COLOUR_LIMIT_MEGAPIXELS = 30
UNDEFINED_LENGTH = 0xFFFFFFFF
_HALVED = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}
"""With halved colour, and the same with colour for each pixel; the standard has no name for the last of them."""


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
    """How pixels are laid out. ``high_bit`` is at least ``bits_stored - 1``; ``bits_allocated`` is 1, 8, 16, 32 or 64,
    the last two only in pixels that are not compressed, 64 only where they are ``floating``."""

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
    floating: bool = False

    @property
    def subsampled(self) -> bool:
        """Two pixels beside each other share their colour (PS3.3 C.7.6.3.1.2), so that each takes two samples."""
        return self.photometric in _HALVED and self.samples == 3

    @property
    def frame_bits(self) -> int:
        """Length of one native frame; one-bit frames need not end on a byte."""
        samples = 2 if self.subsampled else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


def pixel_format(ds: Dataset, cautions: Cautions, length: int = 0, *, floating: bool = False) -> PixelFormat:
    """The module of a data set.

    Where it is broken, the value that fits the length of the pixel data, or the one every other film has, is taken with
    a caution that names the attribute.

    Args:
        length: of the pixel data in bytes as the file declares it; 0 where it is not known.
        floating: the pixels are Float or Double Float Pixel Data.

    Raises:
        ReadError: a value without which no picture can be built is absent or impossible.
    """
    rows, columns = _needed(ds, "Rows", 1, 65535), _needed(ds, "Columns", 1, 65535)
    if rows * columns > LIMIT_MEGAPIXELS * 1_000_000:
        raise faults.image_too_large(rows, columns, LIMIT_MEGAPIXELS)
    frames = _frames(ds, cautions)
    photometric = tol.code_string(ds, "PhotometricInterpretation")[:16]
    plain_length = 0 if length == UNDEFINED_LENGTH else length
    samples = _samples(ds, photometric, _Fit(ds, rows * columns * frames, plain_length), cautions)
    if samples > 1 and rows * columns > COLOUR_LIMIT_MEGAPIXELS * 1_000_000:
        raise faults.image_too_large(rows, columns, COLOUR_LIMIT_MEGAPIXELS)
    if not photometric:
        cautions.add(
            "no-photometric",
            "The file does not say whether low values are dark; they are shown dark.",
            "PhotometricInterpretation",
        )
        photometric = "MONOCHROME2" if samples == 1 else "RGB"
    if floating:
        return _floating(ds, rows, columns, samples, photometric, frames)
    if photometric in _HALVED and _Fit(ds, rows * columns * frames, plain_length).fits(samples):
        text = f"The file says that its pixels share colours ({photometric}), but holds a colour for each."
        cautions.add("photometric", text, "PhotometricInterpretation")
        photometric = _HALVED[photometric]
    allocated = _allocated(ds, plain_length, rows * columns * samples * frames, length == UNDEFINED_LENGTH, cautions)
    stored = _stored(ds, allocated, cautions)
    return PixelFormat(
        rows,
        columns,
        samples,
        photometric,
        allocated,
        stored,
        high_bit=_high_bit(ds, stored, allocated, cautions),
        signed=_signed(ds, cautions),
        planar=1 if tol.integer(ds, "PlanarConfiguration") == 1 else 0,
        frames=frames,
    )


def _floating(ds: Dataset, rows: int, columns: int, samples: int, photometric: str, frames: int) -> PixelFormat:
    """Float Pixel Data has 32 bits, Double Float Pixel Data 64 (PS3.3 C.7.6.24, C.7.6.25)."""
    bits = tol.integer(ds, "BitsAllocated")
    if bits not in (32, 64) or samples != 1:
        raise faults.unsupported_depth("floating point numbers of an unknown kind")
    return PixelFormat(rows, columns, 1, photometric, bits, bits, bits - 1, True, 0, frames, floating=True)


def _needed(ds: Dataset, keyword: str, lowest: int, highest: int) -> int:
    if not tol.has(ds, keyword):
        raise faults.missing_value(tol.tag_name(keyword))
    value = tol.integer(ds, keyword)
    if value is None or not lowest <= value <= highest:
        raise faults.impossible_value(tol.tag_name(keyword), tol.text(ds, keyword) if value is None else value)
    return value


@dataclass(frozen=True, slots=True)
class _Fit:
    """What the length of uncompressed pixel data says of the samples of a pixel; 0 where it is not known."""

    ds: Dataset
    pixels: int
    length: int

    def fits(self, samples: int) -> bool:
        bits = tol.integer(self.ds, "BitsAllocated")
        plain = self.pixels * samples * bits // 8 if bits in (8, 16, 32) else -1
        return self.length in (plain, plain + plain % 2)


def _samples(ds: Dataset, photometric: str, fit: _Fit, cautions: Cautions) -> int:
    """Samples per Pixel, or what the length of the pixel data says, or what the kind of picture has."""
    usual = 3 if photometric.startswith(("RGB", "YBR", "HSV")) else 4 if photometric in ("ARGB", "CMYK") else 1
    if not tol.has(ds, "SamplesPerPixel"):
        return next((number for number in (1, 3) if fit.fits(number)), 1)
    samples = tol.integer(ds, "SamplesPerPixel")
    if samples is not None and 1 <= samples <= 4:
        others = [number for number in (1, 3) if fit.fits(number)]
        packed_grey = not fit.length and samples in (2, 4) and photometric.startswith("MONOCHROME")
        if not packed_grey and (not others or fit.fits(samples) or photometric in _HALVED):
            return samples
        usual = others[0] if others else 1
    text = f"The file gives an impossible number of samples for each pixel; {usual} {_is(usual)} taken."
    cautions.add("bad-format", text, "SamplesPerPixel")
    cautions.story.pass_over(Stage.PIXELS, "Samples per Pixel is impossible and is passed over.")
    return usual


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _allocated(ds: Dataset, length: int, values: int, encapsulated: bool, cautions: Cautions) -> int:
    """Bits Allocated, or what the length of the pixel data says where it is absent or impossible.

    Of compressed pixels 16: the codestream says itself how deep it is.
    """
    allocated = tol.integer(ds, "BitsAllocated")
    if allocated in (1, 8, 16):
        return allocated
    if allocated == 32 and not encapsulated and tol.integer(ds, "SamplesPerPixel") in (None, 1):
        return 32
    if allocated in (32, 64):
        raise faults.unsupported_depth(f"{allocated} bits")
    by_length = {8: values + values % 2, 16: 2 * values}
    fitting = [bits for bits, size in by_length.items() if length in (size, values * bits // 8)]
    guess = 16 if encapsulated else (fitting[0] if fitting else 0)
    if not guess:
        if not tol.has(ds, "BitsAllocated"):
            raise faults.missing_value(tol.tag_name("BitsAllocated"))
        shown = tol.text(ds, "BitsAllocated") if allocated is None else allocated
        raise faults.impossible_value(tol.tag_name("BitsAllocated"), shown)
    text = f"The file does not say rightly how many bits a pixel takes; by the length of its data they are {guess}."
    cautions.add("bad-format", text, "BitsAllocated")
    cautions.story.pass_over(Stage.PIXELS, "Bits Allocated is absent or impossible and is passed over.")
    return guess


def _stored(ds: Dataset, allocated: int, cautions: Cautions) -> int:
    """Bits Stored, or what High Bit makes of it where it is impossible."""
    if not tol.has(ds, "BitsStored"):
        return allocated
    stored = tol.integer(ds, "BitsStored")
    if stored is not None and 1 <= stored <= allocated:
        return stored
    high = tol.integer(ds, "HighBit")
    guess = high + 1 if high is not None and allocated // 2 <= high < allocated else allocated
    text = f"The file gives an impossible number of bits for each pixel; {guess} are taken."
    cautions.add("bad-format", text, "BitsStored")
    cautions.story.pass_over(Stage.PIXELS, "Bits Stored is impossible and is passed over.")
    return guess


def _signed(ds: Dataset, cautions: Cautions) -> bool:
    value = tol.integer(ds, "PixelRepresentation")
    if tol.has(ds, "PixelRepresentation") and value not in (0, 1):
        text = "The file does not say rightly whether pixels have a sign; they are taken as without."
        cautions.add("bad-format", text, "PixelRepresentation")
    return value == 1


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
