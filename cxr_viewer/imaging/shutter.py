"""What a film's display shutter covers (PS3.3 C.7.6.11)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.grid import Axis, Grid

_ON_EDGE_PX = 1e-6


def covered(image: Radiograph, grid: Grid) -> NDArray[np.bool_] | None:
    """Which pixels of a grid are covered: those whose middle lies outside any one of the shutter's shapes.

    A pixel whose middle lies just on an edge is not covered.

    Returns:
        bool ``grid.shape`` in the film's own axes; None for a film without a shutter.
    """
    shutter = image.shutter
    if shutter is None:
        return None
    xs, ys = grid.x.centres, grid.y.centres
    hidden = np.zeros(grid.shape, dtype=np.bool_)
    if shutter.rectangle is not None:
        left, top, right, bottom = shutter.rectangle
        hidden |= ((xs < left) | (xs > right))[None, :]
        hidden |= ((ys < top) | (ys > bottom))[:, None]
    if shutter.circle is not None:
        x, y, radius = shutter.circle
        down = (ys - y) * _tallness(image)
        hidden |= ((xs - x) ** 2)[None, :] + (down**2)[:, None] > radius * radius
    if shutter.polygon:
        hidden |= ~_inside(shutter.polygon, grid.x, grid.y)
    return hidden


def _tallness(image: Radiograph) -> float:
    """Height of a pixel over its width: the radius is counted in pixels along a row, and the circle is round."""
    return image.spacing.row_mm / image.spacing.column_mm if image.spacing is not None else 1.0


def _inside(corners: tuple[tuple[float, float], ...], x: Axis, y: Axis) -> NDArray[np.bool_]:
    """Which middles lie in a polygon or on its edge, by the even-odd rule.

    The rule leaves it open on which side a point on an edge lies; counted once for each side, all of them are found.
    """
    xs, ys = x.centres, y.centres
    if x.step < 0:
        return _inside(corners, Axis(x.first + x.step * x.count, -x.step, x.count), y)[:, ::-1]
    inside = np.zeros((ys.size, xs.size), dtype=np.bool_)
    for lower_end in (True, False):
        for nudge in (-_ON_EDGE_PX, _ON_EDGE_PX):
            crossed = np.zeros((ys.size, xs.size + 1), dtype=np.uint8)
            for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
                if y0 == y1:
                    continue
                low, high = min(y0, y1), max(y0, y1)
                rows = np.flatnonzero((ys >= low) & (ys < high) if lower_end else (ys > low) & (ys <= high))
                at = x0 + (ys[rows] - y0) * ((x1 - x0) / (y1 - y0))
                crossed[rows, np.searchsorted(xs, at + nudge)] ^= 1  # an edge crosses each row once
            inside |= np.bitwise_xor.accumulate(crossed[:, :-1], axis=1) == 1
    for corner_x, corner_y in corners:  # where two edges meet at the top or bottom of a corner, they cancel out
        inside[np.ix_(np.flatnonzero(ys == corner_y), np.flatnonzero(xs == corner_x))] = True
    return inside
