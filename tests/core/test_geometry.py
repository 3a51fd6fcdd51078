"""Turning, flipping, edge letters and angles."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.geometry import (
    ImageRect,
    Orientation,
    Point,
    angle_degrees,
    edge_letters,
    opposite_direction,
)

orientations = st.builds(Orientation, st.integers(0, 3), st.booleans())
sides = st.integers(1, 6000)
places = st.floats(-10_000, 10_000)
points = st.builds(Point, places, places)
ALL = [Orientation(turns, flipped) for turns in range(4) for flipped in (False, True)]


@given(orientation=orientations, rows=sides, columns=sides, point=points)
def test_there_and_back_is_the_same_point(orientation: Orientation, rows: int, columns: int, point: Point) -> None:
    there = orientation.to_display(point, rows, columns)
    assert orientation.to_image(there, rows, columns) == pytest.approx(point, abs=1e-6)
    back = orientation.to_image(point, rows, columns)
    assert orientation.to_display(back, rows, columns) == pytest.approx(point, abs=1e-6)


@given(orientation=orientations, rows=sides, columns=sides)
def test_the_film_fills_its_display_exactly(orientation: Orientation, rows: int, columns: int) -> None:
    corners = [Point(x, y) for x in (0, columns) for y in (0, rows)]
    shown = {tuple(orientation.to_display(corner, rows, columns)) for corner in corners}
    width, height = orientation.display_size(rows, columns)
    assert shown == {(x, y) for x in (0, width) for y in (0, height)}


@given(orientation=orientations, turns=st.integers(-9, 9), rows=sides, columns=sides, point=points)
def test_turning_turns_what_is_on_screen_clockwise(
    orientation: Orientation, turns: int, rows: int, columns: int, point: Point
) -> None:
    x, y = orientation.to_display(point, rows, columns)
    width, height = orientation.display_size(rows, columns)
    for _ in range(turns % 4):
        x, y, width, height = height - y, x, height, width
    assert orientation.turned(turns).to_display(point, rows, columns) == pytest.approx((x, y), abs=1e-6)


@given(orientation=orientations, rows=sides, columns=sides, point=points)
def test_mirroring_mirrors_what_is_on_screen(orientation: Orientation, rows: int, columns: int, point: Point) -> None:
    x, y = orientation.to_display(point, rows, columns)
    width, height = orientation.display_size(rows, columns)
    sideways = orientation.mirrored_horizontally().to_display(point, rows, columns)
    assert sideways == pytest.approx((width - x, y), abs=1e-6)
    upside_down = orientation.mirrored_vertically().to_display(point, rows, columns)
    assert upside_down == pytest.approx((x, height - y), abs=1e-6)


@pytest.mark.parametrize("orientation", ALL)
def test_four_turns_and_two_mirrors_change_nothing(orientation: Orientation) -> None:
    assert orientation.turned(4) == orientation
    assert orientation.mirrored_horizontally().mirrored_horizontally() == orientation
    assert orientation.mirrored_vertically().mirrored_vertically() == orientation


def test_a_quarter_turn_of_a_known_point() -> None:
    """Ten from the left, one from the top of a 100 wide, 50 high film: clockwise it is one from the right."""
    assert Orientation(1).to_display(Point(10, 1), 50, 100) == Point(49, 10)
    assert Orientation(0, flipped=True).to_display(Point(10, 1), 50, 100) == Point(90, 1)
    assert Orientation(1, flipped=True).to_display(Point(10, 1), 50, 100) == Point(49, 90)


@pytest.mark.parametrize("turns", [-1, 4])
def test_only_quarter_turns_from_nought_to_three(turns: int) -> None:
    with pytest.raises(ValueError, match="quarter_turns"):
        Orientation(turns)


# ---------------------------------------------------------------- letters


@given(
    orientation=orientations,
    patient=st.sampled_from((("L", "F"), ("R", "F"), ("A", "F"), ("P", "H"), ("LF", "FR"), ("", ""))),
)
def test_a_letter_goes_where_its_direction_goes(orientation: Orientation, patient: tuple[str, str]) -> None:
    """Each letter is followed as a direction through the same turn as the pixels."""
    right, bottom = patient
    directions = {
        right: Point(1, 0),
        opposite_direction(right): Point(-1, 0),
        bottom: Point(0, 1),
        opposite_direction(bottom): Point(0, -1),
    }
    origin = orientation.to_display(Point(0, 0), 30, 40)
    left_edge, top_edge, right_edge, bottom_edge = edge_letters(patient, orientation)
    edges = {(-1, 0): left_edge, (0, -1): top_edge, (1, 0): right_edge, (0, 1): bottom_edge}
    for letters, direction in directions.items():
        x, y = orientation.to_display(direction, 30, 40)
        assert edges[(round(x - origin.x), round(y - origin.y))] == letters


def test_a_pa_film_has_the_patients_right_on_the_left() -> None:
    assert edge_letters(("L", "F"), Orientation()) == ("R", "H", "L", "F")
    assert edge_letters(("L", "F"), Orientation(flipped=True)) == ("L", "H", "R", "F")
    assert edge_letters(("L", "F"), Orientation(2)) == ("L", "F", "R", "H")
    assert edge_letters(("L", "F"), Orientation(1)) == ("F", "R", "H", "L")


def test_opposite_directions() -> None:
    assert opposite_direction("LF") == "RH"
    assert opposite_direction("ap") == "PA"
    assert opposite_direction("") == ""
    assert opposite_direction("?") == "?"


# ---------------------------------------------------------------- rectangles, angles


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 1), (math.nan, 1)])
def test_a_rectangle_has_a_size(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive size"):
        ImageRect(0, 0, *size)


def test_edges_of_a_rectangle() -> None:
    rect = ImageRect(-10, 5, 30, 20)
    assert (rect.right, rect.bottom) == (20, 25)


@given(
    vertex=points,
    first=st.floats(0, 2 * math.pi),
    second=st.floats(0, 2 * math.pi),
    lengths=st.tuples(st.floats(1, 5000), st.floats(1, 5000)),
)
def test_an_angle_is_the_smaller_one_between_its_legs(
    vertex: Point, first: float, second: float, lengths: tuple[float, float]
) -> None:
    ends = [
        Point(vertex.x + length * math.cos(angle), vertex.y + length * math.sin(angle))
        for angle, length in zip((first, second), lengths, strict=True)
    ]
    between = abs(first - second)
    expected = math.degrees(min(between, 2 * math.pi - between))
    assert angle_degrees(ends[0], vertex, ends[1]) == pytest.approx(expected, abs=1e-4)
    assert angle_degrees(ends[1], vertex, ends[0]) == pytest.approx(expected, abs=1e-4)


def test_a_leg_without_length_has_no_angle() -> None:
    assert angle_degrees(Point(1, 1), Point(1, 1), Point(5, 5)) == 0
    assert angle_degrees(Point(5, 5), Point(1, 1), Point(1, 1)) == 0
    assert angle_degrees(Point(0, 0), Point(1, 0), Point(2, 0)) == 180
