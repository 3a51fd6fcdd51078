"""Windows as words, turned films, thumbnails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Radiograph, VoiWindow
from cxr_viewer.imaging import levels, render

MakeFilm = Callable[..., Radiograph]
orientations = st.builds(Orientation, st.integers(0, 3), st.booleans())


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), orientation=orientations, data=st.data())
def test_a_pixel_lies_where_geometry_says(
    rows: int, columns: int, orientation: Orientation, data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    pixels = np.arange(rows * columns).reshape(rows, columns)

    on_screen = render.oriented(pixels, orientation)

    assert on_screen.shape[::-1] == orientation.display_size(rows, columns)
    at = orientation.to_display(Point(column + 0.5, row + 0.5), rows, columns)
    assert on_screen[int(at.y), int(at.x)] == pixels[row, column]


def test_colour_pictures_turn_with_their_colours() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    turned = render.oriented(picture, Orientation(1, flipped=True))
    assert turned.shape == (3, 2, 4)
    assert turned[0, 0].tolist() == picture[1, 2].tolist()


@pytest.fixture
def film(make_film: MakeFilm) -> Radiograph:
    ramp = np.linspace(0, 4095, 1200).astype(np.uint16).reshape(30, 40)
    return make_film(ramp, voi=(VoiWindow(1000, 500), VoiWindow(2000, 800)))


def test_windows_in_words(film: Radiograph, make_film: MakeFilm) -> None:
    assert render.parse_window("file:1", film) is film.voi[0]
    assert render.parse_window(" FILE:2 ", film) is film.voi[1]
    assert render.parse_window("auto", film) == levels.auto_window(film)
    assert render.parse_window("-600,1600", film) == VoiWindow(-600, 1600)
    assert render.parse_window("40.5, 1.0", film) == VoiWindow(40.5, 1)
    assert render.parse_window("file:1", make_film(np.zeros((2, 2), np.uint8))) is None


@pytest.mark.parametrize(
    "text", ["", "2048", "1,2,3", "a,b", "nan,100", "0,inf", "0,0", "0,-5", "file:0", "file:x", "file:", "file:-1"]
)
def test_what_is_no_window_is_told_in_a_sentence(text: str, film: Radiograph) -> None:
    with pytest.raises(CxrError) as told:
        render.parse_window(text, film)
    assert told.value.code == "bad-window"
    assert told.value.summary.endswith(".")
    assert told.value.hint


def test_a_window_the_film_has_not_is_told_with_their_number(film: Radiograph, make_film: MakeFilm) -> None:
    with pytest.raises(CxrError, match="2 windows of its own, not 3"):
        render.parse_window("file:3", film)
    with pytest.raises(CxrError, match="no window of its own"):
        render.parse_window("file:2", make_film(np.zeros((2, 2), np.uint8)))


def test_a_film_opens_with_its_first_voi(film: Radiograph, make_film: MakeFilm) -> None:
    assert render.default_voi(film) is film.voi[0]
    assert render.default_voi(make_film(np.zeros((2, 2), np.uint8))) is None


@pytest.mark.parametrize(("side", "shape"), [(20, (15, 20)), (40, (30, 40)), (500, (30, 40)), (1, (1, 1))])
def test_a_thumbnail_keeps_its_shape_and_is_never_enlarged(side: int, shape: tuple[int, int], film: Radiograph) -> None:
    small = render.thumbnail(film, side)
    assert small.dtype == np.uint8
    assert small.shape == shape
