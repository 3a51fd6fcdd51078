"""Scores and explains one film: guards, input, engine, calibration, heat maps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from cxr_viewer.core import suitability
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Finding, ModelCard, ScoreKind, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, guards
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.engines.child import ChildEngine
from cxr_viewer.inference.engines.choice import Clock
from cxr_viewer.inference.engines.supply import EngineSupply
from cxr_viewer.inference.explain_run import Question, explained
from cxr_viewer.inference.preprocess import see

Report = Callable[[str], None]


class LocalRunner:
    """Runs the installed models on this computer; implements ``services.ports.ModelRunner``.

    Built, used and closed on one thread. On the CPU models run in this process, on the engine that ``engines.supply``
    has chosen; torch (CUDA, the reference, heat map methods of the ``grad-cam`` library) works in a process of its own,
    see ``engines.child``.

    Args:
        catalog: the installed models.
        cache: the program's cache folder, by default the user's; graphs made from weights are kept below it.
        clock: what choosing among engines measures with.
    """

    def __init__(
        self, catalog: BundleCatalog | None = None, cache: Path | None = None, clock: Clock = time.perf_counter
    ) -> None:
        self._catalog = catalog or BundleCatalog()
        cache = cache or platformdirs.user_cache_path("cxr-viewer", appauthor=False)
        self._engines = EngineSupply(cache, scores, clock)

    def analyse(self, request: AnalysisRequest, cancel: CancelToken, report: Report) -> AnalysisResult:
        """Score and explain one film; see :meth:`cxr_viewer.services.ports.ModelRunner.analyse`.

        Raises:
            RefusalError: the model does not look at such an image.
            ModelError: no such model, method or device, damaged weights, engine failed.
            CancelledError: ``cancel`` was set.
        """
        started = time.perf_counter()
        cancel.raise_if_cancelled()
        if request.method not in explain.METHODS:
            raise _unknown_method(request.method)
        card = self._catalog.card(request.model_id)
        guards.refuse(request.image)
        report("Preparing the film")
        given = see(request.image, card.input)
        film, seen = given.film[None], given.seen
        cancel.raise_if_cancelled()
        bundle = self._catalog.folder(card.model_id)
        prepared = self._engines.prepared(card, bundle, request.device, cancel, report)
        report("Scoring")
        logits, features = prepared.engine.run(film)
        _check_finite(card, logits, features)
        cancel.raise_if_cancelled()
        report("Explaining")

        def library() -> ChildEngine:
            return self._engines.library(card, bundle, cancel)

        asked = Question(card, prepared.engine, film, logits, features, seen, library)
        heatmaps, mapless = explained(asked, request.method, cancel, report)
        return AnalysisResult(
            pane=request.pane,
            generation=request.generation,
            key=request.image.key,
            model_id=card.model_id,
            model_name=card.name,
            model_version=card.version,
            model_sha256=card.sha256,
            findings=findings(card, logits[0]) if card.task is Task.CLASSIFY else (),
            heatmaps=heatmaps,
            seen=seen,
            device=prepared.engine.device_name,
            elapsed_s=time.perf_counter() - started,
            limits=suitability.limits(card, request.image),
            cautions=(*guards.cautions(card, request.image), *prepared.cautions, *mapless),
            saw=given.saw,
        )

    def warm_up(self, model_id: str, device: str = "auto") -> None:
        """Load a model before the first film asks for it. Raises :class:`ModelError` like :meth:`analyse`."""
        card = self._catalog.card(model_id)
        self._engines.prepared(card, self._catalog.folder(model_id), device, CancelToken(), lambda stage: None)

    def settle(self, cancel: CancelToken) -> bool:
        """Choose the engine for one of the models that have run on the CPU; call it when nothing waits.

        Once per model and computer this takes some ten seconds, most of them in another process, and then at most two
        of measuring; later it takes a moment. What it has done before it was cancelled is not done again.

        Returns:
            whether something was done; call it again until it was not.

        Raises:
            CancelledError: ``cancel`` was set; looked at between any two passes of a network.
        """
        for card in self._catalog.cards():
            if self._engines.needs_settling(card):
                self._engines.settle(card, self._catalog.folder(card.model_id), cancel)
                return True
        return False

    def forget_removed(self) -> None:
        """Give back what is held for models that are no longer installed, or are installed in another version."""
        self._engines.keep_only(self._catalog.cards())

    def close(self) -> None:
        """Give memory and the torch process back. Safe to call twice."""
        self._engines.close()


def model_input(image: Radiograph, card: ModelCard) -> tuple[Floats, ImageRect]:
    """A film as the network is fed it, float32 (1, channels, size, size), and the part of the image it covers."""
    given = see(image, card.input)
    return given.film[None], given.seen


def findings(card: ModelCard, logits: Floats) -> tuple[Finding, ...]:
    """What a model says, in the order of the card's labels.

    Args:
        logits: float32 (k,).
    """
    probabilities = Calibration(card.temperature, card.bias).probability(logits.astype(np.float64))
    out = []
    for label, logit, probability in zip(card.labels, logits.tolist(), probabilities.tolist(), strict=True):
        score, threshold = probability, label.threshold
        if card.score_kind is ScoreKind.LOGIT:
            score = logit
        elif card.score_kind is ScoreKind.OPERATING_POINT:
            score, threshold = operating_point_score(probability, label.threshold), 0.5
        out.append(Finding(label.name, score, card.score_kind, threshold, logit))
    return tuple(out)


def scores(card: ModelCard, logits: Floats) -> Floats:
    """The scores of :func:`findings`, float32 (k,)."""
    return np.array([finding.score for finding in findings(card, logits)], dtype=np.float32)


def operating_point_score(probability: float, threshold: float) -> float:
    """A score on which 0.5 is the operating point (TorchXRayVision's ``op_norm``).

    Args:
        probability: 0..1.
        threshold: operating point on the scale of ``probability``.
    """
    if probability < threshold:
        return probability / (2 * threshold)
    return 1 - (1 - probability) / (2 * (1 - threshold)) if threshold < 1 else 0.5


def _check_finite(card: ModelCard, logits: Floats, features: Floats | None) -> None:
    shape = (1, len(card.labels)) if card.task is Task.CLASSIFY else (1, len(card.labels), *logits.shape[2:])
    finite = np.isfinite(logits).all() and (features is None or math.isfinite(float(features.sum())))
    if logits.shape != shape or not finite:
        raise ModelError(
            f"The model “{card.name}” gave no usable score for this film.",
            hint="Choose another model or device.",
            detail=f"logits {logits.tolist()}, expected shape {shape}",
            code="no-score",
        )


def _unknown_method(method: str) -> ModelError:
    return ModelError(
        f"There is no heat map method “{method}”.",
        hint=f"Choose one of: {', '.join(explain.METHODS)}.",
        code="unknown-method",
    )
