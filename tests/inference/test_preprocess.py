"""The network sees the right pixels at the right place, and changing the window changes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, OverlayPlane, Radiograph, Rescale, Shutter, VoiWindow
from cxr_viewer.inference.preprocess import exposed_area, model_grey, prepare, resize_area

SIZE_PX = 96
FITS = ("pad", "crop", "stretch")


def _film(stored: NDArray[np.generic], **more: object) -> Radiograph:
    values: dict[str, object] = {"bits_stored": 16, "photometric": "MONOCHROME2", "modality": "DX"}
    return Radiograph(key=ImageKey("1", "2", "3"), path=Path("film"), stored=stored, **(values | more))  # type: ignore[arg-type]


def _body(rows: int, columns: int) -> NDArray[np.float32]:
    """Something with the tissue of a film everywhere, so that nothing of it counts as empty."""
    noise = cv2.GaussianBlur(np.random.default_rng(5).random((rows, columns), dtype=np.float32), (0, 0), 3)
    low, high = noise.min(), noise.max()
    return np.asarray(0.2 + 0.5 * (noise - low) / (high - low), dtype=np.float32)


def _spot_in_image(prepared: NDArray[np.float32], seen: ImageRect) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge of the bright square, taken from the input back to image pixels by ``seen``."""
    bright = prepared[0] > 0.8
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    x, y = seen.width / SIZE_PX, seen.height / SIZE_PX
    return (
        seen.x + columns[0] * x,
        seen.y + rows[0] * y,
        seen.x + (columns[-1] + 1) * x,
        seen.y + (rows[-1] + 1) * y,
    )


