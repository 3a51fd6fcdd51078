"""Outlines of the structures a segmenter found: their lines, colours, and where their names are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.findings import Heatmap
from cxr_viewer.imaging.heatmap import contours_on_image

LEVEL = 0.5
"""A cell belongs to a structure where it is more likely than not."""

Line = NDArray[np.float64]
Box = tuple[float, float, float, float]

# Light enough for dark and (with a dark rim) for bright films; neighbours in a model's order differ in lightness too.
# What is what is told by the name beside the line: fourteen colours cannot be kept apart by everybody.
_COLOURS = (
    (86, 180, 233),
    (240, 228, 66),
    (230, 140, 60),
    (150, 240, 150),
    (235, 130, 215),
    (255, 255, 255),
    (0, 200, 170),
    (255, 200, 140),
    (165, 165, 255),
    (190, 255, 0),
    (255, 120, 120),
    (150, 225, 255),
    (255, 200, 225),
    (190, 160, 110),
)
_GAP_PX = 4.0


def structure_colour(label: str, structures: Sequence[str]) -> tuple[int, int, int]:
    """Red, green, blue of a structure: the same on screen and in the report, whatever else is drawn."""
    return _COLOURS[structures.index(label) % len(_COLOURS)]


def outlines_on_image(heatmap: Heatmap) -> list[Line]:
    """Closed lines around a structure in image pixels, float64 (n, 2), as (x, y)."""
    return contours_on_image(heatmap, LEVEL)


def main_line(lines: Sequence[Line]) -> Line | None:
    """The line around the largest area, beside which the name is written; None without lines."""
    return max(lines, key=_area, default=None)


def _area(line: Line) -> float:
    x, y = line[:, 0], line[:, 1]
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2


def name_places(lines: Sequence[Line], sizes: Sequence[tuple[float, float]], bounds: Box) -> list[Box]:
    """Where the names of outlines are written: just outside their lines, inside ``bounds``, beside each other.

    Args:
        lines: the main line of each structure, float64 (n, 2), in pixels of the screen or page.
        sizes: (width, height) of each name.
        bounds: (left, top, right, bottom) that names have to stay in.

    Returns:
        (left, top, right, bottom) of each name.
    """
    placed: list[Box] = []
    for line, size in zip(lines, sizes, strict=True):
        tried = [_inside(box, bounds) for box in _beside(line, size)]
        placed.append(min(tried, key=lambda box: sum(_overlap(box, other) for other in placed)))
    return placed


def _beside(line: Line, size: tuple[float, float]) -> list[Box]:
    """Above, below, left and right of a line, the best first, and further up and down beside it."""
    width, height = size
    top, bottom = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    left, right = line[line[:, 0].argmin()], line[line[:, 0].argmax()]
    corners = [
        (top[0] - width / 2, top[1] - height - _GAP_PX),
        (bottom[0] - width / 2, bottom[1] + _GAP_PX),
        (left[0] - width - _GAP_PX, left[1] - height / 2),
        (right[0] + _GAP_PX, right[1] - height / 2),
    ]
    for step in range(1, 5):
        for x, y in ((left[0] - width - _GAP_PX, left[1]), (right[0] + _GAP_PX, right[1])):
            corners += [(x, y - step * height), (x, y + step * height)]
    return [(float(x), float(y), float(x) + width, float(y) + height) for x, y in corners]


def _inside(box: Box, bounds: Box) -> Box:
    left, top, right, bottom = box
    dx = max(bounds[0] - left, 0.0) or min(bounds[2] - right, 0.0)
    dy = max(bounds[1] - top, 0.0) or min(bounds[3] - bottom, 0.0)
    return (left + dx, top + dy, right + dx, bottom + dy)


def _overlap(first: Box, second: Box) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return wide * high if wide > 0 and high > 0 else 0.0
