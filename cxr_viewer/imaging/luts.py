"""The grey chain of a film as one lookup table.

Every possible stored value is taken through modality LUT, VOI and presentation (PS3.3 C.11.1, C.11.2, C.11.6) in
float64 and rounded once, to eight bits. The table is then laid over the stored pixels. So a window may follow the hand
at full resolution whatever its function, and no pixel is ever rounded twice.

Tables are indexed by *pattern*: the bits of a stored value read as an unsigned number, so that ``int16`` -1 has
pattern 65535. They hold an entry for each pattern of the dtype, also beyond Bits Stored: a file that breaks its own
promise is shown by the same formula.
"""

from __future__ import annotations

import math
import threading
import weakref
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import ModalityTable, Radiograph, Rescale, Voi, VoiTable, VoiWindow, WindowFunction

_EXPONENT_LIMIT = 700.0  # exp() of more than 709 is no float64
_INDEX_TOLERANCE = 1e-6  # 0.29 * 100 is 28.999999999999996: a whole number spoilt by the slope is still that number


def compose(image: Radiograph, voi: Voi | None, inverted: bool, *, mask_padding: bool = False) -> NDArray[np.uint8]:
    """The table from stored patterns to grey values on screen.

    Args:
        image: the film; its modality LUT, photometric interpretation and presentation LUT shape are applied.
        voi: any of the file's own or the reader's; None spreads the film's lowest to highest modality value, padding
            left out, over black to white.
        inverted: the reader's own inversion, on top of what the file asks for.
        mask_padding: show stored values of the padding range black, whatever the window and polarity.

    Returns:
        uint8 (256,) for 8-bit films, else (65536,), 0 black to 255 white.

    Raises:
        ValueError: ``voi`` is none that :func:`usable` accepts.
    """
    values = modality_of_patterns(image)
    table = to_eight_bits(_voi_output(image, voi, values))
    if inverts(image) != inverted:
        np.subtract(255, table, out=table)
    if mask_padding and image.padding is not None:
        table[padding_patterns(image)] = 0
    return table


