"""What the program tells of lungs and heart, from the probability maps of the anatomy model.

Masks are cleaned (:mod:`~cxr_viewer.inference.anatomy_masks`), judged, and measured
(:mod:`~cxr_viewer.inference.anatomy_ratio`). Nothing is measured on masks that do not look as those of a frontal chest
film, and no ratio is given for a lateral one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import HEART, LUNGS, Anatomy
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.heatmaps import Heatmap, MapScale
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.core.modelcard import ModelCard
from cxr_viewer.inference.anatomy_masks import Floats, Mask, Masks, Shape, clean, shape_of
from cxr_viewer.inference.anatomy_ratio import Measured, measured

_LEAST_SURE = (0.962, 0.945)  # lungs, heart; see `trusted`
_SURE_HEART = 0.965
_HIGHEST = (
    0.6  # a chest that is widest above this share of the lungs' height has lost its lower part to something opaque
)
_TILT_DEG = 10.0
_GROWN = 18.0
_CUT_SHARE = 0.012  # of the side: a chest that reaches so near to the edge of what was seen goes on behind it


def anatomy_of(
    image: Radiograph, probabilities: NDArray[np.float32], seen: ImageRect, view: View, card: ModelCard
) -> Anatomy:
    """Boxes, outlines, callipers, verdict and cautions of one upright film.

    Args:
        image: the film, for its size and spacing.
        probabilities: float32 (labels, h, w), 0..1, in the order of the card's labels.
        seen: the part of the image that they cover exactly, in image pixels.
        view: of the film, as far as known.
        card: of the anatomy model; has the labels ``Lungs`` and ``Heart``, and the ratio's error.

    Raises:
        ValueError: the card lacks a label, or the probabilities have another shape than it says.
    """
    names = [label.name for label in card.labels]
    maps = np.stack([probabilities[names.index(LUNGS)], probabilities[names.index(HEART)]])
    masks = clean(maps)
    shape = shape_of(maps, masks)
    spacing = image.spacing
    aspect = spacing.row_mm / spacing.column_mm if spacing is not None else 1.0
    found = measured(masks, seen, aspect)
    good = trusted(shape) and found is not None
    told = found if good and view is not View.LATERAL and view is not View.OTHER else None
    return Anatomy(
        model_id=card.model_id,
        model_name=card.name,
        model_version=card.version,
        model_sha256=card.sha256,
        lungs=tuple(_box(lung, seen, image) for lung in masks.lungs),
        heart=None if masks.heart is None else _box(masks.heart, seen, image),
        outlines=tuple(
            _outline(name, chance, seen) for name, chance in zip((LUNGS, HEART), masks.chances, strict=True)
        ),
        callipers=told.callipers if told is not None else None,
        ratio_error=card.ratio_error_of(view.value, sure=sure(shape, told)) if told is not None else 0.0,
        trusted=good,
        heart_side=found.heart_side if good and found is not None else None,
        cautions=tuple(_cautions(masks, found if good else None, view, seen, image)),
    )


def trusted(shape: Shape | None) -> bool:
    """Whether the masks look as those of a frontal chest film should.

    The limits were set on held-out films, whole and spoiled; what they catch stands in the model's card.
    """
    if shape is None:
        return False
    return (
        shape.lungs_sure >= _LEAST_SURE[0]
        and shape.heart_sure >= _LEAST_SURE[1]
        and 0.03 <= shape.lungs_area <= 0.6
        and 0.08 <= shape.heart_area <= 1.1
        and shape.balance >= 0.25
        and shape.overlap >= 0.5
        and shape.between >= 0.8
        and 0.3 <= shape.low <= 1.2
    )


def sure(shape: Shape | None, found: Measured) -> bool:
    """Whether heart and chest are outlined with confidence, so that the smaller error of the ratio holds."""
    return shape is not None and shape.heart_sure >= _SURE_HEART and found.widest_at >= _HIGHEST


def outside_lungs(values: NDArray[np.float32], extent: ImageRect, anatomy: Anatomy) -> float | None:
    """Share of a heat map's weight that lies outside the lungs' box and the heart's.

    Args:
        values: float32 (h, w), 0 or more.
        extent: the part of the image that they cover exactly.

    Returns:
        0..1; None where the anatomy is not trusted, or the map is empty.
    """
    boxes = [box for box in (anatomy.lungs_box, anatomy.heart) if box is not None]
    weights = np.maximum(values, 0)
    total = float(weights.sum())
    if not anatomy.trusted or len(boxes) < 2 or total <= 0:
        return None
    rows, columns = values.shape
    across = _covered(extent.x, extent.width, columns, [(box.x, box.right) for box in boxes])
    along = _covered(extent.y, extent.height, rows, [(box.y, box.bottom) for box in boxes])
    inside = np.maximum.reduce([along[i][:, None] * across[i][None] for i in range(len(boxes))])
    return float(1 - (weights * inside).sum() / total)


def _covered(start: float, length: float, count: int, spans: list[tuple[float, float]]) -> list[NDArray[np.float64]]:
    """Which share of each of ``count`` cells along one axis lies within each span."""
    edges = start + length * np.arange(count + 1) / count
    cell = length / count
    return [np.clip((np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)) / cell, 0, 1) for low, high in spans]


def _box(mask: Mask, seen: ImageRect, image: Radiograph) -> ImageRect:
    """The box around a mask, in image pixels, inside the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    across, down = seen.width / mask.shape[1], seen.height / mask.shape[0]
    left, top = max(0.0, seen.x + columns[0] * across), max(0.0, seen.y + rows[0] * down)
    right = min(float(image.columns), seen.x + (columns[-1] + 1) * across)
    bottom = min(float(image.rows), seen.y + (rows[-1] + 1) * down)
    return ImageRect(left, top, max(right - left, across), max(bottom - top, down))


