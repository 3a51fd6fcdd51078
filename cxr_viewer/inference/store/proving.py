"""Holds freshly converted weights against what their publisher prints, on the way every film goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, ModelCard, Proof, Task
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.beside import BesideModels
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.supply import EngineSupply
from cxr_viewer.inference.preprocess import FilmGreys
from cxr_viewer.inference.registry import NONE_PUBLISHED, PUBLISHED_OUTPUTS, Published
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.inference.scoring import scores
from cxr_viewer.inference.store import faults

ReadFilm = Callable[[Path, CancelToken], Radiograph]
"""Reads one film as the program does."""

TRIAL_FILM = "adult-2-cardiomegaly.dcm"


def prove(
    bundle: Path,
    card: ModelCard,
    published: Published | None,
    cache: Path,
    read_film: ReadFilm,
    cancel: CancelToken,
) -> Proof:
    """Score a sample film with the bundle in ``bundle``, whose card is written, and compare.

    Args:
        published: what to compare with; without it only a usable answer is asked for.
        cache: what the trial makes of the weights is kept there.

    Raises:
        ModelError: the model does not run, or ``not-reproduced`` with the worst finding, expected and found.
        ReadError: the sample film is missing.
        CancelledError: ``cancel`` was set.
    """
    name = TRIAL_FILM if published is None else published.film
    film = read_film(resources_dir() / "samples" / name, cancel)
    cancel.raise_if_cancelled()
    if card.task is Task.GUARD:
        _checked(bundle, card, film, cache, cancel)
        return Proof(NONE_PUBLISHED)
    result = _scored(bundle, card, film, cache, cancel)
    if published is None:
        return Proof(NONE_PUBLISHED)
    return Proof(PUBLISHED_OUTPUTS, published.film_name, _worst(card, published, result))


def _scored(bundle: Path, card: ModelCard, film: Radiograph, cache: Path, cancel: CancelToken) -> AnalysisResult:
    # One that reads nothing but the lungs needs the program's own anatomy model to find them.
    folders = [bundle.parent, resources_dir() / "models"] if card.input.crop else [bundle.parent]
    runner = LocalRunner(BundleCatalog(folders, unproven=True), cache)
    try:
        # On the CPU: the publisher's own figures come from a CPU, and every computer has one.
        request = AnalysisRequest(-1, 0, film, card.model_id, device="cpu", override=True)
        return runner.analyse(request, cancel, lambda stage: None)
    finally:
        runner.close()


def _checked(bundle: Path, card: ModelCard, film: Radiograph, cache: Path, cancel: CancelToken) -> None:
    """Have a film check look at a film; it gives no findings. Raises ModelError: it could not."""
    catalog = BundleCatalog([bundle.parent], unproven=True)
    engines = EngineSupply(cache, scores, time.perf_counter)
    try:
        told = BesideModels(catalog, engines).look(film, 0, FilmGreys(film), cancel, lambda stage: None)
    finally:
        engines.close()
    if told.check is None:
        why = " ".join(caution.text for caution in told.cautions)
        raise ModelError(
            f"The model “{card.name}” could not check a sample film. {why}",
            hint="Ask whoever made it for another bundle.",
            code="does-not-run",
        )


def _worst(card: ModelCard, published: Published, result: AnalysisResult) -> float:
    """The largest difference; raises where it is above the tolerance."""
    found = {finding.label: finding.score for finding in result.findings}
    missing = published.outputs.keys() - found.keys()
    if missing:
        raise faults.no_model(f"it has no output for {min(missing)}")
    differences = {label: abs(found[label] - expected) for label, expected in published.outputs.items()}
    label = max(differences, key=lambda name: differences[name])
    if not differences[label] <= published.tolerance:
        raise faults.not_reproduced(card.name, label, published.outputs[label], found[label])
    return round(differences[label], 6)
