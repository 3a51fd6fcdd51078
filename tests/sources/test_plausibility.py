"""What pixels say against their own file, beyond what decoding notices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.image import Caution, ImageKey, Radiograph
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.sources.plausibility import checked


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
