"""Pixel padding: black at every size, without a fringe, and not believed where it cannot be padding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, VoiWindow
from cxr_viewer.imaging import padding
from cxr_viewer.imaging.pyramid import PaddedPyramid, padded_pyramid_of
from cxr_viewer.imaging.render import picture_at, render_grey, render_picture, thumbnail

MakeFilm = Callable[..., Radiograph]
PADDING, ANATOMY = 4095, 1000
WINDOW = VoiWindow(1000, 2000)


def field(rows: int = 203, columns: int = 181) -> NDArray[np.uint16]:
    """A round field of one value with padding far brighter around it."""
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot(x - columns / 2, y - rows / 2) < 0.45 * columns
    return np.where(inside, ANATOMY, PADDING).astype(np.uint16)


@pytest.fixture
def film(make_film: MakeFilm) -> Radiograph:
    return make_film(field(), padding=(PADDING, PADDING), bits_stored=12)


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_whatever_the_polarity(film: Radiograph, inverted: bool) -> None:
    masked = film.stored == PADDING
    picture = render_picture(film, WINDOW, inverted)
    assert (picture[masked] == 0).all()
    np.testing.assert_array_equal(picture[~masked], render_grey(film, WINDOW, inverted)[~masked])
    shown = render_picture(film, WINDOW, inverted, mask_padding=False)
    assert (shown[masked] == (0 if inverted else 255)).all()


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_no_average_holds_any_padding(film: Radiograph, factor: int) -> None:
    stored, share = PaddedPyramid(film).level(factor)
    assert stored.shape == share.shape == (-(-203 // factor), -(-181 // factor))
    assert (np.asarray(stored)[share > 0] == ANATOMY).all()
    assert (share == 0).any()
    assert float(share.mean()) == pytest.approx(255 * float((film.stored == ANATOMY).mean()), rel=0.05)


@pytest.mark.parametrize("size", [(90, 101), (60, 67), (181, 203), (400, 449)])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_field_has_no_bright_fringe_at_any_size(film: Radiograph, size: tuple[int, int], inverted: bool) -> None:
    """Averaged with the padding, the border would be brighter than any of the two greys that are there."""
    picture = picture_at(film, DisplayState(voi=WINDOW, inverted=inverted), size)
    anatomy = int(render_grey(film, WINDOW, inverted)[100, 90])
    assert picture.max() == anatomy
    assert picture.min() == 0


def test_a_turned_page_shows_the_turned_film(film: Radiograph) -> None:
    upright = picture_at(film, DisplayState(voi=WINDOW), (90, 101))
    turned = picture_at(film, DisplayState(voi=WINDOW, orientation=Orientation(1, True)), (101, 90))
    np.testing.assert_array_equal(turned, np.rot90(upright[:, ::-1], -1))


def test_a_thumbnail_shows_padding_black(film: Radiograph) -> None:
    small = thumbnail(replace(film, voi=(WINDOW,)), 50)
    assert max(small.shape) == 50
    assert small[0, 0] == small[-1, -1] == 0
    assert small[25, 22] == render_grey(film, WINDOW, False)[100, 90]


def test_signed_padding_and_a_range(make_film: MakeFilm) -> None:
    stored = np.full((64, 64), 300, np.int16)
    stored[:10], stored[-10:] = -2048, -2000
    film = make_film(stored, padding=(-2048, -2000))
    picture = render_picture(film, VoiWindow(0, 1000), True)
    assert not picture[:10].any()
    assert not picture[-10:].any()
    assert picture[10:-10].all()


def test_the_pyramid_of_a_film_is_made_once_and_goes_with_it(film: Radiograph) -> None:
    assert padded_pyramid_of(film) is padded_pyramid_of(replace(film, voi=(WINDOW,)))
    assert padded_pyramid_of(film) is not padded_pyramid_of(replace(film, padding=(0, 0)))


@pytest.mark.parametrize(
    ("low", "high", "believed"),
    [
        (PADDING, PADDING, True),
        (0, 10, True),  # no pixel at all
        (ANATOMY, ANATOMY, False),  # all of the anatomy
        (0, 4095, False),  # everything
    ],
)
def test_padding_that_would_hide_the_anatomy_is_not_believed(
    film: Radiograph, low: int, high: int, believed: bool
) -> None:
    assert padding.believable(replace(film, padding=(low, high))) is believed


def test_a_film_mostly_of_padding_is_believed_while_its_middle_is_film(make_film: MakeFilm) -> None:
    stored = np.zeros((100, 100), np.uint8)
    stored[25:75, 25:75] = 9  # a quarter of the film
    assert padding.believable(make_film(stored, padding=(0, 0)))
    stored[25:75, 25:40] = 0
    stored[60:75] = 0
    assert not padding.believable(make_film(stored, padding=(0, 0)))


def test_padding_that_punches_holes_into_the_picture_is_not_believed(make_film: MakeFilm) -> None:
    """As where the mediastinum of a MONOCHROME1 film saturates at the value that is also named padding."""
    stored = np.full((300, 300), 9, np.uint8)
    stored[:40] = stored[-30:] = 0
    assert padding.believable(make_film(stored, padding=(0, 0)))
    stored[150:155, 100:200:10] = 0  # letters
    assert padding.believable(make_film(stored, padding=(0, 0)))
    stored[100:160, 140:170] = 0
    assert not padding.believable(make_film(stored, padding=(0, 0)))


def test_padding_is_judged_quickly_and_alike_on_a_large_film(make_film: MakeFilm) -> None:
    large = np.kron(field(), np.ones((9, 9), np.uint16))
    assert padding.believable(make_film(large, padding=(PADDING, PADDING)))
    assert not padding.believable(make_film(large, padding=(ANATOMY, ANATOMY)))
