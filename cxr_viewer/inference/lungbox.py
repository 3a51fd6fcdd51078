"""Which part of a film a model that reads only the lungs is given: one box around both, also where one is white.

A lung full of fluid or consolidation is as bright as the belly, and no network that outlines lungs finds it. The box
around what was found would then cut away the very lung that is ill, and whether it did would tell a model the answer.
So the box is made of whatever belongs to the chest: the large pieces of lung, the small ones at the same level, and the
heart; where a side is still missing it is taken to be as wide as the other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect

Outline = NDArray[np.floating]

_LEAST_LUNG, _MOST_LUNG = 0.02, 0.6  # share of the film: less is no lung, more is no chest
_LARGE = 0.25  # a piece of at least this share of the largest belongs to the lungs wherever it lies
_SMALL = 0.01  # smaller ones are specks
_ONE_LUNG = 0.8  # width over height: a single piece narrower than this is one lung, not two that touch
_USUAL = 2.2  # times as wide as one of its lungs is a chest
_LEAST_SHAPE, _MOST_SHAPE = 0.4, 2.2  # width over height of a chest, as far as bodies go
_LEAST_HEIGHT = 0.25  # of the film


def lungs_box(lungs: Outline, heart: Outline | None, extent: ImageRect) -> ImageRect | None:
    """The box around both lungs, for ``preprocess.see``.

    Args:
        lungs: (h, w), probability that a cell belongs to a lung, 0..1.
        heart: the same of the heart, or None.
        extent: the part of the image that both cover exactly, in image pixels; the film lies upright.

    Returns:
        in image pixels, without a margin; None where there are no lungs, or what there is cannot be a chest.
    """
    pieces = _pieces(lungs)
    if not pieces or not _LEAST_LUNG <= pieces[0][4] / lungs.size <= _MOST_LUNG:
        return None
    first = pieces[0]
    kept = [first]
    for piece in pieces[1:]:
        middle = piece[1] + piece[3] / 2
        beside = first[1] <= middle <= first[1] + first[3]
        if piece[4] >= _LARGE * first[4] or (piece[4] >= _SMALL * first[4] and beside):
            kept.append(piece)
    left, right = min(p[0] for p in kept), max(p[0] + p[2] for p in kept)
    top, bottom = min(p[1] for p in kept), max(p[1] + p[3] for p in kept)
    if heart is not None and (hearts := _pieces(heart)) and hearts[0][4] >= _LARGE * first[4]:
        x, y, width, height, _ = hearts[0]
        left, right, bottom = min(left, x), max(right, x + width), max(bottom, y + height)
    across, down = extent.width / lungs.shape[1], extent.height / lungs.shape[0]
    alone = len(pieces) < 2 or pieces[1][4] < _LARGE * first[4]
    if alone and first[2] * across < _ONE_LUNG * first[3] * down:
        left, right = _both_sides(left, right, first, lungs.shape[1])
    shape = (right - left) * across / ((bottom - top) * down)
    if not _LEAST_SHAPE <= shape <= _MOST_SHAPE or bottom - top < _LEAST_HEIGHT * lungs.shape[0]:
        return None
    return ImageRect(extent.x + left * across, extent.y + top * down, (right - left) * across, (bottom - top) * down)


def _pieces(outline: Outline) -> list[tuple[int, int, int, int, int]]:
    """(x, y, width, height, cells) of each connected piece at 0.5 and above, the largest first."""
    mask = (outline >= 0.5).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
    rows = sorted((tuple(int(value) for value in row) for row in stats), key=lambda row: -row[4])
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def _both_sides(left: int, right: int, lung: tuple[int, int, int, int, int], columns: int) -> tuple[int, int]:
    """The chest's left and right edge where only one lung was found: it grows to the side on which there is more film
    beside that lung."""
    wanted = round(_USUAL * lung[2])
    if lung[0] + lung[2] / 2 < columns / 2:
        return left, min(columns, max(right, lung[0] + wanted))
    return max(0, min(left, lung[0] + lung[2] - wanted)), right
