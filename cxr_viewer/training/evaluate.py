"""How good a model is, with intervals, and what it leans on.

Intervals are 95 % percentile intervals of a bootstrap that draws patients, not films, because films of one child are
alike (Efron and Tibshirani 1993; Obuchowski 1997 on clustered ROC data).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report
from torch import nn

from cxr_viewer.core.findings import InputSpec, Metric
from cxr_viewer.inference.calibrate import (
    Calibration,
    even_weights,
    expected_calibration_error,
    negative_log_likelihood,
)
from cxr_viewer.training.films import FilmSet, prepared
from cxr_viewer.training.lessons.classify import score_labels

CENTRE_SHARES = (0.6, 0.7, 0.8)
_RESAMPLES = 2000

Values = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured on one set of films.

    Attributes:
        data: what the films are, in words.
        confusion: films by [label][answer]: ``[[true negative, false positive], [false negative, true positive]]``.
        metrics: figures with 95 % intervals.
        probes: what the network leans on; see :func:`probe_frame`.
        report: scikit-learn's classification report.
        scores: per film: name, patient, label, logit, probability.
    """

    data: str
    films: int
    patients: int
    positives: int
    threshold: float
    confusion: tuple[tuple[int, int], tuple[int, int]]
    metrics: tuple[Metric, ...]
    probes: tuple[Metric, ...]
    report: str
    scores: tuple[tuple[str, str, int, float, float], ...] = field(repr=False)

    def metric(self, name: str) -> Metric:
        """The figure called ``name``; KeyError if it was not measured."""
        for metric in (*self.metrics, *self.probes):
            if metric.name == name:
                return metric
        raise KeyError(name)


def evaluate(
    network: nn.Module,
    films: FilmSet,
    spec: InputSpec,
    calibration: Calibration,
    threshold: float,
    data: str,
    *,
    resamples: int = _RESAMPLES,
    seed: int = 0,
    probes: bool = True,
) -> Evaluation:
    """Measure a network on labelled films of both kinds.

    Args:
        threshold: operating point on the calibrated score.
        data: what the films are, in words; goes into every figure.
        probes: also measure what the network leans on (four more passes).
    """
    inputs = prepared(films, spec)
    logits = score(network, inputs)
    probabilities = calibration.probability(logits)
    positive = probabilities >= threshold
    labels = films.labels
    confusion = (
        (int((~positive & (labels == 0)).sum()), int((positive & (labels == 0)).sum())),
        (int((~positive & (labels == 1)).sum()), int((positive & (labels == 1)).sum())),
    )
    draws = patient_draws(films.groups, resamples, seed)
    probed = (
        probe_frame(network, inputs, labels, draws, data, fill=0.0 - spec.mean / spec.std, seed=seed) if probes else ()
    )
    text = classification_report(
        labels, positive.astype(int), labels=[0, 1], target_names=["normal", "pneumonia"], digits=3, zero_division=0
    )
    return Evaluation(
        data=data,
        films=len(films),
        patients=len(set(films.groups)),
        positives=int(labels.sum()),
        threshold=threshold,
        confusion=confusion,
        metrics=_metrics(labels, logits, probabilities, threshold, draws, data),
        probes=probed,
        report=str(text),
        scores=tuple(
            zip(films.names, films.groups, labels.tolist(), logits.tolist(), probabilities.tolist(), strict=True)
        ),
    )


