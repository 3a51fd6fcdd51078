"""Colours of heat maps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cxr_viewer.imaging.colormap import INFERNO, colour_of, colourise, opacity

shares = st.floats(0, 1, width=32)


def test_lightness_rises_evenly_in_cielab() -> None:
    lab = cv2.cvtColor((INFERNO[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    lightness = lab[:, 0]
    assert lightness[0] < 1
    assert lightness[-1] > 97
    assert (np.diff(lightness) > 0).all()
    even = np.linspace(lightness[0], lightness[-1], 256)
    assert np.abs(lightness - even).max() < 6  # made even in CAM02-UCS; jet is off by 75


def test_equal_steps_look_equally_large() -> None:
    lab = cv2.cvtColor((INFERNO[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    steps = np.linalg.norm(lab[8:] - lab[:-8], axis=1)  # over eight entries, so that rounding to 8 bits is small
    assert steps.max() < 4 * steps.min()  # jet: 21 times


@given(value=shares, threshold=st.floats(0, 0.95), alpha=shares)
@example(value=float(np.float32(0.3)), threshold=0.0, alpha=0.0)  # halfway between two colours
@example(value=float(np.float32(0.9)), threshold=0.5, alpha=1.0)  # and between two opacities
def test_colour_and_opacity_of_a_value(value: float, threshold: float, alpha: float) -> None:
    red, green, blue, opaque = colourise(np.array([[value]], np.float32), threshold, alpha)[0, 0]
    assert (red, green, blue) == colour_of(value)
    step = np.rint(np.float32(255) * np.float32(value)) / 255  # in float32, as colour_of does
    expected = 255 * float(opacity(np.array([step], np.float32), threshold, alpha)[0])
    assert opaque == pytest.approx(expected, abs=1)


@given(threshold=st.floats(0.02, 0.95), alpha=st.floats(0.1, 1))
def test_nothing_is_drawn_below_the_threshold_and_most_at_one(threshold: float, alpha: float) -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32)[None]
    drawn = colourise(values, threshold, alpha)[0, :, 3].astype(int)
    assert (drawn[values[0] < threshold] == 0).all()
    assert (np.diff(drawn) >= 0).all()
    assert drawn[-1] == pytest.approx(255 * alpha, abs=0.51)


def test_values_that_are_none_are_not_drawn() -> None:
    odd = np.array([[np.nan, -np.inf, -1, np.inf, 2]], np.float32)
    assert colourise(odd, 0.1, 1.0)[0, :, 3].tolist() == [0, 0, 0, 255, 255]
    assert colourise(np.ones((1, 1), np.float32), 1.0, 1.0)[0, 0, 3] == 0


def test_the_table_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        INFERNO[0, 0] = 1
