"""The study list in the window: what it shows of real films, how it is searched, opened and kept in place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt, QUrl
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from cxr_viewer.core.image import View
from cxr_viewer.core.study import FoundImage, ImageNode, ReadStatus, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library
from cxr_viewer.services.settings import BrowserSort
from cxr_viewer.services.state import Layout, Pane, ScanStatus, ViewerState
from cxr_viewer.ui.browser_panel import BrowserPanel
from cxr_viewer.ui.study_rows import Level, Row

MakeFound = Callable[..., FoundImage]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "library.sqlite")
    yield library
    library.close()


@pytest.fixture
def panel(qtbot: QtBot) -> BrowserPanel:
    panel = BrowserPanel()
    panel.setStyleSheet("* { font-size: 10pt; }")
    panel.resize(340, 700)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    # Qt's own checker follows every change of the model and fails the test by a warning.
    panel.checker = QAbstractItemModelTester(panel.model, QAbstractItemModelTester.FailureReportingMode.Warning)  # type: ignore[attr-defined]
    return panel


@pytest.fixture
def events(panel: BrowserPanel) -> list[ev.Event]:
    emitted: list[ev.Event] = []
    panel.sends.connect(emitted.append)
    return emitted


@pytest.fixture
def films(library: Library, make_found: MakeFound) -> tuple[StudyNode, ...]:
    """Ida with PA and lateral of 2024; Olga with one AP film each of 2022 and 2023; a picture nobody owns."""
    pa = make_found("/films/ida/pa", study="ida", view=View.PA, instance_number=1)
    lateral = make_found("/films/ida/lat", study="ida", view=View.LATERAL, instance_number=2)
    olga = {"name": "Fictional^Olga", "patient": "P2", "view": View.AP}
    first = make_found("/films/olga/1", study="olga1", date=date(2022), description="ICU BED 3", **olga)
    second = make_found("/films/olga/2", study="olga2", date=date(2023), description="CHEST AP", **olga)
    picture = make_found("/films/thorax.png", study="png", name="", patient="", date=None, is_dicom=False)
    library.add([pa, lateral, first, second, picture])
    return library.studies()


def date(year: int) -> dt.date:
    return dt.date(year, 6, 1)


def all_rows(panel: BrowserPanel, parent: QModelIndex | None = None) -> list[Row]:
    """Rows in the order of the list, unfolded or not."""
    model = panel.model
    parent = parent or QModelIndex()
    rows: list[Row] = []
    for place in range(model.rowCount(parent)):
        index = model.index(place, 0, parent)
        row = model.row(index)
        assert row is not None
        rows += [row, *all_rows(panel, index)]
    return rows


def row_named(panel: BrowserPanel, text: str) -> Row:
    return next(row for row in all_rows(panel) if any(text in line for line in row.lines()))


def index_named(panel: BrowserPanel, text: str) -> QModelIndex:
    return panel.model.index_of(row_named(panel, text))


def titles(panel: BrowserPanel) -> list[str]:
    return [row.lines()[0] for row in panel.model.top_rows()]


def click(qtbot: QtBot, panel: BrowserPanel, text: str) -> None:
    panel.tree.settle()
    at = panel.tree.visualRect(index_named(panel, text)).center()
    qtbot.mouseClick(panel.tree.viewport(), LEFT, pos=at)


# ---------------------------------------------------------------- what is shown


def test_every_real_film_has_its_row(
    panel: BrowserPanel, library: Library, found_films: tuple[FoundImage, ...]
) -> None:
    library.add(found_films)
    panel.set_studies(library.studies())
    films = [row.image for row in all_rows(panel) if row.image]
    shown = {path for film in films for path in (film.path, *(path for path, _ in film.copies))}
    assert shown == {found.image.path for found in found_films}
    assert panel.count.text() == f"{len(library.studies())} studies"


def test_a_row_stands_for_all_levels_that_hold_one_thing(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)
    levels = {row.lines()[0]: (row.level, len(row.images)) for row in panel.model.top_rows()}
    assert levels == {
        "Invented, Ida": (Level.SERIES, 2),
        "Fictional, Olga": (Level.PATIENT, 2),
        "thorax.png": (Level.IMAGE, 1),
    }
    assert [row.level for row in panel.model.shown_children(row_named(panel, "Olga"))] == [Level.IMAGE, Level.IMAGE]


def test_rows_say_who_when_what_and_which_view(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)
    assert row_named(panel, "Ida").lines() == (
        "Invented, Ida",
        "P1 · F · 64 y",
        "2024-03-05 · PA, LAT · CHEST PA · 2 images",
    )
    assert row_named(panel, "ICU").lines() == ("2022-06-01", "ICU BED 3", "AP · 1736 \N{MULTIPLICATION SIGN} 2022")
    children = panel.model.shown_children(row_named(panel, "Ida"))
    assert [child.lines()[0] for child in children] == ["PA", "LAT"]


def test_rows_say_which_archive_they_are_in(panel: BrowserPanel, library: Library, make_found: MakeFound) -> None:
    """Films and pictures of an archive name it, whatever level a row stands for; plain films beside them do not."""
    zipped = {"size": 500, "modified": 7}
    library.add(
        [
            make_found("/films/disc.zip", study="ida", view=View.PA, sop="1", member="0", **zipped),
            make_found("/films/disc.zip", study="ida", view=View.LATERAL, sop="2", member="1", **zipped),
            make_found("/films/plain", study="olga", name="Fictional^Olga", patient="P2"),
            make_found(
                "/films/disc.zip",
                study="png",
                name="",
                patient="",
                description="thorax.png",
                member="2",
                is_dicom=False,
            ),
        ]
    )
    panel.set_studies(library.studies())
    told = {row.lines()[0]: "in disc.zip" in row.lines()[2] for row in all_rows(panel)}
    assert told == {"Invented, Ida": True, "PA": True, "LAT": True, "Fictional, Olga": False, "thorax.png": True}
    tip = panel.model.data(index_named(panel, "LAT"), Qt.ItemDataRole.ToolTipRole)
    assert "In the archive /films/disc.zip" in tip


def test_a_study_with_two_series_unfolds_into_them(
    panel: BrowserPanel, library: Library, make_found: MakeFound
) -> None:
    a = [make_found(f"/films/a{n}", series="1", instance_number=n) for n in (1, 2)]
    panel.set_studies(library.add([*a, make_found("/films/b", series="2", view=View.LATERAL)]))
    (top,) = panel.model.top_rows()
    assert top.level is Level.STUDY
    assert [row.level for row in panel.model.shown_children(top)] == [Level.SERIES, Level.IMAGE]


def test_a_short_list_is_unfolded_and_stays_folded_where_the_reader_folds(
    panel: BrowserPanel, films: tuple[StudyNode, ...]
) -> None:
    panel.set_studies(films)
    assert panel.tree.isExpanded(index_named(panel, "Olga"))
    panel.tree.collapse(index_named(panel, "Olga"))
    panel.update_studies(films)
    assert not panel.tree.isExpanded(index_named(panel, "Olga"))
    assert panel.tree.isExpanded(index_named(panel, "Ida"))


def test_missing_files_say_so_in_words(panel: BrowserPanel, library: Library, films: tuple[StudyNode, ...]) -> None:
    library.refresh_missing([Path("/films/ida/pa")])
    panel.set_studies(library.studies())
    assert row_named(panel, "Ida").remark == "1 of 2 missing"
    child = panel.model.shown_children(row_named(panel, "Ida"))[0]
    assert child.missing
    assert child.remark == "missing"
    tip = panel.model.data(panel.model.index_of(child), Qt.ItemDataRole.ToolTipRole)
    assert "the file is not where it was" in tip
    assert not row_named(panel, "Ida").missing


def test_the_status_is_told_to_screen_readers(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies([replace(films[0], status=ReadStatus.READ), *films[1:]])
    told = [panel.model.data(panel.model.index(n, 0), Qt.ItemDataRole.AccessibleTextRole) for n in range(3)]
    assert ["Status: read" in text for text in told] == [True, False, False]
    assert ["Status: new" in text for text in told] == [False, True, True]


def test_an_empty_list_says_what_to_do(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    assert panel.pages.currentWidget() is panel.hint
    assert "Ctrl+O" in panel.hint.text()
    panel.set_studies(films)
    assert panel.pages.currentWidget() is panel.tree
    panel.set_studies(())
    assert panel.pages.currentWidget() is panel.hint


def test_every_control_has_a_tooltip_and_a_name(panel: BrowserPanel) -> None:
    for control in (panel.search, panel.sort, panel.scan_bar.cancel):
        assert control.toolTip()
        assert control.accessibleName()


def test_a_long_list_comes_whole(qtbot: QtBot, panel: BrowserPanel, library: Library, make_found: MakeFound) -> None:
    library.add(make_found(f"/films/{n}", study=str(n), patient=f"P{n}") for n in range(1000))
    panel.set_studies(library.studies())
    assert panel.study("1.2.0") is not None, "asked for before it is laid out"
    qtbot.waitUntil(lambda: panel.model.total == 1000)
    assert panel.count.text() == "1,000 studies"
    assert len(panel.model.top_rows()) == 1000


# ---------------------------------------------------------------- order and search


def test_patients_can_be_ordered(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    ida_read = [replace(films[0], status=ReadStatus.READ), *films[1:]]
    panel.set_studies(ida_read)
    assert titles(panel) == ["Invented, Ida", "Fictional, Olga", "thorax.png"]
    chosen: list[BrowserSort] = []
    panel.sort_changed.connect(chosen.append)
    panel.sort.setCurrentIndex(panel.sort.findText("By name"))
    assert titles(panel) == ["Fictional, Olga", "Invented, Ida", "thorax.png"]
    panel.sort.setCurrentIndex(panel.sort.findText("New before read"))
    assert titles(panel) == ["Fictional, Olga", "thorax.png", "Invented, Ida"]
    assert chosen == [BrowserSort.NAME, BrowserSort.STATUS]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ida", ["Invented, Ida"]),
        ("p2", ["Fictional, Olga"]),
        ("OLGA 2022", ["Fictional, Olga"]),
        ("icu", ["Fictional, Olga"]),
        ("2024-03", ["Invented, Ida"]),
        ("lat", ["Invented, Ida"]),
        ("thorax.png", ["thorax.png"]),
        ("dx", ["Invented, Ida", "Fictional, Olga", "thorax.png"]),
        ("nobody", []),
    ],
)
def test_search_as_one_types(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], typed: str, found: list[str]
) -> None:
    panel.set_studies(films)
    qtbot.keyClicks(panel.search, typed)
    assert titles(panel) == found
    panel.search.clear()
    assert len(titles(panel)) == 3


def test_of_a_patient_only_the_studies_found_are_shown(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)
    panel.search.setText("icu")
    olga = row_named(panel, "Olga")
    assert [row.lines()[1] for row in panel.model.shown_children(olga)] == ["ICU BED 3"]
    assert panel.count.text() == "1 of 4 studies"
    panel.search.setText("ic")
    panel.search.setText("")
    assert len(panel.model.shown_children(row_named(panel, "Olga"))) == 2


def test_typing_letter_by_letter_finds_what_typing_at_once_finds(
    panel: BrowserPanel, library: Library, found_films: tuple[FoundImage, ...]
) -> None:
    library.add(found_films)
    panel.set_studies(library.studies())
    for query in ("test alpha", "chest pa", "2021 pa", "canon", "a b c"):
        panel.search.clear()
        panel.search.setText(query)
        at_once = titles(panel)
        panel.search.clear()
        for end in range(1, len(query) + 1):
            panel.search.setText(query[:end])
        assert titles(panel) == at_once
        panel.search.setText(query[:3])
        panel.search.setText(query)
        assert titles(panel) == at_once


def test_a_search_without_a_match_says_so_and_escape_ends_it(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...]
) -> None:
    panel.set_studies(films)
    panel.search.setText("zebra")
    assert "zebra" in panel.hint.text()
    assert panel.pages.currentWidget() is panel.hint
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert panel.pages.currentWidget() is panel.tree
    with qtbot.waitSignal(panel.search.left):
        qtbot.keyClick(panel.search, Qt.Key.Key_Escape)


def test_what_a_search_has_hidden_is_unfolded_again(
    panel: BrowserPanel, library: Library, make_found: MakeFound
) -> None:
    library.add(make_found(f"/films/{n}", study=str(n // 2), patient=f"P{n // 2:03d}") for n in range(300))
    panel.set_studies(library.studies())
    panel.tree.expand(index_named(panel, "P007"))
    panel.search.setText("P008")
    panel.search.clear()
    assert panel.tree.isExpanded(index_named(panel, "P007"))
    assert not panel.tree.isExpanded(index_named(panel, "P009"))


def test_keys_lead_from_the_search_box_into_the_list(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    qtbot.keyClicks(panel.search, "olga 2022")
    qtbot.keyClick(panel.search, Qt.Key.Key_Down)
    assert panel.tree.currentIndex() == index_named(panel, "Olga")
    panel.search.setText("thorax")
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert [event.node.path.name for event in events if isinstance(event, ev.OpenImage)] == ["thorax.png"]


# ---------------------------------------------------------------- opening


def test_one_click_on_a_film_opens_it(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    click(qtbot, panel, "ICU")
    (event,) = events
    assert isinstance(event, ev.OpenImage)
    assert (event.node.path, event.pane) == (Path("/films/olga/1"), None)


def test_a_double_click_on_a_study_hangs_it(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    panel.tree.settle()
    at = panel.tree.visualRect(index_named(panel, "Ida")).center()
    qtbot.mouseClick(panel.tree.viewport(), LEFT, pos=at)
    assert events == []
    qtbot.mouseDClick(panel.tree.viewport(), LEFT, pos=at)
    assert events == [ev.OpenStudy(films[0])]


def test_a_double_click_on_a_film_does_not_open_it_twice(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    panel.tree.settle()
    at = panel.tree.visualRect(index_named(panel, "ICU")).center()
    qtbot.mouseClick(panel.tree.viewport(), LEFT, pos=at)
    qtbot.mouseDClick(panel.tree.viewport(), LEFT, pos=at)
    assert len(events) == 1


@pytest.mark.parametrize(("text", "kind"), [("Ida", ev.OpenStudy), ("ICU", ev.OpenImage)])
def test_enter_opens(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event], text: str, kind: type[Any]
) -> None:
    panel.set_studies(films)
    panel.tree.setCurrentIndex(index_named(panel, text))
    qtbot.keyClick(panel.tree, Qt.Key.Key_Return)
    assert [type(event) for event in events] == [kind]


def test_arrows_only_move(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    panel.tree.setCurrentIndex(index_named(panel, "Ida"))
    qtbot.keyClick(panel.tree, Qt.Key.Key_Down)
    assert panel.tree.currentIndex() != index_named(panel, "Ida")
    assert events == []


@pytest.fixture
def open_menu(panel: BrowserPanel, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, QAction]]:
    """Asks for the menu of a row and gives its actions by their texts; a screenless Qt cannot pop it up."""
    menus: list[QMenu] = []
    monkeypatch.setattr(QMenu, "popup", lambda menu, at: menus.append(menu))

    def ask(text: str) -> dict[str, QAction]:
        panel.tree.settle()
        panel.tree.customContextMenuRequested.emit(panel.tree.visualRect(index_named(panel, text)).center())
        menu = menus[-1]
        return {action.text(): action for each in (menu, *menu.findChildren(QMenu)) for action in each.actions()}

    return ask


OpenMenu = Callable[[str], dict[str, QAction]]


def test_the_menu_of_a_row(
    panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event], open_menu: OpenMenu
) -> None:
    panel.set_studies(films)
    removed: list[str] = []
    panel.remove_wanted.connect(removed.append)
    open_menu("ICU")["Open"].trigger()
    open_menu("ICU")["Pane 3"].trigger()
    open_menu("Ida")["Open study"].trigger()
    open_menu("Ida")["Mark as read"].trigger()
    open_menu("Olga")["Remove from list"].trigger()
    node = row_named(panel, "ICU").image
    assert node is not None
    assert events == [
        ev.OpenImage(node),
        ev.OpenImage(node, 2),
        ev.OpenStudy(films[0]),
        ev.MarkStudy("1.2.ida", ReadStatus.READ),
    ]
    assert removed == ["1.2.olga2", "1.2.olga1"]


def test_the_folder_of_a_film_is_shown(
    panel: BrowserPanel, films: tuple[StudyNode, ...], monkeypatch: pytest.MonkeyPatch, open_menu: OpenMenu
) -> None:
    shown: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", shown.append)
    panel.set_studies(films)
    open_menu("ICU")["Show in folder"].trigger()
    assert [url.toLocalFile() for url in shown] == ["/films/olga"]


def test_a_missing_film_cannot_be_opened_from_the_menu(
    panel: BrowserPanel, library: Library, films: tuple[StudyNode, ...], open_menu: OpenMenu
) -> None:
    library.refresh_missing([Path("/films/olga/1")])
    panel.set_studies(library.studies())
    enabled = {text: action.isEnabled() for text, action in open_menu("ICU").items()}
    assert not any(enabled[text] for text in ("Open", "Open study", "Open in pane", "Show in folder"))
    assert enabled["Remove from list"]


# ---------------------------------------------------------------- changes keep the reader's place


@pytest.fixture
def many(library: Library, make_found: MakeFound, panel: BrowserPanel, qtbot: QtBot) -> tuple[StudyNode, ...]:
    """300 patients with two films each, newest first, shown and scrolled to the middle."""
    day = date(2024)
    library.add(
        make_found(
            f"/films/{n}/{k}", study=f"{n}", patient=f"P{n:03d}", name=f"Name{n:03d}", date=day - dt.timedelta(days=n)
        )
        for n in range(300)
        for k in range(2)
    )
    panel.set_studies(library.studies())
    panel.tree.settle()
    return library.studies()


def top_of_screen(panel: BrowserPanel) -> tuple[str, int]:
    panel.tree.settle()
    index = panel.tree.indexAt(QPoint(panel.tree.viewport().width() // 2, 0))
    row = panel.model.row(index)
    assert row is not None
    return row.lines()[0], panel.tree.visualRect(index).top()


def test_what_arrives_above_does_not_move_what_is_read(
    qtbot: QtBot, panel: BrowserPanel, many: tuple[StudyNode, ...], library: Library, make_found: MakeFound
) -> None:
    panel.tree.expand(index_named(panel, "Name150"))
    panel.tree.setCurrentIndex(panel.model.index(1, 0, index_named(panel, "Name150")))
    panel.tree.verticalScrollBar().setValue(6789)
    before = top_of_screen(panel)
    new = [make_found(f"/new/{n}", study=f"n{n}", patient=f"N{n}", name=f"New{n}", date=date(2025)) for n in range(50)]
    panel.update_studies(library.add(new))
    qtbot.waitUntil(lambda: titles(panel)[0].startswith("New"))
    assert top_of_screen(panel) == before
    assert panel.tree.isExpanded(index_named(panel, "Name150"))
    current = panel.model.row(panel.tree.currentIndex())
    assert current is not None
    assert current.image is not None
    assert current.image.path == Path("/films/150/1")


def test_updates_that_follow_closely_are_shown_together(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...]
) -> None:
    laid_out: list[int] = []
    panel.model.layoutChanged.connect(lambda: laid_out.append(panel.model.total))
    for study in films:
        panel.update_studies([study])
    assert panel.study("1.2.png") is not None, "known at once, shown a moment later"
    qtbot.waitUntil(lambda: panel.model.total == 4)
    assert len(laid_out) == 2


def test_the_end_of_a_scan_shows_what_waits(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.show_state(ViewerState(scan=ScanStatus(1, 4, 1)))
    for study in films:
        panel.update_studies([study])
    panel.show_state(ViewerState())
    assert panel.model.total == 4


def test_a_changed_study_keeps_its_row(
    qtbot: QtBot, panel: BrowserPanel, films: tuple[StudyNode, ...], library: Library, make_found: MakeFound
) -> None:
    panel.set_studies(films)
    panel.tree.setCurrentIndex(index_named(panel, "ICU"))
    panel.remove_study("1.2.png")
    panel.update_studies(library.set_status("1.2.olga1", ReadStatus.READ))
    panel.show_state(ViewerState(scan=ScanStatus(1, 1, 1)))
    panel.show_state(ViewerState())
    current = panel.model.row(panel.tree.currentIndex())
    assert current is not None
    assert (current.lines()[1], current.status) == ("ICU BED 3", ReadStatus.READ)


def test_a_second_study_turns_a_study_row_into_a_patient(
    panel: BrowserPanel, films: tuple[StudyNode, ...], library: Library, make_found: MakeFound
) -> None:
    panel.set_studies(films)
    assert row_named(panel, "Ida").level is Level.SERIES
    panel.remove_study("1.2.png")
    panel.update_studies(library.add([make_found("/films/ida/old", study="old", date=date(2020))]))
    panel.show_state(ViewerState(scan=ScanStatus(1, 1, 1)))
    panel.show_state(ViewerState())
    ida = row_named(panel, "Ida")
    assert ida.level is Level.PATIENT
    assert [child.lines()[0] for child in panel.model.shown_children(ida)] == ["2024-03-05", "2020-06-01"]


def test_a_removed_study_is_gone_and_a_study_without_series_as_well(
    panel: BrowserPanel, films: tuple[StudyNode, ...]
) -> None:
    panel.set_studies(films)
    panel.remove_study("1.2.ida")
    assert titles(panel) == ["Fictional, Olga", "thorax.png"]
    assert panel.study("1.2.ida") is None
    panel.update_studies([replace(films[-1], series=())])
    panel.show_state(ViewerState(scan=ScanStatus(1, 1, 1)))
    panel.show_state(ViewerState())
    assert titles(panel) == ["Fictional, Olga"]


def test_stepping_goes_through_the_list_as_shown(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)

    def step(start: str | None, by: int) -> str | None:
        study = panel.step_study(start, by)
        return study.study_uid if study else None

    assert [step(None, 1), step("1.2.ida", 1), step("1.2.olga2", 1), step("1.2.ida", -1), step("1.2.png", 1)] == [
        "1.2.ida",
        "1.2.olga2",
        "1.2.olga1",
        None,
        None,
    ]
    panel.search.setText("icu")
    assert step("1.2.ida", 1) == "1.2.olga1"


# ---------------------------------------------------------------- thumbnails


@pytest.fixture
def wanted(panel: BrowserPanel) -> list[ImageNode]:
    asked: list[ImageNode] = []
    panel.thumbnail_wanted.connect(asked.append)
    return asked


def shown_picture(panel: BrowserPanel, node: ImageNode) -> bool:
    return panel._thumbnails.get(node) is not None


def png_of(need_data: Any) -> bytes:
    return next(need_data("images/montgomery").rglob("*.png")).read_bytes()


def test_pictures_are_asked_for_rows_on_screen_only(
    qtbot: QtBot, panel: BrowserPanel, wanted: list[ImageNode], many: tuple[StudyNode, ...]
) -> None:
    qtbot.waitUntil(lambda: bool(wanted))
    first = {node.path for node in wanted}
    assert len(first) == len(wanted) <= panel.tree.viewport().height() // panel._delegate.row_height() + 2
    wanted.clear()
    panel.tree.verticalScrollBar().setValue(panel.tree.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: bool(wanted))
    assert not first & {node.path for node in wanted}


def test_an_unanswered_wish_is_repeated_when_its_row_comes_back(
    qtbot: QtBot, panel: BrowserPanel, wanted: list[ImageNode], many: tuple[StudyNode, ...]
) -> None:
    qtbot.waitUntil(lambda: bool(wanted))
    first = wanted[0]
    bar = panel.tree.verticalScrollBar()
    bar.setValue(bar.maximum())
    qtbot.waitUntil(lambda: wanted[-1].path.parent.name == "299")
    bar.setValue(0)
    qtbot.waitUntil(lambda: wanted.count(first) == 2)


def test_an_answer_is_drawn_and_not_asked_for_again(
    qtbot: QtBot,
    panel: BrowserPanel,
    films: tuple[StudyNode, ...],
    need_data: Any,
) -> None:
    png = png_of(need_data)
    panel.thumbnail_wanted.connect(lambda node: panel.set_thumbnail(node, png))
    panel.set_studies(films)
    lead = row_named(panel, "Ida").lead
    assert lead is not None
    assert lead.view is View.PA
    black = panel.tree.grab().toImage()
    qtbot.waitUntil(lambda: shown_picture(panel, lead))
    assert panel.tree.grab().toImage() != black


def test_what_is_no_picture_is_passed_over(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)
    panel.set_thumbnail(films[0].images[0], b"no png")
    assert not shown_picture(panel, films[0].images[0])


def test_two_films_with_one_identity_keep_their_own_pictures(
    panel: BrowserPanel, library: Library, make_found: MakeFound, need_data: Any
) -> None:
    (study,) = library.add(make_found(f"/films/{name}", sop="9", size=size) for size, name in enumerate("ab", 1))
    panel.set_studies([study])
    a, b = study.images
    assert a.key == b.key
    panel.set_thumbnail(a, png_of(need_data))
    assert shown_picture(panel, a)
    assert not shown_picture(panel, b)


def test_a_picture_goes_when_its_file_changes_and_stays_when_only_the_status_does(
    panel: BrowserPanel, library: Library, films: tuple[StudyNode, ...], make_found: MakeFound, need_data: Any
) -> None:
    panel.set_studies(films)
    node = row_named(panel, "ICU").image
    assert node is not None
    panel.set_thumbnail(node, png_of(need_data))
    panel.update_studies(library.set_status("1.2.olga1", ReadStatus.READ))
    assert shown_picture(panel, node)
    changed = make_found(
        "/films/olga/1", study="olga1", date=date(2022), description="ICU BED 3", name="Fictional^Olga", patient="P2",
        view=View.AP, modified=99,
    )  # fmt: skip
    panel.update_studies(library.add([changed]))
    assert not shown_picture(panel, node)


# ---------------------------------------------------------------- the state of the window


def opened(*nodes: ImageNode | None, active: int = 0, layout: Layout = Layout.ONE_BY_TWO) -> ViewerState:
    panes = tuple(Pane(node=node) for node in nodes)
    return ViewerState(panes=panes + (Pane(),) * (4 - len(panes)), active=active, layout=layout)


def test_the_film_that_is_open_is_marked_and_found(panel: BrowserPanel, many: tuple[StudyNode, ...]) -> None:
    node = many[250].images[1]
    panel.show_state(opened(node))
    current = panel.model.row(panel.tree.currentIndex())
    assert current is not None
    assert current.image == node
    panel.tree.settle()
    assert panel.tree.viewport().rect().intersects(panel.tree.visualRect(panel.tree.currentIndex()))
    assert panel._delegate.open_in == {(node.path, "", 0): "1"}


def test_only_panes_on_screen_count(panel: BrowserPanel, films: tuple[StudyNode, ...]) -> None:
    panel.set_studies(films)
    pa, lateral = films[0].images
    panel.show_state(opened(pa, lateral))
    assert panel._delegate.open_in == {(pa.path, "", 0): "1", (lateral.path, "", 0): "2"}
    panel.show_state(opened(pa, lateral, active=1, layout=Layout.ONE))
    assert panel._delegate.open_in == {(lateral.path, "", 0): "2"}


def test_showing_a_state_emits_nothing_and_the_same_state_twice_draws_nothing(
    panel: BrowserPanel, films: tuple[StudyNode, ...], events: list[ev.Event]
) -> None:
    panel.set_studies(films)
    state = opened(*films[0].images)
    panel.show_state(state)
    panel.tree.setCurrentIndex(index_named(panel, "Olga"))
    panel.show_state(replace(state, marks_visible=False))
    assert panel.tree.currentIndex() == index_named(panel, "Olga"), "the reader's place is left alone"
    assert events == []


def test_a_scan_shows_how_far_it_is_and_can_be_cancelled(qtbot: QtBot, panel: BrowserPanel) -> None:
    assert not panel.scan_bar.isVisible()
    panel.show_state(ViewerState(scan=ScanStatus(0, 0, 0)))
    assert panel.scan_bar.isVisible()
    assert panel.scan_bar.progress.maximum() == 0
    panel.show_state(ViewerState(scan=ScanStatus(120, 8000, 1)))
    assert panel.scan_bar.words.text() == "120 of 8,000, 1 image"
    with qtbot.waitSignal(panel.cancel_scan):
        qtbot.mouseClick(panel.scan_bar.cancel, LEFT)
    assert not panel.scan_bar.cancel.isEnabled()
    panel.show_state(ViewerState(scan=ScanStatus(130, 8000, 2)))
    assert not panel.scan_bar.cancel.isEnabled(), "asked once"
    panel.show_state(ViewerState())
    assert not panel.scan_bar.isVisible()
    panel.show_state(ViewerState(scan=ScanStatus(0, 0, 0)))
    assert panel.scan_bar.cancel.isEnabled()
