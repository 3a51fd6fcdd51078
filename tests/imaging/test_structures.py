"""Outlines of structures: lines where the map is one half, names beside their lines and not on each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.findings import Heatmap, MapScale
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.imaging.structures import main_line, name_places, outlines_on_image, structure_colour

NAMES = tuple(f"structure {n}" for n in range(14))


def disc(cells: int, x: float, y: float, radius: float, extent: ImageRect) -> Heatmap:
    """A structure whose probability falls through one half at ``radius`` (image pixels) around (x, y)."""
    rows, columns = np.mgrid[:cells, :cells]
    at_x = extent.x + (columns + 0.5) * extent.width / cells
    at_y = extent.y + (rows + 0.5) * extent.height / cells
    values = 1 / (1 + np.exp((np.hypot(at_x - x, at_y - y) - radius) / 8))
    return Heatmap("Heart", values.astype(np.float32), extent, "Segmentation", MapScale.PROBABILITY)


@pytest.mark.parametrize("cells", [56, 128, 159, 160, 256, 512])
def test_an_outline_runs_where_the_structure_is_as_likely_as_not(cells: int) -> None:
    lines = outlines_on_image(disc(cells, 420, 300, 150, ImageRect(40, -20, 800, 700)))
    assert len(lines) == 1
    distance = np.hypot(lines[0][:, 0] - 420, lines[0][:, 1] - 300)
    assert np.abs(distance - 150).max() < 0.7  # pixels of the film, from maps of any fineness


def test_what_reaches_the_edge_of_the_map_closes_along_it() -> None:
    lines = outlines_on_image(disc(200, 0, 100, 60, ImageRect(0, 0, 200, 200)))
    assert len(lines) == 1
    assert (lines[0][0] == lines[0][-1]).all()
    assert lines[0][:, 0].min() == 0.0


def test_the_name_belongs_to_the_largest_part() -> None:
    small, large = (np.array([[0, 0], [s, 0], [s, s], [0, s], [0, 0]], float) for s in (4.0, 9.0))
    assert main_line([small, large]) is large
    assert main_line([]) is None


def test_every_structure_has_a_colour_of_its_own() -> None:
    colours = [structure_colour(name, NAMES) for name in NAMES]
    assert len(set(colours)) == len(NAMES)
    nearest = min(np.abs(np.subtract(a, b)).sum() for a, b in itertools.combinations(colours, 2))
    assert nearest >= 60
    assert all(max(colour) >= 180 for colour in colours)  # seen on a dark film


squares = st.lists(st.tuples(st.floats(0, 360), st.floats(0, 360), st.floats(10, 150)), min_size=1, max_size=6)


@given(squares)
def test_names_stay_on_the_film(places: list[tuple[float, float, float]]) -> None:
    lines = [np.array([[x, y], [x + s, y], [x + s, y + s], [x, y + s], [x, y]]) for x, y, s in places]
    boxes = name_places(lines, [(80.0, 14.0)] * len(lines), (0, 0, 400, 400))
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 400
        assert 0 <= top < bottom <= 400


def test_names_of_the_same_place_do_not_lie_on_each_other() -> None:
    line = np.array([[150, 150], [250, 150], [250, 250], [150, 250], [150, 150]], float)
    boxes = name_places([line] * 6, [(80.0, 14.0)] * 6, (0, 0, 400, 400))
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in itertools.combinations(boxes, 2):
        assert min(r1, r2) <= max(l1, l2) or min(b1, b2) <= max(t1, t2)
