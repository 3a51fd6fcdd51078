"""What a display shutter covers, pixel by pixel (PS3.3 C.7.6.11)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.image import PixelSpacing, Radiograph, Shutter, SpacingSource
from cxr_viewer.imaging import levels
from cxr_viewer.imaging.grid import Axis, Grid, whole
from cxr_viewer.imaging.render import render_grey, render_picture
from cxr_viewer.imaging.shutter import covered

MakeFilm = Callable[..., Radiograph]


def visible(film: Radiograph) -> NDArray[np.bool_]:
    hidden = covered(film, whole(film.rows, film.columns, film.rows, film.columns))
    assert hidden is not None
    return ~hidden


def test_without_a_shutter_there_is_nothing_to_work_out(make_film: MakeFilm) -> None:
    assert covered(make_film(np.zeros((5, 4), np.uint8)), whole(5, 4, 5, 4)) is None


def test_a_rectangle_leaves_its_pixels(make_film: MakeFilm) -> None:
    film = make_film(np.zeros((20, 30), np.uint8), shutter=Shutter(rectangle=(4, 3, 25, 18)))
    expected = np.zeros((20, 30), bool)
    expected[3:18, 4:25] = True
    np.testing.assert_array_equal(visible(film), expected)


def test_a_circle_leaves_pixels_whose_middle_is_within_its_radius(make_film: MakeFilm) -> None:
    film = make_film(np.zeros((40, 50), np.uint8), shutter=Shutter(circle=(20.5, 18.5, 10)))
    y, x = np.mgrid[:40, :50]
    np.testing.assert_array_equal(visible(film), np.hypot(x - 20, y - 18) <= 10)


def test_a_circle_is_round_where_pixels_are_not_square(make_film: MakeFilm) -> None:
    spacing = PixelSpacing(0.4, 0.2, SpacingSource.CALIBRATED)
    film = make_film(np.zeros((40, 80), np.uint8), shutter=Shutter(circle=(40.5, 20.5, 20)), spacing=spacing)
    seen = visible(film)
    assert seen.any(axis=0).sum() == 41  # along a row: the radius in pixels
    assert seen.any(axis=1).sum() == 21  # pixels twice as tall: half as many


def test_the_corners_and_edges_of_a_polygon_stay_visible(make_film: MakeFilm) -> None:
    corners = ((10.5, 5.5), (20.5, 5.5), (20.5, 30.5), (10.5, 30.5))  # middles of pixels, as the file counts them
    film = make_film(np.zeros((40, 50), np.uint8), shutter=Shutter(polygon=corners))
    expected = np.zeros((40, 50), bool)
    expected[5:31, 10:21] = True
    np.testing.assert_array_equal(visible(film), expected)


def test_a_concave_polygon_keeps_its_bay(make_film: MakeFilm) -> None:
    corners = ((2.0, 2.0), (38.0, 2.0), (38.0, 38.0), (20.0, 12.0), (2.0, 38.0))
    seen = visible(make_film(np.zeros((40, 40), np.uint8), shutter=Shutter(polygon=corners)))
    assert seen[30, 5]
    assert seen[30, 35]
    assert not seen[30, 20]


def test_several_shapes_leave_what_lies_in_all_of_them(make_film: MakeFilm) -> None:
    shapes = Shutter(rectangle=(0, 0, 20, 40), circle=(20, 20, 15))
    both = visible(make_film(np.zeros((40, 40), np.uint8), shutter=shapes))
    one = visible(make_film(np.zeros((40, 40), np.uint8), shutter=Shutter(rectangle=shapes.rectangle)))
    other = visible(make_film(np.zeros((40, 40), np.uint8), shutter=Shutter(circle=shapes.circle)))
    np.testing.assert_array_equal(both, one & other)


@pytest.mark.parametrize("mirrored", [(True, False), (False, True), (True, True)])
def test_a_mirrored_grid_sees_the_mirrored_shutter(make_film: MakeFilm, mirrored: tuple[bool, bool]) -> None:
    film = make_film(
        np.zeros((40, 50), np.uint8), shutter=Shutter(circle=(15, 22, 12), polygon=((3, 1), (48, 8), (30, 39), (5, 33)))
    )
    x = Axis(50.0, -1.0, 50) if mirrored[0] else Axis(0.0, 1.0, 50)
    y = Axis(40.0, -1.0, 40) if mirrored[1] else Axis(0.0, 1.0, 40)
    hidden = covered(film, Grid(x, y))
    assert hidden is not None
    expected = ~visible(film)
    expected = expected[:, ::-1] if mirrored[0] else expected
    np.testing.assert_array_equal(hidden, expected[::-1] if mirrored[1] else expected)


def test_its_grey_is_its_own_whatever_window_and_polarity(make_film: MakeFilm) -> None:
    film = make_film(np.full((10, 10), 200, np.uint8), shutter=Shutter(rectangle=(2, 2, 8, 8), grey=90))
    for inverted in (False, True):
        picture = render_picture(film, None, inverted)
        assert (picture[:2] == 90).all()
        np.testing.assert_array_equal(picture[2:8, 2:8], render_grey(film, None, inverted)[2:8, 2:8])
        np.testing.assert_array_equal(
            render_picture(film, None, inverted, shutter=False), render_grey(film, None, inverted)
        )


def test_the_automatic_window_leaves_out_what_is_covered(make_film: MakeFilm) -> None:
    rng = np.random.default_rng(5)
    stored = rng.integers(0, 60_000, (400, 300)).astype(np.uint16)  # noise beside the field
    stored[100:300, 80:220] = rng.integers(1000, 2000, (200, 140))
    shutter = Shutter(rectangle=(80, 100, 220, 300))
    alone = levels.auto_window(make_film(stored[100:300, 80:220].copy()))
    window = levels.auto_window(make_film(stored, shutter=shutter))
    assert window.center == pytest.approx(alone.center, abs=30)
    assert window.width == pytest.approx(alone.width, rel=0.05)
    assert levels.auto_window(make_film(stored)).width > 10 * window.width


def test_a_shutter_that_leaves_nothing_does_not_leave_the_automatic_window_without_pixels(make_film: MakeFilm) -> None:
    stored = np.random.default_rng(5).integers(0, 4000, (64, 64)).astype(np.uint16)
    film = make_film(stored, shutter=Shutter(rectangle=(500, 500, 600, 600)))
    assert levels.auto_window(film) == levels.auto_window(make_film(stored))
