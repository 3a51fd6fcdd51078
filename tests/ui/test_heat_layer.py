from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cxr_viewer.core.display import DisplayState, OverlayMode, OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.colormap import colourise
from cxr_viewer.imaging.heatmap import heatmap_on_image
from cxr_viewer.ui.heat_layer import color_bar, heat_pixels
from cxr_viewer.ui.placement import Frame, place

ROWS, COLUMNS = 300, 200
EXTENT = ImageRect(20, 30, 160, 240)


def bright_square(row: int, column: int) -> Heatmap:
    values = np.zeros((6, 4), np.float32)
    values[row, column] = 1.0
    return Heatmap("Mass", values, EXTENT)


@pytest.fixture
def film(make_film: Callable[..., Radiograph]) -> Radiograph:
    return make_film(np.zeros((ROWS, COLUMNS), np.uint8))


@pytest.mark.parametrize("zoom", [0.7, 1.0, 2.3])
def test_a_bright_square_lies_on_its_pixels_however_the_film_lies(
    film: Radiograph, orientation: Orientation, zoom: float
) -> None:
    placement = place(film, DisplayState(orientation=orientation, zoom=zoom), Frame(900, 900))
    drawn = heat_pixels(bright_square(1, 2), placement, OverlayState("Mass", alpha=1.0, threshold=0.0))
    assert drawn is not None
    area, rgba = drawn
    # the cell's middle in image pixels: 40 x 40 pixels each, second row, third column
    wanted = placement.to_widget(Point(20 + 2.5 * 40, 30 + 1.5 * 40))
    weight = rgba[..., 3].astype(float) ** 2  # opacity is the root of the value
    ys, xs = np.mgrid[: area.height, : area.width]
    middle_x = area.x + 0.5 + (xs * weight).sum() / weight.sum()
    middle_y = area.y + 0.5 + (ys * weight).sum() / weight.sum()
    assert abs(middle_x - wanted.x) < 0.6
    assert abs(middle_y - wanted.y) < 0.6


def test_it_covers_its_extent_from_edge_to_edge(film: Radiograph, orientation: Orientation) -> None:
    full = Heatmap("Mass", np.ones((6, 4), np.float32), EXTENT)
    placement = place(film, DisplayState(orientation=orientation, zoom=2.0), Frame(900, 900))
    drawn = heat_pixels(full, placement, OverlayState("Mass", alpha=1.0))
    assert drawn is not None
    area, rgba = drawn
    left, top, right, bottom = placement.rect_on_widget(EXTENT)
    assert (area.x, area.y, area.x + area.width, area.y + area.height) == (left, top, right, bottom)
    assert (rgba[..., 3] == 255).all()


def test_at_one_to_one_it_is_the_map_of_the_report(film: Radiograph) -> None:
    values = np.random.default_rng(1).random((6, 4), dtype=np.float32)
    heatmap = Heatmap("Mass", values, EXTENT)
    overlay = OverlayState("Mass", alpha=0.6, threshold=0.2)
    drawn = heat_pixels(heatmap, place(film, DisplayState(zoom=1.0), Frame(COLUMNS, ROWS)), overlay)
    assert drawn is not None
    area, rgba = drawn
    wanted = colourise(heatmap_on_image(heatmap, ROWS, COLUMNS), 0.2, 0.6)[
        area.y : area.y + area.height, area.x : area.x + area.width
    ]
    shown = wanted[..., 3] > 0
    assert np.abs(rgba[..., 3].astype(int) - wanted[..., 3]).max() <= 8  # the root is steep at the threshold
    assert np.abs(rgba[shown].astype(int) - wanted[shown]).mean() < 0.5


def test_what_reaches_beyond_the_film_is_cut_off(film: Radiograph) -> None:
    padded = Heatmap("Mass", np.ones((4, 4), np.float32), ImageRect(-50, 0, 300, 300))
    placement = place(film, DisplayState(zoom=1.0), Frame(600, 600))
    drawn = heat_pixels(padded, placement, OverlayState("Mass"))
    assert drawn is not None
    assert drawn[0].width == COLUMNS
    assert drawn[0].height == ROWS


def test_a_map_beside_the_film_is_not_drawn(film: Radiograph) -> None:
    beside = Heatmap("Mass", np.ones((4, 4), np.float32), ImageRect(900, 900, 10, 10))
    assert heat_pixels(beside, place(film, DisplayState(zoom=1.0), Frame(600, 600)), OverlayState("Mass")) is None


def test_below_the_threshold_nothing_is_drawn(film: Radiograph) -> None:
    half = Heatmap("Mass", np.full((4, 4), 0.5, np.float32), ImageRect(0, 0, COLUMNS, ROWS))
    placement = place(film, DisplayState(zoom=1.0), Frame(600, 600))
    for threshold, seen in ((0.4, True), (0.6, False)):
        drawn = heat_pixels(half, placement, OverlayState("Mass", threshold=threshold))
        assert drawn is not None
        assert bool(drawn[1][..., 3].any()) is seen


def test_the_colour_bar_is_faint_below_the_threshold() -> None:
    bar = color_bar(100, OverlayState("Mass", threshold=0.3))
    assert (bar[0, :30, 3] < 255).all()
    assert (bar[0, 31:, 3] == 255).all()
    lines = color_bar(100, OverlayState("Mass", threshold=0.3, mode=OverlayMode.CONTOUR))
    assert lines[0, 30, 3] == 255
    assert lines[0, 40, 3] < 255
