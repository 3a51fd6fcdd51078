"""Whether an engine gives the reference engine's scores and maps. An engine that does not is not used."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.engines import Engine, Floats
from cxr_viewer.inference.engines.probes import Probes, raw_maps, thinned

Scorer = Callable[[ModelCard, Floats], Floats]
"""The scores as shown, float (k,), from the logits of one film, float32 (k,)."""

SCORE_LIMIT = 0.01
"""The most a score may change, on the card's own scale."""

MAP_LIMIT = 0.05
"""The most a heat map may change, 1.0 being the hottest cell of any probe."""

_CROSSING_LIMIT = 0.005  # the share of a segmenter's cells that may change sides, at the borders of the structures


def disagreement(engine: Engine, probes: Probes, card: ModelCard, scorer: Scorer, cancel: CancelToken) -> str:
    """Run the probes on an engine: empty where it agrees with the reference, else one sentence that says where not.

    Raises:
        ModelError: the engine failed.
        CancelledError: ``cancel`` was set.
    """
    worst_score = worst_map = 0.0
    for index in range(len(probes.films)):
        cancel.raise_if_cancelled()
        logits, features = engine.run(probes.films[index : index + 1])
        ours, theirs = thinned(logits), probes.logits[index : index + 1]
        if ours.shape != theirs.shape or not np.isfinite(ours).all():
            return "Its answers have another shape than the reference engine's, or are no numbers."
        if card.task is Task.SEGMENT:
            worst_score = max(worst_score, _changed_outlines(ours, theirs))
            continue
        change = np.abs(scorer(card, ours[0]) - scorer(card, theirs[0]))
        worst_score = max(worst_score, float(change.max()))
        worst_map = max(worst_map, _changed_map(features, index, probes))
    limit = _CROSSING_LIMIT if card.task is Task.SEGMENT else SCORE_LIMIT
    if not worst_score <= limit:
        what = "The outlines change" if card.task is Task.SEGMENT else "A score changes"
        return f"{what} by {worst_score:.4f}, more than {limit}."
    if not worst_map <= MAP_LIMIT:
        return f"A heat map changes by {worst_map:.3f}, more than {MAP_LIMIT}."
    return ""


def _changed_outlines(ours: Floats, theirs: Floats) -> float:
    """The share of cells that lie on the other side of the outline."""
    return float(((ours > 0) != (theirs > 0)).mean())


def _changed_map(features: Floats | None, index: int, probes: Probes) -> float:
    """The largest change of a map of one film; infinite where only the reference gives maps."""
    if probes.maps is None or probes.head_weights is None:
        return 0.0
    if features is None:
        return math.inf
    theirs = np.maximum(probes.maps[index], 0)
    ours = np.maximum(raw_maps(features, probes.head_weights)[0], 0)
    if ours.shape != theirs.shape:
        return math.inf
    hottest = float(probes.maps.max(initial=0.0))
    change = float(np.abs(ours - theirs).max(initial=0.0))
    return change / hottest if hottest > 0 else change
