"""One frame of DICOM pixel data as stored values. Runs in the reader process only.

Which library decodes what is chosen here by name for every transfer syntax: trying them in turn, as is the habit,
means that a damaged picture is shown by whichever library notices least.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from cxr_viewer.core.errors import ReadError
from cxr_viewer.sources import codestream, faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.codestream import Codec, Codestream
from cxr_viewer.sources.tolerant import Cautions

LIMIT_MEGAPIXELS = 200
UNDEFINED_LENGTH = 0xFFFFFFFF
_GREY = ("MONOCHROME1", "MONOCHROME2")

# codec -> (syntax the decoder is asked for, pydicom's name of the library, name for the inspector)
_DECODERS = {
    Codec.JPEG: (uids.JPEGExtended12Bit, "pylibjpeg", "pylibjpeg-libjpeg"),
    Codec.JPEG_LOSSLESS: (uids.JPEGLossless, "gdcm", "gdcm"),
    Codec.JPEG_LS: (uids.JPEGLSNearLossless, "pyjpegls", "pyjpegls"),
    Codec.JPEG_2000: (uids.JPEG2000, "pylibjpeg", "pylibjpeg-openjpeg"),
    Codec.HTJ2K: (uids.HTJ2K, "pylibjpeg", "pylibjpeg-openjpeg"),
    Codec.RLE: (uids.RLELossless, "pylibjpeg", "pylibjpeg-rle"),
}
_CODEC_OF = {
    uids.JPEGBaseline8Bit: Codec.JPEG,
    uids.JPEGExtended12Bit: Codec.JPEG,
    uids.JPEGLossless: Codec.JPEG_LOSSLESS,
    uids.JPEGLosslessSV1: Codec.JPEG_LOSSLESS,
    uids.JPEGLSLossless: Codec.JPEG_LS,
    uids.JPEGLSNearLossless: Codec.JPEG_LS,
    uids.JPEG2000Lossless: Codec.JPEG_2000,
    uids.JPEG2000: Codec.JPEG_2000,
    uids.JPEG2000MCLossless: Codec.JPEG_2000,
    uids.JPEG2000MC: Codec.JPEG_2000,
    uids.HTJ2KLossless: Codec.HTJ2K,
    uids.HTJ2KLosslessRPCL: Codec.HTJ2K,
    uids.HTJ2K: Codec.HTJ2K,
    uids.RLELossless: Codec.RLE,
}
_NATIVE = (
    "",
    uids.ImplicitVRLittleEndian,
    uids.ExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True, slots=True, eq=False)
class PixelElement:
    """Pixel Data as it lies in the file.

    Attributes:
        data: the file from the first byte of the value on, with whatever follows.
        length: as the element declares it; ``UNDEFINED_LENGTH`` for encapsulated pixels.
    """

    data: memoryview
    length: int
    little_endian: bool


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Image Pixel module (PS3.3 C.7.6.3), checked."""

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
    def frame_bytes(self) -> float:
        """Length of one native frame; a fraction where one-bit frames do not end on a byte."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated / 8


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """Grey pixels as stored: uint8, uint16 or int16 (rows, columns)."""

    stored: NDArray[np.generic]
    bits_stored: int
    signed: bool
    photometric: str
    colour: bool
    decoder: str


# ---------------------------------------------------------------- header


def pixel_format(ds: Dataset, cautions: Cautions) -> PixelFormat:
    """The Image Pixel module, checked before anything is allocated.

    Raises:
        ReadError: a value without which no picture can be built is absent or impossible.
    """
    rows, columns = _needed(ds, "Rows", 1, 65535), _needed(ds, "Columns", 1, 65535)
    if rows * columns > LIMIT_MEGAPIXELS * 1_000_000:
        raise faults.image_too_large(rows, columns, LIMIT_MEGAPIXELS)
    samples = _needed(ds, "SamplesPerPixel", 1, 4, absent=1)
    photometric = tol.code_string(ds, "PhotometricInterpretation")
    if not photometric:
        cautions.add(
            "no-photometric",
            "The file does not say whether low values are dark; they are shown dark.",
            "PhotometricInterpretation",
        )
        photometric = "MONOCHROME2" if samples == 1 else "RGB"
    allocated = _needed(ds, "BitsAllocated", 1, 64)
    if allocated not in (1, 8, 16):
        if allocated in (32, 64):
            raise faults.unsupported_depth(f"{allocated} bits")
        raise faults.impossible_value(tol.tag_name("BitsAllocated"), allocated)
    stored = _needed(ds, "BitsStored", 1, allocated, absent=allocated)
    high = tol.integer(ds, "HighBit")
    if high is None or not stored - 1 <= high < allocated:
        if high is not None:
            cautions.add("bad-high-bit", "The file gives an impossible high bit; the usual one is taken.", "HighBit")
        high = stored - 1
    frames = tol.integer(ds, "NumberOfFrames") if tol.has(ds, "NumberOfFrames") else 1
    if frames is None or frames < 1:
        cautions.add("bad-frames", "The file gives an impossible number of frames; one is read.", "NumberOfFrames")
        frames = 1
    return PixelFormat(
        rows,
        columns,
        samples,
        photometric,
        allocated,
        stored,
        high,
        signed=tol.integer(ds, "PixelRepresentation") == 1,
        planar=1 if tol.integer(ds, "PlanarConfiguration") == 1 else 0,
        frames=frames,
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


# ---------------------------------------------------------------- frame


def decode_frame(
    ds: Dataset, pixels: PixelElement, syntax: str, frame: int, form: PixelFormat, cautions: Cautions
) -> DecodedFrame:
    """Decode frame number ``frame``.

    Raises:
        ReadError: truncated or damaged pixel data, or a transfer syntax that nothing here decodes.
    """
    if not 0 <= frame < form.frames:
        raise faults.no_such_frame(frame, form.frames)
    if form.frames > 1:
        cautions.add("multi-frame", f"Frame {frame + 1} of {form.frames} is shown.", "NumberOfFrames")
    if _is_native(pixels, syntax, form, cautions):
        raw, precision, name = _native(pixels, syntax, frame, form), form.bits_stored, "numpy"
        rgb = raw.ndim == 3
        if not rgb:
            raw = _stored_bits(raw, form, cautions)
    else:
        raw, precision, rgb, name = _compressed(pixels, syntax, frame, form, cautions)
    if rgb or form.photometric not in _GREY:
        return _colour_to_grey(ds, raw, form, precision, name, cautions)
    stored, bits = _typed(raw, precision, form)
    return DecodedFrame(stored, bits, form.signed, form.photometric, False, name)


def _is_native(pixels: PixelElement, syntax: str, form: PixelFormat, cautions: Cautions) -> bool:
    if syntax in _NATIVE:
        if pixels.length == UNDEFINED_LENGTH:
            if bytes(pixels.data[:4]) != b"\xfe\xff\x00\xe0":
                raise faults.wrong_syntax(_syntax_name(syntax), "undefined length, yet no fragments")
            cautions.add(
                "wrong-syntax",
                "The pixels are compressed although the file says that they are not.",
                "TransferSyntaxUID",
            )
            return False
        return True
    if syntax not in _CODEC_OF and (UID(syntax).is_private or pixels.length == UNDEFINED_LENGTH):
        raise faults.unsupported_syntax(_syntax_name(syntax))
    if pixels.length == UNDEFINED_LENGTH:
        return False
    if bytes(pixels.data[:4]) == b"\xfe\xff\x00\xe0":
        return False
    if pixels.length in (int(form.frame_bytes * form.frames), int(form.frame_bytes * form.frames) + 1):
        cautions.add(
            "wrong-syntax", "The pixels are not compressed although the file says that they are.", "TransferSyntaxUID"
        )
        return True
    raise faults.wrong_syntax(_syntax_name(syntax), f"{pixels.length} bytes outside of fragments")


def _syntax_name(syntax: str) -> str:
    return (UID(syntax).name or syntax)[:80] if syntax else "not given"


# ---------------------------------------------------------------- native pixels


def _native(pixels: PixelElement, syntax: str, frame: int, form: PixelFormat) -> NDArray[Any]:
    """The words of one frame, unsigned: (rows, columns), or (rows, columns, 3) in RGB."""
    start, end = form.frame_bytes * frame, form.frame_bytes * (frame + 1)
    present = min(len(pixels.data), pixels.length)
    if present < int(np.ceil(end)):
        raise faults.truncated(max(0, present - int(start)), int(np.ceil(form.frame_bytes)))
    data = pixels.data[int(start) : int(np.ceil(end))]
    if form.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        offset = round((start - int(start)) * 8)
        return bits[offset : offset + form.rows * form.columns].reshape(form.rows, form.columns)
    if form.samples == 1:
        dtype = np.dtype(np.uint8 if form.bits_allocated == 8 else ("<u2" if pixels.little_endian else ">u2"))
        return np.frombuffer(data, dtype).reshape(form.rows, form.columns).astype(dtype.newbyteorder("="), copy=False)
    syntax = uids.ExplicitVRLittleEndian if pixels.little_endian else uids.ExplicitVRBigEndian
    return _run(UID(syntax), "", io.BytesIO(data), form, form.bits_allocated, form.bits_stored, raw=False)


def _stored_bits(words: NDArray[Any], form: PixelFormat, cautions: Cautions) -> NDArray[Any]:
    """Bits Stored out of each word, moved down where High Bit lies higher (PS3.5 8.1.1)."""
    shift = form.high_bit + 1 - form.bits_stored
    if shift:
        words = words >> shift
    mask = (1 << form.bits_stored) - 1
    if words.size and int(words.max()) > mask:
        beyond = words >> form.bits_stored
        extension = ((1 << form.bits_allocated) - 1) >> form.bits_stored >> shift
        sign = (words >> (form.bits_stored - 1)) & 1
        if not (form.signed and np.array_equal(beyond, sign * extension)):
            cautions.add("unused-bits", "Bits beyond those the file declares are set and are left out.", "BitsStored")
        words = words & mask
    return words


def _typed(raw: NDArray[Any], precision: int, form: PixelFormat) -> tuple[NDArray[np.generic], int]:
    """Unsigned words of ``precision`` bits as uint8, uint16 or int16, and the bits they need."""
    if not form.signed:
        highest = int(raw.max()) if raw.size else 0
        bits = max(form.bits_stored, highest.bit_length()) if highest else form.bits_stored
        dtype = np.uint8 if bits <= 8 else np.uint16
        return np.ascontiguousarray(raw, dtype=dtype), bits
    sign = 1 << (precision - 1)
    values = ((raw.astype(np.int32) & ((1 << precision) - 1)) ^ sign) - sign
    limit = 1 << (form.bits_stored - 1)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low >= 0 and limit <= high < 2 * limit:  # two's complement of Bits Stored in a wider, unsigned codestream
        values = (values ^ limit) - limit
        low, high = int(values.min()), int(values.max())
    bits = max(form.bits_stored, high.bit_length() + 1, (-low - 1).bit_length() + 1 if low < 0 else 1)
    return np.ascontiguousarray(values, dtype=np.int16), bits


# ---------------------------------------------------------------- compressed pixels


def _compressed(
    pixels: PixelElement, syntax: str, frame: int, form: PixelFormat, cautions: Cautions
) -> tuple[NDArray[Any], int, bool, str]:
    """(unsigned words, bits per sample, is RGB, decoder)."""
    data = _fragments(pixels, frame, form, syntax)
    stream = codestream.inspect(data)
    codec = stream.codec if stream else _CODEC_OF.get(UID(syntax))
    if stream is None and codec is not Codec.RLE:
        raise (
            faults.damaged_pixels("no picture header in the first bytes of the frame")
            if any(data[:64])
            else (faults.truncated(0, len(data)))
        )
    assert codec is not None
    if codec is not _CODEC_OF.get(UID(syntax)) and {codec, _CODEC_OF.get(UID(syntax))} != {
        Codec.JPEG_2000,
        Codec.HTJ2K,
    }:
        cautions.add("wrong-syntax", f"The pixels are {codec.value}, not what the file says.", "TransferSyntaxUID")
    if stream is not None:
        _check_stream(stream, form)
    precision = stream.precision if stream else form.bits_stored
    allocated = form.bits_allocated if stream is None else (8 if precision <= 8 else 16)
    wanted, plugin, name = _DECODERS[codec]
    if codec is Codec.JPEG and precision == 8:
        wanted = uids.JPEGBaseline8Bit
    source = io.BytesIO(encapsulate([data], has_bot=False))
    try:
        raw = _run(wanted, plugin, source, form, allocated, precision, raw=form.samples == 1)
    except (ReadError, MemoryError):
        raise
    except Exception as error:
        raise faults.damaged_pixels(f"{name}: {str(error)[:300]}") from error
    if raw.ndim == 2:
        raw = raw & ((1 << precision) - 1) if codec is not Codec.RLE else _stored_bits(raw, form, cautions)
    return raw, precision, raw.ndim == 3, name


def _fragments(pixels: PixelElement, frame: int, form: PixelFormat, syntax: str) -> bytes:
    """The bytes of one compressed frame, its fragments joined."""
    if len(pixels.data) < 16:
        raise faults.truncated(0, 0)
    try:
        return get_frame(bytes(pixels.data), frame, number_of_frames=form.frames)
    except Exception as error:
        raise faults.damaged_pixels(f"fragments: {str(error)[:300]}") from error


def _check_stream(stream: Codestream, form: PixelFormat) -> None:
    if (stream.rows, stream.columns) != (form.rows, form.columns):
        raise faults.size_mismatch((form.rows, form.columns), (stream.rows, stream.columns))
    if stream.components != form.samples:
        raise faults.impossible_value(tol.tag_name("SamplesPerPixel"), form.samples)
    if not 1 <= stream.precision <= 16:
        raise faults.unsupported_depth(f"{stream.precision} bits")


def _run(
    syntax: UID, plugin: str, source: io.BytesIO, form: PixelFormat, allocated: int, stored: int, *, raw: bool
) -> NDArray[Any]:
    """pydicom's decoding of one frame by one library, without its own ideas on unused bits and signs."""
    corrections: dict[str, Any] = (
        {"apply_j2k_sign_correction": False}
        if syntax in uids.JPEG2000TransferSyntaxes
        else {"apply_jls_sign_correction": False}
        if syntax in uids.JPEGLSTransferSyntaxes
        else {"correct_unused_bits": False}
    )
    options: dict[str, Any] = {
        "rows": form.rows,
        "columns": form.columns,
        "samples_per_pixel": form.samples,
        "photometric_interpretation": form.photometric if form.samples > 1 else "MONOCHROME2",
        "bits_allocated": allocated,
        "bits_stored": stored,
        "pixel_representation": 0,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        **corrections,
    }
    if form.samples > 1:
        options["planar_configuration"] = form.planar
    array, _ = get_decoder(syntax).as_array(source, index=0, raw=raw, decoding_plugin=plugin, **options)
    return np.asarray(array)


