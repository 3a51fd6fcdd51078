"""Figures with their uncertainty: how well scores tell films with a finding from films without.

Every interval is the 95 % percentile interval of a bootstrap that draws patients, not films, because films of one
patient are alike (Efron and Tibshirani 1993; Obuchowski 1997 on clustered ROC data). A draw is how often each patient
was drawn, so that all figures are computed from weights; those that are shares of sums need no pass over the films.

Pure functions on arrays: no films, no networks, no files. ``truth`` is everywhere float (films,), 1 with the finding, 0
without, nan unknown; films of unknown truth count nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report

from cxr_viewer.core.modelcard import Metric

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

RESAMPLES = 2000
BINS = 10
LEAST = 5
"""Films with a finding, and without, that a part of the films needs for figures of its own."""

AUC, PRECISION = "AUC", "average precision"
ACCURACY, BALANCED, SENSITIVITY, SPECIFICITY = "accuracy", "balanced accuracy", "sensitivity", "specificity"
PPV, NPV, F1 = "positive predictive value", "negative predictive value", "F1"
ECE, BRIER, LOG_LOSS = "calibration error (ECE)", "Brier score", "log loss"
RANKING = (AUC, PRECISION)
DECIDING = (ACCURACY, BALANCED, SENSITIVITY, SPECIFICITY, PPV, NPV, F1)
CALIBRATION = (ECE, BRIER, LOG_LOSS)
PER_GROUP = (AUC, SENSITIVITY, SPECIFICITY)

ONE_PER_PATIENT = "one film per patient"
AGE_BANDS = (1.0, 6.0, 18.0, 40.0, 60.0, 80.0)


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of patients with replacement.

    Attributes:
        counts: float32 (draws, patients), how often each was drawn.
        member: int (films,), the patient of each film.
    """

    counts: NDArray[np.float32] = field(repr=False)
    member: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, patients: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> Draws:
        """``resamples`` draws of as many patients as there are."""
        names, member = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
        chance = np.random.default_rng(seed)
        counts = np.empty((resamples, names.size), dtype=np.float32)
        for row in counts:
            row[:] = np.bincount(chance.integers(names.size, size=names.size), minlength=names.size)
        return cls(counts, member.astype(np.int64))

    def once(self) -> Draws:
        """The films themselves: every patient once."""
        return Draws(np.ones((1, self.counts.shape[1]), dtype=np.float32), self.member)

    def sums(self, columns: Values) -> Values:
        """Sums over the films of each draw: (films, m) -> (draws, m)."""
        per_patient = np.zeros((self.counts.shape[1], columns.shape[1]))
        np.add.at(per_patient, self.member, columns)
        return np.asarray(self.counts.astype(np.float64) @ per_patient)

    def each(self, statistic: Callable[[Values], Values]) -> Values:
        """``statistic`` of weights (rows, films) -> (rows,), for all draws: (draws,)."""
        rows = max(1, 2_000_000 // max(1, self.member.size))
        parts = [
            statistic(self.counts[start : start + rows][:, self.member].astype(np.float64))
            for start in range(0, len(self.counts), rows)
        ]
        return np.concatenate(parts)


def interval(drawn: Values) -> tuple[float, float] | tuple[None, None]:
    """95 % percentile interval of a figure's draws (draws,); draws without the figure are nan and left out.

    None where the draws cannot tell: in most of them there is no such figure, or it is the same in all (an AUC of 1
    is, however few the films).
    """
    known = drawn[np.isfinite(drawn)]
    if known.size < drawn.size / 2 or np.ptp(known) == 0:
        return None, None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def share_interval(value: float, drawn: Values, patients: int) -> tuple[float, float] | tuple[None, None]:
    """Interval of a share of films; where it is 0 or 1 that of Clopper and Pearson (1934) over so many patients."""
    if patients == 0:
        return None, None
    if value in (0.0, 1.0):
        bound = 0.025 ** (1 / patients)
        return (bound, 1.0) if value == 1 else (0.0, 1 - bound)
    return interval(drawn)


# ---------------------------------------------------------------- ranking


def auc(truth: Values, scores: Values) -> float:
    """Area under the ROC curve: the share of pairs in the right order, ties half; nan where one kind is missing."""
    return float(auc_of(truth, scores)(np.ones((1, truth.size)))[0])


def average_precision(truth: Values, scores: Values) -> float:
    """Mean precision over the films with the finding, each at the threshold that just finds it; nan without any."""
    return float(precision_of(truth, scores)(np.ones((1, truth.size)))[0])


def auc_of(truth: Values, scores: Values) -> Callable[[Values], Values]:
    """AUC of weights (draws, films) -> (draws,), for :meth:`Draws.each`; no truth may be unknown."""
    order, starts = _ties(scores)
    positive = truth[order] == 1

    def statistic(weights: Values) -> Values:
        sorted_weights = weights[:, order]
        ill = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        well = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
        below = np.cumsum(well, axis=1) - well / 2
        return ratio((ill * below).sum(axis=1), ill.sum(axis=1) * well.sum(axis=1))

    return statistic


def precision_of(truth: Values, scores: Values) -> Callable[[Values], Values]:
    """Average precision, in the same way as :func:`auc_of`."""
    order, starts = _ties(-scores)
    positive = truth[order] == 1

    def statistic(weights: Values) -> Values:
        sorted_weights = weights[:, order]
        ill = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        all_ = np.add.reduceat(sorted_weights, starts, axis=1)
        precision = ratio(np.cumsum(ill, axis=1), np.cumsum(all_, axis=1))
        return ratio(np.nansum(ill * precision, axis=1), ill.sum(axis=1))

    return statistic


def _ties(scores: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of rising scores, and where in it each value begins."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])


# ---------------------------------------------------------------- deciding


def confusion(truth: Values, said: Mask) -> tuple[tuple[int, int], tuple[int, int]]:
    """Films by [truth][answer]: ``((true negative, false positive), (false negative, true positive))``."""
    ill, well = truth == 1, truth == 0
    return (int((well & ~said).sum()), int((well & said).sum())), (int((ill & ~said).sum()), int((ill & said).sum()))


def report_text(truth: Values, said: Mask, label: str) -> str:
    """scikit-learn's classification report: precision, recall, F1 and number of films of both kinds."""
    known = np.isfinite(truth)
    return str(
        classification_report(
            truth[known].astype(int),
            said[known].astype(int),
            labels=[0, 1],
            target_names=[f"no {label}", label],
            digits=3,
            zero_division=0,
        )
    )


def decided_cells(truth: Values, said: Mask) -> Values:
    """1 in the column of each film's cell: true negative, false positive, false negative, true positive; (films, 4)."""
    cells = [(truth == kind) & (said == answer) for kind in (0, 1) for answer in (False, True)]
    return np.stack(cells, axis=1).astype(np.float64)


def decisions(counts: Values) -> dict[str, Values]:
    """Figures of counts (draws, 4) of true negatives, false positives, false negatives, true positives."""
    tn, fp, fn, tp = counts.T
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        ACCURACY: ratio(tp + tn, tp + tn + fp + fn),
        BALANCED: (sensitivity + specificity) / 2,
        SENSITIVITY: sensitivity,
        SPECIFICITY: specificity,
        PPV: ratio(tp, tp + fp),
        NPV: ratio(tn, tn + fn),
        F1: ratio(2 * tp, 2 * tp + fp + fn),
    }


_COUNTED = {ACCURACY: [0, 1, 2, 3], SENSITIVITY: [2, 3], SPECIFICITY: [0, 1], PPV: [1, 3], NPV: [0, 2]}
"""Which of the four counts a share is taken of."""


# ---------------------------------------------------------------- calibration


@dataclass(frozen=True, slots=True)
class Bin:
    """Films of like score: mean score, share with the finding, films, and the ends of the scores."""

    said: float
    found: float
    films: int
    low: float
    high: float


def reliability(truth: Values, scores: Values, bins: int = BINS) -> tuple[Bin, ...]:
    """Films in ``bins`` parts of equal number by score (equal scores stay together), from the lowest.

    Parts of equal *number*, not of equal width: of a rare finding nearly all scores lie in the first tenth of the
    scale, where one part of equal width would hide any error.
    """
    known = np.isfinite(truth)
    said, found = scores[known], truth[known]
    which = _bins(said, bins)
    out = []
    for part in np.unique(which):
        inside = which == part
        low, high = float(said[inside].min()), float(said[inside].max())
        out.append(Bin(float(said[inside].mean()), float(found[inside].mean()), int(inside.sum()), low, high))
    return tuple(out)


def calibration_error(truth: Values, scores: Values, bins: int = BINS) -> float:
    """Expected calibration error over parts of equal number (see :func:`reliability`), weighted by their films.

    Chance alone makes it larger than 0, the more so the fewer the films: it errs on the side of caution.
    """
    parts = reliability(truth, scores, bins)
    films = sum(part.films for part in parts)
    return sum(part.films * abs(part.said - part.found) for part in parts) / films if films else float("nan")


def _bins(scores: Values, bins: int) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(scores, np.arange(1, bins) / bins, method="lower")) if scores.size else np.empty(0)
    return np.searchsorted(edges, scores, side="left").astype(np.int64)


