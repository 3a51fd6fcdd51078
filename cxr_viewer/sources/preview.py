"""A picture of lower resolution, early, of films that take long to decode. Runs in the reader process only.

JPEG 2000 keeps a film at several resolutions, each half the next one; one of a quarter of the size takes a tenth of the
time. Pillow decodes it (pylibjpeg-openjpeg always decodes the whole). It is enlarged to the size of the film, so that
the whole takes its place without a jump. Where anything is out of the ordinary there is no preview: it is a courtesy.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000TransferSyntaxes

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, codestream, compressed, decoder, plausibility
from cxr_viewer.sources.codestream import Codec, Codestream
from cxr_viewer.sources.decoder import DecodedFrame
from cxr_viewer.sources.dicomfile import DicomFile
from cxr_viewer.sources.pixelformat import PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

LEAST_SIDE_PX = 500
"""Of the longer side; half of what a pane usually has, where twice as much would take four times as long."""
LEAST_BYTES = {Codec.JPEG_2000: 1 << 20, Codec.HTJ2K: 10 << 20}
"""Compressed. Decoding takes its time by them, about 85 and 10 ms a megabyte; what is there in 100 ms needs none."""
MOST_MEGAPIXELS = 25.0
"""The window's process holds preview and film for a moment, within the memory that one very large film takes."""
DECODER = "Pillow, reduced resolution"
_SIZE, _CODING, _COMPONENT_CODING, _TILE = 0xFF51, 0xFF52, 0xFF53, 0xFF90


class _NoPreviewError(Exception):
    """Something is out of the ordinary."""


@dataclass(frozen=True, slots=True)
class Wavelet:
    """``levels`` times the picture can be halved; its first pixel lies at (``left``, ``top``) of the reference grid."""

    levels: int
    left: int
    top: int

    def first(self, times: int) -> tuple[int, int]:
        """(x, y) of the first pixel, halved ``times`` times."""
        return -(-self.left >> times), -(-self.top >> times)

    def size(self, rows: int, columns: int, times: int) -> tuple[int, int]:
        """(columns, rows) of the picture, halved ``times`` times (ISO 15444-1 B.5)."""
        x, y = self.first(times)
        return -(-(self.left + columns) >> times) - x, -(-(self.top + rows) >> times) - y


def warm_up() -> None:
    """Load what the first preview would wait for."""
    import cv2  # noqa: F401
    from PIL import Jpeg2KImagePlugin  # noqa: F401


def attempt(file: DicomFile, path: Path, frame: int) -> Radiograph | None:
    """The film at lower resolution, enlarged, with everything else as the whole film has it; None where it has none.

    Its digest, and the identity that may depend on it, are not there yet.
    """
    if file.pixels is None or file.syntax not in JPEG2000TransferSyntaxes:
        return None
    try:
        film = attributes.radiograph(file, path, "", frame, _decode_frame)
    except (_NoPreviewError, ReadError):
        return None
    except Exception:  # whatever it is, the whole film tells of it
        return None
    return replace(plausibility.checked(film), preview=True)


def _decode_frame(
    ds: Dataset,
    pixels: PixelElement,
    syntax: str,
    frame: int,
    form: PixelFormat,
    cautions: Cautions,
    overlay_bits: int = 0,
) -> DecodedFrame:
    """In place of :func:`decoder.decode_frame`. Raises _NoPreviewError, ReadError, or whatever Pillow does."""
    if not 0 <= frame < form.frames or form.samples != 1 or not form.photometric.startswith("MONOCHROME"):
        raise _NoPreviewError
    data, stream = compressed.codestream_of(pixels, frame, form, cautions)
    if stream.codec not in LEAST_BYTES or len(data) < LEAST_BYTES[stream.codec]:
        raise _NoPreviewError
    if form.rows * form.columns > MOST_MEGAPIXELS * 1_000_000:
        raise _NoPreviewError
    if form.frames > 1:
        cautions.add("multi-frame", f"Frame {frame + 1} of {form.frames} is shown.", "NumberOfFrames")
    if form.signed != stream.signed:  # two's complement in an unsigned codestream: halving mixes the ends of the range
        raise _NoPreviewError
    words = reduced(data, stream, halvings(stream.rows, stream.columns), form.bits_stored)
    if words is None:
        raise _NoPreviewError
    stored, bits = decoder.typed(words, stream.precision, form)
    stored.flags.writeable = False
    return DecodedFrame(stored, bits, form.signed, form.photometric, DECODER)


