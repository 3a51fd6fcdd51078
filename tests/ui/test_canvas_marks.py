from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Tool
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.placement import Placement

NIH = "dx_nih_00002527_nodule_f37.dcm"
NONE = Qt.MouseButton.NoButton


@pytest.fixture
def session(canvas: CanvasGrid, new_session: Any, real_film: Callable[[str], Radiograph]) -> Any:
    session = new_session(canvas)
    session.open(real_film(NIH))
    return session


def port(canvas: CanvasGrid) -> QWidget:
    return canvas.view(0).viewport()


def placed(canvas: CanvasGrid) -> Placement:
    placement = canvas.view(0).placement
    assert placement is not None
    return placement


def points(canvas: CanvasGrid, *at: tuple[float, float]) -> tuple[Any, ...]:
    return tuple(pytest.approx(placed(canvas).to_image(x, y), abs=0.01) for x, y in at)


def note(canvas: CanvasGrid) -> QLineEdit:
    (editor,) = (line for line in port(canvas).findChildren(QLineEdit) if line.isVisible())
    return editor


def notes(canvas: CanvasGrid) -> list[QLineEdit]:
    return [line for line in port(canvas).findChildren(QLineEdit) if line.isVisible()]


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize("turn", [Orientation(), Orientation(1, True)])
def test_a_length_is_pulled(canvas: CanvasGrid, session: Any, hand: Any, turn: Orientation) -> None:
    session.dispatch(ev.SetOrientation(0, turn))
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.drag(port(canvas), (200, 200), (330, 260))
    (mark,) = session.state.pane.marks
    assert mark.kind is MarkKind.LENGTH
    assert mark.points == points(canvas, (200, 200), (330, 260))
    assert session.state.pane.selected_mark == mark.mark_id
    assert session.state.tool is Tool.LENGTH  # stays, for the next one


def test_a_length_is_clicked(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.click(port(canvas), (200, 200))
    assert session.state.pane.marks == ()
    hand.move(port(canvas), (300, 250), NONE)
    hand.click(port(canvas), (330, 260))
    (mark,) = session.state.pane.marks
    assert mark.points == points(canvas, (200, 200), (330, 260))


def test_an_angle_takes_three_points(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.ANGLE))
    hand.drag(port(canvas), (200, 200), (300, 300))
    assert session.state.pane.marks == ()
    hand.click(port(canvas), (400, 200))
    (mark,) = session.state.pane.marks
    assert mark.points == points(canvas, (200, 200), (300, 300), (400, 200))


def test_a_double_click_ends_no_mark_twice(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.double_click(port(canvas), (300, 300))
    assert session.state.pane.marks == ()
    hand.click(port(canvas), (350, 300))
    assert len(session.state.pane.marks) == 1


def test_nothing_is_measured_beside_the_film(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.drag(port(canvas), (5, 100), (635, 100))
    (mark,) = session.state.pane.marks
    film = session.state.pane.image
    assert mark.points[0].x == 0
    assert mark.points[1].x == film.columns


def test_the_line_follows_the_hand_while_it_is_drawn(
    canvas: CanvasGrid, session: Any, hand: Any, screen_pixels: Callable[[QWidget], Any]
) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    plain = screen_pixels(port(canvas)).astype(int)
    hand.press(port(canvas), (200, 300))
    hand.move(port(canvas), (400, 300))
    drawn = screen_pixels(port(canvas)).astype(int)
    assert np.abs(drawn - plain)[299:302, 210:390].max(axis=(0, 2)).min() > 10  # all along the line
    assert session.state.pane.marks == ()
    assert canvas.cancel_tool()
    hand.release(port(canvas), (400, 300))
    assert session.state.pane.marks == ()
    assert not canvas.cancel_tool()
    np.testing.assert_array_equal(screen_pixels(port(canvas))[280:320, 200:400], plain[280:320, 200:400])


def test_a_half_drawn_mark_goes_with_its_film(
    canvas: CanvasGrid, session: Any, hand: Any, make_film: Callable[..., Radiograph]
) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.click(port(canvas), (200, 200))
    session.open(make_film(np.zeros((400, 400), np.uint8)))
    hand.click(port(canvas), (330, 260))
    assert session.state.pane.marks == ()


def test_another_tool_gives_up_a_half_drawn_mark(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.click(port(canvas), (200, 200))
    session.dispatch(ev.SetTool(Tool.WINDOW))
    hand.click(port(canvas), (330, 260))
    assert session.state.pane.marks == ()


def test_drawing_shows_marks_that_were_hidden(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetMarksVisible(False))
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.drag(port(canvas), (200, 200), (330, 260))
    assert session.state.marks_visible
    assert len(session.state.pane.marks) == 1


# ---------------------------------------------------------------- words


def test_a_text_is_written_on_the_film(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.TEXT))
    hand.click(port(canvas), (250, 200))
    assert session.state.pane.marks == ()
    QTest.keyClicks(note(canvas), "nodule?")
    QTest.keyClick(note(canvas), Qt.Key.Key_Return)
    (mark,) = session.state.pane.marks
    assert (mark.kind, mark.text) == (MarkKind.TEXT, "nodule?")
    assert mark.points == points(canvas, (250, 200))
    assert notes(canvas) == []
    assert canvas.view(0).hasFocus()  # the keys of the film work again


def test_esc_leaves_a_text_out(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.TEXT))
    hand.click(port(canvas), (250, 200))
    editor = note(canvas)
    QTest.keyClicks(editor, "nodule?")
    escape = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    escape.ignore()
    QApplication.sendEvent(editor, escape)
    assert escape.isAccepted()  # so that the window's own Esc does not reset the film
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    assert notes(canvas) == []
    assert session.state.pane.marks == ()


def test_a_text_without_words_is_no_mark(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.TEXT))
    hand.click(port(canvas), (250, 200))
    QTest.keyClicks(note(canvas), "   ")
    QTest.keyClick(note(canvas), Qt.Key.Key_Return)
    assert session.state.pane.marks == ()


