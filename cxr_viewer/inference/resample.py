"""Resizing by averaging, and as ``skimage.transform.resize`` does it, many times faster.

TorchXRayVision's models were trained and their published outputs made with that function (its ``XRayResizer``): a
Gaussian blur of ``(factor - 1) / 2`` pixels where the film shrinks, then linear interpolation at pixel centres, each
axis for itself, everything beyond the film 0 in its -1024..1024, that is mid grey. Both steps are linear, so one banded
matrix per axis does them together.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]

BEYOND = np.float32(0.5)
"""The grey beyond the edge of the film."""
_TRUNCATE = 4.0  # scipy.ndimage.gaussian_filter ends its kernel at so many standard deviations
_BLOCK = 8  # so many lines at a time; each reads what it needs of the film, about 160 lines of 3000
_SAMPLE = 16

_Band = tuple[slice, slice, Grey]


def resize_area(grey: Grey, rows: int, columns: int) -> Grey:
    """Resize with averaging where it shrinks and linear interpolation where it grows, each axis for itself."""
    out = grey
    for target in ((out.shape[0], columns), (rows, columns)):
        if target == out.shape:
            continue
        shrinks = target[0] <= out.shape[0] and target[1] <= out.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        out = np.asarray(cv2.resize(out, (target[1], target[0]), interpolation=method), dtype=np.float32)
    return out


def resize_gaussian(grey: Grey, rows: int, columns: int) -> Grey:
    """``skimage.transform.resize(grey, (rows, columns), mode="constant", cval=0.5)`` in float32.

    Args:
        grey: float32 (h, w), finite.

    Returns:
        float32 (rows, columns), a new array within the least and the greatest value of ``grey``.
    """
    if grey.shape == (rows, columns):
        return grey.copy()
    narrow = np.empty((rows, grey.shape[1]), dtype=np.float32)
    for lines, source, weights in _bands(grey.shape[0], rows):
        part = grey[source] - BEYOND
        np.matmul(weights, part, out=narrow[lines])
    out = np.empty((rows, columns), dtype=np.float32)
    for lines, source, weights in _bands(grey.shape[1], columns):
        np.matmul(narrow[:, source], weights.T, out=out[:, lines])
    out += BEYOND
    return _within(out, grey)


def _within(out: Grey, grey: Grey) -> Grey:
    """``out`` clipped to the range of ``grey``; the blur draws towards mid grey at the edges of the film."""
    sample = grey[::_SAMPLE, ::_SAMPLE]
    if sample.min() <= BEYOND <= sample.max():  # then nothing can leave the range
        return out
    return np.clip(out, grey.min(), grey.max(), out=out)


@lru_cache(maxsize=64)  # some hundred kilobytes each
def _bands(source: int, target: int) -> tuple[_Band, ...]:
    """The operator from ``source`` to ``target`` values of one axis, cut into blocks of lines.

    Returns:
        ``(lines, needed, weights)`` with ``out[lines] = weights @ values[needed]``.
    """
    places, taps = _taps(source, target)
    bands = []
    for first in range(0, target, _BLOCK):
        lines = slice(first, min(first + _BLOCK, target))
        starts = places[lines]
        low = max(0, int(starts.min()))
        high = min(source, int(starts.max()) + taps.shape[1])
        weights = np.zeros((lines.stop - lines.start, high - low), dtype=np.float32)
        for line, start in enumerate(starts):
            begin, end = max(int(start), low), min(int(start) + taps.shape[1], high)
            weights[line, begin - low : end - low] = taps[first + line, begin - start : end - start]
        weights.flags.writeable = False
        bands.append((lines, slice(low, high), weights))
    return tuple(bands)


def _taps(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each line of the target: the first line of the source that counts (may lie beyond the edge), and weights."""
    factor = source / target
    centres = (np.arange(target) + 0.5) * factor - 0.5
    below = np.floor(centres).astype(np.int64)
    part = (centres - below)[:, None]
    blur = _gaussian(max(0.0, (factor - 1) / 2))
    taps = np.zeros((target, blur.size + 1))
    taps[:, :-1] += (1 - part) * blur
    taps[:, 1:] += part * blur
    return below - blur.size // 2, taps


def _gaussian(sigma: float) -> NDArray[np.float64]:
    radius = int(_TRUNCATE * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / math.fsum(weights))
