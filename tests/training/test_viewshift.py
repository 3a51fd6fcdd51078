"""One threshold that does alike on PA and on AP films."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.core.modelcard import ViewTerm
from cxr_viewer.training.viewshift import fit_view_terms, with_view


def _films(seed: int = 0, count: int = 4000) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """AP films have more of the finding, and the network gives them 0.8 more of it besides."""
    chance = np.random.default_rng(seed)
    views = ["AP" if lying else "PA" for lying in chance.random(count) < 0.4]
    lying = np.array(views) == "AP"
    truth = (chance.random(count) < np.where(lying, 0.3, 0.1)).astype(np.float64)
    return truth, chance.normal(1.5 * truth + 0.8 * lying - 2), views


def test_as_many_films_without_the_finding_lie_below_a_threshold_in_either_view() -> None:
    truth, logits, views = _films()
    (term,) = fit_view_terms(truth, logits, views)
    assert term.view == "AP"
    assert term.shift == pytest.approx(-0.8, abs=0.1)
    truth, logits, views = _films(seed=1)
    shifted = with_view(logits, views, (term,))
    lying, well = np.array(views) == "AP", truth == 0
    cleared = [float((shifted[well & part] < -1.3).mean()) for part in (lying, ~lying)]
    assert cleared[0] == pytest.approx(cleared[1], abs=0.04)
    plain = [float((logits[well & part] < -1.3).mean()) for part in (lying, ~lying)]
    assert plain[1] - plain[0] > 0.2


def test_films_with_the_finding_and_unknown_ones_do_not_count() -> None:
    truth, logits, views = _films()
    other = logits.copy()
    other[truth == 1] += 5
    assert fit_view_terms(truth, other, views) == fit_view_terms(truth, logits, views)
    truth[:200], other[:200] = np.nan, 50
    assert fit_view_terms(truth, other, views)[0].shift == pytest.approx(-0.8, abs=0.12)


def test_few_films_of_a_view_say_nothing() -> None:
    truth, logits, views = _films(count=110)
    assert fit_view_terms(truth, logits, views) == ()
    assert fit_view_terms(truth, logits, ["PA"] * 110) == ()


def test_nothing_is_added_where_the_view_is_not_known() -> None:
    assert with_view(np.zeros(3), ["AP", "", "PA"], (ViewTerm("AP", -0.5),)).tolist() == [-0.5, 0, 0]
