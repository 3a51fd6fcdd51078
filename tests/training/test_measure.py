"""Figures and their intervals, held against scikit-learn, scipy and cases whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from cxr_viewer.core.modelcard import Metric
from cxr_viewer.training import measure
from cxr_viewer.training.measure import Draws, Values, label_metrics, subgroups
from cxr_viewer.training.paired import paired_metrics


def _scored(films: int = 400, *, seed: int = 1, digits: int | None = None) -> tuple[Values, Values, list[str]]:
    """Truth, scores in 0..1 (rounded, so with ties, if asked) and two films for each patient."""
    chance = np.random.default_rng(seed)
    truth = (chance.random(films) < 0.3).astype(np.float64)
    scores = 1 / (1 + np.exp(-chance.normal(1.5 * truth - 1, 1.0)))
    return truth, scores if digits is None else np.round(scores, digits), [f"p{i // 2}" for i in range(films)]


def _by_name(found: tuple[Metric, ...]) -> dict[str, Metric]:
    return {metric.name: metric for metric in found}


@pytest.mark.parametrize("digits", [None, 1])
def test_figures_are_those_of_scikit_learn(digits: int | None) -> None:
    truth, scores, patients = _scored(digits=digits)
    found = _by_name(label_metrics("Effusion", truth, scores, 0.4, patients, "made films", resamples=100))
    said = scores >= 0.4
    expected = {
        measure.AUC: sk.roc_auc_score(truth, scores),
        measure.PRECISION: sk.average_precision_score(truth, scores),
        measure.ACCURACY: sk.accuracy_score(truth, said),
        measure.BALANCED: sk.balanced_accuracy_score(truth, said),
        measure.SENSITIVITY: sk.recall_score(truth, said),
        measure.SPECIFICITY: sk.recall_score(truth, said, pos_label=0),
        measure.PPV: sk.precision_score(truth, said),
        measure.NPV: sk.precision_score(truth, said, pos_label=0),
        measure.F1: sk.f1_score(truth, said),
        measure.BRIER: sk.brier_score_loss(truth, scores),
        measure.LOG_LOSS: sk.log_loss(truth, np.clip(scores, 1e-12, 1 - 1e-12)),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-9), name
    assert found[measure.ECE].value == pytest.approx(measure.calibration_error(truth, scores))
    assert measure.auc(truth, scores) == pytest.approx(expected[measure.AUC])
    assert measure.average_precision(truth, scores) == pytest.approx(expected[measure.PRECISION])
    assert np.array_equal(measure.confusion(truth, said), sk.confusion_matrix(truth, said))
    assert {metric.label for metric in found.values()} == {"Effusion"}
    assert {(metric.count, metric.positives) for metric in found.values()} == {(400, int(truth.sum()))}


def test_weights_are_films_repeated() -> None:
    """A draw says how often each patient came; every figure has to be that of the films written out so often."""
    truth, scores, patients = _scored(60, digits=1)
    draws = Draws.of(patients, 5)
    for counts, area, precision in zip(
        draws.counts,
        draws.each(measure.auc_of(truth, scores)),
        draws.each(measure.precision_of(truth, scores)),
        strict=True,
    ):
        films = np.repeat(np.arange(60), counts[draws.member].astype(int))
        assert area == pytest.approx(sk.roc_auc_score(truth[films], scores[films]))
        assert precision == pytest.approx(sk.average_precision_score(truth[films], scores[films]))
    assert np.allclose(draws.counts.sum(axis=1), 30)
    assert np.allclose(draws.sums(truth[:, None])[:, 0], draws.each(lambda weights: weights @ truth))


def test_unknown_truth_counts_nowhere() -> None:
    truth, scores, patients = _scored()
    hidden = np.random.default_rng(3).random(truth.size) < 0.4
    partly = np.where(hidden, np.nan, truth)
    kept = [patient for patient, hide in zip(patients, hidden, strict=True) if not hide]
    all_ = label_metrics("X", partly, scores, 0.4, patients, "d", resamples=50)
    assert all_ == label_metrics("X", truth[~hidden], scores[~hidden], 0.4, kept, "d", resamples=50)
    assert label_metrics("X", np.full(4, np.nan), np.zeros(4), 0.5, list("abcd"), "d") == ()


def test_interval_of_a_share_is_as_wide_as_the_normal_one() -> None:
    """Of 300 patients with one film each the bootstrap gives the textbook interval of a share."""
    truth = np.ones(300)
    scores = np.r_[np.full(240, 0.9), np.full(60, 0.1)]
    found = _by_name(label_metrics("X", truth, scores, 0.5, [str(i) for i in range(300)], "d"))[measure.SENSITIVITY]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 300)
    assert found.low == pytest.approx(0.8 - half, abs=0.008)
    assert found.high == pytest.approx(0.8 + half, abs=0.008)


def test_films_of_one_patient_do_not_make_it_surer() -> None:
    """Every film ten times over: the interval stays; drawn by films it would be a third as wide."""
    truth, scores, _ = _scored(100)
    once = _by_name(label_metrics("X", truth, scores, 0.4, [str(i) for i in range(100)], "d"))[measure.AUC]
    ten = np.repeat(np.arange(100), 10)
    often = _by_name(label_metrics("X", truth[ten], scores[ten], 0.4, [str(i) for i in ten], "d"))[measure.AUC]
    assert once.low is not None
    assert once.high is not None
    assert often.value == pytest.approx(once.value)
    assert often.low == pytest.approx(once.low, abs=0.01)
    assert often.high == pytest.approx(once.high, abs=0.01)


def _delong(truth: NDArray[np.float64], *scores: Values) -> tuple[Values, Values]:
    """AUC of each score and their covariance (DeLong, DeLong and Clarke-Pearson 1988; ranks as Sun and Xu 2014)."""
    ill = truth == 1
    m, n = int(ill.sum()), int((~ill).sum())
    v10, v01 = [], []
    for score in scores:
        ranks = stats.rankdata(score)
        v10.append((ranks[ill] - stats.rankdata(score[ill])) / n)
        v01.append(1 - (ranks[~ill] - stats.rankdata(score[~ill])) / m)
    return np.mean(v10, axis=1), np.cov(v10) / m + np.cov(v01) / n


def test_paired_difference_is_that_of_delong() -> None:
    truth, scores, _ = _scored(600)
    chance = np.random.default_rng(9)
    other = np.clip(scores + chance.normal(0, 0.15, truth.size), 0, 1)
    patients = [str(i) for i in range(truth.size)]
    found = _by_name(paired_metrics("X", truth, (scores, 0.4), (other, 0.4), patients, "d"))["AUC difference"]
    areas, covariance = _delong(truth, scores, other)
    error = 1.96 * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.value == pytest.approx(areas[1] - areas[0])
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(found.value - error, rel=0.15)
    assert found.high - found.low == pytest.approx(2 * error, rel=0.1)


def test_a_model_does_not_differ_from_itself() -> None:
    truth, scores, patients = _scored()
    for metric in paired_metrics("X", truth, (scores, 0.4), (scores, 0.4), patients, "d", resamples=50):
        assert (metric.value, metric.low, metric.high) == (0.0, None, None)


def test_perfection_is_not_certainty() -> None:
    """Ten of ten found says at least 69 % (Clopper and Pearson), not 100 %; an AUC of 1 has no interval."""
    truth = np.r_[np.ones(10), np.zeros(10)]
    found = _by_name(label_metrics("X", truth, truth, 0.5, [str(i) for i in range(20)], "d", resamples=200))
    exact = stats.binomtest(10, 10).proportion_ci(0.95)
    assert found[measure.SENSITIVITY].value == 1
    assert (found[measure.SENSITIVITY].low, found[measure.SENSITIVITY].high) == pytest.approx((exact.low, exact.high))
    assert (found[measure.AUC].low, found[measure.AUC].high) == (None, None)
    none = _by_name(label_metrics("X", truth, 1 - truth, 0.5, [str(i) for i in range(20)], "d", resamples=200))
    assert none[measure.SPECIFICITY].low == 0
    assert none[measure.SPECIFICITY].high == pytest.approx(1 - exact.low)


def test_calibration_error_of_scores_that_are_right_and_that_are_not() -> None:
    chance = np.random.default_rng(4)
    scores = chance.random(20_000)
    truth = (chance.random(scores.size) < scores).astype(np.float64)
    assert measure.calibration_error(truth, scores) < 0.015
    assert measure.calibration_error(truth, np.clip(scores + 0.1, 0, 1)) == pytest.approx(0.1, abs=0.015)
    assert measure.calibration_error(np.ones(10), np.full(10, 0.7)) == pytest.approx(0.3)


def test_error_of_a_rare_finding_is_not_hidden_in_one_bin() -> None:
    """Scores of 1 % and 5 % that should be the other way round: in one bin of equal width they are right."""
    scores = np.r_[np.full(5000, 0.01), np.full(5000, 0.05)]
    truth = np.r_[np.arange(5000) < 250, np.arange(5000) < 50].astype(np.float64)
    assert measure.calibration_error(truth, scores) == pytest.approx(0.04)


def test_reliability_counts_every_film_once() -> None:
    truth, scores, _ = _scored(digits=1)
    parts = measure.reliability(truth, scores)
    assert sum(part.films for part in parts) == truth.size
    assert sum(part.films * part.found for part in parts) == pytest.approx(truth.sum())
    assert all(one.high < other.low for one, other in pairwise(parts))


def test_subgroups_by_name() -> None:
    groups = subgroups(
        ["a", "a", "b", "c"],
        ages=[0.5, 17.9, 18.0, np.nan],
        sexes=["F", "female", "M", ""],
        views=["pa", "PA", "AP", ""],
        sites=["one", "one", "two", "two"],
    )
    shown = {name: keep.tolist() for name, keep in groups.items()}
    single = shown.pop(measure.ONE_PER_PATIENT)
    assert shown == {
        "AP": [False, False, True, False],
        "PA": [True, True, False, False],
        "women": [True, True, False, False],
        "men": [False, False, True, False],
        "under 1 year": [True, False, False, False],
        "6 to 17 years": [False, True, False, False],
        "18 to 39 years": [False, False, True, False],
        "site one": [True, True, False, False],
        "site two": [False, False, True, True],
    }
    assert sum(single[:2]) == 1
    assert single[2:] == [True, True]
    assert subgroups(["a", "b"], sites=["one", "one"]) == {}


def test_a_group_of_few_is_not_enough() -> None:
    truth = np.r_[np.ones(5), np.zeros(9)]
    keep = np.ones(14, dtype=np.bool_)
    assert measure.enough(truth, keep)
    keep[0] = False
    assert not measure.enough(truth, keep)


def test_report_is_scikit_learns_and_leaves_unknown_films_out() -> None:
    text = measure.report_text(np.array([1.0, 0, np.nan, 0]), np.array([True, False, True, True]), "Edema")
    assert "no Edema" in text
    assert [line.split() for line in text.splitlines() if "accuracy" in line] == [["accuracy", "0.667", "3"]]
