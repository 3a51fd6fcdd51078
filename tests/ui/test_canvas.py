from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QHelpEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QToolTip, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ScoreKind
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Caution, Radiograph, VoiTable, VoiWindow
from cxr_viewer.core.jobs import Failure
from cxr_viewer.imaging import levels, luts, render
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, CornerText, Layout, PaneStatus, Tool
from cxr_viewer.ui.canvas import CanvasGrid

CANON = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
FUJI = "cr_barre_fuji_pa_mono1_10bit.dcm"
NIH = "dx_nih_00002527_nodule_f37.dcm"
LUTS = "syn_dx_canon_voilutsequence3.dcm"
LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier

RealFilm = Callable[[str], Radiograph]
Pixels = Callable[[QWidget], Any]


@pytest.fixture
def canvas(qtbot: QtBot) -> CanvasGrid:
    grid = CanvasGrid()
    qtbot.addWidget(grid)
    grid.resize(640, 520)
    with qtbot.waitExposed(grid):
        grid.show()
    return grid


@pytest.fixture
def session(canvas: CanvasGrid, new_session: Any) -> Any:
    return new_session(canvas)


def port(canvas: CanvasGrid, pane: int = 0) -> QWidget:
    return canvas.view(pane).viewport()


def brightness(session: Any, film: Radiograph) -> float:
    display = session.state.panes[0].display
    return float(luts.apply(film.stored, luts.compose(film, display.voi, display.inverted)).mean())


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


# ---------------------------------------------------------------- window by hand


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("name", [NIH, FUJI, CANON, LUTS])
def test_up_is_brighter_and_right_is_wider(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any, name: str, inverted: bool
) -> None:
    film = real_film(name)
    session.open(film)
    if inverted:
        session.dispatch(ev.SetInverted(0, True))
    start = levels.equivalent_window(film, session.state.pane.display.voi)
    before = float(luts.apply(film.stored, luts.compose(film, start, inverted)).mean())
    hand.drag(port(canvas), (320, 300), (320, 200))
    assert brightness(session, film) > before + 3
    width = session.state.pane.display.voi.width
    hand.drag(port(canvas), (320, 300), (420, 300))
    assert session.state.pane.display.voi.width > width
    assert session.state.pane.display.voi_index is None


