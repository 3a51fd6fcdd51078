"""The inspector in the window: it follows the active film, copies without identity, and lists every attribute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QTextCursor
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.app import dress
from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken, Failure
from cxr_viewer.core.study import ImageNode
from cxr_viewer.core.tags import TagList, TagRow
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import CornerText, Layout
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.inspector_dock import InspectorDock
from cxr_viewer.ui.inspector_panel import InspectorPanel
from cxr_viewer.ui.main_window import MainWindow
from cxr_viewer.ui.tag_loader import TagAnswer, TagRequest
from cxr_viewer.ui.tag_model import HIDDEN, Column, TagModel
from cxr_viewer.ui.tag_view import TagView

WAIT_MS = 30_000
CANON, PHILIPS = "syn_dx_canon_voilutsequence3.dcm", "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm"
NIH = "dx_nih_00000001_000_pa_cardiomegaly.dcm"
ROWS = (
    TagRow(0, "(0008,0060)", "Modality", "CS", "DX"),
    TagRow(0, "(0008,1140)", "ReferencedImageSequence", "SQ", "2 items"),
    TagRow(1, "Item 1", "", "", ""),
    TagRow(1, "(0008,1150)", "ReferencedSOPClassUID", "UI", "1.2.840"),
    TagRow(1, "Item 2", "", "", ""),
    TagRow(1, "(0040,A170)", "PurposeOfReferenceCodeSequence", "SQ", "1 item"),
    TagRow(2, "Item 1", "", "", ""),
    TagRow(2, "(0008,0104)", "CodeMeaning", "LO", "deep inside"),
    TagRow(0, "(0010,0010)", "PatientName", "PN", "Invented^Ida", identity=True),
    TagRow(0, "(0019,1010)", "", "UN", "secret", identity=True),
    TagRow(0, "(0028,1050)", "WindowCenter", "DS", "2048"),
)


class FakeReader:
    """Answers with what it is given, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[ImageNode] = []
        self.go = threading.Event()
        self.go.set()
        self.answer: TagList | Exception = TagList(ROWS)

    def tags(self, node: ImageNode, cancel: CancelToken) -> TagList:
        self.asked.append(node)
        while not self.go.wait(0.01):
            cancel.raise_if_cancelled()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Stand:
    """The inspector in a window of its own, 320 px wide, over a session."""

    def __init__(self, qtbot: QtBot, new_session: Any, reader: Any) -> None:
        self.bot = qtbot
        self.window = MainWindow(QWidget(), QWidget(), QWidget(), (), QWidget())
        self.zooms = {0: 0.5}
        self.films = self.window.centralWidget()
        self.inspector = InspectorDock(self.window, reader, self.films, lambda pane: self.zooms.get(pane, 1.0))
        self.panel: InspectorPanel = self.inspector.panel
        qtbot.addWidget(self.window)
        self.window.resize(1100, 700)
        with qtbot.waitExposed(self.window):
            self.window.show()
        self.session = new_session(self.inspector)

    def text(self) -> str:
        return self.panel.why.toPlainText()

    def until(self, check: Callable[[], bool]) -> None:
        self.bot.waitUntil(check, timeout=WAIT_MS)

    def open_tags(self) -> TagView:
        self.inspector.switch()
        self.panel.tabs.setCurrentIndex(1)
        return self.panel.tags


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def stand(qtbot: QtBot, qapp: QApplication, new_session: Any, reader: FakeReader) -> Iterator[Stand]:
    before = qapp.styleSheet()
    dress(qapp)
    made = Stand(qtbot, new_session, reader)
    yield made
    reader.go.set()
    made.inspector.close()
    qapp.setStyleSheet(before)


# ---------------------------------------------------------------- the dock


