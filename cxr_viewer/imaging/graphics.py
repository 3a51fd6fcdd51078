"""The graphics a file draws over its film (groups 60xx, PS3.3 C.9.2), at any size.

Seen small, a pixel of the screen is drawn on when any of the film's pixels below it is: averaging would let a line of
one pixel fade away. Seen large, the graphics' own pixels are seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import OverlayPlane, Radiograph
from cxr_viewer.imaging.grid import Axis, Grid

_HALO_ALPHA = 200
_COARSEST = 16


class Graphics:
    """All graphics of one film as one layer of ink. One thread at a time."""

    def __init__(self, image: Radiograph) -> None:
        self._levels = {1: _ink(image.overlays, image.rows, image.columns)}

    def on(self, grid: Grid) -> NDArray[np.uint8]:
        """uint8 ``grid.shape`` in the film's own axes, 255 where there is ink, else 0.

        Exact down to half size; below it ink may lie up to half a pixel of the grid beside its place.
        """
        factor = _factor(min(abs(grid.x.step), abs(grid.y.step)))
        rows, columns = self._levels[1].shape
        ink = _resampled(self._level(factor), grid.y, factor, rows)
        return np.ascontiguousarray(_resampled(np.ascontiguousarray(ink.T), grid.x, factor, columns).T)

    def _level(self, factor: int) -> NDArray[np.uint8]:
        """Ink in squares of ``factor`` image pixels, the last of a row or column reaching beyond the film."""
        if factor not in self._levels:
            finer = self._level(factor // 2)
            even = np.pad(finer, [(0, side % 2) for side in finer.shape])
            down = np.maximum(even[0::2], even[1::2])
            self._levels[factor] = np.maximum(down[:, 0::2], down[:, 1::2])
        return self._levels[factor]


def _ink(planes: Sequence[OverlayPlane], rows: int, columns: int) -> NDArray[np.uint8]:
    """uint8 (rows, columns): 255 under graphics and on the outline of regions; what lies beside the film is cut off."""
    ink = np.zeros((rows, columns), np.uint8)
    for plane in planes:
        top, left = max(0, plane.top), max(0, plane.left)
        bottom = min(rows, plane.top + plane.bits.shape[0])
        right = min(columns, plane.left + plane.bits.shape[1])
        if bottom <= top or right <= left:
            continue
        bits = _outline(plane.bits) if plane.kind == "R" else plane.bits
        part = bits[top - plane.top : bottom - plane.top, left - plane.left : right - plane.left]
        ink[top:bottom, left:right][part != 0] = 255
    return ink


def _outline(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels of a region that touch what lies outside it: filled, it would hide the film."""
    inner = cv2.erode(bits, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(np.where(inner > 0, 0, bits), dtype=np.uint8)


def _factor(step: float) -> int:
    """Side of the squares of ink that are no larger than a step of the grid."""
    return min(_COARSEST, 1 << math.floor(math.log2(step) + 1e-9)) if step > 1 else 1


def _resampled(ink: NDArray[np.uint8], axis: Axis, factor: int, side: int) -> NDArray[np.uint8]:
    """Ink brought to the steps of ``axis`` along its first dimension, whose lines are ``factor`` image pixels wide.

    The last line may reach beyond the ``side`` of the film; its place is the middle of the part that does not, or it
    would fall off the grid.
    """
    out = np.zeros((axis.count, ink.shape[1]), np.uint8)
    if abs(axis.step) <= 1:
        lines = np.floor(axis.centres / factor).astype(np.int64)
        known = (lines >= 0) & (lines < len(ink))
        out[known] = ink[lines[known]]
        return out
    begins = np.arange(len(ink)) * factor
    middles = (begins + np.minimum(begins + factor, side)) / 2
    places = np.floor((middles - axis.first) / axis.step).astype(np.int64)
    inside = np.flatnonzero((places >= 0) & (places < axis.count))
    if inside.size:
        ink, places = ink[inside[0] : inside[-1] + 1], places[inside]
        starts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
        last = np.append(starts[1:], len(places)) - 1
        together = ink[starts]
        for further in range(1, int((last - starts).max()) + 1):  # once or twice; numpy's reduceat is six times slower
            np.maximum(together, ink[np.minimum(starts + further, last)], out=together)
        out[places[starts]] = together
    return out


def coloured(ink: NDArray[np.uint8], colour: tuple[int, int, int], outline_px: int = 1) -> NDArray[np.uint8]:
    """Ink in a colour with a dark outline, so that it is seen on white and on black.

    Args:
        ink: uint8 (height, width), 255 or 0.

    Returns:
        uint8 (height, width, 4), transparent where there is neither. The ink is opaque and its outline black, so it is
        the same premultiplied and not.
    """
    side = 2 * outline_px + 1
    outline = cv2.min(cv2.dilate(ink, np.ones((side, side), np.uint8)), np.full_like(ink, _HALO_ALPHA))
    parts = [cv2.min(ink, np.full_like(ink, part)) for part in colour]
    return np.asarray(cv2.merge([*parts, cv2.max(outline, ink)]), dtype=np.uint8)
