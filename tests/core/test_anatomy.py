"""The callipers of the cardiothoracic ratio: what they measure, however the film lies, and what a hand may do."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cxr_viewer.core.anatomy import Anatomy, Callipers, Handle, ratio_text
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import PixelSpacing, SpacingSource

UPRIGHT = Callipers(
    (Point(500, 100), Point(500, 900)), (Point(420, 700), Point(690, 650)), (Point(200, 750), Point(800, 750))
)
"""Heart 80 left and 190 right of the midline, chest 600: 0.45."""
WIDE = PixelSpacing(0.1, 0.2, SpacingSource.DETECTOR)
"""Pixels twice as wide as high."""


def mapped(callipers: Callipers, way: Callable[[Point], Point]) -> Callipers:
    ends = (callipers.midline, callipers.heart, callipers.chest)
    midline, heart, chest = ((way(first), way(second)) for first, second in ends)
    return Callipers(midline, heart, chest, callipers.edited)


def turned(callipers: Callipers, degrees: float) -> Callipers:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def way(point: Point) -> Point:
        x, y = point.x - 500, point.y - 500
        return Point(500 + cos * x - sin * y, 500 + sin * x + cos * y)

    return mapped(callipers, way)


def lengths(callipers: Callipers, spacing: PixelSpacing | None = None) -> tuple[float, ...]:
    return (*callipers.heart_widths(spacing), callipers.chest_width(spacing))


sides = st.floats(20, 300)
hearts = st.tuples(sides, sides, st.floats(150, 850), st.floats(150, 850))


@st.composite
def callipers(draw: st.DrawFn) -> Callipers:
    left, right, low, high = draw(hearts)
    chest = draw(st.floats(310, 450)), draw(st.floats(310, 450)), draw(st.floats(100, 900))
    return Callipers(
        (Point(500, 100), Point(500, 900)),
        (Point(500 - left, low), Point(500 + right, high)),
        (Point(500 - chest[0], chest[2]), Point(500 + chest[1], chest[2])),
    )


def test_the_ratio_is_the_hearts_two_parts_over_the_chest() -> None:
    assert lengths(UPRIGHT) == (80, 190, 600)
    assert UPRIGHT.ratio() == pytest.approx(0.45)
    left, right, chest = UPRIGHT.lines()
    assert left == (Point(420, 700), Point(500, 700))
    assert right == (Point(500, 650), Point(690, 650))
    assert chest == UPRIGHT.chest


@given(callipers(), st.floats(-180, 180))
def test_turning_the_whole_film_changes_nothing(found: Callipers, degrees: float) -> None:
    there = turned(found, degrees)
    assert lengths(there) == pytest.approx(lengths(found), abs=1e-6)
    assert there.ratio() == pytest.approx(found.ratio(), abs=1e-9)


@given(callipers(), st.floats(-60, 60), st.floats(0.3, 3), st.floats(0.05, 0.4))
def test_pixels_that_are_not_square_are_measured_in_millimetres(
    found: Callipers, degrees: float, shape: float, column_mm: float
) -> None:
    """The same film on another grid: what was square is now ``shape`` times as high as wide."""
    tilted = turned(found, degrees)
    spacing = PixelSpacing(column_mm * shape, column_mm, SpacingSource.DETECTOR)
    stored = mapped(tilted, lambda point: Point(point.x, point.y / shape))
    assert lengths(stored, spacing) == pytest.approx([column_mm * one for one in lengths(tilted)], rel=1e-6, abs=1e-6)
    assert stored.ratio(spacing) == pytest.approx(tilted.ratio(), rel=1e-6)
    for first, second in stored.lines(spacing)[:2]:
        foot = stored.foot(first, spacing), stored.foot(second, spacing)
        assert math.dist(*foot) == pytest.approx(0, abs=1e-6)  # both ends of a line have one foot


@given(callipers(), st.integers(0, 3))
def test_a_film_that_is_stored_lying_down_measures_the_same(found: Callipers, turns: int) -> None:
    way = Orientation(turns)
    stored = mapped(found, lambda point: way.to_image(point, 1000, 1000))
    assert stored.ratio() == pytest.approx(found.ratio())
    spacing = WIDE if turns % 2 == 0 else PixelSpacing(WIDE.column_mm, WIDE.row_mm, WIDE.source)
    assert stored.ratio(spacing) == pytest.approx(found.ratio(WIDE))


# ---------------------------------------------------------------- by hand


@given(callipers(), st.integers(0, 3), st.sampled_from(list(Handle)), st.floats(-200, 200), st.floats(-200, 200))
def test_a_hand_moves_one_end_and_the_rest_stays_in_order(
    found: Callipers, turns: int, handle: Handle, dx: float, dy: float
) -> None:
    way = Orientation(turns)
    stored = mapped(found, lambda point: way.to_image(point, 1000, 1000))
    start = stored.point(handle)
    to = Point(start.x + dx, start.y + dy)
    try:
        moved = stored.moved(handle, to)
    except ValueError:
        assume(False)
        raise
    assert moved.edited
    assert moved.point(handle) == to
    left, right = moved.offset(moved.heart[0]), moved.offset(moved.heart[1])
    if handle not in (Handle.MIDLINE_TOP, Handle.MIDLINE_BOTTOM):
        assert left < right
    assert moved.chest_width() > 0
    feet = moved.foot(moved.chest[0]), moved.foot(moved.chest[1])
    assert math.dist(*feet) == pytest.approx(0, abs=1e-6)  # both ends of the chest's line lie at one level
    others = [other for other in Handle if other.name.split("_")[0] != handle.name.split("_")[0]]
    untouched = [other for other in others if other.name.startswith(("HEART", "MIDLINE"))]
    assert all(moved.point(other) == stored.point(other) for other in untouched)


@given(callipers(), st.floats(-30, 30))
def test_the_chest_follows_the_midline_without_becoming_narrower(found: Callipers, shift: float) -> None:
    """Both ends keep their distance from the midline they are measured on."""
    moved = found.moved(Handle.MIDLINE_TOP, Point(500 + shift, 100))
    left, right = moved.chest
    assert left == found.chest[0]
    assert moved.foot(left) == pytest.approx(moved.foot(right))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    ("handle", "to"),
    [
        (Handle.HEART_LEFT, Point(700, 700)),
        (Handle.HEART_RIGHT, Point(420, 700)),
        (Handle.CHEST_LEFT, Point(800, 750)),
        (Handle.CHEST_RIGHT, Point(100, 750)),
        (Handle.MIDLINE_TOP, Point(500, 900)),
        (Handle.MIDLINE_TOP, Point(500, 950)),
        (Handle.MIDLINE_BOTTOM, Point(480, 20)),
    ],
)
def test_ends_do_not_cross(handle: Handle, to: Point, turns: int) -> None:
    way = Orientation(turns)
    stored = mapped(UPRIGHT, lambda point: way.to_image(point, 1000, 1000))
    with pytest.raises(ValueError, match=r"left end|midline"):
        stored.moved(handle, way.to_image(to, 1000, 1000))


def test_callipers_without_a_chest_have_no_ratio() -> None:
    assert math.isnan(Callipers(UPRIGHT.midline, UPRIGHT.heart, (Point(500, 1), Point(500, 1))).ratio())


def test_a_ratio_by_hand_has_no_expected_error() -> None:
    assert ratio_text(0.4512, 0.04) == "0.45 \N{PLUS-MINUS SIGN} 0.04"
    assert ratio_text(0.4512) == "0.45"


def test_both_lungs_make_one_box() -> None:
    def found(*lungs: ImageRect) -> Anatomy:
        return Anatomy("a", "A", "1", "0" * 64, lungs, None, (), None, 0.04, trusted=True)

    right, left = ImageRect(10, 30, 40, 100), ImageRect(70, 20, 50, 90)
    assert found(right, left).lungs_box == ImageRect(10, 20, 110, 110)
    assert found(right).lungs_box is None
    assert found().lungs_box is None
