"""What the model saw, and how far its maps may be believed, as the reader meets it on screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.display import DisplayState, OverlayMode, OverlayState
from cxr_viewer.core.findings import (
    AnalysisResult,
    Finding,
    Heatmap,
    InputSpec,
    MapEvidence,
    MapScale,
    MapTrust,
    ModelCard,
    Saw,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect, Orientation
from cxr_viewer.core.image import PixelSpacing, Radiograph, SpacingSource
from cxr_viewer.imaging.render import render_picture
from cxr_viewer.imaging.structures import structure_colour
from cxr_viewer.inference.preprocess import see
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import default_display
from cxr_viewer.services.state import AnalysisStatus, CornerText
from cxr_viewer.ui import film_text
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.corner_text import legend_lines
from cxr_viewer.ui.findings_panel import FindingsPanel
from cxr_viewer.ui.saw_picture import film_image, input_image
from cxr_viewer.ui.saw_window import SawWindow

FUJI = "cr_barre_fuji_pa_mono1_10bit.dcm"
WHOLE = ImageRect(0, 0, 400, 400)
ANATOMY = ("Right Lung", "Left Lung", "Heart")
Pixels = Callable[[QWidget], Any]


@pytest.fixture
def film(make_film: Callable[..., Radiograph]) -> Radiograph:
    return make_film(np.full((400, 400), 90, np.uint8), spacing=PixelSpacing(0.5, 0.5, SpacingSource.DETECTOR))


@pytest.fixture
def card() -> ModelCard:
    evidence = MapEvidence("Effusion", "Grad-CAM", 21 / 34, 0.4, 0.8, 15 / 34, 0.3, 0.2, 34, "NIH boxes", False)
    return ModelCard(
        model_id="m",
        name="Model",
        version="1",
        network="n",
        sha256="0" * 64,
        licence="MIT",
        labels=(),
        score_kind=ScoreKind.UNCALIBRATED,
        input=InputSpec(64, "pad", False, 0.5, 0.25),
        temperature=1.0,
        bias=0.0,
        intended_ages=None,
        intended_views=(),
        intended_use="Tests only.",
        trained_on="nothing",
        map_evidence=(evidence,),
    )


@pytest.fixture
def panel(qtbot: QtBot) -> FindingsPanel:
    made = FindingsPanel((), ("auto",), ("Grad-CAM",), lambda card, head: ("Grad-CAM",))
    qtbot.addWidget(made)
    made.resize(320, 760)
    with qtbot.waitExposed(made):
        made.show()
    return made


def answered(session: Any, film: Radiograph, overlay: OverlayState | None = None, **changes: Any) -> None:
    """The film of the first pane with an answer about it, as the session would hold it."""
    grey = np.random.default_rng(5).integers(0, 256, (64, 64), np.uint8)
    fields: dict[str, Any] = {"findings": (), "heatmaps": (), "seen": WHOLE, "saw": Saw(grey, True, 0.02)}
    fields |= changes
    result = AnalysisResult(0, 0, film.key, "m", "Model", "1", "0" * 64, device="CPU", elapsed_s=0.1, **fields)
    pane = session.state.panes[0]
    findings = fields["findings"]
    pane = replace(
        pane,
        result=result,
        analysis=AnalysisStatus.READY,
        selected=findings[0].label if findings else None,
        display=replace(pane.display, overlay=overlay or OverlayState()),
    )
    session.show(replace(session.state, panes=(pane, *session.state.panes[1:])))


def findings_and_maps(trust: MapTrust) -> dict[str, Any]:
    findings = tuple(Finding(label, 0.9, ScoreKind.UNCALIBRATED, 0.5) for label in ("Effusion", "Mass"))
    maps = tuple(Heatmap(f.label, np.ones((4, 4), np.float32), WHOLE, trust=trust) for f in findings)
    return {"findings": findings, "heatmaps": maps}


def disc(label: str, x: float, y: float, radius: float) -> Heatmap:
    rows, columns = np.mgrid[:200, :200] * 2.0 + 1.0
    values = 1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius) / 4))
    return Heatmap(label, values.astype(np.float32), WHOLE, "Segmentation", MapScale.PROBABILITY)


def grey_of(picture: QImage) -> NDArray[np.uint8]:
    ready = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    flat = np.frombuffer(ready.constBits(), np.uint8).reshape(ready.height(), ready.bytesPerLine())
    return flat[:, : ready.width()].copy()


# ---------------------------------------------------------------- the picture


def test_the_section_opens_with_the_picture_and_says_what_it_is(
    panel: FindingsPanel, new_session: Any, film: Radiograph, qtbot: QtBot
) -> None:
    session = new_session(panel)
    session.open(film)
    answered(session, film, seen=ImageRect(24, 40, 376, 360))
    saw = panel.saw
    assert not saw.picture.isVisible()
    assert not saw.words.isVisible()
    qtbot.mouseClick(saw.header, Qt.MouseButton.LeftButton)
    assert session.sent(ev.SetShowSeen) == [ev.SetShowSeen(True)]
    assert saw.picture.isVisible()
    words = saw.words.text().replace("\N{NO-BREAK SPACE}", " ")
    for wanted in (
        "Model: Model 1.",
        "Input: 64 x 64 pixels, grey.",
        "85 % of the film: 1.2 cm at the left and 2.0 cm at the top were cut away.",
        "one pixel of the model is 2.9 x 2.8 mm of the film",
        "stored with bone dark; given to the model with bone bright",
        "2 % of it is as dark or as bright",
    ):
        assert wanted in words, wanted
    qtbot.mouseClick(saw.header, Qt.MouseButton.LeftButton)
    assert not session.state.show_seen
    assert not saw.picture.isVisible()


def test_without_an_answer_the_section_says_so(panel: FindingsPanel, new_session: Any, film: Radiograph) -> None:
    session = new_session(panel)
    session.open(film)
    session.dispatch(ev.SetShowSeen(True))
    assert "No model has looked" in panel.saw.words.text()
    assert not panel.saw.picture.isVisible()
    answered(session, film, saw=None)
    assert "not kept" in panel.saw.words.text()


def test_the_picture_is_the_input_pixel_for_pixel() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (61, 61), np.uint8)  # rows that do not fill whole words
    np.testing.assert_array_equal(grey_of(input_image(Saw(grey))), grey)


def test_the_films_own_part_is_cut_where_the_model_looked(
    make_film: Callable[..., Radiograph],
) -> None:
    stored = np.random.default_rng(2).integers(0, 256, (120, 90), np.uint8)
    film = make_film(stored)
    turned = DisplayState(orientation=Orientation(1, True))
    whole = render_picture(film, None, False)
    np.testing.assert_array_equal(grey_of(film_image(film, turned, ImageRect(10, 20, 70, 90))), whole[20:110, 10:80])
    padded = grey_of(film_image(film, turned, ImageRect(-15, 0, 120, 120)))
    np.testing.assert_array_equal(padded[:, 15:105], whole)
    assert not padded[:, :15].any()
    assert not padded[:, 105:].any()


def test_a_real_film_and_its_input_show_the_same_part(real_film: Callable[[str], Radiograph]) -> None:
    """The part of the film, made as small as the input, goes with the input's greys."""
    film = real_film(FUJI)
    for fit in ("pad", "crop", "stretch"):
        told = see(film, InputSpec(96, fit, False, 0.5, 0.25))
        part = grey_of(film_image(film, default_display(film), told.seen))
        small = cv2.resize(part, (96, 96), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(small.ravel(), told.saw.picture.ravel())[0, 1] > 0.9


def test_the_window_compares_film_and_input_and_follows_the_pane(
    qtbot: QtBot, new_session: Any, film: Radiograph, panel: FindingsPanel, hand: Any
) -> None:
    window = SawWindow()
    qtbot.addWidget(window)
    session = new_session(panel)
    session.open(film)
    answered(session, film)
    window.show_state(session.state)
    window.switch()
    assert window.isVisible()
    assert "Input: 64" in window.words.text()
    place = window.film.place()
    at = (place.left() + 0.25 * place.width(), place.top() + 0.75 * place.height())
    hand.move(window.film, at, Qt.MouseButton.NoButton)
    crossed = window.input.grab().toImage()
    hand.send(window.film, QEvent.Type.Leave, at, Qt.MouseButton.NoButton, Qt.MouseButton.NoButton)
    QApplication.sendEvent(window.film, QEvent(QEvent.Type.Leave))
    changed = grey_of(crossed).astype(int) - grey_of(window.input.grab().toImage()) != 0
    there = window.input.place()
    assert changed.sum(axis=0).argmax() == pytest.approx(there.left() + 0.25 * there.width(), abs=2)
    assert changed.sum(axis=1).argmax() == pytest.approx(there.top() + 0.75 * there.height(), abs=2)
    session.dispatch(ev.SetOrientation(0, Orientation(1)))
    window.show_state(session.state)
    assert "turned 90" in window.note.text()
    session.dispatch(ev.ClosePane(0))
    window.show_state(session.state)
    assert "no picture" in window.note.text()
    assert not window.input.isVisible()
    window.switch()
    assert not window.isVisible()


# ---------------------------------------------------------------- hatching and badges on the film


def test_strips_are_hatched_while_the_reader_asks_what_was_seen(
    canvas: CanvasGrid, new_session: Any, film: Radiograph, screen_pixels: Pixels
) -> None:
    session = new_session(canvas)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    answered(session, film, seen=ImageRect(0, 60, 400, 340))
    port = canvas.view(0).viewport()
    plain = screen_pixels(port).astype(int)
    session.dispatch(ev.SetShowSeen(True))
    change = np.abs(screen_pixels(port) - plain).max(axis=2)
    left, top = 120, 60
    assert 0.05 < (change[top + 5 : top + 55, left : left + 400] > 4).mean() < 0.5
    assert not change[top + 60 : top + 380, left : left + 400].any()
    session.dispatch(ev.SetShowSeen(False))
    np.testing.assert_array_equal(screen_pixels(port), plain)
    session.dispatch(ev.SetShowSeen(True))
    session.dispatch(ev.ClosePane(0))
    assert "hatched" not in str(legend_lines(session.state.pane, True))


@pytest.mark.parametrize("trust", MapTrust)
def test_the_badge_is_on_the_film_and_in_the_row_while_the_map_is_shown(
    canvas: CanvasGrid,
    panel: FindingsPanel,
    new_session: Any,
    film: Radiograph,
    card: ModelCard,
    trust: MapTrust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = new_session(canvas, panel)
    session.show(replace(session.state, cards=(card,), model_id="m"))
    session.open(film)
    written: list[str] = []
    real = film_text.outlined
    monkeypatch.setattr(
        film_text, "outlined", lambda p, at, text, *rest: (written.append(text), real(p, at, text, *rest))
    )
    answered(session, film, **findings_and_maps(trust))
    canvas.grab()
    assert not any("map" in text for text in written)
    assert "map" not in panel._bars.accessibleDescription()
    plain_height, whole_height = panel._bars.place_of("Effusion").height(), panel._bars.sizeHint().height()
    session.dispatch(ev.SetOverlay(0, visible=True))
    canvas.grab()
    badge = "" if trust is MapTrust.RELIABLE else trust.value
    assert any(badge in text for text in written) is True
    assert ("map not" in " ".join(written)) is bool(badge)
    assert (f"Effusion: {badge}." in panel._bars.accessibleDescription()) is bool(badge)
    assert (panel._bars.place_of("Effusion").height() > plain_height) is bool(badge)
    assert panel._bars.sizeHint().height() == whole_height  # what stands below the rows has not moved


def test_the_tooltip_of_a_row_has_the_figures(
    panel: FindingsPanel, new_session: Any, film: Radiograph, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda at, text, widget: shown.append(text))
    session = new_session(panel)
    session.show(replace(session.state, cards=(card,), model_id="m"))
    session.open(film)
    answered(session, film, OverlayState("Effusion"), **findings_and_maps(MapTrust.NOT_RELIABLE))
    bars = panel._bars
    badge, second = bars.place_of("Effusion").bottom() - 2, bars.place_of("Mass").center().y()
    for at in (QPoint(40, badge), QPoint(40, second)):  # the badge belongs to the first row; the second has no figures
        QApplication.sendEvent(bars, QHelpEvent(QEvent.Type.ToolTip, at, bars.mapToGlobal(at)))
    assert "hottest point inside the box on 21 of 34 films (NIH boxes); a fixed point: 15." in shown[0]
    assert shown[0].startswith("Effusion")
    assert shown[1].startswith("Mass")
    assert "34" not in shown[1]


@pytest.mark.parametrize("grey", [0, 120, 255])
def test_the_badge_is_read_on_any_film_and_without_colour(
    canvas: CanvasGrid, new_session: Any, make_film: Callable[..., Radiograph], screen_pixels: Pixels, grey: int
) -> None:
    """Its letters stand out from the plate behind them by lightness alone, whatever the film."""
    film = make_film(np.full((400, 400), grey, np.uint8), bits_stored=8)
    session = new_session(canvas)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    empty = (Heatmap("Effusion", np.zeros((4, 4), np.float32), WHOLE, trust=MapTrust.NOT_RELIABLE),)
    finding = (Finding("Effusion", 0.9, ScoreKind.UNCALIBRATED, 0.5),)
    answered(session, film, OverlayState("Effusion"), findings=finding, heatmaps=empty)
    lines = legend_lines(session.state.pane, False)
    assert [line.text for line in lines] == ["Effusion \N{MIDDLE DOT} Grad-CAM", "\N{WARNING SIGN} map not reliable"]
    shown = screen_pixels(canvas.view(0).viewport()).astype(float) @ (0.299, 0.587, 0.114)
    corner = shown[-110:-20, -170:]
    plates = [row for row in corner if (row < 40).sum() > 60]  # dark from end to end, but for letters
    assert len(plates) >= 10
    assert max(row.max() for row in plates) > 140


# ---------------------------------------------------------------- structures


def test_each_structure_has_a_tick_and_its_outline_lies_on_it(
    canvas: CanvasGrid,
    panel: FindingsPanel,
    new_session: Any,
    film: Radiograph,
    screen_pixels: Pixels,
    orientation: Orientation,
) -> None:
    session = new_session(canvas, panel)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    session.dispatch(ev.SetOrientation(0, orientation))
    places = {"Right Lung": (120, 160, 60), "Left Lung": (280, 160, 60), "Heart": (230, 300, 50)}
    maps = tuple(disc(label, *where) for label, where in places.items())
    answered(session, film, heatmaps=maps)
    assert list(panel.structures.checks) == list(places)
    assert not panel._overlay.isVisible()
    assert panel._bars.sizeHint().height() == 0
    for label in ("Heart", "Left Lung"):
        panel.structures.checks[label].click()
    assert [one.label for one in session.state.pane.outlines] == ["Left Lung", "Heart"]
    shown = screen_pixels(canvas.view(0).viewport()).astype(int)
    placement = canvas.view(0).placement
    assert placement is not None
    for label, (x, y, radius) in places.items():
        of_colour = (np.abs(shown - structure_colour(label, ANATOMY)).max(axis=2) < 12).nonzero()
        if label == "Right Lung":
            assert of_colour[0].size == 0
            continue
        middle = placement.matrix @ (x, y, 1.0)
        away = np.hypot(of_colour[1] + 0.5 - middle[0], of_colour[0] + 0.5 - middle[1])
        on_line = np.abs(away - radius) < 2.0
        assert on_line.sum() > 4 * radius  # most of the way round
        assert (away > radius - 2).all()  # the name is written outside


def test_everything_and_nothing_is_outlined_by_one_press(
    panel: FindingsPanel, new_session: Any, film: Radiograph
) -> None:
    session = new_session(panel)
    session.open(film)
    answered(session, film, heatmaps=tuple(disc(label, 200, 200, 50) for label in ANATOMY))
    session.dispatch(ev.SetOverlay(0, visible=True))
    assert all(box.isChecked() for box in panel.structures.checks.values())
    session.dispatch(ev.SetOverlay(0, visible=False))
    assert not any(box.isChecked() for box in panel.structures.checks.values())
    answered(session, film, **findings_and_maps(MapTrust.RELIABLE))
    assert not panel.structures.isVisible()
    assert panel._overlay.isVisible()


@pytest.mark.parametrize("cells", [7, 32, 224])
def test_contours_lie_on_the_map_however_fine_it_is(
    canvas: CanvasGrid, new_session: Any, film: Radiograph, screen_pixels: Pixels, cells: int
) -> None:
    rows, columns = (np.mgrid[:cells, :cells] + 0.5) * (400 / cells)
    values = np.clip(1 - np.hypot(columns - 200, rows - 200) / 200, 0, 1).astype(np.float32)
    session = new_session(canvas)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    plain = screen_pixels(canvas.view(0).viewport()).astype(int)
    finding = (Finding("Mass", 0.9, ScoreKind.UNCALIBRATED, 0.5),)
    overlay = OverlayState("Mass", 0.6, 0.5, OverlayMode.CONTOUR)
    answered(session, film, overlay, findings=finding, heatmaps=(Heatmap("Mass", values, WHOLE),))
    change = np.abs(screen_pixels(canvas.view(0).viewport()) - plain).max(axis=2)[65:380, 125:515]
    ys, xs = np.nonzero(change > 60)
    away = np.hypot(xs + 125.5 - 320, ys + 65.5 - 260)
    coarse = 0.3 * 400 / cells
    for radius in (100.0, 50.0):  # levels 0.50 and 0.75
        assert (np.abs(away - radius) < 3 + coarse).sum() > 3 * radius
    assert (np.minimum(np.abs(away - 100), np.abs(away - 50)) < 4 + coarse).all()
