"""Automatic windows, the window under the hand, histograms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cxr_viewer.core.image import Radiograph, Rescale, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.imaging import levels, luts, render

MakeFilm = Callable[..., Radiograph]
RANGE = (0.0, 4095.0)

windows = st.builds(
    VoiWindow, st.floats(-1e4, 1e4), st.floats(1, 2e4), st.sampled_from(WindowFunction), st.sampled_from(("", "LUNG"))
)
ways = st.floats(-3000, 3000)


def chest(random_seed: int = 0) -> np.ndarray:
    """A stand-in for a chest of 0..4000: body 1500, lungs 700, noise."""
    random = np.random.default_rng(random_seed)
    film = np.full((400, 360), 1500.0)
    film[80:330, 60:160] = film[80:330, 200:300] = 700.0
    return (film + random.normal(0, 60, film.shape)).clip(0, 4000)


# ---------------------------------------------------------------- the hand


@given(start=windows, dx=st.floats(1, 3000), dy=ways)
def test_right_is_wider_and_left_is_narrower(start: VoiWindow, dx: float, dy: float) -> None:
    assert levels.drag_window(start, dx, dy, RANGE).width >= start.width
    assert levels.drag_window(start, -dx, dy, RANGE).width <= start.width


@given(
    dy=st.floats(1, 300),
    width=st.floats(200, 3000),
    center=st.floats(1000, 3000),
    inverted=st.booleans(),
    slope=st.sampled_from((1.0, -1.0)),
    photometric=st.sampled_from(("MONOCHROME1", "MONOCHROME2")),
)
def test_up_is_brighter_on_screen_whatever_the_polarity(
    make_film: MakeFilm, dy: float, width: float, center: float, inverted: bool, slope: float, photometric: str
) -> None:
    film = make_film(
        np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8),
        photometric=photometric,
        modality_lut=Rescale(slope, 0.0 if slope > 0 else 4095.0),
    )
    start = VoiWindow(center, width)

    def brightness(way_px: float) -> float:
        window = levels.drag_window(start, 0, way_px, RANGE, inverted=luts.inverts(film) != inverted)
        return float(render.render_grey(film, window, inverted).mean())

    assert brightness(-dy) >= brightness(0) >= brightness(dy)
    assert brightness(-300) > brightness(300)


@given(start=windows)
def test_the_way_back_gives_the_start_again(start: VoiWindow) -> None:
    assert levels.drag_window(start, 0, 0, RANGE) == start


@given(start=windows, dx=ways, dy=ways, factor=st.sampled_from((levels.FINE, 1.0, levels.COARSE)))
def test_a_dragged_window_is_never_lost(start: VoiWindow, dx: float, dy: float, factor: float) -> None:
    window = levels.drag_window(start, dx, dy, RANGE, factor=factor)
    assert luts.usable(window)
    assert window.function is start.function
    limits = levels.window_limits(RANGE, start)
    assert limits.lowest_center <= window.center <= limits.highest_center
    assert limits.narrowest <= window.width <= limits.widest


@given(dx=st.floats(-200, 200), dy=st.floats(-200, 200))
def test_fine_moves_less_and_coarse_more(dx: float, dy: float) -> None:
    assume(abs(dx) > 1 and abs(dy) > 1)
    start = VoiWindow(2048, 500)
    moved = [levels.drag_window(start, dx, dy, RANGE, factor=f) for f in (levels.FINE, 1.0, levels.COARSE)]
    centers = [abs(window.center - start.center) for window in moved]
    widths = [abs(np.log(window.width / start.width)) for window in moved]
    assert centers == sorted(centers)
    assert widths == sorted(widths)
    assert centers[0] < centers[2]
    assert widths[0] < widths[2]


def test_a_window_of_the_file_outside_the_film_is_not_pulled_in() -> None:
    """A lateral film of the LIDC set carries -600 / 1600 on values 0 to 16383: touching it must not make it jump."""
    start = VoiWindow(-600, 100000)
    nudged = levels.drag_window(start, 1, 0, (0, 1000))
    assert nudged.center == -600
    assert nudged.width == 100000


def test_limits_of_a_film_of_one_value_are_still_a_range() -> None:
    limits = levels.window_limits((5, 5))
    assert limits.lowest_center < 5 < limits.highest_center
    assert 0 < limits.narrowest < limits.widest


# ---------------------------------------------------------------- windows of a film


@given(
    low=st.floats(-5000, 5000),
    span=st.floats(0.01, 60000),
)
def test_window_between_is_black_at_one_end_and_white_at_the_other(low: float, span: float) -> None:
    window = levels.window_between(low, low + span)
    assert luts.usable(window)
    if window.function is WindowFunction.LINEAR:
        ends = window.center - 0.5 - (window.width - 1) / 2, window.center - 0.5 + (window.width - 1) / 2
    else:
        ends = window.center - window.width / 2, window.center + window.width / 2
    assert ends == pytest.approx((low, low + span), abs=1e-6 * max(1, abs(low)))


@pytest.mark.parametrize("slope", [1.0, 0.001, -1.0])
def test_full_range_is_the_picture_of_no_voi(make_film: MakeFilm, slope: float) -> None:
    film = make_film(chest().astype(np.uint16), modality_lut=Rescale(slope, 7.0), padding=(0, 3))
    none = render.render_grey(film, None, False).astype(int)
    assert np.abs(render.render_grey(film, levels.full_range(film), False) - none).max() <= 1
    assert levels.equivalent_window(film, None) == levels.full_range(film)


@pytest.mark.parametrize("function", list(WindowFunction))
def test_a_drag_goes_on_from_a_window_as_it_is(make_film: MakeFilm, function: WindowFunction) -> None:
    window = VoiWindow(100, 50, function, "LUNG")
    assert levels.equivalent_window(make_film(np.zeros((2, 2), np.uint8)), window) is window


def test_a_straight_voi_table_goes_on_as_the_same_window(make_film: MakeFilm) -> None:
    film = make_film(chest().astype(np.uint16))
    entries = np.clip((np.arange(2000) - 500) / 1000 * 1023, 0, 1023).round().astype(np.uint16)
    table = VoiTable(0, entries, bits=10)
    off = render.render_grey(film, table, False).astype(int) - render.render_grey(
        film, levels.equivalent_window(film, table), False
    )
    assert not levels.falls(table)
    assert np.abs(off).max() <= 1


def test_a_falling_voi_table_goes_on_with_polarity_exchanged(make_film: MakeFilm) -> None:
    film = make_film(chest().astype(np.uint16), photometric="MONOCHROME1")
    table = VoiTable(0, np.linspace(4095, 0, 3000).astype(np.uint16), bits=12)
    assert levels.falls(table)
    off = render.render_grey(film, table, False).astype(int) - render.render_grey(
        film, levels.equivalent_window(film, table), True
    )
    assert np.abs(off).max() <= 2


@pytest.mark.parametrize("entries", [[7, 7, 7], [0, 0, 0, 255]])
def test_a_table_without_a_slope_goes_on_as_the_full_range(make_film: MakeFilm, entries: list[int]) -> None:
    film = make_film(np.arange(16, dtype=np.uint8).reshape(4, 4))
    table = VoiTable(0, np.array(entries, np.uint16), bits=8)
    assert levels.equivalent_window(film, table) == levels.full_range(film)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_that_misses_its_film_is_known(make_film: MakeFilm, photometric: str) -> None:
    """A lateral film of the LIDC set carries the lung window of a CT; all its values lie above."""
    film = make_film(chest().astype(np.uint16), photometric=photometric, padding=(0, 0))
    assert not levels.shows_something(film, VoiWindow(-600, 1600))
    assert not levels.shows_something(film, VoiWindow(9000, 100))
    assert levels.shows_something(film, VoiWindow(1100, 1600))
    assert levels.shows_something(film, levels.auto_window(film))


# ---------------------------------------------------------------- automatic window


@pytest.mark.parametrize("frame", [0, 4000])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_automatic_window_leaves_out_what_is_not_anatomy(make_film: MakeFilm, frame: int, photometric: str) -> None:
    """Collimation on three sides, saturated direct exposure beside the body, a burnt-in letter."""
    plain = chest()
    film = plain.copy()
    film[:, :50] = film[:30] = film[-60:] = frame
    film[200:, 310:] = 4000
    film[50:64, 330:344] = 0
    alone = levels.auto_window(make_film(plain[30:-60, 50:310].astype(np.uint16), photometric=photometric))
    framed = levels.auto_window(make_film(film.astype(np.uint16), photometric=photometric))
    assert framed.label == "Automatic"
    assert framed.center == pytest.approx(alone.center, abs=0.1 * alone.width)
    assert framed.width == pytest.approx(alone.width, rel=0.2)


def test_padding_leaves_the_automatic_window(make_film: MakeFilm) -> None:
    film = chest().astype(np.int16)
    padded = film.copy()
    padded[:150] = -30000
    with_padding = levels.auto_window(make_film(padded, padding=(-30000, -30000)))
    assert with_padding.width < 2000
    assert with_padding.center == pytest.approx(levels.auto_window(make_film(film[150:])).center, abs=50)


@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from((np.uint8, np.uint16, np.int16)),
    spread=st.integers(0, 120),
    slope=st.sampled_from((1.0, -3.0, 1e-4)),
)
def test_any_film_has_an_automatic_window(
    make_film: MakeFilm, seed: int, shape: tuple[int, int], dtype: type, spread: int, slope: float
) -> None:
    stored = np.random.default_rng(seed).integers(0, spread + 1, shape).astype(dtype)
    window = levels.auto_window(make_film(stored, modality_lut=Rescale(slope, -5.0)))
    assert luts.usable(window)


def test_a_film_of_one_value_gets_its_full_range(make_film: MakeFilm) -> None:
    film = make_film(np.full((30, 30), 77, np.uint8))
    window = levels.auto_window(film)
    assert (window.center, window.width) == (77, 1)


# ---------------------------------------------------------------- histogram


@given(seed=st.integers(0, 1000), bins=st.integers(1, 300), slope=st.sampled_from((1.0, -2.5, 0.1)))
def test_the_histogram_counts_every_pixel_in_modality_units(
    make_film: MakeFilm, seed: int, bins: int, slope: float
) -> None:
    stored = np.random.default_rng(seed).integers(-3000, 3000, (20, 30)).astype(np.int16)
    film = make_film(stored, modality_lut=Rescale(slope, 12.0))
    counts, edges = levels.histogram(film, bins)
    assert counts.shape == (bins,)
    assert counts.sum() == stored.size
    assert (edges[0], edges[-1]) == pytest.approx(luts.modality_range(film))
    exact, _ = np.histogram(luts.modality_of_patterns(film)[luts.as_patterns(film.stored)], bins=edges)
    assert np.abs(np.cumsum(counts) - np.cumsum(exact)).max() <= 2  # a value on an edge may fall to either side


def test_padding_leaves_the_histogram_and_one_value_still_has_a_bin(make_film: MakeFilm) -> None:
    counts, edges = levels.histogram(make_film(np.array([[0, 0, 9]], np.uint8), padding=(0, 0)), 4)
    assert counts.sum() == 1
    assert edges[0] < 9 < edges[-1]
