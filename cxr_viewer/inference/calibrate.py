"""From logits to probabilities, and whether those may be believed.

``p = sigmoid(logit / temperature + bias)`` (temperature scaling, Guo et al., ICML 2017; the bias moves the score to the
prevalence of the films it was fitted on).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_FOLDS = 5
_DRAWS = 5
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """``p = sigmoid(logit / temperature + bias)``; temperature > 0."""

    temperature: float = 1.0
    bias: float = 0.0

    def probability(self, logits: Values) -> Values:
        """Probabilities 0..1 of logits of any shape."""
        return sigmoid(np.asarray(logits, dtype=np.float64) / self.temperature + self.bias)


def sigmoid(x: Values) -> Values:
    """1 / (1 + exp(-x)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=np.float64))))


def negative_log_likelihood(probabilities: Values, labels: NDArray[np.int64], weights: Values | None = None) -> float:
    """Mean over films, natural logarithm; ``weights`` (n,) count films more or less often."""
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return float(-np.average(np.where(labels == 1, np.log(p), np.log1p(-p)), weights=weights))


def fit_calibration(
    logits: Values, labels: NDArray[np.int64], weights: Values | None = None, *, with_bias: bool = True
) -> Calibration:
    """The calibration with the least log loss (Newton's method; the problem is convex).

    Labels are drawn in as Platt (1999) did, so that perfectly separated films still give a finite slope.

    Args:
        logits: (n,).
        labels: (n,), 0 or 1, both present.
        weights: (n,), count films more or less often; None: every film once.
        with_bias: also fit the bias; otherwise it is 0.

    Raises:
        ValueError: only one kind of label, or logits that fall with the label.
    """
    counts = np.ones(labels.size) if weights is None else weights
    positives, negatives = float(counts[labels == 1].sum()), float(counts[labels == 0].sum())
    if positives == 0 or negatives == 0:
        raise ValueError("calibration needs films of both kinds")
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([logits, np.ones_like(logits)]) if with_bias else logits[:, None]
    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = sigmoid(design @ found)
        gradient = design.T @ (counts * (p - target))
        curvature = (design.T * (counts * p * (1 - p))) @ design + 1e-9 * np.eye(found.size)
        step = np.linalg.solve(curvature, gradient)
        found -= step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if float(np.abs(step).max()) < 1e-10:
            break
    if found[0] <= 0:
        raise ValueError("the scores do not rise with the label")
    return Calibration(1.0 / float(found[0]), float(found[1]) if with_bias else 0.0)


def choose_calibration(
    logits: Values, labels: NDArray[np.int64], groups: tuple[str, ...], weights: Values | None = None, *, seed: int = 0
) -> tuple[Calibration, dict[str, float]]:
    """None, temperature, or temperature and bias: whichever has the least log loss on patients it was not fitted on.

    Five folds by patient, drawn five times; the winner is then fitted on all films. ``weights`` count films more or
    less often.

    Returns:
        The calibration, and the held-out log loss of each candidate; infinite where it could not be fitted.
    """
    counts = np.ones(labels.size) if weights is None else weights
    chance = np.random.default_rng(seed)
    names, member = np.unique(np.array(groups), return_inverse=True)
    losses: dict[str, float] = {}
    draws = [(chance.permutation(names.size) % _FOLDS)[member] for _ in range(_DRAWS)]
    for name in ("none", "temperature", "temperature and bias"):
        try:
            held_out = [_held_out(logits, labels, counts, folds, name) for folds in draws]
            losses[name] = float(np.mean([negative_log_likelihood(said, labels, counts) for said in held_out]))
        except ValueError:  # too few films, or scores that fall with the label
            losses[name] = float("inf")
    best = min(losses, key=lambda name: losses[name])
    return _fitted(logits, labels, counts, best), losses


def _held_out(logits: Values, labels: NDArray[np.int64], counts: Values, folds: NDArray[np.int64], name: str) -> Values:
    """Probabilities of all films, each from a calibration fitted on the other folds."""
    said = np.empty(labels.size)
    for fold in np.unique(folds):
        held = folds == fold
        said[held] = _fitted(logits[~held], labels[~held], counts[~held], name).probability(logits[held])
    return said


def _fitted(logits: Values, labels: NDArray[np.int64], counts: Values, name: str) -> Calibration:
    if name == "none":
        return Calibration()
    return fit_calibration(logits, labels, counts, with_bias=name == "temperature and bias")


def even_weights(labels: NDArray[np.int64]) -> Values:
    """Weights (n,) with mean 1 under which both labels are equally common; both have to be there."""
    positives = int((labels == 1).sum())
    return np.where(labels == 1, labels.size / (2 * positives), labels.size / (2 * (labels.size - positives)))


def expected_calibration_error(
    probabilities: Values, labels: NDArray[np.int64], weights: Values | None = None, *, bins: int = 10
) -> float:
    """Mean distance of said and found probability over ``bins`` equal parts of 0..1, weighted by films.

    ``weights`` (n,) count films more or less often.
    """
    counts = np.ones(labels.size) if weights is None else weights
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    said = np.bincount(which, weights=counts * probabilities, minlength=bins)
    found = np.bincount(which, weights=counts * labels, minlength=bins)
    return float(np.abs(said - found).sum() / counts.sum())


def youden_threshold(probabilities: Values, labels: NDArray[np.int64], weights: Values | None = None) -> float:
    """The operating point with the largest sensitivity + specificity, in the middle of the gap between two films.

    The middle is taken on the logit scale, and of several gaps that are equally good the widest. ``weights`` (n,) count
    films more or less often.

    Raises:
        ValueError: only one kind of label.
    """
    if labels.min() == labels.max():
        raise ValueError("an operating point needs films of both kinds")
    order = np.argsort(probabilities)
    sorted_p, sorted_y = probabilities[order], labels[order]
    counts = np.ones(labels.size) if weights is None else weights[order]
    missed, rejected = (np.concatenate([[0.0], np.cumsum(counts * (sorted_y == label))]) for label in (1, 0))
    edges = np.concatenate([[0.0], sorted_p, [1.0]])
    merit = np.where(edges[1:] > edges[:-1], rejected / rejected[-1] - missed / missed[-1], -np.inf)
    inner = np.clip(edges, 1e-6, 1 - 1e-6)
    position = np.log(inner / (1 - inner))
    best = np.flatnonzero(merit >= merit.max() - 1e-12)
    cut = best[np.argmax(position[best + 1] - position[best])]
    return float(sigmoid(np.array((position[cut] + position[cut + 1]) / 2)))


def sensitivity_threshold(probabilities: Values, labels: NDArray[np.int64], sensitivity: float) -> float:
    """The highest operating point that still finds at least ``sensitivity`` of the positive films."""
    positives = np.sort(probabilities[labels == 1])
    missed = int(np.floor((1 - sensitivity) * positives.size + 1e-9))
    return float(positives[min(missed, positives.size - 1)])
