"""Compressed pixel data. Runs in the reader process only.

Which library decodes what is chosen here by name: trying them in turn, as is the habit, means that a damaged picture is
shown by whichever library notices least. What the codestream says of itself is checked first, so that no library
allocates for a picture that the header does not announce.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import codestream, damage, faults, fragments, jpegls, packets
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.codestream import Codec, Codestream
from cxr_viewer.sources.listening import listening
from cxr_viewer.sources.pixelformat import PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

# codec -> (syntax the decoder is asked for, pydicom's name of the library, name for the inspector)
_DECODERS = {
    Codec.JPEG: (uids.JPEGBaseline8Bit, "gdcm", "gdcm"),
    Codec.JPEG_LOSSLESS: (uids.JPEGLossless, "gdcm", "gdcm"),
    Codec.JPEG_LS: (uids.JPEGLSNearLossless, "pyjpegls", "pyjpegls"),
    Codec.JPEG_2000: (uids.JPEG2000, "pylibjpeg", "pylibjpeg-openjpeg"),
    Codec.HTJ2K: (uids.HTJ2K, "pylibjpeg", "pylibjpeg-openjpeg"),
    Codec.RLE: (uids.RLELossless, "pylibjpeg", "pylibjpeg-rle"),
}
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_TAIL = 4096
_ENDED_BY_MARK = (Codec.JPEG, Codec.JPEG_LOSSLESS)
"""Codecs of which half a codestream is decoded as far as it goes once an end mark stands behind it."""
_WAVELETS = (Codec.JPEG_2000, Codec.HTJ2K)
_LOSSLESS = (uids.JPEG2000Lossless, uids.JPEG2000MCLossless, uids.HTJ2KLossless, uids.HTJ2KLosslessRPCL)
_LEAST_SIDE_PX = 200
"""Of the longer side: what is left of a torn JPEG 2000 at less than that is not shown."""
_WHY = {
    Codec.JPEG: "its transform is that of the reference decoders, and it tells of damage",
    Codec.JPEG_LOSSLESS: "it tells of damage that others pass over",
    Codec.JPEG_LS: "it refuses damage that others show",
    Codec.JPEG_2000: "it keeps signed values, which others shift",
    Codec.HTJ2K: "it is the one that knows this compression",
    Codec.RLE: "it checks the length of every segment",
}
# GDCM has the IJG transform, bit for bit that of dcmtk, at 8 and at 12 bits, in grey and in colour. libjpeg's own is
# off by one in 3 % of the pixels, which a window then makes two of 255 on screen, and by three in colour. Pillow has
# the same transform, but knows no 12 bits and keeps to itself what it notices of damage. pydicom does not let GDCM
# decode 12 bits under their own name; under this one it does, and GDCM goes by the codestream.
_JPEG_12_BIT = uids.JPEGLossless
CODEC_OF = {
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


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """``words`` is uint8 or uint16 (rows, columns), or (rows, columns, 3) in RGB; ``precision`` the bits of a word that
    count; below row ``rows`` there is nothing; ``decoder`` is its name for the inspector; in a ``lossless``
    picture no value came about by rounding; ``signed`` is what its codestream says, None where it says nothing."""

    words: NDArray[Any]
    precision: int
    decoder: str
    rows: int
    lossless: bool = False
    signed: bool | None = None


def decode(pixels: PixelElement, syntax: str, frame: int, form: PixelFormat, cautions: Cautions) -> Decoded:
    """One frame.

    Raises:
        ReadError: the picture is damaged or not the one the header announces.
    """
    data, present, expected = fragments.frame_of(pixels, frame, form, cautions)
    codec, stream = _identify(data, CODEC_OF.get(UID(syntax)), cautions)
    if stream is not None:
        _check(stream, form)
        _tell_precision(stream, form, cautions)
    torn = present < expected
    if torn and stream is not None and codestream.has_end_mark(data):
        torn = False
        if _SEQUENCE_END in data[-_TAIL:]:  # what is missing was lost before it
            cautions.add("damaged-pixels", fragments.DAMAGED, "PixelData")
        else:
            cautions.add("cut-off", "The file stops before its end, but this picture is there whole.", "PixelData")
    share = present / expected if torn else None
    salvaged = _salvaged(data, codec, stream, form, share, cautions) if torn and codec in _WAVELETS else None
    if salvaged is not None:
        return salvaged
    ended = data
    if (torn and codec in _ENDED_BY_MARK) or (codec is Codec.JPEG_LS and not codestream.has_end_mark(data)):
        ended = data.rstrip(b"\xff") + jpegls.END
    try:
        decoded, heard = _decoded(ended, codec, stream, form, cautions)
    except ReadError as error:
        salvaged = _salvaged(ended, codec, stream, form, share, cautions)
        if salvaged is not None:
            return salvaged
        raise faults.truncated(present, expected) if torn else error from error
    if not torn:
        _tell_damage(data, codec, heard, form, cautions)
        return replace(decoded, lossless=codec is Codec.JPEG_LOSSLESS or syntax in _LOSSLESS)
    return _torn(decoded, codec, present, expected, cautions)


def _torn(decoded: Decoded, codec: Codec, present: int, expected: int, cautions: Cautions) -> Decoded:
    """A frame that its decoder finished without the data for it."""
    whole = len(decoded.words)
    rows = damage.rows_before_filling(decoded.words, 8 if codec is Codec.JPEG else 1)
    if codec not in _ENDED_BY_MARK or decoded.words.ndim != 2 or rows == whole:
        share = 100 * present / expected
        text = f"The file is truncated: {share:.0f} % of the compressed picture is there; the rest is missing or wrong."
        cautions.add("truncated", text, "PixelData")
        return decoded
    if rows < damage.LEAST_SHARE * whole:
        raise faults.truncated(present, expected)
    cautions.add("truncated", _upper(rows, whole), "PixelData")
    return replace(decoded, rows=rows)


def _upper(rows: int, whole: int) -> str:
    share = 100 * rows / whole
    return f"The file is truncated: only the upper {share:.0f} % of the picture is there, the rest is black."


def codestream_of(pixels: PixelElement, frame: int, form: PixelFormat, cautions: Cautions) -> tuple[bytes, Codestream]:
    """The whole codestream of one frame and what it says of itself.

    Raises:
        ReadError: there is none, a part of it is missing, or it is not the picture the header announces.
    """
    data, present, expected = fragments.frame_of(pixels, frame, form, cautions)
    if present < expected:
        raise faults.truncated(present, expected)
    stream = codestream.inspect(data)
    if stream is None:
        raise faults.damaged_pixels("no picture header at the start of the frame")
    _check(stream, form)
    return data, stream


def _decoded(
    data: bytes, codec: Codec, stream: Codestream | None, form: PixelFormat, cautions: Cautions
) -> tuple[Decoded, str]:
    """The frame, and what its decoder wrote to the standard error stream."""
    precision, allocated = form.bits_stored, form.bits_allocated
    if stream is not None:
        precision, allocated = stream.precision, 8 if stream.precision <= 8 else 16
    wanted, plugin, name = _DECODERS[codec]
    if codec is Codec.JPEG:
        data = _with_whole_spectrum(data, cautions)
        wanted = wanted if precision == 8 else _JPEG_12_BIT
    try:
        source = io.BytesIO(encapsulate([data], has_bot=False))
        with listening() as heard:
            words = run(wanted, source, form, allocated, precision, planar=0, plugin=plugin)
    except MemoryError:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise faults.damaged_pixels(f"{name}: {str(error)[-300:]}") from error
    if codec is Codec.JPEG_LOSSLESS and not form.signed and int(words.max()) >> precision:
        cautions.add("damaged-pixels", fragments.DAMAGED, "PixelData")
        cautions.story.pass_over(Stage.DECODER, f"Signs of damage: values of more than {precision} bits.")
    if words.ndim == 2 and stream is not None:
        words = words & ((1 << precision) - 1)
    _tell_decoder(codec, stream, name, cautions)
    own_sign = stream.signed if stream is not None and codec in _WAVELETS else None
    return Decoded(words, precision, name, form.rows, signed=own_sign), heard.text


def _tell_precision(stream: Codestream, form: PixelFormat, cautions: Cautions) -> None:
    """Fewer bits than the header says. More are common: encoders write 16 for the 12 of the film."""
    if stream.precision < form.bits_stored:
        text = f"The compressed picture has {stream.precision} bits, the header says {form.bits_stored}."
        cautions.add("bits-contradiction", text, "BitsStored")


def _tell_decoder(codec: Codec, stream: Codestream | None, name: str, cautions: Cautions) -> None:
    own = f", {stream.precision} bits by its own header" if stream is not None else ""
    rule = f"{codec.value}{own}, was decoded by {name} {_version(name)}: {_WHY[codec]}."
    cautions.story.tell(Stage.DECODER, rule, "PS3.5 8.2")


@lru_cache(maxsize=16)
def _version(name: str) -> str:
    try:
        return metadata.version({"gdcm": "python-gdcm"}.get(name, name))
    except metadata.PackageNotFoundError:
        return ""


def _tell_damage(data: bytes, codec: Codec, heard: str, form: PixelFormat, cautions: Cautions) -> None:
    if codec is not Codec.RLE and not codestream.has_end_mark(data):
        text = "The compressed picture stops before its end mark: a part of it may be missing."
        cautions.add("no-end-mark", text, "PixelData")
    signs = damage.signs(data, codec, heard)
    if codec is Codec.RLE and not signs:
        signs = damage.wrong_segments(data, form.samples * form.bits_allocated // 8)
    if signs:
        cautions.add("damaged-pixels", fragments.DAMAGED, "PixelData")
        cautions.story.pass_over(Stage.DECODER, f"Signs of damage: {signs}.")


# ---------------------------------------------------------------- what no decoder takes


def _salvaged(
    data: bytes, codec: Codec, stream: Codestream | None, form: PixelFormat, share: float | None, cautions: Cautions
) -> Decoded | None:
    """What a frame that its decoder refuses still holds; None where that is next to nothing, or cannot be told.

    Args:
        share: of a torn frame, how much of it is there; None where the file has its length.
    """
    if form.samples != 1:
        return None
    if codec in _WAVELETS and stream is not None:
        return _coarse(data, codec, stream, form, share, cautions)
    if codec is Codec.RLE:
        words, rows = damage.rle_rows(data, form.rows, form.columns, form.bits_allocated)
        precision, rule = form.bits_stored, "What is left of the RLE segments was decoded run by run."
    elif codec is Codec.JPEG_LS and stream is not None:
        words, rows = jpegls.rows_before_the_end(data, stream) or (np.zeros((0, 0), np.uint16), 0)
        precision, rule = stream.precision, "CharLS decoded rows until the data ended or broke."
    else:
        return None
    if rows < damage.LEAST_SHARE * form.rows:
        return None
    if share is not None and rows < form.rows:
        cautions.add("truncated", _upper(rows, form.rows), "PixelData")
    elif codec is Codec.JPEG_LS and rows < form.rows:
        cautions.add("truncated", _upper_damaged(rows, form.rows), "PixelData")
    else:
        cautions.add("damaged-pixels", fragments.DAMAGED, "PixelData")
    cautions.story.tell(Stage.DECODER, rule, "PS3.5 annex G" if codec is Codec.RLE else "PS3.5 8.2.3")
    return Decoded(words, precision, _DECODERS[codec][2], rows)


def _upper_damaged(rows: int, whole: int) -> str:
    share = 100 * rows / whole
    return (
        f"The compressed picture is damaged: only its upper {share:.0f} % could be decoded, and the lower part of that "
        "is probably wrong; the rest is black."
    )


def _coarse(
    data: bytes, codec: Codec, stream: Codestream, form: PixelFormat, share: float | None, cautions: Cautions
) -> Decoded | None:
    """The packets that are there of a JPEG 2000 which stops too early."""
    if share is None and codestream.has_end_mark(data):  # damaged inside: where its packets lie cannot be trusted
        return None
    rebuilt = packets.rebuild(data)
    if rebuilt is None:
        return None
    percent = 100 * rebuilt.whole_rows // form.rows
    too_coarse = max(form.rows, form.columns) >> rebuilt.halvings < _LEAST_SIDE_PX
    if too_coarse and percent < 100 * damage.LEAST_SHARE:
        return None
    try:
        decoded, _ = _decoded(rebuilt.codestream, codec, stream, form, cautions)
    except ReadError:
        return None
    there = "a part" if share is None else f"{100 * share:.0f} %"
    text = f"The file is truncated: only {there} of the compressed picture is there. "
    if too_coarse:  # a tile is missing
        decoded, text = replace(decoded, rows=rebuilt.whole_rows), _upper(rebuilt.whole_rows, form.rows)
    elif percent:
        text += f"Its upper {percent} % is whole; below, fine lines and small shadows are missing."
    else:
        text += "The film is shown coarser than it is; fine lines and small shadows are missing."
    cautions.add("truncated", text, "PixelData")
    rule = "Missing packets were replaced by empty ones, so that what is there could be decoded."
    cautions.story.tell(Stage.DECODER, rule, "ISO 15444-1 annex B")
    return decoded


def _identify(data: bytes, promised: Codec | None, cautions: Cautions) -> tuple[Codec, Codestream | None]:
    """What the frame really is: a codestream names itself, RLE is known by its header."""
    stream = codestream.inspect(data)
    if stream is None:
        if promised is Codec.RLE:
            return promised, None
        if damage.is_rle(data, len(data)):
            cautions.add("wrong-syntax", "The pixels are RLE, not what the file says.", "TransferSyntaxUID")
            return Codec.RLE, None
        raise faults.damaged_pixels("no picture header at the start of the frame")
    if stream.codec is not promised and {stream.codec, promised} != {Codec.JPEG_2000, Codec.HTJ2K}:
        cautions.add(
            "wrong-syntax", f"The pixels are {stream.codec.value}, not what the file says.", "TransferSyntaxUID"
        )
    return stream.codec, stream


def _check(stream: Codestream, form: PixelFormat) -> None:
    if (stream.rows, stream.columns) != (form.rows, form.columns):
        raise faults.size_mismatch((form.rows, form.columns), (stream.rows, stream.columns))
    if stream.components != form.samples:
        raise faults.impossible_value(tol.tag_name("SamplesPerPixel"), form.samples)
    if not 1 <= stream.precision <= 16:
        raise faults.unsupported_depth(f"{stream.precision} bits")


def _with_whole_spectrum(data: bytes, cautions: Cautions) -> bytes:
    """A sequential JPEG whose scan header says 0..63, as it must; some writers leave 0..0, which means nothing else."""
    frame = next((place for place in codestream.segments(data) if data[place + 1] in (0xC0, 0xC1)), None)
    scan = next((place for place in codestream.segments(data) if data[place + 1] == 0xDA), None)
    if frame is None or scan is None:
        return data
    spectrum = scan + 2 + struct.unpack_from(">H", data, scan + 2)[0] - 3
    if data[spectrum : spectrum + 3] == b"\x00\x3f\x00" or spectrum + 3 > len(data):
        return data
    cautions.add("repaired", "A wrong field in the header of the compressed picture was put right before decoding.")
    return data[:spectrum] + b"\x00\x3f\x00" + data[spectrum + 3 :]


def run(
    syntax: UID, source: io.BytesIO, form: PixelFormat, allocated: int, stored: int, *, planar: int, plugin: str = ""
) -> NDArray[Any]:
    """pydicom's decoding of one frame by one library, without its own ideas on unused bits and signs."""
    if syntax in uids.JPEG2000TransferSyntaxes:
        corrections = {"apply_j2k_sign_correction": False}
    elif syntax in uids.JPEGLSTransferSyntaxes:
        corrections = {"apply_jls_sign_correction": False}
    else:
        corrections = {"correct_unused_bits": False}
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
        options["planar_configuration"] = planar
    decoder = get_decoder(syntax)
    array, _ = decoder.as_array(source, index=0, raw=form.samples == 1, decoding_plugin=plugin, **options)
    return np.asarray(array)
