"""What is chosen on validation films, and what the reader is offered."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.core.modelcard import Metric
from cxr_viewer.training.offering import NEVER, may_be_probability, offered, operating_points, tune


def _auc(label: str, group: str, value: float, low: float | None, patients: int = 10) -> Metric:
    high = None if low is None else min(1.0, 2 * value - low)
    return Metric("AUC", value, low, high, "test", 500, label, group, 30, patients)


def test_only_what_is_good_enough_is_offered_and_only_there() -> None:
    metrics = [
        _auc("Cardiomegaly", "", 0.85, 0.80),
        _auc("Cardiomegaly", "PA", 0.90, 0.85),
        _auc("Cardiomegaly", "AP", 0.76, 0.66),
        _auc("Effusion", "PA", 0.80, 0.70),
        _auc("Effusion", "AP", 0.74, 0.70),
        _auc("Hernia", "PA", 0.90, 0.60),
        _auc("Mass", "PA", 0.60, 0.50),
        _auc("Mass", "AP", 0.61, 0.50),
        _auc("Edema", "AP", 1.0, None),
    ]
    good, tried = offered(["Cardiomegaly", "Effusion", "Hernia", "Mass", "Edema"], metrics, ("PA", "AP"))
    assert [(one.name, one.views) for one in good] == [("Cardiomegaly", ()), ("Effusion", ("PA",))]
    reasons = {one.name: one.reason for one in tried}
    assert reasons["Hernia"].startswith("AUC 0.90 (0.60 to 1.00) on PA films: its lower bound is below 0.65.")
    assert "AUC 0.61 (0.50 to 0.72) on AP films: below 0.75." in reasons["Mass"]
    assert reasons["Edema"] == "Too few PA films show it to be measured. Too few AP films show it to be measured."


def test_the_limits_themselves_are_good_enough() -> None:
    good, _ = offered(["Effusion"], [_auc("Effusion", "", 0.75, 0.65)])
    assert [(one.name, one.views) for one in good] == [("Effusion", ())]
    assert not offered(["Effusion"], [_auc("Effusion", "", 0.7499, 0.65)])[0]
    assert not offered(["Effusion"], [_auc("Effusion", "", 0.9, 0.6499)])[0]


def test_many_films_of_a_few_patients_do_not_make_a_finding() -> None:
    good, tried = offered(["Hernia"], [_auc("Hernia", "", 0.98, 0.90, patients=9)])
    assert good == ()
    assert tried[0].reason == "AUC 0.98 (0.90 to 1.00) on test films: of only 9 patients who have it, 10 are needed."


@pytest.mark.parametrize("name", ["Infiltration", "Pneumonia", "Nodule", "No finding", "No_Finding", "nodule"])
def test_some_findings_are_never_offered_for_adults(name: str) -> None:
    good, tried = offered([name], [_auc(name, "", 0.99, 0.98)])
    assert good == ()
    assert tried[0].reason in NEVER.values()


def test_pneumonia_in_children_goes_by_its_figures() -> None:
    good, _ = offered(["Pneumonia"], [_auc("Pneumonia", "", 0.98, 0.97)], adults=False)
    assert [one.name for one in good] == ["Pneumonia"]


def _error(high: float | None, positives: int, count: int = 1000) -> tuple[Metric, ...]:
    return (Metric("calibration error (ECE)", 0.01, 0.0, high, "test", count, "Edema", "", positives),)


def test_a_score_is_a_probability_only_if_it_held_on_the_test_films() -> None:
    assert may_be_probability(_error(0.05, 400), "Edema")
    assert not may_be_probability(_error(0.0501, 400), "Edema")
    assert not may_be_probability(_error(0.02, 20), "Edema")  # off by as much as the finding is common
    assert may_be_probability(_error(0.009, 20), "Edema")
    assert not may_be_probability(_error(None, 400), "Edema")
    assert not may_be_probability(_error(0.01, 400), "Effusion")
    assert not may_be_probability((), "Edema")


def _validation(films: int = 600) -> tuple[np.ndarray, np.ndarray, list[str]]:
    chance = np.random.default_rng(2)
    truth = (chance.random(films) < 0.4).astype(np.float64)
    return truth, chance.normal(2 * truth - 1, 1.2), [f"p{i // 2}" for i in range(films)]


def test_operating_points_are_where_they_say() -> None:
    truth, logits, _ = _validation()
    scores = 1 / (1 + np.exp(-logits))
    points = {point.name: point for point in operating_points(truth, scores, "validation")}
    for point in points.values():
        assert point.sensitivity == pytest.approx((scores[truth == 1] >= point.threshold).mean())
        assert point.specificity == pytest.approx((scores[truth == 0] < point.threshold).mean())
        assert not (np.abs(scores - point.threshold) < 1e-9).any()
    youden, sensitive, specific = points["Youden"], points["90 % sensitivity"], points["90 % specificity"]
    ill, well = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    assert sensitive.sensitivity >= 0.9
    assert specific.specificity >= 0.9
    higher = ill[ill >= sensitive.threshold].min()
    assert (ill > higher).mean() < 0.9  # no higher threshold would do
    lower = well[well < specific.threshold].max()
    assert (well < lower).mean() < 0.9  # no lower threshold would do
    merits = [(ill >= cut).mean() + (well < cut).mean() for cut in scores]
    assert youden.sensitivity + youden.specificity >= max(merits) - 1e-9


def test_points_of_few_films() -> None:
    points = {point.name: point for point in operating_points(np.array([0.0, 1.0]), np.array([0.2, 0.8]))}
    for point in points.values():
        assert (point.sensitivity, point.specificity) == (1.0, 1.0)
        assert 0.2 < point.threshold < 0.8
    same = operating_points(np.array([0.0, 1.0]), np.array([0.4, 0.4]))
    assert {(point.name, point.sensitivity, point.specificity) for point in same} >= {
        ("90 % sensitivity", 1.0, 0.0),
        ("90 % specificity", 0.0, 1.0),
    }


def test_tuning_finds_the_scale_and_leaves_good_scores_alone() -> None:
    truth, _, patients = _validation(3000)
    chance = np.random.default_rng(5)
    right = chance.normal(0, 1.5, truth.size)
    truth = (chance.random(truth.size) < 1 / (1 + np.exp(-right))).astype(np.float64)
    wrong = tune(truth, 3 * right + 4, patients, "validation")
    assert wrong.fitted == "temperature and bias"
    assert wrong.calibration.temperature == pytest.approx(3, rel=0.15)
    assert wrong.calibration.bias == pytest.approx(-4 / 3, rel=0.15)
    steep = tune(truth, 3 * right, patients, "validation")
    assert steep.fitted.startswith("temperature")
    assert min(steep.losses, key=lambda name: steep.losses[name]) == steep.fitted
    assert steep.point == "Youden"
    assert steep.threshold == next(point.threshold for point in steep.points if point.name == "Youden")
    unknown = np.r_[truth, np.full(50, np.nan)]
    again = tune(unknown, np.r_[3 * right, np.full(50, 99.0)], [*patients, *["x"] * 50], "validation")
    assert again == steep


def test_one_kind_of_film_is_not_enough() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        tune(np.ones(5), np.zeros(5), list("abcde"), "d")
    with pytest.raises(ValueError, match="both kinds"):
        operating_points(np.array([1.0, np.nan]), np.array([0.1, 0.2]))
