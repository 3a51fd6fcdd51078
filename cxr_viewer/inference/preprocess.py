"""From stored pixels to what a network is fed; the same code in training and in reading.

1. :func:`model_grey`: stored values -> grey 0..1, bright = dense, independent of the window on screen.
2. :func:`exposed_area`: which part of the film was exposed and holds the body.
3. :func:`prepare`: crop, fit, resize, normalise; returns where the network looked.

Why the file's own default VOI comes first: the films these networks learn from are windowed pictures, so the window
the maker of the film intended brings a DICOM film nearest to them. It is used only where it keeps the film's contrast
(see :func:`_keeps_contrast`); otherwise the modality values are taken. In both cases the result is stretched between
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
from cxr_viewer.core.image import ModalityTable, Radiograph, Rescale, Voi, VoiTable, VoiWindow, WindowFunction
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
    stored = image.stored
    lowest, highest = int(stored.min()), int(stored.max())
    domain = np.arange(lowest, highest + 1, dtype=np.int64)
    padding = _padding_mask(domain, image.padding)
    modality = _modality_values(domain, image.modality_lut)
    everywhere = _counts(stored, lowest, domain.size) * ~padding
    if np.count_nonzero(everywhere) < 2:
        raise RefusalError("All pixels of this image have the same value.", code="blank-image")
    values = modality
    if image.voi:
        windowed = voi_values(modality, image.voi[0])
        if _keeps_contrast(windowed, everywhere):
            values = windowed
    values = -values if luts.inverts(image) else values

    step = max(1, min(stored.shape) // _WORK_PX)
    sketch = _stretched(values, everywhere, padding)[stored[::step, ::step].astype(np.int64) - lowest]
    area = exposed_area(sketch)
    top, left = int(area.y) * step, int(area.x) * step
    inside = stored[top : top + int(area.height) * step, left : left + int(area.width) * step]
    counts = _counts(inside, lowest, domain.size) * ~padding
    table = _stretched(values, counts if np.count_nonzero(counts) > 1 else everywhere, padding)
    if lowest < 0:
        return np.take(table, stored.astype(np.int32) - lowest)
    full = np.zeros(highest + 1, dtype=np.float32)
    full[lowest:] = table
    index: NDArray[np.integer] = stored  # type: ignore[assignment]  # stored pixels are whole numbers
    return np.take(full, index)


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


def seen_area(grey: Grey, spec: InputSpec) -> ImageRect:
    """The part of the image, in image pixels, that the square input covers exactly; outside the image where padded."""
    rows, columns = grey.shape
    area = exposed_area(grey) if spec.crop_border else ImageRect(0, 0, columns, rows)
    if spec.fit == "stretch":
        return area
    side = max(area.width, area.height) if spec.fit == "pad" else min(area.width, area.height)
    left = area.x + (area.width - side) // 2
    top = area.y + (area.height - side) // 2
    return ImageRect(left, top, side, side)


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
    seen = seen_area(grey, spec)
    area = exposed_area(grey) if spec.crop_border and spec.fit == "pad" else seen
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


def voi_values(modality: NDArray[np.float64], voi: Voi) -> NDArray[np.float64]:
    """A VOI applied to modality values, 0..1 (PS3.3 C.11.2.1)."""
    if isinstance(voi, VoiTable):
        index = np.clip(np.rint(modality) - voi.first, 0, voi.values.size - 1).astype(np.int64)
        return np.asarray(voi.values[index] / max(1, 2**voi.bits - 1), dtype=np.float64)
    return _window_values(modality, voi)


def _window_values(x: NDArray[np.float64], voi: VoiWindow) -> NDArray[np.float64]:
    center, width = voi.center, max(voi.width, 1e-6)
    if voi.function is WindowFunction.SIGMOID:
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -60, 60))))
    if voi.function is WindowFunction.LINEAR_EXACT:
        return np.clip((x - center) / width + 0.5, 0.0, 1.0)
    if width <= 1:
        return np.where(x <= center - 0.5, 0.0, 1.0)
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _modality_values(stored: NDArray[np.int64], lut: Rescale | ModalityTable) -> NDArray[np.float64]:
    if isinstance(lut, ModalityTable):
        index = np.clip(stored - lut.first, 0, lut.values.size - 1)
        return lut.values[index].astype(np.float64)
    return np.asarray(stored * float(lut.slope) + float(lut.intercept), dtype=np.float64)


def _padding_mask(domain: NDArray[np.int64], padding: tuple[int, int] | None) -> NDArray[np.bool_]:
    if padding is None:
        return np.zeros(domain.size, dtype=np.bool_)
    return (domain >= padding[0]) & (domain <= padding[1])


def _counts(stored: NDArray[np.generic], lowest: int, size: int) -> NDArray[np.int64]:
    """How often each value from ``lowest`` on occurs."""
    shift = max(0, -lowest)
    flat = stored.ravel() if shift == 0 else stored.astype(np.int32).ravel() + shift
    counts: NDArray[np.int64] = np.bincount(flat, minlength=lowest + shift + size)[lowest + shift :]
    return counts


def _weighted_percentiles(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    low, high = (np.searchsorted(cumulative, p / 100 * cumulative[-1]) for p in STRETCH_PERCENTILES)
    last = values.size - 1
    return float(values[order[min(int(low), last)]]), float(values[order[min(int(high), last)]])


def _stretched(values: NDArray[np.float64], counts: NDArray[np.int64], padding: NDArray[np.bool_]) -> Grey:
    """``values`` between their percentiles as 0..1, weighted by how often they occur; padding as 0."""
    low, high = _weighted_percentiles(values, counts)
    if high <= low:  # more than 99 % of the film is one value
        used = values[counts > 0]
        low, high = float(used.min()), float(used.max())
    table = np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(values.size)
    table[padding] = 0.0
    return table.astype(np.float32)


def _keeps_contrast(windowed: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    """A VOI is taken if it clips at most half of the film and spreads the rest over at least a quarter of the greys."""
    total = int(counts.sum())
    clipped = int(counts[(windowed <= 0.0) | (windowed >= 1.0)].sum())
    low, high = _weighted_percentiles(windowed, counts)
    return clipped <= 0.5 * total and high - low >= 0.25


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
