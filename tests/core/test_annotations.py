"""What is written beside a mark."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.annotations import POINTS_NEEDED, Mark, MarkKind, angle_label, length_label, mark_label
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing, SpacingSource

SQUARE = PixelSpacing(0.2, 0.2, SpacingSource.CALIBRATED)
OBLONG = PixelSpacing(row_mm=0.4, column_mm=0.2, source=SpacingSource.DETECTOR)
coordinates = st.floats(-5000, 5000)
points = st.builds(Point, coordinates, coordinates)


def test_a_length_names_the_source_of_its_millimetres() -> None:
    ends = Point(0, 0), Point(300, 400)
    assert length_label(*ends, SQUARE) == "100.0 mm (calibrated)"
    assert length_label(*ends, None) == "500 px (not calibrated)"


@pytest.mark.parametrize("source", list(SpacingSource))
def test_no_length_in_millimetres_without_its_source(source: SpacingSource) -> None:
    label = length_label(Point(0, 0), Point(10, 0), PixelSpacing(0.5, 0.5, source))
    assert label == f"5.0 mm ({source.value})"


def test_rows_and_columns_have_their_own_spacing() -> None:
    assert length_label(Point(0, 0), Point(100, 0), OBLONG).startswith("20.0 mm")
    assert length_label(Point(0, 0), Point(0, 100), OBLONG).startswith("40.0 mm")


@given(first=points, second=points, scale=st.floats(0.01, 2))
def test_a_length_does_not_depend_on_its_direction(first: Point, second: Point, scale: float) -> None:
    spacing = PixelSpacing(scale, scale, SpacingSource.USER)
    assert length_label(first, second, spacing) == length_label(second, first, spacing)
    value = float(length_label(first, second, spacing).split()[0])
    assert value == pytest.approx(scale * math.dist(first, second), abs=0.051)


def test_an_angle_is_that_of_the_body_not_of_the_pixels() -> None:
    legs = Point(100, 0), Point(0, 0), Point(100, 100)
    assert angle_label(legs, None) == "45.0\N{DEGREE SIGN}"
    assert angle_label(legs, SQUARE) == "45.0\N{DEGREE SIGN}"
    assert angle_label(legs, OBLONG) == f"{math.degrees(math.atan2(40, 20)):.1f}\N{DEGREE SIGN}"


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (MarkKind.LENGTH, "2.0 mm (calibrated)"),
        (MarkKind.ANGLE, "180.0\N{DEGREE SIGN}"),
        (MarkKind.ARROW, "nodule?"),
        (MarkKind.TEXT, "nodule?"),
    ],
)
def test_each_kind_of_mark_is_labelled(kind: MarkKind, label: str) -> None:
    on_a_line = tuple(Point(10.0 * n, 0) for n in range(POINTS_NEEDED[kind]))
    assert mark_label(Mark(1, kind, on_a_line, "nodule?"), SQUARE) == label


@pytest.mark.parametrize("kind", list(MarkKind))
def test_a_mark_has_as_many_points_as_its_kind(kind: MarkKind) -> None:
    with pytest.raises(ValueError, match=f"{kind.value} needs {POINTS_NEEDED[kind]}"):
        Mark(1, kind, (Point(0, 0),) * (POINTS_NEEDED[kind] + 1))
