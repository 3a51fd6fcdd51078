"""What is measured of a model's answers, and the page, values and scores that are made of it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxr_viewer.core.findings import ModelCard, ScoreKind
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.evaluating import CHECKED, Measured, measured
from cxr_viewer.training.reports import evaluation

Make = Callable[..., Answers]


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return replace(read_card(resources_dir() / "models" / "paediatric-pneumonia"), name="Try <b>me</b>")


def _measured(answers: Answers, card: ModelCard, **given: tuple[str, ...]) -> Measured:
    return measured(answers, card, "site.csv, test films", resamples=60, **given)


def test_figures_are_of_the_films_with_answer_and_score(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers(labels=("Effusion", "Edema"))
    truth, scores = answers.truth.copy(), answers.scores.copy()
    truth[:100, 0] = np.nan
    scores[90:150, 0] = np.nan
    found = _measured(replace(answers, truth=truth, scores=scores), card).label("Effusion")
    assert found.films == 250
    assert found.positives == int(truth[150:, 0].sum())
    metric = found.metric("AUC")
    assert metric is not None
    assert metric.value == pytest.approx(roc_auc_score(truth[150:, 0], scores[150:, 0]))
    (tn, fp), (fn, tp) = found.confusion
    assert tn + fp + fn + tp == 250
    assert all(row >= 150 for row in (*found.missed, *found.alarms))


def test_worst_errors_are_the_worst(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers()
    found = _measured(answers, card).label("Effusion")
    truth, scores = answers.truth[:, 0], answers.scores[:, 0]
    missed = np.sort(scores[(truth == 1) & (scores < 0.5)])
    alarms = np.sort(scores[(truth == 0) & (scores >= 0.5)])[::-1]
    assert scores[list(found.missed)].tolist() == missed[:4].tolist()
    assert scores[list(found.alarms)].tolist() == alarms[:4].tolist()


def test_parts_of_the_films_are_measured_apart(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers()
    blocked = tuple(("turned",) if i < 40 else () for i in range(len(answers)))
    found = _measured(replace(answers, blocked=blocked), card)
    groups = {metric.group: metric for metric in found.label("Effusion").groups if metric.name == "AUC"}
    assert {"PA", "AP", "women", "men", "site one", "site two", "one film per patient", CHECKED} <= set(groups)
    assert groups["PA"].count == groups["AP"].count == groups["one film per patient"].count == 200
    assert groups[CHECKED].count == 360
    assert found.blocked == {"turned": 40}


def test_parts_with_few_films_are_named_and_not_measured(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers(60)
    records = tuple(replace(r, view="AP" if i < 4 else "PA") for i, r in enumerate(answers.records))
    found = _measured(replace(answers, records=records), card)
    assert "AP" in found.small["Effusion"]
    assert "AP" not in {metric.group for metric in found.label("Effusion").groups}


def test_what_cannot_be_measured_is_said(made_answers: Make, card: ModelCard) -> None:
    answers = made_answers(labels=("A", "B", "C"))
    truth, scores = answers.truth.copy(), answers.scores.copy()
    truth[:, 0], scores[:, 1] = 1, np.nan
    found = _measured(replace(answers, truth=truth, scores=scores), card, missing=("Gout",))
    assert found.left_out == {
        "Gout": "The index says nothing of it.",
        "A": "No film without it among 400.",
        "B": "No film with a known answer got a score.",
    }
    assert [label.name for label in found.labels] == ["C"]


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        (ScoreKind.CALIBRATED, True),
        (ScoreKind.UNCALIBRATED, True),
        (ScoreKind.OPERATING_POINT, False),
        (ScoreKind.LOGIT, False),
    ],
)
def test_calibration_is_measured_only_where_it_means_something(
    made_answers: Make, card: ModelCard, kind: ScoreKind, *, shares: bool
) -> None:
    found = _measured(made_answers(kind=kind), card).label("Effusion")
    assert bool(found.bins) is shares
    assert (found.metric("calibration error (ECE)") is not None) is shares


def test_three_files_are_written_and_tell_nothing_of_the_patient(
    made_answers: Make, card: ModelCard, tmp_path: Path
) -> None:
    answers = replace(made_answers(), refused=(("site.csv, line 3", "The image is blank."),))
    evaluation.save(_measured(answers, card), answers, tmp_path)
    page, values, scores = (
        (tmp_path / name).read_text(encoding="utf-8") for name in ("evaluation.html", "evaluation.json", "scores.csv")
    )
    for text in (page, values, scores):
        assert "secret" not in text
        assert "patient-" not in text
    assert DISCLAIMER in page
    assert "Try &lt;b&gt;me&lt;/b&gt;" in page
    assert "<b>me" not in page
    assert "1 of 400 films got no score: The image is blank." in page
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')]{0,30})""", page)
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)  # nothing is fetched
    label = json.loads(values)["labels"][0]
    assert (label["name"], label["films"]) == ("Effusion", 400)
    assert {"name", "value", "low", "high", "data", "count", "label", "positives"} <= set(label["metrics"][0])
    rows = list(csv.DictReader(scores.splitlines()))
    assert [row["number"] for row in rows] == [str(i + 1) for i in range(400)]
    assert rows[5]["line"] == "site.csv, line 7"
    assert float(rows[5]["Effusion score"]) == pytest.approx(answers.scores[5, 0], rel=1e-5)


def test_names_of_files_are_told_when_asked_for(made_answers: Make, card: ModelCard, tmp_path: Path) -> None:
    answers = made_answers()
    evaluation.save(_measured(answers, card), answers, tmp_path, names=True)
    assert "secret-3.png" in (tmp_path / "scores.csv").read_text(encoding="utf-8")
