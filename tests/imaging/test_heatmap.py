"""Heat maps lie on the pixels they speak of: a bright square through crop, resize, turn and flip."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_viewer.core.display import OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.imaging.heatmap import contour_levels, contours, contours_on_image, heatmap_on_image
from cxr_viewer.imaging.render import oriented

ROWS, COLUMNS = 240, 320


def map_of(values: NDArray[np.generic], extent: ImageRect) -> Heatmap:
    return Heatmap("Nodule", np.asarray(values, np.float32), extent)


def seen_by_model(film: NDArray[np.float32], extent: ImageRect, cells: int) -> NDArray[np.float32]:
    """What a perfect map of ``cells`` x ``cells`` over the extent says of a film: the average under each cell."""
    x, y, w, h = int(extent.x), int(extent.y), int(extent.width), int(extent.height)
    padded = np.pad(film, 50)[50 + y : 50 + y + h, 50 + x : 50 + x + w]
    return np.asarray(cv2.resize(padded, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)


def middle_of(picture: NDArray[np.generic]) -> Point:
    """Centre of gravity in pixels, the first pixel's centre at (0.5, 0.5)."""
    total = picture.sum()
    rows, columns = np.indices(picture.shape)
    return Point(float(((columns + 0.5) * picture).sum() / total), float(((rows + 0.5) * picture).sum() / total))


extents = st.sampled_from(
    (
        ImageRect(0, 0, COLUMNS, ROWS),  # stretched whole film
        ImageRect(0, -40, COLUMNS, COLUMNS),  # padded to a square, beyond the film above and below
        ImageRect(64, 32, 192, 192),  # a crop
        ImageRect(48, 16, 256, 208),
    )
)
orientations = st.builds(Orientation, st.integers(0, 3), st.booleans())


@given(
    extent=extents,
    cells=st.sampled_from((8, 16, 32)),
    orientation=orientations,
    side_limit=st.sampled_from((None, 160, 80)),
    column=st.integers(3, 5),
    row=st.integers(3, 5),
)
def test_the_map_of_a_bright_square_lies_on_the_square(
    extent: ImageRect, cells: int, orientation: Orientation, side_limit: int | None, column: int, row: int
) -> None:
    cell_w, cell_h = int(extent.width) // 8, int(extent.height) // 8
    left, top = int(extent.x) + column * cell_w, int(extent.y) + row * cell_h
    film = np.zeros((ROWS, COLUMNS), np.float32)
    film[top : top + cell_h, left : left + cell_w] = 1.0
    heatmap = map_of(seen_by_model(film, extent, cells), extent)

    on_film = heatmap_on_image(heatmap, ROWS, COLUMNS, side_limit)
    on_screen = oriented(on_film, orientation)

    scale = ROWS / on_film.shape[0]
    expected = orientation.to_display(Point(left + cell_w / 2, top + cell_h / 2), ROWS, COLUMNS)
    found = middle_of(on_screen)
    assert found.x * scale == pytest.approx(expected.x, abs=0.6 * scale)
    assert found.y * scale == pytest.approx(expected.y, abs=0.6 * scale)
    half = middle_of(on_screen >= 0.5)
    assert half.x * scale == pytest.approx(expected.x, abs=0.6 * scale)
    assert half.y * scale == pytest.approx(expected.y, abs=0.6 * scale)


@given(extent=extents, orientation=orientations)
def test_a_map_with_a_cell_per_pixel_is_the_film_itself(extent: ImageRect, orientation: Orientation) -> None:
    x, y, w, h = (int(edge) for edge in (extent.x, extent.y, extent.width, extent.height))
    values = np.random.default_rng(2).random((h, w), np.float32)
    on_film = heatmap_on_image(map_of(values, extent), ROWS, COLUMNS)

    expected = np.zeros((ROWS, COLUMNS), np.float32)
    y0, y1, x0, x1 = max(0, y), min(ROWS, y + h), max(0, x), min(COLUMNS, x + w)
    expected[y0:y1, x0:x1] = values[y0 - y : y1 - y, x0 - x : x1 - x]
    assert np.allclose(on_film, expected, atol=1e-6)
    assert np.allclose(oriented(on_film, orientation), oriented(expected, orientation), atol=1e-6)


