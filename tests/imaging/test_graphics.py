"""Graphics of the file (60xx): on the right pixels, and never lost where the film is seen small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cxr_viewer.core.image import ImageKey, OverlayPlane, Radiograph
from cxr_viewer.imaging.graphics import Graphics, coloured
from cxr_viewer.imaging.grid import Axis, Grid, whole

MakeFilm = Callable[..., Radiograph]


def film_with(make_film: MakeFilm, *planes: OverlayPlane, rows: int = 60, columns: int = 50) -> Radiograph:
    return make_film(np.zeros((rows, columns), np.uint8), overlays=planes)


def own_pixels(film: Radiograph) -> np.ndarray:  # type: ignore[type-arg]
    return Graphics(film).on(whole(film.rows, film.columns, film.rows, film.columns))


def test_every_bit_lies_on_its_own_pixel(make_film: MakeFilm) -> None:
    bits = (np.random.default_rng(1).random((60, 50)) > 0.7).astype(np.uint8)
    np.testing.assert_array_equal(own_pixels(film_with(make_film, OverlayPlane(bits))), bits * 255)


@pytest.mark.parametrize(("left", "top"), [(7, 3), (-4, -6), (45, 55), (200, 0), (0, -200)])
def test_a_plane_lies_at_its_origin_and_ends_at_the_film(make_film: MakeFilm, left: int, top: int) -> None:
    bits = (np.random.default_rng(2).random((10, 12)) > 0.4).astype(np.uint8)
    expected = np.zeros((60, 50), np.uint8)
    for row in range(10):
        for column in range(12):
            y, x = top + row, left + column
            if 0 <= y < 60 and 0 <= x < 50:
                expected[y, x] = 255 * bits[row, column]
    np.testing.assert_array_equal(own_pixels(film_with(make_film, OverlayPlane(bits, left, top))), expected)


def test_planes_add_up(make_film: MakeFilm) -> None:
    first, second = np.zeros((60, 50), np.uint8), np.zeros((60, 50), np.uint8)
    first[3, 3] = second[4, 4] = 1
    ink = own_pixels(film_with(make_film, OverlayPlane(first), OverlayPlane(second)))
    assert ink[3, 3] == ink[4, 4] == 255
    assert np.count_nonzero(ink) == 2


def test_of_a_region_only_the_outline_is_drawn(make_film: MakeFilm) -> None:
    bits = np.zeros((60, 50), np.uint8)
    bits[10:30, 5:25] = 1
    bits[50:60, 40:50] = 1  # the border of the film is an outline as well
    ink = own_pixels(film_with(make_film, OverlayPlane(bits, kind="R")))
    expected = bits * 255
    expected[11:29, 6:24] = 0
    expected[51:59, 41:49] = 0
    np.testing.assert_array_equal(ink, expected)


@given(row=st.integers(0, 299), column=st.integers(0, 249), height=st.integers(7, 900))
@example(row=0, column=248, height=19)  # in a last square of which only a part lies on the film
def test_a_single_pixel_is_never_lost_nor_far_from_its_place(row: int, column: int, height: int) -> None:
    bits = np.zeros((300, 250), np.uint8)
    bits[row, column] = 1
    key, blank = ImageKey("1", "2", "3"), np.zeros((300, 250), np.uint8)
    film = Radiograph(key, Path("film.dcm"), blank, 8, "MONOCHROME2", "DX", overlays=(OverlayPlane(bits),))
    width = max(1, round(height * 250 / 300))
    ys, xs = np.nonzero(Graphics(film).on(whole(300, 250, height, width)))
    assert ys.size > 0
    for found, scale, place in ((ys, height / 300, row), (xs, width / 250, column)):
        middles = found + 0.5
        reach = 0.5 * max(1.0, scale) + (0.5 if scale <= 0.5 else 0.0) + 1e-6  # half a pixel beside it when very small
        assert (np.abs(middles - (place + 0.5) * scale) <= reach).all()


def test_seen_small_a_thin_line_is_whole(make_film: MakeFilm) -> None:
    bits = np.zeros((3001, 2501), np.uint8)
    steps = np.arange(2501)
    bits[np.minimum(3000, steps), steps] = 1
    film = make_film(np.zeros((3001, 2501), np.uint8), overlays=(OverlayPlane(bits),))
    for height in (2999, 1700, 700, 150):
        ink = Graphics(film).on(whole(3001, 2501, height, round(height * 2501 / 3001)))
        assert ink.any(axis=0).all(), height


def test_seen_large_a_pixel_is_a_block(make_film: MakeFilm) -> None:
    bits = np.zeros((60, 50), np.uint8)
    bits[20, 30] = 1
    ink = Graphics(film_with(make_film, OverlayPlane(bits))).on(whole(60, 50, 240, 200))
    expected = np.zeros((240, 200), np.uint8)
    expected[80:84, 120:124] = 255
    np.testing.assert_array_equal(ink, expected)


@pytest.mark.parametrize("step", [0.25, 1.0, 2.0, 3.7])
def test_a_mirrored_grid_sees_mirrored_graphics(make_film: MakeFilm, step: float) -> None:
    bits = (np.random.default_rng(3).random((64, 64)) > 0.97).astype(np.uint8)
    graphics = Graphics(film_with(make_film, OverlayPlane(bits), rows=64, columns=64))
    count = round(64 / step)
    step = 64 / count
    ahead, back = Axis(0.0, step, count), Axis(64.0, -step, count)
    np.testing.assert_array_equal(graphics.on(Grid(back, ahead)), graphics.on(Grid(ahead, ahead))[:, ::-1])
    np.testing.assert_array_equal(graphics.on(Grid(ahead, back)), graphics.on(Grid(ahead, ahead))[::-1])


def test_a_part_of_the_film_and_what_lies_beside_it(make_film: MakeFilm) -> None:
    graphics = Graphics(film_with(make_film, OverlayPlane(np.ones((60, 50), np.uint8))))
    ink = graphics.on(Grid(Axis(-10.0, 1.0, 30), Axis(50.0, 1.0, 20)))
    assert (ink[:10, 10:] == 255).all()
    assert not ink[10:].any()
    assert not ink[:, :10].any()


def test_ink_has_a_dark_outline_and_nothing_else_is_touched() -> None:
    ink = np.zeros((9, 9), np.uint8)
    ink[4, 4] = 255
    picture = coloured(ink, (10, 200, 30), 1)
    assert tuple(picture[4, 4]) == (10, 200, 30, 255)
    around = picture[3:6, 3:6].reshape(-1, 4)[[0, 1, 2, 3, 5, 6, 7, 8]]
    assert (around[:, :3] == 0).all()
    assert (around[:, 3] > 150).all()
    picture[3:6, 3:6] = 0
    assert not picture.any()
