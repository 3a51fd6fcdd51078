"""The whole report: what it says, what it leaves out, and how it reaches the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.findings import ScoreKind
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.core.report import DISCLAIMER, Report, suggested_name
from cxr_viewer.outputs.column import time_text, title
from cxr_viewer.outputs.heatmaps import compose_heatmap, heatmap_name
from cxr_viewer.outputs.png import PngReportWriter, compose_report, write_picture
from cxr_viewer.services.ports import ReportWriter

MakeReport = Callable[..., Report]
Hide = Callable[[Radiograph], Radiograph]
GreyFilm = Callable[..., Radiograph]

# Whatever could lead back to the patient, in every form it could be written in.
SECRET_WORDS = (
    "Quell",
    "Xaver",
    "山田",
    "太郎",
    "7788",
    "1957",
    "11-23",
    "5544",
    "Quisi",
    "Thorax",
    "Serie",
    "08-27",
    "0827",
    "13:45",
    "films",
)


def said(drawn: list[str]) -> str:
    return "\n".join(drawn)


# ---------------------------------------------------------------- identity


def test_identity_is_left_out_by_default(
    grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide, drawn: list[str], tmp_path: Path
) -> None:
    report = make_report(with_secrets(grey_film()), overlay=OverlayState("Pneumonia"))
    path = tmp_path / suggested_name(report)
    PngReportWriter().write_png(report, path)
    words = said(drawn)
    assert "Identity" in words
    assert "left out" in words
    assert "61 years, male" in words
    assert "2019" in words
    with Image.open(path) as picture:
        hidden = "\n".join([*map(str, picture.info.items()), path.name, words])
    for secret in SECRET_WORDS:
        assert secret not in hidden
    data = path.read_bytes()
    assert not [secret for secret in SECRET_WORDS if secret.encode() in data and len(secret) > 4]


def test_identity_is_written_when_asked_for(
    grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide, drawn: list[str], tmp_path: Path
) -> None:
    report = make_report(with_secrets(grey_film()), with_identity=True)
    PngReportWriter().write_png(report, tmp_path / "a.png")
    words = said(drawn)
    for secret in (
        "Quellmalz, Xaver",
        "PID-778899",
        "1957-11-23",
        "2019-08-27 13:45",
        "ACC-554433",
        "Hospital Quisisana",
    ):
        assert secret in words
    with Image.open(tmp_path / "a.png") as picture:
        chunks = str(picture.info)
    assert not [secret for secret in SECRET_WORDS if secret in chunks]


def test_file_name_carries_no_identity(grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide) -> None:
    report = make_report(with_secrets(grey_film()))
    assert suggested_name(report) == "cxr-report-2019-0f0f0f0f.png"
    named = replace(report, with_identity=True)
    assert suggested_name(named) == "cxr-report-20190827-0f0f0f0f.png"
    assert "Quellmalz" in suggested_name(named, with_patient_name=True)


def test_age_of_the_very_old_is_not_written(
    grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide, drawn: list[str]
) -> None:
    image = with_secrets(grey_film())
    image = replace(image, patient=replace(image.patient, age_years=97.0))
    compose_report(make_report(image))
    assert "90 years or older, male" in said(drawn)
    assert "97" not in said(drawn)


# ---------------------------------------------------------------- what it says


def test_everything_a_reader_needs_is_there(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str], tmp_path: Path
) -> None:
    image = grey_film(cautions=(Caution("x", "The window shows little."),))
    marks = (Mark(1, MarkKind.LENGTH, (Point(0, 0), Point(30, 40))),)
    overlay = OverlayState("Pneumonia", mode=OverlayMode.CONTOUR)
    report = make_report(image, marks=marks, opinion="First line.\nSecond line.", overlay=overlay)
    PngReportWriter().write_png(report, tmp_path / "a.png")
    words = said(drawn)
    for wanted in (
        "Chest radiograph: annotated report",
        DISCLAIMER,
        "Pneumonia",
        "80\N{NO-BREAK SPACE}%",
        "at or above the operating point of 42\N{NO-BREAK SPACE}%",
        "Scores are calibrated probabilities.",
        "Test model, version 2.3.4",
        "sha256 c0ffee00c0ffee00",
        "CPU (test), 0.25 s",
        "For tests only.",
        "First line.",
        "Second line.",
        "50 px (not calibrated)",
        "lowest to highest value",
        "The window shows little.",
        "2026-03-04 05:06 UTC with cxr-viewer 9.9.9",
        "Grad-CAM",
        "Lines: 0.15, 0.50, 0.75.",
    ):
        assert wanted in words, wanted
    assert drawn.count(DISCLAIMER) == 2  # beside the words and under the film, should one be cut off
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "RGB"
        assert max(picture.size) >= 2000
        assert picture.info["Software"] == "cxr-viewer 9.9.9"
        assert picture.info["Model SHA-256"] == "c0ffee00" * 8
        assert picture.info["Disclaimer"] == DISCLAIMER


def test_scores_that_do_not_hold_are_grey_and_say_why(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    limit = Caution("age-outside", "Trained on children; this patient is 61.")
    holding = compose_report(make_report(grey_film()))
    greyed = compose_report(make_report(grey_film(), limits=(limit,)))
    assert "These scores do not hold for this film:" in said(drawn)
    assert limit.text in said(drawn)
    accent = (30, 96, 150)
    assert (holding == accent).all(axis=2).any()
    assert not (greyed == accent).all(axis=2).any()


def test_no_percent_sign_for_what_is_no_probability(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    report = make_report(grey_film())
    assert report.result is not None
    for kind in (ScoreKind.UNCALIBRATED, ScoreKind.OPERATING_POINT, ScoreKind.LOGIT):
        drawn.clear()
        findings = tuple(replace(finding, kind=kind) for finding in report.result.findings)
        compose_report(replace(report, result=replace(report.result, findings=findings)))
        about_scores = [words for words in drawn if "operating point" in words or words == "0.80"]
        assert "0.80" in about_scores
        assert not any("%" in words for words in about_scores)
        assert "probabilities." in said(drawn)


def test_a_film_nobody_scored_says_so(grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]) -> None:
    compose_report(make_report(grey_film(), score=None, no_result_reason="The model did not look: a hand."))
    assert "The model did not look: a hand." in said(drawn)
    assert "operating point" not in said(drawn)


def test_findings_of_another_film_are_a_defect(grey_film: GreyFilm, make_report: MakeReport) -> None:
    report = make_report(grey_film())
    other = grey_film(key=replace(report.image.key, sop_uid="4"))
    with pytest.raises(ValueError, match="another film"):
        compose_report(replace(report, image=other))


def test_a_long_report_loses_nothing(grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]) -> None:
    report = make_report(grey_film(), opinion=" ".join(f"word{n}" for n in range(900)))
    assert report.result is not None
    findings = tuple(replace(report.result.findings[0], label=f"Finding {n}") for n in range(18))
    page = compose_report(replace(report, result=replace(report.result, findings=findings)))
    words = said(drawn).split()
    assert [f"word{n}" for n in range(900) if f"word{n}" not in words] == []
    assert all(f"Finding {n}" in said(drawn) for n in range(18))
    assert page.shape[1] > 2 * 1240  # in more than one column


def test_control_characters_of_a_file_do_not_reach_the_page(
    grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide, drawn: list[str]
) -> None:
    image = with_secrets(grey_film())
    image = replace(image, patient=replace(image.patient, name="Doe\x00\u202e^Jane\n\x1b[31m"))
    compose_report(make_report(image, with_identity=True))
    assert "Doe, Jane [31m" in drawn
    assert not any(ord(c) < 32 or c == "\u202e" for c in said(drawn).replace("\n", ""))


@pytest.mark.parametrize(
    ("modality", "body_part", "words"),
    [
        ("DX", "CHEST", "Chest radiograph: annotated report"),
        ("CR", "", "Chest radiograph: annotated report"),
        ("CR", "HAND", "Radiograph: annotated report"),
        ("CT", "CHEST", "Image: annotated report"),
    ],
)
def test_title_claims_no_more_than_the_file(grey_film: GreyFilm, modality: str, body_part: str, words: str) -> None:
    assert title(grey_film(modality=modality, body_part=body_part)) == words


def test_times_of_files() -> None:
    assert time_text("134501.000") == "13:45"
    assert time_text("13:45:01") == "13:45"
    assert time_text("13") == time_text("") == time_text("noon") == ""


# ---------------------------------------------------------------- real films


@pytest.mark.parametrize(
    "name",
    [
        "cr_barre_fuji_pa_mono1_10bit",
        "cr_philips_rg1_pa_mono1_15bit_j2klossy",
        "cr_rsna_ap_viral2_jpegbaseline",
        "dx_canon_pa_mono1_12bit_j2klossless",
        "dx_lidc0005_lateral_ge_j2klossless_14bit",
        "dx_nih_00002527_nodule_f37",
        "syn_dx_canon_voilutsequence3",
    ],
)
def test_real_films(film: Callable[[str], Radiograph], make_report: MakeReport, name: str) -> None:
    page = compose_report(make_report(film(f"dicom/{name}.dcm"), overlay=OverlayState("Pneumonia")))
    assert max(page.shape) >= 2000
    assert page.dtype == np.uint8
    on_film = page[84:2000, 84 : page.shape[1] - 1240 - 84]
    assert np.ptp(np.percentile(on_film, (5, 95))) > 60  # a film is there, neither black nor white


# ---------------------------------------------------------------- on the disk


def test_is_a_report_writer(grey_film: GreyFilm, make_report: MakeReport, tmp_path: Path) -> None:
    writer: ReportWriter = PngReportWriter()
    writer.write_png(make_report(grey_film()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_disk_full_leaves_the_old_report(
    grey_film: GreyFilm, make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError) as caught:
        PngReportWriter().write_png(make_report(grey_film()), path)
    assert caught.value.code == "disk-full"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 3)])
def test_plain_pixels_come_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_picture(pixels[:, ::-1], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == ("L" if len(shape) == 2 else "RGB")
        assert not picture.info
        np.testing.assert_array_equal(np.asarray(picture), pixels[:, ::-1])


# ---------------------------------------------------------------- heat maps of their own


def test_a_heat_map_lies_pixel_on_pixel_on_its_film(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    image = grey_film(300, 400, stored=np.full((300, 400), 90, np.uint8))
    report: Any = make_report(image, limits=(Caution("x", "Trained on children."),))
    picture = compose_heatmap(image, report.display, report.result, report.result.heatmaps[0])
    assert picture.shape[1] == 400
    assert picture.shape[0] > 300
    film = picture[:300].astype(int)
    coloured = np.abs(film.max(axis=2) - film.min(axis=2)) > 10
    rows, columns = np.nonzero(coloured)
    assert rows.mean() == pytest.approx(300 * 5.5 / 8, abs=12)
    assert columns.mean() == pytest.approx(400 * 2.5 / 8, abs=12)
    words = " ".join(drawn)
    for wanted in (
        "Pneumonia: 80",
        "The score does not hold for this film: Trained on children.",
        "c0ffee00",
        DISCLAIMER,
    ):
        assert wanted in words


def test_name_of_a_heat_map_is_from_the_digest(
    grey_film: GreyFilm, make_report: MakeReport, with_secrets: Hide
) -> None:
    image = with_secrets(grey_film())
    heatmap: Any = make_report(image).result.heatmaps[0]  # type: ignore[union-attr]
    assert heatmap_name(image, heatmap) == "0f0f0f0f0f0f0f0f-pneumonia.png"
    odd = replace(heatmap, label="../Pleural thickening/x", extent=ImageRect(0, 0, 1, 1))
    assert "/" not in heatmap_name(image, odd)
    assert ".." not in heatmap_name(image, odd)
