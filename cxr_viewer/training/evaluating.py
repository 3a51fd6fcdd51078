"""All figures of a classifier on one's own films, as one value; ``training.reports`` makes pages and files of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from cxr_viewer.core.findings import Metric, ModelCard, ScoreKind
from cxr_viewer.training import measure
from cxr_viewer.training.asking import Answers, kind_counts
from cxr_viewer.training.measure import Bin, Mask, Values

CHECKED = "films the film check passes"
MOST_WRONG = 4
"""Pictures of each kind of error and finding."""


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One finding.

    Attributes:
        threshold: operating point on the score as the reader sees it.
        confusion: films by [truth][answer].
        report: scikit-learn's classification report.
        roc: 1 - specificity and sensitivity, (2, n); precision_recall: recall and precision, (2, n).
        bins: empty where the score is on no scale from 0 to 1 that means a share of films.
        missed, alarms: rows of the films with the finding that score lowest, below the operating point, and of those
            without that score highest, above it.
    """

    name: str
    kind: ScoreKind
    threshold: float
    films: int
    positives: int
    metrics: tuple[Metric, ...]
    groups: tuple[Metric, ...]
    confusion: tuple[tuple[int, int], tuple[int, int]]
    report: str
    roc: Values = field(repr=False)
    precision_recall: Values = field(repr=False)
    bins: tuple[Bin, ...]
    missed: tuple[int, ...]
    alarms: tuple[int, ...]

    def metric(self, name: str) -> Metric | None:
        """A figure of all films, None where they did not allow it."""
        return next((metric for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured.

    Attributes:
        data: the films and their split, in words.
        left_out: findings that were not measured, and why.
        small: parts of the films that are too few for figures of their own: ``{"Effusion": ("AP", ...)}``.
        refused: films without any score, by the sentence.
        blocked: films that the film check would have kept back, by its code; they were scored all the same.
    """

    card: ModelCard
    data: str
    films: int
    patients: int
    labels: tuple[LabelFigures, ...]
    left_out: Mapping[str, str]
    small: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, int]
    unreadable: tuple[tuple[str, str], ...]
    blocked: Mapping[str, int]
    device: str

    def label(self, name: str) -> LabelFigures:
        """Figures of one finding; KeyError where it was not measured."""
        for found in self.labels:
            if found.name == name:
                return found
        raise KeyError(name)


def measured(
    answers: Answers,
    card: ModelCard,
    data: str,
    *,
    missing: tuple[str, ...] = (),
    resamples: int = measure.RESAMPLES,
) -> Measured:
    """Measure what a model said.

    Args:
        missing: findings of the model that the index says nothing of.
    """
    groups = film_groups(answers)
    left_out = dict.fromkeys(missing, "The index says nothing of it.")
    small: dict[str, tuple[str, ...]] = {}
    labels = []
    for column, name in enumerate(answers.labels):
        truth = answers.known(column)
        why = _unmeasurable(truth)
        if why:
            left_out[name] = why
            continue
        few = tuple(group for group, keep in groups.items() if not measure.enough(truth, keep))
        if few:
            small[name] = few
        labels.append(_label(answers, column, data, {g: k for g, k in groups.items() if g not in few}, resamples))
    refused: dict[str, int] = {}
    for _, sentence in answers.refused:
        refused[sentence] = refused.get(sentence, 0) + 1
    return Measured(
        card=card,
        data=data,
        films=len(answers),
        patients=len(set(answers.patients)),
        labels=tuple(labels),
        left_out=left_out,
        small=small,
        refused=refused,
        unreadable=answers.unreadable,
        blocked=kind_counts(answers.blocked),
        device=answers.device,
    )


def film_groups(answers: Answers) -> dict[str, Mask]:
    """The parts of the films that are measured apart, by name."""
    found = dict(
        measure.subgroups(
            answers.patients,
            ages=[record.age for record in answers.records],
            sexes=[record.sex for record in answers.records],
            views=[record.view for record in answers.records],
            sites=[record.site for record in answers.records],
        )
    )
    if any(answers.blocked):
        found[CHECKED] = np.array([not codes for codes in answers.blocked])
    return {name: keep for name, keep in found.items() if not keep.all()}


def means_share(kind: ScoreKind) -> bool:
    """Whether a score is meant as a share of films, so that its calibration can be measured."""
    return kind in (ScoreKind.CALIBRATED, ScoreKind.UNCALIBRATED)


def _unmeasurable(truth: Values) -> str:
    ill, well = int((truth == 1).sum()), int((truth == 0).sum())
    if ill + well == 0:
        return "No film with a known answer got a score."
    if ill == 0 or well == 0:
        return f"No film {'with' if ill == 0 else 'without'} it among {ill + well}."
    return ""


def _label(answers: Answers, column: int, data: str, groups: Mapping[str, Mask], resamples: int) -> LabelFigures:
    name, truth, scores = answers.labels[column], answers.known(column), answers.scores[:, column]
    threshold, kind = answers.thresholds[column], answers.kinds[column]
    known = np.isfinite(truth)
    names = (*measure.RANKING, *measure.DECIDING, *(measure.CALIBRATION if means_share(kind) else ()))
    metrics = measure.label_metrics(
        name, truth, scores, threshold, answers.patients, data, names=names, resamples=resamples
    )
    apart: list[Metric] = []
    for group, keep in groups.items():
        apart += measure.label_metrics(
            name,
            np.where(keep, truth, np.nan),
            scores,
            threshold,
            answers.patients,
            data,
            group=group,
            names=measure.PER_GROUP,
            resamples=resamples,
        )
    false, true, _ = roc_curve(truth[known], scores[known])
    precision, recall, _ = precision_recall_curve(truth[known], scores[known])
    said = np.where(known, scores, 0.0) >= threshold
    missed = np.flatnonzero((truth == 1) & ~said)
    alarms = np.flatnonzero((truth == 0) & said)
    return LabelFigures(
        name=name,
        kind=kind,
        threshold=threshold,
        films=int(known.sum()),
        positives=int((truth == 1).sum()),
        metrics=metrics,
        groups=tuple(apart),
        confusion=measure.confusion(truth, said),
        report=measure.report_text(truth, said, name),
        roc=np.stack([false, true]),
        precision_recall=np.stack([recall, precision]),
        bins=measure.reliability(truth, scores) if means_share(kind) else (),
        missed=tuple(missed[np.argsort(scores[missed], kind="stable")][:MOST_WRONG].tolist()),
        alarms=tuple(alarms[np.argsort(-scores[alarms], kind="stable")][:MOST_WRONG].tolist()),
    )
