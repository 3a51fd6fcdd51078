"""The film of a report shows what the screen shows, on the pixels it belongs to."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.core.display import DisplayState, OverlayMode, OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import (
    ImageKey,
    OverlayPlane,
    PixelSpacing,
    Radiograph,
    Shutter,
    SpacingSource,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.core.report import Report
from cxr_viewer.imaging.render import as_rgb, oriented, picture_at, render_grey
from cxr_viewer.outputs.film import FILM_PX, draw_film, round_length
from cxr_viewer.outputs.overlay import colour_bar, draw_graphics, draw_heatmap, hatch_unseen
from cxr_viewer.outputs.placement import PagePlacement, place
from cxr_viewer.outputs.png import compose_report

ORIENTATIONS = [Orientation(turns, flipped) for turns, flipped in itertools.product(range(4), (False, True))]
GreyFilm = Callable[..., Radiograph]


def at_size(image: Radiograph, orientation: Orientation, factor: int = 1) -> PagePlacement:
    across, down = orientation.display_size(image.rows, image.columns)
    return place(image, orientation, (0, 0, across * factor, down * factor))


# ---------------------------------------------------------------- placement


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_corners_of_the_film_lie_on_the_corners_of_its_place(grey_film: GreyFilm, orientation: Orientation) -> None:
    image = grey_film(100, 60)
    placement = place(image, orientation, (30, 20, 700, 500))
    corners = [Point(0, 0), Point(60, 0), Point(0, 100), Point(60, 100)]
    on_page = {(round(x), round(y)) for x, y in map(placement.at, corners)}
    right, bottom = placement.left + placement.width, placement.top + placement.height
    assert on_page == {
        (placement.left, placement.top),
        (right, placement.top),
        (placement.left, bottom),
        (right, bottom),
    }
    assert 30 <= placement.left < right <= 730
    assert 20 <= placement.top < bottom <= 520


def test_pixels_that_are_not_square_keep_their_shape(grey_film: GreyFilm) -> None:
    image = grey_film(100, 100, spacing=PixelSpacing(0.4, 0.2, SpacingSource.CALIBRATED))
    upright = place(image, Orientation(), (0, 0, 800, 800))
    lying = place(image, Orientation(1), (0, 0, 800, 800))
    assert (upright.width, upright.height) == (400, 800)
    assert (lying.width, lying.height) == (800, 400)
    assert upright.millimetres_per_px == lying.millimetres_per_px == pytest.approx(0.05)


# ---------------------------------------------------------------- grey values


@pytest.mark.parametrize("name", ["dx_canon_pa_mono1_12bit_j2klossless", "cr_barre_fuji_pa_mono1_10bit"])
@pytest.mark.parametrize("orientation", [Orientation(), Orientation(1, flipped=True), Orientation(2)])
def test_grey_values_are_those_of_the_grey_chain(
    film: Callable[[str], Radiograph], name: str, orientation: Orientation
) -> None:
    image = film(f"dicom/{name}.dcm")
    display = DisplayState(voi=image.voi[0], voi_index=0, inverted=True, orientation=orientation)
    placement = at_size(image, orientation)
    picture = picture_at(image, display, (placement.width, placement.height))
    expected = oriented(render_grey(image, image.voi[0], inverted=True), orientation)
    np.testing.assert_array_equal(picture, as_rgb(expected))


def test_reduced_film_is_averaged_before_the_window(film: Callable[[str], Radiograph]) -> None:
    image = film("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm")
    window = VoiWindow(2000, 300)
    placement = place(image, Orientation(), (0, 0, 500, 500))
    picture = picture_at(image, DisplayState(voi=window), (placement.width, placement.height))
    grey = picture[..., 0].astype(int)
    small = cv2.resize(image.stored, (placement.width, placement.height), interpolation=cv2.INTER_AREA)
    expected = render_grey(replace(image, stored=small), window, inverted=False).astype(int)
    assert np.abs(grey - expected).max() <= 1


# ---------------------------------------------------------------- heat map


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", list(OverlayMode))
def test_a_hot_square_is_drawn_where_it_is_on_the_film(
    grey_film: GreyFilm, orientation: Orientation, mode: OverlayMode
) -> None:
    image = grey_film(120, 90, stored=np.full((120, 90), 100, np.uint8))
    values = np.zeros((10, 10), np.float32)
    values[6:8, 1:3] = 1.0  # of the extent: rows 60 to 80 %, columns 10 to 30 %
    heatmap = Heatmap("Pneumonia", values, ImageRect(10, 20, 80, 80))
    hot = ImageRect(10 + 8, 20 + 48, 16, 16)
    placement = at_size(image, orientation, 4)
    before = np.full((placement.height, placement.width, 3), 100, np.uint8)
    after = draw_heatmap(before, heatmap, OverlayState("Pneumonia", 1.0, 0.5, mode), placement)
    rows, columns = np.nonzero(np.abs(after.astype(int) - before).max(axis=2) > 20)
    first, last = placement.rect(hot)
    cell_px = 4 * 8
    assert columns.min() == pytest.approx(first.x, abs=cell_px / 2 + 8)
    assert columns.max() == pytest.approx(last.x, abs=cell_px / 2 + 8)
    assert rows.min() == pytest.approx(first.y, abs=cell_px / 2 + 8)
    assert rows.max() == pytest.approx(last.y, abs=cell_px / 2 + 8)
    assert np.all(before == 100)


def test_nothing_is_drawn_below_the_threshold(grey_film: GreyFilm) -> None:
    image = grey_film()
    heatmap = Heatmap("Pneumonia", np.full((4, 4), 0.3, np.float32), ImageRect(0, 0, 90, 120))
    film = np.full((120, 90, 3), 77, np.uint8)
    placement = at_size(image, Orientation())
    below = draw_heatmap(film, heatmap, OverlayState("Pneumonia", 0.8, 0.4), placement)
    above = draw_heatmap(film, heatmap, OverlayState("Pneumonia", 0.8, 0.2), placement)
    np.testing.assert_array_equal(below, film)
    assert (above != film).any()


def test_what_the_model_was_not_given_is_hatched(grey_film: GreyFilm) -> None:
    image = grey_film(200, 200)
    film = np.zeros((200, 200, 3), np.uint8)
    placement = at_size(image, Orientation(0, flipped=True))
    hatched = hatch_unseen(film, (ImageRect(100, 0, 100, 200),), placement)  # the right half, on the left when mirrored
    assert hatched[:, :100].any()
    assert not hatched[:, 100:].any()
    np.testing.assert_array_equal(hatch_unseen(film, (), placement), film)


def test_colour_bar_is_grey_below_the_threshold() -> None:
    bar = np.asarray(colour_bar(200, 10, OverlayState("Pneumonia", 1.0, 0.5)))
    assert (bar[:, :99] == bar[0, 0]).all()
    assert (bar[:, 150:].max(axis=2) - bar[:, 150:].min(axis=2)).min() > 20


# ---------------------------------------------------------------- whole film


def test_a_report_without_map_has_no_colour_on_the_film(grey_film: GreyFilm, make_report: object) -> None:
    report = make_report(grey_film())  # type: ignore[operator]
    page = np.asarray(draw_film(report)).astype(int)
    inside = page[84:-240, 84:-84]
    assert (inside.max(axis=2) == inside.min(axis=2)).all()


def test_long_side_of_the_film_is_always_the_same(grey_film: GreyFilm, make_report: object) -> None:
    for rows, columns in ((60, 200), (200, 60), (3000, 400), (7, 5)):
        page = draw_film(make_report(grey_film(rows, columns)))  # type: ignore[operator]
        assert max(page.size) >= FILM_PX


def test_letters_scale_and_mirroring_are_said(grey_film: GreyFilm, make_report: object, drawn: list[str]) -> None:
    spacing = PixelSpacing(0.5, 0.5, SpacingSource.DETECTOR)
    image = grey_film(400, 300, patient_orientation=("L", "F"), spacing=spacing)
    display = DisplayState(orientation=Orientation(0, flipped=True))
    draw_film(make_report(image, display=display))  # type: ignore[operator]
    assert drawn[:4] == ["L", "R", "H", "F"]
    assert "50 mm (at detector)" in drawn
    assert any("mirrored left to right" in words for words in drawn)
    assert "Research use only. Not for primary diagnosis." in drawn


def test_no_scale_and_no_letters_where_none_are_known(
    grey_film: GreyFilm, make_report: object, drawn: list[str]
) -> None:
    draw_film(make_report(grey_film()))  # type: ignore[operator]
    assert "Not calibrated: no scale, lengths in pixels" in drawn
    assert not {"L", "R", "H", "F"} & set(drawn)


def test_scale_bar_is_as_long_as_it_says(grey_film: GreyFilm, make_report: object) -> None:
    image = grey_film(
        400, 400, stored=np.zeros((400, 400), np.uint8), spacing=PixelSpacing(0.5, 0.5, SpacingSource.USER)
    )
    page = np.asarray(draw_film(make_report(image)))  # type: ignore[operator]
    strip = page[-150:, :, 0]
    longest = max((len(list(run)) for row in strip for lit, run in itertools.groupby(row > 150) if lit), default=0)
    assert longest == pytest.approx(50 / 0.5 * FILM_PX / 400, abs=5)  # 50 mm is the round length below 34 % of 200 mm


@pytest.mark.parametrize(("longest", "length"), [(99.9, 50), (100, 100), (3.4, 2), (0.07, 0.05), (19, 10)])
def test_round_lengths(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


# ---------------------------------------------------------------- marks


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_marks_lie_where_they_were_set(grey_film: GreyFilm, make_report: object, orientation: Orientation) -> None:
    image = grey_film(400, 300, stored=np.zeros((400, 300), np.uint8))
    ends = (Point(60, 80), Point(240, 330))
    display = DisplayState(orientation=orientation)
    marks = (Mark(1, MarkKind.LENGTH, ends),)
    page = np.asarray(draw_film(make_report(image, marks=marks, display=display, score=None)))  # type: ignore[operator]
    bare = draw_film(make_report(image, display=display, score=None))  # type: ignore[operator]
    yellow = (page[:, :, 0] > 200) & (page[:, :, 2] < 150) & (np.asarray(bare)[:, :, 0] < 50)
    across, down = orientation.display_size(400, 300)
    scale = FILM_PX / max(across, down)
    left = (page.shape[1] - round(across * scale)) / 2
    for end in (*ends, Point(150, 205)):
        x, y = orientation.to_display(end, 400, 300)
        column, row = round(left + x * scale), round(84 + y * scale)
        assert yellow[row - 5 : row + 6, column - 5 : column + 6].any()


def test_every_mark_is_numbered_and_measured(grey_film: GreyFilm, make_report: object, drawn: list[str]) -> None:
    image = grey_film(400, 300, spacing=PixelSpacing(0.5, 0.5, SpacingSource.CALIBRATED))
    marks = (
        Mark(4, MarkKind.LENGTH, (Point(50, 50), Point(150, 50))),
        Mark(5, MarkKind.ANGLE, (Point(10, 100), Point(110, 100), Point(110, 10))),
        Mark(6, MarkKind.ARROW, (Point(200, 200), Point(250, 250)), "Nodule"),
        Mark(7, MarkKind.TEXT, (Point(20, 380),), "Blunted"),
    )
    draw_film(make_report(image, marks=marks))  # type: ignore[operator]
    assert "1  50.0 mm (calibrated)" in drawn
    assert "2  90.0°" in drawn
    assert "3  Nodule" in drawn
    assert "4  Blunted" in drawn


def test_labels_stay_on_the_film_and_apart(grey_film: GreyFilm, make_report: object, monkeypatch: object) -> None:
    from cxr_viewer.outputs import marks as marks_module

    placed: list[tuple[float, float, float, float]] = []
    real = marks_module._draw_label

    def spy(*arguments: object) -> tuple[float, float, float, float]:
        placed.append(real(*arguments))  # type: ignore[arg-type]
        return placed[-1]

    monkeypatch.setattr(marks_module, "_draw_label", spy)  # type: ignore[attr-defined]
    image = grey_film(400, 300)
    marks = tuple(Mark(n, MarkKind.TEXT, (Point(295 - n, 395),), f"Note {n}, rather long words") for n in range(6))
    page = draw_film(make_report(image, marks=marks))  # type: ignore[operator]
    assert len(placed) == 6
    for x0, y0, x1, y1 in placed:
        assert 84 <= x0 < x1 <= page.width - 84 + 1
        assert 84 <= y0 < y1 <= 84 + FILM_PX + 1
    for (a0, b0, a1, b1), (c0, d0, c1, d1) in itertools.combinations(placed, 2):
        assert a1 <= c0 or c1 <= a0 or b1 <= d0 or d1 <= b0


# ---------------------------------------------------------------- what the file lays over its film


GREEN = (124, 227, 139)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_graphics_of_the_file_are_drawn_where_they_are(grey_film: GreyFilm, orientation: Orientation) -> None:
    bits = np.zeros((120, 90), np.uint8)
    bits[30, 20:25] = 1
    image = grey_film(120, 90, overlays=(OverlayPlane(bits),))
    placement = at_size(image, orientation)
    plain = picture_at(image, DisplayState(orientation=orientation), (placement.width, placement.height))
    drawn = draw_graphics(plain, image, placement)
    green = np.all(drawn == GREEN, axis=2)
    np.testing.assert_array_equal(green, oriented(bits, orientation) == 1)
    changed = np.any(drawn != plain, axis=2)
    ring = cv2.dilate(np.ascontiguousarray(oriented(bits, orientation)), np.ones((3, 3), np.uint8)) > 0
    assert not (changed & ~ring).any()


def test_a_report_draws_the_graphics_that_are_on_screen(
    grey_film: GreyFilm, make_report: Callable[..., Report]
) -> None:
    bits = np.zeros((120, 90), np.uint8)
    bits[60] = 1
    image = grey_film(120, 90, overlays=(OverlayPlane(bits),))

    def green(display: DisplayState) -> int:
        page = np.asarray(draw_film(make_report(image, score=None, display=display)))
        return int(np.all(page == GREEN, axis=2).sum())

    assert green(DisplayState()) > FILM_PX * 0.7
    assert green(DisplayState(overlays=False)) == 0


def test_a_report_covers_what_the_screen_covers(grey_film: GreyFilm, make_report: Callable[..., Report]) -> None:
    image = grey_film(120, 90, shutter=Shutter(rectangle=(0, 0, 90, 60), grey=201))

    def covered(display: DisplayState) -> bool:
        report = make_report(image, score=None, display=display)
        placement = place(image, display.orientation, (0, 0, FILM_PX, FILM_PX))
        page = np.asarray(draw_film(report))
        lower = page[100 + placement.height // 2 : 60 + placement.height, page.shape[1] // 2 - 200 : page.shape[1] // 2]
        return bool((lower == 201).all())

    assert covered(DisplayState())
    assert covered(DisplayState(inverted=True))
    assert not covered(DisplayState(shutter=False))


def test_a_colour_film_is_reported_in_colour(grey_film: GreyFilm, make_report: Callable[..., Report]) -> None:
    rgb = np.zeros((120, 90, 3), np.uint8)
    rgb[...] = 210, 40, 60
    voi = VoiWindow(127.5, 255, WindowFunction.LINEAR_EXACT, "As stored")
    image = grey_film(120, 90, rgb=rgb, colour=True, voi=(voi,))
    page = np.asarray(draw_film(make_report(image, score=None)))
    assert page[page.shape[0] // 2, page.shape[1] // 2].tolist() == [210, 40, 60]


def test_a_report_says_what_was_drawn_covered_and_switched_off(
    grey_film: GreyFilm, make_report: Callable[..., Report], drawn: list[str]
) -> None:
    key = ImageKey("1", "2", "3", 4)
    image = grey_film(
        120,
        90,
        key=key,
        frames=12,
        overlays=(OverlayPlane(np.ones((3, 3), np.uint8)),),
        shutter=Shutter(rectangle=(0, 0, 90, 60)),
        padding=(255, 255),
    )
    compose_report(make_report(image, score=None, display=DisplayState(shutter=False)))
    said = " ".join(drawn)
    assert "5 of 12" in said
    assert "graphics of the file drawn" in said
    assert "shutter of the file switched off" in said
    assert "padding shown black" in said
    assert "in the graphics of the file stay" in said  # who the patient is may be written there