def _calibration_columns(truth: Values, scores: Values) -> dict[str, tuple[Values, Callable[[Values], Values]]]:
    """For each figure: columns to sum over films, and what makes the figure of the sums (draws, m)."""
    p = np.clip(scores, 1e-12, 1 - 1e-12)
    one = np.ones_like(truth)
    member = np.eye(BINS)[_bins(scores, BINS)]

    def mean(sums: Values) -> Values:
        return ratio(sums[:, 0], sums[:, 1])

    return {
        ECE: (
            np.c_[member * (scores - truth)[:, None], one],
            lambda s: ratio(np.abs(s[:, :-1]).sum(axis=1), s[:, -1]),
        ),
        BRIER: (np.c_[(scores - truth) ** 2, one], mean),
        LOG_LOSS: (np.c_[-np.where(truth == 1, np.log(p), np.log1p(-p)), one], mean),
    }


# ---------------------------------------------------------------- all of it


def label_metrics(
    label: str,
    truth: Values,
    scores: Values,
    threshold: float,
    patients: Sequence[str],
    data: str,
    *,
    group: str = "",
    names: Sequence[str] = (*RANKING, *DECIDING, *CALIBRATION),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Metric, ...]:
    """Figures of one finding, each with its interval; those that the films do not allow are left out.

    Args:
        scores: (films,), calibrated, 0..1 where figures of calibration are asked for; else any that rise with it.
        threshold: operating point on ``scores``.
        patients: of each film.
        data: what the films are and their split, for the metrics.
        names: which figures, of :data:`RANKING`, :data:`DECIDING` and :data:`CALIBRATION`.
    """
    known = np.isfinite(truth)
    truth, scores = truth[known], scores[known]
    of = [patient for patient, keep in zip(patients, known, strict=True) if keep]
    if not of:
        return ()
    draws = Draws.of(of, resamples, seed)
    once = draws.once()
    found = {}
    for name, statistic in ((AUC, auc_of), (PRECISION, precision_of)):
        if name in names:
            found[name] = _figure(statistic(truth, scores), once, draws)
    if any(name in names for name in DECIDING):
        found |= _decided(truth, scores >= threshold, of, once, draws)
    if any(name in names for name in CALIBRATION):
        for name, (columns, made) in _calibration_columns(truth, scores).items():
            found[name] = (float(made(once.sums(columns))[0]), *interval(made(draws.sums(columns))))
    ill = np.flatnonzero(truth == 1)
    ill_patients = len({of[at] for at in ill})
    return tuple(
        Metric(name, value, low, high, data, len(of), label, group, ill.size, ill_patients)
        for name, (value, low, high) in found.items()
        if name in names and np.isfinite(value)
    )


