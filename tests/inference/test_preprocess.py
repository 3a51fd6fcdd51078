"""The network sees the right pixels at the right place, and changing the window changes nothing."""

from __future__ import annotations

import dataclasses
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
from cxr_viewer.inference.denoise import denoised
from cxr_viewer.inference.preprocess import FilmGreys, exposed_area, model_grey, prepare, resize_area, see
from cxr_viewer.inference.resample import resize_gaussian

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


# ---------------------------------------------------------------- presented


TXRV = InputSpec(224, "crop", False, mean=0.5, std=1 / 2048, intensity="presented", resize="gaussian")


def test_without_a_window_the_range_of_bits_stored_is_presented() -> None:
    stored = np.array([[0, 1000], [2047, 4095]], np.uint16)
    expected = stored / np.float32(4095)
    assert model_grey(_film(stored, bits_stored=12), "presented") == pytest.approx(expected, abs=1e-6)
    assert model_grey(_film(stored), "presented") == pytest.approx(stored / np.float32(65535), abs=1e-6)
    dark_bone = _film(stored, bits_stored=12, photometric="MONOCHROME1")
    assert model_grey(dark_bone, "presented") == pytest.approx(1 - expected, abs=1e-6)


def test_signed_and_rescaled_values_keep_their_place_in_the_range() -> None:
    stored = np.array([[-2048, -1], [0, 2047]], np.int16)
    expected = (stored.astype(np.float32) + 2048) / 4095
    assert model_grey(_film(stored, bits_stored=12), "presented") == pytest.approx(expected, abs=1e-6)
    shifted = _film(stored, bits_stored=12, modality_lut=Rescale(3.0, -7.0))
    assert model_grey(shifted, "presented") == pytest.approx(expected, abs=1e-6)
    falling = _film(stored, bits_stored=12, modality_lut=Rescale(-1.0, 0.0))
    assert model_grey(falling, "presented") == pytest.approx(1 - expected, abs=1e-6)


def test_a_window_is_presented_as_the_standard_says() -> None:
    stored = np.array([[0, 900], [1100, 4095]], np.uint16)
    grey = model_grey(_film(stored, bits_stored=12, voi=(VoiWindow(1000, 401),)), "presented")
    assert grey == pytest.approx(np.array([[0.0, (900 - 999.5) / 400 + 0.5], [(1100 - 999.5) / 400 + 0.5, 1.0]]))


def test_the_window_the_film_opens_with_comes_before_one_that_leaves_it_blank() -> None:
    stored = np.array([[0, 900], [1100, 4095]], np.uint16)
    blank = VoiWindow(60000, 100)
    opened = _film(stored, bits_stored=12, voi=(blank,), opening=VoiWindow(1000, 401))
    assert np.array_equal(
        model_grey(opened, "presented"),
        model_grey(_film(stored, bits_stored=12, voi=(VoiWindow(1000, 401),)), "presented"),
    )
    unopened = _film(stored, bits_stored=12, voi=(blank,))
    assert model_grey(unopened, "presented") == pytest.approx(stored / np.float32(4095), abs=1e-6)


def test_padding_is_presented_as_air_in_both_polarities() -> None:
    stored = np.array([[0, 900], [1100, 4000]], np.uint16)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        film = _film(stored, bits_stored=12, padding=(0, 0), photometric=photometric)
        grey = model_grey(film, "presented")
        assert grey[0, 0] == 0.0
        assert grey[0, 1] > 0.0


def test_an_unknown_word_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="intensity"):
        model_grey(_film(_stored()), "guessed")
    with pytest.raises(ValueError, match="resize"):
        prepare(_body(30, 30), InputSpec(16, "pad", False, 0.0, 1.0, resize="nearest"))
    with pytest.raises(ValueError, match="fit"):
        prepare(_body(30, 30), InputSpec(16, "squash", False, 0.0, 1.0))


# ---------------------------------------------------------------- as the library does it