def test_between_cells_it_is_as_the_grad_cam_library_resizes() -> None:
    values = np.random.default_rng(3).random((7, 9), np.float32)
    on_film = heatmap_on_image(map_of(values, ImageRect(0, 0, COLUMNS, ROWS)), ROWS, COLUMNS)
    resized = cv2.resize(values, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    assert np.abs(on_film - resized).max() < 1e-5


def test_nothing_outside_the_extent_and_nothing_below_zero() -> None:
    values = np.full((4, 4), -0.5, np.float32)
    values[1:3, 1:3] = 2.0
    on_film = heatmap_on_image(map_of(values, ImageRect(50, 25, 100, 150)), ROWS, COLUMNS)
    assert on_film.dtype == np.float32
    assert on_film.min() == 0
    assert on_film.max() == pytest.approx(2.0)
    outside = on_film.copy()
    outside[25:175, 50:150] = 0
    assert (outside == 0).all()
    assert on_film[100, 100] > 0


@pytest.mark.parametrize(("limit", "shape"), [(None, (240, 320)), (64, (48, 64)), (9999, (240, 320)), (1, (1, 1))])
def test_a_side_limit_keeps_the_films_shape(limit: int | None, shape: tuple[int, int]) -> None:
    heatmap = map_of(np.ones((3, 3)), ImageRect(0, 0, COLUMNS, ROWS))
    on_film = heatmap_on_image(heatmap, ROWS, COLUMNS, limit)
    assert on_film.shape == shape
    assert np.allclose(on_film, 1)


# ---------------------------------------------------------------- contours


def area_of(line: NDArray[np.float64]) -> float:
    x, y = line[:, 0], line[:, 1]
    return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2


def test_a_contour_runs_half_way_between_a_cell_and_its_neighbours() -> None:
    values = np.zeros((8, 8), np.float32)
    values[2, 5] = 1.0
    (line,) = contours(values, 0.5)
    assert (line[0] == line[-1]).all()
    assert line.min(axis=0) == pytest.approx((5.0, 2.0), abs=0.01)
    assert line.max(axis=0) == pytest.approx((6.0, 3.0), abs=0.01)
    assert (line.min(axis=0) + line.max(axis=0)) / 2 == pytest.approx((5.5, 2.5), abs=1e-9)


def test_a_contour_closes_along_the_edge_of_the_map() -> None:
    values = np.zeros((4, 6), np.float32)
    values[3, 0] = 1.0
    (line,) = contours(values, 0.5)
    assert (line[0] == line[-1]).all()
    assert line.min(axis=0) == pytest.approx((0, 3), abs=0.01)
    assert line.max(axis=0) == pytest.approx((1, 4), abs=0.01)
    (whole,) = contours(np.ones((4, 6), np.float32), 0.5)
    assert area_of(whole) == pytest.approx(24, rel=1e-3)


def test_contours_of_two_places_and_of_none() -> None:
    values = np.zeros((9, 9), np.float32)
    values[1, 1] = values[7, 6] = 0.8
    assert len(contours(values, 0.4)) == 2
    assert contours(values, 0.9) == []


@given(extent=extents, level=st.floats(0.3, 0.8), x=st.floats(3.5, 4.5), y=st.floats(3.5, 4.5))
def test_a_contour_lies_on_the_film_where_the_map_has_that_value(
    extent: ImageRect, level: float, x: float, y: float
) -> None:
    rows, columns = np.indices((8, 8)) + 0.5
    heatmap = map_of(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 3), extent)
    field = heatmap_on_image(heatmap, ROWS, COLUMNS)
    steepest = max(np.abs(np.diff(field, axis=0)).max(), np.abs(np.diff(field, axis=1)).max())

    (line,) = contours_on_image(heatmap, level)

    on_line = field[tuple(np.floor(line[:, ::-1].T).astype(np.int64))]
    assert np.abs(on_line - level).max() <= 1.5 * steepest
    assert area_of(line) == pytest.approx((field >= level).sum(), rel=0.03)


def test_contours_start_at_the_threshold() -> None:
    assert contour_levels(OverlayState("Mass", threshold=0.2)) == (0.2, 0.5, 0.75)
    assert contour_levels(OverlayState("Mass", threshold=0.6)) == (0.6, 0.75)
    assert contour_levels(OverlayState("Mass", threshold=0.0))[0] > 0
