"""Tuning to a site: what has films enough, what is better, and what stays as shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.findings import LabelSpec, ModelCard, ScoreKind, ViewTerm
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference import sitecalibration
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.scoring import findings
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.calibrating import AS_SHIPPED, FOR_SITE, SiteTuning, calibrated
from cxr_viewer.training.reports import calibration

Make = Callable[..., Answers]


@pytest.fixture(scope="module")
def card() -> ModelCard:
    """One finding, shipped with the right scale for logits that are not stretched."""
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    label = LabelSpec("Effusion", 0.5)
    kind = ScoreKind.UNCALIBRATED
    return replace(card, labels=(label,), temperature=1.0, bias=0.0, score_kind=kind, map_evidence=(), metrics=())


def _tuned(answers: Answers, card: ModelCard) -> SiteTuning:
    return calibrated(answers, card, "St. Anna", "2026-11-22", "site.csv, all films")


def test_a_wrong_scale_is_put_right(made_answers: Make, card: ModelCard, tmp_path: Path) -> None:
    answers = made_answers(800, temperature=3.0, bias=2.0)
    found = _tuned(answers, card)
    label = found.labels[0]
    assert found.helps
    assert found.warnings == ()
    assert label.tuned is not None
    assert label.tuned.fitted == "temperature and bias"
    assert label.tuned.temperature == pytest.approx(3, rel=0.15)
    assert label.tuned.bias == pytest.approx(-2 / 3, abs=0.2)
    by = {(metric.name, metric.group): metric.value for metric in label.metrics}
    assert by["log loss", FOR_SITE] < by["log loss", AS_SHIPPED]
    assert by["calibration error (ECE)", FOR_SITE] < by["calibration error (ECE)", AS_SHIPPED]
    assert found.calibration is not None
    sitecalibration.write(tmp_path, card, found.calibration, in_use=True)
    kept = sitecalibration.read(tmp_path, card)
    assert kept is not None
    assert kept.calibration == found.calibration


def test_the_scale_is_that_of_the_whole_way_from_the_logit(made_answers: Make, card: ModelCard) -> None:
    """Also where the model was shipped with a scale of its own: what is kept replaces it."""
    shipped = replace(card, temperature=2.0, bias=0.5)
    found = _tuned(made_answers(800, temperature=3.0, bias=2.0), shipped)
    assert found.calibration is not None
    label = found.calibration.labels[0]
    assert label.temperature == pytest.approx(3, rel=0.15)
    assert label.bias == pytest.approx(-2 / 3, abs=0.2)
    score = findings(replace(shipped, site=found.calibration), np.array([5.0], dtype=np.float32))[0]
    assert score.score == pytest.approx(1 / (1 + np.exp(-(5.0 / label.temperature + label.bias))))
    assert score.threshold == label.threshold


def test_a_right_scale_is_left_alone(made_answers: Make, card: ModelCard) -> None:
    """Logits that are right, and the operating point where it belongs: nothing is better, and that is said."""
    answers = made_answers(800)
    found = _tuned(answers, card)
    assert not found.helps
    assert "It does not help" in found.warnings[0]
    assert found.labels[0].words.startswith("No better on held-out films")
    assert found.calibration is not None  # kept, not used


def test_too_few_patients_stay_as_shipped(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers(400, temperature=3.0)
    few = np.full_like(answers.truth, np.nan)
    few[answers.truth == 0] = 0
    positives = np.flatnonzero(answers.truth[:, 0] == 1)[:15]
    few[positives] = 1
    found = _tuned(replace(answers, truth=few), card)
    assert found.calibration is None
    assert "patients with it, 20 are needed" in found.labels[0].words


def test_films_of_one_patient_do_not_count_twice(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers(400, temperature=3.0)
    records = tuple(replace(record, patient=f"p{i % 25}") for i, record in enumerate(answers.records))
    truth = np.zeros_like(answers.truth)
    truth[[i for i in range(400) if i % 25 < 10]] = 1
    found = _tuned(replace(answers, records=records, truth=truth), card)
    assert found.calibration is None
    assert "Stays as shipped: 10 patients with it, 20 are needed; 15 patients without it, 20 are needed." in [
        label.words for label in found.labels
    ]


def test_figures_are_of_films_it_was_not_fitted_on(made_answers: Make, card: ModelCard) -> None:
    """Answers that have nothing to do with the films: fitted to themselves they would look better than chance."""
    answers = made_answers(200)
    truth = (np.random.default_rng(3).random(answers.truth.shape) < 0.5).astype(np.float64)
    found = _tuned(replace(answers, truth=truth), card)
    label = found.labels[0]
    if label.tuned is None:  # the scores may even fall with the answers
        assert "Stays as shipped" in label.words
        return
    by = {(metric.name, metric.group): metric for metric in label.metrics}
    balance = by["sensitivity", FOR_SITE].value + by["specificity", FOR_SITE].value
    point = label.tuned.points[0]
    assert point.sensitivity + point.specificity > balance  # chosen on these very films
    assert balance == pytest.approx(1.0, abs=0.15)


def test_a_finding_that_gains_nothing_stays_beside_one_that_does(made_answers: Make, card: ModelCard) -> None:
    both = replace(card, labels=(LabelSpec("Effusion", 0.5), LabelSpec("Edema", 0.5)))
    answers = made_answers(800, labels=("Effusion", "Edema"))
    stretched = answers.logits.copy()
    stretched[:, 0] = stretched[:, 0] * 3 + 2
    found = _tuned(replace(answers, logits=stretched), both)
    assert found.calibration is not None
    assert [label.name for label in found.calibration.labels] == ["Effusion"]
    assert [label.helps for label in found.labels] == [True, False]


def test_an_operating_point_score_stays_one_unless_it_is_a_probability(made_answers: Make, card: ModelCard) -> None:
    model = replace(card, score_kind=ScoreKind.OPERATING_POINT)
    few = _tuned(made_answers(120, temperature=3.0, bias=2.0), model).labels[0].tuned
    many = _tuned(made_answers(2400, temperature=3.0, bias=2.0), model).labels[0].tuned
    assert few is not None
    assert many is not None
    assert few.score_kind is ScoreKind.OPERATING_POINT
    assert many.score_kind is ScoreKind.CALIBRATED


def test_a_score_that_the_view_moves_is_no_probability_for_a_site_either(made_answers: Make, card: ModelCard) -> None:
    moved = replace(card, labels=(LabelSpec("Effusion", 0.5, view_terms=(ViewTerm("AP", -0.6),)),))
    kinds = []
    for model in (card, moved):
        tuned = _tuned(made_answers(2400, temperature=3.0, bias=2.0), model).labels[0].tuned
        assert tuned is not None
        kinds.append(tuned.score_kind)
    assert kinds == [ScoreKind.CALIBRATED, ScoreKind.UNCALIBRATED]


def test_page_and_lines_tell_before_and_after(made_answers: Make, card: ModelCard, tmp_path: Path) -> None:
    found = _tuned(made_answers(150, temperature=3.0, bias=2.0), card)
    lines = "\n".join(calibration.as_lines(found))
    assert "Only 150 films" in lines
    assert "log loss" in lines
    calibration.save(found, tmp_path)
    page = (tmp_path / "calibration.html").read_text(encoding="utf-8")
    assert "St. Anna, 150 films, 2026-11-22" in page
    assert "Research use only" in page
    assert "patient-" not in page
