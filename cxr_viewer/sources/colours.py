"""Colour pixels that lie uncompressed in the file, in whatever way the standard ever had for them, as RGB.

Runs in the reader process only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.pixelformat import PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_FULL = ("YBR_FULL", "YBR_FULL_422")
_PARTIAL = ("YBR_PARTIAL", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
# CCIR 601 with 16 to 235 for brightness and 16 to 240 for colour (PS3.3 C.7.6.3.1.2), the way back to RGB.
_FROM_PARTIAL = np.linalg.inv([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]])


def arranged(words: NDArray[Any], form: PixelFormat) -> NDArray[Any]:
    """The samples of one frame as (rows, columns, samples), in the colour space of the file.

    Args:
        words: as they lie, uint8 or uint16 in any byte order.

    Raises:
        ReadError: pixels that share colours and cannot be paired.
    """
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    shape = (form.rows, form.columns, form.samples)
    if form.subsampled:
        if form.columns % 2:
            raise faults.impossible_value(tol.tag_name("Columns"), f"{form.columns} (pixels share colours in pairs)")
        pairs = words.reshape(-1, 4)
        return pairs[:, [0, 2, 3, 1, 2, 3]].reshape(shape)
    if form.planar:
        return np.ascontiguousarray(words.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0))
    return words.reshape(shape)


def in_rgb(samples: NDArray[Any], form: PixelFormat, cautions: Cautions) -> NDArray[Any]:
    """(rows, columns, 3) in RGB, or (rows, columns) where two samples can only be grey and something else.

    ARGB, CMYK and HSV are retired (PS3.3 C.7.6.3.1.2). What is no colour space at all is taken for RGB, with a caution.
    """
    photometric, highest = form.photometric, (1 << form.bits_stored) - 1
    if samples.shape[2] == 2:
        _tell(cautions, "Each pixel of the file has two samples; the first is shown as grey.", "SamplesPerPixel")
        return np.ascontiguousarray(samples[..., 0])
    if samples.shape[2] == 4:
        return _of_four(samples, photometric, highest, cautions)
    if photometric in _FULL and samples.dtype == np.uint8:
        return np.asarray(convert_color_space(samples, photometric, "RGB"))
    if photometric in _FULL:
        return _back(samples, np.asarray([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]), 0, highest)
    if photometric in _PARTIAL:
        return _back(samples, _FROM_PARTIAL, 16, highest)
    if photometric == "HSV":
        return _of_hsv(samples, highest)
    if photometric != "RGB":
        text = f"The file calls its colours {photometric}, which pixels stored like this cannot be; shown as RGB."
        _tell(cautions, text, "PhotometricInterpretation")
    return samples


def _tell(cautions: Cautions, text: str, keyword: str) -> None:
    cautions.add("photometric", text, keyword)
    cautions.story.pass_over(Stage.PIXELS, text)


def _back(samples: NDArray[Any], matrix: NDArray[Any], dark: int, highest: int) -> NDArray[Any]:
    """Brightness and two colour differences as RGB; ``dark`` is black in 8 bits."""
    unit = (highest + 1) / 256
    shifted = samples.astype(np.float32) - np.asarray([dark, 128, 128], np.float32) * np.float32(unit)
    return _whole(shifted @ matrix.T.astype(np.float32), highest, samples.dtype)


def _of_four(samples: NDArray[Any], photometric: str, highest: int, cautions: Cautions) -> NDArray[Any]:
    if photometric == "CMYK":
        text = "The file holds the colours of inks (CMYK), which say little about a screen; they are shown roughly."
        _tell(cautions, text, "PhotometricInterpretation")
        paper = highest - np.minimum(samples, highest).astype(np.int32)
        return np.asarray(paper[..., :3] * paper[..., 3:] // highest).astype(samples.dtype)
    first = 1 if photometric == "ARGB" else 0
    text = "Each pixel of the file has four samples; three are shown as red, green and blue."
    _tell(cautions, text, "SamplesPerPixel")
    return np.ascontiguousarray(samples[..., first : first + 3])


def _of_hsv(samples: NDArray[Any], highest: int) -> NDArray[Any]:
    hue, saturation, value = (samples[..., i].astype(np.float32) / np.float32(highest) for i in range(3))
    sector = hue * 6 % 6
    # Each colour is the value, less what its distance from the hue on the circle takes of it.
    away = np.stack([np.clip(np.minimum(k, 4 - k), 0, 1) for k in ((sector + n) % 6 for n in (5, 3, 1))], axis=-1)
    return _whole((value[..., None] * (1 - saturation[..., None] * away)) * highest, highest, samples.dtype)


def _whole(numbers: NDArray[Any], highest: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(np.round(numbers), 0, highest).astype(dtype))
