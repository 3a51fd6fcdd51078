"""Where a score comes from: heat maps of all findings on one scale.

**Grad-CAM from the one forward pass.** Every network here ends in ReLU > global average pooling > linear. The gradient
of a logit with respect to the last feature maps is then the head's weight divided by the number of cells, the same in
every cell, so Grad-CAM (Selvaraju et al., ICCV 2017) is ``relu(einsum("kc,chw->khw", weights, features))`` up to that
number. No hook, no backward pass, the same on every engine.

**One scale.** A cell's value ``v`` is in logits: its share of the film's logit is ``v / (h * w)``. The library's own
scaling, each map from its least to its greatest value, paints a red spot on every normal film. Here 1.0 is a heat that
is the same for every film and every finding::

    reference = 10 * ln(10) * temperature of the finding

A tenth of the film (about a lobe) at this heat multiplies the calibrated odds of the finding by ten. Only where some
cell of a film is hotter still, that cell is 1.0 instead and all maps of the film are paler by the same factor, so that
no map is cut off and maps of one film can be compared. *Measured* on 400 official test films of the paediatric model
0.2.0, hottest cell, median and 95th percentile: normal films below the operating point 0.10 and 0.27, pneumonia at or
above it 0.66 and 0.83.

Whether a map is shown unasked is decided by the operating point, outside this module.

**Occlusion** (:mod:`cxr_viewer.inference.explain_passes`) has a scale of its own, so that it can stand alone for black
boxes: at 1.0 hiding a patch, a seventh of the side, divides the calibrated odds by ten. Taken per area as Grad-CAM is,
it would be several times hotter: a grey square in a film is more than its absence.

**The other methods'** units have nothing to do with the score (ScoreCAM's weights are a softmax, EigenCAM does not know
the finding at all), so such a map tells *where*, and gets the strength of the Grad-CAM map of the same finding: its
hottest cell is set to that one's. They come from the ``grad-cam`` library; ScoreCAM is worked out here, equal to the
library's, because that asks the network anew for each finding.

**Finer than the last map** is *LayerCAM fine*: LayerCAM (Jiang et al., IEEE TIP 2021) of the last map and of the end of
the stage before it, which has twice the cells. *Measured* on NIH's boxes: it helps where the last map is coarse (4 x 4
cells: hottest point in the box 0.40 against 0.20), not where it is fine already (12 x 12: 0.31 against 0.38). Showing
the film 16 times, moved by quarters of a cell, and interleaving the Grad-CAM maps was tried and left out: 0.10 against
0.13 and 0.52 against 0.41, no more than chance.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cxr_viewer.core.findings import Heatmap, MapScale, ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.scoring import temperatures

GRAD_CAM = "Grad-CAM"
LAYER_CAM_FINE = "LayerCAM fine"
SCORE_CAM = "ScoreCAM"
OCCLUSION = "Occlusion"
SEGMENTATION = "Segmentation"

METHODS = (GRAD_CAM, "Grad-CAM++", "LayerCAM", LAYER_CAM_FINE, "EigenCAM", SCORE_CAM, OCCLUSION)
"""Methods to choose from; which of them a model allows tells :func:`methods_of`. The first needs nothing but the
forward pass."""

PASSES = (SCORE_CAM, OCCLUSION)
"""Methods that need further forward passes and nothing else; every engine can do them."""

IN_LOGITS = (GRAD_CAM, OCCLUSION)
"""Methods whose values are parts of the score, so that they have a strength of their own."""

_SHARE = 10.0  # a tenth of the film ...
_ODDS = 10.0  # ... multiplies the odds by ten


def methods_of(card: ModelCard, has_head: bool) -> tuple[str, ...]:
    """The methods that can explain a model, the one that costs nothing first; empty for a segmenter.

    Args:
        has_head: the network ends in ReLU > global average > linear (``Engine.head_weights`` is not None). Without, the
            model is a black box: only hiding parts of the film tells what its score comes from. A model in ONNX can be
            run and not differentiated, so the methods that need gradients are out.
    """
    if card.task is not Task.CLASSIFY:
        return ()
    if not has_head:
        return (OCCLUSION,)
    if card.network == "onnx":
        return tuple(method for method in METHODS if method == GRAD_CAM or method in PASSES)
    return METHODS


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
    """The value that is 1.0 on the common scale, of findings calibrated as the whole card; see the module's words."""
    return _SHARE * math.log(_ODDS) * card.temperature


def on_common_scale(maps: Floats, card: ModelCard) -> Floats:
    """Maps (k, h, w) of :func:`grad_cam` as 0..1, all by one factor of the calibrated odds."""
    return _scaled(maps, card, _SHARE * math.log(_ODDS))


def falls_on_scale(maps: Floats, card: ModelCard) -> Floats:
    """Maps (k, h, w) of occlusion as 0..1, all by one factor of the calibrated odds."""
    return _scaled(maps, card, math.log(_ODDS))


def _scaled(maps: Floats, card: ModelCard, unit: float) -> Floats:
    """Where findings are calibrated each for itself, each map is first divided by its own temperature."""
    own = np.float32(unit) * temperatures(card)[:, None, None]
    shares: Floats = maps / own
    hottest = float(shares.max(initial=0.0))
    return shares / np.float32(hottest) if hottest > 1 else shares


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
        out.append(Heatmap(label.name, own, seen, method, trust=card.map_trust(label.name, method)))
    return tuple(out)


def outlines(card: ModelCard, probabilities: Floats, seen: ImageRect) -> tuple[Heatmap, ...]:
    """The answer of a segmenter, one map per structure, in the order of the card's labels.

    Args:
        probabilities: float32 (k, h, w), 0..1; the outline is at 0.5.
        seen: the part of the image the input covered exactly.
    """
    maps = heatmaps(card, probabilities, seen, SEGMENTATION)
    return tuple(replace(each, scale=MapScale.PROBABILITY) for each in maps)
