"""Films of several frames, through the whole program: by wheel, by keys and from the menu."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from cxr_viewer.app import Program, dress
from cxr_viewer.core.image import VoiWindow
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, PaneStatus
from cxr_viewer.ui.corner_text import notes
from cxr_viewer.ui.thumbnails import file_frame

WAIT_MS = 60_000
NO_KEY = Qt.KeyboardModifier.NoModifier
NeedData = Callable[[str], Path]
FILMS = {"xa_catheter_12frames.dcm": 12, "us_ybr_multiframe.dcm": 30}


class Reader:
    """The program with one reader in front of it, who counts what is read from the disk."""

    def __init__(self, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.program: Program | None = None
        self.loads: list[int] = []

    def start(self, *paths: Path) -> None:
        self.program = Program((1280, 800))
        self.qtbot.addWidget(self.program.workbench.window)
        load = self.workbench.loaders.load

        def counted(effect: ev.LoadImage) -> None:
            self.loads.append(effect.node.key.frame)
            load(effect)

        self.workbench.loaders.load = counted
        self.workbench.controller.dispatch(ev.SetAutomatic(False))  # no model is needed here
        self.program.start(list(paths))
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: self.workbench.settled, timeout=WAIT_MS)

    def stop(self) -> None:
        if self.program is not None:
            self.program.workbench.window.close()
            self.program.close()
            self.program = None

    @property
    def workbench(self) -> Any:
        assert self.program is not None
        return self.program.workbench

    @property
    def pane(self) -> Pane:
        pane: Pane = self.workbench.controller.state.pane
        return pane

    @property
    def frame(self) -> int:
        assert self.pane.key is not None
        return self.pane.key.frame

    @property
    def view(self) -> Any:
        return self.workbench.canvas.view(self.workbench.controller.state.active)

    def press(self, key: Qt.Key) -> None:
        self.view.setFocus()
        self.qtbot.keyClick(self.view, key)
        self.settle()

    def wheel(self, notches: int, keys: Qt.KeyboardModifier = NO_KEY) -> None:
        """Towards the reader (down) is positive. Does not wait for anything."""
        at = QPointF(300, 300)
        event = QWheelEvent(
            at,
            at,
            QPoint(),
            QPoint(0, -120 * notches),
            Qt.MouseButton.NoButton,
            keys,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.view.viewport(), event)


@pytest.fixture
def reader(qtbot: QtBot, qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("CXR_VIEWER_HOME", str(tmp_path / "home"))
    before = qapp.styleSheet()
    dress(qapp)
    reader = Reader(qtbot)
    yield reader
    reader.stop()
    qapp.setStyleSheet(before)


@pytest.fixture
def cine(need_data: NeedData) -> Path:
    return need_data("dicom-other/xa_catheter_12frames.dcm")


@pytest.mark.parametrize(("name", "count"), FILMS.items())
def test_every_frame_can_be_reached_by_wheel_and_by_keys(
    reader: Reader, need_data: NeedData, name: str, count: int
) -> None:
    reader.start(need_data(f"dicom-other/{name}"))
    assert (reader.pane.frames, reader.frame) == (count, 0)
    first = reader.pane.image
    reader.wheel(1)
    reader.settle()
    assert reader.frame == 1
    reader.press(Qt.Key.Key_Period)
    assert reader.frame == 2
    assert reader.pane.image is not None
    assert first is not None
    assert not np.array_equal(reader.pane.image.stored, first.stored)  # another picture, not only another number
    reader.press(Qt.Key.Key_Comma)
    assert reader.frame == 1
    reader.press(Qt.Key.Key_End)
    assert reader.frame == count - 1
    reader.wheel(1)
    reader.settle()
    assert reader.frame == count - 1
    reader.press(Qt.Key.Key_Home)
    assert reader.frame == 0
    reader.wheel(-1)
    reader.settle()
    assert reader.frame == 0
    assert np.array_equal(reader.pane.image.stored, first.stored)


def test_a_film_that_cannot_be_shown_stays_explained(reader: Reader, need_data: NeedData) -> None:
    """The wheel over its words is harmless."""
    reader.start(need_data("hostile/rows0.dcm"))
    for notches in (1, -1, 99):
        reader.wheel(notches)
        reader.settle()
    assert reader.pane.status is PaneStatus.FAILED
    assert reader.pane.failure is not None
    assert "Rows" in reader.pane.failure.summary


def test_frames_that_are_only_claimed_cannot_be_reached(reader: Reader, need_data: NeedData) -> None:
    """Two billion frames by the header, the pixels of one in the file."""
    reader.start(need_data("hostile/frames_2e9.dcm"))
    for notches in (1, 99):
        reader.wheel(notches)
        reader.settle()
    assert (reader.pane.status, reader.pane.frames, reader.frame) == (PaneStatus.SHOWN, 1, 0)
    assert reader.pane.image is not None
    assert "NumberOfFrames (0028,0008)" in [caution.tag for caution in reader.pane.image.cautions]
    assert reader.loads == [0]


def test_frames_of_32_bits_are_shown_one_by_one(reader: Reader, need_data: NeedData) -> None:
    """A dose grid: no radiograph, which a caution says, and its frames differ."""
    reader.start(need_data("dicom-other/rtdose_multiframe.dcm"))
    first = reader.pane.image
    assert first is not None
    reader.wheel(1)
    reader.settle()
    assert reader.frame == 1
    assert reader.pane.image is not None
    assert not np.array_equal(reader.pane.image.stored, first.stored)
    assert "modality" in [caution.code for caution in reader.pane.image.cautions]


def test_the_corner_says_which_frame_of_how_many(reader: Reader, cine: Path) -> None:
    reader.start(cine)
    reader.press(Qt.Key.Key_Period)
    reader.press(Qt.Key.Key_Period)
    assert "Frame 3 / 12" in [line.text for line in notes(reader.pane)]


def test_window_zoom_and_place_stay_and_the_film_never_leaves_the_screen(reader: Reader, cine: Path) -> None:
    reader.start(cine)
    controller = reader.workbench.controller
    controller.dispatch(ev.SetVoi(0, VoiWindow(90, 60)))
    controller.dispatch(ev.SetView(0, 2.0, None))
    reader.press(Qt.Key.Key_I)
    display = reader.pane.display
    statuses: list[tuple[PaneStatus, bool]] = []
    controller.state_changed.connect(lambda state: statuses.append((state.pane.status, state.pane.image is not None)))
    for _ in range(3):
        reader.wheel(1)
    reader.settle()
    assert reader.frame == 3
    assert reader.pane.display == display
    assert set(statuses) == {(PaneStatus.SHOWN, True)}


def test_a_quick_turn_of_the_wheel_reads_the_end_and_not_everything_between(reader: Reader, cine: Path) -> None:
    reader.start(cine)
    reader.loads.clear()
    for _ in range(9):
        reader.wheel(1)  # faster than any frame can come
    reader.settle()
    assert reader.frame == 9
    assert reader.loads == [1, 9]


def test_one_strong_turn_jumps(reader: Reader, cine: Path) -> None:
    reader.start(cine)
    reader.loads.clear()
    reader.wheel(5)
    reader.settle()
    assert (reader.frame, reader.loads) == (5, [5])


def test_the_wheel_still_goes_from_film_to_film_and_zooms_with_ctrl(
    reader: Reader, cine: Path, need_data: NeedData
) -> None:
    reader.start(need_data("dicom/media_set_dicomdir/DICOMDIR"))
    before = reader.pane.key
    reader.wheel(1)
    reader.settle()
    assert reader.pane.key != before
    assert reader.frame == 0
    reader.workbench.opener.open([cine])
    reader.settle()
    zoom = reader.view.placement.zoom
    reader.wheel(-1, Qt.KeyboardModifier.ControlModifier)
    assert reader.view.placement.zoom > zoom
    assert reader.frame == 0


def test_the_menu_offers_frames_only_where_there_are_some(reader: Reader, cine: Path, need_data: NeedData) -> None:
    names = ("next_frame", "previous_frame", "first_frame", "last_frame")
    reader.start(need_data("dicom/syn_dx_canon_nospacing.dcm"))
    actions = reader.workbench.actions
    assert not any(actions[name].isEnabled() for name in names)
    reader.workbench.opener.open([cine])
    reader.settle()
    assert all(actions[name].isEnabled() for name in names)
    actions["last_frame"].trigger()
    reader.settle()
    assert reader.frame == 11


def test_the_browser_lists_the_file_once_and_keeps_it_marked(reader: Reader, cine: Path) -> None:
    reader.start(cine)
    browser = reader.workbench.browser
    key = reader.pane.key
    assert key is not None
    reader.press(Qt.Key.Key_End)
    study = browser.study(key.study_uid)
    assert [image.key.frame for image in study.images] == [0]
    assert study.images[0].frames == 12
    assert browser._delegate.open_in == {file_frame(study.images[0]): "1"}
    assert browser.tree.currentIndex().isValid()


def test_opening_another_film_while_a_frame_is_read_shows_that_film(
    reader: Reader, cine: Path, need_data: NeedData
) -> None:
    reader.start(cine)
    controller = reader.workbench.controller
    node = reader.pane.node
    assert node is not None
    controller.dispatch(ev.StepFrame(0, 1))
    reader.workbench.opener.open([need_data("dicom/syn_dx_canon_nospacing.dcm")])
    reader.settle()
    assert reader.pane.frames == 1
    controller.dispatch(ev.OpenImage(node, 0))
    reader.settle()
    controller.dispatch(ev.StepFrame(0, 1))
    controller.dispatch(ev.ClosePane(0))
    reader.settle()
    assert reader.pane.status is PaneStatus.EMPTY
