"""One frame of DICOM pixel data as stored values. Runs in the reader process only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.uid import UID

from cxr_viewer.core.image import Rescale
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import colour, compressed, deeppixels, faults, native, signs
from cxr_viewer.sources.pixelformat import UNDEFINED_LENGTH, PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_GREY = ("MONOCHROME1", "MONOCHROME2")
_KEEP_WORDS = ("numpy", "pylibjpeg-rle")  # other codecs know no unused bits
_ITEM = b"\xfe\xff\x00\xe0"
NATIVE = (
    "",
    uids.ImplicitVRLittleEndian,
    uids.ExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One frame.

    Attributes:
        stored: uint8, uint16 or int16 (rows, columns), read-only; the brightness of a colour picture.
        rgb: the colour picture, None for grey.
        as_stored: the file's grey chain does not apply (RGB, YBR, PALETTE COLOR), 0 is black and all bits set white.
        words: pixels as they lay in memory, before Bits Stored was cut out of them; None where no codec kept them.
        padding: the value that stands where the file is truncated; None for a whole picture.
        scale: what leads from ``stored`` back to pixels of more than 16 bits; None for all others.
    """

    stored: NDArray[np.generic]
    bits_stored: int
    signed: bool
    photometric: str
    decoder: str
    rgb: NDArray[np.generic] | None = None
    as_stored: bool = False
    colour: bool = False
    words: NDArray[Any] | None = None
    padding: int | None = None
    scale: Rescale | None = None


def decode_frame(
    ds: Dataset,
    pixels: PixelElement,
    syntax: str,
    frame: int,
    form: PixelFormat,
    cautions: Cautions,
    overlay_bits: int = 0,
) -> DecodedFrame:
    """Decode frame number ``frame``, counted from 0.

    Args:
        overlay_bits: mask of the unused bits of a pixel word in which overlays lie.

    Raises:
        ReadError: pixel data of which nearly nothing is there or that no decoder takes, or a transfer syntax that
            nothing here decodes.
    """
    if not 0 <= frame < form.frames:
        raise faults.no_such_frame(frame, form.frames)
    if form.frames > 1:
        cautions.add("multi-frame", f"Frame {frame + 1} of {form.frames} is shown.", "NumberOfFrames")
    present, lossless = form.rows, False
    if _is_native(pixels, syntax, form, cautions):
        words, present = native.read(pixels, frame, form, cautions)
        precision, name = form.bits_stored, "numpy"
        cautions.story.tell(Stage.DECODER, "The pixels are not compressed; they are taken from the file as they lie.")
    else:
        decoded = compressed.decode(pixels, syntax, frame, form, cautions)
        words, precision, name, present = decoded.words, decoded.precision, decoded.decoder, decoded.rows
        lossless = decoded.lossless and not overlay_bits
        words, form = signs.settled(words, precision, decoded.signed, ds, form, cautions)
    if form.bits_allocated > 16:
        deep = deeppixels.to_sixteen_bits(words, present, form, cautions)
        padding = None if present == form.rows else 0
        return DecodedFrame(deep.stored, 16, False, form.photometric, name, padding=padding, scale=deep.scale)
    if words.ndim == 3 or form.photometric not in _GREY:
        return _colour(ds, words, form, precision, name, cautions)
    kept = words if name in _KEEP_WORDS else None
    if kept is not None:
        words = stored_bits(words, form, cautions, overlay_bits)
    stored, bits = typed(words, precision, form)
    _tell_overshoot(bits, form, cautions, 0 if lossless else 1)
    padding = None
    if present < form.rows:
        padding = native.darkest(ds, form)
        stored = stored if stored.flags.writeable else stored.copy()
        stored[present:] = padding
    stored.flags.writeable = False
    return DecodedFrame(stored, bits, form.signed, form.photometric, name, words=kept, padding=padding)


def _tell_overshoot(bits: int, form: PixelFormat, cautions: Cautions, harmless: int) -> None:
    """``harmless`` is one bit where the values may have been rounded, and overshoot beside sharp edges."""
    if bits > form.bits_stored + harmless and form.high_bit == form.bits_stored - 1:
        text = f"Pixels have values beyond the {form.bits_stored} bits of the file: they are damaged, or its header is."
        cautions.add("damaged-pixels", text, "BitsStored")


