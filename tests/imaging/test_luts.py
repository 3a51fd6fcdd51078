"""The grey chain as a table, held against PS3.3 C.11 written out value by value."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.image import (
    ModalityTable,
    Radiograph,
    Rescale,
    Voi,
    VoiTable,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.imaging import luts

MakeFilm = Callable[..., Radiograph]
DTYPES = (np.uint8, np.uint16, np.int16)
EXACT, SIGMOID = WindowFunction.LINEAR_EXACT, WindowFunction.SIGMOID


# ---------------------------------------------------------------- the standard, one value at a time


def modality_of(stored: int, lut: Rescale | ModalityTable) -> float:
    """PS3.3 C.11.1.1: a table takes values beyond its ends to its ends; a rescale is U = m * SV + b."""
    if isinstance(lut, Rescale):
        return lut.slope * stored + lut.intercept
    return float(lut.values[min(max(stored - lut.first, 0), lut.values.size - 1)])


def grey_of(x: float, voi: Voi) -> float:
    """PS3.3 C.11.2.1.1 to C.11.2.1.3.2, output range 0..255, not rounded."""
    if isinstance(voi, VoiTable):
        place = min(max(math.floor(x + 1e-6) - voi.first, 0), voi.values.size - 1)
        return 255.0 * int(voi.values[place]) / (2**voi.bits - 1)
    c, w = voi.center, voi.width
    if voi.function is SIGMOID:
        exponent = -4 * (x - c) / w
        return 0.0 if exponent > 700 else 255.0 / (1 + math.exp(exponent))
    low, high = (c - w / 2, c + w / 2) if voi.function is EXACT else (c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2)
    if x <= low:
        return 0.0
    if x > high:
        return 255.0
    return ((x - c) / w + 0.5) * 255 if voi.function is EXACT else ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


reasonable = st.floats(-70000, 70000, allow_subnormal=False)
slopes = st.one_of(st.floats(0.01, 20), st.floats(-20, -0.01), st.just(1.0), st.just(-1.0))


def tables(kind: type[ModalityTable] | type[VoiTable]) -> st.SearchStrategy[Any]:
    def build(first: int, bits: int, seed: int, size: int) -> Any:
        values = np.random.default_rng(seed).integers(0, 2**bits, size).astype(np.uint16)
        return kind(first, values, bits)

    return st.builds(build, st.integers(-4000, 4000), st.integers(8, 16), st.integers(0, 99), st.integers(1, 4096))


modality_luts = st.one_of(st.builds(Rescale, slopes, reasonable), tables(ModalityTable))
windows = st.builds(VoiWindow, reasonable, st.floats(1, 70000), st.sampled_from(WindowFunction))
vois = st.one_of(windows, tables(VoiTable))


@given(
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**16),
    lut=modality_luts,
    voi=vois,
    photometric=st.sampled_from(("MONOCHROME1", "MONOCHROME2")),
    inverted=st.booleans(),
)
def test_every_chain_is_the_standard_written_out(
    make_film: MakeFilm,
    dtype: type,
    seed: int,
    lut: Rescale | ModalityTable,
    voi: Voi,
    photometric: str,
    inverted: bool,
) -> None:
    info = np.iinfo(dtype)
    stored = np.random.default_rng(seed).integers(info.min, info.max, (4, 5), dtype=dtype, endpoint=True)
    film = make_film(stored, modality_lut=lut, photometric=photometric)

    shown = luts.apply(stored, luts.compose(film, voi, inverted))

    for value, pixel in zip(stored.ravel(), shown.ravel(), strict=True):
        grey = grey_of(modality_of(int(value), lut), voi)
        expected = 255 - grey if (photometric == "MONOCHROME1") != inverted else grey
        assert abs(int(pixel) - expected) <= 0.5 + 1e-6


@given(
    dtype=st.sampled_from(DTYPES), slope=st.floats(0.001, 50), intercept=reasonable, voi=windows, inverted=st.booleans()
)
def test_a_window_never_turns_the_order_of_values(
    make_film: MakeFilm, dtype: type, slope: float, intercept: float, voi: VoiWindow, inverted: bool
) -> None:
    film = make_film(np.zeros((1, 1), dtype), modality_lut=Rescale(slope, intercept))
    table = luts.compose(film, voi, inverted)
    in_order = table[np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1)]  # negative index = its pattern
    steps = np.diff(in_order.astype(int))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()


@given(lut=modality_luts, voi=vois, dtype=st.sampled_from(DTYPES))
def test_inverting_is_exactly_the_negative(
    make_film: MakeFilm, lut: Rescale | ModalityTable, voi: Voi, dtype: type
) -> None:
    film = make_film(np.zeros((1, 1), dtype), modality_lut=lut)
    plain, negative = luts.compose(film, voi, False), luts.compose(film, voi, True)
    assert np.array_equal(negative, 255 - plain)


@given(dtype=st.sampled_from(DTYPES), seed=st.integers(0, 2**16), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_laying_the_table_over_pixels_is_indexing(dtype: type, seed: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    whole = random.integers(info.min, info.max, (2 * rows, columns + 3), dtype=dtype, endpoint=True)
    whole.flags.writeable = False
    stored = whole[::2, 1 : columns + 1]  # rows apart in memory, read-only
    table = random.integers(0, 256, 1 << 8 * stored.dtype.itemsize, dtype=np.uint8)
    expected = table[stored.astype(np.int64) % table.size]

    assert np.array_equal(luts.apply(stored, table), expected)
    out = np.zeros(stored.shape, np.uint8)
    assert luts.apply(stored, table, out) is out
    assert np.array_equal(out, expected)


# ---------------------------------------------------------------- single rules of the standard


def shown(film: Radiograph, voi: Voi | None, **how: Any) -> list[int]:
    inverted = how.pop("inverted", False)
    return [int(grey) for grey in luts.apply(film.stored, luts.compose(film, voi, inverted, **how)).ravel()]


def test_linear_of_the_standards_own_example(make_film: MakeFilm) -> None:
    """PS3.3 C.11.2.1.2.1: centre 2048, width 4096 shows 0 as black and 4095 as white; 2048, 1 is a threshold."""
    film = make_film(np.array([[0, 2047, 2048, 4095]], np.uint16), bits_stored=12)
    assert shown(film, VoiWindow(2048, 4096)) == [0, 127, 128, 255]
    assert shown(film, VoiWindow(2048, 1)) == [0, 0, 255, 255]


def test_linear_exact_differs_from_linear_in_a_narrow_window(make_film: MakeFilm) -> None:
    film = make_film(np.arange(8, 13, dtype=np.uint8)[None])
    assert shown(film, VoiWindow(10, 4, EXACT)) == [0, 64, 128, 191, 255]
    assert shown(film, VoiWindow(10, 4)) == [0, 85, 170, 255, 255]


def test_sigmoid_stays_a_number_however_narrow(make_film: MakeFilm) -> None:
    film = make_film(np.array([[0, 30000, 65535]], np.uint16))
    assert shown(film, VoiWindow(30000, 1e-3, SIGMOID)) == [0, 128, 255]


@pytest.mark.parametrize(
    ("photometric", "shape", "inverts"),
    [
        ("MONOCHROME2", "", False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", False),
    ],
)
def test_polarity_follows_shape_before_photometric(
    make_film: MakeFilm, photometric: str, shape: str, inverts: bool
) -> None:
    film = make_film(np.array([[0, 255]], np.uint8), photometric=photometric, presentation_lut_shape=shape)
    assert luts.inverts(film) is inverts
    assert shown(film, None) == ([255, 0] if inverts else [0, 255])
    assert shown(film, None, inverted=True) == ([0, 255] if inverts else [255, 0])


def test_a_negative_slope_is_part_of_the_values_and_does_not_invert_twice(make_film: MakeFilm) -> None:
    """Real Agfa CRs have slope -10; the window belongs to the rescaled values."""
    film = make_film(np.array([[0, 100, 200]], np.uint16), modality_lut=Rescale(-10, 2000))
    assert shown(film, VoiWindow(1000.5, 2001)) == [255, 128, 0]


def test_a_voi_table_may_begin_below_zero(make_film: MakeFilm) -> None:
    table = VoiTable(-1, np.array([0, 512, 1023], np.uint16), bits=10)
    film = make_film(np.array([[-5, -1, 0, 1, 300]], np.int16))
    assert shown(film, table) == [0, 0, 128, 255, 255]


def test_a_modality_table_extends_its_ends(make_film: MakeFilm) -> None:
    lut = ModalityTable(10, np.array([100, 200, 300], np.uint16))
    film = make_film(np.array([[0, 10, 11, 12, 99]], np.uint8), modality_lut=lut)
    assert luts.modality_values(film).tolist() == [[100, 100, 200, 300, 300]]
    assert shown(film, None) == [0, 0, 128, 255, 255]


def test_a_whole_number_spoilt_by_the_slope_finds_its_place_in_a_table(make_film: MakeFilm) -> None:
    """0.29 * 100 is 28.999999999999996 and means 29."""
    table = VoiTable(28, np.array([0, 255], np.uint16), bits=8)
    film = make_film(np.array([[100]], np.uint8), modality_lut=Rescale(0.29, 0.0))
    assert shown(film, table) == [255]


def test_values_beyond_bits_stored_follow_the_same_formula(make_film: MakeFilm) -> None:
    film = make_film(np.array([[0, 4095, 4096, 8191]], np.uint16), bits_stored=12)
    assert shown(film, VoiWindow(4096, 8192)) == [0, 127, 128, 255]


def test_a_film_of_one_value_is_black_without_a_voi(make_film: MakeFilm) -> None:
    assert shown(make_film(np.full((1, 2), 7, np.uint8)), None) == [0, 0]


def test_padding_leaves_the_range_and_can_be_masked(make_film: MakeFilm) -> None:
    stored = np.array([[-2000, -2000, 0, 50, 100]], np.int16)
    film = make_film(stored, photometric="MONOCHROME1", padding=(-2000, -2000))
    assert luts.modality_range(film) == (0, 100)
    assert shown(film, None) == [255, 255, 255, 127, 0]
    assert shown(film, None, mask_padding=True) == [0, 0, 255, 127, 0]


def test_a_padding_range_counts_both_ends_in_any_order(make_film: MakeFilm) -> None:
    film = make_film(np.array([[4, 5, 6, 7, 8]], np.uint8), padding=(7, 5))
    assert shown(film, VoiWindow(128, 256), mask_padding=True) == [4, 0, 0, 0, 8]


def test_a_film_of_nothing_but_padding_keeps_its_range(make_film: MakeFilm) -> None:
    assert luts.modality_range(make_film(np.array([[3, 9]], np.uint8), padding=(0, 255))) == (3, 9)


# ---------------------------------------------------------------- readouts and refusals


def test_the_value_under_the_cursor(make_film: MakeFilm) -> None:
    film = make_film(np.array([[-1, 2], [3, 4]], np.int16), modality_lut=Rescale(2.0, -1000.0))
    assert luts.modality_at(film, 0.99, 0.0) == -1002
    assert luts.modality_at(film, 1.0, 1.99) == -992
    assert [luts.modality_at(film, *at) for at in ((-0.01, 0), (2, 0), (0, 2), (0, -1))] == [None] * 4


@given(dtype=st.sampled_from(DTYPES), seed=st.integers(0, 2**16))
def test_pattern_counts_count_every_pixel(make_film: MakeFilm, dtype: type, seed: int) -> None:
    info = np.iinfo(dtype)
    stored = np.random.default_rng(seed).integers(info.min, info.max, (30, 20), dtype=dtype, endpoint=True)
    counts = luts.pattern_counts(make_film(stored))
    assert counts.sum() == stored.size
    values, numbers = np.unique(stored, return_counts=True)
    assert np.array_equal(counts[values.astype(np.int64)], numbers)


def test_what_is_remembered_of_a_film_goes_with_it(make_film: MakeFilm) -> None:
    gc.collect()
    before = len(luts._counts)
    film = make_film(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert luts.pattern_counts(film) is luts.pattern_counts(film)
    assert len(luts._counts) == before + 1
    del film
    gc.collect()
    assert len(luts._counts) == before


def test_pixels_of_another_type_and_tables_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8, uint16 or int16"):
        luts.apply(np.zeros((2, 2), np.int32), np.zeros(65536, np.uint8))
    with pytest.raises(ValueError, match="does not fit"):
        luts.apply(np.zeros((2, 2), np.uint16), np.zeros(256, np.uint8))


@pytest.mark.parametrize(
    "voi",
    [
        VoiWindow(math.nan, 100),
        VoiWindow(0, math.inf),
        VoiWindow(0, 0),
        VoiWindow(0, -5, SIGMOID),
        VoiTable(0, np.empty(0, np.uint16), 8),
        VoiTable(0, np.zeros(4, np.uint16), 17),
    ],
)
def test_a_voi_without_a_picture_is_refused(make_film: MakeFilm, voi: Voi) -> None:
    assert not luts.usable(voi)
    with pytest.raises(ValueError, match="no picture"):
        luts.compose(make_film(np.zeros((1, 1), np.uint8)), voi, False)


def test_an_illegal_width_below_one_is_a_threshold(make_film: MakeFilm) -> None:
    film = make_film(np.array([[9, 10, 11]], np.uint8))
    assert shown(film, VoiWindow(10, 0.3)) == shown(film, VoiWindow(10, 1)) == [0, 255, 255]
