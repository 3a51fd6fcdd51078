"""Scores and explains one film: guards, input, engine, calibration, heat maps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import FilmCheckError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, guards
from cxr_viewer.inference.beside import Beside, BesideModels
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.engines.child import ChildEngine
from cxr_viewer.inference.engines.choice import Clock
from cxr_viewer.inference.engines.supply import EngineSupply
from cxr_viewer.inference.explain_run import Question, explained
from cxr_viewer.inference.preprocess import FilmGreys, ModelInput, see
from cxr_viewer.inference.scoring import scores
from cxr_viewer.inference.telling import Distances, enlarged, outside_lungs, told_of
from cxr_viewer.inference.turning import WayBack, upright

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
        self._beside = BesideModels(self._catalog, self._engines)
        self._distances = Distances(self._catalog)

    def analyse(self, request: AnalysisRequest, cancel: CancelToken, report: Report) -> AnalysisResult:
        """Score and explain one film; see :meth:`cxr_viewer.services.ports.ModelRunner.analyse`.

        Raises:
            RefusalError, ModelError, CancelledError: as there; ``FilmCheckError`` where the guard blocks the film.
        """
        started = time.perf_counter()
        cancel.raise_if_cancelled()
        card = self._card(request)
        guards.refuse(request.image)
        report("Preparing the film")
        film = _Film(request)
        beside = self._looked(card, request, film, cancel, report)
        given = see(film.upright, card.input, film.lungs(beside), film.greys)
        cancel.raise_if_cancelled()
        prepared = self._engines.prepared(card, self._catalog.folder(card.model_id), request.device, cancel, report)
        report("Scoring")
        logits, features = prepared.engine.run(given.film[None])
        _check_finite(card, logits, features)
        cancel.raise_if_cancelled()
        report("Explaining")
        library = self._library(card, cancel)
        asked = Question(card, prepared.engine, given.film[None], logits, features, given.seen, library)
        heatmaps, mapless = explained(asked, request.method, cancel, report)
        told = told_of(card, request, beside, logits[0], self._distances.sign(card, features))
        heatmaps = told.shown(film.back.heatmap(heatmap) for heatmap in heatmaps)
        outside = outside_lungs(told.findings, heatmaps, beside.anatomy)
        return AnalysisResult(
            pane=request.pane,
            generation=request.generation,
            key=request.image.key,
            model_id=card.model_id,
            model_name=card.name,
            model_version=card.version,
            model_sha256=card.sha256,
            findings=told.findings,
            heatmaps=heatmaps,
            seen=film.back.rect(given.seen),
            device=prepared.engine.device_name,
            elapsed_s=time.perf_counter() - started,
            limits=told.limits,
            cautions=(*told.cautions, *film.small(card, given), *prepared.cautions, *mapless, *outside),
            saw=film.back.saw(given.saw),
            anatomy=beside.anatomy,
            check=told.check,
            overridden=told.overridden,
            turns=request.turns,
            withheld=told.withheld,
            site=card.site,
        )

    def _card(self, request: AnalysisRequest) -> ModelCard:
        """The card of the model that is asked, once what is asked of it is possible."""
        if request.method not in explain.METHODS:
            raise _unknown_method(request.method)
        card = self._catalog.card(request.model_id)
        if card.task is Task.GUARD:
            raise _no_findings(card)
        return card

    def _looked(
        self, card: ModelCard, request: AnalysisRequest, film: _Film, cancel: CancelToken, report: Report
    ) -> Beside:
        """What guard and anatomy model say, once nothing in it stops the film."""
        beside = self._beside.look(request.image, request.turns, film.greys, cancel, report)
        if beside.check is not None and beside.check.blocking and not request.override:
            raise FilmCheckError(beside.check)
        if card.input.crop and beside.anatomy is None:
            raise _no_anatomy(card, beside)
        return beside

    def warm_up(self, model_id: str, device: str = "auto") -> None:
        """Load a model, and those that work beside every other, before the first film asks for them.

        Raises:
            ModelError: like :meth:`analyse`.
        """
        card = self._catalog.card(model_id)
        self._engines.prepared(card, self._catalog.folder(model_id), device, CancelToken(), lambda stage: None)
        self._beside.warm_up(CancelToken())

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

    def _library(self, card: ModelCard, cancel: CancelToken) -> Callable[[], ChildEngine]:
        return lambda: self._engines.library(card, self._catalog.folder(card.model_id), cancel)

    def close(self) -> None:
        """Give memory and the torch process back. Safe to call twice."""
        self._engines.close()


def model_input(image: Radiograph, card: ModelCard, lungs: ImageRect | None = None) -> tuple[Floats, ImageRect]:
    """A film as the network is fed it, float32 (1, channels, size, size), and the part of the image it covers.

    Args:
        lungs: see :func:`~cxr_viewer.inference.preprocess.see`.
    """
    given = see(image, card.input, lungs)
    return given.film[None], given.seen


class _Film:
    """The film of a request as models look at it, and the way back."""

    def __init__(self, request: AnalysisRequest) -> None:
        image = request.image
        self.upright = upright(image, request.turns)
        self.greys = FilmGreys(self.upright)
        self.back = WayBack(request.turns, image.rows, image.columns)

    def lungs(self, beside: Beside) -> ImageRect | None:
        """The box around both lungs on the upright film."""
        return None if beside.lungs is None else self.back.there(beside.lungs)

    def small(self, card: ModelCard, given: ModelInput) -> tuple[Caution, ...]:
        """See :func:`~cxr_viewer.inference.telling.enlarged`."""
        return enlarged(card.input, self.upright, given)


def _check_finite(card: ModelCard, logits: Floats, features: Floats | None) -> None:
    shape = (1, len(card.labels), *logits.shape[2:]) if card.task is Task.SEGMENT else (1, len(card.labels))
    finite = np.isfinite(logits).all() and (features is None or math.isfinite(float(features.sum())))
    if logits.shape != shape or not finite:
        raise ModelError(
            f"The model “{card.name}” gave no usable score for this film.",
            hint="Choose another model or device.",
            detail=f"logits {logits.tolist()}, expected shape {shape}",
            code="no-score",
        )


def _no_findings(card: ModelCard) -> ModelError:
    return ModelError(
        f"The model “{card.name}” checks films before others look at them; it gives no findings.",
        hint="Choose a model that gives findings; this one is asked beside it.",
        code="no-findings",
    )


def _no_anatomy(card: ModelCard, beside: Beside) -> ModelError:
    said = " ".join(caution.text for caution in beside.cautions if caution.code == "no-anatomy")
    return ModelError(
        f"The model “{card.name}” reads nothing but the lungs, and the anatomy model that finds them "
        f"{'could not be used' if said else 'is not installed'}.",
        hint="Install the anatomy model, or choose another model.",
        detail=said,
        code="no-anatomy",
    )


def _unknown_method(method: str) -> ModelError:
    return ModelError(
        f"There is no heat map method “{method}”.",
        hint=f"Choose one of: {', '.join(explain.METHODS)}.",
        code="unknown-method",
    )