def _outline(label: str, chances: Floats, seen: ImageRect) -> Heatmap:
    values = np.array(chances, dtype=np.float32)
    values.flags.writeable = False
    return Heatmap(label, values, seen, method="", scale=MapScale.PROBABILITY)


def _cautions(masks: Masks, found: Measured | None, view: View, seen: ImageRect, image: Radiograph) -> list[Caution]:
    if view in (View.LATERAL, View.OTHER):
        return [Caution("no-ratio-view", "A cardiothoracic ratio is measured on frontal films only.")]
    if found is None:
        return [Caution("anatomy-not-trusted", _why_not(masks))]
    out = []
    if view is View.AP:
        text = "AP film: the heart is enlarged by projection; a ratio of 0.50 or more does not mean an enlarged heart."
        out.append(Caution("ratio-ap", text))
    elif view is not View.PA:
        out.append(
            Caution("ratio-view", "Whether this is a PA or an AP film is not known; on AP films the heart is enlarged.")
        )
    age = image.patient.age_years
    if age is not None and age < _GROWN:
        text = "The limit of 0.50 and the expected error are those of adults; in children the heart is wider."
        out.append(Caution("ratio-child", text))
    if found.widest_at < _HIGHEST:
        text = "A lung base was not found, as where it is opaque; the chest may be wider than measured."
        out.append(Caution("ratio-opaque", text))
    if abs(found.tilt_deg) > _TILT_DEG:
        text = f"The chest is tilted by {abs(found.tilt_deg):.0f} degrees; the ratio is measured along its own midline."
        out.append(Caution("ratio-tilted", text))
    if any(_at_edge(point, seen, image) for point in found.callipers.chest):
        out.append(Caution("ratio-cut", "The chest reaches the edge of the film; it may be wider than measured."))
    return out


def _why_not(masks: Masks) -> str:
    if not masks.lungs:
        return "No lungs were found on this film; nothing is measured."
    if len(masks.lungs) < 2:
        return "Only one lung was found on this film; nothing is measured."
    if masks.heart is None:
        return "No heart was found on this film; nothing is measured."
    return "Lungs and heart could not be outlined with confidence; nothing is measured."


def _at_edge(point: Point, seen: ImageRect, image: Radiograph) -> bool:
    left, right = max(0.0, seen.x), min(float(image.columns), seen.right)
    near = _CUT_SHARE * seen.width
    return point.x < left + near or point.x > right - near