def test_a_drag_on_a_table_goes_on_without_a_jump(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    film = real_film(LUTS)
    session.open(film)
    table = session.state.pane.display.voi
    assert isinstance(table, VoiTable)
    hand.press(port(canvas), (320, 300))
    hand.move(port(canvas), (320, 304))
    hand.move(port(canvas), (320, 300))
    hand.release(port(canvas), (320, 300))
    assert session.state.pane.display.voi == levels.equivalent_window(film, table)


def test_a_falling_table_keeps_its_polarity_when_dragged(
    canvas: CanvasGrid, session: Any, make_film: Callable[..., Radiograph], hand: Any
) -> None:
    ramp = np.arange(4096, dtype=np.uint16)
    table = VoiTable(0, ramp[::-1].copy(), 12, "FALLING")
    film = make_film(ramp.reshape(64, 64), bits_stored=12, voi=(table,))
    session.open(film)
    before = luts.compose(film, table, False)[:4096].astype(int)
    hand.drag(port(canvas), (320, 300), (326, 300))
    display = session.state.pane.display
    assert display.inverted
    after = luts.compose(film, display.voi, display.inverted)[:4096].astype(int)
    assert np.abs(after - before).max() < 12
    hand.drag(port(canvas), (320, 300), (326, 300))
    assert session.state.pane.display.inverted


def test_one_drag_is_one_undo_step(canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any) -> None:
    session.open(real_film(FUJI))
    first = session.state.pane.display.voi
    hand.drag(port(canvas), (320, 300), (380, 250))
    second = session.state.pane.display.voi
    hand.drag(port(canvas), (320, 300), (300, 350))
    assert len(session.state.pane.undo) == 2
    session.dispatch(ev.Undo(0))
    assert session.state.pane.display.voi == second
    session.dispatch(ev.Undo(0))
    assert session.state.pane.display.voi == first


def test_shift_is_fine_and_ctrl_is_coarse(canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any) -> None:
    film = real_film(FUJI)
    moved = []
    for keys in (SHIFT, Qt.KeyboardModifier.NoModifier, CTRL):
        session.open(film)
        hand.drag(port(canvas), (320, 300), (320, 280), keys=keys)
        moved.append(abs(session.state.pane.display.voi.center - film.voi[0].center))
    assert 0 < moved[0] < moved[1] < moved[2]


def test_pressing_shift_within_a_drag_does_not_make_the_film_jump(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    session.open(real_film(FUJI))
    hand.press(port(canvas), (320, 300))
    hand.move(port(canvas), (320, 220))
    hand.release(port(canvas), (320, 220), keys=SHIFT)
    without = session.state.pane.display.voi
    session.open(real_film(FUJI))
    hand.drag(port(canvas), (320, 300), (320, 220))
    assert without.center == pytest.approx(session.state.pane.display.voi.center, abs=1)


def test_a_click_changes_nothing(canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any) -> None:
    session.open(real_film(FUJI))
    display = session.state.pane.display
    hand.drag(port(canvas), (320, 300), (322, 301))
    for button in (LEFT, MIDDLE, RIGHT):
        hand.click(port(canvas), (320, 300), button)
    assert session.state.pane.display is display


def test_the_next_film_is_not_changed_by_a_drag_on_the_last(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    session.open(real_film(FUJI))
    hand.press(port(canvas), (320, 300))
    for y in range(300, 250, -5):
        hand.move(port(canvas), (320, y))
    film = real_film(NIH)
    session.open(film)
    display = session.state.pane.display
    hand.move(port(canvas), (320, 200))
    QApplication.processEvents()
    hand.release(port(canvas), (320, 190))
    assert session.state.pane.display is display


# ---------------------------------------------------------------- moving about


def test_middle_drag_pulls_the_film_along(canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any) -> None:
    film = real_film(NIH)
    session.open(film)
    session.dispatch(ev.SetView(0, 1.5, Point(512, 512)))
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    point = placement.to_image(300, 300)
    hand.drag(port(canvas), (300, 300), (340, 260), MIDDLE)
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    moved = placement.to_widget(point)
    assert (moved.x, moved.y) == (pytest.approx(340, abs=1), pytest.approx(260, abs=1))


def test_right_drag_zooms_about_where_it_began(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    session.open(real_film(NIH))
    asked: list[Any] = []
    canvas.context_menu_requested.connect(lambda *args: asked.append(args))
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    zoom, point = placement.zoom, placement.to_image(250, 300)
    hand.drag(port(canvas), (250, 300), (250, 180), RIGHT)
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    assert placement.zoom == pytest.approx(2 * zoom)
    assert placement.to_widget(point) == pytest.approx((250, 300), abs=1)
    assert not asked
    hand.click(port(canvas), (250, 300), RIGHT)
    assert asked == [(0, port(canvas).mapToGlobal(QPoint(250, 300)))]


def wheel(widget: QWidget, at: tuple[int, int], angle: int = 0, pixel: int = 0, keys: Any = None) -> None:
    event = QWheelEvent(
        QPointF(*at),
        QPointF(widget.mapToGlobal(QPoint(*at))),
        QPoint(0, pixel),
        QPoint(0, angle),
        Qt.MouseButton.NoButton,
        keys or Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def test_the_wheel_pages_and_a_touchpad_adds_up(canvas: CanvasGrid) -> None:
    steps: list[tuple[int, int]] = []
    canvas.image_step.connect(lambda pane, step: steps.append((pane, step)))
    wheel(port(canvas), (320, 260), angle=-120)
    wheel(port(canvas), (320, 260), angle=120)
    wheel(port(canvas), (320, 260), angle=60)
    assert steps == [(0, 1), (0, -1)]
    steps.clear()
    for _ in range(11):
        wheel(port(canvas), (320, 260), angle=-15, pixel=-6)
    assert steps == [(0, 1)]
    wheel(port(canvas), (320, 260), angle=15, pixel=55)
    assert steps == [(0, 1)]


def test_ctrl_and_wheel_zoom_at_the_cursor(canvas: CanvasGrid, session: Any, real_film: RealFilm) -> None:
    session.open(real_film(NIH))
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    zoom, point = placement.zoom, placement.to_image(200, 150)
    wheel(port(canvas), (200, 150), angle=240, keys=CTRL)
    canvas.grab_view(0)
    placement = canvas.view(0).placement
    assert placement is not None
    assert placement.zoom > 1.3 * zoom
    assert placement.to_widget(point) == pytest.approx((200, 150), abs=1)
    assert canvas.zoom_shown(0) == placement.zoom


@pytest.mark.parametrize(("tool", "kind"), [(Tool.PAN, ev.SetView), (Tool.ZOOM, ev.SetView), (Tool.WINDOW, ev.SetVoi)])
def test_the_left_button_does_what_the_tool_says(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any, tool: Tool, kind: type[Any]
) -> None:
    session.open(real_film(NIH))
    session.dispatch(ev.SetTool(tool))
    session.events.clear()
    hand.drag(port(canvas), (320, 300), (350, 280))
    assert session.events
    assert {type(event) for event in session.events} == {kind}


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
