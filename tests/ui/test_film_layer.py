from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Radiograph, VoiWindow
from cxr_viewer.imaging import luts, render
from cxr_viewer.ui.film_layer import FilmLayer
from cxr_viewer.ui.placement import Frame, place

FILMS = (
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
    "syn_dx_canon_voilutsequence3.dcm",
)


@pytest.mark.parametrize("name", FILMS)
def test_one_to_one_every_pixel_is_the_films_own(
    real_film: Callable[[str], Radiograph], orientation: Orientation, name: str
) -> None:
    film = real_film(name)
    voi = film.voi[0] if film.voi else None
    width, height = orientation.display_size(film.rows, film.columns)
    center = Point(0.37 * width, 0.61 * height)
    frame = Frame(301, 250)
    placement = place(film, DisplayState(orientation=orientation, zoom=1.0, center=center), frame)
    area, grey = FilmLayer(film).render(placement, voi, False)

    whole = render.oriented(luts.apply(film.stored, luts.compose(film, voi, False)), orientation)
    left, top, _, _ = placement.film_on_widget()
    x, y = area.x - round(left), area.y - round(top)
    assert (area.width, area.height) == (min(301, width), min(250, height))
    np.testing.assert_array_equal(grey, whole[y : y + area.height, x : x + area.width])


def test_one_device_pixel_is_one_image_pixel_on_a_fine_screen(real_film: Callable[[str], Radiograph]) -> None:
    film = real_film(FILMS[0])
    placement = place(film, DisplayState(zoom=0.5), Frame(220, 220, device_ratio=2.0))
    area, grey = FilmLayer(film).render(placement, None, False)
    assert (area.width, area.height) == (440, 440)
    np.testing.assert_array_equal(grey, render.render_grey(film, None, False))


def test_fitted_it_is_the_averaged_film(real_film: Callable[[str], Radiograph]) -> None:
    film = real_film("dx_canon_pa_mono1_12bit_j2klossless.dcm")
    placement = place(film, DisplayState(zoom=0.25), Frame(500, 532))
    _, grey = FilmLayer(film).render(placement, None, False)
    full = render.render_grey(film, None, False).astype(np.float64)
    averaged = full.reshape(532, 4, 500, 4).mean(axis=(1, 3))
    assert np.abs(grey - averaged).max() <= 3  # the table of this film is straight: averaging first changes little


def test_a_fine_pattern_does_not_become_a_coarse_one(make_film: Callable[..., Radiograph]) -> None:
    stripes = np.zeros((900, 900), np.uint8)
    stripes[:, ::2] = 255
    film = make_film(stripes)
    window = VoiWindow(128, 256)
    for zoom in (0.5, 0.41, 0.3, 0.123):
        _, grey = FilmLayer(film).render(place(film, DisplayState(zoom=zoom), Frame(400, 400)), window, False)
        inner = grey[3:-3, 3:-3].astype(int)
        assert inner.max() - inner.min() <= 4, f"false pattern at zoom {zoom}"


def test_window_and_polarity_change_without_the_place(real_film: Callable[[str], Radiograph]) -> None:
    film = real_film(FILMS[0])
    layer = FilmLayer(film)
    placement = place(film, DisplayState(zoom=1.0), Frame(440, 440))
    for voi, inverted in ((None, False), (VoiWindow(500, 100), False), (VoiWindow(500, 100), True), (None, True)):
        _, grey = layer.render(placement, voi, inverted)
        np.testing.assert_array_equal(grey, render.render_grey(film, voi, inverted))


def test_out_of_sight_there_is_nothing(make_film: Callable[..., Radiograph]) -> None:
    film = make_film(np.zeros((10, 10), np.uint8))
    placement = replace(place(film, DisplayState(zoom=1.0), Frame(100, 100)), center=Point(-500, 5))
    area, grey = FilmLayer(film).render(placement, None, False)
    assert area.empty
    assert grey.size == 0


def test_signed_films_and_very_long_ones(make_film: Callable[..., Radiograph]) -> None:
    long = make_film(np.linspace(-2000, 2000, 40_000, dtype=np.int16)[None, :].repeat(3, axis=0))
    placement = place(long, DisplayState(zoom=1.0, center=Point(39_900, 1)), Frame(200, 20))
    _, grey = FilmLayer(long).render(placement, None, False)
    np.testing.assert_array_equal(grey, render.render_grey(long, None, False)[:, 39_800:])
    fitted = place(long, DisplayState(), Frame(200, 20))
    area, _ = FilmLayer(long).render(fitted, None, False)
    assert area.width == 200
