"""From the logits of a network to what the reader is told: calibration, operating points, what is not offered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from cxr_viewer.core import suitability
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind
from cxr_viewer.core.findings import Finding, LabelSpec, ModelCard, ScoreKind, Withheld
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.engines import Floats

_FRONTAL = frozenset({View.PA.value, View.AP.value})


@dataclass(frozen=True, slots=True)
class Scale:
    """How the logit of one finding becomes its score: as the site has tuned it, else the finding, else the card."""

    temperature: float
    bias: float
    kind: ScoreKind
    threshold: float


def scale_of(card: ModelCard, label: LabelSpec) -> Scale:
    """The scale in force for one finding of a card."""
    site = next((one for one in card.site.labels if one.name == label.name), None) if card.site is not None else None
    if site is not None:
        return Scale(site.temperature, site.bias, site.score_kind, site.threshold)
    temperature = card.temperature if label.temperature is None else label.temperature
    bias = card.bias if label.bias is None else label.bias
    return Scale(temperature, bias, card.kind_of(label), label.threshold)


def temperatures(card: ModelCard) -> Floats:
    """The temperature of each finding, float32 (k,): what maps are divided by to be parts of the shown score."""
    return np.array([scale_of(card, label).temperature for label in card.labels], dtype=np.float32)


def findings(
    card: ModelCard,
    logits: Floats,
    *,
    ratio: float | None = None,
    view: View = View.UNKNOWN,
    without: Collection[str] = (),
) -> tuple[Finding, ...]:
    """What a model says, in the order of the card's labels.

    Args:
        logits: float32 (k,).
        ratio: the cardiothoracic ratio where it could be measured, for findings that go by it, too.
        view: of the film, for findings that allow for it.
        without: names of findings that are not offered for this film.
    """
    found = zip(card.labels, logits.tolist(), strict=True)
    return tuple(_finding(card, label, logit, ratio, view) for label, logit in found if label.name not in without)


def scores(card: ModelCard, logits: Floats) -> Floats:
    """The scores of all :func:`findings`, float32 (k,)."""
    return np.array([finding.score for finding in findings(card, logits)], dtype=np.float32)


def withheld(card: ModelCard, image: Radiograph, check: FilmCheck | None = None) -> tuple[Withheld, ...]:
    """Findings that are not offered in this view; of unknown view only those are that are for both PA and AP films."""
    view = suitability.view_of(image, check)
    return tuple(
        Withheld(label.name, _reason(label, view, check))
        for label in card.labels
        if label.views and not _offered(label, view)
    )


def without_ratio(card: ModelCard, shown: tuple[Finding, ...]) -> tuple[Caution, ...]:
    """What is said where the cardiothoracic ratio could not be measured and findings go by it."""
    names = {finding.label for finding in shown}
    concerned = [f"“{label.name}”" for label in card.labels if label.ratio is not None and label.name in names]
    if not concerned:
        return ()
    text = f"The cardiothoracic ratio could not be measured on this film; {', '.join(concerned)} is scored without it."
    return (Caution("ratio-not-measured", text),)


def without_view(card: ModelCard, shown: tuple[Finding, ...]) -> tuple[Caution, ...]:
    """What is said where the view of the film is not known and findings allow for it."""
    names = {finding.label for finding in shown}
    concerned = [f"“{label.name}”" for label in card.labels if label.view_terms and label.name in names]
    if not concerned:
        return ()
    views = sorted({term.view for label in card.labels for term in label.view_terms})
    text = (
        f"The view of this film is not known; {', '.join(concerned)} {'is' if len(concerned) == 1 else 'are'} scored "
        f"without what is allowed for on {' and '.join(views)} films."
    )
    return (Caution("view-not-allowed-for", text, "ViewPosition (0018,5101)"),)


def operating_point_score(probability: float, threshold: float) -> float:
    """A score on which 0.5 is the operating point (TorchXRayVision's ``op_norm``).

    Args:
        probability: 0..1.
        threshold: operating point on the scale of ``probability``.
    """
    if probability < threshold:
        return probability / (2 * threshold)
    return 1 - (1 - probability) / (2 * (1 - threshold)) if threshold < 1 else 0.5


def _finding(card: ModelCard, label: LabelSpec, logit: float, ratio: float | None, view: View) -> Finding:
    if label.ratio is not None and ratio is not None:
        logit += label.ratio.weight * (ratio - label.ratio.centre)
    logit += sum(term.shift for term in label.view_terms if term.view == view.value)
    scale = scale_of(card, label)
    if scale.kind is ScoreKind.LOGIT:
        return Finding(label.name, logit, scale.kind, scale.threshold, logit)
    probability = float(Calibration(scale.temperature, scale.bias).probability(np.array(logit)))
    if scale.kind is ScoreKind.OPERATING_POINT:
        return Finding(label.name, operating_point_score(probability, scale.threshold), scale.kind, 0.5, logit)
    return Finding(label.name, probability, scale.kind, scale.threshold, logit)


def _offered(label: LabelSpec, view: View) -> bool:
    possible = _FRONTAL if view is View.UNKNOWN else {view.value}
    return possible <= set(label.views)


def _reason(label: LabelSpec, view: View, check: FilmCheck | None) -> str:
    offered = " and ".join(one if one in _FRONTAL else one.lower() for one in label.views)
    if view is not View.UNKNOWN:
        return f"Offered on {offered} films only; this is {suitability.view_words(view, check)}."
    frontal = check is not None and check.kind is FilmKind.FRONTAL
    unknown = "whether this frontal film is PA or AP" if frontal else "the view of this film"
    return f"Offered on {offered} films only, and {unknown} is not known."
