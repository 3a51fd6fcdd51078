"""What a card says of single findings, of those only tried, and of what a model does beside others."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import (
    LabelSpec,
    Metric,
    ModelCard,
    OperatingPoint,
    RatioError,
    RatioTerm,
    ReferenceSpec,
    ScoreKind,
    SiteCalibration,
    Task,
    TriedLabel,
    ViewTerm,
)
from cxr_viewer.inference.cards import CARD_NAME, card_from_dict, card_to_dict, read_card, write_card

POINTS = (
    OperatingPoint("90 % sensitivity", 0.12, 0.9, 0.55, "validation films"),
    OperatingPoint("Youden", 0.3, 0.75, 0.8),
)
HEART = LabelSpec(
    "Cardiomegaly",
    0.3,
    views=("PA",),
    score_kind=ScoreKind.UNCALIBRATED,
    temperature=1.7,
    bias=-0.4,
    point="Youden",
    points=POINTS,
    ratio=RatioTerm(12.0, 0.47),
    view_terms=(ViewTerm("AP", -0.8),),
)
CHANGES: dict[str, Any] = {
    "labels": (HEART, LabelSpec("Effusion", 0.2)),
    "tried": (TriedLabel("Nodule", "AUC 0.61 on the test films: below 0.75."),),
    "reference": ReferenceSpec("cd" * 32, 42.5, 0.98, "validation films"),
    "metrics": (
        Metric("AUC", 0.9, 0.85, 0.95, "test", 624, "Cardiomegaly", "PA", 31, 22),
        Metric("AUC", 0.61, 0.5, 0.7, "test", 624, label="Nodule"),
    ),
}
ANATOMY: dict[str, Any] = {
    "task": Task.SEGMENT,
    "serves": "anatomy",
    "ratio_error": 0.04,
    "view_ratio_errors": (RatioError("PA", 0.035, 0.06), RatioError("AP", 0.11, 0.12)),
    "labels": (LabelSpec("Lungs", 0.5), LabelSpec("Heart", 0.5)),
}
GUARD: dict[str, Any] = {"task": Task.GUARD, "serves": "guard"}


@pytest.mark.parametrize("changes", [CHANGES, ANATOMY, GUARD, {"labels": (dataclasses.replace(HEART, points=()),)}])
def test_a_card_comes_back_as_it_was_written(tmp_path: Path, card: Any, changes: dict[str, Any]) -> None:
    written: ModelCard = card(**changes)
    write_card(written, tmp_path / CARD_NAME)
    assert read_card(tmp_path) == written


def test_a_plain_card_says_nothing_of_them(card: Any) -> None:
    """Programs that do not know these entries refuse a card that has them, and read one that has not."""
    table = card_to_dict(card())
    assert not {"tried", "reference", "serves", "ratio_error", "task"} & set(table)
    assert all(set(label) == {"name", "threshold"} for label in table["labels"])


def test_the_calibration_of_a_site_is_no_part_of_the_bundle(tmp_path: Path, card: Any) -> None:
    site = SiteCalibration("St. Anna", "2026-11-22", 412, 400, ())
    write_card(card(site=site), tmp_path / CARD_NAME)
    assert read_card(tmp_path) == card()


def test_what_a_finding_does_not_say_is_the_cards(card: Any) -> None:
    whole: ModelCard = card(labels=CHANGES["labels"])
    assert [whole.kind_of(label) for label in whole.labels] == [ScoreKind.UNCALIBRATED, ScoreKind.CALIBRATED]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"views": ("FRONT",)}, "the views of 'Cardiomegaly' name 'FRONT'"),
        ({"views": ("LATERAL",)}, "name 'LATERAL', and intended.views does not"),
        ({"temperature": 0.0}, "the temperature of 'Cardiomegaly' is 0.0"),
        ({"bias": float("inf")}, "the bias of 'Cardiomegaly' is inf"),
        ({"point": "guess"}, "the point of 'Cardiomegaly' is 'guess'"),
        ({"threshold": 0.31}, "its point 'Youden' is 0.3"),
        ({"points": (POINTS[0], POINTS[0])}, "two points of 'Cardiomegaly'"),
        ({"points": (dataclasses.replace(POINTS[1], sensitivity=90.0),)}, "the sensitivity of the point 'Youden'"),
        ({"points": (dataclasses.replace(POINTS[0], threshold=3.0),)}, "of the point '90 % sensitivity'"),
        ({"ratio": RatioTerm(1.0, 47.0)}, "has weight 1.0 and centre 47.0"),
        ({"ratio": RatioTerm(float("nan"), 0.4)}, "has weight nan"),
        ({"view_terms": (ViewTerm("TOP", 1.0),)}, "have view 'TOP' and shift 1.0"),
        ({"view_terms": (ViewTerm("AP", float("inf")),)}, "have view 'AP' and shift inf"),
        ({"view_terms": (ViewTerm("AP", 1.0), ViewTerm("AP", 2.0))}, "name a view twice"),
        ({"score_kind": ScoreKind.CALIBRATED, "threshold": 1.3, "point": ""}, "the threshold of 'Cardiomegaly' is 1.3"),
    ],
)
def test_a_fault_of_a_finding_gets_a_sentence(tmp_path: Path, card: Any, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as fault:
        write_card(card(labels=(dataclasses.replace(HEART, **change),)), tmp_path / CARD_NAME)
    assert words in fault.value.summary


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tried": (TriedLabel("Bright", "Poor."),)}, "tried: 'Bright' is among the labels, too"),
        ({"tried": (TriedLabel("Nodule", "a"), TriedLabel("Nodule", "b"))}, "two findings have the same name"),
        ({"tried": (TriedLabel("Nodule", ""),)}, "no name or no reason"),
        ({"reference": ReferenceSpec("cd", 1.0)}, "reference.sha256 is not a digest"),
        ({"reference": ReferenceSpec("cd" * 32, 0.0)}, "reference.limit is 0.0"),
        ({"reference": ReferenceSpec("cd" * 32, 1.0, 99.0)}, "reference.share is 99.0"),
        ({"serves": "coffee"}, "serves is 'coffee', not one of anatomy, guard"),
        ({"serves": "guard"}, "task is classify, and a model that serves as guard has guard"),
        ({"task": Task.GUARD}, 'task is guard, and serves is not "guard"'),
        ({**ANATOMY, "labels": (LabelSpec("Lungs", 0.5),)}, "an anatomy model outlines Heart"),
        ({**ANATOMY, "ratio_error": 0.0}, "ratio_error is 0.0, not between 0 and 0.5"),
        ({**ANATOMY, "view_ratio_errors": (RatioError("PA", 0.06, 0.03),)}, "0.06 and 0.03 are not between 0 and 0.5"),
        ({**ANATOMY, "view_ratio_errors": (RatioError("TOP", 0.03, 0.06),)}, "view is 'TOP', which is no view"),
        ({"view_ratio_errors": ANATOMY["view_ratio_errors"]}, "ratio_error belongs to a model that serves as anatomy"),
        ({"ratio_error": 0.1}, "ratio_error belongs to a model that serves as anatomy"),
        ({**ANATOMY, "labels": (*ANATOMY["labels"], HEART)}, "belongs to a model that gives findings"),
        ({"metrics": (Metric("AUC", 0.9, None, None, "t", 9, label="Nodule"),)}, "metrics.label is 'Nodule'"),
        ({"metrics": (Metric("AUC", 0.9, None, None, "t", 9, positives=10),)}, "metrics.positives is 10 of 9 films"),
        (
            {"metrics": (Metric("AUC", 0.9, None, None, "t", 9, positives=4, positive_patients=5),)},
            "metrics.positive_patients is 5 for 4 films",
        ),
    ],
)
def test_a_fault_of_the_whole_card_gets_a_sentence(
    tmp_path: Path, card: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelError) as fault:
        write_card(card(**changes), tmp_path / CARD_NAME)
    assert words in fault.value.summary


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("labels", 0, "views"), "PA", "labels.views is not a list of texts"),
        (("labels", 0, "score_kind"), "sure", "score_kind is 'sure', not one of"),
        (("labels", 0, "points", 0, "sensitivity"), "high", "points.sensitivity is missing or not a number"),
        (("labels", 0, "points", 0, "sens"), 0.9, "points.sens is not an entry"),
        (("labels", 0, "ratio", "center"), 0.5, "ratio.center is not an entry"),
        (("labels", 0, "ratio"), 3, "the section [ratio] is missing"),
        (("tried", 0, "reason"), None, "tried.reason is missing"),
        (("reference", "sha256"), None, "reference.sha256 is missing"),
        (("serves",), 1, "serves is not a text"),
        (("ratio_error",), "small", "ratio_error is missing or not a number"),
        (("metrics", 0, "positives"), 1.5, "metrics.positives is missing or not a whole number"),
    ],
)
def test_a_fault_of_form_gets_a_sentence(card: Any, place: tuple[Any, ...], value: object, words: str) -> None:
    table = tomllib.loads(tomli_w.dumps(card_to_dict(card(**CHANGES))))
    inner: Any = table
    for name in place[:-1]:
        inner = inner[name]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    with pytest.raises(ModelError) as fault:
        card_from_dict(table)
    assert words in fault.value.detail
