from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ScoreKind
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Caution, Radiograph, VoiWindow
from cxr_viewer.core.jobs import Failure
from cxr_viewer.imaging import render
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, CornerText, Layout, PaneStatus
from cxr_viewer.ui.canvas import CanvasGrid

CANON = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
FUJI = "cr_barre_fuji_pa_mono1_10bit.dcm"
NIH = "dx_nih_00002527_nodule_f37.dcm"

RealFilm = Callable[[str], Radiograph]
Pixels = Callable[[QWidget], Any]


@pytest.fixture
def session(canvas: CanvasGrid, new_session: Any) -> Any:
    return new_session(canvas)


def port(canvas: CanvasGrid, pane: int = 0) -> QWidget:
    return canvas.view(pane).viewport()


def one_to_one(session: Any, film: Radiograph, orientation: Orientation = Orientation()) -> None:
    width, height = orientation.display_size(film.rows, film.columns)
    session.dispatch(ev.SetOrientation(0, orientation))
    session.dispatch(ev.SetView(0, 1.0, Point(0.45 * width, 0.55 * height)))


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("name", [FUJI, CANON, NIH])
def test_at_one_to_one_the_screen_shows_the_films_own_pixels(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels, orientation: Orientation, name: str
) -> None:
    film = real_film(name)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    one_to_one(session, film, orientation)
    shown = screen_pixels(port(canvas))
    placement = canvas.view(0).placement
    assert placement is not None
    whole = render.oriented(render.render_grey(film, session.state.pane.display.voi, False), orientation)
    left, top, right, bottom = (round(edge) for edge in placement.film_on_widget())
    x0, x1 = max(left, 40), min(right, 500)  # free of letters, badge and scale bar
    y0, y1 = max(top, 60), min(bottom, 420)
    wanted = whole[y0 - top : y1 - top, x0 - left : x1 - left]
    assert wanted.size > 100_000
    for channel in range(3):
        np.testing.assert_array_equal(shown[y0:y1, x0:x1, channel], wanted)


