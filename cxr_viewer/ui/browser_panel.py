"""The left dock: patients, studies, series and images, with search, order, thumbnails and the progress of a scan."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.study import ImageNode, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.settings import BrowserSort
from cxr_viewer.services.state import ScanStatus, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.scan_bar import ScanBar
from cxr_viewer.ui.search_box import SearchBox
from cxr_viewer.ui.study_menu import study_menu
from cxr_viewer.ui.study_model import StudyModel
from cxr_viewer.ui.study_rows import Level, Row
from cxr_viewer.ui.study_view import THUMBNAIL_PX, StudyDelegate, StudyTree
from cxr_viewer.ui.thumbnails import Thumbnails

_GATHER_MS: Final = 250  # changes of a running scan are shown together
_REST: Final = 8  # and at most one eighth of the time goes into showing them
_PIECE: Final = 400  # studies of a long list taken in at once
_WARM_S: Final = 0.004
_EMPTY: Final = "No studies yet.\n\nDrop files or folders here,\nor press Ctrl+O."
_SORT_WORDS: Final = {
    BrowserSort.DATE: "Newest first",
    BrowserSort.NAME: "By name",
    BrowserSort.STATUS: "New before read",
}


class BrowserPanel(QWidget):
    """Lists the library.

    One click or Enter on a film opens it; a double click or Enter on a study hangs it.

    Signals:
        sends(object): OpenStudy, OpenImage, MarkStudy.
        thumbnail_wanted(object): ImageNode whose row is on screen; answer with :meth:`set_thumbnail`. Asked again when
            the row comes back on screen unanswered.
        cancel_scan(): the reader wants the running scan to stop.
        remove_wanted(str): Study Instance UID to take off the list (never the files).
        sort_changed(object): BrowserSort the reader chose.
    """

    sends = Signal(object)
    thumbnail_wanted = Signal(object)
    cancel_scan = Signal()
    remove_wanted = Signal(str)
    sort_changed = Signal(object)

    def __init__(
        self,
        sort: BrowserSort = BrowserSort.DATE,
        thumbnail_px: int = THUMBNAIL_PX,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.model = StudyModel(self)
        self.model.set_sort(sort)
        self.tree = StudyTree(self.model)
        self._thumbnails = Thumbnails(self.tree.images_on_screen, self)
        self._delegate = StudyDelegate(self.model, self._thumbnails, thumbnail_px, self.tree)
        self.tree.setItemDelegate(self._delegate)
        self._coming: deque[StudyNode] = deque()
        self._open_nodes: tuple[ImageNode | None, ...] = ()
        self._scan: ScanStatus | None = None
        self._build(sort)
        self._gather = self._timer(_GATHER_MS, self._show_changes)
        self._more = self._timer(0, self._take_piece)
        self._warm = self._timer(0, self._warm_search)
        self._connect()
        self._describe()

    # ------------------------------------------------------------ building

    def _build(self, sort: BrowserSort) -> None:
        self.search = SearchBox()
        self.sort = QComboBox()
        for order, words in _SORT_WORDS.items():
            self.sort.addItem(words, order.value)
        self.sort.setCurrentIndex(self.sort.findData(sort.value))
        self.sort.setToolTip("Order of the study list")
        self.sort.setAccessibleName("Order of the study list")
        self.count = QLabel()
        self.count.setProperty("role", "muted")
        self.tree.setAccessibleName("Studies")
        self.hint = QLabel(_EMPTY, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.hint.setProperty("role", "muted")
        self.scan_bar = ScanBar()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.tree)
        self.pages.addWidget(self.hint)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, theme.SPACE_PX, 0, 0)
        column.setSpacing(theme.SPACE_PX // 2)
        column.addLayout(self._line(self.search))
        column.addLayout(self._line(self.sort, self.count))
        column.addWidget(self.pages, 1)
        column.addWidget(self.scan_bar)

    @staticmethod
    def _line(*widgets: QWidget) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_PX, 0, theme.SPACE_PX, 0)
        for widget in widgets:
            line.addWidget(widget)
        if len(widgets) > 1:
            line.insertStretch(1, 1)
        return line

    def _timer(self, interval_ms: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self, singleShot=True, interval=interval_ms)
        timer.timeout.connect(slot)
        return timer

    def _connect(self) -> None:
        self.search.textChanged.connect(self._search)
        self.search.down.connect(self._go_into_list)
        self.search.chosen.connect(self._open_first)
        self.sort.currentIndexChanged.connect(self._sort)
        self.scan_bar.cancel_scan.connect(self.cancel_scan)
        self._thumbnails.wanted.connect(self.thumbnail_wanted)
        self.tree.clicked.connect(self._clicked)
        self.tree.doubleClicked.connect(self._double_clicked)
        self.tree.chosen.connect(self._chosen)
        self.tree.expanded.connect(self._thumbnails.ask_soon)
        self.tree.collapsed.connect(self._thumbnails.ask_soon)
        self.tree.customContextMenuRequested.connect(self._show_menu)
        self.tree.verticalScrollBar().valueChanged.connect(self._thumbnails.ask_soon)
        self.tree.verticalScrollBar().rangeChanged.connect(self._thumbnails.ask_soon)

    # ------------------------------------------------------------ the list

    @Slot(object)
    def set_studies(self, studies: Iterable[StudyNode]) -> None:
        """Show these studies and no others."""
        self._gather.stop()
        self.model.clear()
        self._coming = deque(studies)
        self._take_piece()

    @Slot(object)
    def update_studies(self, studies: Iterable[StudyNode]) -> None:
        """Show studies that are new or changed; one without series has left the list.

        Selection, unfolded rows and the place on screen stay. What follows closely is shown together, and very many
        are taken in piece by piece, so that the window goes on answering.
        """
        self._coming.extend(studies)
        if not self._more.isActive():
            self._take_piece()

    @Slot()
    def _take_piece(self) -> None:
        self._take(min(_PIECE, len(self._coming)))
        self.model.prepare()
        if self._coming:
            self._more.start()
        if not self._gather.isActive():
            self._show_changes()

    def _take(self, count: int) -> None:
        piece = [self._coming.popleft() for _ in range(count)]
        for study in piece:
            self._forget_pictures(study)
        self.model.take(piece)

    def _take_all(self) -> None:
        """Before a single study is asked for or removed, the list has to be whole; it is shown a moment later."""
        self._take(len(self._coming))

    def remove_study(self, study_uid: str) -> None:
        """Take a study off the list."""
        self._take_all()
        self.model.drop(study_uid)
        self._show_changes()

    def study(self, study_uid: str) -> StudyNode | None:
        """The study with this UID, also when the search hides it."""
        self._take_all()
        return self.model.study(study_uid)

    def study_of(self, node: ImageNode) -> StudyNode | None:
        """The study this very file is listed in."""
        self._take_all()
        return self.model.study_of(node)

    def step_study(self, study_uid: str | None, step: int) -> StudyNode | None:
        """The study ``step`` places further down the list as shown; the first or last when none is open."""
        return self.model.step(study_uid, step)

    def _forget_pictures(self, study: StudyNode) -> None:
        """A study that comes again with a new status only keeps its pictures; otherwise its files may have changed."""
        before = self.model.study(study.study_uid)
        if before is None or before.images != study.images or before == study:
            self._thumbnails.forget(study.images)

    @Slot()
    def _show_changes(self) -> None:
        """Lay the list out anew. A long list that is wholly unfolded takes a while; the next time comes later then."""
        start = perf_counter()
        anchor = self._anchor()
        changed = self.model.show_changes()
        self._after_change()
        self._restore(anchor)
        if changed:
            took_ms = (perf_counter() - start) * 1e3
            self._gather.start(max(_GATHER_MS, int(took_ms * _REST)))

    def _after_change(self) -> None:
        self.tree.unfold_short_list()
        self._describe()
        self._thumbnails.ask_soon()
        self._warm.start()

    def _anchor(self) -> tuple[Row | None, int]:
        """The row on top of the screen and its place, to be found there again after the list has changed."""
        if self.tree.verticalScrollBar().value() == 0:
            return None, 0
        index = self.tree.indexAt(QPoint(self.tree.viewport().width() // 2, 0))
        return self.model.row(index), self.tree.visualRect(index).top()

    def _restore(self, anchor: tuple[Row | None, int]) -> None:
        row, top = anchor
        if row is None:
            return
        self.tree.settle()
        index = self.model.index_of(row)
        if index.isValid():
            bar = self.tree.verticalScrollBar()
            bar.setValue(bar.value() + self.tree.visualRect(index).top() - top)

    def _describe(self) -> None:
        total, shown = self.model.total, self.model.shown_count
        words = f"{total:,}" if shown == total else f"{shown:,} of {total:,}"
        self.count.setText(f"{words} {'study' if total == 1 else 'studies'}")
        self.count.setVisible(total > 0)
        if total and not shown:
            self.hint.setText(
                f"No study matches\n\N{LEFT DOUBLE QUOTATION MARK}{self.search.text()}"
                "\N{RIGHT DOUBLE QUOTATION MARK}.\n\nEsc shows all."
            )
        elif not total:
            self.hint.setText(_EMPTY)
        self.pages.setCurrentWidget(self.tree if shown else self.hint)

    # ------------------------------------------------------------ search and order

    def focus_search(self) -> None:
        """Put the cursor into the search box."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    @Slot(str)
    def _search(self, text: str) -> None:
        self.model.set_query(text)
        self.tree.unfold_again()
        self.tree.verticalScrollBar().setValue(0)
        self._after_change()

    @Slot(int)
    def _sort(self, place: int) -> None:
        order = BrowserSort(self.sort.itemData(place))
        self.model.set_sort(order)
        self.tree.verticalScrollBar().setValue(0)
        self._after_change()
        self.sort_changed.emit(order)

    @Slot()
    def _warm_search(self) -> None:
        """Prepare the search in moments when nothing else happens, so that the first key is as quick as the others."""
        if self.model.warm(_WARM_S):
            self._warm.start()

    @Slot()
    def _go_into_list(self) -> None:
        first = self.model.index(0, 0)
        if first.isValid():
            self.tree.setFocus(Qt.FocusReason.TabFocusReason)
            self.tree.setCurrentIndex(first)

    @Slot()
    def _open_first(self) -> None:
        first = self.model.index(0, 0)
        if first.isValid():
            self.tree.setCurrentIndex(first)
            self._chosen(first)

    # ------------------------------------------------------------ opening

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if row is not None and row.image is not None:
            self._open_image(row.image)

    @Slot(QModelIndex)
    def _double_clicked(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if row is not None and row.image is None:  # a film was opened by the first of the two clicks
            self._open_row(row)

    @Slot(object)
    def _chosen(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if row is not None:
            self._open_row(row)

    def _open_row(self, row: Row) -> None:
        if row.image is not None:
            self._open_image(row.image)
        elif row.level is Level.SERIES and row.parent is not None and row.parent.level is Level.STUDY:
            self._open_image(row.images[0])
        else:
            self.sends.emit(ev.OpenStudy(row.studies[0]))

    def _open_image(self, image: ImageNode, pane: int | None = None) -> None:
        self.sends.emit(ev.OpenImage(image, pane))

    @Slot(QPoint)
    def _show_menu(self, position: QPoint) -> None:
        row = self.model.row(self.tree.indexAt(position))
        if row is not None:
            menu = study_menu(row, self.sends.emit, self.remove_wanted.emit, self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.tree.viewport().mapToGlobal(position))

    # ------------------------------------------------------------ thumbnails

    @Slot(object, object)
    def set_thumbnail(self, node: ImageNode, png: bytes) -> None:
        """Show the thumbnail of this very file; pictures that cannot be read are passed over."""
        if self._thumbnails.put(node, png, self._delegate.side_px, self.devicePixelRatioF()):
            self.tree.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._thumbnails.ask_soon()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._delegate.set_font(self.tree.font())
        self._thumbnails.ask_soon()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._delegate.set_font(self.tree.font())
            self.tree.scheduleDelayedItemsLayout()

    # ------------------------------------------------------------ the state of the window

    @Slot(object)
    def show_state(self, state: ViewerState) -> None:
        """Mark the films that are open and show the scan."""
        if state.scan != self._scan:
            self._scan = state.scan
            self.scan_bar.show_scan(state.scan)
            if state.scan is None:
                self._gather.stop()
                self._show_changes()
        visible = state.visible
        nodes = tuple(pane.node if place in visible else None for place, pane in enumerate(state.panes))
        active = state.pane.node
        if (*nodes, active) != self._open_nodes:
            moved = not self._open_nodes or active != self._open_nodes[-1]
            self._open_nodes = (*nodes, active)
            self._mark_open(nodes, active if moved else None)

    def _mark_open(self, nodes: tuple[ImageNode | None, ...], reveal: ImageNode | None) -> None:
        self._delegate.mark_open(nodes)
        if reveal is not None:
            index = self.model.find(reveal.at_frame(0).key, reveal.path, reveal.member)
            if index.isValid():
                self.tree.setCurrentIndex(index)
                self.tree.scrollTo(index)
        self.tree.viewport().update()
