"""Keys and menus of film check, callipers and lungs, beside all other keys of the program, on a real film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from cxr_viewer.core.anatomy import Anatomy, Handle
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import Refusal
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, View, VoiWindow
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus
from cxr_viewer.ui.action_states import show_on_actions
from cxr_viewer.ui.actions import SPECS, Actions
from cxr_viewer.ui.anatomy_commands import AnatomyCommands
from cxr_viewer.ui.canvas import CanvasGrid

PA = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Keys:
    """The program's actions over one film; what is not about anatomy is only noted by name."""

    def __init__(self, canvas: CanvasGrid, session: Any) -> None:
        self.session, self.view = session, canvas.view(0)
        self.others: list[str] = []
        commands: dict[str, Callable[[], object]] = {
            spec.name: lambda name=spec.name: self.others.append(name)  # type: ignore[misc]
            for spec in SPECS
        }
        commands["cancel"] = canvas.cancel_tool
        commands |= AnatomyCommands(session, canvas.closer, canvas.choose_calliper).table()
        self.actions = Actions(canvas.window(), canvas, commands)
        self.draw()

    def draw(self) -> None:
        show_on_actions(self.actions, self.session.state)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.view, key, modifier)
        self.draw()


@pytest.fixture
def film(real_film: Callable[[str], Radiograph]) -> Radiograph:
    return real_film(PA)


@pytest.fixture
def keys(
    qtbot: QtBot,
    canvas: CanvasGrid,
    new_session: Any,
    film: Radiograph,
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
) -> Keys:
    session = new_session(canvas)
    session.open(film)
    answer_with(session, anatomy=make_anatomy(film))
    canvas.activateWindow()
    qtbot.waitUntil(canvas.isActiveWindow)
    canvas.setFocus()
    return Keys(canvas, session)


def test_the_arrows_move_a_chosen_end_and_page_again_after_esc(keys: Keys) -> None:
    keys.press(Qt.Key.Key_C, SHIFT)
    keys.press(Qt.Key.Key_Tab)
    keys.press(Qt.Key.Key_Right)
    keys.press(Qt.Key.Key_Down, SHIFT)
    assert [event.handle for event in keys.session.sent(ev.MoveCalliper)] == [Handle.MIDLINE_BOTTOM] * 2
    assert keys.others == []
    keys.press(Qt.Key.Key_Escape)
    keys.press(Qt.Key.Key_Right)
    keys.press(Qt.Key.Key_Down)
    assert keys.others == ["next_image", "next_series"]


def test_c_hides_and_shows_the_callipers(keys: Keys) -> None:
    assert keys.actions["callipers"].isChecked()
    keys.press(Qt.Key.Key_C)
    assert not keys.session.state.show_callipers
    assert not keys.actions["callipers"].isChecked()
    keys.press(Qt.Key.Key_C)
    assert keys.session.state.show_callipers


def test_keys_zoom_to_the_lungs_and_window_over_them(keys: Keys) -> None:
    before = keys.view.placement
    keys.press(Qt.Key.Key_Z, SHIFT)
    after = keys.view.placement
    assert before is not None
    assert after is not None
    assert after.zoom > before.zoom
    keys.press(Qt.Key.Key_W, SHIFT)
    voi = keys.session.state.panes[0].display.voi
    assert isinstance(voi, VoiWindow)
    assert voi.label == "Lungs"


def test_menus_reset_callipers_and_draw_outlines(keys: Keys) -> None:
    assert not keys.actions["reset_callipers"].isEnabled()
    keys.press(Qt.Key.Key_C, SHIFT)
    keys.press(Qt.Key.Key_Right)
    assert keys.actions["reset_callipers"].isEnabled()
    keys.actions["reset_callipers"].trigger()
    assert keys.session.state.panes[0].edited is None
    keys.actions["lung_outlines"].trigger()
    assert keys.session.state.show_outlines


def test_without_trust_there_is_nothing_to_zoom_to(
    keys: Keys, film: Radiograph, make_anatomy: Callable[..., Anatomy], answer_with: Any
) -> None:
    answer_with(keys.session, anatomy=make_anatomy(film, trusted=False, callipers=None))
    keys.draw()
    for name in ("zoom_lungs", "window_lungs", "next_calliper", "reset_callipers", "override", "turn_upright"):
        assert not keys.actions[name].isEnabled(), name


def test_a_stopped_film_is_turned_or_scored_by_the_menu(keys: Keys) -> None:
    sign = Sign("turned", "The film lies turned by 90 degrees.", Severity.BLOCK)
    check = FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, 3, (sign,))
    session = keys.session
    pane = session.state.panes[0]
    refusal = Refusal(0, pane.question, pane.key, "findings", sign.code, sign.text, "", check)
    stopped = replace(pane, result=None, refusal=refusal, analysis=AnalysisStatus.REFUSED)
    session.show(replace(session.state, panes=(stopped, *session.state.panes[1:])))
    keys.draw()
    assert keys.actions["override"].isEnabled()
    keys.actions["turn_upright"].trigger()
    assert session.state.panes[0].display.orientation == Orientation(3)
    session.show(replace(session.state, panes=(stopped, *session.state.panes[1:])))
    keys.actions["override"].trigger()
    assert session.state.panes[0].overridden
