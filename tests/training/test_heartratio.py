"""The cardiothoracic ratio beside a network's logit: it adds where it has something to add, and only there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cxr_viewer.core.modelcard import RatioTerm
from cxr_viewer.training.heartratio import fit_ratio, with_ratio
from cxr_viewer.training.measure import auc

FILMS = 4000


def _films(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratios round 0.5; the finding goes by the ratio and by something that only the network sees."""
    chance = np.random.default_rng(seed)
    ratios = chance.normal(0.5, 0.06, FILMS)
    seen = chance.normal(0, 1, FILMS)
    truth = (30 * (ratios - 0.5) + 1.5 * seen - 2 > chance.logistic(0, 1, FILMS)).astype(float)
    return truth, 1.5 * seen, ratios


def test_both_together_tell_more_than_either() -> None:
    truth, logits, ratios = _films()
    term = fit_ratio(truth, logits, ratios)
    assert term is not None
    assert term.weight == pytest.approx(30, rel=0.15)
    assert term.centre == pytest.approx(0.5, abs=0.005)
    new, seen, wide = _films(seed=1)
    together = auc(new, with_ratio(seen, wide, term))
    assert together > auc(new, seen) + 0.03
    assert together > auc(new, wide) + 0.03


def test_a_ratio_that_could_not_be_measured_changes_nothing() -> None:
    truth, logits, ratios = _films()
    ratios[::3] = math.nan
    term = fit_ratio(truth, logits, ratios)
    assert term is not None
    out = with_ratio(logits, ratios, term)
    np.testing.assert_array_equal(out[::3], logits[::3])
    assert np.all(np.sign(out[1::3] - logits[1::3]) == np.sign(ratios[1::3] - term.centre))
    assert np.isfinite(out).all()


def test_a_ratio_that_counts_against_the_finding_is_left_alone() -> None:
    truth, logits, ratios = _films()
    assert fit_ratio(truth, logits, 1 - ratios) is None


def test_few_films_are_no_ground_to_stand_on() -> None:
    truth, logits, ratios = _films()
    ratios[np.flatnonzero(truth == 1)[9:]] = math.nan
    assert fit_ratio(truth, logits, ratios) is None
    assert with_ratio(logits, ratios, None) is logits


def test_unknown_films_are_not_fitted_on() -> None:
    truth, logits, ratios = _films()
    hidden = truth.copy()
    hidden[::2] = math.nan
    assert fit_ratio(hidden, logits, ratios) == fit_ratio(truth[1::2], logits[1::2], ratios[1::2])
    assert isinstance(fit_ratio(hidden, logits, ratios), RatioTerm)