def test_esc_leads_from_the_search_back_to_the_film(stand: Stand, real_film: Any, qtbot: QtBot) -> None:
    stand.films.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    tags.search.setFocus()
    stand.until(tags.search.hasFocus)
    qtbot.keyClicks(tags.search, "rows")
    qtbot.keyClick(tags.search, Qt.Key.Key_Escape)
    assert tags.search.text() == ""
    assert tags.search.hasFocus()
    qtbot.keyClick(tags.search, Qt.Key.Key_Escape)
    assert stand.films.hasFocus()


def test_the_findings_come_first_when_the_window_comes_back(
    stand: Stand, new_session: Any, qtbot: QtBot, reader: FakeReader
) -> None:
    stand.inspector.switch()
    stand.until(lambda: stand.panel.is_open)
    window = stand.window
    geometry, layout = bytes(window.saveGeometry().data()), bytes(window.saveState().data())
    other = Stand(qtbot, new_session, reader)
    other.window.place(geometry, layout, None)
    other.until(lambda: not other.window.right.widget().visibleRegion().isEmpty())
    assert not other.panel.is_open
    assert not other.inspector.dock.isHidden()  # one click away
    other.inspector.close()


def test_closing_it_gives_the_keys_back_to_the_film(stand: Stand, real_film: Any) -> None:
    stand.films.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    tags.search.setFocus()
    stand.until(tags.search.hasFocus)
    stand.inspector.switch()
    assert stand.films.hasFocus()


