"""How the study list looks: three lines and a thumbnail to a row, drawn by hand so that 10,000 rows scroll smoothly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTreeView, QWidget

from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.study import ImageNode, ReadStatus
from cxr_viewer.ui import theme
from cxr_viewer.ui.study_model import StudyModel
from cxr_viewer.ui.study_rows import Level, Row
from cxr_viewer.ui.thumbnails import FileFrame, Thumbnails, file_frame

AnyIndex = QModelIndex | QPersistentModelIndex
THUMBNAIL_PX: Final = 56
_INDENT_PX = 14
_PAD_PX = 4
_GAP_PX = 8
_DOT_PX = 9
_BAR_PX = 3
_UNFOLD_UP_TO = 100  # images: a list this short is shown unfolded


class StudyDelegate(QStyledItemDelegate):
    """Draws one row.

    Attributes:
        side_px: side of the square a thumbnail is drawn in.
        open_in: for each open file the panes (counted from 1) that show it.
        number_panes: write those numbers on the row; one pane alone needs none.
    """

    def __init__(self, model: StudyModel, thumbnails: Thumbnails, side_px: int, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._thumbnails = thumbnails
        self.side_px = side_px
        self.open_in: dict[FileFrame, str] = {}
        self.copies_open_in: dict[tuple[tuple[Path, str], ImageKey], str] = {}
        self.number_panes = False
        self._fonts: tuple[QFont, QFont, QFontMetrics, QFontMetrics] | None = None

    def set_font(self, font: QFont) -> None:
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        self._fonts = (font, bold, QFontMetrics(font), QFontMetrics(bold))

    def row_height(self) -> int:
        """Every row is as high: that is what lets the view find its place among 10,000 rows at once."""
        metrics = self._fonts[2] if self._fonts else QFontMetrics(QFont())
        return max(self.side_px, 3 * metrics.height()) + 2 * _PAD_PX

    def sizeHint(self, option: QStyleOptionViewItem, index: AnyIndex) -> QSize:
        return QSize(160, self.row_height())

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        row = self._model.row(index)
        if row is None or self._fonts is None:
            return
        rect = option.rect
        state = option.state
        painter.fillRect(rect, background(state))
        panes = self._panes(row)
        if panes:
            painter.fillRect(QRect(rect.left(), rect.top() + 1, _BAR_PX, rect.height() - 2), QColor(theme.ACCENT))
        picture = QRect(rect.left() + _BAR_PX + 2, rect.top() + (rect.height() - self.side_px) // 2, 0, 0)
        picture.setSize(QSize(self.side_px, self.side_px))
        self._paint_thumbnail(painter, picture, row)
        text = QRect(QPoint(picture.right() + 1 + _GAP_PX, rect.top() + _PAD_PX), rect.bottomRight())
        text.setRight(rect.right() - _GAP_PX)
        self._paint_words(painter, text, row, panes, selected=bool(state & QStyle.StateFlag.State_Selected))

    def mark_open(self, nodes: Iterable[ImageNode | None]) -> None:
        """The films of the panes in order; a file is listed once, whichever of its frames is shown."""
        self.open_in, self.copies_open_in = {}, {}
        shown = [(place, node.at_frame(0)) for place, node in enumerate(nodes, 1) if node is not None]
        for place, node in shown:
            name = file_frame(node)
            self.open_in[name] = f"{self.open_in[name]}, {place}" if name in self.open_in else str(place)
            self.copies_open_in[(node.path, node.member), node.key] = self.open_in[name]
        self.number_panes = len(shown) > 1

    def _panes(self, row: Row) -> str:
        """Numbers of the panes that show an image of this row, ``""`` for none."""
        if not self.open_in:
            return ""
        return ", ".join(panes for image in row.images for panes in self._panes_of(image))

    def _panes_of(self, image: ImageNode) -> Iterator[str]:
        if exact := self.open_in.get(file_frame(image)):
            yield exact
        for place in image.copies:
            if copy := self.copies_open_in.get((place, image.key)):
                yield copy

    def _paint_thumbnail(self, painter: QPainter, place: QRect, row: Row) -> None:
        painter.fillRect(place, QColor(theme.FILM_BACKGROUND))
        lead = row.lead
        pixmap = self._thumbnails.get(lead) if lead is not None else None
        if pixmap is None:
            return
        size = pixmap.deviceIndependentSize()
        corner = QPointF(
            place.left() + (place.width() - size.width()) / 2, place.top() + (place.height() - size.height()) / 2
        )
        painter.setOpacity(0.4 if row.missing else 1.0)
        painter.drawPixmap(corner, pixmap)
        painter.setOpacity(1.0)

    def _paint_words(self, painter: QPainter, place: QRect, row: Row, panes: str, *, selected: bool) -> None:
        assert self._fonts is not None
        plain, bold, metrics, bold_metrics = self._fonts
        title, second, third = row.lines()
        missing, note = row.missing, row.remark
        faint = QColor(theme.TEXT if selected else theme.DISABLED if missing else theme.MUTED)
        step = max((place.height() - _PAD_PX) // 3, metrics.height())
        baseline = place.top() + (step - metrics.height()) // 2 + metrics.ascent()
        right = self._paint_signs(painter, place, row, panes, step)
        painter.setFont(bold)
        painter.setPen(QColor(theme.DISABLED if missing and not selected else theme.TEXT))
        room = right - place.left()
        painter.drawText(place.left(), baseline, bold_metrics.elidedText(title, Qt.TextElideMode.ElideRight, room))
        painter.setFont(plain)
        painter.setPen(faint)
        self._paint_line(painter, place, baseline + step, second, metrics)
        if note:
            painter.setPen(QColor(theme.CAUTION))
            self._paint_line(painter, place, baseline + 2 * step, note, metrics)
            place.setLeft(place.left() + metrics.horizontalAdvance(note + "  "))
            painter.setPen(faint)
        if place.width() > 0:
            self._paint_line(painter, place, baseline + 2 * step, third, metrics)

    @staticmethod
    def _paint_line(painter: QPainter, place: QRect, baseline: int, text: str, metrics: QFontMetrics) -> None:
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place.left(), baseline, elided)

    def _paint_signs(self, painter: QPainter, place: QRect, row: Row, panes: str, step: int) -> int:
        """The status dot (full: new, ring: read) and the numbers of the panes; returns where the title has to end."""
        right = place.right()
        status = row.status
        if status is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            dot = QRectF(right - _DOT_PX, place.top() + (step - _DOT_PX) / 2, _DOT_PX, _DOT_PX)
            new = status is ReadStatus.NEW
            painter.setPen(QPen(QColor(theme.ACCENT if new else theme.DISABLED), 1.5))
            painter.setBrush(QColor(theme.ACCENT) if new else Qt.BrushStyle.NoBrush)
            painter.drawEllipse(dot)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            right -= _DOT_PX + _GAP_PX
        if panes and self.number_panes and row.level is Level.IMAGE and self._fonts is not None:
            painter.setFont(self._fonts[0])
            painter.setPen(QColor(theme.ACCENT))
            label = f"pane {panes}"
            width = self._fonts[2].horizontalAdvance(label)
            painter.drawText(
                right - width, place.top() + (step - self._fonts[2].height()) // 2 + self._fonts[2].ascent(), label
            )
            right -= width + _GAP_PX
        return right


def background(state: QStyle.StateFlag) -> QColor:
    """Colour behind a row in this state."""
    if state & QStyle.StateFlag.State_Selected:
        return QColor(theme.ACCENT_DARK)
    if state & QStyle.StateFlag.State_MouseOver:
        return QColor(theme.RAISED)
    return QColor(theme.PANEL)


class StudyTree(QTreeView):
    """The tree view.

    Signals:
        chosen(object): QModelIndex on which Enter was pressed.
    """

    chosen = Signal(object)

    def __init__(self, model: StudyModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.setIndentation(_INDENT_PX)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setExpandsOnDoubleClick(False)
        self.setMouseTracking(True)
        self.setAlternatingRowColors(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._model = model
        self._unfolded: set[int] = set()
        self._folded: set[int] = set()
        self._by_itself = False
        self.expanded.connect(self._note_unfolded)
        self.collapsed.connect(self._note_folded)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())
            return
        super().keyPressEvent(event)

    def drawBranches(self, painter: QPainter, rect: QRect, index: AnyIndex) -> None:
        """A quiet arrow instead of the style's: the style draws it black on dark."""
        state = QStyle.StateFlag.State_None
        if self.selectionModel().isSelected(index):
            state |= QStyle.StateFlag.State_Selected
        elif self.indexAt(self.viewport().mapFromGlobal(self.cursor().pos())) == index and self.underMouse():
            state |= QStyle.StateFlag.State_MouseOver
        painter.fillRect(rect, background(state))
        if not self.model().hasChildren(index):
            return
        middle = QPointF(rect.right() - _INDENT_PX / 2 + 1, rect.center().y() + 0.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.MUTED), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        if self.isExpanded(index):
            painter.drawPolyline([middle + QPointF(-4, -2), middle + QPointF(0, 2), middle + QPointF(4, -2)])
        else:
            painter.drawPolyline([middle + QPointF(-2, -4), middle + QPointF(2, 0), middle + QPointF(-2, 4)])
        painter.restore()

    def unfold_again(self) -> None:
        """Unfold what the reader unfolded and a search has hidden since."""
        self._by_itself = True
        for row in self._model.rows_of(self._unfolded):
            self._unfold(row, whole=False)
        self._by_itself = False

    def unfold_short_list(self) -> None:
        """Unfold everything while the list is short, save what the reader folded."""
        rows = self._model.top_rows()
        if len(rows) <= _UNFOLD_UP_TO and sum(len(row.images) for row in rows) <= _UNFOLD_UP_TO:
            self._by_itself = True
            for row in rows:
                self._unfold(row, whole=True)
            self._by_itself = False

    def _unfold(self, row: Row, whole: bool) -> None:
        index = self._model.index_of(row)
        wanted = row.number in self._unfolded or (whole and row.number not in self._folded)
        if wanted and row.level is not Level.IMAGE and index.isValid():
            self.setExpanded(index, True)
            for child in self._model.shown_children(row):
                self._unfold(child, whole)

    @Slot(QModelIndex)
    def _note_unfolded(self, index: QModelIndex) -> None:
        if not self._by_itself:
            self._unfolded.add(index.internalId())
            self._folded.discard(index.internalId())

    @Slot(QModelIndex)
    def _note_folded(self, index: QModelIndex) -> None:
        self._unfolded.discard(index.internalId())
        self._folded.add(index.internalId())

    def images_on_screen(self) -> list[ImageNode]:
        """The images whose thumbnails stand on the rows on screen, from the top."""
        images: list[ImageNode] = []
        bottom = self.viewport().height()
        index = self.indexAt(QPoint(self.viewport().width() // 2, 0)) if self.isVisible() else QModelIndex()
        while index.isValid() and self.visualRect(index).top() < bottom:
            row = self._model.row(index)
            lead = row.lead if row is not None else None
            if lead is not None:
                images.append(lead)
            index = self.indexBelow(index)
        return images

    def settle(self) -> None:
        """Carry out a layout that Qt has put off, so that positions can be asked for."""
        self.executeDelayedItemsLayout()
