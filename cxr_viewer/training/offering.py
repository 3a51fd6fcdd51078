"""From validation scores to calibration and operating points, and from test figures to what the reader is offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cxr_viewer.core.modelcard import Metric, OperatingPoint, TriedLabel
from cxr_viewer.inference.calibrate import Calibration, choose_calibration, sigmoid, youden_threshold
from cxr_viewer.training.measure import AUC, ECE, Values

LEAST_AUC = 0.75
LEAST_LOWER_BOUND = 0.65
LEAST_PATIENTS = 10
"""Patients with the finding below whom an interval over patients cannot be believed, however narrow it is."""
MOST_CALIBRATION_ERROR = 0.05
"""Upper 95 % bound of the calibration error on test films up to which a score may be called a probability."""

YOUDEN, SENSITIVE, SPECIFIC = "Youden", "90 % sensitivity", "90 % specificity"

NEVER: Mapping[str, str] = {
    "Infiltration": "Readers do not agree on what an infiltration is, and the labels are mined from their reports.",
    "Pneumonia": "In adults pneumonia is told by clinic and film together; labels mined from reports do not show it.",
    "Nodule": "Nodules are smaller than a pixel of what the model sees, and a missed one is a missed cancer.",
    "No finding": "“Normal” would need every finding to be learned; of films labelled so, many carry one.",
}
"""Findings that are never offered for adults, whatever their figures."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A finding the reader is offered.

    Attributes:
        views: those it is good enough in; empty: all that were asked about.
    """

    name: str
    views: tuple[str, ...]


def offered(
    labels: Sequence[str], metrics: Sequence[Metric], views: Sequence[str] = (), *, adults: bool = True
) -> tuple[tuple[Offered, ...], tuple[TriedLabel, ...]]:
    """Which findings are offered, in which views, and why the others are not.

    A finding is offered in the views in which its AUC is at least 0.75 with a lower 95 % bound of at least 0.65,
    measured on at least ten patients who have it.

    Args:
        metrics: with ``AUC`` per label, and per label and view as ``group`` (``"PA"``, ``"AP"``), on test films.
        views: those the model reads; empty: the figures of all films together decide.
        adults: also keep to :data:`NEVER`.
    """
    good: list[Offered] = []
    tried: list[TriedLabel] = []
    found = {(metric.label, metric.group): metric for metric in metrics if metric.name == AUC}
    for name in labels:
        why = {view: _fault(found.get((name, view)), view) for view in (views or ("",))}
        passed = tuple(view for view, fault in why.items() if not fault)
        never = _never(name) if adults else ""
        if never or not passed:
            tried.append(TriedLabel(name, never or " ".join(why.values())))
        else:
            good.append(Offered(name, () if len(passed) == len(why) else passed))
    return tuple(good), tuple(tried)


def _never(name: str) -> str:
    wanted = name.replace("_", " ").casefold()
    return next((reason for label, reason in NEVER.items() if label.casefold() == wanted), "")


def _fault(metric: Metric | None, view: str) -> str:
    """Why a finding is not offered in a view, a sentence; empty where it is."""
    films = f"{view} films" if view else "test films"
    if metric is None or metric.low is None or metric.high is None:
        return f"Too few {films} show it to be measured."
    said = f"AUC {metric.value:.2f} ({metric.low:.2f} to {metric.high:.2f}) on {films}"
    if (metric.positive_patients or 0) < LEAST_PATIENTS:
        return f"{said}: of only {metric.positive_patients or 0} patients who have it, {LEAST_PATIENTS} are needed."
    if metric.value < LEAST_AUC:
        return f"{said}: below {LEAST_AUC:.2f}."
    if metric.low < LEAST_LOWER_BOUND:
        return f"{said}: its lower bound is below {LEAST_LOWER_BOUND:.2f}."
    return ""


def may_be_probability(metrics: Sequence[Metric], label: str) -> bool:
    """Whether the score of a finding may be written as a percentage: its calibration held on films it was not made on.

    That is: the upper bound of the calibration error is at most 0.05, and at most half of how common the finding is
    (a score that says 2 % everywhere would else pass for every rare finding).

    Args:
        metrics: of test films; ``ECE`` of the label with its interval, number of films and of those with the finding.
    """
    error = next((one for one in metrics if (one.name, one.label, one.group) == (ECE, label, "")), None)
    if error is None or error.high is None or not error.count or error.positives is None:
        return False
    share = error.positives / error.count
    return error.high <= min(MOST_CALIBRATION_ERROR, min(share, 1 - share) / 2)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What is chosen for one finding on validation films, once the weights stand.

    Attributes:
        fitted: ``"none"``, ``"temperature"`` or ``"temperature and bias"``.
        losses: held-out log loss of each of the three; infinite where it could not be fitted.
        threshold: operating point on the calibrated score, the one of ``points`` called ``point``.
    """

    calibration: Calibration
    fitted: str
    losses: Mapping[str, float]
    threshold: float
    point: str
    points: tuple[OperatingPoint, ...]