# ---------------------------------------------------------------- colour


def _colour_to_grey(
    ds: Dataset, raw: NDArray[Any], form: PixelFormat, precision: int, name: str, cautions: Cautions
) -> DecodedFrame:
    """Luminance of a colour picture; grey that was only stored as colour stays what it is."""
    if form.photometric == "PALETTE COLOR":
        try:
            raw = apply_color_lut(raw, ds)
        except Exception as error:
            raise faults.damaged(f"palette: {error!r}"[:300]) from error
        precision = 8 * raw.dtype.itemsize
    if raw.ndim != 3 or raw.shape[2] < 3:
        cautions.add(
            "photometric",
            f"The file calls its pixels {form.photometric[:16]}; they are shown as grey values.",
            "PhotometricInterpretation",
        )
        stored, bits = _typed(raw if raw.ndim == 2 else raw[..., 0], precision, form)
        return DecodedFrame(stored, bits, form.signed, "MONOCHROME2", False, name)
    grey, colour = luminance(raw)
    if colour:
        cautions.add(
            "colour",
            "This is a colour picture, not a radiograph; its brightness is shown.",
            "PhotometricInterpretation",
        )
    return DecodedFrame(grey, 8 if grey.dtype == np.uint8 else 16, False, "MONOCHROME2", colour, name)


def luminance(rgb: NDArray[Any]) -> tuple[NDArray[np.generic], bool]:
    """Brightness (ITU-R BT.601) of uint8 or uint16 (rows, columns, 3), and whether there was any colour."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red), False
    weighted = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return np.round(weighted).astype(rgb.dtype), True