_Figure = tuple[float, float | None, float | None]


def _figure(statistic: Callable[[Values], Values], once: Draws, draws: Draws) -> _Figure:
    return (float(once.each(statistic)[0]), *interval(draws.each(statistic)))


def _decided(truth: Values, said: Mask, patients: Sequence[str], once: Draws, draws: Draws) -> dict[str, _Figure]:
    cells = decided_cells(truth, said)
    values, drawn = decisions(once.sums(cells)), decisions(draws.sums(cells))
    out: dict[str, _Figure] = {}
    for name, value in values.items():
        figure = float(value[0])
        if name in _COUNTED:
            counted = cells[:, _COUNTED[name]].sum(axis=1) > 0
            number = np.unique(np.asarray(patients, dtype=np.str_)[counted]).size
            out[name] = (figure, *share_interval(figure, drawn[name], number))
        else:
            out[name] = (figure, *interval(drawn[name]))
    return out


def subgroups(
    patients: Sequence[str],
    *,
    ages: Sequence[float] = (),
    sexes: Sequence[str] = (),
    views: Sequence[str] = (),
    sites: Sequence[str] = (),
    bands: Sequence[float] = AGE_BANDS,
    seed: int = 0,
) -> Mapping[str, Mask]:
    """Parts of the films by name: views, sexes, age bands, sites (of several), one film (by chance) per patient.

    Args:
        ages: years, nan unknown.
        sexes: ``"F"``/``"M"`` or words that begin so; others belong to no part.
    """
    out: dict[str, Mask] = {}
    shown = np.array([view.upper() for view in views])
    for view in sorted({view for view in shown.tolist() if view}):
        out[view] = shown == view
    first = np.array([sex[:1].upper() for sex in sexes])
    out |= {word: first == letter for letter, word in (("F", "women"), ("M", "men")) if (first == letter).any()}
    years = np.array(ages, dtype=np.float64)
    for low, high in pairwise((0.0, *bands, np.inf)):
        inside = (years >= low) & (years < high)
        if inside.any():
            out[_band(low, high)] = inside
    places = np.array(sites)
    names = sorted({site for site in places.tolist() if site})
    if len(names) > 1:
        out |= {f"site {name}": places == name for name in names}
    order = np.random.default_rng(seed).permutation(len(patients))
    _, chosen = np.unique(np.asarray(patients, dtype=np.str_)[order], return_index=True)
    if 0 < chosen.size < len(patients):
        out[ONE_PER_PATIENT] = np.isin(np.arange(len(patients)), order[chosen])
    return out


def _band(low: float, high: float) -> str:
    if low == 0:
        return f"under {high:g} year{'s' if high > 1 else ''}"
    return f"{low:g} years and over" if high == np.inf else f"{low:g} to {high - 1:g} years"


def enough(truth: Values, keep: Mask) -> bool:
    """Whether a part of the films has :data:`LEAST` films with and without the finding."""
    return bool((truth[keep] == 1).sum() >= LEAST and (truth[keep] == 0).sum() >= LEAST)


def ratio(upper: Values, lower: Values) -> Values:
    """nan where nothing is to be divided by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(lower > 0, upper / lower, np.nan))
