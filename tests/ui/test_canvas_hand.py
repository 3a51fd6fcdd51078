from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import Radiograph, VoiTable
from cxr_viewer.imaging import levels, luts
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Tool
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
def session(canvas: CanvasGrid, new_session: Any) -> Any:
    return new_session(canvas)


def port(canvas: CanvasGrid, pane: int = 0) -> QWidget:
    return canvas.view(pane).viewport()


def brightness(session: Any, film: Radiograph) -> float:
    display = session.state.panes[0].display
    return float(luts.apply(film.stored, luts.compose(film, display.voi, display.inverted)).mean())


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


def test_up_darkens_where_the_reader_wants_it_so(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any
) -> None:
    film = real_film(CANON)
    session.open(film)
    session.dispatch(ev.SetInvertDrag(True))
    before = brightness(session, film)
    hand.drag(port(canvas), (320, 300), (320, 200))
    assert brightness(session, film) < before - 3


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


def test_a_pane_without_a_film_has_its_menu_too(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    asked: list[int] = []
    canvas.context_menu_requested.connect(lambda pane, _at: asked.append(pane))
    hand.click(port(canvas), (250, 300), LEFT)
    assert asked == []
    hand.click(port(canvas), (250, 300), RIGHT)
    assert asked == [0]


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
