"""Esc while a film is being read, and what the pane says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, Layout, PaneStatus, Tool
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.commands import FilmCommands
from cxr_viewer.ui.pane_view import BUSY_AFTER_MS

Pixels = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def session(canvas: CanvasGrid, new_session: Any) -> Any:
    return new_session(canvas)


@pytest.fixture
def film(make_film: Callable[..., Radiograph]) -> Radiograph:
    return make_film(np.zeros((50, 50), np.uint8), frames=3)


@pytest.fixture
def escape(session: Any) -> Callable[[], None]:
    """Presses Esc on the film, as the command of that key."""
    return FilmCommands(session, lambda _: 1.0, lambda: False).table()["cancel"]


def test_what_is_being_read_goes_before_the_tool(session: Any, film: Radiograph, escape: Callable[[], None]) -> None:
    session.begin_open(film)
    session.dispatch(ev.SetTool(Tool.LENGTH))
    escape()
    assert session.state.pane.status is PaneStatus.EMPTY
    assert session.state.tool is Tool.LENGTH
    escape()
    assert session.state.tool is Tool.WINDOW


def test_another_frame_is_given_up_and_the_one_on_screen_stays(
    session: Any, film: Radiograph, escape: Callable[[], None]
) -> None:
    session.open(film)
    session.dispatch(ev.SetInverted(0, True))
    session.dispatch(ev.StepFrame(0, 2))
    assert session.state.pane.pending is not None
    escape()
    assert session.state.pane.pending is None
    assert session.state.pane.image is film
    assert session.state.pane.display.inverted
    escape()
    assert not session.state.pane.display.inverted


def test_the_pane_that_esc_would_empty_says_so(
    canvas: CanvasGrid, session: Any, film: Radiograph, screen_pixels: Pixels, qtbot: QtBot
) -> None:
    session.dispatch(ev.SetLayout(Layout.ONE_BY_TWO))
    for pane in (0, 1):
        session.begin_open(film, pane)

    def words() -> list[int]:
        """Pixels of text in each pane, away from the frame of the active one."""
        return [int(screen_pixels(canvas.view(pane).viewport())[5:-5, 5:-5].any(axis=2).sum()) for pane in (0, 1)]

    qtbot.waitUntil(lambda: min(words()) > 0, timeout=BUSY_AFTER_MS + 10_000)
    session.dispatch(ev.ActivatePane(0))
    first = words()
    session.dispatch(ev.ActivatePane(1))
    assert first[0] > first[1]
    assert words() == first[::-1]


def test_a_long_heat_map_is_given_up_for_the_one_that_comes_with_the_score(
    session: Any, film: Radiograph, escape: Callable[[], None]
) -> None:
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    session.show(replace(session.state, cards=(card,), model_id=card.model_id))
    session.open(film)
    session.dispatch(ev.SetMethod("Occlusion"))
    session.dispatch(ev.SetInverted(0, True))
    session.dispatch(ev.AskModel(0))
    assert session.state.pane.analysis is AnalysisStatus.RUNNING
    asked = session.state.pane.question
    escape()
    assert session.state.method == "Grad-CAM"
    assert session.state.pane.question > asked  # the answer with the long map is no longer waited for
    assert session.state.pane.display.inverted  # and the film stays as it was set
    escape()
    assert not session.state.pane.display.inverted
