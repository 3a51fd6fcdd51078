"""Pixel padding: values that say "no film here" (PS3.3 C.7.5.1.1.2), kept out of averages and shown black."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import luts

_SKETCH_PX = 512
_LEAST_LEFT = 0.2
_LEAST_OF_THE_MIDDLE = 0.5
_MOST_HOLES = 0.01


def believable(image: Radiograph) -> bool:
    """Whether what the file calls padding can be padding. True for a film without any.

    Padding lies around the picture. It is not believed where it would leave less than a fifth of the film, or take
    more than half of the middle of it (half its width and half its height), or punch holes of more than a hundredth of
    the film into it: then the file names values of the anatomy, such as a mediastinum that saturates at the same 0.
    """
    if image.padding is None:
        return True
    step = max(1, max(image.rows, image.columns) // _SKETCH_PX)
    film = exposed(replace(image, stored=np.ascontiguousarray(image.stored[::step, ::step]))) > 0
    rows, columns = film.shape
    middle = film[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    if float(film.mean()) < _LEAST_LEFT or float(middle.mean()) < _LEAST_OF_THE_MIDDLE:
        return False
    return _holes(film) <= _MOST_HOLES * film.size


def _holes(film: NDArray[np.bool_]) -> int:
    """Pixels of padding that do not hang together with the border of the film."""
    around = np.pad(~film, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(around, connectivity=8)
    return int(np.count_nonzero((labels != labels[0, 0]) & (around > 0)))


def exposed(image: Radiograph) -> NDArray[np.uint8]:
    """uint8 (rows, columns): 255 for pixels of the film, 0 for padding."""
    return luts.apply(image.stored, np.where(luts.padding_patterns(image), 0, 255).astype(np.uint8))


def averaged(
    stored: NDArray[np.generic], share: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """A film of another size, padding left out of every average, so that nothing gleams along its border.

    Args:
        stored: (rows, columns).
        share: uint8 of the same shape, how much of each pixel is film, 255 being all of it.
        size: (columns, rows) wanted.

    Returns:
        Stored values of the same dtype, without meaning where their share is 0; their share, uint8.
    """
    smaller = size[0] * size[1] < stored.size
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    weight = share.astype(np.float32)
    weight *= np.float32(1 / 255)
    summed = cv2.resize(stored.astype(np.float32) * weight, size, interpolation=method)
    weight = np.asarray(cv2.resize(weight, size, interpolation=method), dtype=np.float32)
    return divided(np.asarray(summed, dtype=np.float32), weight, stored.dtype)


def divided(
    summed: NDArray[np.float32], weight: NDArray[np.float32], dtype: np.dtype[Any]
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """(values as stored, their share as uint8) of weighted sums and their weights (0..1)."""
    values = np.rint(summed / np.maximum(weight, np.float32(1e-6)))
    limits = np.iinfo(dtype)
    np.clip(values, limits.min, limits.max, out=values)
    return values.astype(dtype), np.rint(weight * np.float32(255)).astype(np.uint8)
