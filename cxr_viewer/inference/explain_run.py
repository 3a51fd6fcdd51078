"""Heat maps of one film by the method that was asked for, whatever engine runs the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxr_viewer.core.findings import Heatmap, ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, explain_passes
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.engines import Engine, Floats
from cxr_viewer.inference.engines.child import ChildEngine

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What the maps of one film are made from.

    Attributes:
        engine: the one that gave the score.
        film: float32 (1, channels, size, size).
        logits, features: the engine's answer to ``film``.
        seen: the part of the image the input covers exactly.
        library: gives the same model on torch, for methods of the ``grad-cam`` library.
    """

    card: ModelCard
    engine: Engine
    film: Floats
    logits: Floats
    features: Floats | None
    seen: ImageRect
    library: Callable[[], ChildEngine]


def explained(
    asked: Question, method: str, cancel: CancelToken, report: Report
) -> tuple[tuple[Heatmap, ...], tuple[Caution, ...]]:
    """The maps of one film in the order of the card's labels, and what has to be said where there are none.

    A method that is impossible for the model costs the reader the map, not the score. The standard method is what is
    asked for until the reader chooses another, so that its absence needs no words.

    Raises:
        CancelledError: ``cancel`` was set.
        ModelError: the engine failed.
    """
    if asked.card.task is Task.SEGMENT:
        return explain.outlines(asked.card, _probabilities(asked.card, asked.logits[0]), asked.seen), ()
    possible = explain.methods_of(asked.card, asked.features is not None and asked.engine.head_weights is not None)
    if method not in possible:
        return (), () if method == explain.GRAD_CAM else (_impossible(asked.card, method, possible),)
    maps = _maps(asked, method, cancel, _telling(report))
    cancel.raise_if_cancelled()
    return explain.heatmaps(asked.card, maps, asked.seen, method), ()


def _maps(asked: Question, method: str, cancel: CancelToken, progress: explain_passes.Progress) -> Floats:
    card, engine = asked.card, asked.engine
    if method == explain.OCCLUSION:
        return explain.falls_on_scale(explain_passes.occlusion(engine, asked.film, cancel, progress), card)
    features, weights = asked.features, engine.head_weights
    if features is None or weights is None:
        raise AssertionError("only with a head is another method possible")
    strength = explain.on_common_scale(explain.grad_cam(features[0], weights), card)
    if method == explain.GRAD_CAM:
        return strength
    if method == explain.SCORE_CAM:
        shapes = explain_passes.score_cam(engine, asked.film, features[0], cancel, progress)
    else:
        torch_engine = engine if isinstance(engine, ChildEngine) else asked.library()
        shapes = torch_engine.library_maps(asked.film, method, cancel)
    return explain.with_strength_of(shapes, strength)


def _probabilities(card: ModelCard, logits: Floats) -> Floats:
    calibration = Calibration(card.temperature, card.bias)
    return calibration.probability(logits.astype(np.float64)).astype(np.float32)


def _telling(report: Report) -> explain_passes.Progress:
    """Passes as words, in whole tenths: each one told is a message to the window."""
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        if 10 * done // total != told:
            told = 10 * done // total
            report(f"Explaining ({10 * told} %)" if told else "Explaining")

    return progress


def _impossible(card: ModelCard, method: str, possible: tuple[str, ...]) -> Caution:
    return Caution(
        "no-map",
        f"{method} cannot explain the model “{card.name}”; this model can be explained by {', '.join(possible)}.",
    )
