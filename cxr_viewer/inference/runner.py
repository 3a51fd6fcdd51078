"""Scores and explains one film: guards, input, engine, calibration, heat maps."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from cxr_viewer.core import suitability
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Finding, ModelCard, ScoreKind, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, guards
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import WEIGHTS_NAME, verify_weights
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.devices import devices
from cxr_viewer.inference.engines import Engine, Floats
from cxr_viewer.inference.engines.child import ChildEngine, Convert, TorchProcess
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.explain_run import Question, explained
from cxr_viewer.inference.preprocess import see

_log = logging.getLogger(__name__)

Report = Callable[[str], None]

LARGE_WEIGHTS_BYTES = 16_000_000
"""From about four million parameters on, "auto" takes CUDA where there is one. A smaller network answers in a few
milliseconds on one core, sooner than torch and a graphics driver are loaded."""


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An engine ready to run, and what has to be said of it."""

    engine: Engine
    cautions: tuple[Caution, ...] = ()


class LocalRunner:
    """Runs the installed models on this computer; implements ``services.ports.ModelRunner``.

    Built, used and closed on one thread. The CPU engine is OpenVINO in this process; torch (CUDA, the reference, heat
    map methods of the ``grad-cam`` library) works in a process of its own, see ``engines.child``.

    Args:
        catalog: the installed models.
        cache: the program's cache folder, by default the user's; graphs made from weights are kept below it.
    """

    def __init__(self, catalog: BundleCatalog | None = None, cache: Path | None = None) -> None:
        self._catalog = catalog or BundleCatalog()
        self._graphs = (cache or platformdirs.user_cache_path("cxr-viewer", appauthor=False)) / "graphs"
        self._torch = TorchProcess()
        self._engines: dict[tuple[str, str], _Prepared] = {}

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
        prepared = self._prepared(card, request.device, cancel, report)
        report("Scoring")
        logits, features = prepared.engine.run(film)
        _check_finite(card, logits, features)
        cancel.raise_if_cancelled()
        report("Explaining")

        def library() -> ChildEngine:
            return ChildEngine(self._torch, card, self._catalog.folder(card.model_id), "cpu", cancel)

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
        self._prepared(self._catalog.card(model_id), device, CancelToken(), lambda stage: None)

    def close(self) -> None:
        """Give memory and the torch process back. Safe to call twice."""
        for prepared in self._engines.values():
            prepared.engine.close()
        self._engines.clear()
        self._torch.close()

    # -------------------------------------------------------- engines

    def _prepared(self, card: ModelCard, device: str, cancel: CancelToken, report: Report) -> _Prepared:
        bundle = self._catalog.folder(card.model_id)
        for choice in self._choices(device, bundle):
            ready = self._engines.get((card.sha256, choice))
            if ready is None:
                report("Loading the model")
                try:
                    ready = self._load(card, bundle, choice, cancel, report)
                except ModelError as error:
                    if error.code != "no-cuda" or device != "auto":
                        raise
                    _log.info("CUDA cannot be used, taking the CPU: %s", error.detail)
                    continue
                self._engines[card.sha256, choice] = ready
            return ready
        raise AssertionError("the CPU is always a choice")

    def _choices(self, device: str, bundle: Path) -> tuple[str, ...]:
        """Devices to try, the best first."""
        if device in ("cpu", "cuda"):
            return (device,)
        if device != "auto":
            raise ModelError(
                f"There is no device “{device}”.", hint=f"Choose one of: {', '.join(devices())}.", code="unknown-device"
            )
        large = (bundle / WEIGHTS_NAME).stat().st_size >= LARGE_WEIGHTS_BYTES
        return ("cuda", "cpu") if large and "cuda" in devices() else ("cpu",)

    def _load(self, card: ModelCard, bundle: Path, device: str, cancel: CancelToken, report: Report) -> _Prepared:
        if device == "cuda":
            return _Prepared(ChildEngine(self._torch, card, bundle, "cuda", cancel))
        verify_weights(bundle, card)
        try:
            return _Prepared(self._load_openvino(card, bundle, cancel, report))
        except ModelError as error:
            _log.warning("OpenVINO is not used: %s %s", error.summary, error.detail)
            text = f"The slower reference engine is used. {error.summary}"
        report("Loading the reference engine")
        engine = ChildEngine(self._torch, card, bundle, "cpu", cancel)
        return _Prepared(engine, (Caution("reference-engine", text),))

    def _load_openvino(self, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> OpenVinoEngine:
        folder = graph_folder(self._graphs, card)
        try:
            return OpenVinoEngine(folder, card)
        except ModelError as error:
            if error.code != "no-graph":
                raise
        report("Preparing the model for this computer (only once, some seconds)")
        self._torch.call(Convert(card, bundle, folder), cancel)
        if not any(isinstance(ready.engine, ChildEngine) for ready in self._engines.values()):
            self._torch.release()  # half a gigabyte that nobody needs any more
        report("Loading the model")
        return OpenVinoEngine(folder, card)


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