def halvings(rows: int, columns: int) -> int:
    """How often a picture can be halved and still have ``LEAST_SIDE_PX`` on its longer side."""
    times = 0
    while max(rows, columns) >> (times + 1) >= LEAST_SIDE_PX:
        times += 1
    return times


def reduced(data: bytes, stream: Codestream, times: int, bits: int) -> NDArray[Any] | None:
    """The picture decoded at 1 / 2**``times`` of its resolution and enlarged again, as words like those of the whole.

    Args:
        bits: to which the values are cut; at lower resolutions they overshoot beside sharp edges.

    Returns:
        uint8 or uint16 (rows, columns), ``stream.precision`` bits; None where the codestream has no such resolution.
    """
    wavelet = wavelet_of(data)
    if wavelet is None or not 0 < times <= wavelet.levels or not codestream.has_end_mark(data):
        return None
    if not 1 <= stream.precision <= 16:
        return None
    from PIL import Jpeg2KImagePlugin

    picture = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    picture.reduce = times
    # Pillow halves and rounds what the standard rounds up, and then finds the stream broken: so it is given a multiple.
    columns, rows = wavelet.size(stream.rows, stream.columns, times)
    picture._size = (columns << times, rows << times)
    picture.load()
    scaled = np.asarray(picture)
    if scaled.ndim != 2 or scaled.dtype != (np.uint8 if stream.precision <= 8 else np.uint16):
        return None
    # Pillow moves signed values up by half the range and all values up to the full 8 or 16 bits.
    values = scaled >> (8 * scaled.dtype.itemsize - stream.precision)
    zero, bits = (1 << (stream.precision - 1) if stream.signed else 0), min(bits, stream.precision)
    low = zero - (1 << (bits - 1)) if stream.signed else 0
    large = enlarged(np.clip(values, low, low + (1 << bits) - 1), times, wavelet, (stream.rows, stream.columns))
    large ^= np.asarray(zero, large.dtype)  # two's complement again
    return large


def enlarged(small: NDArray[Any], times: int, wavelet: Wavelet, shape: tuple[int, int]) -> NDArray[Any]:
    """``small`` interpolated to ``shape``: its pixel k lies on pixel k * 2**times of the reference grid (ISO 15444-1
    B.5), not in the middle of those it stands for."""
    import cv2

    step = 1 << times
    first_x, first_y = wavelet.first(times)
    matrix = np.array([[1 / step, 0.0, wavelet.left / step - first_x], [0.0, 1 / step, wavelet.top / step - first_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(small, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, dtype=small.dtype)


def wavelet_of(data: bytes) -> Wavelet | None:
    """What the main header of a JPEG 2000 codestream says (ISO 15444-1 A.5, A.6); None where that is not all of it."""
    start = data.find(b"\xff\x4f\xff\x51", 0, 65536)
    if start < 0:
        return None
    place, levels, left, top = start + 2, None, 0, 0
    try:
        while True:
            marker, length = struct.unpack_from(">HH", data, place)
            if marker == _SIZE:
                left, top = struct.unpack_from(">II", data, place + 14)
            elif marker == _CODING:
                levels = data[place + 9]
            elif marker == _TILE:
                return None if levels is None or levels > 32 else Wavelet(levels, left, top)
            elif marker == _COMPONENT_CODING or length < 2 or marker < 0xFF00:
                return None
            place += 2 + length
    except (struct.error, IndexError):
        return None