def score(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits (n,) of the first label, in full precision, in evaluation mode."""
    return score_labels(network.eval(), inputs)[:, 0]


def probe_frame(
    network: nn.Module,
    inputs: NDArray[np.float32],
    labels: Labels,
    draws: list[NDArray[np.int64]],
    data: str,
    *,
    fill: float,
    seed: int = 0,
) -> tuple[Metric, ...]:
    """What the network makes of the frame around the lungs.

    - ``AUC, centre blanked N %``: the middle square of N % of the side is black; 0.5 means that the rest says nothing.
      The smaller N, the more lung is left to see.
    - ``AUC, frame of another film``: the outer 10 % of each side come from a film drawn by chance.
    - ``AUC of the frame's own label``: in the same mixed films, how well the score tells the label of the film that
      only gave the frame; 0.5 is right.
    """
    size = inputs.shape[-1]
    out = []
    for share in CENTRE_SHARES:
        edge = round(size * (1 - share) / 2)
        blanked = inputs.copy()
        blanked[:, :, edge : size - edge, edge : size - edge] = fill
        out.append(_auc_metric(f"AUC, centre blanked {share:.0%}", labels, score(network, blanked), draws, data))
    giver = np.random.default_rng(seed).permutation(len(inputs))
    edge = round(size * 0.1)
    mixed = inputs[giver]
    mixed[:, :, edge : size - edge, edge : size - edge] = inputs[:, :, edge : size - edge, edge : size - edge]
    logits = score(network, mixed)
    out.append(_auc_metric("AUC, frame of another film", labels, logits, draws, data))
    out.append(_auc_metric("AUC of the frame's own label", labels[giver], logits, draws, data))
    return tuple(out)


def auc(labels: Labels, scores: Values) -> float:
    """Area under the ROC curve, the share of pairs in the right order (ties half); nan where one kind is missing."""
    negative, positive = np.sort(scores[labels == 0]), scores[labels == 1]
    if negative.size == 0 or positive.size == 0:
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / (2 * negative.size * positive.size))


def subset_metrics(evaluation: Evaluation, keep: Callable[[str, str], bool], data: str) -> tuple[Metric, ...]:
    """The figures again on the films for which ``keep(name, patient)`` is true."""
    rows = [row for row in evaluation.scores if keep(row[0], row[1])]
    labels = np.array([row[2] for row in rows], dtype=np.int64)
    logits, probabilities = np.array([row[3] for row in rows]), np.array([row[4] for row in rows])
    draws = patient_draws(tuple(row[1] for row in rows), _RESAMPLES, 0)
    return _metrics(labels, logits, probabilities, evaluation.threshold, draws, data)


def as_text(evaluation: Evaluation) -> str:
    """The report for people."""
    (tn, fp), (fn, tp) = evaluation.confusion
    lines = [
        evaluation.data,
        f"{evaluation.films} films of {evaluation.patients} patients, {evaluation.positives} with pneumonia",
        f"operating point {evaluation.threshold:.3f}",
        "",
        *(_metric_line(metric) for metric in evaluation.metrics),
        "",
        "Confusion matrix           said normal   said pneumonia",
        f"  is normal              {tn:>13} {fp:>16}",
        f"  is pneumonia           {fn:>13} {tp:>16}",
        "",
        evaluation.report.rstrip(),
    ]
    if evaluation.probes:
        lines += ["", "What it leans on (0.5 is chance)", *(_metric_line(metric) for metric in evaluation.probes)]
    return "\n".join(lines) + "\n"


def save(evaluation: Evaluation, folder: Path) -> None:
    """Write ``evaluation.json``, ``evaluation.txt`` and ``scores.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(evaluation)
    rows = content.pop("scores")
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "evaluation.txt").write_text(as_text(evaluation), encoding="utf-8")
    lines = ["file,patient,label,logit,probability"]
    lines += [f"{name},{group},{label},{logit:.6f},{p:.6f}" for name, group, label, logit, p in rows]
    (folder / "scores.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _metric_line(metric: Metric) -> str:
    interval = "" if metric.low is None or metric.high is None else f"  (95 % {metric.low:.3f} to {metric.high:.3f})"
    return f"  {metric.name:<34} {metric.value:.3f}{interval}"


def patient_draws(groups: tuple[str, ...], resamples: int, seed: int) -> list[NDArray[np.int64]]:
    """Film indices of ``resamples`` draws of patients with replacement."""
    generator = np.random.default_rng(seed)
    _, member = np.unique(np.array(groups), return_inverse=True)
    films_of = [np.flatnonzero(member == patient) for patient in range(int(member.max()) + 1)]
    return [
        np.concatenate([films_of[patient] for patient in generator.integers(len(films_of), size=len(films_of))])
        for _ in range(resamples)
    ]


def _interval(draws: list[NDArray[np.int64]], value: Callable[[NDArray[np.int64]], float]) -> tuple[float, float]:
    values = np.array([value(draw) for draw in draws])
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)


def _auc_metric(name: str, labels: Labels, scores: Values, draws: list[NDArray[np.int64]], data: str) -> Metric:
    low, high = _interval(draws[:500], lambda draw: auc(labels[draw], scores[draw]))
    return Metric(name, auc(labels, scores), low, high, data, int(labels.size))


def _metrics(
    labels: Labels,
    logits: Values,
    probabilities: Values,
    threshold: float,
    draws: list[NDArray[np.int64]],
    data: str,
) -> tuple[Metric, ...]:
    right = (probabilities >= threshold) == (labels == 1)

    def share(of: NDArray[np.bool_]) -> Callable[[NDArray[np.int64]], float]:
        return lambda draw: float(right[draw][of[draw]].mean()) if of[draw].any() else float("nan")

    def even_error(draw: NDArray[np.int64]) -> float:
        said, found = probabilities[draw], labels[draw]
        if found.min() == found.max():
            return float("nan")
        return expected_calibration_error(said, found, even_weights(found))

    figures: list[tuple[str, Callable[[NDArray[np.int64]], float]]] = [
        ("AUC", lambda draw: auc(labels[draw], logits[draw])),
        ("accuracy", share(np.ones(labels.size, dtype=np.bool_))),
        ("sensitivity", share(labels == 1)),
        ("specificity", share(labels == 0)),
        ("calibration error (ECE)", lambda draw: expected_calibration_error(probabilities[draw], labels[draw])),
        ("calibration error, half ill", even_error),
        ("Brier score", lambda draw: float(np.mean((probabilities[draw] - labels[draw]) ** 2))),
        ("log loss", lambda draw: negative_log_likelihood(probabilities[draw], labels[draw])),
    ]
    everything = np.arange(labels.size)
    out = []
    for name, value in figures:
        low, high = _interval(draws, value)
        out.append(Metric(name, value(everything), low, high, data, int(labels.size)))
    return tuple(out)
