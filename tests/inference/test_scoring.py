"""Each finding by its own calibration or the site's, and no finding in a view it has no figures for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, ViewSource
from cxr_viewer.core.findings import LabelSpec, ModelCard, RatioTerm, ScoreKind, SiteCalibration, SiteLabel, ViewTerm
from cxr_viewer.core.image import View
from cxr_viewer.inference import explain
from cxr_viewer.inference.engines import score_key
from cxr_viewer.inference.scoring import findings, scale_of, scores, withheld

LOGITS = np.array([0.8, 0.8], dtype=np.float32)
OWN = LabelSpec("Own", 0.3, temperature=2.0, bias=0.5, score_kind=ScoreKind.UNCALIBRATED)
SITE = SiteCalibration(
    "St. Anna",
    "2026-11-22",
    400,
    390,
    (SiteLabel("Own", 0.6, 0.5, -1.0, ScoreKind.CALIBRATED, "temperature and bias", 50),),
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def made(card: Any) -> Any:
    """``made(**changes)``: a card with one finding calibrated for itself and one as the whole card (1.5, -0.25)."""
    return lambda **changes: card(**{"labels": (OWN, LabelSpec("Card", 0.4)), **changes})


def test_a_finding_goes_by_its_own_calibration_and_else_by_the_cards(made: Any) -> None:
    own, whole = findings(made(), LOGITS)
    assert own.score == pytest.approx(sigmoid(0.8 / 2 + 0.5), abs=1e-6)
    assert whole.score == pytest.approx(sigmoid(0.8 / 1.5 - 0.25), abs=1e-6)
    assert (own.kind, own.threshold) == (ScoreKind.UNCALIBRATED, 0.3)
    assert (whole.kind, whole.threshold) == (ScoreKind.CALIBRATED, 0.4)


def test_the_sites_calibration_goes_before_both_and_touches_nothing_else(made: Any) -> None:
    own, whole = findings(made(site=SITE), LOGITS)
    assert own.score == pytest.approx(sigmoid(0.8 / 0.5 - 1.0), abs=1e-6)
    assert (own.kind, own.threshold) == (ScoreKind.CALIBRATED, 0.6)
    assert whole == findings(made(), LOGITS)[1]
    assert scale_of(made(site=SITE), OWN).temperature == 0.5


def test_each_change_of_calibration_is_another_scale_for_engines(made: Any, card: Any) -> None:
    keys = {score_key(one) for one in (made(), made(site=SITE), card(), made(labels=(OWN, LabelSpec("Card", 0.5))))}
    assert len(keys) == 4


@pytest.mark.parametrize(("view", "more"), [(View.AP, -0.6), (View.PA, 0.0), (View.UNKNOWN, 0.0)])
def test_the_view_is_allowed_for_before_the_calibration(made: Any, view: View, more: float) -> None:
    effusion = LabelSpec("Effusion", 0.5, temperature=2.0, bias=0.5, view_terms=(ViewTerm("AP", -0.6),))
    first, second = findings(made(labels=(effusion, LabelSpec("Card", 0.4))), LOGITS, view=view)
    assert first.score == pytest.approx(sigmoid((0.8 + more) / 2 + 0.5), abs=1e-6)
    assert first.logit == pytest.approx(0.8 + more, abs=1e-6)
    assert second == findings(made(), LOGITS)[1]


def test_the_ratio_is_added_before_the_calibration(made: Any) -> None:
    heart = LabelSpec("Heart", 0.5, temperature=2.0, bias=0.0, ratio=RatioTerm(10.0, 0.45))
    own: ModelCard = made(labels=(heart, LabelSpec("Card", 0.4)))
    for ratio, more in ((0.55, 1.0), (0.40, -0.5), (None, 0.0)):
        first, second = findings(own, LOGITS, ratio=ratio)
        assert first.logit == pytest.approx(0.8 + more, abs=1e-6)
        assert first.score == pytest.approx(sigmoid((0.8 + more) / 2), abs=1e-6)
        assert second == findings(own, LOGITS)[1]
    assert scores(own, LOGITS)[0] == pytest.approx(sigmoid(0.4), abs=1e-6)  # engines are compared without it


def test_maps_are_parts_of_the_shown_odds_finding_by_finding(made: Any) -> None:
    """The same heat in logits multiplies the odds of the finding with twice the temperature half as often."""
    heat = np.full((2, 1, 1), 3.0, dtype=np.float32)
    own, whole = explain.on_common_scale(heat, made())[:, 0, 0]
    assert own / whole == pytest.approx(1.5 / 2.0)
    unit = 10 * math.log(10)
    assert own == pytest.approx(3.0 / (unit * 2.0))
    hot = explain.on_common_scale(100 * heat, made())
    assert hot.max() == 1.0
    assert hot[0, 0, 0] / hot[1, 0, 0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("view", "kind", "told"),
    [
        (View.PA, None, []),
        (View.AP, None, ["Offered on PA films only; this is an AP film."]),
        (View.LATERAL, None, ["Offered on PA films only; this is a lateral film."] * 2),
        (View.OTHER, None, ["Offered on PA films only; this is another view."] * 2),
        (View.UNKNOWN, None, ["Offered on PA films only, and the view of this film is not known."]),
        (
            View.UNKNOWN,
            FilmKind.FRONTAL,
            ["Offered on PA films only, and whether this frontal film is PA or AP is not known."],
        ),
    ],
)
def test_views_without_figures_get_a_reason(
    made: Any, film: Any, chest: np.ndarray, view: View, kind: FilmKind | None, told: list[str]
) -> None:
    labels = (LabelSpec("Heart", 0.5, views=("PA",)), LabelSpec("Both", 0.5, views=("PA", "AP")), LabelSpec("Any", 0.5))
    check = None if kind is None else FilmCheck(kind, View.UNKNOWN, ViewSource.NOWHERE, 0, ())
    found = withheld(made(labels=labels), film(chest, view=view), check)
    assert [one.label for one in found] == ["Heart", "Both"][: len(told)]
    assert [one.reason.replace("PA and AP films", "PA films") for one in found] == told
