"""What the model drew and what it was given, as reports and heat map pictures tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.display import DisplayState, OverlayState
from cxr_viewer.core.findings import Heatmap, MapEvidence, MapScale, MapTrust, Saw
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.core.report import Report
from cxr_viewer.core.seeing import unseen_strips
from cxr_viewer.imaging.structures import structure_colour
from cxr_viewer.outputs.heatmaps import compose_heatmap
from cxr_viewer.outputs.overlay import draw_structures, hatch_unseen
from cxr_viewer.outputs.placement import PagePlacement
from cxr_viewer.outputs.png import compose_report

MakeReport = Callable[..., Report]
GreyFilm = Callable[..., Radiograph]
ORIENTATIONS = tuple(Orientation(turns, flipped) for turns in range(4) for flipped in (False, True))


def told(report: Report, **changes: Any) -> Report:
    assert report.result is not None
    return replace(report, result=replace(report.result, **changes))


def said(drawn: list[str]) -> str:
    return " ".join(drawn).replace("\N{NO-BREAK SPACE}", " ")


def with_trust(report: Report, trust: MapTrust) -> Report:
    assert report.result is not None
    return told(report, heatmaps=tuple(replace(one, trust=trust) for one in report.result.heatmaps))


def found(page: NDArray[np.uint8], picture: NDArray[np.uint8]) -> bool:
    """Whether a grey picture lies somewhere on a page, pixel for pixel."""
    rows, columns = picture.shape
    grey = page[..., 0].astype(np.int64)
    same = (page[..., 0] == page[..., 1]) & (page[..., 1] == page[..., 2])
    fits = grey[: grey.shape[0] - rows + 1, : grey.shape[1] - columns + 1] == picture[0, 0]
    for y, x in zip(*np.nonzero(fits & same[: fits.shape[0], : fits.shape[1]]), strict=True):
        if grey[y, x + columns // 2] != picture[0, columns // 2]:
            continue
        if (grey[y : y + rows, x : x + columns] == picture).all():
            return True
    return False


# ---------------------------------------------------------------- the picture


def test_a_report_shows_the_very_input_when_the_reader_shows_it(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    grey = np.random.default_rng(3).integers(0, 256, (48, 48), np.uint8)
    report = told(make_report(grey_film()), saw=Saw(grey, True, 0.02), seen=ImageRect(9, 12, 81, 108))
    quiet = compose_report(report)
    cut = "81 % of the film: 9 pixels at the left and 12 pixels at the top were cut away."
    assert f"At 48 x 48 pixels the model saw {cut}" in said(drawn)
    enlarged = np.kron(grey, np.ones((10, 10), np.uint8))  # 480 px on paper
    assert not found(quiet, enlarged)
    drawn.clear()
    page = compose_report(replace(report, show_seen=True))
    assert found(page, enlarged)
    words = said(drawn)
    for wanted in ("48 x 48 pixels", "81 % of the film", "stored with bone dark", "Hatched: not seen by the model"):
        assert wanted in words, wanted


def test_a_film_nobody_scored_has_no_such_section(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    compose_report(replace(make_report(grey_film(), score=None), show_seen=True))
    assert "WHAT THE MODEL SAW" not in drawn


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_strips_are_hatched_on_their_pixels_however_the_film_lies(
    grey_film: GreyFilm, make_report: MakeReport, orientation: Orientation
) -> None:
    image = grey_film(240, 160)
    result = told(make_report(image), seen=ImageRect(20, 60, 140, 180)).result
    assert result is not None
    width, height = orientation.display_size(480, 320)
    placement = PagePlacement(240, 160, orientation, 7, 11, width, height, None)
    film = np.full((height, width, 3), 110, np.uint8)
    changed = (hatch_unseen(film, unseen_strips(result, 240, 160), placement) != film).any(axis=2)
    stored = np.zeros((480, 320), bool)
    stored[:120] = stored[:, :40] = True
    shown = stored[:, ::-1] if orientation.flipped else stored
    shown = np.rot90(shown, -orientation.quarter_turns)
    assert not changed[~shown].any()
    assert 0.1 < changed[shown].mean() < 0.4


@pytest.mark.parametrize("grey", [0, 110, 255])
def test_hatching_is_seen_in_grey_print_and_leaves_the_film_readable(grey_film: GreyFilm, grey: int) -> None:
    placement = PagePlacement(200, 200, Orientation(), 0, 0, 200, 200, None)
    film = np.full((200, 200, 3), grey, np.uint8)
    change = hatch_unseen(film, (ImageRect(0, 0, 200, 200),), placement).astype(float).mean(axis=2) - grey
    assert np.abs(change).max() > 25
    assert (change == 0).mean() > 0.6


def test_a_report_hatches_as_the_screen_does(grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]) -> None:
    whole = make_report(grey_film())
    cut = told(whole, seen=ImageRect(0, 60, 90, 60))
    plain = compose_report(whole)[:2000, :1000]
    assert "not seen" not in said(drawn)
    np.testing.assert_array_equal(compose_report(cut)[:2000, :1000], plain)
    assert "not seen" not in said(drawn)
    hatched = compose_report(replace(cut, show_seen=True))[:2000, :1000]
    assert (hatched != plain).any()
    assert "Hatched: not seen by the model" in said(drawn)


# ---------------------------------------------------------------- badges


@pytest.mark.parametrize("trust", MapTrust)
def test_the_badge_stands_under_the_film_and_beside_the_scale(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str], trust: MapTrust
) -> None:
    evidence = MapEvidence("Pneumonia", "Grad-CAM", 21 / 34, 0.4, 0.8, 15 / 34, 0.3, 0.2, 34, "NIH boxes", False)
    report = with_trust(make_report(grey_film(), overlay=OverlayState("Pneumonia")), trust)
    assert report.card is not None
    compose_report(replace(report, card=replace(report.card, map_evidence=(evidence,))))
    badge = "" if trust is MapTrust.RELIABLE else f"; {trust.value}"
    assert f"Heat map: Pneumonia, Grad-CAM{badge}" in drawn
    assert (trust.value in drawn) is bool(badge)  # framed, above the scale
    assert "hottest point inside the box on 21 of 34 films (NIH boxes); a fixed point: 15." in said(drawn)
    drawn.clear()
    compose_report(with_trust(make_report(grey_film()), trust))  # no map is shown, so nothing is said of one
    assert "map not" not in said(drawn)


@pytest.mark.parametrize("trust", MapTrust)
def test_a_heat_map_picture_carries_its_badge_wherever_it_goes(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str], trust: MapTrust
) -> None:
    image = grey_film(300, 400)
    report = told(with_trust(make_report(image), trust), seen=ImageRect(0, 60, 400, 240))
    assert report.result is not None
    picture = compose_heatmap(image, report.display, report.result, report.result.heatmaps[0])
    words = said(drawn)
    assert (f"{trust.value.upper()}." in words) is (trust is not MapTrust.RELIABLE)
    assert "The model saw 80 % of the film: 60 pixels at the top were cut away." in words
    assert "Hatched: not seen by the model." in words
    plain = compose_heatmap(
        image, report.display, replace(report.result, seen=ImageRect(0, 0, 400, 300)), report.result.heatmaps[0]
    )
    changed = (picture[:300] != plain[:300]).any(axis=2)
    assert 0.1 < changed[:60].mean() < 0.4
    assert not changed[60:].any()


def test_a_model_that_was_never_proven_says_so_on_every_picture_with_a_score(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    image = grey_film(300, 400)
    report = told(make_report(image), cautions=(Caution("unproven", "Not proven: only its structure was checked."),))
    assert report.result is not None
    compose_heatmap(image, report.display, report.result, report.result.heatmaps[0])
    assert "Not proven: only its structure was checked." in said(drawn)
    drawn.clear()
    compose_report(report)
    assert "Not proven: only its structure was checked." in said(drawn)


# ---------------------------------------------------------------- outlines


def disc(label: str, x: float, y: float, radius: float) -> Heatmap:
    rows, columns = np.mgrid[:200, :200] + 0.5
    values = 1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius) / 3))
    whole = ImageRect(0, 0, 200, 200)
    return Heatmap(label, values.astype(np.float32), whole, "Segmentation", MapScale.PROBABILITY)


NAMES = ("Right Lung", "Left Lung", "Heart")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_outlines_lie_on_their_structures_however_the_film_lies(orientation: Orientation) -> None:
    placement = PagePlacement(200, 200, orientation, 0, 0, 800, 800, None)
    film = np.full((800, 800, 3), 60, np.uint8)
    page = draw_structures(film, (disc("Left Lung", 130, 80, 30),), NAMES, placement).astype(int)
    ys, xs = (np.abs(page - structure_colour("Left Lung", NAMES)).max(axis=2) < 20).nonzero()
    middle = orientation.to_display(Point(130, 80), 200, 200)
    away = np.hypot(xs + 0.5 - 4 * middle.x, ys + 0.5 - 4 * middle.y)
    assert (np.abs(away - 120) < 3).sum() > 4 * 120
    assert (away > 117).all()


def test_a_report_outlines_what_is_ticked_and_gives_no_scores(
    grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]
) -> None:
    image = grey_film(200, 200)
    maps = (disc("Right Lung", 60, 80, 30), disc("Left Lung", 130, 80, 30), disc("Heart", 100, 150, 25))
    report = told(make_report(image), findings=(), heatmaps=maps)
    compose_report(report)
    words = said(drawn)
    assert "it gives no findings and no scores" in words
    assert "OUTLINES" not in drawn
    drawn.clear()
    shown = replace(report.display, overlay=OverlayState(structures=("Heart", "Left Lung", "Unicorn")))
    page = compose_report(replace(report, display=shown))
    assert "OUTLINES" in drawn
    assert drawn.count("Heart") == drawn.count("Left Lung") == 2  # on the film and beside it
    assert "Right Lung" not in drawn
    assert "Unicorn" not in drawn
    assert "operating point" not in said(drawn)
    for label, there in (("Heart", True), ("Left Lung", True), ("Right Lung", False)):
        near = np.abs(page[:2000, :2168].astype(int) - structure_colour(label, NAMES)).max(axis=2) < 6
        assert bool(near.sum() > 300) is there


def test_an_outline_of_its_own_is_no_heat_map(grey_film: GreyFilm, make_report: MakeReport, drawn: list[str]) -> None:
    image = grey_film(200, 200)
    report = told(make_report(image), findings=(), heatmaps=(disc("Heart", 100, 100, 40),))
    assert report.result is not None
    display = DisplayState()
    picture = compose_heatmap(image, display, report.result, report.result.heatmaps[0])
    assert "Heart, outlined by the model." in said(drawn)
    assert "MAP NOT" not in said(drawn)
    middle = picture[90:110, 90:110].astype(int)
    assert (middle.max(axis=2) == middle.min(axis=2)).all()  # the film inside keeps its greys
