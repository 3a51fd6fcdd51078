"""What is added to a network's logits before they are scores: the heart's ratio and the view of the film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.modelcard import LabelSpec, RatioTerm, ViewTerm
from cxr_viewer.training.films import FilmSet
from cxr_viewer.training.finish import Trained
from cxr_viewer.training.heartratio import fit_ratio, ratios_of, with_ratio
from cxr_viewer.training.lessons.classify import ClassifyConfig
from cxr_viewer.training.lungs import anatomy_bundle
from cxr_viewer.training.measure import Values, auc
from cxr_viewer.training.viewshift import fit_view_terms, with_view


@dataclass(frozen=True, slots=True)
class Terms:
    """By finding; none where a recipe asks for none, or where they do not help."""

    ratio: Mapping[str, RatioTerm]
    views: Mapping[str, tuple[ViewTerm, ...]]


def fit_terms(trained: Trained, logits: NDArray[np.float64]) -> Terms:
    """Choose the terms on the validation films.

    Args:
        logits: (films, labels) of the validation films, changed in place to what they are with the terms.

    Raises:
        CxrError: the recipe names a finding that there is not.
    """
    config, films = trained.recipe.table("classify", ClassifyConfig), trained.parts.validation
    ratio = _ratio_term(trained, config.ratio_label, logits) if config.ratio_label else {}
    views: dict[str, tuple[ViewTerm, ...]] = {}
    if config.view_terms:
        shown = [record.view for record in films.records]
        for at, name in enumerate(trained.parts.names):
            views[name] = fit_view_terms(films.targets[:, at].astype(np.float64), logits[:, at], shown)
            logits[:, at] = with_view(logits[:, at], shown, views[name])
            found = ", ".join(f"{term.shift:+.2f} on {term.view} films" for term in views[name])
            print(f"{name} by the view of the film: {found or 'nothing, too few validation films of a view'}")
    return Terms(ratio, views)


def _ratio_term(trained: Trained, name: str, logits: NDArray[np.float64]) -> dict[str, RatioTerm]:
    films = trained.parts.validation
    if name not in trained.parts.names:
        raise CxrError(f"“classify.ratio_label” names no label: “{name}”.", code="recipe")
    at, ratios = trained.parts.names.index(name), measured_ratios(trained, films)
    truth = films.targets[:, at].astype(np.float64)
    term = fit_ratio(truth, logits[:, at], ratios)
    changed = with_ratio(logits[:, at], ratios, term)
    known = np.isfinite(truth)
    before, after = auc(truth[known], logits[known, at]), auc(truth[known], changed[known])
    print(f"{name} with the cardiothoracic ratio on the validation films: AUC {before:.3f} -> {after:.3f}, {term}")
    if term is None or after <= before:
        return {}
    logits[:, at] = changed
    return {name: term}


def measured_ratios(trained: Trained, films: FilmSet) -> Values:
    """The cardiothoracic ratio of every film (films,), nan where it may not be built on."""
    return ratios_of(films.records, anatomy_bundle(trained.recipe.films.anatomy), quiet=trained.reading.quiet)


def with_terms(label: LabelSpec, logits: Values, films: FilmSet, ratios: Values | None) -> Values:
    """Logits (films,) of one finding as a reader's films would have them.

    Args:
        ratios: (films,); None: no finding goes by them.
    """
    if ratios is not None:
        logits = with_ratio(logits, ratios, label.ratio)
    views: Sequence[str] = [record.view for record in films.records]
    return with_view(logits, views, label.view_terms)
