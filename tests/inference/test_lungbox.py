"""The box around both lungs holds both sides of the chest, also where a lung was not found."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.inference.lungbox import lungs_box

FILM = ImageRect(0, 0, 1000, 1200)
SIDE = 100


def outline(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Probabilities with these pieces, each (left, top, right, bottom) in hundredths of the film."""
    out = np.full((SIDE, SIDE), 0.05, np.float32)
    for left, top, right, bottom in boxes:
        out[top:bottom, left:right] = 0.9
    return out


RIGHT, LEFT, HEART = (15, 15, 45, 75), (55, 15, 85, 75), (38, 50, 70, 78)


def edges(box: ImageRect | None) -> tuple[float, float, float, float]:
    """In hundredths of the film."""
    assert box is not None
    return box.x / 10, box.y / 12, box.right / 10, box.bottom / 12


def test_two_lungs_are_held_whole_and_the_heart_reaches_lower() -> None:
    assert edges(lungs_box(outline(RIGHT, LEFT), None, FILM)) == pytest.approx((15, 15, 85, 75))
    assert edges(lungs_box(outline(RIGHT, LEFT), outline(HEART), FILM)) == pytest.approx((15, 15, 85, 78))


@pytest.mark.parametrize("seen", [RIGHT, LEFT])
def test_the_side_of_a_white_lung_is_not_cut_away(seen: tuple[int, int, int, int]) -> None:
    """Neither with nor without the heart; the true chest goes from 15 to 85."""
    for heart in (None, outline(HEART)):
        left, top, right, bottom = edges(lungs_box(outline(seen), heart, FILM))
        assert left <= 20
        assert right >= 80
        assert (top, bottom) == pytest.approx((15, 75 if heart is None else 78))


def test_two_lungs_that_touch_are_not_taken_for_one() -> None:
    neck = (40, 18, 60, 22)
    assert edges(lungs_box(outline(RIGHT, LEFT, neck), None, FILM)) == pytest.approx((15, 15, 85, 75))


def test_small_pieces_beside_the_lung_belong_to_it_and_those_above_and_below_do_not() -> None:
    rib = (80, 40, 88, 46)  # what is left of a white lung
    arm, stomach = (2, 3, 10, 10), (60, 88, 72, 97)
    left, top, right, bottom = edges(lungs_box(outline(RIGHT, rib, arm, stomach), None, FILM))
    assert (left, right) == pytest.approx((15, 88))
    assert (top, bottom) == pytest.approx((15, 75))


def test_the_box_lies_where_the_outline_lies_on_the_film() -> None:
    part = ImageRect(100, 300, 500, 600)
    whole = lungs_box(outline(RIGHT, LEFT), outline(HEART), FILM)
    inner = lungs_box(outline(RIGHT, LEFT), outline(HEART), part)
    assert whole is not None
    assert inner is not None
    assert inner.x == pytest.approx(100 + whole.x / 2)
    assert inner.y == pytest.approx(300 + whole.y / 2)
    assert (inner.width, inner.height) == pytest.approx((whole.width / 2, whole.height / 2))


@pytest.mark.parametrize(
    "lungs",
    [
        outline(),
        outline((40, 40, 50, 50)),  # one per cent of the film is no lung
        outline((5, 5, 95, 95)),  # and no lung fills it
        outline((10, 40, 48, 50), (52, 40, 90, 50)),  # no chest is so flat
        outline((45, 5, 50, 95), (51, 5, 56, 95)),  # or so narrow
    ],
)
def test_what_cannot_be_a_chest_gives_no_box(lungs: np.ndarray) -> None:
    assert lungs_box(lungs, None, FILM) is None


def test_no_box_reaches_beyond_the_outline() -> None:
    """A lung at the edge of the film whose fellow would lie outside it."""
    box = lungs_box(outline((60, 20, 98, 80)), None, FILM)
    assert box is not None
    assert box.x >= 0
    assert box.right <= 1000
