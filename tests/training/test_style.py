"""Weights that keep the make of a film from telling its label."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.training.style import balancing_weights


def test_weighted_films_no_longer_show_the_label_by_their_make() -> None:
    """Two units, one sees 80 % pneumonia, the other 30 %; afterwards both look alike."""
    chance = np.random.default_rng(0)
    unit = chance.integers(0, 2, 4000)
    share = np.where(unit == 1, 0.8, 0.3)
    labels = (chance.random(4000) < share).astype(np.int64)
    weights = balancing_weights(share, labels)
    of_unit = [np.average(labels[unit == u], weights=weights[unit == u]) for u in (0, 1)]
    assert abs(labels[unit == 1].mean() - labels[unit == 0].mean()) > 0.4
    assert of_unit[0] == pytest.approx(of_unit[1], abs=0.03)
    assert [weights[labels == label].mean() for label in (0, 1)] == pytest.approx([1.0, 1.0])


def test_no_film_outweighs_another_of_its_label_twentyfold() -> None:
    weights = balancing_weights(np.array([0.0, 1.0, 0.5, 0.0, 1.0, 0.5]), np.array([0, 0, 0, 1, 1, 1]))
    for label in (slice(0, 3), slice(3, 6)):
        assert weights[label].max() / weights[label].min() == pytest.approx(20.0)
