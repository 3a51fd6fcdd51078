"""Which part of a film was exposed and holds the body."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.inference.resample import resize_area

Grey = NDArray[np.float32]

STRETCH_PERCENTILES = (0.5, 99.5)
WORK_PX = 192
"""The side on which the exposed area is looked for."""
_EMPTY_LEVEL = 0.10  # darker than this, after stretching, is air or an unexposed frame
_WHITE_LEVEL = 0.985
_EMPTY_SHARE = 0.88  # a row or column with this share of empty pixels is border; the rest may be side letters
_LEAST_SIDE = 0.35  # an area smaller than this share of the film is not believed


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
    scale = max(1.0, max(rows, columns) / WORK_PX)
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
