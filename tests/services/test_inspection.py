"""What the inspector says: the chain of the film, what the reader changed, and never who the patient is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import (
    Caution,
    ImageKey,
    ModalityTable,
    OverlayPlane,
    PatientInfo,
    PixelSpacing,
    Radiograph,
    Rescale,
    Shutter,
    SpacingSource,
    StudyInfo,
    View,
    VoiWindow,
)
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.provenance import ChainStep, Stage, TagValue
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.inspection import LEFT_OUT, Inspection, LineKind, as_text, inspect
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import Pane, PaneStatus, ViewerState

# As in the Philips CR of the real films: MONOCHROME1, a window of the whole range, an impossible spacing.
CHAIN = (
    ChainStep(
        Stage.FILE,
        "The file is Computed Radiography Image Storage.",
        "PS3.3 A.2",
        (TagValue("SOPClassUID (0008,0016)", "1.2.840.10008.5.1.4.1.1.1"),),
    ),
    ChainStep(
        Stage.VOI,
        "The film opens with the window of the file.",
        "PS3.3 C.11.2.1.2",
        (TagValue("WindowCenter (0028,1050)", "15000"), TagValue("WindowWidth (0028,1051)", "30000")),
        ("VOILUTSequence (0028,3010) has a descriptor that does not fit its data.",),
    ),
    ChainStep(
        Stage.MILLIMETRES,
        "Lengths are in pixels: the file gives no spacing that can be believed.",
        "PS3.3 10.7.1",
        (TagValue("PixelSpacing (0028,0030)", "0.000\\0.000"),),
    ),
)
PATIENT = PatientInfo("4711-X", "Invented^Ida", dt.date(1960, 2, 29), "F", 44.0)
WINDOW = VoiWindow(15000, 30000, label="NORMAL")


def film(**changes: Any) -> Radiograph:
    fields: dict[str, Any] = {
        "key": ImageKey("1", "2", "3"),
        "path": Path("film.dcm"),
        "stored": np.zeros((8, 6), np.uint16),
        "bits_stored": 15,
        "photometric": "MONOCHROME1",
        "modality": "CR",
        "voi": (WINDOW,),
        "view": View.PA,
        "patient": PATIENT,
        "study": StudyInfo(dt.date(2004, 8, 26), accession_number="ACC-77"),
        "transfer_syntax": "1.2.840.10008.1.2.4.91",
        "decoder": "pylibjpeg-openjpeg",
        "chain": CHAIN,
    }
    return Radiograph(**(fields | changes))


@pytest.fixture
def opened() -> Callable[..., ViewerState]:
    """``opened(voi=...)``: the window with such a film in it."""

    def show(**changes: Any) -> ViewerState:
        image = film(**changes)
        state, effects = reduce(ViewerState(), ev.OpenImage(ImageNode(image.key, image.path), 0))
        load = next(effect for effect in effects if isinstance(effect, ev.LoadImage))
        state, _ = reduce(state, ev.ImageLoaded(0, load.generation, image))
        return state

    return show


def said(state: ViewerState, section: str, **more: Any) -> list[str]:
    found = inspect(state.pane, **({"zoom": 1.0, "with_identity": True} | more))
    return [line.text for part in found.sections if part.title.endswith(section) for line in part.lines]


def words(inspection: Inspection) -> str:
    return as_text(inspection)


# ---------------------------------------------------------------- the chain


def test_the_chain_is_told_in_its_order_with_tags_values_and_what_was_passed_over(
    opened: Callable[..., ViewerState],
) -> None:
    found = inspect(opened().pane, zoom=1.0)
    titles = [section.title for section in found.sections]
    assert titles == ["On screen now", "1  File", "2  VOI", "3  Decoder", "4  Millimetres"]
    lines = found.sections[2].lines
    assert [line.kind for line in lines] == [
        LineKind.RULE,
        LineKind.REFERENCE,
        LineKind.TAG,
        LineKind.TAG,
        LineKind.PASSED_OVER,
    ]
    assert (lines[2].name, lines[2].text) == ("WindowCenter (0028,1050)", "15000")
    text = words(found)
    assert "WindowWidth (0028,1051) = 30000" in text
    assert "\N{EN DASH} VOILUTSequence (0028,3010) has a descriptor" in text


def test_cautions_stand_first_with_their_tags(opened: Callable[..., ViewerState]) -> None:
    state = opened(cautions=(Caution("lossy", "Compressed with loss.", "LossyImageCompression (0028,2110)"),))
    first = inspect(state.pane, zoom=1.0).sections[0]
    assert first.title == "Cautions"
    assert first.lines[0].text == "Compressed with loss. [LossyImageCompression (0028,2110)]"
    assert first.lines[0].kind is LineKind.CAUTION


def test_decoder_and_transfer_syntax_are_always_named(opened: Callable[..., ViewerState]) -> None:
    assert said(opened(), "Decoder") == [
        "Decoder used: pylibjpeg-openjpeg.",
        "Transfer syntax: JPEG 2000 (1.2.840.10008.1.2.4.91).",
    ]
    step = ChainStep(Stage.DECODER, "Decoded by pylibjpeg-openjpeg 2.6.0.", "PS3.5 8.2")
    told = said(opened(chain=(*CHAIN, step)), "Decoder")
    assert told == [step.rule, step.reference, "Transfer syntax: JPEG 2000 (1.2.840.10008.1.2.4.91)."]
    assert said(opened(transfer_syntax=""), "Decoder")[-1] == "The file names no transfer syntax."
    assert "Transfer syntax: 1.2.3." in said(opened(transfer_syntax="1.2.3"), "Decoder")


def test_a_film_without_a_chain_is_described_from_what_is_known(opened: Callable[..., ViewerState]) -> None:
    table = ModalityTable(0, np.arange(16, dtype=np.uint16))
    state = opened(
        chain=(),
        modality_lut=table,
        padding=(0, 4),
        overlays=(OverlayPlane(np.zeros((2, 2), np.uint8)),),
        shutter=Shutter(rectangle=(0, 0, 4, 4)),
        patient_orientation=("L", "F"),
        frames=3,
    )
    assert said(state, "File") == ["A DICOM image, frame 1 of 3."]
    assert said(state, "Pixels") == ["6 x 8 pixels, 15 bits stored."]
    assert "table of 16 entries" in said(state, "Modality LUT")[0]
    assert said(state, "Presentation")[0] == "MONOCHROME1: low values are bright."
    assert "0 to 4" in said(state, "Pixel padding")[0]
    assert said(state, "Overlays")
    assert said(state, "Shutter")
    assert "Right edge L" in said(state, "Orientation")[0]
    assert said(state, "Millimetres") == ["Not calibrated: lengths are in pixels."]
    other = opened(chain=(), is_dicom=False, transfer_syntax="", voi=(), modality_lut=Rescale(2.0, -5.0))
    assert "not DICOM" in said(other, "File")[0]
    assert "multiplied by 2, then -5 is added" in said(other, "Modality LUT")[0]
    assert "offers none" in said(other, "VOI")[0]


# ---------------------------------------------------------------- what the reader did


def test_the_files_own_window_is_named_with_its_number(opened: Callable[..., ViewerState]) -> None:
    assert said(opened(), "On screen now")[0] == "The file's own: centre 15000, width 30000, “NORMAL”."
    second = VoiWindow(100, 50)
    state = opened(voi=(WINDOW, second))
    state, _ = reduce(state, ev.SetVoi(0, second, 1))
    assert said(state, "On screen now")[0] == "The file's own, 2 of 2: centre 100, width 50."


@pytest.mark.parametrize(
    ("voi", "start"),
    [
        (VoiWindow(90, 40), "By hand: centre 90, width 40. The file's own: centre 15000"),
        (VoiWindow(90, 40, label="Automatic"), "Automatic window over the anatomy: centre 90, width 40. The file's"),
        (None, "From the lowest to the highest value of the film"),
    ],
)
def test_a_window_of_the_readers_own_says_so(
    opened: Callable[..., ViewerState], voi: VoiWindow | None, start: str
) -> None:
    state, _ = reduce(opened(), ev.SetVoi(0, voi))
    assert said(state, "On screen now")[0].startswith(start)


def test_a_window_that_had_to_be_replaced_says_so(opened: Callable[..., ViewerState]) -> None:
    state = opened(opening=VoiWindow(5, 10, label="Automatic"))
    assert "its own shows nothing" in said(state, "On screen now")[0]


def test_polarity_position_and_hidden_layers_are_told(opened: Callable[..., ViewerState]) -> None:
    state = opened(overlays=(OverlayPlane(np.zeros((2, 2), np.uint8)),), shutter=Shutter(), padding=(0, 0))
    before = " ".join(said(state, "On screen now"))
    assert "Nothing else was changed" in before
    assert "1 overlay of the file is drawn over it." in before
    assert "shutter covers" in before
    for event in (
        ev.SetInverted(0, True),
        ev.SetOrientation(0, Orientation(1, flipped=True)),
        ev.SetLayers(0, overlays=False, shutter=False, padding=False),
    ):
        state, _ = reduce(state, event)
    told = " ".join(said(state, "On screen now"))
    assert "Nothing else was changed" not in told
    assert "Inverted by you" in told
    assert "mirrored left to right, then turned 90° clockwise" in told
    assert "overlays are hidden by you" in told
    assert "shutter is switched off by you" in told
    assert "padding is not masked" in told
    assert "drawn over" not in told


@pytest.mark.parametrize(
    ("zoom", "ratio", "part"),
    [
        (0.2, 1.0, "Zoom 20 %, fitted to its place. The screen has fewer pixels than the film: 4 x 4 stored pixels"),
        (0.2, 2.0, "2 x 2 stored pixels are averaged"),
        (0.7, 1.0, "its grey values are interpolated"),
        (1.0, 1.0, "One pixel of the screen for each stored pixel."),
        (3.0, 1.0, "Every stored pixel is shown"),
    ],
)
def test_the_zoom_says_what_becomes_of_stored_pixels(
    opened: Callable[..., ViewerState], zoom: float, ratio: float, part: str
) -> None:
    assert part in said(opened(), "On screen now", zoom=zoom, device_ratio=ratio)[-1]


def test_a_picture_file_is_not_said_to_bring_a_window(opened: Callable[..., ViewerState]) -> None:
    assert said(opened(is_dicom=False), "On screen now")[0] == "As stored: no window is applied."


def test_a_preview_says_that_it_is_one(opened: Callable[..., ViewerState]) -> None:
    assert "preview" in said(opened(preview=True), "On screen now")[0]


# ---------------------------------------------------------------- millimetres


def test_millimetres_name_their_source(opened: Callable[..., ViewerState]) -> None:
    spacing = PixelSpacing(0.2, 0.2, SpacingSource.DETECTOR)
    assert said(opened(spacing=spacing, chain=()), "Millimetres") == ["In use: 0.2 mm per pixel, at detector."]
    assert said(opened(), "Millimetres")[0].startswith("Lengths are in pixels")


def test_millimetres_of_the_reader_stand_beside_those_of_the_file(opened: Callable[..., ViewerState]) -> None:
    state = opened(spacing=PixelSpacing(0.2, 0.2, SpacingSource.DETECTOR))
    pane = state.pane
    assert pane.image is not None
    mine = PixelSpacing(0.17, 0.17, SpacingSource.USER)
    pane = replace(pane, image=replace(pane.image, spacing=mine), file_spacing=pane.image.spacing, calibrated=True)
    told = inspect(pane, zoom=1.0).sections[-1].lines
    assert told[0].text == "In use: 0.17 mm per pixel, by the reader (you measured it on this film)."
    assert [line.text for line in told[1:3]] == ["Of the file itself:", CHAIN[-1].rule]
    bare = replace(pane, image=replace(pane.image, spacing=mine, chain=()))
    told = inspect(bare, zoom=1.0).sections[-1].lines
    assert told[1].text == "The file says: 0.2 mm per pixel, at detector."


# ---------------------------------------------------------------- panes without a film


def test_panes_without_a_film_say_why() -> None:
    def text(pane: Pane) -> str:
        return words(inspect(pane, zoom=1.0))

    assert "No film is open here." in text(Pane())
    assert "being read" in text(Pane(status=PaneStatus.LOADING))
    failure = Failure(0, 1, "read", "truncated", "The file is truncated.", "Copy it again.")
    told = text(Pane(status=PaneStatus.FAILED, failure=failure))
    assert "The file is truncated." in told
    assert "Copy it again." in told


# ---------------------------------------------------------------- identity


def test_the_title_never_names_a_person_and_gives_the_day_only_on_request(opened: Callable[..., ViewerState]) -> None:
    pane = opened().pane
    assert inspect(pane, zoom=1.0, with_identity=True).title == "PA · CR · 2004-08-26"
    assert inspect(pane, zoom=1.0).title == "PA · CR · 2004"


def test_what_is_copied_holds_nothing_of_the_patient(opened: Callable[..., ViewerState]) -> None:
    chain = (
        ChainStep(
            Stage.FILE,
            "Exported for Ida Invented, 4711-X, born 19600229.",
            "",
            (
                TagValue("PatientName (0010,0010)", "Invented^Ida"),
                TagValue("SOPInstanceUID (0008,0018)", "1.2.3.4.5"),
                TagValue("Rows (0028,0010)", "8"),
            ),
            ("The window of INVENTED was passed over, see ACC-77.",),
        ),
    )
    label = VoiWindow(1, 2, label="for Ida")
    state = opened(chain=chain, voi=(label,), cautions=(Caution("x", "Film of Invented."),))
    copied = words(inspect(state.pane, zoom=1.0))
    for secret in ("Ida", "Invented", "INVENTED", "4711", "19600229", "1.2.3.4.5", "ACC-77", "08-26"):
        assert secret not in copied
    assert "Rows (0028,0010) = 8" in copied
    shown = words(inspect(state.pane, zoom=1.0, with_identity=True))
    assert "PatientName (0010,0010) = Invented^Ida" in shown


def test_a_name_that_is_an_ordinary_word_is_taken_out_of_quotations_only(opened: Callable[..., ViewerState]) -> None:
    state = opened(patient=PatientInfo("", "White^Ida"), voi=(VoiWindow(1, 2, label="for White, Ida"),))
    state, _ = reduce(state, ev.SetInverted(0, True))
    copied = words(inspect(state.pane, zoom=1.0))
    assert "black and white are exchanged" in copied
    assert f"“for {LEFT_OUT}, {LEFT_OUT}”" in copied


def test_a_short_name_leaves_ordinary_words_alone(opened: Callable[..., ViewerState]) -> None:
    state = opened(patient=PatientInfo("", "Li^A"))
    assert "The file's own" in words(inspect(state.pane, zoom=1.0))


def test_control_characters_of_a_file_do_not_reach_the_text(opened: Callable[..., ViewerState]) -> None:
    step = ChainStep(Stage.VOI, "A rule.", "", (TagValue("WindowWidth (0028,1051)", "30\x1b[31m\n00\u202e"),))
    assert "WindowWidth (0028,1051) = 30[31m 00\n" in words(inspect(opened(chain=(step,)).pane, zoom=1.0))
