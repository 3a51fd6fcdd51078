"""Film check, cardiothoracic ratio, callipers and what is not offered, in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.anatomy import Anatomy, Callipers, Handle
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import Heatmap, MapScale, SiteCalibration, Withheld
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Caution, PixelSpacing, Radiograph, SpacingSource, View
from cxr_viewer.core.report import Report
from cxr_viewer.outputs.callipers import AUTOMATIC, BY_HAND
from cxr_viewer.outputs.film import draw_film
from cxr_viewer.outputs.png import compose_report

MakeReport = Callable[..., Report]
GreyFilm = Callable[..., Radiograph]
MM = PixelSpacing(2.0, 2.0, SpacingSource.DETECTOR)
LINES = Callipers((Point(45, 10), Point(45, 90)), (Point(36, 70), Point(63, 72)), (Point(10, 80), Point(80, 80)))
BLOCK = Sign("turned", "The film lies turned by 90 degrees.", Severity.BLOCK, "Turn it.")
CHECK = FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.NETWORK, 0, (), "guard", "0.4", "ba" * 32)
ST_ANNA = SiteCalibration("St. Anna", "2026-11-22", 412, 380, ())
AP = Caution("ap", "On an AP film the heart looks wider.")


def found(image: Radiograph, **changes: Any) -> Anatomy:
    whole = ImageRect(0, 0, image.columns, image.rows)
    lungs = (ImageRect(10, 20, 30, 60), ImageRect(50, 20, 30, 60))
    values = np.zeros((8, 8), np.float32)
    values[2:6, 1:7] = 1.0
    outline = Heatmap("Lungs", values, whole, "U-Net", MapScale.PROBABILITY)
    made = Anatomy("anatomy", "Anatomy", "0.7", "fa" * 32, lungs, None, (outline,), LINES, 0.04, True)
    return replace(made, **changes)


@pytest.fixture
def report(grey_film: GreyFilm, make_report: MakeReport) -> Report:
    image = grey_film(spacing=MM)
    made = make_report(image)
    assert made.result is not None
    result = replace(made.result, anatomy=found(image), check=CHECK)
    return replace(made, result=result, check=CHECK, callipers=LINES, show_callipers=True)


def changed(report: Report, **changes: Any) -> Report:
    assert report.result is not None
    return replace(report, result=replace(report.result, **changes))


def said(report: Report, drawn: list[str]) -> str:
    compose_report(report)
    return " ".join(drawn)


def test_the_ratio_stands_with_its_error_and_where_it_comes_from(report: Report, drawn: list[str]) -> None:
    assert report.result is not None
    words = said(changed(report, anatomy=found(report.image, cautions=(AP,))), drawn)
    for wanted in ("0.39 ± 0.04", "Heart 54\N{NO-BREAK SPACE}mm", "(at detector)", AP.text, "Anatomy 0.7", "fafafafa"):
        assert wanted in words, wanted


def test_what_the_reader_measured_is_called_so(report: Report, drawn: list[str]) -> None:
    moved = LINES.moved(Handle.HEART_RIGHT, Point(70, 72), MM)
    words = said(replace(report, callipers=moved), drawn)
    assert "0.49, measured by the reader" in words
    assert "Automatic 0.39 ± 0.04." in words


def test_why_nothing_was_measured(report: Report, drawn: list[str]) -> None:
    why = Caution("lateral", "A lateral film has no such ratio.")
    anatomy = found(report.image, callipers=None, trusted=False, cautions=(why,))
    words = said(replace(changed(report, anatomy=anatomy), callipers=None), drawn)
    assert "Not measurable." in words
    assert why.text in words


def test_an_override_is_told_with_what_it_passed_over(report: Report, drawn: list[str]) -> None:
    check = replace(CHECK, upright_turns=1, signs=(BLOCK,))
    passed = changed(report, check=check, overridden=("turned",), limits=(BLOCK.caution,))
    words = said(replace(passed, check=check), drawn)
    assert "Scored against the film check, at the wish of the reader." in words
    assert words.count(BLOCK.text) == 1
    assert "These scores do not hold for this film; see the film check above." in words
    assert "guard 0.4" in words


def test_a_film_in_order_says_where_its_view_is_from(report: Report, drawn: list[str]) -> None:
    words = said(report, drawn)
    assert "Frontal film, PA read from the picture, upright." in words
    assert "Scored against" not in words


def test_a_stopped_film_says_what_stopped_it(grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]) -> None:
    check = replace(CHECK, signs=(BLOCK,))
    stopped = make_report(grey_film(), score=None, no_result_reason="The film check stopped the model: no score.")
    words = said(replace(stopped, check=check), drawn)
    assert BLOCK.text in words
    assert "stopped the model" in words


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (None, "as shipped"),
        (SiteCalibration("St. Anna", "2026-11-22", 412, 380, ()), "St. Anna, 412 films, 2026-11-22"),
    ],
)
def test_whose_calibration_and_what_is_not_offered(
    report: Report, drawn: list[str], site: SiteCalibration | None, expected: str
) -> None:
    withheld = (Withheld("Edema", "Not offered on AP films."), Withheld("Mass", "Not offered on AP films."))
    words = said(changed(report, site=site, withheld=withheld), drawn)
    assert expected in words
    assert "Not offered on AP films: Edema, Mass." in words


@pytest.mark.parametrize("turn", [Orientation(), Orientation(1), Orientation(2, True)])
@pytest.mark.parametrize("edited", [False, True])
def test_callipers_lie_where_they_do_on_the_screen(report: Report, turn: Orientation, edited: bool) -> None:
    report = replace(report, callipers=replace(LINES, edited=edited), display=replace(report.display, orientation=turn))
    drawn = np.asarray(draw_film(report)).astype(int)
    bare = np.asarray(draw_film(replace(report, show_callipers=False))).astype(int)
    assert bare.shape[1] == drawn.shape[1]
    colour = np.abs(drawn - np.array(BY_HAND if edited else AUTOMATIC)).sum(axis=2) < 30
    assert colour.sum() > 2000
    middle = turn.to_display(Point(45, 80), report.image.rows, report.image.columns)
    width, height = turn.display_size(report.image.rows, report.image.columns)
    scale = 2000 / max(width, height)
    left = (drawn.shape[1] - width * scale) / 2
    x, y = round(left + middle.x * scale), round(84 + middle.y * scale)
    assert colour[y - 4 : y + 5, x - 4 : x + 5].any()


def test_lungs_are_outlined_only_where_they_are_on_the_screen(report: Report, drawn: list[str]) -> None:
    compose_report(report)
    assert "OUTLINES" not in drawn
    compose_report(replace(report, show_outlines=True))
    assert "OUTLINES" in drawn
    assert "Lungs" in drawn
