"""From stored pixels to what a network is fed; the same code in training and in reading.

1. :func:`model_grey`: stored values -> grey 0..1, bright = dense, independent of the window on screen.
2. :func:`exposed_area`: which part of the film was exposed and holds the body.
3. :func:`prepare`: crop, fit, resize, normalise; returns where the network looked.

Why the file's own default VOI comes first: the films these networks learn from are windowed pictures, so the window
the maker of the film intended brings a DICOM film nearest to them. It is used only where it keeps the film's contrast
(see :func:`_values`); otherwise the modality values are taken. In both cases the result is stretched between
the 0.5th and 99.5th percentile of the exposed area, so a window that is merely a little wider or brighter changes
little, and films without a VOI (PNG, JPEG) are treated alike.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import luts

Grey = NDArray[np.float32]

STRETCH_PERCENTILES = (0.5, 99.5)
_WORK_PX = 192  # the side on which the exposed area is looked for
_EMPTY_LEVEL = 0.10  # darker than this, after stretching, is air or an unexposed frame
_WHITE_LEVEL = 0.985
_EMPTY_SHARE = 0.88  # a row or column with this share of empty pixels is border; the rest may be side letters
_LEAST_SIDE = 0.35  # an area smaller than this share of the film is not believed


def model_grey(image: Radiograph) -> Grey:
    """Grey values of a film as networks want them, from the stored pixels alone.

    Chain: modality LUT, the file's default VOI where it keeps contrast, percentile stretch over the exposed area,
    polarity (PS3.3 C.7.6.3.1.2, C.11.6) so that bone is white. Padding becomes 0 (air).

    Returns:
        float32 (rows, columns), 0..1.

    Raises:
        RefusalError: all pixels have the same value.
    """
    counts = luts.pattern_counts(image)
    if np.count_nonzero(counts) < 2:
        raise RefusalError("All pixels of this image have the same value.", code="blank-image")
    values = _values(image, counts)
    values = -values if luts.inverts(image) else values
    patterns = luts.as_patterns(image.stored)
    padding = None if image.padding is None else _is_padding(image)

    step = max(1, min(patterns.shape) // _WORK_PX)
    sketch = cv2.LUT(patterns[::step, ::step].copy(), _stretched(values, counts, padding))
    area = exposed_area(np.asarray(sketch, dtype=np.float32))
    top, left = int(area.y) * step, int(area.x) * step
    inside = patterns[top : top + int(area.height) * step, left : left + int(area.width) * step].copy()
    within = np.asarray(cv2.calcHist([inside], [0], None, [values.size], [0, values.size]), dtype=np.float32).ravel()
    if padding is not None:
        within[padding] = 0
    table = _stretched(values, within if np.count_nonzero(within) > 1 else counts, padding)
    return np.asarray(cv2.LUT(patterns, table), dtype=np.float32)


def exposed_area(grey: Grey) -> ImageRect:
    """The part of a film left after cutting away border rows and columns that show nothing.

    Nothing means: at least 88 % of the row or column is dark air, unexposed frame, blank white, or one flat value
    (collimation). Thin bright lines at the edge (2 % of the side) do not stop the cut. Where less than 35 % of a side
    would remain, that side is left whole.

    Args:
        grey: float32 (rows, columns), 0..1, bright = dense.

    Returns:
        whole pixels, inside the image.
    """
    rows, columns = grey.shape
    scale = max(1.0, max(rows, columns) / _WORK_PX)
    size = (max(1, round(columns / scale)), max(1, round(rows / scale)))
    work = resize_area(grey, size[1], size[0])
    box = (0, 0, work.shape[0], work.shape[1])
    for _ in range(3):  # cutting the frame changes what counts as dark, so look again
        new = _trimmed(work, box)
        if new == box:
            break
        box = new
    top, left, bottom, right = box
    y0, y1 = _to_full(top, bottom, work.shape[0], rows)
    x0, x1 = _to_full(left, right, work.shape[1], columns)
    return ImageRect(x0, y0, x1 - x0, y1 - y0)


def prepare(grey: Grey, spec: InputSpec) -> tuple[NDArray[np.float32], ImageRect]:
    """Cut, fit, resize and normalise one film.

    Args:
        grey: float32 (rows, columns), 0..1, bright = dense, as from :func:`model_grey`.

    Returns:
        The input, float32 (1, size, size), C-ordered, ``(grey - mean) / std``, and the rectangle of the image it covers
        exactly, in image pixels. What lies outside the image or, where padded, outside the exposed area, is 0 (air)
        before normalising.
    """
    if spec.fit not in ("pad", "crop", "stretch"):
        raise ValueError(f"unknown fit {spec.fit!r}")
    area = _usable_area(grey, spec)
    seen = _square(area, spec)
    square = resize_area(_cut(grey, seen, area), spec.size_px, spec.size_px)
    normal = (square - np.float32(spec.mean)) / np.float32(spec.std)
    return np.ascontiguousarray(normal[None], dtype=np.float32), seen


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


def _values(image: Radiograph, counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of every stored pattern: the output of the default VOI where it keeps contrast, else the modality value.

    A VOI keeps contrast if it clips at most half of the film and spreads the rest over at least a quarter of the greys.
    """
    if image.voi and luts.usable(image.voi[0]):
        windowed = np.clip(luts.voi_of_patterns(image, image.voi[0]) / 255, 0.0, 1.0)
        clipped = float(counts[(windowed <= 0.0) | (windowed >= 1.0)].sum())
        low, high = _percentiles(windowed, counts)
        if clipped <= 0.5 * float(counts.sum()) and high - low >= 0.25:
            return windowed
    return luts.modality_of_patterns(image)


