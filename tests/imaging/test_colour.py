"""Colour pictures: as they are, through the one table of the grey chain."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, Shutter, VoiWindow, WindowFunction
from cxr_viewer.imaging import luts
from cxr_viewer.imaging.pyramid import pyramid_of
from cxr_viewer.imaging.render import picture_at, render_grey, render_picture, thumbnail

MakeFilm = Callable[..., Radiograph]
AS_STORED = VoiWindow(127.5, 255.0, WindowFunction.LINEAR_EXACT, "As stored")


@pytest.fixture
def film(make_film: MakeFilm) -> Radiograph:
    rgb = np.random.default_rng(4).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    grey = np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return make_film(grey, rgb=rgb, colour=True, voi=(AS_STORED,))


def test_as_stored_changes_nothing(film: Radiograph) -> None:
    np.testing.assert_array_equal(render_picture(film, AS_STORED, False), film.rgb)
    np.testing.assert_array_equal(render_grey(film, AS_STORED, False), film.stored)


def test_every_channel_goes_through_the_table(film: Radiograph) -> None:
    window = VoiWindow(100, 50)
    table = luts.compose(film, window, True)
    assert film.rgb is not None
    np.testing.assert_array_equal(render_picture(film, window, True), table[film.rgb])


def test_sixteen_bits_to_a_channel(make_film: MakeFilm) -> None:
    rgb = np.random.default_rng(4).integers(0, 65536, (30, 40, 3), dtype=np.uint16)
    film = make_film(rgb[..., 1].copy(), rgb=rgb, colour=True)
    picture = render_picture(film, VoiWindow(32767.5, 65535, WindowFunction.LINEAR_EXACT), False)
    np.testing.assert_array_equal(picture, np.floor(rgb / 65535 * 255 + 0.5).astype(np.uint8))


def test_small_it_keeps_its_colours(film: Radiograph) -> None:
    assert film.rgb is not None
    expected = cv2.resize(film.rgb, (40, 30), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(thumbnail(film, 40), expected)
    np.testing.assert_array_equal(pyramid_of(film.rgb).level(2), expected)
    np.testing.assert_array_equal(picture_at(film, DisplayState(voi=AS_STORED), (40, 30)), expected)
    turned = picture_at(film, DisplayState(voi=AS_STORED, orientation=Orientation(3)), (30, 40))
    np.testing.assert_array_equal(turned, np.rot90(expected, -3))


def test_padding_means_nothing_in_its_channels(make_film: MakeFilm, film: Radiograph) -> None:
    """On screen it is not masked, so nowhere else either."""
    padded = make_film(film.stored, rgb=film.rgb, colour=True, voi=(AS_STORED,), padding=(90, 200))
    np.testing.assert_array_equal(render_picture(padded, AS_STORED, False), film.rgb)
    display = DisplayState(voi=AS_STORED)
    np.testing.assert_array_equal(picture_at(padded, display, (40, 30)), picture_at(film, display, (40, 30)))


def test_its_shutter_is_grey(make_film: MakeFilm, film: Radiograph) -> None:
    shut = make_film(film.stored, rgb=film.rgb, shutter=Shutter(rectangle=(10, 0, 80, 60), grey=77), voi=(AS_STORED,))
    picture = render_picture(shut, AS_STORED, False)
    assert (picture[:, :10] == 77).all()
    assert film.rgb is not None
    np.testing.assert_array_equal(picture[:, 10:], film.rgb[:, 10:])
