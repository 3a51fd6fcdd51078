"""Calibration finds what it was bent by, and operating points do what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from cxr_viewer.inference.calibrate import (
    Calibration,
    choose_calibration,
    even_weights,
    expected_calibration_error,
    fit_calibration,
    negative_log_likelihood,
    sensitivity_threshold,
    sigmoid,
    youden_threshold,
)


def _bent(temperature: float, bias: float, n: int = 6000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits that are right only after ``logit / temperature + bias``."""
    chance = np.random.default_rng(3)
    honest = chance.normal(0, 2, n)
    labels = (chance.random(n) < sigmoid(honest)).astype(np.int64)
    return (honest - bias) * temperature, labels


@pytest.mark.parametrize(("temperature", "bias"), [(2.5, 1.0), (0.4, -2.0), (1.0, 0.0)])
def test_the_bending_is_found(temperature: float, bias: float) -> None:
    logits, labels = _bent(temperature, bias)
    found = fit_calibration(logits, labels)
    assert found.temperature == pytest.approx(temperature, rel=0.08)
    assert found.bias == pytest.approx(bias, abs=0.12)
    assert expected_calibration_error(found.probability(logits), labels) < 0.02


def test_it_agrees_with_scikit_learn() -> None:
    logits, labels = _bent(1.7, 0.6)
    found = fit_calibration(logits, labels)
    other = LogisticRegression(C=1e8).fit(logits[:, None], labels)
    assert 1 / found.temperature == pytest.approx(float(other.coef_[0, 0]), rel=2e-3)
    assert found.bias == pytest.approx(float(other.intercept_[0]), abs=5e-3)


def test_separated_films_still_give_a_finite_calibration() -> None:
    logits, labels = np.array([-3.0, -2.0, 2.0, 4.0]), np.array([0, 0, 1, 1])
    found = fit_calibration(logits, labels)
    assert 0.1 < found.temperature < 10
    assert 0 < found.probability(logits)[0] < 0.5 < found.probability(logits)[-1] < 1


def test_scores_that_fall_with_the_label_are_no_basis() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        fit_calibration(np.array([3.0, 2.0, -2.0, -3.0]), np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="both kinds"):
        fit_calibration(np.array([3.0, 2.0]), np.array([1, 1]))


@pytest.mark.parametrize(
    ("temperature", "bias", "kept"), [(3.0, 0.0, "temperature"), (2.0, 2.0, "temperature and bias")]
)
def test_the_candidate_that_holds_on_other_patients_is_kept(temperature: float, bias: float, kept: str) -> None:
    logits, labels = _bent(temperature, bias, 1500)
    found, losses = choose_calibration(logits, labels, tuple(f"p{i // 2}" for i in range(labels.size)))
    assert min(losses, key=lambda name: losses[name]) in (kept, "temperature and bias")
    assert losses["none"] > losses[kept]
    assert negative_log_likelihood(found.probability(logits), labels) < losses["none"]


def test_a_film_of_weight_two_counts_like_two_films() -> None:
    logits, labels = _bent(1.5, 0.5, 400)
    weights = np.where(np.arange(400) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(400), weights.astype(int))
    weighted, repeated = fit_calibration(logits, labels, weights), fit_calibration(logits[twice], labels[twice])
    assert weighted.temperature == pytest.approx(repeated.temperature, rel=1e-3)
    assert weighted.bias == pytest.approx(repeated.bias, abs=5e-3)
    said = sigmoid(logits)
    assert negative_log_likelihood(said, labels, weights) == pytest.approx(
        negative_log_likelihood(said[twice], labels[twice])
    )
    assert youden_threshold(said, labels, weights) == pytest.approx(youden_threshold(said[twice], labels[twice]))


def test_calibration_error_of_known_scores() -> None:
    said = np.array([0.25] * 4 + [0.75] * 4)
    assert expected_calibration_error(said, np.array([1, 0, 0, 0, 1, 1, 1, 0])) == pytest.approx(0.0)
    assert expected_calibration_error(said, np.array([1, 1, 1, 1, 0, 0, 0, 0])) == pytest.approx(0.75)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([0, 1])) == 0.0
    rare = np.array([0, 0, 0, 1])
    assert expected_calibration_error(np.full(4, 0.5), rare) == pytest.approx(0.25)
    assert expected_calibration_error(np.full(4, 0.5), rare, even_weights(rare)) == pytest.approx(0.0)


def test_youden_lies_in_the_middle_of_the_gap() -> None:
    said, labels = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    threshold = youden_threshold(said, labels)
    assert 0.2 < threshold < 0.6
    assert threshold == pytest.approx(sigmoid(np.array((np.log(0.25) + np.log(1.5)) / 2)))


def test_youden_is_the_best_of_all_cuts() -> None:
    chance = np.random.default_rng(11)
    labels = chance.integers(0, 2, 300)
    said = sigmoid(chance.normal(labels * 1.2, 1.0))

    def merit(threshold: float) -> float:
        positive = said >= threshold
        return float(positive[labels == 1].mean() - positive[labels == 0].mean())

    assert merit(youden_threshold(said, labels)) == pytest.approx(max(merit(cut) for cut in said))


def test_the_sensitivity_asked_for_is_kept() -> None:
    chance = np.random.default_rng(2)
    labels = chance.integers(0, 2, 400)
    said = sigmoid(chance.normal(labels, 1.0))
    threshold = sensitivity_threshold(said, labels, 0.9)
    assert (said[labels == 1] >= threshold).mean() >= 0.9
    assert (said[labels == 1] >= np.nextafter(threshold, 1)).mean() < 0.9


def test_probabilities_of_huge_logits_are_finite() -> None:
    assert Calibration(0.1, 5.0).probability(np.array([-1e6, 0.0, 1e6])).tolist() == pytest.approx(
        [0.0, 0.9933, 1.0], abs=1e-4
    )