def _is_padding(image: Radiograph) -> NDArray[np.bool_]:
    stored = luts.stored_of_patterns(image.stored.dtype).astype(np.int32)
    low, high = sorted(image.padding or (1, 0))
    return np.asarray((stored >= low) & (stored <= high), dtype=np.bool_)


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.float32]) -> tuple[float, float]:
    """The two stretch percentiles of ``values``, each occurring ``counts`` times."""
    used = np.flatnonzero(counts)
    order = used[np.argsort(values[used], kind="stable")]
    summed = np.cumsum(counts[order], dtype=np.float64)
    low, high = (int(np.searchsorted(summed, share / 100 * summed[-1])) for share in STRETCH_PERCENTILES)
    return float(values[order[low]]), float(values[order[min(high, order.size - 1)]])


def _stretched(
    values: NDArray[np.float64], counts: NDArray[np.float32], padding: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """``values`` between their percentiles as 0..1, weighted by how often they occur; padding as 0."""
    low, high = _percentiles(values, counts)
    if high <= low:  # more than 99 % of the film is one value
        used = values[counts > 0]
        low, high = float(used.min()), float(used.max())
    table = np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(values.size)
    if padding is not None:
        table[padding] = 0.0
    return table.astype(np.float32)


def _trimmed(work: Grey, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    top, left, bottom, right = box
    part = work[top:bottom, left:right]
    low, high = np.percentile(part, STRETCH_PERCENTILES)
    if high - low < 1e-6:
        return box
    level = (part - low) / (high - low)
    r0, r1 = _occupied(level, work.shape[0])
    c0, c1 = _occupied(level.T, work.shape[1])
    return top + r0, left + c0, top + r1, left + c1


def _occupied(level: NDArray[np.floating], side: int) -> tuple[int, int]:
    """First and one past the last line (row of ``level``) that shows something."""
    dark = (level < _EMPTY_LEVEL).mean(axis=1)
    white = (level > _WHITE_LEVEL).mean(axis=1)
    spread = np.percentile(level, 90, axis=1) - np.percentile(level, 10, axis=1)
    shows = ((np.maximum(dark, white) < _EMPTY_SHARE) & (spread > 0.02)).astype(np.uint8)
    thin = max(2, round(0.02 * side)) + 1
    if shows.size > 2 * thin:  # drop runs thinner than a film's printed edge
        shows = cv2.morphologyEx(shows[:, None], cv2.MORPH_OPEN, np.ones((thin, 1), np.uint8)).ravel()
    lines = np.flatnonzero(shows)
    if lines.size == 0 or lines[-1] + 1 - lines[0] < _LEAST_SIDE * side:
        return 0, level.shape[0]
    return int(lines[0]), int(lines[-1]) + 1


def _to_full(first: int, last: int, work: int, full: int) -> tuple[int, int]:
    low = 0 if first == 0 else round(first * full / work)
    high = full if last == work else round(last * full / work)
    return low, max(high, low + 1)


def _usable_area(grey: Grey, spec: InputSpec) -> ImageRect:
    return exposed_area(grey) if spec.crop_border else ImageRect(0, 0, grey.shape[1], grey.shape[0])


def _square(area: ImageRect, spec: InputSpec) -> ImageRect:
    """What becomes the square input; it reaches outside ``area`` where padded."""
    if spec.fit == "stretch":
        return area
    side = max(area.width, area.height) if spec.fit == "pad" else min(area.width, area.height)
    left = area.x + (area.width - side) // 2
    top = area.y + (area.height - side) // 2
    return ImageRect(left, top, side, side)


def _cut(grey: Grey, seen: ImageRect, area: ImageRect) -> Grey:
    """``seen`` as pixels; 0 wherever it reaches outside ``area``."""
    height, width = int(seen.height), int(seen.width)
    y0, x0 = max(int(area.y), int(seen.y)), max(int(area.x), int(seen.x))
    y1, x1 = min(int(area.bottom), int(seen.bottom)), min(int(area.right), int(seen.right))
    part = np.asarray(grey[y0:y1, x0:x1], dtype=np.float32)
    if part.shape == (height, width):
        return part
    out = np.zeros((height, width), dtype=np.float32)
    top, left = y0 - int(seen.y), x0 - int(seen.x)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out