@given(
    fit=st.sampled_from(FITS),
    crop_border=st.booleans(),
    rows=st.integers(110, 420),
    columns=st.integers(110, 420),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_bright_square_stays_where_seen_says(
    fit: str, crop_border: bool, rows: int, columns: int, place: tuple[float, float]
) -> None:
    side = min(rows, columns)
    edge = side // 5
    grey = _body(rows, columns)
    # Inside the centre square, which every fit shows.
    left = int((columns - side) // 2 + place[0] * (side - edge))
    top = int((rows - side) // 2 + place[1] * (side - edge))
    grey[top : top + edge, left : left + edge] = 1.0
    values, seen = prepare(grey, InputSpec(SIZE_PX, fit, crop_border, mean=0.0, std=1.0))
    found = _spot_in_image(values, seen)
    step = max(seen.width, seen.height) / SIZE_PX
    assert found == pytest.approx((left, top, left + edge, top + edge), abs=1.05 * step + 0.5)


@pytest.mark.parametrize("fit", FITS)
def test_black_frame_is_cut_and_the_square_still_found(fit: str) -> None:
    grey = np.zeros((300, 400), dtype=np.float32)
    grey[40:260, 60:350] = _body(220, 290)
    grey[100:150, 150:200] = 1.0
    values, seen = prepare(grey, InputSpec(SIZE_PX, fit, crop_border=True, mean=0.0, std=1.0))
    assert _spot_in_image(values, seen) == pytest.approx((150, 100, 200, 150), abs=4)
    if fit == "stretch":
        assert (seen.x, seen.y, seen.right, seen.bottom) == pytest.approx((60, 40, 350, 260), abs=4)
    else:
        assert seen.width == seen.height


def test_padding_to_a_square_is_air_and_seen_reaches_outside() -> None:
    values, seen = prepare(np.full((100, 200), 0.5, np.float32), InputSpec(SIZE_PX, "pad", False, mean=0.5, std=0.25))
    assert seen == ImageRect(0, -50, 200, 200)
    assert values.shape == (1, SIZE_PX, SIZE_PX)
    assert values[0, 0] == pytest.approx(-2.0, abs=1e-6)
    assert values[0, SIZE_PX // 2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("frame", ["black", "white", "grey", "bright line", "side letter"])
def test_frames_that_show_nothing_are_cut_away(frame: str) -> None:
    level = {"white": 1.0, "grey": 0.4}.get(frame, 0.0)
    grey = np.full((384, 384), level, dtype=np.float32)
    grey[60:330, 50:340] = _body(270, 290)
    if frame == "bright line":
        grey[:, 2:6] = 1.0
    if frame == "side letter":
        grey[100:130, 10:30] = 1.0
    area = exposed_area(grey)
    assert (area.x, area.y, area.right, area.bottom) == pytest.approx((50, 60, 340, 330), abs=8)


def test_a_film_without_a_frame_is_left_whole() -> None:
    assert exposed_area(_body(250, 310)) == ImageRect(0, 0, 310, 250)


def test_a_spot_on_black_is_no_reason_to_throw_the_film_away() -> None:
    grey = np.zeros((200, 200), dtype=np.float32)
    grey[90:110, 90:110] = _body(20, 20)
    assert exposed_area(grey) == ImageRect(0, 0, 200, 200)


def test_fine_stripes_are_averaged_not_sampled() -> None:
    stripes = np.tile(np.array([0, 1], dtype=np.float32), (960, 480))
    assert resize_area(stripes, 96, 96) == pytest.approx(0.5, abs=1e-6)


def test_each_axis_is_resized_for_itself() -> None:
    tall = np.zeros((400, 50), dtype=np.float32)
    tall[200:, :] = 1.0
    out = resize_area(tall, 100, 100)
    assert out.shape == (100, 100)
    assert out[:50].max() == 0.0
    assert out[50:].min() == 1.0


# ---------------------------------------------------------------- grey


def _stored() -> NDArray[np.uint16]:
    return np.asarray(600 + 2500 * _body(260, 300), dtype=np.uint16)


def test_a_sane_window_of_another_width_changes_nothing() -> None:
    """A window that clips nothing is undone by the stretch."""
    stored = _stored()
    plain = model_grey(_film(stored))
    for window in (VoiWindow(2000, 4000), VoiWindow(1800, 6000)):
        assert model_grey(_film(stored, voi=(window,))) == pytest.approx(plain, abs=1e-3)


def test_a_window_that_shows_nothing_is_not_believed() -> None:
    stored = _stored()
    wrong = model_grey(_film(stored, voi=(VoiWindow(30000, 100),)))
    assert np.array_equal(wrong, model_grey(_film(stored)))


def test_the_default_window_is_used_where_it_has_contrast() -> None:
    stored = _stored()
    middle = float(np.median(stored))
    narrow = model_grey(_film(stored, voi=(VoiWindow(middle, 4 * float(stored.std())),)))
    plain = model_grey(_film(stored))
    assert narrow.std() > plain.std()


def test_signed_stored_values_and_rescale_give_the_same_film() -> None:
    stored = _stored()
    signed = (stored.astype(np.int32) - 2000).astype(np.int16)
    shifted = _film(signed, modality_lut=Rescale(2.0, 4000.0))
    assert model_grey(shifted) == pytest.approx(model_grey(_film(stored)), abs=1e-6)


def test_padding_is_air_and_does_not_bend_the_stretch() -> None:
    stored = _stored()
    padded = stored.copy()
    padded[:, :40] = 60000
    grey = model_grey(_film(padded, padding=(60000, 60000)))
    assert not grey[:, :40].any()
    assert grey[:, 40:] == pytest.approx(model_grey(_film(stored[:, 40:])), abs=1e-6)


def test_a_blank_film_is_refused() -> None:
    with pytest.raises(RefusalError, match="same value"):
        model_grey(_film(np.full((50, 50), 7, dtype=np.uint16)))
    with pytest.raises(RefusalError, match="same value"):
        model_grey(_film(np.array([[3, 9]] * 40, dtype=np.uint16), padding=(9, 9)))


def test_the_range_is_used_and_nothing_lies_outside() -> None:
    grey = model_grey(_film(_stored()))
    assert grey.dtype == np.float32
    assert (grey.min(), grey.max()) == (0.0, 1.0)


def test_what_the_file_draws_or_covers_changes_nothing() -> None:
    stored = _stored()
    bits = np.ones((40, 40), np.uint8)
    layered = _film(stored, overlays=(OverlayPlane(bits, 5, 5),), shutter=Shutter(rectangle=(20, 20, 60, 60), grey=255))
    np.testing.assert_array_equal(model_grey(layered), model_grey(_film(stored)))
