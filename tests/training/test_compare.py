"""Two models on the same films."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.inference.cards import read_card
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.compare import Comparison, compared
from cxr_viewer.training.reports import comparison

Make = Callable[..., Answers]


@pytest.fixture(scope="module")
def cards() -> tuple[ModelCard, ModelCard]:
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    return replace(card, name="Good"), replace(card, name="Noisy")


def _noisy(answers: Answers, share: float) -> Answers:
    """The same answers with so much noise."""
    logits = answers.logits + np.random.default_rng(7).normal(0, share, answers.logits.shape)
    return replace(answers, logits=logits, scores=sigmoid(logits))


def _compared(answers: tuple[Answers, Answers], cards: tuple[ModelCard, ModelCard]) -> Comparison:
    return compared(answers, cards, "site.csv, test films", resamples=200)


def test_the_worse_model_is_told(made_answers: Make, cards: tuple[ModelCard, ModelCard]) -> None:
    good = made_answers()
    label = _compared((good, _noisy(good, 3.0)), cards).labels[0]
    gain = comparison.difference(label, "AUC")
    areas = [figures.metric("AUC") for figures in label.figures]
    assert gain is not None
    assert areas[0] is not None
    assert areas[1] is not None
    assert gain.value == pytest.approx(areas[1].value - areas[0].value)
    assert gain.high is not None
    assert gain.high < 0
    assert comparison.verdict(gain, "Noisy") == "“Noisy” orders these films worse."


def test_a_little_noise_is_not_told_apart(made_answers: Make, cards: tuple[ModelCard, ModelCard]) -> None:
    good = made_answers(80)
    gain = comparison.difference(_compared((good, _noisy(good, 0.3)), cards).labels[0], "AUC")
    assert "do not tell them apart" in comparison.verdict(gain, "Noisy")
    same = comparison.difference(_compared((good, good), cards).labels[0], "AUC")
    assert comparison.verdict(same, "Noisy") == "They order these films in the same way."


def test_disagreements_are_counted_and_the_largest_listed(
    made_answers: Make, cards: tuple[ModelCard, ModelCard]
) -> None:
    good = made_answers()
    noisy = _noisy(good, 3.0)
    label = _compared((good, noisy), cards).labels[0]
    said = [answers.scores[:, 0] >= 0.5 for answers in (good, noisy)]
    truth = good.truth[:, 0] == 1
    assert label.only_first == int(((said[0] == truth) & (said[1] != truth)).sum())
    assert label.only_second == int(((said[0] != truth) & (said[1] == truth)).sum())
    gap = np.abs(good.scores[:, 0] - noisy.scores[:, 0])
    listed = [film.number - 1 for film in label.disagreements]
    assert len(listed) == 20
    assert all(said[0][row] != said[1][row] for row in listed)
    assert gap[listed].tolist() == sorted(gap[said[0] != said[1]].tolist(), reverse=True)[:20]


def test_only_films_with_both_scores_count(made_answers: Make, cards: tuple[ModelCard, ModelCard]) -> None:
    good = made_answers()
    holes = good.scores.copy()
    holes[:100] = np.nan
    label = _compared((good, replace(good, scores=holes)), cards).labels[0]
    assert label.figures[0].films == label.figures[1].films == 300
    assert label.only_first == label.only_second == 0


def test_page_and_values_are_written_without_names(
    made_answers: Make, cards: tuple[ModelCard, ModelCard], tmp_path: Path
) -> None:
    good = made_answers()
    found = _compared((good, _noisy(good, 3.0)), cards)
    comparison.save(found, tmp_path)
    page, values = ((tmp_path / name).read_text(encoding="utf-8") for name in ("comparison.html", "comparison.json"))
    assert "secret" not in page + values
    assert "patient-" not in page + values
    assert "“Noisy” orders these films worse." not in page  # its title has the version too
    assert "orders these films worse" in page
    label = json.loads(values)["labels"][0]
    assert {one["name"] for one in label["differences"]} >= {"AUC difference", "sensitivity difference"}
    assert len(label["disagreements"]) == 20
    comparison.save(found, tmp_path, names=True)
    assert "secret-" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
