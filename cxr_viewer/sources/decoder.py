"""One frame of DICOM pixel data as stored values. Runs in the reader process only."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from cxr_viewer.sources import compressed, faults
from cxr_viewer.sources.pixelformat import UNDEFINED_LENGTH, PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_GREY = ("MONOCHROME1", "MONOCHROME2")
_ITEM = b"\xfe\xff\x00\xe0"
_NATIVE = (
    "",
    uids.ImplicitVRLittleEndian,
    uids.ExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """Grey pixels as stored: uint8, uint16 or int16 (rows, columns), read-only."""

    stored: NDArray[np.generic]
    bits_stored: int
    signed: bool
    photometric: str
    colour: bool
    decoder: str


def decode_frame(
    ds: Dataset, pixels: PixelElement, syntax: str, frame: int, form: PixelFormat, cautions: Cautions
) -> DecodedFrame:
    """Decode frame number ``frame``, counted from 0.

    Raises:
        ReadError: truncated or damaged pixel data, or a transfer syntax that nothing here decodes.
    """
    if not 0 <= frame < form.frames:
        raise faults.no_such_frame(frame, form.frames)
    if form.frames > 1:
        cautions.add("multi-frame", f"Frame {frame + 1} of {form.frames} is shown.", "NumberOfFrames")
    if _is_native(pixels, syntax, form, cautions):
        words, precision, name = _native(pixels, frame, form), form.bits_stored, "numpy"
    else:
        words, precision, name = compressed.decode(pixels, syntax, frame, form, cautions)
    if words.ndim == 3 or form.photometric not in _GREY:
        return _colour_to_grey(ds, words, form, precision, name, cautions)
    if name in ("numpy", "pylibjpeg-rle"):  # words as they lay in memory; other codecs know no unused bits
        words = stored_bits(words, form, cautions)
    stored, bits = typed(words, precision, form)
    stored.flags.writeable = False
    return DecodedFrame(stored, bits, form.signed, form.photometric, False, name)


def _is_native(pixels: PixelElement, syntax: str, form: PixelFormat, cautions: Cautions) -> bool:
    """Whether the pixels lie there uncompressed, whatever the file says; a caution where it says otherwise."""
    fragments = pixels.length == UNDEFINED_LENGTH or bytes(pixels.data[:4]) == _ITEM
    if syntax in _NATIVE:
        if pixels.length != UNDEFINED_LENGTH:
            return True
        if bytes(pixels.data[:4]) != _ITEM:
            raise faults.wrong_syntax(_syntax_name(syntax), "undefined length, yet no fragments")
        text = "The pixels are compressed although the file says that they are not."
        cautions.add("wrong-syntax", text, "TransferSyntaxUID")
        return False
    if syntax not in compressed.CODEC_OF:
        raise faults.unsupported_syntax(_syntax_name(syntax))
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


# ---------------------------------------------------------------- native pixels


def _native(pixels: PixelElement, frame: int, form: PixelFormat) -> NDArray[Any]:
    """The words of one frame, unsigned: (rows, columns), or (rows, columns, 3) in RGB."""
    first_bit = form.frame_bits * frame
    start, end = first_bit // 8, -(-(first_bit + form.frame_bits) // 8)
    present = min(len(pixels.data), pixels.length)
    if present < end:
        raise faults.truncated(max(0, present - start), end - start)
    shape = (form.rows, form.columns)
    data = pixels.data[start:end]
    if pixels.swapped_bytes and form.bits_allocated == 8:
        whole = np.frombuffer(pixels.data[: present - present % 2], ">u2").astype("<u2").view(np.uint8)
        data = whole[start:end].data
    if form.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[first_bit % 8 :][: form.rows * form.columns].reshape(shape)
    if form.samples == 1:
        dtype = np.dtype(np.uint8 if form.bits_allocated == 8 else ("<u2" if pixels.little_endian else ">u2"))
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    order = uids.ExplicitVRLittleEndian if pixels.little_endian else uids.ExplicitVRBigEndian
    source = io.BytesIO(data)
    return compressed.run(order, source, form, form.bits_allocated, form.bits_stored, planar=form.planar)


def stored_bits(words: NDArray[Any], form: PixelFormat, cautions: Cautions) -> NDArray[Any]:
    """Bits Stored out of each word, moved down where High Bit lies higher (PS3.5 8.1.1).

    What lies beside them is nothing, a repeated sign, or an overlay of old; only then the reader is told.
    """
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


def _colour_to_grey(
    ds: Dataset, words: NDArray[Any], form: PixelFormat, precision: int, name: str, cautions: Cautions
) -> DecodedFrame:
    """Luminance of a colour picture; grey that was only stored as colour stays what it is."""
    if form.photometric == "PALETTE COLOR" and words.ndim == 2:
        try:
            words = apply_color_lut(words, ds)
        except Exception as error:
            raise faults.damaged(f"palette: {error!r}"[:300]) from error
    if words.ndim == 3:
        grey, colour = luminance(words)
        signed, bits = False, 8 * grey.dtype.itemsize
    else:
        text = f"The file calls its grey pixels {form.photometric}; low values are shown dark."
        cautions.add("photometric", text, "PhotometricInterpretation")
        (grey, bits), colour, signed = typed(stored_bits(words, form, cautions), precision, form), False, form.signed
    if colour:
        text = "This is a colour picture, not a radiograph; its brightness is shown."
        cautions.add("colour", text, "PhotometricInterpretation")
    grey.flags.writeable = False
    return DecodedFrame(grey, bits, signed, "MONOCHROME2", colour, name)


def luminance(rgb: NDArray[Any]) -> tuple[NDArray[np.generic], bool]:
    """Brightness (ITU-R BT.601) of (rows, columns, 3) of any dtype, and whether there was any colour."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red.copy(), False
    weighted = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return weighted.astype(rgb.dtype) if rgb.dtype.kind == "f" else np.round(weighted).astype(rgb.dtype), True
