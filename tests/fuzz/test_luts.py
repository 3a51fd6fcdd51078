"""Made-up grey chains: the table is that of the standard written out, value by value, whatever the numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_viewer.core.image import (
    ImageKey,
    ModalityTable,
    Radiograph,
    Rescale,
    Voi,
    VoiTable,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.imaging import luts

_NUMBER = st.floats(-1e9, 1e9, allow_nan=False)
_QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def _table(draw: st.DrawFn) -> tuple[int, np.ndarray, int]:
    bits = draw(st.integers(1, 16))
    entries = draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=64))
    return draw(st.integers(-70000, 70000)), np.array(entries, np.uint16), bits


@st.composite
def windows(draw: st.DrawFn) -> VoiWindow:
    width = draw(st.floats(1e-3, 1e9))
    return VoiWindow(draw(_NUMBER), width, draw(st.sampled_from(WindowFunction)))


@st.composite
def films(draw: st.DrawFn) -> tuple[Radiograph, Voi]:
    dtype = draw(st.sampled_from(["uint8", "uint16", "int16"]))
    limits = np.iinfo(dtype)
    stored = draw(st.lists(st.integers(int(limits.min), int(limits.max)), min_size=4, max_size=4))
    lut: Rescale | ModalityTable = Rescale(draw(_NUMBER.filter(bool)), draw(_NUMBER))
    if draw(st.booleans()):
        lut = ModalityTable(*_table(draw))
    voi: Voi = VoiTable(*_table(draw)) if draw(st.booleans()) else draw(windows())
    film = Radiograph(
        key=ImageKey("1.2", "1.3", "1.4"),
        path=Path("made-up"),
        stored=np.array(stored, dtype).reshape(2, 2),
        bits_stored=8 * limits.dtype.itemsize,
        photometric=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        modality="DX",
        presentation_lut_shape=draw(st.sampled_from(["", "IDENTITY", "INVERSE"])),
        modality_lut=lut,
    )
    return film, voi


def standard(film: Radiograph, voi: Voi, value: int) -> float:
    """PS3.3 C.11.1, C.11.2 and C.11.6 for one stored value, in Python's own numbers: 0 to 255, not rounded."""
    lut = film.modality_lut
    if isinstance(lut, Rescale):
        x = value * lut.slope + lut.intercept
    else:
        x = float(lut.values[min(max(value - lut.first, 0), lut.values.size - 1)])
    if isinstance(voi, VoiTable):
        place = min(max(math.floor(x + 1e-6) - voi.first, 0), voi.values.size - 1)
        y = float(voi.values[place]) / ((1 << voi.bits) - 1)
    elif voi.function is WindowFunction.SIGMOID:
        y = 1.0 / (1.0 + math.exp(min(700.0, max(-700.0, -4.0 * (x - voi.center) / voi.width))))
    elif voi.function is WindowFunction.LINEAR_EXACT:
        y = (x - voi.center) / voi.width + 0.5
    elif voi.width <= 1:
        y = 1.0 if x > voi.center - 0.5 else 0.0
    else:
        y = (x - (voi.center - 0.5)) / (voi.width - 1) + 0.5
    y = min(1.0, max(0.0, y))
    shape = film.presentation_lut_shape
    inverse = shape == "INVERSE" or (film.photometric == "MONOCHROME1" and shape != "IDENTITY")
    return 255.0 * (1.0 - y if inverse else y)


@_QUICK
@given(films())
def test_every_chain_is_that_of_the_standard(made: tuple[Radiograph, Voi]) -> None:
    film, voi = made
    grey = luts.apply(film.stored, luts.compose(film, voi, inverted=False))
    for value, shown in zip(film.stored.ravel().tolist(), grey.ravel().tolist(), strict=True):
        assert abs(shown - standard(film, voi, value)) <= 0.5 + 1e-6


@_QUICK
@given(films())
def test_the_readers_inversion_is_the_complement(made: tuple[Radiograph, Voi]) -> None:
    film, voi = made
    plain, inverted = (luts.compose(film, voi, inverted=on) for on in (False, True))
    assert np.array_equal(inverted, 255 - plain)


@_QUICK
@given(films(), st.integers(-40000, 70000), st.integers(0, 5000))
def test_padding_is_black_and_touches_nothing_else(made: tuple[Radiograph, Voi], low: int, span: int) -> None:
    film, voi = made
    film = replace(film, padding=(low, low + span))
    plain = luts.apply(film.stored, luts.compose(film, voi, inverted=False))
    masked = luts.apply(film.stored, luts.compose(film, voi, inverted=False, mask_padding=True))
    inside = (film.stored.astype(np.int64) >= low) & (film.stored.astype(np.int64) <= low + span)
    assert np.array_equal(masked[~inside], plain[~inside])
    assert not masked[inside].any()
