"""A film measured by the reader's own hand: drawn, asked, shown everywhere, kept, and taken back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QLabel, QLineEdit, QMenu, QPushButton
from pytestqt.qtbot import QtBot

from cxr_viewer.app import Program, dress
from cxr_viewer.core.annotations import Mark, MarkKind, mark_label
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing, SpacingSource
from cxr_viewer.core.wording import spacing_text
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane
from cxr_viewer.ui.calibration_dialog import CalibrationDialog, meaning

WAIT_MS = 60_000
RIGHT = Qt.MouseButton.RightButton
CTRL = Qt.KeyboardModifier.ControlModifier
NeedData = Callable[[str], Path]


class Reader:
    """The program with one reader in front of it."""

    def __init__(self, qtbot: QtBot, hand: Any) -> None:
        self.qtbot, self.hand = qtbot, hand
        self.program: Program | None = None

    def start(self, *paths: Path) -> None:
        self.program = Program((1280, 800))
        self.qtbot.addWidget(self.program.workbench.window)
        self.workbench.controller.dispatch(ev.SetAutomatic(False))  # no model is needed here
        self.program.start(list(paths))
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: self.workbench.settled, timeout=WAIT_MS)

    def open(self, path: Path) -> Pane:
        self.workbench.opener.open([path])
        self.settle()
        return self.pane

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
    def view(self) -> Any:
        return self.workbench.canvas.view(self.workbench.controller.state.active)

    def press(self, key: Qt.Key, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        window = self.workbench.window
        window.activateWindow()  # what the window manager does when a dialog closes
        self.qtbot.waitUntil(window.isActiveWindow, timeout=WAIT_MS)
        self.view.setFocus()
        self.qtbot.keyClick(self.view, key, keys)

    def draw_length(self, start: tuple[float, float] = (200, 200), end: tuple[float, float] = (400, 300)) -> Mark:
        """With the tool chosen by its key and the mouse."""
        self.press(Qt.Key.Key_D)
        self.hand.drag(self.view.viewport(), start, end)
        self.press(Qt.Key.Key_W)
        return self.pane.marks[-1]

    def dialog(self) -> CalibrationDialog:
        found = self.workbench.window.findChildren(CalibrationDialog)
        open_now = [dialog for dialog in found if dialog.isVisible()]
        assert len(open_now) == 1
        self.qtbot.waitUntil(open_now[0].isActiveWindow, timeout=WAIT_MS)
        return open_now[0]  # type: ignore[no-any-return]

    def calibrate(self, words: str) -> None:
        """Ctrl+L, the length, Enter."""
        self.press(Qt.Key.Key_L, CTRL)
        dialog = self.dialog()
        self.qtbot.keyClicks(dialog.findChild(QLineEdit), words)
        self.qtbot.keyClick(dialog.findChild(QLineEdit), Qt.Key.Key_Return)
        assert not dialog.isVisible()

    def label(self, place: int = -1) -> str:
        assert self.pane.image is not None
        return mark_label(self.pane.marks[place], self.pane.image.spacing)


@pytest.fixture
def reader(
    qtbot: QtBot, qapp: QApplication, hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    monkeypatch.setenv("CXR_VIEWER_HOME", str(tmp_path / "home"))
    before = qapp.styleSheet()
    dress(qapp)
    reader = Reader(qtbot, hand)
    yield reader
    reader.stop()
    qapp.setStyleSheet(before)


@pytest.fixture
def bare(need_data: NeedData) -> Path:
    """A film whose file says nothing of millimetres."""
    return need_data("dicom/syn_dx_canon_nospacing.dcm")


@pytest.fixture
def corrected(need_data: NeedData) -> Path:
    """A film with a spacing at the detector and a magnification factor."""
    return need_data("dicom/syn_dx_canon_imagerspacing_only_magnification.dcm")


def words_of(dialog: CalibrationDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel))


def ok(dialog: CalibrationDialog) -> QPushButton:
    box = dialog.findChild(QDialogButtonBox)
    assert isinstance(box, QDialogButtonBox)
    return box.button(QDialogButtonBox.StandardButton.Ok)


# ---------------------------------------------------------------- what the file says


def test_every_source_of_millimetres_is_named_beside_the_length(
    reader: Reader, bare: Path, corrected: Path, need_data: NeedData
) -> None:
    films = {
        bare: "px (not calibrated)",
        corrected: "mm (magnification corrected)",
        need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"): "mm (at detector)",
        need_data("dicom-other/ct_small.dcm"): "mm (calibrated)",
    }
    reader.start()
    for path, words in films.items():
        reader.open(path)
        reader.draw_length((150, 200), (300, 300))
        assert reader.label().endswith(words)
        reader.calibrate("25")
        assert reader.label() == "25.0 mm (by the reader)"


# ---------------------------------------------------------------- by keyboard


def test_a_film_without_millimetres_is_measured_by_a_line(reader: Reader, bare: Path) -> None:
    reader.start(bare)
    line = reader.draw_length()
    assert "px (not calibrated)" in reader.label()
    reader.calibrate("25,4")
    assert reader.label() == "25.4 mm (by the reader)"
    spacing = reader.pane.image.spacing  # type: ignore[union-attr]
    assert spacing is not None
    assert spacing.row_mm == spacing.column_mm
    assert "by the reader" in spacing_text(spacing)
    other = reader.draw_length((200, 350), (300, 400))
    dx, dy = line.points[1].x - line.points[0].x, line.points[1].y - line.points[0].y
    ox, oy = other.points[1].x - other.points[0].x, other.points[1].y - other.points[0].y
    ratio = (ox**2 + oy**2) ** 0.5 / (dx**2 + dy**2) ** 0.5
    assert float(reader.label().split()[0]) == pytest.approx(25.4 * ratio, abs=0.06)


def test_the_screen_changes_with_the_calibration(
    reader: Reader, bare: Path, screen_pixels: Callable[[Any], Any]
) -> None:
    """Scale bar, corner and label are all painted from the same millimetres; before there is no bar at all."""
    reader.start(bare)
    reader.draw_length()
    before = screen_pixels(reader.view.viewport())
    reader.calibrate("25")
    after = screen_pixels(reader.view.viewport())
    corner = (slice(-60, None), slice(before.shape[1] // 2, None))  # a notice above takes some of the height
    assert (before[corner] != after[corner]).any()


def test_the_report_carries_it(reader: Reader, bare: Path) -> None:
    reader.start(bare)
    reader.draw_length()
    reader.calibrate("25")
    report = reader.workbench.files.report(with_identity=False)
    assert report.image.spacing.source is SpacingSource.USER
    assert mark_label(report.marks[0], report.image.spacing) == "25.0 mm (by the reader)"


def test_escape_leaves_the_film_as_it_was(reader: Reader, corrected: Path) -> None:
    reader.start(corrected)
    reader.draw_length()
    before = reader.pane
    reader.press(Qt.Key.Key_L, CTRL)
    dialog = reader.dialog()
    reader.qtbot.keyClicks(dialog.findChild(QLineEdit), "25")
    reader.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert reader.pane is before


@pytest.mark.parametrize("words", ["", "0", "-25", "much", "nan", "inf", "2001", "0.05", "2 5"])
def test_what_is_no_length_cannot_be_given(qtbot: QtBot, make_film: Callable[..., Any], words: str) -> None:
    line = Mark(1, MarkKind.LENGTH, (Point(0, 0), Point(0, 50)))
    dialog = CalibrationDialog(make_film(np.zeros((60, 60), np.uint8)), line, None)
    qtbot.addWidget(dialog)
    dialog.open()
    field = dialog.findChild(QLineEdit)
    qtbot.keyClicks(field, words)
    assert not ok(dialog).isEnabled()
    assert "Give a length from 0.1 to 2000 mm." in words_of(dialog)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert dialog.isVisible()
    qtbot.keyClick(field, Qt.Key.Key_A, CTRL)
    qtbot.keyClicks(field, "25")
    assert ok(dialog).isEnabled()


def test_the_dialog_says_what_is_now_what_would_be_and_where_it_holds(reader: Reader, corrected: Path) -> None:
    reader.start(corrected)
    reader.draw_length()
    reader.press(Qt.Key.Key_L, CTRL)
    dialog = reader.dialog()
    assert f"It reads {reader.label()} now." in words_of(dialog)
    assert "only in the plane of the object" in words_of(dialog)
    ball = next(button for button in dialog.findChildren(QPushButton) if button.text() == "25 mm ball")
    reader.qtbot.mouseClick(ball, Qt.MouseButton.LeftButton)
    assert dialog.mm() == 25.0
    assert "times what the file says (magnification corrected)" in words_of(dialog)
    dialog.reject()


def test_a_measure_that_can_hardly_be_is_questioned(make_film: Callable[..., Any]) -> None:
    film = make_film(np.zeros((3000, 2500), np.uint16))
    at_detector = PixelSpacing(0.14, 0.14, SpacingSource.DETECTOR)
    sound, doubtful = meaning(film, PixelSpacing(0.125, 0.125, SpacingSource.USER), at_detector)
    assert "31.2 x 37.5 cm" in sound
    assert "0.893 times" in sound
    assert not doubtful
    for spacing, of_file in ((0.4, None), (0.005, None), (0.3, at_detector), (0.05, at_detector)):
        text, doubtful = meaning(film, PixelSpacing(spacing, spacing, SpacingSource.USER), of_file)
        assert doubtful
        assert text.endswith("Please check the length.")


def test_without_a_line_the_reader_is_told_how_to_come_by_one(reader: Reader, bare: Path) -> None:
    reader.start(bare)
    reader.press(Qt.Key.Key_L, CTRL)
    state = reader.workbench.controller.state
    assert "Draw a line" in state.notice.text
    assert state.tool.value == "length"
    reader.hand.drag(reader.view.viewport(), (200, 200), (400, 300))
    reader.calibrate("25")
    assert reader.label() == "25.0 mm (by the reader)"


def test_a_line_that_slipped_does_not_calibrate(reader: Reader, bare: Path) -> None:
    reader.start(bare)
    points = (Point(100, 100), Point(103, 100))
    reader.workbench.controller.dispatch(ev.AddMark(0, MarkKind.LENGTH, points))
    reader.press(Qt.Key.Key_L, CTRL)
    assert "too short" in reader.workbench.controller.state.notice.text
    assert not reader.pane.calibrated


def test_a_length_given_for_a_film_that_has_gone_is_not_used(reader: Reader, bare: Path, corrected: Path) -> None:
    """Another program may hand over a film while the dialog is open."""
    reader.start(bare)
    reader.draw_length()
    reader.press(Qt.Key.Key_L, CTRL)
    dialog = reader.dialog()
    reader.open(corrected)
    reader.workbench.controller.dispatch(ev.AddMark(0, MarkKind.LENGTH, (Point(0, 0), Point(90, 90))))
    reader.qtbot.keyClicks(dialog.findChild(QLineEdit), "25")
    dialog.accept()
    assert not reader.pane.calibrated
    assert "not calibrated" in reader.workbench.controller.state.notice.text


# ---------------------------------------------------------------- by mouse


@pytest.fixture
def menus(monkeypatch: pytest.MonkeyPatch) -> list[QMenu]:
    """The menus asked for; the screenless Qt cannot show one."""
    asked: list[QMenu] = []
    monkeypatch.setattr(QMenu, "popup", lambda menu, at: asked.append(menu))
    return asked


def actions_of(menu: QMenu) -> dict[str, QAction]:
    return {action.text(): action for action in menu.actions() if not action.isSeparator()}


def test_the_menu_of_a_length_offers_to_calibrate_by_it(reader: Reader, corrected: Path, menus: list[QMenu]) -> None:
    reader.start(corrected)
    first = reader.draw_length((200, 200), (400, 300))
    reader.draw_length((200, 400), (400, 450))
    on_first = QPointF(*reader.view.placement.to_widget(first.points[0]))
    reader.hand.click(reader.view.viewport(), (on_first.x() + 40, on_first.y() + 20), RIGHT)
    assert reader.pane.selected_mark == first.mark_id
    offered = actions_of(menus[-1])
    assert "Back to the file's millimetres" not in offered
    offered["Calibrate by this line\N{HORIZONTAL ELLIPSIS}"].trigger()
    dialog = reader.dialog()
    reader.qtbot.keyClicks(dialog.findChild(QLineEdit), "25")
    reader.qtbot.mouseClick(ok(dialog), Qt.MouseButton.LeftButton)
    assert reader.label(0) == "25.0 mm (by the reader)"
    reader.hand.click(reader.view.viewport(), (300, 300), RIGHT)
    actions_of(menus[-1])["Back to the file's millimetres"].trigger()
    assert not reader.pane.calibrated


def test_the_menu_of_a_film_without_a_length_does_not_speak_of_it(
    reader: Reader, bare: Path, menus: list[QMenu]
) -> None:
    reader.start(bare)
    reader.hand.click(reader.view.viewport(), (300, 300), RIGHT)
    assert not any("Calibrate" in text or "millimetres" in text for text in actions_of(menus[-1]))


# ---------------------------------------------------------------- kept and taken back


def test_it_comes_back_with_the_film_also_tomorrow_and_from_another_place(
    reader: Reader, bare: Path, corrected: Path, tmp_path: Path
) -> None:
    reader.start(bare)
    reader.draw_length()
    reader.calibrate("25")
    spacing = reader.pane.image.spacing  # type: ignore[union-attr]
    assert reader.open(corrected).image.spacing.source is SpacingSource.MAGNIFICATION_CORRECTED  # type: ignore[union-attr]
    assert reader.open(bare).image.spacing == spacing  # type: ignore[union-attr]
    reader.stop()
    elsewhere = tmp_path / "elsewhere.dcm"
    shutil.copy(bare, elsewhere)
    reader.start(elsewhere)
    pane = reader.pane
    assert pane.image is not None
    assert pane.image.path == elsewhere
    assert (pane.image.spacing, pane.calibrated, pane.file_spacing) == (spacing, True, None)


def test_the_way_back_is_kept_as_well(reader: Reader, corrected: Path) -> None:
    reader.start(corrected)
    actions = reader.workbench.actions
    assert not actions["file_millimetres"].isEnabled()
    reader.draw_length()
    before = reader.label()
    reader.calibrate("25")
    assert actions["file_millimetres"].isEnabled()
    actions["file_millimetres"].trigger()
    assert reader.label() == before
    assert not actions["file_millimetres"].isEnabled()
    reader.stop()
    reader.start(corrected)
    assert not reader.pane.calibrated
    assert reader.pane.image.spacing.source is SpacingSource.MAGNIFICATION_CORRECTED  # type: ignore[union-attr]


def test_a_list_that_cannot_be_written_loses_no_calibration_today(
    reader: Reader, bare: Path, corrected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CxrError("The study list could not be written.", hint="The disk is full.")

    reader.start(bare)
    monkeypatch.setattr(reader.workbench._parts.library, "save_calibration", full)
    reader.draw_length()
    reader.calibrate("25")
    spacing = reader.pane.image.spacing  # type: ignore[union-attr]

    def told() -> bool:
        notice = reader.workbench.controller.state.notice
        return notice is not None and "could not be written" in notice.text

    reader.qtbot.waitUntil(told, timeout=WAIT_MS)
    reader.open(corrected)
    assert reader.open(bare).image.spacing == spacing  # type: ignore[union-attr]
