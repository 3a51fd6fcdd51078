"""Zooming to the lungs and the window over them, on a real film."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from cxr_viewer.core.anatomy import Anatomy
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, VoiWindow
from cxr_viewer.imaging import levels, luts
from cxr_viewer.services import events as ev
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.display_panel import LUNGS, DisplayPanel

FILMS = ("dx_canon_pa_mono1_12bit_j2klossless.dcm", "dx_nih_00000001_000_pa_cardiomegaly.dcm")


@pytest.mark.parametrize("turn", [Orientation(), Orientation(1), Orientation(3, True)])
def test_the_lungs_fill_the_pane(
    canvas: CanvasGrid,
    new_session: Any,
    real_film: Callable[[str], Radiograph],
    make_anatomy: Callable[..., Anatomy],
    turn: Orientation,
) -> None:
    film = real_film(FILMS[0])
    session = new_session(canvas)
    session.open(film)
    session.dispatch(ev.SetOrientation(0, turn))
    box = make_anatomy(film).lungs_box
    assert box is not None
    placement = canvas.closer(0, box)
    assert placement is not None
    session.dispatch(ev.SetView(0, placement.zoom, placement.center))
    shown = canvas.view(0).placement
    assert shown is not None
    left, top, right, bottom = shown.rect_on_widget(box)
    width, height = shown.frame.width, shown.frame.height
    assert (left + right) / 2 == pytest.approx(width / 2, abs=1)
    assert (top + bottom) / 2 == pytest.approx(height / 2, abs=1)
    assert max((right - left) / width, (bottom - top) / height) == pytest.approx(0.94, abs=0.01)


@pytest.mark.parametrize("name", FILMS)
def test_the_lungs_window_spans_what_lies_inside_them(
    real_film: Callable[[str], Radiograph], make_anatomy: Callable[..., Anatomy], name: str
) -> None:
    film = real_film(name)
    anatomy = make_anatomy(film)
    window = levels.lung_window(film, anatomy.outlines[0])
    assert window is not None
    assert window.label == "Lungs"
    values = luts.modality_of_patterns(film)[luts.as_patterns(film.stored)]
    parts = [
        values[int(lung.y) + 9 : int(lung.bottom) - 9, int(lung.x) + 9 : int(lung.right) - 9] for lung in anatomy.lungs
    ]
    inside = np.concatenate([part.ravel() for part in parts])
    low, high = window.center - window.width / 2, window.center + window.width / 2
    assert 0.95 < ((inside >= low) & (inside <= high)).mean() < 1.0
    assert window.width < levels.full_range(film).width


def test_no_window_is_made_of_an_outline_that_holds_nothing(
    real_film: Callable[[str], Radiograph], make_anatomy: Callable[..., Anatomy]
) -> None:
    film = real_film(FILMS[0])
    lungs = make_anatomy(film, lungs=()).outlines[0]
    empty = type(lungs)(lungs.label, np.zeros_like(lungs.values), lungs.extent)
    assert levels.lung_window(film, empty) is None


@pytest.mark.parametrize("trusted", [True, False])
def test_the_panel_offers_the_window_only_where_lungs_are_trusted(
    qtbot: QtBot,
    new_session: Any,
    real_film: Callable[[str], Radiograph],
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
    trusted: bool,
) -> None:
    film = real_film(FILMS[0])
    panel = DisplayPanel()
    qtbot.addWidget(panel)
    session = new_session(panel)
    session.open(film)
    answer_with(session, anatomy=make_anatomy(film, trusted=trusted))
    box = next(child for child in panel.findChildren(QComboBox) if child.accessibleName() == "Window")
    place = box.findData(LUNGS)
    assert (place >= 0) is trusted
    if trusted:
        box.setCurrentIndex(place)
        box.activated.emit(place)
        voi = session.state.panes[0].display.voi
        assert isinstance(voi, VoiWindow)
        assert voi.label == "Lungs"
        assert box.currentData() == LUNGS
