"""From probability maps to two lungs and a heart, and to whether they look as on a frontal chest film.

All on the small grid of the network, where a pixel is as high as wide or nearly so. Sides are those of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LEAST_LUNG = 0.006  # share of the picture; smaller parts are specks
_LEAST_OF_LARGEST = 0.04  # a second lung may be much smaller than the first (effusion, collapse), but no speck of it
_LEAST_HEART = 0.003


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Lungs and heart, cleaned up.

    Attributes:
        lungs: bool (h, w) each, left to right in the picture; none, one or two.
        heart: bool (h, w), or None.
        chances: float32 (2, h, w), the probabilities of lungs and heart, 0 outside of what was kept.
    """

    lungs: tuple[Mask, ...] = field(repr=False)
    heart: Mask | None = field(repr=False)
    chances: Floats = field(repr=False)


def clean(probabilities: Floats) -> Masks:
    """The two largest parts of the lungs and the largest of the heart, without holes.

    Args:
        probabilities: float32 (2, h, w), 0..1: lungs, heart.

    Raises:
        ValueError: another shape.
    """
    if probabilities.ndim != 3 or probabilities.shape[0] != 2:
        raise ValueError(f"expected (2, h, w), not {probabilities.shape}")
    area = probabilities.shape[1] * probabilities.shape[2]
    lungs = _parts(probabilities[0] > 0.5, _LEAST_LUNG * area)[:2]
    if len(lungs) == 2 and lungs[1].sum() < _LEAST_OF_LARGEST * lungs[0].sum():
        lungs = lungs[:1]
    lungs.sort(key=lambda lung: float(np.flatnonzero(lung.any(axis=0)).mean()))
    hearts = _parts(probabilities[1] > 0.5, _LEAST_HEART * area)
    heart = hearts[0] if hearts else None
    chances = np.zeros_like(probabilities)
    for channel, kept in enumerate((lungs, [heart] if heart is not None else [])):
        for one in kept:
            near = cv2.dilate(one.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # the slope outside 0.5, too
            chances[channel][near] = probabilities[channel][near]
            chances[channel][one] = np.maximum(chances[channel][one], np.float32(0.501))  # filled holes
    return Masks(tuple(lungs), heart, chances)


def own_dice(probabilities: Floats) -> NDArray[np.float64]:
    """The Dice coefficient that the probabilities themselves expect of their outline at 0.5, (k,), from (k, h, w)."""
    inside = probabilities > 0.5
    sizes = probabilities.sum(axis=(1, 2), dtype=np.float64) + inside.sum(axis=(1, 2))
    return np.asarray(2 * (probabilities * inside).sum(axis=(1, 2), dtype=np.float64) / np.maximum(sizes, 1e-9))


@dataclass(frozen=True, slots=True)
class Shape:
    """Simple features of a film's masks.

    Attributes:
        lungs_sure, heart_sure: see :func:`own_dice`, of all that the network outlined, specks included.
        specks: share of the outlined lungs that was thrown away as too small or a third part.
        lungs_area, heart_area: share of the picture; the heart's as a share of the lungs'.
        balance: the smaller lung's area over the larger's, 0..1.
        overlap: share of the shorter lung's height that both lungs have in common, 0..1.
        between: share of the heart that lies between the outer borders of the lungs, at levels where both are.
        low: where the heart's middle lies between the lungs' top (0) and bottom (1).
        at_edge: share of the lungs' outline at the edge of the picture.
    """

    lungs_sure: float
    heart_sure: float
    specks: float
    lungs_area: float
    heart_area: float
    balance: float
    overlap: float
    between: float
    low: float
    at_edge: float


def shape_of(probabilities: Floats, masks: Masks) -> Shape | None:
    """Features of a film on which two lungs and a heart were found, else None."""
    if len(masks.lungs) != 2 or masks.heart is None:
        return None
    lungs_sure, heart_sure = own_dice(probabilities)
    first, second = masks.lungs
    both = first | second
    outlined = float((probabilities[0] > 0.5).sum())
    top, bottom = _span(np.asarray(both.any(axis=1)))
    spans = [_span(np.asarray(lung.any(axis=1))) for lung in masks.lungs]
    common = min(span[1] for span in spans) - max(span[0] for span in spans)
    shorter = min(span[1] - span[0] for span in spans)
    heart_rows = np.flatnonzero(masks.heart.any(axis=1))
    edge = np.concatenate([both[0], both[-1], both[:, 0], both[:, -1]])
    around = both & ~(cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    sizes = sorted((float(first.sum()), float(second.sum())))
    return Shape(
        lungs_sure=float(lungs_sure),
        heart_sure=float(heart_sure),
        specks=max(0.0, 1 - float((both & (probabilities[0] > 0.5)).sum()) / outlined),
        lungs_area=float(both.mean()),
        heart_area=float(masks.heart.sum()) / float(both.sum()),
        balance=sizes[0] / sizes[1],
        overlap=max(0.0, common / shorter),
        between=_between(masks.heart, masks.lungs),
        low=float((heart_rows.mean() - top) / (bottom - top)),
        at_edge=float(edge.sum()) / float(around.sum() + edge.sum()),
    )


def _parts(mask: Mask, least: float) -> list[Mask]:
    """Connected parts of at least ``least`` pixels, the largest first, holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA]
    order = [number for number in 1 + np.argsort(-sizes[1:count], kind="stable") if sizes[number] >= least]
    return [_filled(labels == number) for number in order]


def _filled(mask: Mask) -> Mask:
    """Without holes: whatever the outside does not reach."""
    padded = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2)


def _span(line: NDArray[np.bool_]) -> tuple[int, int]:
    """First and one past the last true place."""
    places = np.flatnonzero(line)
    return int(places[0]), int(places[-1]) + 1


def _between(heart: Mask, lungs: tuple[Mask, ...]) -> float:
    """Share of the heart's pixels between the outer borders of both lungs; rows without two lungs do not count."""
    left, right = lungs
    rows = np.flatnonzero(left.any(axis=1) & right.any(axis=1) & heart.any(axis=1))
    if not rows.size:
        return 0.0
    columns = np.arange(heart.shape[1])
    inner = left[rows].argmax(axis=1)[:, None] <= columns
    inner &= columns <= heart.shape[1] - 1 - right[rows, ::-1].argmax(axis=1)[:, None]
    return float((heart[rows] & inner).sum() / heart[rows].sum())