@given(rows=st.integers(1, 60), columns=st.integers(1, 60))
def test_the_centre_square_is_the_library_s(rows: int, columns: int) -> None:
    from torchxrayvision.datasets import XRayCenterCrop

    numbered = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    side = min(rows, columns)
    values, seen = prepare(numbered, InputSpec(side, "crop", False, mean=0.0, std=1.0))
    assert np.array_equal(values, XRayCenterCrop()(numbered[None]))
    assert (seen.width, seen.height) == (side, side)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.6, 0.9), (0.1, 0.3)])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((1500, 1201), 224), ((440, 440), 224), ((225, 223), 224), ((224, 224), 224), ((100, 130), 224), ((97, 448), 512)],
)
def test_resizing_is_the_library_s(shape: tuple[int, int], size: int, low: float, high: float) -> None:
    from torchxrayvision.datasets import XRayResizer

    grey = np.random.default_rng(shape[0]).uniform(low, high, shape).astype(np.float32)
    theirs = XRayResizer(size)((grey[None] - 0.5) * 2048)
    ours = (resize_gaussian(grey, size, size) - 0.5) * 2048
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs[0]).max() <= 1e-5 * 1024


# ---------------------------------------------------------------- what the model saw


def test_what_the_model_saw_is_the_very_input() -> None:
    stored = _stored()
    for spec in (TXRV, InputSpec(96, "pad", True, 0.5, 0.25), InputSpec(64, "stretch", False, 0.5, 0.25)):
        fed = see(_film(stored, voi=(VoiWindow(1800, 1500),)), spec)
        picture = np.rint((fed.film[0] * spec.std + spec.mean) * 255)
        assert np.abs(fed.saw.picture - picture).max() <= 1
        assert fed.saw.picture.shape == (spec.size_px, spec.size_px)
        assert not fed.saw.picture.flags.writeable
        film, seen = prepare(model_grey(_film(stored, voi=(VoiWindow(1800, 1500),)), spec.intensity), spec)
        assert np.array_equal(fed.film, film)
        assert fed.seen == seen


def test_a_turned_film_is_said_to_be_turned_and_bone_is_bright() -> None:
    stored = _stored()
    plain, turned = (
        see(_film(values, photometric=p, bits_stored=16), TXRV)
        for values, p in ((stored, "MONOCHROME2"), (65535 - stored, "MONOCHROME1"))
    )
    assert (plain.saw.turned, turned.saw.turned) == (False, True)
    assert np.abs(plain.film - turned.film).max() < 1e-3 * 1024


def test_the_clipped_share_is_of_the_film_not_of_what_was_padded() -> None:
    stored = np.full((400, 200), 2000, np.uint16)
    stored[:, :50] = 100
    stored[:, 150:] = 3900
    window = VoiWindow(2000, 2000)
    for fit in ("pad", "crop", "stretch"):
        spec = InputSpec(64, fit, False, 0.5, 0.25, intensity="presented")
        assert see(_film(stored, voi=(window,)), spec).saw.clipped == pytest.approx(0.5, abs=0.01)
    assert see(_film(stored, bits_stored=12), TXRV).saw.clipped == 0.0


def test_colour_networks_get_the_film_in_every_channel() -> None:
    spec = InputSpec(
        64, "crop", False, 0.5, 1 / 2048, "presented", "gaussian", 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    grey = _body(150, 190)
    one, seen = prepare(grey, InputSpec(64, "crop", False, 0.0, 1.0, "presented", "gaussian"))
    three, same = prepare(grey, spec)
    assert (three.shape, seen) == ((3, 64, 64), same)
    for channel in range(3):
        expected = (one[0] - spec.channel_means[channel]) / spec.channel_stds[channel]
        assert three[channel] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("how", ["median", "non-local-means"])
def test_noise_is_taken_away_where_the_card_says_so(how: str) -> None:
    """From the whole film, before it is cut; models that look at the same film each get the greys of their own card."""
    chance = np.random.default_rng(0)
    film = _body(300, 260)
    noisy = np.clip(film + chance.normal(0, 0.1, film.shape), 0, 1).astype(np.float32)
    plain = InputSpec(200, "stretch", False, 0.0, 1.0)
    clean = dataclasses.replace(plain, denoise=how, denoise_strength=30.0)
    (told, _), (raw, _), (true, _) = prepare(noisy, clean), prepare(noisy, plain), prepare(film, plain)
    assert np.abs(told - true).mean() < 0.7 * np.abs(raw - true).mean()
    assert denoised(noisy, plain) is noisy

    image = _film(np.rint(noisy * 4095).astype(np.uint16))
    greys = FilmGreys(image)
    for spec in (plain, clean, plain):
        assert np.array_equal(see(image, spec, greys=greys).film, prepare(model_grey(image), spec)[0])
    assert not np.array_equal(see(image, clean).saw.picture, see(image, plain).saw.picture)
    with pytest.raises(ValueError, match="take noise away"):
        denoised(noisy, dataclasses.replace(plain, denoise="magic"))
