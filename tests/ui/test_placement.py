from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import ImageKey, PixelSpacing, Radiograph, SpacingSource
from cxr_viewer.ui.placement import Frame, Placement, place

sizes = st.integers(1, 4000)
zooms = st.floats(0.02, 30)
orientations = st.builds(Orientation, st.integers(0, 3), st.booleans())
frames = st.builds(Frame, st.integers(50, 3000), st.integers(50, 3000), st.sampled_from([1.0, 1.25, 1.5, 2.0]))
stretches = st.sampled_from([(1.0, 1.0), (1.0, 1.5), (2.0, 1.0)])


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    rows, columns, orientation = draw(sizes), draw(sizes), draw(orientations)
    width, height = orientation.display_size(rows, columns)
    center = Point(draw(st.floats(0, width)), draw(st.floats(0, height)))
    return Placement(rows, columns, draw(stretches), orientation, draw(frames), draw(zooms), center)


shares = st.floats(0, 1)


@given(placements(), shares, shares)
def test_there_and_back(placement: Placement, x: float, y: float) -> None:
    point = Point(x * placement.columns, y * placement.rows)
    on_widget = placement.to_widget(point)
    back = placement.to_image(on_widget.x, on_widget.y)
    assert back == pytest.approx(point, abs=1e-6)


@given(placements(), shares, shares)
def test_agrees_with_the_orientation_of_the_core(placement: Placement, x: float, y: float) -> None:
    point = Point(x * placement.columns, y * placement.rows)
    display = placement.orientation.to_display(point, placement.rows, placement.columns)
    widget = placement.to_widget(point)
    sx, sy = placement.display_stretch
    half_pixel = 0.5 / placement.frame.device_ratio + 1e-6
    wanted_x = (display.x - placement.center.x) * placement.zoom * sx + placement.frame.width / 2
    wanted_y = (display.y - placement.center.y) * placement.zoom * sy + placement.frame.height / 2
    assert abs(widget.x - wanted_x) <= half_pixel
    assert abs(widget.y - wanted_y) <= half_pixel


@given(placements())
def test_the_edge_of_the_film_lies_between_device_pixels(placement: Placement) -> None:
    left, top, _, _ = placement.film_on_widget()
    ratio = placement.frame.device_ratio
    assert left * ratio == pytest.approx(round(left * ratio), abs=1e-6)
    assert top * ratio == pytest.approx(round(top * ratio), abs=1e-6)


@given(placements(), st.floats(0.5, 2), shares, shares)
def test_zoom_keeps_the_point_under_the_cursor(placement: Placement, factor: float, x: float, y: float) -> None:
    left, top, right, bottom = placement.film_on_widget()
    at = (left + x * (right - left), top + y * (bottom - top))
    before = placement.to_image(*at)
    zoomed = placement.zoomed(factor, *at)
    width, height = zoomed.display_size
    assume(0 < zoomed.center.x < width and 0 < zoomed.center.y < height)  # else held back, so as not to lose the film
    after = zoomed.to_widget(before)
    assert abs(after.x - at[0]) <= 0.51 / placement.frame.device_ratio
    assert abs(after.y - at[1]) <= 0.51 / placement.frame.device_ratio


@given(placements(), st.floats(-9000, 9000), st.floats(-9000, 9000))
def test_the_film_cannot_be_pulled_out_of_sight(placement: Placement, dx: float, dy: float) -> None:
    left, top, right, bottom = placement.panned(dx, dy).film_on_widget()
    assert left <= placement.frame.width / 2 + 1
    assert right >= placement.frame.width / 2 - 1
    assert top <= placement.frame.height / 2 + 1
    assert bottom >= placement.frame.height / 2 - 1


def film(rows: int, columns: int, spacing: PixelSpacing | None = None) -> Radiograph:
    stored = np.zeros((rows, columns), np.uint8)
    return Radiograph(ImageKey("1", "2", "3"), "x", stored, 8, "MONOCHROME2", "DX", spacing=spacing)  # type: ignore[arg-type]


def test_fitted_the_whole_film_is_in_sight_and_touches_two_edges() -> None:
    placed = place(film(2000, 1000), DisplayState(), Frame(800, 600))
    left, top, right, bottom = placed.film_on_widget()
    assert (top, bottom) == (0, 600)
    assert (left, right) == (250, 550)


def test_pixels_that_are_not_square_keep_their_true_shape() -> None:
    spacing = PixelSpacing(row_mm=0.4, column_mm=0.2, source=SpacingSource.CALIBRATED)
    image = film(100, 200, spacing)
    upright = place(image, DisplayState(), Frame(500, 500)).film_on_widget()
    assert upright == (0, 0, 500, 500)
    placed = place(image, DisplayState(orientation=Orientation(1), zoom=1.0), Frame(500, 500))
    left, top, right, bottom = placed.film_on_widget()
    assert (right - left, bottom - top) == (200, 200)
    assert placed.millimetres_per_pixel(0.4, 0.2) == pytest.approx(0.2)


def test_a_rectangle_stays_upright_when_the_film_is_turned() -> None:
    placed = place(film(100, 200), DisplayState(orientation=Orientation(1), zoom=1.0), Frame(100, 200))
    assert placed.rect_on_widget(ImageRect(0, 0, 50, 10)) == (90, 0, 100, 50)


def test_a_widget_without_size_is_no_fault() -> None:
    assert place(film(10, 10), DisplayState(), Frame(0, 0)).zoom > 0
