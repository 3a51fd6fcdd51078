"""Where a score comes from: heat maps of all findings on one scale.

**Grad-CAM from the one forward pass.** Every network here ends in ReLU > global average pooling > linear. The gradient
of a logit with respect to the last feature maps is then the head's weight divided by the number of cells, the same in
every cell, so Grad-CAM (Selvaraju et al., ICCV 2017) is ``relu(einsum("kc,chw->khw", weights, features))`` up to that
number. No hook, no backward pass, the same on every engine.

**One scale.** A cell's value ``v`` is in logits: its share of the film's logit is ``v / (h * w)``. The library's own
scaling, each map from its least to its greatest value, paints a red spot on every normal film. Here 1.0 is a heat that
is the same for every film and every finding::

    reference = 10 * ln(10) * temperature

A tenth of the film (about a lobe) at this heat multiplies the calibrated odds of the finding by ten. Only where some
cell of a film is hotter still, that cell is 1.0 instead and all maps of the film are paler by the same factor, so that
no map is cut off and maps of one film can be compared. *Measured* on 400 official test films of the paediatric model
0.2.0, hottest cell, median and 95th percentile: normal films below the operating point 0.10 and 0.27, pneumonia at or
above it 0.66 and 0.83.

Whether a map is shown unasked is decided by the operating point, outside this module.

**Other methods** come from the ``grad-cam`` library. Their units have nothing to do with the score (ScoreCAM's weights
are a softmax, EigenCAM does not know the finding at all), so such a map tells *where*, and gets the strength of the
Grad-CAM map of the same finding: its hottest cell is set to that one's.
"""

from __future__ import annotations

import math

import numpy as np

from cxr_viewer.core.findings import Heatmap, ModelCard
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.inference.engines import Floats

METHODS = ("Grad-CAM", "Grad-CAM++", "LayerCAM", "EigenCAM", "ScoreCAM")
"""Methods to choose from. The first needs nothing but the forward pass; the others run on torch, in its process."""

GRAD_CAM = METHODS[0]
_SHARE = 10.0  # a tenth of the film ...
_ODDS = 10.0  # ... multiplies the odds by ten


def grad_cam(features: Floats, head_weights: Floats) -> Floats:
    """Grad-CAM of every finding, in logits per film that looked like the cell everywhere.

    Args:
        features: post-ReLU maps of one film, float32 (c, h, w).
        head_weights: float32 (k, c).

    Returns:
        float32 (k, h, w), clipped at 0; ``h * w`` times what the ``grad-cam`` library has before its own scaling.
    """
    channels, height, width = features.shape
    maps = head_weights @ features.reshape(channels, height * width)
    clipped: Floats = np.maximum(maps, 0).reshape(-1, height, width)
    return clipped


def reference_heat(card: ModelCard) -> float:
    """The value that is 1.0 on the common scale; see the module's own words."""
    return _SHARE * math.log(_ODDS) * card.temperature


def on_common_scale(maps: Floats, card: ModelCard) -> Floats:
    """Maps (k, h, w) of :func:`grad_cam` as 0..1, all by one factor."""
    scaled: Floats = maps / np.float32(max(reference_heat(card), float(maps.max(initial=0.0))))
    return scaled


def with_strength_of(shapes: Floats, strength: Floats) -> Floats:
    """Maps of another method (k, h, w), each brought to the hottest value of its map in ``strength`` (k, h, w)."""
    tops = shapes.max(axis=(1, 2), keepdims=True)
    wanted = strength.max(axis=(1, 2), keepdims=True)
    scaled: Floats = np.where(tops > 0, shapes / np.where(tops > 0, tops, 1) * wanted, 0).astype(np.float32)
    return scaled


def heatmaps(card: ModelCard, maps: Floats, seen: ImageRect, method: str = GRAD_CAM) -> tuple[Heatmap, ...]:
    """Heat maps in the order of the card's labels.

    Args:
        maps: float32 (k, h, w), 0..1 on the common scale.
        seen: the part of the image the input covered exactly; cells divide it evenly.
    """
    out = []
    for label, values in zip(card.labels, maps, strict=True):
        own = np.ascontiguousarray(values, dtype=np.float32)
        own.flags.writeable = False
        out.append(Heatmap(label.name, own, seen, method))
    return tuple(out)
