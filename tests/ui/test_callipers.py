"""The callipers of the cardiothoracic ratio on a real film: drawn, moved by mouse and keys, undone, out of the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip, QWidget

from cxr_viewer.core.anatomy import Anatomy, Handle
from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Tool
from cxr_viewer.ui import theme
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.placement import Placement

PA = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
SHIFT = Qt.KeyboardModifier.ShiftModifier
NONE = Qt.MouseButton.NoButton


@pytest.fixture
def film(real_film: Callable[[str], Radiograph]) -> Radiograph:
    return real_film(PA)


@pytest.fixture
def session(
    canvas: CanvasGrid, new_session: Any, film: Radiograph, make_anatomy: Callable[..., Anatomy], answer_with: Any
) -> Any:
    session = new_session(canvas)
    session.open(film)
    answer_with(session, anatomy=make_anatomy(film))
    return session


def port(canvas: CanvasGrid) -> QWidget:
    return canvas.view(0).viewport()


def placed(canvas: CanvasGrid) -> Placement:
    placement = canvas.view(0).placement
    assert placement is not None
    return placement


def spot(canvas: CanvasGrid, session: Any, handle: Handle) -> tuple[float, float]:
    at = placed(canvas).to_widget(session.state.panes[0].callipers.point(handle))
    return at.x, at.y


def ratio(session: Any) -> float:
    pane = session.state.panes[0]
    return float(pane.callipers.ratio(pane.image.spacing))


def coloured(picture: NDArray[np.uint8], color: str) -> int:
    wanted = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)])
    return int((np.abs(picture.astype(int) - wanted).sum(axis=2) < 24).sum())


# ---------------------------------------------------------------- the mouse


@pytest.mark.parametrize("handle", list(Handle))
@pytest.mark.parametrize("turn", [Orientation(), Orientation(1), Orientation(2, True)])
def test_each_end_follows_the_hand_on_any_turned_film(
    canvas: CanvasGrid, session: Any, hand: Any, handle: Handle, turn: Orientation
) -> None:
    session.dispatch(ev.SetOrientation(0, turn))
    x, y = spot(canvas, session, handle)
    hand.drag(port(canvas), (x, y), (x + 6, y + 5))
    assert spot(canvas, session, handle) == pytest.approx((x + 6, y + 5), abs=0.05)
    assert session.state.panes[0].edited is not None
    assert not session.sent(ev.SetVoi)


def test_one_drag_is_one_step_of_undo(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    before = ratio(session)
    x, y = spot(canvas, session, Handle.HEART_RIGHT)
    hand.drag(port(canvas), (x, y), (x + 24, y), steps=12)
    assert ratio(session) > before + 0.02
    assert len(session.state.panes[0].undo) == 1
    session.dispatch(ev.Undo(0))
    assert ratio(session) == before
    assert session.state.panes[0].edited is None
    session.dispatch(ev.Redo(0))
    assert ratio(session) > before + 0.02


def test_shift_moves_a_fifth_of_the_way(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    x, y = spot(canvas, session, Handle.CHEST_LEFT)
    hand.drag(port(canvas), (x, y), (x + 30, y), keys=SHIFT)
    assert spot(canvas, session, Handle.CHEST_LEFT)[0] == pytest.approx(x + 6, abs=0.05)


def test_ends_that_would_cross_stay(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    before = ratio(session)
    x, y = spot(canvas, session, Handle.HEART_LEFT)
    far = spot(canvas, session, Handle.HEART_RIGHT)[0] + 30
    hand.drag(port(canvas), (x, y), (far, y), steps=1)
    assert ratio(session) == before
    assert session.state.panes[0].undo == ()


def test_an_end_stays_on_the_film(canvas: CanvasGrid, session: Any, hand: Any, film: Radiograph) -> None:
    x, y = spot(canvas, session, Handle.CHEST_RIGHT)
    hand.drag(port(canvas), (x, y), (x + 4000, y))
    assert session.state.panes[0].callipers.chest[1].x == film.columns


def test_between_its_ends_a_line_takes_no_click(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    left, right = (spot(canvas, session, handle) for handle in (Handle.CHEST_LEFT, Handle.CHEST_RIGHT))
    quarter = (left[0] + (right[0] - left[0]) / 4, left[1])
    hand.drag(port(canvas), quarter, (quarter[0] + 40, quarter[1]))
    assert session.state.panes[0].edited is None
    assert session.sent(ev.SetVoi)  # the window was dragged, as everywhere on the film


def test_a_mark_that_lies_on_an_end_is_taken_first(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    point = session.state.panes[0].callipers.point(Handle.HEART_LEFT)
    session.dispatch(ev.AddMark(0, MarkKind.LENGTH, (point, Point(point.x - 300, point.y - 300))))
    x, y = spot(canvas, session, Handle.HEART_LEFT)
    hand.drag(port(canvas), (x, y), (x - 10, y))
    assert session.sent(ev.ChangeMark)
    assert not session.sent(ev.MoveCalliper)


def test_a_new_mark_may_begin_on_an_end(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    x, y = spot(canvas, session, Handle.HEART_RIGHT)
    hand.drag(port(canvas), (x, y), (x + 50, y + 20))
    assert len(session.state.panes[0].marks) == 1
    assert not session.sent(ev.MoveCalliper)


def test_the_pointer_says_what_can_be_taken(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    x, y = spot(canvas, session, Handle.CHEST_RIGHT)
    hand.move(port(canvas), (x + 2, y), NONE)
    assert port(canvas).cursor().shape() is Qt.CursorShape.PointingHandCursor
    hand.move(port(canvas), (x + 30, y + 40), NONE)
    assert port(canvas).cursor().shape() is Qt.CursorShape.ArrowCursor


def test_an_end_says_what_it_is(canvas: CanvasGrid, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda _at, text, _widget: said.append(text))
    x, y = spot(canvas, session, Handle.MIDLINE_TOP)
    at = QPoint(round(x), round(y))
    QApplication.sendEvent(port(canvas), QHelpEvent(QEvent.Type.ToolTip, at, port(canvas).mapToGlobal(at)))
    assert said
    assert said[0].startswith("Midline, top.")


# ---------------------------------------------------------------- the keys


def test_the_keys_choose_an_end_and_move_it_by_pixels_of_the_screen(canvas: CanvasGrid, session: Any) -> None:
    canvas.choose_calliper()
    view = canvas.view(0)
    assert "midline, top" in view.accessibleDescription()
    for _ in range(3):
        QTest.keyClick(view, Qt.Key.Key_Tab)
    assert Handle.HEART_RIGHT.value in view.accessibleDescription()
    x, y = spot(canvas, session, Handle.HEART_RIGHT)
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert spot(canvas, session, Handle.HEART_RIGHT) == pytest.approx((x + 1, y), abs=0.05)
    QTest.keyClick(view, Qt.Key.Key_Up, SHIFT)
    assert spot(canvas, session, Handle.HEART_RIGHT) == pytest.approx((x + 1, y - 10), abs=0.05)
    assert len(session.state.panes[0].undo) == 2
    QTest.keyClick(view, Qt.Key.Key_Backtab, SHIFT)
    assert Handle.HEART_LEFT.value in view.accessibleDescription()


def test_without_a_chosen_end_the_arrows_are_the_films(canvas: CanvasGrid, session: Any) -> None:
    view = canvas.view(0)
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert not session.sent(ev.MoveCalliper)
    canvas.choose_calliper()
    assert canvas.cancel_tool()  # what Esc does
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert not session.sent(ev.MoveCalliper)


def test_choosing_an_end_shows_hidden_callipers(canvas: CanvasGrid, session: Any) -> None:
    session.dispatch(ev.ShowCallipers(False))
    canvas.choose_calliper()
    assert session.state.show_callipers


def test_another_film_lets_the_end_go(canvas: CanvasGrid, session: Any, real_film: Callable[[str], Radiograph]) -> None:
    canvas.choose_calliper()
    session.open(real_film("dx_nih_00002527_nodule_f37.dcm"))
    QTest.keyClick(canvas.view(0), Qt.Key.Key_Right)
    assert not session.sent(ev.MoveCalliper)


# ---------------------------------------------------------------- drawing


def test_lines_are_drawn_and_change_colour_after_the_hand(
    canvas: CanvasGrid, session: Any, hand: Any, screen_pixels: Callable[[QWidget], NDArray[np.uint8]]
) -> None:
    assert coloured(screen_pixels(port(canvas)), theme.CALLIPER) > 150
    x, y = spot(canvas, session, Handle.HEART_RIGHT)
    hand.drag(port(canvas), (x, y), (x + 10, y))
    hand.move(port(canvas), (5, 5), NONE)
    after = screen_pixels(port(canvas))
    assert coloured(after, theme.CALLIPER) == 0
    assert coloured(after, theme.MARK) > 150
    session.dispatch(ev.ShowCallipers(False))
    assert coloured(screen_pixels(port(canvas)), theme.MARK) == 0


def test_nothing_is_drawn_where_nothing_was_measured(
    canvas: CanvasGrid,
    session: Any,
    film: Radiograph,
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
    screen_pixels: Callable[[QWidget], NDArray[np.uint8]],
) -> None:
    answer_with(session, anatomy=replace(make_anatomy(film), callipers=None))
    assert coloured(screen_pixels(port(canvas)), theme.CALLIPER) == 0
    canvas.choose_calliper()
    QTest.keyClick(canvas.view(0), Qt.Key.Key_Right)
    assert not session.sent(ev.MoveCalliper)


def test_a_hovered_end_grows(
    canvas: CanvasGrid, session: Any, hand: Any, screen_pixels: Callable[[QWidget], NDArray[np.uint8]]
) -> None:
    x, y = (round(value) for value in spot(canvas, session, Handle.CHEST_LEFT))
    around = (slice(y - 9, y + 10), slice(x - 9, x + 10))
    before = coloured(screen_pixels(port(canvas))[around], theme.ACCENT)
    hand.move(port(canvas), (x, y), NONE)
    assert coloured(screen_pixels(port(canvas))[around], theme.ACCENT) > before + 60


def test_outlines_are_drawn_on_demand(
    canvas: CanvasGrid, session: Any, screen_pixels: Callable[[QWidget], NDArray[np.uint8]]
) -> None:
    session.dispatch(ev.ShowCallipers(False))
    before = screen_pixels(port(canvas))
    session.dispatch(ev.ShowOutlines(True))
    assert (screen_pixels(port(canvas)) != before).any(axis=2).sum() > 400
    session.dispatch(ev.ShowOutlines(False))
    assert (screen_pixels(port(canvas)) == before).all()