def _is_native(pixels: PixelElement, syntax: str, form: PixelFormat, cautions: Cautions) -> bool:
    """Whether the pixels lie there uncompressed, whatever the file says; a caution where it says otherwise."""
    fragments = pixels.length == UNDEFINED_LENGTH or bytes(pixels.data[:4]) == _ITEM
    if syntax in NATIVE:
        if pixels.length != UNDEFINED_LENGTH:
            return True
        if bytes(pixels.data[:4]) != _ITEM:
            raise faults.wrong_syntax(_syntax_name(syntax), "undefined length, yet no fragments")
        text = "The pixels are compressed although the file says that they are not."
        cautions.add("wrong-syntax", text, "TransferSyntaxUID")
        return False
    if syntax not in compressed.CODEC_OF:
        raise faults.unsupported_syntax(_syntax_name(syntax))
    if fragments and form.samples not in (1, 3):
        raise faults.unsupported_samples(form.samples)
    if fragments:
        return False
    plain = -(-form.frame_bits * form.frames // 8)
    if pixels.length not in (plain, plain + 1):
        raise faults.wrong_syntax(_syntax_name(syntax), f"{pixels.length} bytes outside of fragments")
    text = "The pixels are not compressed although the file says that they are."
    cautions.add("wrong-syntax", text, "TransferSyntaxUID")
    return True


def _syntax_name(syntax: str) -> str:
    return (UID(syntax).name or syntax)[:80] if syntax else "not given"


# ---------------------------------------------------------------- stored values


def stored_bits(words: NDArray[Any], form: PixelFormat, cautions: Cautions, overlay_bits: int = 0) -> NDArray[Any]:
    """Bits Stored out of each word, moved down where High Bit lies higher (PS3.5 8.1.1).

    What lies beside them is nothing, a repeated sign, or an overlay of old, which ``overlay_bits`` names; of anything
    else the reader is told.
    """
    if overlay_bits:
        words = words & np.asarray(((1 << form.bits_allocated) - 1) & ~overlay_bits, words.dtype)
    shift = form.high_bit + 1 - form.bits_stored
    if shift:
        words = words >> shift
    mask = (1 << form.bits_stored) - 1
    if int(words.max()) <= mask:
        return words
    if form.signed:
        sign = (words >> (form.bits_stored - 1)) & 1
        extension = ((1 << form.bits_allocated - shift) - 1) >> form.bits_stored
        plain = np.array_equal(words >> form.bits_stored, sign * extension)
    else:
        plain = False
    if not plain:
        cautions.add("unused-bits", "Bits beyond those the file declares are set and are left out.", "BitsStored")
    return words & mask


def typed(words: NDArray[Any], precision: int, form: PixelFormat) -> tuple[NDArray[np.generic], int]:
    """Unsigned words of ``precision`` bits as uint8, uint16 or int16, and the bits they need.

    Lossy codecs overshoot Bits Stored; then there are more bits, because cutting them off would turn white to black.
    """
    if not form.signed:
        bits = form.bits_stored
        if precision > bits:
            bits = max(bits, int(words.max()).bit_length())
        return np.ascontiguousarray(words, dtype=np.uint8 if bits <= 8 else np.uint16), bits
    sign = 1 << (precision - 1)
    values = ((words.astype(np.int32) & ((1 << precision) - 1)) ^ sign) - sign
    low, high = int(values.min()), int(values.max())
    limit = 1 << (form.bits_stored - 1)
    if low >= 0 and limit <= high < 2 * limit:  # two's complement of Bits Stored in a wider, unsigned codestream
        values = (values ^ limit) - limit
        low, high = int(values.min()), int(values.max())
    bits = max(form.bits_stored, high.bit_length() + 1, (-low - 1).bit_length() + 1 if low < 0 else 1)
    return np.ascontiguousarray(values, dtype=np.int16), bits


# ---------------------------------------------------------------- colour


def _colour(
    ds: Dataset, words: NDArray[Any], form: PixelFormat, precision: int, name: str, cautions: Cautions
) -> DecodedFrame:
    """A picture in RGB, YBR or PALETTE COLOR; grey that was only stored as colour stays grey."""
    rgb: NDArray[Any] | None = words if words.ndim == 3 else None
    bits = form.bits_stored
    if rgb is None and form.photometric == "PALETTE COLOR":
        indices = typed(words, precision, form)[0] if form.signed else words & ((1 << precision) - 1)
        rgb = colour.of_palette(indices, ds, cautions)
        if rgb is None:
            (grey, bits), signed = typed(stored_bits(words, form, cautions), precision, form), form.signed
            grey.flags.writeable = False
            return DecodedFrame(grey, bits, signed, "MONOCHROME2", name, as_stored=True, colour=True)
        bits = 8 * rgb.dtype.itemsize
    if rgb is None:
        text = f"The file calls its grey pixels {form.photometric}; low values are shown dark."
        cautions.add("photometric", text, "PhotometricInterpretation")
        grey, bits = typed(stored_bits(words, form, cautions), precision, form)
        grey.flags.writeable = False
        return DecodedFrame(grey, bits, form.signed, "MONOCHROME2", name)
    grey, kept = colour.split(rgb)
    bits = max(bits, int(rgb.max()).bit_length())
    if kept is not None:
        cautions.add("colour", colour.CAUTION, "PhotometricInterpretation")
    grey.flags.writeable = False
    return DecodedFrame(grey, bits, False, "MONOCHROME2", name, kept, as_stored=True, colour=kept is not None)