def apply(
    stored: NDArray[np.generic], table: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """``table`` laid over stored pixels; the same as indexing, many times faster.

    Args:
        stored: uint8, uint16 or int16 (rows, columns), or (rows, columns, 3) of a colour picture.
        table: from :func:`compose`, laid over each channel.
        out: uint8 array of the same shape to write into; spares the pages of a new one during a drag.

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: the table does not fit the dtype.
    """
    patterns = as_patterns(stored)
    if table.size != 1 << 8 * patterns.dtype.itemsize:
        raise ValueError(f"a table of {table.size} entries does not fit {stored.dtype} pixels")
    return np.asarray(cv2.LUT(patterns, table, out), dtype=np.uint8)


def as_patterns(stored: NDArray[np.generic]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The same bits as unsigned numbers, without a copy. Raises ValueError for any dtype a film cannot have."""
    if stored.dtype == np.uint8 or stored.dtype == np.uint16:
        return stored  # type: ignore[return-value]
    if stored.dtype == np.int16:
        return stored.view(np.uint16)
    raise ValueError(f"stored pixels are uint8, uint16 or int16, not {stored.dtype}")


def inverts(image: Radiograph) -> bool:
    """Whether the file asks for dark and bright to be exchanged after the VOI.

    Presentation LUT Shape decides where it is present (PS3.3 C.11.6.1.2); only without one does MONOCHROME1 mean that
    the lowest value is white (C.7.6.3.1.2).
    """
    if image.presentation_lut_shape == "INVERSE":
        return True
    return image.photometric == "MONOCHROME1" and image.presentation_lut_shape != "IDENTITY"


def usable(voi: Voi) -> bool:
    """Whether the VOI has a picture: finite numbers, a width above 0, a table with entries and 1 to 16 bits.

    Widths between 0 and 1 are illegal for LINEAR but plain in meaning; they are shown as the threshold of width 1.
    """
    if isinstance(voi, VoiTable):
        return voi.values.size > 0 and 1 <= voi.bits <= 16
    return math.isfinite(voi.center) and math.isfinite(voi.width) and voi.width > 0


# ---------------------------------------------------------------- modality


def modality_of_patterns(image: Radiograph) -> NDArray[np.float64]:
    """Modality value of every stored pattern: float64 (256,) or (65536,), read-only, kept between calls."""
    return _modality_of_patterns(image.stored.dtype.str, image.modality_lut)


@lru_cache(maxsize=16)  # half a megabyte each; the films in four panes and their neighbours
def _modality_of_patterns(dtype: str, lut: Rescale | ModalityTable) -> NDArray[np.float64]:
    stored = stored_of_patterns(np.dtype(dtype))
    values = stored.astype(np.float64)
    if isinstance(lut, ModalityTable):  # PS3.3 C.11.1.1
        index = stored.astype(np.int64) - lut.first
        values = lut.values[np.clip(index, 0, lut.values.size - 1)].astype(np.float64)
    elif lut != Rescale():
        values *= lut.slope
        values += lut.intercept
    values.flags.writeable = False
    return values


def stored_of_patterns(dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """The stored value of each pattern 0, 1, 2, ... of a dtype."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return np.arange(1 << 8 * dtype.itemsize, dtype=np.uint32).astype(unsigned).view(dtype)


def modality_values(image: Radiograph) -> NDArray[np.float32]:
    """Modality value of each pixel: float32 (rows, columns)."""
    table = modality_of_patterns(image).astype(np.float32)
    return table[as_patterns(image.stored)]


def modality_at(image: Radiograph, x: float, y: float) -> float | None:
    """Modality value of the pixel under an image point, None outside the film."""
    column, row = math.floor(x), math.floor(y)
    if not (0 <= column < image.columns and 0 <= row < image.rows):
        return None
    return float(modality_of_patterns(image)[as_patterns(image.stored)[row, column]])


def modality_range(image: Radiograph) -> tuple[float, float]:
    """Lowest and highest modality value of the film, padding left out (unless there is nothing else)."""
    values = modality_of_patterns(image)[pattern_counts(image) > 0]
    return float(values.min()), float(values.max())


_counts: dict[tuple[int, tuple[int, int] | None], NDArray[np.float32]] = {}
_counts_lock = threading.Lock()


def pattern_counts(image: Radiograph) -> NDArray[np.float32]:
    """How many pixels have each pattern, padding left out (unless the film is nothing but padding).

    Returns:
        float32 (256,) or (65536,), read-only, kept as long as the film's pixels live.
    """
    key = (id(image.stored), image.padding)
    with _counts_lock:
        known = _counts.get(key)
    if known is not None:
        return known
    patterns = as_patterns(image.stored)
    size = 1 << 8 * patterns.dtype.itemsize
    counts: NDArray[np.float32] = cv2.calcHist([patterns], [0], None, [size], [0, size]).ravel().astype(np.float32)
    if image.padding is not None:
        exposed = np.where(padding_patterns(image), np.float32(0), counts)
        counts = exposed if exposed.any() else counts
    counts.flags.writeable = False
    with _counts_lock:
        if key not in _counts:
            _counts[key] = counts
            weakref.finalize(image.stored, _counts.pop, key, None).atexit = False
    return counts


def padding_patterns(image: Radiograph) -> NDArray[np.bool_]:
    """bool (256,) or (65536,): which stored patterns are padding (PS3.3 C.7.5.1.1.2), both ends included."""
    stored = stored_of_patterns(image.stored.dtype).astype(np.int32)
    if image.padding is None:
        return np.zeros(stored.size, dtype=np.bool_)
    low, high = sorted(image.padding)
    return np.asarray((stored >= low) & (stored <= high), dtype=np.bool_)


# ---------------------------------------------------------------- VOI


def voi_of_patterns(image: Radiograph, voi: Voi | None) -> NDArray[np.float64]:
    """VOI output of every stored pattern, 0 (black) to 255, neither rounded, clipped nor turned by the polarity.

    Returns:
        float64 (256,) or (65536,), a new array.

    Raises:
        ValueError: ``voi`` is none that :func:`usable` accepts.
    """
    return _voi_output(image, voi, modality_of_patterns(image))


def _voi_output(image: Radiograph, voi: Voi | None, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """VOI output of each pattern on a scale of 0 (black) to 255, not yet rounded, in a new array."""
    if voi is None:
        low, high = modality_range(image)
        return np.zeros_like(values) if high <= low else (values - low) / (high - low) * 255.0
    if not usable(voi):
        raise ValueError(f"no picture can be made with {voi!r}")
    if isinstance(voi, VoiTable):
        return _table_output(voi, values)
    return _window_output(voi, values)


def _window_output(voi: VoiWindow, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """LINEAR (PS3.3 C.11.2.1.2.1), SIGMOID (C.11.2.1.3.1), LINEAR_EXACT (C.11.2.1.3.2); not clipped to 0..255."""
    if voi.function is WindowFunction.SIGMOID:
        output = (values - voi.center) * (-4.0 / voi.width)
        np.clip(output, -_EXPONENT_LIMIT, _EXPONENT_LIMIT, out=output)
        np.exp(output, out=output)
        output += 1.0
        return np.divide(255.0, output, out=output)
    if voi.function is WindowFunction.LINEAR_EXACT:
        return ((values - voi.center) / voi.width + 0.5) * 255.0
    if voi.width <= 1.0:
        return np.where(values > voi.center - 0.5, 255.0, 0.0)
    return ((values - (voi.center - 0.5)) / (voi.width - 1.0) + 0.5) * 255.0


def _table_output(voi: VoiTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """VOI LUT (PS3.3 C.11.2.1.1): values before the table take its first entry, values behind it its last."""
    index = np.floor(values + _INDEX_TOLERANCE) - voi.first
    np.clip(index, 0, voi.values.size - 1, out=index)
    entries = voi.values[index.astype(np.int64)].astype(np.float64)
    return entries * (255.0 / ((1 << voi.bits) - 1))


def to_eight_bits(output: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Clip to 0..255 and round half up, in place of ``output``."""
    output += 0.5
    np.clip(output, 0.0, 255.0, out=output)
    return output.astype(np.uint8)
