"""What may be written about scores, windows and people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.findings import Finding, ScoreKind
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import (
    ImageKey,
    PatientInfo,
    PixelSpacing,
    Radiograph,
    SpacingSource,
    View,
    VoiTable,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.core.wording import (
    age_text,
    finding_sentence,
    name_text,
    plain,
    score_text,
    sex_text,
    spacing_text,
    turn_text,
    view_text,
    voi_text,
)


@pytest.mark.parametrize(
    ("score", "kind", "text"),
    [
        (0.873, ScoreKind.CALIBRATED, "87 %"),
        (0.0004, ScoreKind.CALIBRATED, "< 1 %"),
        (0.9996, ScoreKind.CALIBRATED, "> 99 %"),
        (0.873, ScoreKind.UNCALIBRATED, "0.87"),
        (0.5, ScoreKind.OPERATING_POINT, "0.50"),
        (0.9998, ScoreKind.UNCALIBRATED, "> 0.99"),
        (0.0342, ScoreKind.UNCALIBRATED, "0.034"),
        (0.0267, ScoreKind.UNCALIBRATED, "0.027"),
        (0.0994, ScoreKind.UNCALIBRATED, "0.099"),
        (0.0996, ScoreKind.UNCALIBRATED, "0.10"),
        (0.0004, ScoreKind.UNCALIBRATED, "< 0.001"),
        (0.0342, ScoreKind.OPERATING_POINT, "0.03"),
        (0.0002, ScoreKind.OPERATING_POINT, "< 0.01"),
        (0.003, ScoreKind.LOGIT, "0.00"),
        (-2.25, ScoreKind.LOGIT, "-2.25"),
    ],
)
def test_percent_only_for_calibrated_probability(score: float, kind: ScoreKind, text: str) -> None:
    assert score_text(score, kind).replace("\N{NO-BREAK SPACE}", " ") == text


def test_finding_sentence_names_the_side_of_the_operating_point() -> None:
    above = finding_sentence(Finding("Pneumonia", 0.5, ScoreKind.CALIBRATED, 0.5))
    below = finding_sentence(Finding("Pneumonia", 0.4, ScoreKind.CALIBRATED, 0.5))
    assert "at or above the operating point" in above
    assert "below the operating point" in below


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (None, "age unknown"),
        (0.4, "under 1 year"),
        (1.0, "1 year"),
        (37.9, "37 years"),
        (89.9, "89 years"),
        (90, "90 years or older"),
        (104, "90 years or older"),
    ],
)
def test_age_does_not_point_to_one_person(age: float | None, text: str) -> None:
    assert age_text(PatientInfo(age_years=age)) == text


def test_sex() -> None:
    assert [sex_text(PatientInfo(sex=sex)) for sex in ("F", "m", "O", "", "?")] == [
        "female",
        "male",
        "other",
        "sex unknown",
        "sex unknown",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", "Adams, John Robert Quincy Rev. B.A. M.Div."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎; やまだ, たろう)"),
        ("=山田^太郎", "山田, 太郎"),
        ("Иванов^Пётр", "Иванов, Пётр"),
        ("^^^^", ""),
        ("", ""),
    ],
)
def test_person_names(name: str, text: str) -> None:
    assert name_text(name) == text


def test_plain_drops_what_could_disguise_a_text() -> None:
    assert plain("a\x00b\n\tc \u202egpj.exe") == "ab c gpj.exe"


def test_window_words() -> None:
    assert voi_text(None) == "lowest to highest value"
    assert voi_text(VoiWindow(2048, 4096), 0, 1) == "centre 2048, width 4096 (from the file)"
    exact = VoiWindow(-600.5, 1600, WindowFunction.SIGMOID, "LUNG")
    assert voi_text(exact, 1, 3) == "centre -600.5, width 1600, SIGMOID, “LUNG” (from the file, 2 of 3)"
    table = VoiTable(0, np.zeros(4, np.uint16), 8, "BONE")
    assert voi_text(table) == "lookup table “BONE”"


def test_spacing_words_always_name_the_source() -> None:
    assert spacing_text(None) == "not calibrated"
    assert spacing_text(PixelSpacing(0.16, 0.16, SpacingSource.DETECTOR)) == "0.16 mm per pixel, at detector"
    assert "0.2 x 0.1 mm" in spacing_text(PixelSpacing(0.2, 0.1, SpacingSource.CALIBRATED))


def test_view_words() -> None:
    def film(view: View, laterality: str = "") -> Radiograph:
        pixels = np.zeros((2, 2), np.uint8)
        key = ImageKey("1", "1", "1")
        return Radiograph(key, Path("x"), pixels, 8, "MONOCHROME2", "CR", view=view, laterality=laterality)

    assert view_text(film(View.PA)) == "PA"
    assert view_text(film(View.LATERAL, "L")) == "lateral, left"
    assert view_text(film(View.UNKNOWN)) == "view unknown"


def test_turning_words() -> None:
    assert turn_text(Orientation()) == ""
    assert turn_text(Orientation(2)) == "turned 180° clockwise"
    assert turn_text(Orientation(1, flipped=True)) == "mirrored left to right, then turned 90° clockwise"