def test_a_film_opens_fitted_in_the_files_own_window(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    film = real_film(CANON)
    session.open(film)
    screen_pixels(port(canvas))
    placement = canvas.view(0).placement
    assert placement is not None
    left, top, right, bottom = placement.film_on_widget()
    assert bottom - top == pytest.approx(520)
    assert 0 < left < right < 640
    canvas.resize(400, 520)
    screen_pixels(port(canvas))
    placement = canvas.view(0).placement
    assert placement is not None
    assert placement.film_on_widget()[2] == pytest.approx(400)


def test_around_an_inverted_film_it_stays_black(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    session.open(real_film(FUJI))
    session.dispatch(ev.SetInverted(0, True))
    session.dispatch(ev.SetView(0, 0.5, None))
    shown = screen_pixels(port(canvas))
    assert not shown[130:400, :180].any()
    assert shown[200:320, 250:400].all()


def test_no_old_pixel_survives_the_next_film(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels, make_film: Callable[..., Radiograph]
) -> None:
    session.open(real_film(NIH))
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    assert screen_pixels(port(canvas))[100:400, 200:450].mean() > 30
    session.begin_open(make_film(np.zeros((50, 50), np.uint8)))
    assert not screen_pixels(port(canvas)).any()  # and no "Reading…" yet, so that fast answers do not flicker


def test_a_failed_film_leaves_words_and_no_pixels(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    session.open(real_film(NIH))
    load = session.begin_open(real_film(FUJI))
    failure = Failure(0, load.generation, "read", "no-pixel-data", "The file holds no picture.", "Choose another file.")
    session.dispatch(ev.LoadFailed(failure))
    assert session.state.pane.status is PaneStatus.FAILED
    shown = screen_pixels(port(canvas))
    assert shown[200:320, 150:500].any()
    assert not shown[:150].any()
    assert not shown[380:].any()
    assert "holds no picture. Choose another" in canvas.view(0).accessibleDescription()
    assert canvas.grab_view(0).isNull()


def test_reading_is_mentioned_only_after_a_while(
    qtbot: QtBot, canvas: CanvasGrid, session: Any, screen_pixels: Pixels, make_film: Callable[..., Radiograph]
) -> None:
    assert screen_pixels(port(canvas)).any()  # "Drop a film here"
    session.begin_open(make_film(np.zeros((50, 50), np.uint8)))
    assert not screen_pixels(port(canvas)).any()
    qtbot.waitUntil(lambda: bool(screen_pixels(port(canvas)).any()), timeout=3000)


def with_heatmap(session: Any, film: Radiograph, mode: OverlayMode = OverlayMode.COLOUR) -> None:
    values = np.zeros((8, 8), np.float32)
    values[2:4, 4:6] = 1.0
    whole = ImageRect(0, 0, film.columns, film.rows)
    finding = Finding("Mass", 0.9, ScoreKind.CALIBRATED, 0.5)
    heatmaps = (Heatmap("Mass", values, whole),)
    result = AnalysisResult(0, 0, film.key, "m", "Model", "1", "0", (finding,), heatmaps, whole, "CPU", 0.1)
    pane = session.state.panes[0]
    display = replace(pane.display, overlay=OverlayState("Mass", 0.6, 0.2, mode))
    pane = replace(pane, result=result, analysis=AnalysisStatus.READY, selected="Mass", display=display)
    session.show(replace(session.state, panes=(pane, *session.state.panes[1:])))


@pytest.mark.parametrize("mode", list(OverlayMode))
def test_the_heat_map_lies_on_the_pixels_it_is_about(
    canvas: CanvasGrid,
    session: Any,
    real_film: RealFilm,
    screen_pixels: Pixels,
    orientation: Orientation,
    mode: OverlayMode,
) -> None:
    film = real_film(NIH)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetOrientation(0, orientation))
    with_heatmap(session, film, mode)
    shown = screen_pixels(port(canvas)).astype(int)
    placement = canvas.view(0).placement
    assert placement is not None
    colour = shown.max(axis=2) - shown.min(axis=2)
    film_part = np.zeros_like(colour)
    film_part[30:435, 60:580] = colour[30:435, 60:580]  # without the legend
    ys, xs = np.nonzero(film_part > 60)
    wanted = placement.to_widget(Point(film.columns * 5 / 8, film.rows * 3 / 8))
    assert (xs.min() + xs.max()) / 2 == pytest.approx(wanted.x, abs=3)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(wanted.y, abs=3)


def test_what_the_model_has_not_seen_is_hatched_and_the_rest_is_not(
    canvas: CanvasGrid, session: Any, make_film: Callable[..., Radiograph], screen_pixels: Pixels
) -> None:
    film = make_film(np.full((400, 400), 90, np.uint8))
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    plain = screen_pixels(port(canvas)).astype(int)
    with_heatmap(session, film)
    pane = session.state.pane
    empty = Heatmap("Mass", np.zeros((2, 2), np.float32), ImageRect(0, 0, 400, 400))
    result = replace(pane.result, heatmaps=(empty,), seen=ImageRect(100, 80, 200, 150))
    session.show(replace(session.state, panes=(replace(pane, result=result), *session.state.panes[1:])))
    changed = np.abs(screen_pixels(port(canvas)) - plain).max(axis=2) > 8
    left, top = 120, 60  # of the film on the widget
    assert not changed[top + 80 : top + 230, left + 100 : left + 300].any()
    assert not changed[:, :left].any()
    for part in (changed[top + 5 : top + 75, left : left + 400], changed[top + 80 : top + 230, left : left + 95]):
        assert 0.05 < part.mean() < 0.5


def test_a_map_says_whose_it_is_even_when_the_corners_are_hidden(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    film = real_film(NIH)
    session.open(film)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 0.2, None))
    before = screen_pixels(port(canvas))[420:490, 480:].astype(int)
    with_heatmap(session, film)
    session.dispatch(ev.SetView(0, 0.2, None))
    legend = screen_pixels(port(canvas))[420:490, 480:].astype(int)
    assert np.abs(legend - before).max(axis=2).sum() > 5000
    assert (legend.max(axis=2) - legend.min(axis=2)).max() > 100  # the colour bar


def test_research_use_only_is_always_there(
    canvas: CanvasGrid, session: Any, make_film: Callable[..., Radiograph], screen_pixels: Pixels
) -> None:
    session.open(make_film(np.zeros((64, 64), np.uint8), is_dicom=False))
    for how_much in CornerText:
        session.dispatch(ev.SetCornerText(how_much))
        assert screen_pixels(port(canvas))[503:520, 260:380].any()


def test_the_heat_map_goes_with_its_film(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    film = real_film(NIH)
    session.open(film)
    with_heatmap(session, film)
    coloured = screen_pixels(port(canvas)).astype(int)
    assert (coloured.max(axis=2) - coloured.min(axis=2)).max() > 60
    other = real_film(FUJI)
    session.open(other)
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    shown = screen_pixels(port(canvas))[100:400, 150:500].astype(int)
    assert (shown.max(axis=2) == shown.min(axis=2)).all()


def test_the_view_is_copied_as_it_is_without_the_value_under_the_mouse(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    session.open(real_film(NIH))
    before = canvas.grab_view(0)
    hand.move(port(canvas), (320, 260), Qt.MouseButton.NoButton)
    assert canvas.view(0).viewport().grab().toImage() != before
    after = canvas.grab_view(0)
    assert after.size() == before.size()
    assert after == before


# ---------------------------------------------------------------- panes


def test_panes_lie_as_the_layout_says(canvas: CanvasGrid, session: Any) -> None:
    def shown() -> list[int]:
        return [index for index in range(4) if canvas.view(index).isVisible()]

    assert shown() == [0]
    session.layout(Layout.ONE_BY_TWO)
    assert shown() == [0, 1]
    assert canvas.view(0).width() == canvas.view(1).width()
    assert canvas.view(0).geometry().right() < canvas.view(1).geometry().left()
    session.layout(Layout.TWO_BY_TWO)
    assert shown() == [0, 1, 2, 3]
    assert canvas.view(2).y() > canvas.view(0).geometry().bottom()
    session.dispatch(ev.ActivatePane(3))
    session.layout(Layout.ONE)
    assert shown() == [3]


def test_a_press_makes_its_pane_the_active_one(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    session.layout(Layout.ONE_BY_TWO)
    session.open(real_film(NIH), 0)
    session.open(real_film(FUJI), 1)
    display = session.state.panes[1].display
    hand.drag(port(canvas, 0), (100, 300), (100, 250))
    assert session.state.active == 0
    assert session.state.panes[1].display is display
    assert session.sent(ev.SetVoi)[-1].pane == 0


def test_each_film_stays_in_its_own_pane(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, screen_pixels: Pixels
) -> None:
    session.layout(Layout.ONE_BY_TWO)
    session.open(real_film(NIH), 0)
    session.open(real_film(FUJI), 1)
    left, right = screen_pixels(port(canvas, 0)), screen_pixels(port(canvas, 1))
    session.dispatch(ev.ClosePane(0))
    assert not screen_pixels(port(canvas, 0))[:200].any()
    np.testing.assert_array_equal(screen_pixels(port(canvas, 1)), right)
    assert (left[:200] != right[:200]).any()


def test_double_click_maximises_and_goes_back(canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any) -> None:
    session.layout(Layout.TWO_BY_TWO)
    session.open(real_film(FUJI), 2)
    display = session.state.panes[2].display
    hand.double_click(port(canvas, 2), (80, 80))
    assert (session.state.layout, session.state.active) == (Layout.ONE, 2)
    hand.double_click(port(canvas, 2), (80, 80))
    assert (session.state.layout, session.state.active) == (Layout.TWO_BY_TWO, 2)
    assert session.state.panes[2].display is display


def test_a_single_layout_has_nowhere_to_go_back_to(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    hand.double_click(port(canvas), (80, 80))
    assert session.state.layout is Layout.ONE


def test_films_dropped_on_a_pane_reach_the_window(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.setAcceptDrops(True)
    grid = CanvasGrid()
    QVBoxLayout(window).addWidget(grid)
    takers = [child for child in grid.findChildren(QWidget) if child.acceptDrops()]
    assert takers == []


def test_the_badge_tells_the_cautions(
    canvas: CanvasGrid,
    session: Any,
    make_film: Callable[..., Radiograph],
    screen_pixels: Pixels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tips: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda _at, text, *_: tips.append(text))
    cautions = (
        Caution("a", "The window of the file is broken.", "WindowWidth (0028,1051)"),
        Caution("b", "No size."),
    )
    session.open(make_film(np.full((60, 60), 200, np.uint8), cautions=cautions, is_dicom=False))
    screen_pixels(port(canvas))
    at = QPoint(600, 30)
    QApplication.sendEvent(port(canvas), QHelpEvent(QHelpEvent.Type.ToolTip, at, port(canvas).mapToGlobal(at)))
    assert tips == ["The window of the file is broken. [WindowWidth (0028,1051)]\nNo size."]


def test_showing_the_same_state_again_sends_nothing(canvas: CanvasGrid, session: Any, real_film: RealFilm) -> None:
    session.open(real_film(FUJI))
    session.show()
    canvas.grab_view(0)
    assert session.events == []


def test_a_window_between_two_values_is_a_threshold(
    canvas: CanvasGrid, session: Any, make_film: Callable[..., Radiograph], screen_pixels: Pixels
) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :], 256, axis=0)
    session.open(make_film(ramp))
    session.dispatch(ev.SetVoi(0, VoiWindow(128, 1)))
    session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    session.dispatch(ev.SetView(0, 1.0, None))
    row = screen_pixels(port(canvas))[230, 192:448, 0]
    np.testing.assert_array_equal(row, np.where(ramp[0] > 127.5, 255, 0))
