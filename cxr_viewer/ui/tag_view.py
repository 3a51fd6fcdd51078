"""The tag browser: every attribute of the active film, with search, copying, and identity hidden on request."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.tags import TagList, TagRow
from cxr_viewer.ui import theme
from cxr_viewer.ui.tag_model import Column, TagModel, name_text
from cxr_viewer.ui.widgets import named

_WAITING = "Reading the attributes\N{HORIZONTAL ELLIPSIS}"
_NO_ATTRIBUTES = "This picture is no DICOM file: it has no attributes."
_NO_FILM = "No film is open here."
_DETAIL_LINES = 4
_WIDTHS = {Column.TAG: 92, Column.NAME: 112, Column.VR: 36}
_NARROW_PX = 400  # below it the VR, which also stands below the list, gives its place to names and values


class _Search(QLineEdit):
    """Esc takes back what is typed; where nothing is, it leads back to the film (see the inspector)."""

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape and self.text():
            if event.type() == QEvent.Type.KeyPress:
                self.clear()
            event.accept()
            return True
        return super().event(event)


class TagTable(QTableView):
    """Rows that can be folded with the keys left and right, and copied.

    Signals:
        copy_wanted(): Ctrl+C.
        fold_wanted(int, bool): row in sight, and whether it should be folded.
    """

    copy_wanted = Signal()
    fold_wanted = Signal(int, bool)

    def event(self, event: QEvent) -> bool:
        # Ctrl+C copies the view of the film elsewhere in the window; here it copies what is selected.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Copy)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_wanted.emit()
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self.currentIndex().isValid():
            self.fold_wanted.emit(self.currentIndex().row(), event.key() == Qt.Key.Key_Left)
        else:
            super().keyPressEvent(event)


class TagView(QWidget):
    """Shows a :class:`TagList`, or a sentence in its place. Holds no file: who asks for it is the panel around it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = TagModel(self)
        self.search = named(
            _Search(placeholderText="Search tag, name, value", clearButtonEnabled=True),
            "Search attributes",
            "Search as you type: 0028,1050 or 00281050, part of a name, or of a value.\n"
            "Down goes into the list. Esc shows all, and then leads back to the film.",
        )
        self.hide_identity = named(
            QCheckBox("Hide identity"),
            "Hide identity",
            "Replace names, dates, numbers, free texts and private values by a dash (PS3.15 table E.1-1)",
        )
        self.hide_identity.setChecked(True)  # until the window says what the reader wants
        self.table = named(TagTable(), "Attributes of the file", "Ctrl+C copies the value; left and right fold")
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.pages = QStackedWidget()
        self.count = QLabel()
        self.count.setProperty("role", "muted")
        self.incomplete = QLabel("The list is not complete: the file is damaged or very large.", wordWrap=True)
        self.incomplete.setProperty("role", "caution")
        self.detail = named(
            QPlainTextEdit(readOnly=True, tabChangesFocus=True), "Whole value", "The whole value of the chosen row"
        )
        self.detail.setPlaceholderText("Choose a row to read the whole of it here.")
        self._lay_out()
        self._connect()
        self.clear()

    # ------------------------------------------------------------ building

    def _lay_out(self) -> None:
        self._dress_table()
        self.pages.addWidget(self.table)
        self.pages.addWidget(self.message)
        self.detail.setFixedHeight(self.fontMetrics().lineSpacing() * _DETAIL_LINES + 14)
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_PX, 0, theme.SPACE_PX, 0)
        line.addWidget(self.hide_identity)
        line.addStretch(1)
        line.addWidget(self.count)
        top = QHBoxLayout()
        top.setContentsMargins(theme.SPACE_PX, 0, theme.SPACE_PX, 0)
        top.addWidget(self.search)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, theme.SPACE_PX, 0, 0)
        column.setSpacing(theme.SPACE_PX // 2)
        column.addLayout(top)
        column.addLayout(line)
        self.incomplete.setContentsMargins(theme.SPACE_PX, 0, theme.SPACE_PX, 0)
        column.addWidget(self.incomplete)
        column.addWidget(self.pages, 1)
        column.addWidget(self.detail)

    def _dress_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setWordWrap(False)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setCornerButtonEnabled(False)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        rows = table.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(28)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        header.setSectionResizeMode(Column.VALUE, QHeaderView.ResizeMode.Stretch)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._search)
        QShortcut(QKeySequence("Down"), self.search, self._enter_table, context=Qt.ShortcutContext.WidgetShortcut)
        self.hide_identity.toggled.connect(self._hide)
        self.table.copy_wanted.connect(self.copy_values)
        self.table.fold_wanted.connect(self._fold)
        self.table.clicked.connect(self._clicked)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.selectionModel().currentChanged.connect(self._show_detail)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.table.setColumnHidden(Column.VR, event.size().width() < _NARROW_PX)

    # ------------------------------------------------------------ content

    def clear(self, words: str = _NO_FILM) -> None:
        """Show nothing but ``words``."""
        self.model.set_tags(TagList(()))
        self._say(words)

    def wait(self) -> None:
        """The attributes are being read."""
        self.clear(_WAITING)

    def fail(self, failure: Failure) -> None:
        """Say why there is no list."""
        self.clear(f"{failure.summary}\n\n{failure.hint}".strip())

    def show_tags(self, tags: TagList) -> None:
        """Show these attributes."""
        self.model.set_tags(tags)
        self.incomplete.setVisible(not tags.complete)
        if tags.rows:
            self.pages.setCurrentWidget(self.table)
            self.table.scrollToTop()
        else:
            self._say(_NO_ATTRIBUTES)
        self._describe()

    def _say(self, words: str) -> None:
        self.message.setText(words)
        self.pages.setCurrentWidget(self.message)
        self.incomplete.setVisible(False)
        self._describe()

    def _describe(self) -> None:
        total, shown = self.model.total, self.model.rowCount()
        searching = bool(self.search.text().strip())
        words = f"{self.model.matching:,} found" if searching else f"{total:,} rows"
        self.count.setText(words if total else "")
        if total:
            self.message.setText("No attribute matches.")
            self.pages.setCurrentWidget(self.table if shown else self.message)
        self.detail.clear()

    @Slot(str)
    def _search(self, text: str) -> None:
        self.model.set_query(text)
        self._describe()

    @Slot(bool)
    def _hide(self, hide: bool) -> None:
        current = self.table.currentIndex()
        row = self.model.row(current.row()) if current.isValid() else None
        self.model.set_hide_identity(hide)
        self._describe()
        place = self.model.place_of(row) if row is not None else None
        if place is not None:
            self.table.selectRow(place)

    @Slot()
    def _enter_table(self) -> None:
        """From the search to what it found."""
        if self.model.rowCount():
            self.table.setFocus(Qt.FocusReason.OtherFocusReason)
            self.table.selectRow(0)

    # ------------------------------------------------------------ rows

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        if index.column() == Column.TAG:
            row = self.model.row(index.row())
            self.model.toggle(index.row())
            self._keep(row)

    @Slot(int, bool)
    def _fold(self, place: int, folded: bool) -> None:
        row = self.model.row(place)
        if row.vr == "SQ":
            self.model.set_folded(place, folded)
            self._keep(row)

    def _keep(self, row: TagRow) -> None:
        place = self.model.place_of(row)
        if place is not None:
            self.table.setCurrentIndex(self.model.index(place, 0))

    @Slot(QModelIndex, QModelIndex)
    def _show_detail(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if not current.isValid():
            self.detail.clear()
            return
        row = self.model.row(current.row())
        head = " ".join(part for part in (name_text(row), row.tag, row.vr) if part)
        self.detail.setPlainText(f"{head}\n{self.model.value(current.row())}".rstrip())

    def _places(self) -> list[int]:
        return sorted({index.row() for index in self.table.selectionModel().selectedRows()})

    @Slot()
    def copy_values(self) -> None:
        """Put the values of the chosen rows on the clipboard, one on each line."""
        self._copy([self.model.value(place) for place in self._places()])

    @Slot()
    def copy_rows(self) -> None:
        """Put the chosen rows on the clipboard: tag, name, VR and value apart by tabs."""
        self._copy([self.model.line(place) for place in self._places()])

    @staticmethod
    def _copy(lines: list[str]) -> None:
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))

    @Slot(QPoint)
    def _show_menu(self, position: QPoint) -> None:
        if not self._places():
            return
        menu = QMenu(self)
        menu.addAction("Copy value", QKeySequence(QKeySequence.StandardKey.Copy), self.copy_values)
        menu.addAction("Copy row", self.copy_rows)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.table.viewport().mapToGlobal(position))
