"""A site's own calibration of an installed model: scale and operating point of each finding, tuned on the site's films.

The network stays as it is. For each finding the shipped scale is tried against a new temperature, and a new temperature
and bias; which is best is decided by log loss on patients it was not fitted on. All figures of the new calibration are
measured on films whose patients had no part in it: five times a fifth of the patients is held out, the rest tunes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cxr_viewer.core.findings import (
    LabelSpec,
    Metric,
    ModelCard,
    OperatingPoint,
    ScoreKind,
    SiteCalibration,
    SiteLabel,
)
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.scoring import scale_of
from cxr_viewer.training import measure
from cxr_viewer.training.asking import Answers, Asked, Runner, ask, listed
from cxr_viewer.training.measure import Bin, Values
from cxr_viewer.training.offering import YOUDEN, Tuned, may_be_probability, tune
from cxr_viewer.training.paired import paired_metrics

LEAST_POSITIVE, LEAST_NEGATIVE = 20, 20
"""Patients with a finding, and without, below which it stays as shipped: five folds would hold fewer than four each."""
FEW_FILMS = 200
FOLDS = 5
AS_SHIPPED, FOR_SITE = "as shipped", "for this site"
FIGURES = (measure.LOG_LOSS, measure.BRIER, measure.ECE, measure.SENSITIVITY, measure.SPECIFICITY)
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class LabelTuning:
    """What came out for one finding.

    Attributes:
        tuned: None where the finding stays as shipped.
        metrics: before (``group`` :data:`AS_SHIPPED`) and after (:data:`FOR_SITE`), on held-out films.
        gains: differences, after minus before; of log loss less is better.
        helps: the log loss is smaller, or the operating point better, beyond chance, and the other no worse.
        words: one sentence on it.
        bins: reliability before and after.
    """

    name: str
    positives: int
    negatives: int
    words: str
    tuned: SiteLabel | None = None
    helps: bool = False
    metrics: tuple[Metric, ...] = ()
    gains: tuple[Metric, ...] = ()
    bins: tuple[tuple[Bin, ...], tuple[Bin, ...]] = field(default=((), ()), repr=False)


@dataclass(frozen=True, slots=True)
class SiteTuning:
    """What came out for a model.

    Attributes:
        calibration: what is to be kept; None where no finding had films enough.
        helps: it is better than what is shipped, so that it should be used.
        warnings: whole sentences.
    """

    card: ModelCard
    data: str
    labels: tuple[LabelTuning, ...]
    calibration: SiteCalibration | None
    helps: bool
    warnings: tuple[str, ...]


def calibrated(answers: Answers, card: ModelCard, site: str, made: str, data: str, *, seed: int = 0) -> SiteTuning:
    """Tune every finding that has films enough.

    Args:
        answers: of the model as shipped.
        made: ISO date.
        data: what the films are, in words.
    """
    shipped = replace(card, site=None)
    by_name = {label.name: label for label in shipped.labels}
    labels = tuple(
        _label(answers, column, by_name[name], shipped, f"{site}: {data}", seed)
        for column, name in enumerate(answers.labels)
    )
    helping = [one for one in labels if one.helps]
    kept = helping or [one for one in labels if one.tuned is not None]
    calibration = None
    if kept:
        calibration = SiteCalibration(
            site=site,
            made=made,
            films=len(answers),
            patients=len(set(answers.patients)),
            labels=tuple(one.tuned for one in kept if one.tuned is not None),
            metrics=tuple(_short(metric) for one in kept for metric in one.metrics),
        )
    return SiteTuning(shipped, data, labels, calibration, bool(helping), tuple(_warnings(answers, labels)))


def calibrate(
    card: ModelCard, runner: Runner, asked: Asked, site: str, *, device: str = "auto", today: dt.date | None = None
) -> SiteTuning:
    """Score the site's films with the model as shipped, and tune it to them; nothing is kept yet.

    Raises:
        CxrError: whatever is wrong with index, films or model.
    """
    shipped = replace(card, site=None)
    films = listed(asked, shipped)
    answers = ask(films, shipped, runner, asked, device=device)
    made = (today or dt.date.today()).isoformat()
    return calibrated(answers, shipped, site, made, asked.words(films.split))


def _warnings(answers: Answers, labels: Sequence[LabelTuning]) -> list[str]:
    out = []
    if len(answers) < FEW_FILMS:
        out.append(f"Only {len(answers)} films: with fewer than {FEW_FILMS} the new operating points are uncertain.")
    if any(one.tuned for one in labels) and not any(one.helps for one in labels):
        out.append("It does not help: on held-out films no finding is better than as shipped, which stays in use.")
    if answers.refused:
        out.append(f"{len(answers.refused)} films got no score and are left out.")
    return out


def _label(answers: Answers, column: int, label: LabelSpec, card: ModelCard, data: str, seed: int) -> LabelTuning:
    truth, patients = answers.known(column), np.array(answers.patients)
    ill, well = truth == 1, truth == 0
    few = [
        f"{count} patients {word} it, {least} are needed"
        for count, word, least in (
            (len(set(patients[ill].tolist())), "with", LEAST_POSITIVE),
            (len(set(patients[well].tolist())), "without", LEAST_NEGATIVE),
        )
        if count < least
    ]
    found = LabelTuning(label.name, int(ill.sum()), int(well.sum()), f"Stays as shipped: {'; '.join(few)}.")
    if few:
        return found
    known = np.isfinite(truth)
    truth, of = truth[known], tuple(patients[known].tolist())
    scale = scale_of(card, label)
    factory = Calibration(scale.temperature, scale.bias)
    logits = answers.logits[known, column]
    before = factory.probability(logits)
    cut = scale.threshold
    if scale.kind is ScoreKind.LOGIT:
        cut = float(factory.probability(np.array(cut)))
    point = label.point or YOUDEN
    shifted = logits / scale.temperature + scale.bias  # so that to change nothing is one of the choices
    try:
        tuned = tune(truth, shifted, of, data, point=point)
        after, decided = _held_out(truth, shifted, of, point, seed)
    except ValueError as error:
        return replace(found, words=f"Stays as shipped: {error}.")
    judged = _judged(
        found, tuned, factory, card.kind_of(label), truth, of, (before, before - cut), (after, decided), data
    )
    if label.view_terms and judged.tuned is not None:  # moved by the view, it does not say how common it is in either
        judged = replace(judged, tuned=replace(judged.tuned, score_kind=_kind(card.kind_of(label), probability=False)))
    return judged


def _held_out(truth: Values, logits: Values, patients: tuple[str, ...], point: str, seed: int) -> tuple[Values, Values]:
    """Probability, and distance above the operating point, of each film from a tuning without its patient.

    Raises:
        ValueError: films of one kind only among those that a fold is tuned on.
    """
    names, member = np.unique(np.array(patients), return_inverse=True)
    ill = np.bincount(member, weights=truth) > 0
    order = np.random.default_rng(seed).permutation(names.size)
    order = order[np.argsort(ill[order], kind="stable")]  # patients with the finding are dealt out evenly
    fold = np.empty(names.size, dtype=np.int64)
    fold[order] = np.arange(names.size) % FOLDS
    said, above = np.empty(truth.size), np.empty(truth.size)
    for held in range(FOLDS):
        inside = fold[member] == held
        own = tuple(np.array(patients)[~inside].tolist())
        tuned = tune(truth[~inside], logits[~inside], own, "", point=point)
        said[inside] = tuned.calibration.probability(logits[inside])
        above[inside] = said[inside] - tuned.threshold
    return said, above


def _judged(
    found: LabelTuning,
    tuned: Tuned,
    factory: Calibration,
    kind: ScoreKind,
    truth: Values,
    patients: tuple[str, ...],
    before: tuple[Values, Values],
    after: tuple[Values, Values],
    data: str,
) -> LabelTuning:
    """``before`` and ``after``: probability of each film, and how far it lies above the operating point."""
    metrics: list[Metric] = []
    for group, (said, above) in ((AS_SHIPPED, before), (FOR_SITE, after)):
        for scores, cut, names in ((said, 0.5, FIGURES[:3]), (above, 0.0, FIGURES[3:])):
            metrics += measure.label_metrics(found.name, truth, scores, cut, patients, data, group=group, names=names)
    gains = _gains(found.name, truth, before, after, patients, data)
    by_name = {gain.name: gain for gain in gains}
    loss, balance = by_name[f"{measure.LOG_LOSS} difference"], by_name[f"{measure.BALANCED} difference"]
    less, more = _below(loss), _above(balance)
    helps = (less and not _below(balance)) or (more and not _above(loss))
    held = [replace(metric, group="") for metric in metrics if metric.group == FOR_SITE]
    site = SiteLabel(
        name=found.name,
        threshold=_rounded(tuned.threshold),
        temperature=_rounded(factory.temperature * tuned.calibration.temperature),
        bias=_rounded(factory.bias / tuned.calibration.temperature + tuned.calibration.bias),
        score_kind=_kind(kind, probability=may_be_probability(held, found.name)),
        fitted=tuned.fitted,
        positives=found.positives,
        point=tuned.point,
        points=tuple(_short_point(one) for one in tuned.points),
    )
    what = "no new scale" if tuned.fitted == "none" else f"new {tuned.fitted}"
    words = (
        f"Better on held-out films ({what})." if helps else f"No better on held-out films ({what}): stays as shipped."
    )
    bins = (measure.reliability(truth, before[0]), measure.reliability(truth, after[0]))
    return replace(found, words=words, tuned=site, helps=helps, metrics=tuple(metrics), gains=gains, bins=bins)


def _gains(
    name: str,
    truth: Values,
    before: tuple[Values, Values],
    after: tuple[Values, Values],
    patients: tuple[str, ...],
    data: str,
) -> tuple[Metric, ...]:
    """Differences, after minus before, in the same draws of patients."""
    more = _log_loss(truth, after[0]) - _log_loss(truth, before[0])
    draws = measure.Draws.of(patients)
    sums = draws.sums(np.stack([more, np.ones_like(more)], axis=1))
    low, high = measure.interval(sums[:, 0] / sums[:, 1])
    name_of_it = f"{measure.LOG_LOSS} difference"
    loss = Metric(name_of_it, float(more.mean()), low, high, data, truth.size, name, "", int(truth.sum()))
    decided = (measure.ACCURACY, measure.BALANCED, measure.SENSITIVITY, measure.SPECIFICITY)
    return (loss, *paired_metrics(name, truth, (before[1], 0.0), (after[1], 0.0), patients, data, names=decided))


def _log_loss(truth: Values, said: Values) -> Values:
    p = np.clip(said, 1e-12, 1 - 1e-12)
    return np.asarray(-np.where(truth == 1, np.log(p), np.log1p(-p)))


def _kind(kind: ScoreKind, *, probability: bool) -> ScoreKind:
    """A percentage only where calibration held on held-out films; an operating-point score stays one."""
    if probability:
        return ScoreKind.CALIBRATED
    return kind if kind is ScoreKind.OPERATING_POINT else ScoreKind.UNCALIBRATED


def _below(gain: Metric) -> bool:
    return gain.high is not None and gain.high < 0


def _above(gain: Metric) -> bool:
    return gain.low is not None and gain.low > 0


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _short_point(point: OperatingPoint) -> OperatingPoint:
    """With as many digits as mean something."""
    cut, found, cleared = (_rounded(value) for value in (point.threshold, point.sensitivity, point.specificity))
    return OperatingPoint(point.name, cut, found, cleared, point.data)


def _short(metric: Metric) -> Metric:
    low, high = (None if value is None else _rounded(value) for value in (metric.low, metric.high))
    return replace(metric, value=_rounded(metric.value), low=low, high=high)
