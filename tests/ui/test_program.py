"""The whole program behind its window: real files, real reading processes, the real model."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QApplication, QLabel, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.app import Program, dress
from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode, ReadStatus
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, Layout, Pane, PaneStatus, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.exporter import Exporter

WAIT_MS = 60_000
LEFT = Qt.MouseButton.LeftButton
NO_KEY = Qt.KeyboardModifier.NoModifier


class Driver:
    """Starts the program and waits for it, as a reader would."""

    def __init__(self, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self._running: list[Program] = []

    def start(self, *paths: Path) -> Program:
        program = Program((1280, 800))
        self._running.append(program)
        self._qtbot.addWidget(program.workbench.window)
        program.start(list(paths))
        self.settle(program)
        return program

    def settle(self, program: Program) -> None:
        self._qtbot.waitUntil(lambda: program.workbench.settled, timeout=WAIT_MS)

    def open(self, program: Program, *paths: Path) -> Pane:
        program.workbench.opener.open(paths)
        self.settle(program)
        return program.workbench.controller.state.pane

    def stop(self, program: Program) -> None:
        program.workbench.window.close()
        program.close()
        self._running.remove(program)

    def stop_all(self) -> None:
        for program in list(self._running):
            self.stop(program)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the tests of this file: a model is prepared once, as on a reader's machine."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def driver(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphs: Path
) -> Iterator[Driver]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "cache").symlink_to(graphs, target_is_directory=True)
    monkeypatch.setenv("CXR_VIEWER_HOME", str(home))
    before = qapp.styleSheet()
    dress(qapp)
    running = Driver(qtbot)
    yield running
    running.stop_all()
    qapp.setStyleSheet(before)


@pytest.fixture
def adult(need_data: Callable[[str], Path]) -> Path:
    return need_data("dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm")


@pytest.fixture
def mono1(need_data: Callable[[str], Path]) -> Path:
    return need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm")


def test_a_film_is_shown_scored_and_explained(driver: Driver, adult: Path) -> None:
    pane = driver.start(adult).workbench.controller.state.pane
    assert pane.status is PaneStatus.SHOWN
    assert pane.analysis is AnalysisStatus.READY
    assert pane.result is not None
    assert pane.image is not None
    assert pane.result.key == pane.image.key == pane.key
    assert len(pane.result.heatmaps) == len(pane.result.findings) > 0


def test_findings_vanish_in_the_step_that_opens_another_film(driver: Driver, adult: Path, mono1: Path) -> None:
    program = driver.start(adult)
    controller = program.workbench.controller
    other = driver.open(program, mono1)
    assert other.result is not None
    first = program.workbench.browser.study(driver.open(program, adult).key.study_uid)  # type: ignore[union-attr]
    assert first is not None
    controller.dispatch(ev.OpenImage(other.node))  # type: ignore[arg-type]
    pane = controller.state.pane
    assert (pane.image, pane.result, pane.heatmap, pane.display.overlay.label) == (None, None, None, None)
    driver.settle(program)


def test_an_adult_film_gets_the_adults_model_and_its_map(driver: Driver, adult: Path) -> None:
    pane = driver.start(adult).workbench.controller.state.pane
    assert pane.result is not None
    assert pane.result.model_id == "adult-findings"
    assert pane.result.limits == ()
    assert pane.result.findings[0].label == "Cardiomegaly"
    assert pane.result.findings[0].positive
    assert pane.heatmap is not None
    assert pane.heatmap.label == "Cardiomegaly"


def test_a_model_for_children_gets_its_score_of_an_adult_film_greyed_with_words(driver: Driver, adult: Path) -> None:
    program = driver.start(adult)
    program.workbench.controller.dispatch(ev.ChooseModel("paediatric-pneumonia"))
    driver.settle(program)
    result = program.workbench.controller.state.pane.result
    assert result is not None
    assert result.model_id == "paediatric-pneumonia"
    assert any("58" in caution.text for caution in result.limits)
    assert program.workbench.controller.state.pane.heatmap is None  # nothing over the lungs unasked


def test_pa_and_lateral_of_a_dicomdir_hang_side_by_side(driver: Driver, need_data: Callable[[str], Path]) -> None:
    state = driver.start(need_data("dicom/media_set_dicomdir/DICOMDIR")).workbench.controller.state
    assert state.layout is Layout.ONE_BY_TWO
    assert [state.panes[index].status for index in state.visible] == [PaneStatus.SHOWN] * 2
    assert state.panes[1].image is not None
    assert state.panes[1].image.view is View.LATERAL


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("hostile/text.dcm", "text.dcm"),
        ("hostile/empty.dcm", "empty"),
        ("dicom-other/no_pixel_data_secondary.dcm", "image"),
    ],
)
def test_a_file_that_is_no_film_gets_a_sentence(
    driver: Driver, need_data: Callable[[str], Path], adult: Path, file: str, words: str
) -> None:
    program = driver.start(adult)
    before = program.workbench.controller.state.pane
    driver.open(program, need_data(file))
    state = program.workbench.controller.state
    assert state.notice is not None
    assert words.lower() in state.notice.text.lower()
    assert state.notice.text.endswith((".", "log)"))
    assert state.pane.image is before.image  # the film being read stays


def test_half_a_film_is_shown_with_a_caution_and_never_scored(
    driver: Driver, need_data: Callable[[str], Path], adult: Path
) -> None:
    program = driver.start(need_data("hostile/trunc_half.dcm"))
    pane = program.workbench.controller.state.pane
    assert pane.status is PaneStatus.SHOWN
    assert pane.image is not None
    assert "truncated" in [caution.code for caution in pane.image.cautions]
    assert pane.analysis is AnalysisStatus.REFUSED
    assert pane.result is None
    assert driver.open(program, adult).analysis is AnalysisStatus.READY


def test_a_film_that_cannot_be_shown_says_why_in_its_pane(
    driver: Driver, need_data: Callable[[str], Path], adult: Path
) -> None:
    program = driver.start(need_data("hostile/rows0.dcm"))
    pane = program.workbench.controller.state.pane
    assert pane.status is PaneStatus.FAILED
    assert pane.failure is not None
    assert pane.failure.summary.endswith(".")
    assert pane.failure.hint
    assert driver.open(program, adult).status is PaneStatus.SHOWN


def test_a_ct_is_shown_but_refused_by_the_model(driver: Driver, need_data: Callable[[str], Path]) -> None:
    pane = driver.start(need_data("dicom-other/ct_small.dcm")).workbench.controller.state.pane
    assert pane.status is PaneStatus.SHOWN
    assert pane.analysis is AnalysisStatus.REFUSED
    assert pane.refusal is not None
    assert "CT" in pane.refusal.summary


def test_files_may_be_dropped_on_any_part_of_the_window(driver: Driver, adult: Path, qtbot: QtBot) -> None:
    program = driver.start(adult)
    workbench = program.workbench
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(adult))])
    parts = (workbench.window, workbench.canvas.view(0).viewport(), workbench.browser.search, workbench.findings)
    for part in (*parts, *workbench.window.findChildren(QPlainTextEdit), workbench.browser.tree.viewport()):
        enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, NO_KEY)
        drop = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, LEFT, NO_KEY)
        with qtbot.waitSignal(workbench.window.paths_dropped, timeout=WAIT_MS) as dropped:
            QApplication.sendEvent(part, enter)
            QApplication.sendEvent(part, drop)
        assert dropped.args == [[adult]]
    driver.settle(program)
    assert workbench.controller.state.pane.status is PaneStatus.SHOWN


def test_keys_work_on_the_film(driver: Driver, adult: Path, qtbot: QtBot) -> None:
    program = driver.start(adult)
    view = program.workbench.canvas.view(0)
    controller = program.workbench.controller
    view.setFocus()

    def press(key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> Pane:
        qtbot.keyClick(view, key, modifier)
        return controller.state.pane

    assert press(Qt.Key.Key_I).display.inverted
    assert press(Qt.Key.Key_R).display.orientation.quarter_turns == 1
    assert press(Qt.Key.Key_G).heatmap is None  # it came with its finding
    assert press(Qt.Key.Key_G).heatmap is not None
    assert press(Qt.Key.Key_BracketRight).display.overlay.alpha == pytest.approx(0.55)
    assert press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier).display.orientation.quarter_turns == 0
    assert not press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier).display.inverted
    assert press(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier).display.inverted
    assert press(Qt.Key.Key_Escape).display.inverted is False
    assert press(Qt.Key.Key_G).heatmap is None
    press(Qt.Key.Key_E)
    assert controller.state.show_seen
    assert program.workbench.findings.saw.picture.isVisible()
    press(Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert program.workbench.saw.isVisible()
    press(Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert not program.workbench.saw.isVisible()
    press(Qt.Key.Key_E)
    assert not controller.state.show_seen


def test_a_preview_comes_first_and_the_whole_film_takes_its_place_without_a_jump(
    driver: Driver, need_data: Callable[[str], Path]
) -> None:
    program = driver.start()
    controller, shown = program.workbench.controller, list[Pane]()

    def look(state: ViewerState) -> None:
        if state.pane.image is not None and state.pane.image.preview and not shown:
            shown.append(state.pane)
            controller.dispatch(ev.SetView(0, 0.75, Point(900.0, 1100.0)))
            controller.dispatch(ev.SetInverted(0, True))
            assert controller.state.pane.analysis is AnalysisStatus.NONE

    controller.state_changed.connect(look)
    pane = driver.open(program, need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"))
    first = shown[0].image
    assert first is not None
    assert pane.image is not None
    assert not pane.image.preview
    assert (pane.image.rows, pane.image.columns) == (first.rows, first.columns)
    assert pane.display == replace(shown[0].display, zoom=0.75, center=Point(900.0, 1100.0), inverted=True)
    assert pane.analysis is AnalysisStatus.READY
    assert pane.result is not None


def test_esc_gives_up_a_film_that_is_being_read(
    driver: Driver, adult: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = driver.start(adult)
    controller, view = program.workbench.controller, program.workbench.canvas.view(0)
    given_up = threading.Event()

    def never(_reader: SandboxReader, _node: ImageNode, cancel: CancelToken, _preview: object = None) -> Radiograph:
        while not cancel.cancelled:
            threading.Event().wait(0.01)
        given_up.set()
        raise CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(SandboxReader, "read", never)
        program.workbench.opener.open([adult])
        qtbot.waitUntil(lambda: controller.state.pane.status is PaneStatus.LOADING, timeout=WAIT_MS)
        program.workbench.canvas.setFocus()
        qtbot.keyClick(view, Qt.Key.Key_Escape)
        assert controller.state.pane.status is PaneStatus.EMPTY
        assert given_up.wait(30)
    assert driver.open(program, adult).status is PaneStatus.SHOWN


def test_yesterdays_studies_are_there_today_and_vanished_files_are_missing(
    driver: Driver, adult: Path, mono1: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "film.dcm"
    shutil.copy(adult, copy)
    program = driver.start(copy)
    key = program.workbench.controller.state.pane.key
    assert key is not None
    program.workbench.controller.dispatch(ev.MarkStudy(key.study_uid, ReadStatus.READ))
    driver.stop(program)
    copy.unlink()
    again = driver.start(mono1)
    browser = again.workbench.browser

    def missing() -> bool:
        study = browser.study(key.study_uid)
        return study is not None and study.images[0].missing and study.status is ReadStatus.READ

    driver._qtbot.waitUntil(missing, timeout=WAIT_MS)


def test_the_inspector_opens_by_key_and_its_list_has_keys_of_its_own(driver: Driver, adult: Path, qtbot: QtBot) -> None:
    workbench = driver.start(adult).workbench
    view, panel = workbench.canvas.view(0), workbench.inspector.panel
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_F2)
    assert panel.is_open
    assert workbench.actions["inspector"].isChecked()
    assert "On screen now" in panel.why.toPlainText()
    panel.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: panel.tags.model.total > 0, timeout=WAIT_MS)
    panel.tags.search.setText("photometric")
    panel.tags.table.selectRow(0)
    panel.tags.table.setFocus()
    QApplication.clipboard().clear()
    qtbot.keyClick(panel.tags.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "MONOCHROME2"
    qtbot.keyClick(view, Qt.Key.Key_F2)
    assert not panel.is_open
    assert not workbench.actions["inspector"].isChecked()


def test_a_report_is_written_and_marks_the_study_as_read(driver: Driver, adult: Path, tmp_path: Path) -> None:
    program = driver.start(adult)
    workbench = program.workbench
    report = workbench.files.report(with_identity=False)
    assert report is not None
    target = tmp_path / "report.png"
    workbench.exporter.report(report, target)
    driver._qtbot.waitUntil(lambda: workbench.controller.state.notice is not None, timeout=WAIT_MS)
    picture = QImage(str(target))
    assert max(picture.width(), picture.height()) >= 2000

    def read() -> bool:
        study = workbench.browser.study(report.image.key.study_uid)
        return study is not None and study.status is ReadStatus.READ

    driver._qtbot.waitUntil(read, timeout=WAIT_MS)


def test_a_report_that_cannot_be_written_gets_a_sentence_and_leaves_no_half_file(
    driver: Driver, adult: Path, tmp_path: Path
) -> None:
    program = driver.start(adult)
    workbench = program.workbench
    report = workbench.files.report(with_identity=False)
    assert report is not None
    folder = tmp_path / "no-folder-here"
    workbench.exporter.report(report, folder / "report.png")
    driver._qtbot.waitUntil(lambda: workbench.controller.state.notice is not None, timeout=WAIT_MS)
    notice = workbench.controller.state.notice
    assert notice is not None
    assert notice.hint
    assert not folder.exists()


def test_without_a_model_films_are_read_and_the_panel_says_so(
    driver: Driver, adult: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cxr_viewer.app.bundle_dirs", lambda data: (tmp_path / "nothing",))
    program = driver.start(adult)
    pane = program.workbench.controller.state.pane
    assert pane.status is PaneStatus.SHOWN
    assert pane.analysis is AnalysisStatus.NONE
    assert "No model is installed." in _words(program.workbench.findings)
    assert "Models…” above installs one" in _words(program.workbench.findings)


def test_damaged_weights_are_named_in_the_panel(
    driver: Driver, adult: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path
) -> None:
    bundles = tmp_path / "models"
    shutil.copytree(repository / "resources" / "models", bundles)
    for weights in bundles.glob("*/weights.safetensors"):
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 0xFF
        weights.write_bytes(data)
    monkeypatch.setattr("cxr_viewer.app.bundle_dirs", lambda data: (bundles,))
    program = driver.start(adult)
    pane = program.workbench.controller.state.pane
    assert pane.analysis is AnalysisStatus.FAILED
    assert pane.analysis_failure is not None
    assert pane.analysis_failure.code != "internal"
    assert pane.analysis_failure.summary in _words(program.workbench.findings)
    assert pane.image is not None


def test_the_view_that_is_copied_is_the_film_on_screen(driver: Driver, adult: Path) -> None:
    program = driver.start(adult)
    picture = program.workbench.canvas.grab_view(0).convertToFormat(QImage.Format.Format_Grayscale8)
    pixels = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    assert pixels.std() > 20  # a picture, not a blank pane
    assert picture.width() == program.workbench.canvas.view(0).width()


def test_an_export_runs_off_the_windows_thread(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> None:
    exporter = Exporter(lambda: pytest.fail("no report was asked for"))
    picture = QImage(8, 8, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.white)
    with qtbot.waitSignal(exporter.sends, timeout=WAIT_MS) as told:
        exporter.view(picture, tmp_path / "view.png")
    exporter.close()
    assert "view.png" in told.args[0].text
    assert QImage(str(tmp_path / "view.png")).size() == picture.size()


def _words(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))