def tune(
    truth: Values,
    logits: Values,
    patients: Sequence[str],
    data: str,
    *,
    weights: Values | None = None,
    point: str = YOUDEN,
) -> Tuned:
    """Calibration and operating points of one finding from validation films.

    Args:
        truth: float (films,), 1, 0 or nan (unknown: not used).
        data: what the films are, for the operating points.
        weights: (films,), count films more or less often.

    Raises:
        ValueError: films of only one kind.
    """
    known = np.isfinite(truth)
    labels, of = truth[known].astype(np.int64), tuple(np.asarray(patients, dtype=np.str_)[known].tolist())
    counts = None if weights is None else weights[known]
    if labels.size == 0 or labels.min() == labels.max():
        raise ValueError("calibration needs films of both kinds")
    calibration, losses = choose_calibration(logits[known], labels, of, counts)
    fitted = min(losses, key=lambda name: losses[name])
    points = operating_points(truth, calibration.probability(logits), data, weights=weights)
    chosen = next(one for one in points if one.name == point)
    return Tuned(calibration, fitted, losses, chosen.threshold, point, points)


def operating_points(
    truth: Values, scores: Values, data: str = "", *, weights: Values | None = None, share: float = 0.9
) -> tuple[OperatingPoint, ...]:
    """Youden's point, the highest threshold that still finds 90 %, the lowest that still clears 90 %.

    Thresholds lie in the middle (on the logit scale) between two films, so that rounding moves no film.

    Args:
        scores: (films,), 0..1.

    Raises:
        ValueError: films of only one kind.
    """
    known = np.isfinite(truth)
    labels, said = truth[known].astype(np.int64), scores[known]
    counts = np.ones(labels.size) if weights is None else weights[known]
    if labels.size == 0 or labels.min() == labels.max():
        raise ValueError("an operating point needs films of both kinds")
    ill, well = labels == 1, labels == 0

    def at(threshold: float) -> tuple[float, float]:
        positive = said >= threshold
        return (
            float(counts[ill & positive].sum() / counts[ill].sum()),
            float(counts[well & ~positive].sum() / counts[well].sum()),
        )

    cuts = _cuts(said)
    sensitive = _last(cuts, lambda cut: at(cut)[0] >= share)
    specific = _last(cuts[::-1], lambda cut: at(cut)[1] >= share)
    chosen = ((YOUDEN, youden_threshold(said, labels, counts)), (SENSITIVE, sensitive), (SPECIFIC, specific))
    return tuple(OperatingPoint(name, cut, *at(cut), data) for name, cut in chosen)


def _cuts(scores: Values) -> Values:
    """Rising thresholds, one below all films, one between each two that differ, one above all."""
    inner = np.clip(np.unique(scores), 1e-6, 1 - 1e-6)
    logit = np.log(inner / (1 - inner))
    middle = sigmoid((logit[1:] + logit[:-1]) / 2)
    return np.concatenate([[float(inner[0]) / 2], middle, [(1 + float(inner[-1])) / 2]])


def _last(cuts: Values, holds: Callable[[float], bool]) -> float:
    """The last of ``cuts`` for which ``holds``; it holds for the first, and from some cut on for none."""
    low, high = 0, len(cuts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if holds(float(cuts[middle])):
            low = middle
        else:
            high = middle - 1
    return float(cuts[low])