def test_it_is_closed_until_asked_for_and_empties_when_closed(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    assert not stand.inspector.dock.isVisible()
    assert stand.text() == ""
    stand.inspector.switch()
    assert stand.panel.is_open
    assert "On screen now" in stand.text()
    stand.inspector.switch()
    assert not stand.inspector.dock.isVisible()
    assert stand.text() == ""
    assert stand.panel.film.text() == ""


def test_behind_the_findings_it_rests_and_the_key_brings_it_to_the_front(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    stand.inspector.switch()
    stand.window.right.raise_()
    stand.until(lambda: not stand.panel.is_open)
    assert stand.inspector.dock.isVisibleTo(stand.window)
    stand.inspector.switch()
    stand.until(lambda: stand.panel.is_open)


def test_its_place_is_remembered_with_the_window(stand: Stand, new_session: Any, reader: FakeReader) -> None:
    stand.inspector.switch()
    stand.window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, stand.inspector.dock)
    saved = stand.window.saveState()
    other = Stand(stand.bot, new_session, reader)
    assert other.window.restoreState(saved)
    assert other.window.dockWidgetArea(other.inspector.dock) == Qt.DockWidgetArea.LeftDockWidgetArea
    assert other.panel.is_open
    other.inspector.close()


def test_a_layout_saved_before_there_was_an_inspector_leaves_it_closed(qtbot: QtBot, stand: Stand) -> None:
    old = MainWindow(QWidget(), QWidget(), QWidget(), (), QWidget())
    qtbot.addWidget(old)
    stand.window.restoreState(old.saveState())
    assert not stand.inspector.dock.isVisible()
    stand.inspector.switch()
    assert stand.inspector.dock.isVisible()


# ---------------------------------------------------------------- why


def test_every_step_of_a_real_film_is_there(stand: Stand, real_film: Any) -> None:
    film: Radiograph = real_film(PHILIPS)
    stand.session.open(film)
    stand.inspector.switch()
    text = stand.text()
    assert film.chain
    for step in film.chain:
        assert step.stage.value in text
        assert all(tag.name in text for tag in step.tags)
    for caution in film.cautions:
        assert caution.text in text
    assert film.decoder in text
    assert "JPEG 2000" in text
    assert stand.panel.film.text().startswith("PA · CR · 20")


def test_it_follows_the_active_pane_of_two_by_two(stand: Stand, real_film: Any) -> None:
    session = stand.session
    session.layout(Layout.TWO_BY_TWO)
    session.open(real_film(NIH), 0)
    session.open(real_film(PHILIPS), 3)
    stand.inspector.switch()
    assert stand.panel.film.text().startswith("Film 4: PA · CR")
    session.dispatch(ev.ActivatePane(0))
    assert stand.panel.film.text().startswith("Film 1: DX")
    assert "pylibjpeg-openjpeg" not in stand.text()
    session.dispatch(ev.ActivatePane(1))
    assert "No film is open here." in stand.text()
    assert not stand.panel.copy.isEnabled()


def test_another_film_replaces_the_text_at_once(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(PHILIPS))
    stand.inspector.switch()
    assert "pylibjpeg-openjpeg" in stand.text()
    stand.session.begin_open(real_film(NIH))
    assert "pylibjpeg-openjpeg" not in stand.text()
    assert "being read" in stand.text()


def test_what_the_reader_changes_is_told_soon(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    stand.inspector.switch()
    stand.session.dispatch(ev.SetInverted(0, True))
    stand.until(lambda: "Inverted by you" in stand.text())
    stand.zooms[0] = 1.0
    stand.session.dispatch(ev.SetView(0, 1.0, None))
    stand.until(lambda: "Zoom 100 %" in stand.text())


def test_a_fitted_film_in_a_wider_window_has_another_zoom(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    stand.inspector.switch()
    assert "Zoom 50 %, fitted" in stand.text()
    stand.zooms[0] = 0.9
    stand.films.resize(stand.films.width() + 40, stand.films.height())
    stand.until(lambda: "Zoom 90 %, fitted" in stand.text())


def test_the_place_on_screen_stays_while_the_same_film_changes(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(PHILIPS))
    stand.inspector.switch()
    bar = stand.panel.why.verticalScrollBar()
    stand.until(lambda: bar.maximum() > 100)
    bar.setValue(90)
    stand.session.dispatch(ev.SetInverted(0, True))
    stand.until(lambda: "Inverted by you" in stand.text())
    assert bar.value() == 90


def test_nothing_is_cut_off_at_320_pixels(stand: Stand, real_film: Any) -> None:
    film = real_film(PHILIPS)
    step = replace(film.chain[0], rule="W" * 400, tags=(replace(film.chain[0].tags[0], value="9" * 300),))
    stand.session.open(replace(film, chain=(step, *film.chain[1:])))
    stand.inspector.switch()
    stand.window.resizeDocks([stand.inspector.dock], [320], Qt.Orientation.Horizontal)
    stand.until(lambda: stand.panel.width() <= 330)
    why = stand.panel.why
    assert why.horizontalScrollBar().maximum() == 0
    assert why.document().idealWidth() <= why.viewport().width()
    for label in (stand.panel.film, stand.panel.copy):
        assert label.width() >= label.minimumSizeHint().width()


def test_copy_all_leaves_out_who_the_patient_is(stand: Stand, real_film: Any) -> None:
    film: Radiograph = real_film(PHILIPS)
    assert film.patient.name
    assert film.study.date is not None
    stand.session.open(film)
    stand.inspector.switch()
    stand.bot.mouseClick(stand.panel.copy, Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert "WindowWidth (0028,1051)" in copied
    assert film.patient.name not in copied
    assert film.study.date.isoformat() not in copied
    assert stand.session.state.notice is not None
    assert "without the patient's identity" in stand.session.state.notice.text


def test_text_can_be_selected_and_copied(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    stand.inspector.switch()
    why = stand.panel.why
    assert why.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    cursor = why.document().find("On screen now")
    cursor.select(QTextCursor.SelectionType.LineUnderCursor)
    why.setTextCursor(cursor)
    why.copy()
    assert QGuiApplication.clipboard().text() == "On screen now"


def test_a_film_without_names_on_it_has_no_day_here_either(stand: Stand, real_film: Any) -> None:
    film: Radiograph = real_film(PHILIPS)
    assert film.study.date is not None
    stand.session.open(film)
    stand.inspector.switch()
    assert film.study.date.isoformat() in stand.panel.film.text()
    stand.session.dispatch(ev.SetCornerText(CornerText.NO_IDENTITY))
    assert film.study.date.isoformat() not in stand.panel.film.text()
    assert str(film.study.date.year) in stand.panel.film.text()


def test_text_of_a_file_is_not_taken_for_markup(stand: Stand, real_film: Any) -> None:
    film = real_film(NIH)
    step = replace(film.chain[0], rule="<b>bold</b><img src='x'>")
    stand.session.open(replace(film, chain=(step,)))
    stand.inspector.switch()
    assert "<b>bold</b><img src='x'>" in stand.text()


# ---------------------------------------------------------------- tags


def test_attributes_are_read_only_when_they_are_looked_at(stand: Stand, reader: FakeReader, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    stand.inspector.switch()
    assert reader.asked == []
    stand.panel.tabs.setCurrentIndex(1)
    stand.until(lambda: stand.panel.tags.model.total == len(ROWS))
    assert [node.key for node in reader.asked] == [real_film(NIH).key]
    assert stand.panel.tags.count.text() == f"{len(ROWS)} rows"


def test_a_late_answer_for_another_film_is_dropped(stand: Stand, reader: FakeReader, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    stand.until(lambda: tags.model.total > 0)
    before = TagRequest(0, stand.session.state.pane.generation, stand.session.state.pane.node)
    reader.go.clear()
    stand.session.open(real_film(PHILIPS))
    assert tags.model.total == 0
    assert "Reading" in tags.message.text()
    stand.panel.take_tags(TagAnswer(before, TagList(ROWS)))
    assert tags.model.total == 0
    reader.answer = TagList(ROWS[:3])
    reader.go.set()
    stand.until(lambda: tags.model.total == 3)


def test_closing_the_film_empties_the_list(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    stand.until(lambda: tags.model.total > 0)
    stand.session.dispatch(ev.ClosePane(0))
    assert tags.model.total == 0
    assert "No film" in tags.message.text()


def test_another_frame_of_the_same_file_is_not_read_again(stand: Stand, reader: FakeReader, real_film: Any) -> None:
    film = replace(real_film(NIH), frames=2)
    stand.session.open(film)
    tags = stand.open_tags()
    stand.until(lambda: tags.model.total > 0)
    load = next(e for e in stand.session.dispatch(ev.StepFrame(0, 1)) if isinstance(e, ev.LoadImage))
    second = replace(film, key=replace(film.key, frame=1))
    stand.session.dispatch(ev.ImageLoaded(0, load.generation, second))
    assert "frame 2 of 2" in stand.panel.film.text()
    assert tags.model.total > 0
    assert len(reader.asked) == 1


def test_a_film_that_cannot_be_shown_has_its_attributes_and_the_reason(
    stand: Stand, reader: FakeReader, real_film: Any
) -> None:
    load = stand.session.begin_open(real_film(NIH))
    tags = stand.open_tags()
    assert "Reading" in tags.message.text()
    assert reader.asked == []
    stand.session.dispatch(
        ev.LoadFailed(Failure(0, load.generation, "read", "memory", "Too large.", "Fetch it again."))
    )
    stand.until(lambda: tags.model.total == len(ROWS))
    stand.panel.tabs.setCurrentIndex(0)
    assert "Too large." in stand.text()
    assert "Fetch it again." in stand.text()


def test_a_fault_is_one_sentence(stand: Stand, reader: FakeReader, real_film: Any) -> None:
    reader.answer = ReadError("The file is not there any more.", hint="Connect its disk.", code="file-missing")
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    stand.until(lambda: "not there any more" in tags.message.text())
    assert "Connect its disk." in tags.message.text()


def test_a_list_that_is_not_whole_says_so(stand: Stand, reader: FakeReader, real_film: Any) -> None:
    reader.answer = TagList(ROWS, complete=False)
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    stand.until(lambda: tags.model.total > 0)
    assert tags.incomplete.isVisibleTo(stand.panel)
    reader.answer = TagList(())
    stand.session.open(real_film(PHILIPS))
    stand.until(lambda: "no DICOM file" in tags.message.text())
    assert not tags.incomplete.isVisibleTo(stand.panel)


def test_hidden_identity_follows_the_corner_text(stand: Stand, real_film: Any) -> None:
    stand.session.open(real_film(NIH))
    tags = stand.open_tags()
    stand.until(lambda: tags.model.total > 0)
    assert not tags.hide_identity.isChecked()
    stand.session.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    assert tags.hide_identity.isChecked()
    assert shown_values(tags.model)[8:10] == [HIDDEN, HIDDEN]
    stand.bot.mouseClick(tags.hide_identity, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert shown_values(tags.model)[8] == "Invented^Ida"
    stand.session.dispatch(ev.SetInverted(0, True))  # the reader's own choice stays
    assert not tags.hide_identity.isChecked()


def test_the_real_reader_fills_the_list(
    qtbot: QtBot, new_session: Any, real_film: Any, need_data: Callable[[str], Path]
) -> None:
    need_data(f"dicom/{CANON}")
    reader = SandboxReader()
    made = Stand(qtbot, new_session, reader)
    try:
        made.session.open(real_film(CANON))
        tags = made.open_tags()
        made.until(lambda: tags.model.total > 100)
        tags.search.setText("0028,3010")
        assert tags.model.matching == 1
        assert tags.model.value(0) == "3 items"
        tags.search.setText("patientname")
        assert tags.model.value(0) == real_film(CANON).patient.name
    finally:
        made.inspector.close()
        reader.close()


# ---------------------------------------------------------------- the list by itself


def shown_values(model: TagModel) -> list[str]:
    return [model.value(place) for place in range(model.rowCount())]


def shown_tags(model: TagModel) -> list[str]:
    return [model.row(place).tag for place in range(model.rowCount())]


@pytest.fixture
def view(qtbot: QtBot) -> TagView:
    made = TagView()
    qtbot.addWidget(made)
    made.resize(320, 500)
    with qtbot.waitExposed(made):
        made.show()
    made.hide_identity.setChecked(False)
    made.show_tags(TagList(ROWS))
    return made


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("0028,1050", ["(0028,1050)"]),
        ("00281050", ["(0028,1050)"]),
        ("(0028,1050)", ["(0028,1050)"]),
        ("0028", ["(0028,1050)"]),
        ("windowc", ["(0028,1050)"]),
        ("window center", ["(0028,1050)"]),
        ("2048", ["(0028,1050)"]),
        ("INVENTED", ["(0010,0010)"]),
        ("private", ["(0019,1010)"]),
        ("deep", ["(0008,1140)", "Item 2", "(0040,A170)", "Item 1", "(0008,0104)"]),
        ("no such thing", []),
    ],
)
def test_search_finds_tags_names_and_values_with_the_sequences_around_them(
    view: TagView, qtbot: QtBot, query: str, found: list[str]
) -> None:
    qtbot.keyClicks(view.search, query)
    assert shown_tags(view.model) == found
    if not found:
        assert view.pages.currentWidget() is view.message
    view.search.clear()
    assert view.model.rowCount() == len(ROWS)
    assert view.pages.currentWidget() is view.table


def test_esc_shows_all_again(view: TagView, qtbot: QtBot) -> None:
    view.search.setFocus()
    qtbot.keyClicks(view.search, "window")
    qtbot.keyClick(view.search, Qt.Key.Key_Escape)
    assert view.model.rowCount() == len(ROWS)


def test_down_goes_from_the_search_to_what_it_found(view: TagView, qtbot: QtBot) -> None:
    view.show()
    view.activateWindow()
    view.search.setFocus()
    qtbot.waitUntil(view.search.hasFocus)
    qtbot.keyClicks(view.search, "0028,1050")
    qtbot.keyClick(view.search, Qt.Key.Key_Down)
    assert view.table.hasFocus()
    assert view.detail.toPlainText().startswith("WindowCenter (0028,1050) DS")


@pytest.mark.parametrize(("width", "hidden"), [(320, True), (500, False)])
def test_a_narrow_list_leaves_the_vr_to_the_lines_below(view: TagView, width: int, hidden: bool) -> None:
    view.resize(width, 500)
    view.show()
    assert view.table.isColumnHidden(Column.VR) == hidden


def test_hidden_values_can_neither_be_found_nor_copied(view: TagView) -> None:
    view.hide_identity.setChecked(True)
    view.search.setText("invented")
    assert view.model.rowCount() == 0
    view.search.setText("patientname")
    view.table.selectRow(0)
    view.copy_values()
    assert QGuiApplication.clipboard().text() == HIDDEN
    view.copy_rows()
    assert QGuiApplication.clipboard().text() == f"(0010,0010)\tPatientName\tPN\t{HIDDEN}"
    assert "Invented" not in view.detail.toPlainText()
    for column in Column:
        tip = view.model.data(view.model.index(0, column), Qt.ItemDataRole.ToolTipRole) or ""
        spoken = view.model.data(view.model.index(0, column), Qt.ItemDataRole.AccessibleTextRole)
        assert "Invented" not in f"{tip}{spoken}"


def test_ctrl_c_copies_the_values_and_never_the_view(view: TagView, qtbot: QtBot) -> None:
    view.table.selectRow(0)
    view.table.setFocus()
    QGuiApplication.clipboard().clear()
    qtbot.keyClick(view.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "DX"
    view.table.selectAll()
    view.copy_values()
    assert QGuiApplication.clipboard().text().splitlines()[-1] == "2048"


def test_ctrl_c_is_taken_from_the_window(view: TagView) -> None:
    """In the window Ctrl+C copies the film; a list that has the focus comes first."""
    key = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier, "c")
    key.ignore()
    QApplication.sendEvent(view.table, key)
    assert key.isAccepted()


def test_sequences_fold_and_unfold_by_key_and_click(view: TagView, qtbot: QtBot) -> None:
    table, model = view.table, view.model
    table.setFocus()
    table.selectRow(1)
    qtbot.keyClick(table, Qt.Key.Key_Left)
    assert shown_tags(model) == ["(0008,0060)", "(0008,1140)", "(0010,0010)", "(0019,1010)", "(0028,1050)"]
    assert table.currentIndex().row() == 1
    qtbot.keyClick(table, Qt.Key.Key_Left)
    assert model.rowCount() == 5
    qtbot.keyClick(table, Qt.Key.Key_Right)
    assert model.rowCount() == len(ROWS)
    at = table.visualRect(model.index(5, Column.TAG)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert shown_tags(model)[5:7] == ["(0040,A170)", "(0010,0010)"]


def test_the_whole_value_stands_below_the_list(view: TagView) -> None:
    long = "x" * 900
    view.show_tags(TagList((TagRow(0, "(0020,4000)", "ImageComments", "LT", long),)))
    view.table.selectRow(0)
    assert view.detail.toPlainText() == f"ImageComments (0020,4000) LT\n{long}"


def test_twenty_thousand_rows_make_no_widget_each(view: TagView) -> None:
    rows = tuple(TagRow(0, f"(0009,{number % 65536:04X})", "", "UN", str(number)) for number in range(20_000))
    before = len(view.findChildren(QWidget))
    view.show_tags(TagList(rows))
    view.table.scrollToBottom()
    view.search.setText("19999")
    assert view.model.value(0) == "19999"
    view.search.clear()
    assert view.model.rowCount() == 20_000
    assert len(view.findChildren(QWidget)) == before


def test_every_control_has_a_name(stand: Stand) -> None:
    panel = stand.panel
    for control in (panel.copy, panel.why, panel.tags.search, panel.tags.hide_identity, panel.tags.table):
        assert control.accessibleName()
    assert all(label.textFormat() != Qt.TextFormat.RichText for label in panel.findChildren(QLabel))
