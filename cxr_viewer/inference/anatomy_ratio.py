"""The midline and the callipers of the cardiothoracic ratio, measured on the masks.

The film is laid on a grid of square millimetres (or pixels, where nothing is known), turned so that the midline is
upright; there every extent is read along rows and columns, at half probability between two pixels, and the ends are
taken back to the image.

*Midline.* From midway between the inner borders of the lungs near their tops to midway between their outer borders in
the lower half of the chest; each of the two points lies on a straight line through the middles of many levels (median
slope: Theil 1950, Sen 1968). The heart pushes the inner borders aside, so they are not asked where it lies. The tilt is
found first, then, on the turned film, once more. On held-out films turned by up to 20 degrees it followed within 1
degree in 95 of 100; either border alone was worse.

*Ratio.* Danzer CS, Am J Med Sci 157 (1919) 513-521: the heart's greatest extents to both sides of the midline, added,
over the greatest inner diameter of the chest, all at a right angle to the midline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import Callipers
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.inference.anatomy_masks import Masks

Floats = NDArray[np.float32]

_GRID = 288  # side of the grid on which is measured; the longer side of what the network saw covers 0.82 of it
_FILL = 0.82
_MOST_TILT = 35.0
_UPPER, _LOWER = 0.12, 0.65  # of the lungs' height, from their top
_LEVELS = 3  # grid rows between two levels of the midline


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured on one film.

    Attributes:
        callipers: in image pixels.
        tilt_deg: of the midline, clockwise positive, -90..90.
        heart_side: share of the heart's area right of the midline in the picture less the share left of it.
        widest_at: where the chest is widest between the lungs' highest point (0) and their lowest (1).
    """

    callipers: Callipers
    tilt_deg: float
    heart_side: float
    widest_at: float


def measured(masks: Masks, seen: ImageRect, aspect: float = 1.0) -> Measured | None:
    """Midline, callipers and the heart's side.

    Args:
        masks: on the network's grid, which covers ``seen`` exactly.
        seen: in image pixels.
        aspect: height of an image pixel over its width.

    Returns:
        None unless both lungs and the heart are there and a midline could be drawn between the lungs.
    """
    if len(masks.lungs) != 2 or masks.heart is None:
        return None
    tilt = 0.0
    line = None
    for _ in range(3):
        grid = _Grid(masks, seen, aspect, tilt)
        line = _midline(grid)
        if line is None or abs(tilt + line[1]) > _MOST_TILT:
            return None
        if abs(line[1]) < 0.3:
            break
        tilt += line[1]
    assert line is not None
    return _read_off(_Grid(masks, seen, aspect, tilt), tilt)


