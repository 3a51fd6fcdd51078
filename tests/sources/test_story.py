"""The chain of a film, step by step: that it says what was done, of every real file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cxr_viewer.core.image import Radiograph, Rescale, SpacingSource, VoiTable
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.imaging import luts
from cxr_viewer.sources.story import MOST_PASSED_OVER, Story

Film = Callable[..., Radiograph]
ReadPath = Callable[[Path], Radiograph]

ENHANCED_XA = "1.2.840.10008.5.1.4.1.1.12.1.1"


def step(film: Radiograph, stage: Stage) -> ChainStep:
    (found,) = [each for each in film.chain if each.stage is stage]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "dicom/syn_dx_canon_multiwindow.dcm",
        "dicom/syn_dx_canon_voilutsequence3.dcm",
        "dicom/syn_dx_canon_sigmoid_window.dcm",
        "dicom/syn_dx_canon_imagerspacing_only_magnification.dcm",
        "dicom/syn_dx_canon_nospacing.dcm",
        "dicom/cr_barre_fuji_pa_mono1_10bit.dcm",
        "dicom/cr_rsna_pa_normal2_jpegbaseline.dcm",
        "dicom-other/cr_dental_panoramic_modalitylut.dcm",
        "dicom-other/ct_small.dcm",
        "dicom-other/us_ybr_multiframe.dcm",
        "hostile/slope_zero.dcm",
    ],
)
def test_every_step_says_what_was_done(name: str, need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    film = read_path(need_data(name))
    assert [each.stage for each in film.chain] == list(Stage)
    for each in film.chain:
        for sentence in (each.rule, *each.passed_over):
            assert sentence.endswith(".")
            assert sentence[0].isupper() or sentence[0].isdigit()
            assert sentence.isprintable()
        assert each.reference or each.stage is Stage.DECODER
        assert all(tag.name.endswith(")") for tag in each.tags)
    assert film.decoder in step(film, Stage.DECODER).rule or film.decoder == "numpy"
    assert f"{film.columns} x {film.rows}" in step(film, Stage.PIXELS).rule
    assert f"{film.bits_stored} bits" in step(film, Stage.PIXELS).rule
    _check_chain(film)


def _check_chain(film: Radiograph) -> None:
    modality, voi = step(film, Stage.MODALITY).rule, step(film, Stage.VOI).rule
    if isinstance(film.modality_lut, Rescale):
        as_they_are = film.modality_lut == Rescale()
        assert ("as they are" in modality) == as_they_are
        assert as_they_are or f"{film.modality_lut.slope:g}" in modality
    else:
        assert f"table of {film.modality_lut.values.size} entries" in modality
    default = film.voi[0] if film.voi else None
    if isinstance(default, VoiTable):
        assert f"{default.values.size} entries" in voi
    elif default is not None and film.rgb is None:
        assert f"centre {default.center:g}, width {default.width:g}, {default.function.value}" in voi
    offered = [text for text in step(film, Stage.VOI).passed_over if text.startswith("Also offered")]
    assert len(offered) == max(0, len(film.voi) - 1)
    assert ("exchanged" in step(film, Stage.PRESENTATION).rule) == luts.inverts(film)
    source = None if film.spacing is None else film.spacing.source
    millimetres = step(film, Stage.MILLIMETRES).rule
    assert ("in pixels" in millimetres) == (source is None)
    assert source is None or source.value in millimetres


def test_the_magnification_is_named(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    film = read_path(need_data("dicom/syn_dx_canon_imagerspacing_only_magnification.dcm"))
    assert film.spacing is not None
    assert film.spacing.source is SpacingSource.MAGNIFICATION_CORRECTED
    told = step(film, Stage.MILLIMETRES)
    assert "divided by the magnification" in told.rule
    assert "EstimatedRadiographicMagnificationFactor (0018,1114)" in [tag.name for tag in told.tags]


def test_values_stand_as_in_the_file(film: Film) -> None:
    image = film(WindowCenter=["2048.50", "100"], WindowWidth=["4096", "1e2"], PixelPaddingValue=4095)
    tags = {tag.name: tag.value for each in image.chain for tag in each.tags}
    assert tags["WindowCenter (0028,1050)"] == "2048.50\\100"
    assert tags["WindowWidth (0028,1051)"] == "4096\\1e2"
    assert tags["PixelPaddingValue (0028,0120)"] == "4095"
    assert tags["BitsStored (0028,0101)"] == "12"


@pytest.mark.parametrize(
    ("elements", "stage", "passed_over"),
    [
        ({"RescaleSlope": 0}, Stage.MODALITY, "The rescale is left out: RescaleSlope (0028,1053) is impossible."),
        (
            {"WindowCenter": [5, 9], "WindowWidth": [0, 8]},
            Stage.VOI,
            "Window 1 is left out: WindowWidth (0028,1051) is impossible.",
        ),
        (
            {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"},
            Stage.VOI,
            "The windows are left out: their function is unknown.",
        ),
        (
            {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
            Stage.PRESENTATION,
            "That MONOCHROME1 asks for the contrary is passed over: the shape decides.",
        ),
        (
            {"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]},
            Stage.MILLIMETRES,
            "PixelSpacing (0028,0030) is impossible and is passed over.",
        ),
        ({"BitsStored": 17}, Stage.PIXELS, "Bits Stored is impossible and is passed over."),
    ],
)
def test_what_was_passed_over_is_told(elements: dict[str, Any], stage: Stage, passed_over: str, film: Film) -> None:
    assert passed_over in step(film(**elements), stage).passed_over


def test_the_groups_of_a_frame_are_named(film: Film) -> None:
    measures, outer = Dataset(), Dataset()
    measures.PixelSpacing = [0.25, 0.25]
    outer.PixelMeasuresSequence = [measures]
    image = film(SOPClassUID=ENHANCED_XA, PixelSpacing=[9, 9], SharedFunctionalGroupsSequence=[outer], NumberOfFrames=1)
    told = step(image, Stage.MILLIMETRES)
    assert told.rule.startswith("Taken from the functional groups of frame 1. A pixel is 0.25 mm")
    assert told.passed_over[0].startswith("What the top level says is passed over")
    assert "functional groups" in step(image, Stage.FILE).rule


def test_the_side_of_a_frame(film: Film) -> None:
    anatomy, outer = Dataset(), Dataset()
    anatomy.FrameLaterality = "L"
    outer.FrameAnatomySequence = [anatomy]
    assert film(SOPClassUID=ENHANCED_XA, SharedFunctionalGroupsSequence=[outer]).laterality == "L"


def test_a_thousand_windows_do_not_fill_the_inspector(film: Film) -> None:
    image = film(WindowCenter=list(range(60)), WindowWidth=[9] * 60)
    assert len(step(image, Stage.VOI).passed_over) == MOST_PASSED_OVER


def test_what_is_told_twice_is_joined() -> None:
    story = Story()
    story.tell(Stage.VOI, "One.", "PS3.3 A")
    story.pass_over(Stage.FILE, "Other.")
    story.tell(Stage.VOI, "Two.", "PS3.3 B")
    file, voi = story.steps()
    assert (file.stage, file.rule, file.passed_over) == (Stage.FILE, "", ("Other.",))
    assert (voi.rule, voi.reference) == ("One. Two.", "PS3.3 A, PS3.3 B")


def test_raster_pictures_have_a_short_story(tmp_path: Path, read_path: ReadPath) -> None:
    import cv2

    assert cv2.imwrite(str(tmp_path / "grey.png"), np.arange(64, dtype=np.uint8).reshape(8, 8))
    film = read_path(tmp_path / "grey.png")
    assert step(film, Stage.FILE).rule == "The file is a PNG picture, not DICOM."
    assert "full range" in step(film, Stage.VOI).rule


def test_a_film_that_opens_with_another_window_says_so(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    film = read_path(need_data("hostile/slope_neg.dcm"))
    assert film.opening is not None
    told = step(film, Stage.VOI)
    assert told.rule.startswith("The film opens with an automatic window (centre ")
    assert told.passed_over[0].startswith("The file asks for the window (centre 550, width 1024, SIGMOID)")


@pytest.mark.parametrize(
    ("elements", "stage", "sentence"),
    [
        ({}, Stage.VOI, "The file holds no window and no table"),
        ({"WindowCenter": 5, "WindowWidth": 0}, Stage.VOI, "No window or table of the file can be used"),
        ({"WindowCenter": [5, 9], "WindowWidth": [0, 4000]}, Stage.VOI, "the only one in the file that can be used"),
        ({}, Stage.PRESENTATION, "which names no Presentation LUT Shape"),
        ({"PresentationLUTShape": "ODD"}, Stage.PRESENTATION, "whose presentation cannot be used"),
        ({}, Stage.MILLIMETRES, "the file gives no spacing."),
        ({"PixelSpacing": [0, 0]}, Stage.MILLIMETRES, "the file gives no spacing that can be believed."),
        ({}, Stage.OVERLAYS, "The file holds no overlays."),
    ],
)
def test_what_is_absent_is_told_from_what_cannot_be_used(
    elements: dict[str, Any], stage: Stage, sentence: str, film: Film
) -> None:
    assert sentence in step(film(**elements), stage).rule
