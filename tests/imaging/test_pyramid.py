"""Films at the resolution of the screen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.imaging.pyramid import COARSEST, Pyramid, factor_for, pyramid_of

FACTORS = (1, 2, 4, 8, 16)


@given(zoom=st.floats(1e-3, 50))
def test_a_level_has_a_pixel_for_each_of_the_screen_and_not_four(zoom: float) -> None:
    factor = factor_for(zoom)
    assert factor in FACTORS
    assert factor == 1 or factor * zoom <= 1 + 1e-6
    assert factor == COARSEST or factor * 2 * zoom > 1


@pytest.mark.parametrize(("zoom", "factor"), [(1.0, 1), (0.51, 1), (0.5, 2), (0.25, 4), (0.01, 16), (0.0, 16)])
def test_factors_of_common_zooms(zoom: float, factor: int) -> None:
    assert factor_for(zoom) == factor


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("factor", FACTORS)
def test_a_level_is_the_average_over_its_squares(dtype: type, factor: int) -> None:
    info = np.iinfo(dtype)
    stored = np.random.default_rng(1).integers(info.min, info.max, (64, 96), dtype=dtype, endpoint=True)
    level = Pyramid(stored).level(factor)
    squares = stored.reshape(64 // factor, factor, 96 // factor, factor).mean(axis=(1, 3))
    assert level.dtype == dtype
    assert np.abs(level - squares).max() <= 2  # each halving rounds once


def test_fine_lines_turn_grey_and_not_into_patterns() -> None:
    lines = np.tile(np.array([0, 200], np.uint8), (100, 50))
    assert np.unique(Pyramid(lines).level(4)).tolist() == [100]


@given(rows=st.integers(1, 90), columns=st.integers(1, 90), factor=st.sampled_from(FACTORS))
def test_a_level_covers_odd_films_edge_to_edge(rows: int, columns: int, factor: int) -> None:
    """A ramp keeps its middle and its ends keep their distance from the edge, so nothing is shifted."""
    stored = np.tile(np.arange(columns, dtype=np.uint16) * 500, (rows, 1))
    level = Pyramid(stored).level(factor)
    assert level.shape == (-(-rows // factor), -(-columns // factor))
    assert level.mean() == pytest.approx(stored.mean(), abs=3)
    assert level[0, 0] - stored[0, 0] == pytest.approx(stored[0, -1] - level[0, -1].astype(int), abs=3)


def test_levels_are_made_once_and_cannot_be_written() -> None:
    stored = np.zeros((20, 20), np.uint16)
    pyramid = Pyramid(stored)
    assert pyramid.level_for(0.3) is pyramid.level(2)
    assert not pyramid.level(2).flags.writeable
    with pytest.raises(ValueError, match="power of two"):
        pyramid.level(3)


def test_a_pyramid_lives_as_long_as_its_film() -> None:
    stored = np.zeros((40, 40), np.uint16)
    assert pyramid_of(stored) is pyramid_of(stored)
    pyramid = pyramid_of(stored)
    del stored
    with pytest.raises(ReferenceError):
        pyramid.level(1)
