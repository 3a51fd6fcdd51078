"""What pixels say against their own file, beyond what decoding notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.image import Caution, ImageKey, Radiograph
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.sources import attributes, dicomfile
from cxr_viewer.sources.plausibility import checked, zero_run


def film(padding: tuple[int, int] | None) -> Radiograph:
    y, x = np.mgrid[:64, :64]
    stored = (1000 + 30 * x + 5 * y).astype(np.uint16)
    stored[:, :8] = 0
    chain = (ChainStep(Stage.VOI, "The window."), ChainStep(Stage.PADDING, "These values are padding."))
    key = ImageKey("1", "2", "3")
    return Radiograph(key, Path("film.dcm"), stored, 12, "MONOCHROME2", "DX", padding=padding, chain=chain)


@pytest.mark.parametrize("padding", [None, (0, 0), (4095, 4095)])
def test_padding_beside_the_film_is_kept(padding: tuple[int, int] | None) -> None:
    image = checked(film(padding))
    assert image.padding == padding
    assert image.cautions == ()


@pytest.mark.parametrize("padding", [(0, 4095), (1000, 4000), (1700, 2600)])
def test_padding_that_holds_the_anatomy_is_left_out_with_a_caution(padding: tuple[int, int]) -> None:
    image = checked(film(padding))
    assert image.padding is None
    (caution,) = image.cautions
    assert caution.code == "padding-in-film"
    assert caution.tag == "PixelPaddingValue (0028,0120)"
    voi, step = image.chain
    assert voi.rule == "The window."
    assert step.rule == "Nothing counts as padding."
    assert "not believed" in step.passed_over[0]


def test_what_a_truncated_file_does_not_hold_stays_padding() -> None:
    truncated = Caution("truncated", "The file ends before its pixels do.")
    image = checked(replace(film((1000, 4000)), cautions=(truncated,)))
    assert image.padding == (1000, 4000)
    assert image.cautions == (truncated,)


# ---------------------------------------------------------------- zeros where no zeros belong


def chest() -> NDArray[np.uint16]:
    y, x = np.mgrid[:200, :300]
    return np.asarray(2000 + 800 * np.sin(x / 40) * np.cos(y / 30), dtype=np.uint16)


@pytest.mark.parametrize(("first", "length"), [(30_100, 64), (30_290, 200), (20_000, 5_000)])
def test_a_lost_block_is_told(first: int, length: int) -> None:
    stored = chest()
    stored.ravel()[first : first + length] = 0
    image = checked(Radiograph(ImageKey("1", "2", "3"), Path("film.dcm"), stored, 12, "MONOCHROME2", "DX"))
    (caution,) = image.cautions
    assert (caution.code, caution.tag) == ("damaged-pixels", "PixelData (7FE0,0010)")
    assert f"{length} pixels" in caution.text
    assert image.damaged


def test_a_lost_block_in_a_real_film_with_zeros_of_its_own(need_data: Callable[[str], Path]) -> None:
    path = need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm")
    film = attributes.radiograph(dicomfile.read_all(path.read_bytes()), path, "0" * 64, 0)
    assert (film.stored == 0).any()
    assert zero_run(film.stored) == 0
    torn = film.stored.copy()
    torn.ravel()[torn.size // 2 :][:700] = 0
    assert 700 <= zero_run(torn) < 720  # a few zeros of its own lie beside


@pytest.mark.parametrize("kind", ["border", "background", "marker", "short", "rim", "signed", "none"])
def test_zeros_that_belong_to_the_picture(kind: str) -> None:
    stored: NDArray[Any] = chest()
    if kind == "border":
        stored[:, :80] = stored[:20] = stored[-20:] = 0
    elif kind == "background":
        stored[np.hypot(*(np.mgrid[:200, :300] - np.array([100, 150])[:, None, None])) > 90] = 0
    elif kind == "marker":
        stored[50:56, 50:150] = 0
    elif kind == "short":
        stored[100, 50:113] = 0
    elif kind == "rim":  # sharpening undershoots beside a collimator: below the rim there is nearly no light
        stored[150:] = 30
        stored[150, 20:280] = 0
    elif kind == "signed":
        stored = stored.astype(np.int16)
        stored[100, 50:200] = 0
    assert zero_run(stored) == 0


@pytest.mark.parametrize(
    ("rows", "columns", "thin"), [(1, 5000, True), (5000, 1, True), (1, 1, False), (64, 640, False)]
)
def test_a_picture_too_thin_to_be_seen_when_fitted_says_so(rows: int, columns: int, thin: bool) -> None:
    stored = (np.arange(rows * columns, dtype=np.uint16) % 4000 + 1).reshape(rows, columns)
    image = checked(replace(film(None), stored=stored))
    assert ("thin" in [caution.code for caution in image.cautions]) == thin
