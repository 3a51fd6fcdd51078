"""Heat maps on the pixels of the film: placed by their extent, edge on edge, and as contours.

A map has few cells, say 8 x 8, and its extent is what those cells cover: the left edge of the first cell is the left
edge of the extent, not its first pixel's centre. Between cell centres values are interpolated along straight lines, as
the ``grad-cam`` library does; outside the outermost centres the outermost value goes on to the extent's edge. Cubic
interpolation looks softer and invents peaks that no cell has.
"""

from __future__ import annotations

import math

import contourpy
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.display import OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.imaging.colormap import colour_of

_FURTHER_LEVELS = (0.5, 0.75)
_LOWEST_LEVEL = 0.01  # a contour at nothing would follow the border of the map
_FIELD_PX = 160  # side to which a map is interpolated before contours are drawn
_RIM = 1e-4  # of a cell: how far beyond the map's edge it falls to nothing, so that contours close along the edge


def heatmap_on_image(heatmap: Heatmap, rows: int, columns: int, side_limit: int | None = None) -> NDArray[np.float32]:
    """A map resampled to the pixels of its film.

    Args:
        rows, columns: size of the film.
        side_limit: with it, a coarser grid over the whole film whose long side has at most so many pixels.

    Returns:
        float32, (rows, columns) or smaller in the same shape, at least 0; pixel centres outside the extent are 0.
    """
    scale = 1.0 if side_limit is None else min(1.0, side_limit / max(rows, columns))
    out_rows, out_columns = max(1, round(rows * scale)), max(1, round(columns * scale))
    extent, (h, w) = heatmap.extent, heatmap.values.shape
    y = (np.arange(out_rows) + 0.5) * (rows / out_rows)
    x = (np.arange(out_columns) + 0.5) * (columns / out_columns)
    down = _weights((y - extent.y) * (h / extent.height), h)
    across = _weights((x - extent.x) * (w / extent.width), w)
    grid: NDArray[np.float32] = down @ np.maximum(heatmap.values, np.float32(0)) @ across.T
    return grid


def _weights(at: NDArray[np.float64], cells: int) -> NDArray[np.float32]:
    """Linear interpolation as a matrix, float32 (len(at), cells).

    ``at`` counts cells from the map's edge, so the centre of the first is at 0.5; rows beyond the edges are 0.
    """
    inside = (at >= 0) & (at < cells)
    index = np.clip(at - 0.5, 0, cells - 1)
    low = np.floor(index).astype(np.int64)
    high = np.minimum(low + 1, cells - 1)
    part = (index - low).astype(np.float32)
    weights = np.zeros((at.size, cells), dtype=np.float32)
    each = np.arange(at.size)
    weights[each, low] = 1 - part
    weights[each, high] += part
    weights[~inside] = 0
    return weights


def contours(values: NDArray[np.float32], level: float) -> list[NDArray[np.float64]]:
    """Lines along which an interpolated map has one value; they close along the map's edge.

    Args:
        values: float32 (h, w).
        level: above 0.

    Returns:
        Closed lines, float64 (n, 2), first point repeated at the end, as (x, y) in cells: the map's edges are at 0, w
        and h, the centre of its first cell at (0.5, 0.5).
    """
    h, w = values.shape
    y, x = _field_places(h), _field_places(w)
    sound = np.fmax(values, np.float32(0))  # fmax takes the number where the other is none
    if h >= _FIELD_PX and w >= _FIELD_PX:  # as fine as it is drawn: the cells themselves, the outermost on to the edge
        field = np.pad(sound, 1, mode="edge")
    else:
        field = _weights(y, h) @ sound @ _weights(x, w).T
    framed = np.zeros((y.size + 2, x.size + 2), dtype=np.float64)
    framed[1:-1, 1:-1] = field
    lines = contourpy.contour_generator(
        np.concatenate(([-_RIM], x, [w + _RIM])), np.concatenate(([-_RIM], y, [h + _RIM])), framed
    ).lines(level)
    return [np.clip(np.asarray(line, dtype=np.float64), 0.0, (w, h)) for line in lines]


def _field_places(cells: int) -> NDArray[np.float64]:
    """Places of the fine field over a map, from edge to edge, with each cell centre among them.

    Of a map that is as fine as what is drawn they are its edges and its cell centres, and nothing is interpolated.
    """
    if cells >= _FIELD_PX:
        places = np.concatenate(([0.0], np.arange(cells) + 0.5, [float(cells)]))
    else:
        steps = 2 * cells * math.ceil(_FIELD_PX / (2 * cells))
        places = np.linspace(0.0, cells, steps + 1)
    places[-1] = np.nextafter(cells, 0)  # the far edge belongs to the last cell
    return places


def contours_on_image(heatmap: Heatmap, level: float) -> list[NDArray[np.float64]]:
    """:func:`contours` of a map in image pixels, as (x, y) with the film's edge at 0."""
    h, w = heatmap.values.shape
    extent = heatmap.extent
    scale = np.array((extent.width / w, extent.height / h))
    return [line * scale + (extent.x, extent.y) for line in contours(heatmap.values, level)]


def contour_levels(overlay: OverlayState) -> tuple[float, ...]:
    """Levels of the lines in contour mode, on screen and in reports: the threshold, and the round levels above it."""
    first = max(overlay.threshold, _LOWEST_LEVEL)
    return (first, *(level for level in _FURTHER_LEVELS if level > first + 0.05))


def contour_colour(level: float) -> tuple[int, int, int]:
    """Red, green, blue of a line: bright enough for a film, and brighter for higher levels."""
    return colour_of(0.5 + 0.5 * level)