class _Grid:
    """The masks on a square grid, turned back by ``tilt_deg``.

    Attributes:
        lungs: float32 (2, n, n): chance of the left and of the right lung in the picture.
        heart: float32 (n, n).
    """

    def __init__(self, masks: Masks, seen: ImageRect, aspect: float, tilt_deg: float) -> None:
        assert masks.heart is not None
        rows, columns = masks.heart.shape
        width, height = seen.width, seen.height * aspect
        scale = _FILL * _GRID / max(width, height)
        angle = math.radians(tilt_deg)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        # From image pixels to the grid: pixels made square, enlarged, turned about the middle.
        self._matrix = turn @ np.diag([scale, scale * aspect])
        middle = np.array([seen.x + seen.width / 2, seen.y + seen.height / 2])
        self._offset = np.full(2, _GRID / 2) - self._matrix @ middle
        self._back = np.linalg.inv(self._matrix)
        # From pixel centres of the masks to those of the grid.
        cell = np.diag([seen.width / columns, seen.height / rows])
        matrix = self._matrix @ cell
        offset = self._offset + self._matrix @ np.array([seen.x, seen.y]) + matrix @ np.array([0.5, 0.5]) - 0.5
        affine = np.column_stack([matrix, offset])

        def laid(chance: Floats) -> Floats:
            return np.asarray(cv2.warpAffine(chance, affine, (_GRID, _GRID), flags=cv2.INTER_LINEAR), dtype=np.float32)

        near = [cv2.dilate(lung.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for lung in masks.lungs]
        self.lungs = np.stack([laid(np.where(one, masks.chances[0], np.float32(0))) for one in near])
        self.heart = laid(masks.chances[1])

    def to_image(self, x: float, y: float) -> Point:
        at = self._back @ (np.array([x, y]) - self._offset)
        return Point(float(at[0]), float(at[1]))


def _midline(grid: _Grid) -> tuple[float, float] | None:
    """Where the midline crosses the middle of the grid's height, and its tilt in degrees, clockwise positive."""
    left, right = (_borders(lung) for lung in grid.lungs)
    heart_rows = np.flatnonzero(grid.heart.max(axis=1) > 0.5)
    rows = np.flatnonzero(np.isfinite(left[0]) & np.isfinite(right[1]))
    if rows.size < 10 * _LEVELS or not heart_rows.size:
        return None
    top, bottom = float(rows[0]), float(rows[-1])
    height = bottom - top
    # Where a lung reaches high above the heart or the other lung hardly at all, the inner borders are asked lower down.
    above = max(float(heart_rows[0]), top + 0.3 * height)
    outer = rows[(rows > top + 0.08 * height) & (rows < top + 0.75 * height)][::_LEVELS]
    inner = rows[(rows > top + 0.03 * height) & (rows < above)][::_LEVELS]
    if outer.size < 6 or inner.size < 6:
        return None
    upper, lower = top + _UPPER * height, top + _LOWER * height
    at_upper = _along(inner, (left[1][inner] + right[0][inner]) / 2, upper)
    at_lower = _along(outer, (left[0][outer] + right[1][outer]) / 2, lower)
    slope = (at_lower - at_upper) / (lower - upper)
    return at_upper + slope * (_GRID / 2 - upper), -math.degrees(math.atan(slope))


def _borders(lung: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each row first rises through 0.5 and last falls through it, between pixel centres; else nan."""
    inside = lung > 0.5
    rows = np.arange(lung.shape[0])
    first = inside.argmax(axis=1)
    last = lung.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    before, after = lung[rows, np.maximum(first - 1, 0)], lung[rows, np.minimum(last + 1, lung.shape[1] - 1)]
    at_first, at_last = lung[rows, first].astype(np.float64), lung[rows, last].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # rows without any; at the very edge nothing lies beyond
        start = np.where(before < 0.5, first + 0.5 - (at_first - 0.5) / (at_first - before), first)
        end = np.where(after < 0.5, last + 0.5 + (at_last - 0.5) / (at_last - after), last + 1)
    found = inside.any(axis=1)
    return np.where(found, start, np.nan), np.where(found, end, np.nan)


def _ends(line: Floats) -> tuple[float, float]:
    """The same of one line, which reaches 0.5."""
    first, last = _borders(line[None])
    return float(first[0]), float(last[0])


def _along(rows: NDArray[np.int64], places: NDArray[np.float64], row: float) -> float:
    """Where the line through the places is at ``row``; its slope is the median over pairs a third of them apart."""
    first, second = np.triu_indices(rows.size, k=max(1, rows.size // 3))
    slope = float(np.median((places[second] - places[first]) / (rows[second] - rows[first])))
    return float(np.median(places - slope * (rows - row)))


def _read_off(grid: _Grid, tilt_deg: float) -> Measured | None:
    line = _midline(grid)
    if line is None:
        return None
    middle = line[0]  # the rest of its tilt, a third of a degree at most, is left out
    left, right = (_borders(lung) for lung in grid.lungs)
    width = right[1] - left[0]
    widest = int(np.nanargmax(width))
    level = widest + 0.5
    heart = grid.heart
    if not (heart > 0.5).any():
        return None
    heart_left, heart_right = _ends(np.asarray(heart.max(axis=0), dtype=np.float32))
    rows = np.arange(_GRID) + 0.5

    def height(column: float) -> float:
        """At which level the heart reaches ``column``: the middle of the rows that come nearest to it."""
        chance = heart[:, min(max(int(column), 0), _GRID - 1)]
        return float(np.median(rows[chance >= 0.9 * chance.max()]))

    top, bottom = _ends(np.asarray(grid.lungs.max(axis=(0, 2)), dtype=np.float32))
    columns = np.arange(_GRID) + 0.5
    inside = heart > 0.5
    side = float((inside * np.clip(columns - middle, -0.5, 0.5)).sum() * 2 / inside.sum())
    callipers = Callipers(
        midline=(grid.to_image(middle, top), grid.to_image(middle, bottom)),
        heart=(grid.to_image(heart_left, height(heart_left)), grid.to_image(heart_right, height(heart_right - 1))),
        chest=(grid.to_image(left[0][widest], level), grid.to_image(right[1][widest], level)),
    )
    return Measured(callipers, tilt_deg, side, (level - top) / (bottom - top))