def test_an_arrow_stands_at_once_and_may_get_words(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    session.dispatch(ev.SetTool(Tool.ARROW))
    hand.drag(port(canvas), (250, 200), (300, 260))
    (mark,) = session.state.pane.marks
    assert mark.points == points(canvas, (250, 200), (300, 260))  # tip first
    assert mark.text == ""
    QTest.keyClicks(note(canvas), "line tip")
    QTest.keyClick(note(canvas), Qt.Key.Key_Return)
    (mark,) = session.state.pane.marks
    assert mark.text == "line tip"


def test_words_begun_for_one_film_do_not_land_on_the_next(
    canvas: CanvasGrid, session: Any, hand: Any, make_film: Callable[..., Radiograph]
) -> None:
    session.dispatch(ev.SetTool(Tool.TEXT))
    hand.click(port(canvas), (250, 200))
    QTest.keyClicks(note(canvas), "nodule?")
    session.open(make_film(np.zeros((400, 400), np.uint8)))
    assert notes(canvas) == []
    assert session.state.pane.marks == ()


def test_a_double_click_changes_the_words(canvas: CanvasGrid, session: Any, hand: Any) -> None:
    at = placed(canvas).to_image(250, 200)
    session.dispatch(ev.AddMark(0, MarkKind.TEXT, (Point(at.x, at.y),), "nodule"))
    hand.double_click(port(canvas), (260, 200))
    editor = note(canvas)
    assert editor.text() == "nodule"
    editor.setText("granuloma")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert session.state.pane.marks[0].text == "granuloma"


# ---------------------------------------------------------------- holding


@pytest.fixture
def length(canvas: CanvasGrid, session: Any) -> tuple[Point, Point]:
    """A length from (200, 300) to (400, 300) on the widget."""
    ends = (placed(canvas).to_image(200, 300), placed(canvas).to_image(400, 300))
    session.dispatch(ev.AddMark(0, MarkKind.LENGTH, ends))
    session.dispatch(ev.SelectMark(0, None))
    session.events.clear()
    return ends


def test_a_click_selects_and_a_click_beside_lets_go(
    canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]
) -> None:
    hand.click(port(canvas), (300, 303))
    assert session.state.pane.selected_mark == 1
    hand.click(port(canvas), (300, 200))
    assert session.state.pane.selected_mark is None
    assert session.state.pane.marks[0].points == length
    assert session.sent(ev.SetVoi) == []


def test_an_end_is_moved_as_one_step(canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]) -> None:
    hand.drag(port(canvas), (400, 300), (420, 350))
    assert session.state.pane.marks[0].points == (length[0], *points(canvas, (420, 350)))
    session.dispatch(ev.Undo(0))
    assert session.state.pane.marks[0].points == length


def test_the_whole_is_moved_and_keeps_its_shape(
    canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]
) -> None:
    hand.drag(port(canvas), (300, 300), (310, 340))
    assert session.state.pane.marks[0].points == points(canvas, (210, 340), (410, 340))
    hand.drag(port(canvas), (310, 340), (640, 340))
    first, second = session.state.pane.marks[0].points
    assert second.x == session.state.pane.image.columns
    assert second.x - first.x == pytest.approx(length[1].x - length[0].x)


def test_back_where_it_began_it_is_where_it_was(
    canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]
) -> None:
    hand.press(port(canvas), (300, 300))
    hand.move(port(canvas), (350, 360))
    hand.move(port(canvas), (300, 300))
    hand.release(port(canvas), (300, 300))
    assert session.state.pane.marks[0].points == points(canvas, (200, 300), (400, 300))


def test_hidden_marks_are_not_held(canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]) -> None:
    session.dispatch(ev.SetMarksVisible(False))
    hand.drag(port(canvas), (300, 300), (310, 340))
    assert session.state.pane.marks[0].points == length
    assert session.sent(ev.SetVoi)


def test_a_new_length_may_begin_on_an_old_one(
    canvas: CanvasGrid, session: Any, hand: Any, length: tuple[Point, Point]
) -> None:
    session.dispatch(ev.SetTool(Tool.LENGTH))
    hand.drag(port(canvas), (300, 300), (300, 400))
    assert len(session.state.pane.marks) == 2
    hand.drag(port(canvas), (300, 400), (320, 420))  # its own end is held while it is selected
    assert len(session.state.pane.marks) == 2
    assert session.state.pane.marks[1].points == points(canvas, (300, 300), (320, 420))


def test_labels_stay_the_same_size_at_any_zoom(
    canvas: CanvasGrid, session: Any, length: tuple[Point, Point], screen_pixels: Callable[[QWidget], Any]
) -> None:
    def label_rows() -> int:
        placement = placed(canvas)
        end = placement.to_widget(length[1])
        x, y = round(end.x) + 12, round(end.y)
        part = screen_pixels(port(canvas))[y - 30 : y + 30, x : x + 90].astype(int)
        yellow = (part[..., 0] - part[..., 2]) > 60
        return int(yellow.any(axis=1).sum())

    fitted = label_rows()
    session.dispatch(ev.SetView(0, 2.0, length[1]))
    assert label_rows() == fitted > 5
