"""What is told of lungs and heart, on drawn chests whose measures are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, PatientInfo, PixelSpacing, Radiograph, SpacingSource, View
from cxr_viewer.core.modelcard import InputSpec, LabelSpec, ModelCard, RatioError, ScoreKind, Task
from cxr_viewer.inference.anatomy import anatomy_of, outside_lungs
from cxr_viewer.inference.anatomy_masks import clean, own_dice

SIDE = 256
CARD = ModelCard(
    model_id="anatomy",
    name="Anatomy",
    version="1",
    network="cxr-unet",
    sha256="0" * 64,
    licence="Apache-2.0",
    labels=(LabelSpec("Lungs", 0.5), LabelSpec("Heart", 0.5)),
    score_kind=ScoreKind.UNCALIBRATED,
    input=InputSpec(SIDE, "pad", True, 0.5, 0.25),
    temperature=1.0,
    bias=0.0,
    intended_ages=None,
    intended_views=("PA", "AP"),
    intended_use="Tests.",
    trained_on="Nothing.",
    task=Task.SEGMENT,
    serves="anatomy",
    ratio_error=0.03,
)


def film(rows: int = 1024, columns: int = 1024, spacing: PixelSpacing | None = None) -> Radiograph:
    stored = np.zeros((rows, columns), dtype=np.uint8)
    return Radiograph(ImageKey("", "", "1"), Path("film.png"), stored, 8, "MONOCHROME2", "DX", spacing=spacing)


def chest(angle: float = 0.0, *, right_lung: bool = True) -> np.ndarray:
    """(2, 256, 256): lungs 160 wide in all, a heart 80 wide of which 50 lie right of the midline at column 128."""
    lungs, heart = np.zeros((SIDE, SIDE), dtype=np.uint8), np.zeros((SIDE, SIDE), dtype=np.uint8)
    cv2.ellipse(lungs, (80, 130), (32, 80), 0, 0, 360, 255, -1)
    if right_lung:
        cv2.ellipse(lungs, (176, 130), (32, 80), 0, 0, 360, 255, -1)
    cv2.ellipse(heart, (138, 165), (40, 30), 0, 0, 360, 255, -1)
    turn = cv2.getRotationMatrix2D((127.5, 127.5), -angle, 1.0)
    turned = [cv2.warpAffine(one, turn, (SIDE, SIDE)) for one in (lungs, heart)]
    return np.stack(turned).astype(np.float32) / np.float32(255)


WHOLE = ImageRect(0, 0, 1024, 1024)


def test_ratio_of_a_drawn_chest() -> None:
    found = anatomy_of(film(), chest(), WHOLE, View.PA, CARD)
    assert found.trusted
    assert found.callipers is not None
    assert found.callipers.ratio() == pytest.approx(81 / 161, abs=0.01)
    left, right = found.callipers.heart_widths()
    assert right / left == pytest.approx(50 / 30, abs=0.15)
    assert found.heart_side == pytest.approx(0.3, abs=0.06)
    assert found.ratio_error == pytest.approx(0.03 * 3)  # the drawn chest is widest at its middle: no bases
    assert [one.code for one in found.cautions] == ["ratio-opaque"]


@pytest.mark.parametrize(("view", "error"), [(View.PA, 0.06), (View.AP, 0.12), (View.UNKNOWN, 0.12)])
def test_the_error_of_the_ratio_is_that_of_the_view(view: View, error: float) -> None:
    """And of the view with the wider one where the file does not say."""
    errors = (RatioError("PA", 0.035, 0.06), RatioError("AP", 0.11, 0.12))
    found = anatomy_of(film(), chest(), WHOLE, view, replace(CARD, view_ratio_errors=errors))
    assert found.ratio_error == error


@pytest.mark.parametrize(("usual", "error"), [(0.05, 0.15), (0.01, 0.06)])
def test_a_view_that_was_not_measured_does_not_get_the_smaller_error_of_another(usual: float, error: float) -> None:
    card = replace(CARD, ratio_error=usual, view_ratio_errors=(RatioError("PA", 0.01, 0.06),))
    for view in (View.AP, View.UNKNOWN):
        assert anatomy_of(film(), chest(), WHOLE, view, card).ratio_error == pytest.approx(error)
    assert anatomy_of(film(), chest(), WHOLE, View.PA, card).ratio_error == 0.06


def test_boxes_lie_on_the_film() -> None:
    found = anatomy_of(film(), chest(), WHOLE, View.PA, CARD)
    first, second = found.lungs
    assert (first.x, first.right) == pytest.approx((48 * 4, 113 * 4), abs=4)
    assert (second.x, second.right) == pytest.approx((144 * 4, 209 * 4), abs=4)
    assert found.lungs_box is not None
    assert found.lungs_box.width == pytest.approx(161 * 4, abs=8)
    assert found.heart is not None
    assert found.heart.y == pytest.approx(135 * 4, abs=4)
    assert [one.label for one in found.outlines] == ["Lungs", "Heart"]


@pytest.mark.parametrize("angle", [-18.0, 7.0, 20.0])
def test_ratio_holds_on_a_tilted_film(angle: float) -> None:
    found = anatomy_of(film(), chest(angle), WHOLE, View.PA, CARD)
    assert found.callipers is not None
    assert found.callipers.ratio() == pytest.approx(81 / 161, abs=0.02)
    assert ("ratio-tilted" in [one.code for one in found.cautions]) == (abs(angle) > 10)
    top, bottom = found.callipers.midline
    assert np.degrees(np.arctan2(top.x - bottom.x, bottom.y - top.y)) == pytest.approx(angle, abs=1.5)


def test_pixels_that_are_not_square() -> None:
    """The same chest, stored with half as many rows, each twice as high, and tilted: only mm give the ratio."""
    spacing = PixelSpacing(0.8, 0.4, SpacingSource.DETECTOR)
    image = film(512, 1024, spacing)
    found = anatomy_of(image, chest(15.0), ImageRect(0, 0, 1024, 512), View.PA, CARD)
    assert found.callipers is not None
    assert found.callipers.ratio(spacing) == pytest.approx(81 / 161, abs=0.02)


def test_mirrored_film_has_its_heart_on_the_other_side() -> None:
    found = anatomy_of(film(), chest()[:, :, ::-1].copy(), WHOLE, View.PA, CARD)
    assert found.heart_side == pytest.approx(-0.3, abs=0.06)


def test_cautions_by_view() -> None:
    def codes(view: View) -> list[str]:
        return [one.code for one in anatomy_of(film(), chest(), WHOLE, view, CARD).cautions]

    assert "ratio-ap" in codes(View.AP)
    assert "ratio-view" in codes(View.UNKNOWN)
    lateral = anatomy_of(film(), chest(), WHOLE, View.LATERAL, CARD)
    assert lateral.callipers is None
    assert [one.code for one in lateral.cautions] == ["no-ratio-view"]


def test_children_have_a_caution() -> None:
    def codes(age: float | None) -> list[str]:
        image = replace(film(), patient=PatientInfo(age_years=age))
        return [one.code for one in anatomy_of(image, chest(), WHOLE, View.PA, CARD).cautions]

    assert "ratio-child" in codes(4.0)
    assert "ratio-child" not in codes(40.0)
    assert "ratio-child" not in codes(None)


def test_chest_at_the_edge_of_the_film() -> None:
    cut = chest()[:, :, 49:207].copy()
    wide = np.stack([cv2.resize(one, (SIDE, SIDE)) for one in cut])
    found = anatomy_of(film(1024, 632), wide, ImageRect(0, 0, 632, 1024), View.PA, CARD)
    assert "ratio-cut" in [one.code for one in found.cautions]


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (np.zeros((2, SIDE, SIDE), dtype=np.float32), "No lungs"),
        (chest(right_lung=False), "Only one lung"),
        (chest() * np.array([1, 0], dtype=np.float32)[:, None, None], "No heart"),
        (chest() * np.float32(0.6), "with confidence"),
    ],
)
def test_nothing_is_measured_on_poor_outlines(maps: np.ndarray, words: str) -> None:
    found = anatomy_of(film(), maps, WHOLE, View.PA, CARD)
    assert not found.trusted
    assert found.callipers is None
    assert found.heart_side is None
    assert words in found.cautions[0].text


def test_specks_and_holes_are_cleaned() -> None:
    maps = chest()
    maps[0, 120:126, 76:84] = 0  # a hole in a lung
    maps[0, 5:9, 5:9] = 1  # a speck in a corner
    masks = clean(maps)
    assert len(masks.lungs) == 2
    assert masks.lungs[0][122, 80]
    assert not (masks.lungs[0] | masks.lungs[1])[6, 6]
    with pytest.raises(ValueError, match="expected"):
        clean(maps[:1])


def test_own_dice_is_one_where_nothing_is_in_doubt() -> None:
    sharp, doubtful = np.where(chest() > 0.5, 1.0, 0.0).astype(np.float32), chest() * np.float32(0.7)
    assert own_dice(sharp) == pytest.approx([1, 1])
    assert (own_dice(doubtful) < 0.85).all()


def test_share_of_a_map_outside() -> None:
    found = anatomy_of(film(), chest(), WHOLE, View.PA, CARD)
    inside, below = np.zeros((64, 64), dtype=np.float32), np.zeros((64, 64), dtype=np.float32)
    inside[30:34, 18:22], below[58:62, 30:34] = 1, 1
    assert outside_lungs(inside, WHOLE, found) == pytest.approx(0)
    assert outside_lungs(below, WHOLE, found) == pytest.approx(1)
    assert outside_lungs(inside + below, WHOLE, found) == pytest.approx(0.5)
    assert outside_lungs(inside * 0, WHOLE, found) is None
    assert outside_lungs(inside, WHOLE, replace(found, trusted=False)) is None
