"""The list of models that are installed and of those that can be, two lines each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.offers import Offer
from cxr_viewer.core.suitability import population_text
from cxr_viewer.ui import theme
from cxr_viewer.ui.model_keeper import Inventory
from cxr_viewer.ui.model_text import serving_text, size_text

_ROW = int(Qt.ItemDataRole.UserRole)
_HEADING_PX, _ROW_PX = 30, 46

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list.

    Attributes:
        kind: ``"card"``, ``"offer"`` or ``"problem"``.
        key: the model's id; the sentence of a problem.
        mark: one or two words at the right.
        colour: of the mark.
        folder: of a problem with a bundle of the user's: its name.
    """

    kind: str
    key: str
    name: str
    words: str
    mark: str = ""
    colour: str = theme.MUTED
    folder: str = ""


class ModelList(QListWidget):
    """Shows an inventory; arrow keys and clicks choose a row.

    Signals:
        row_chosen(object): the Row, or None.
    """

    row_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setItemDelegate(_RowPainter(self))
        self.setAccessibleName("Models")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.currentItemChanged.connect(lambda item, _: self.row_chosen.emit(_row_of(item)))

    def chosen(self) -> Row | None:
        """The chosen line."""
        return _row_of(self.currentItem())

    def show_inventory(self, inventory: Inventory, checked: dict[str, bool]) -> None:
        """Draw these models. ``checked`` says which installed ones are whole; the chosen one stays chosen."""
        before = self.chosen()
        self.blockSignals(True)
        self.clear()
        self._heading("Installed")
        for card in inventory.cards:
            self._add(_card_row(card, checked.get(card.model_id), idle=inventory.idle(card)))
        own = {damaged.sentence: damaged.folder for damaged in inventory.damaged}
        for sentence in inventory.problems:
            folder = own.get(sentence, "")
            name = folder or "Cannot be used"
            self._add(Row("problem", sentence, name, sentence, "damaged", theme.ERROR, folder))
        known = {card.model_id for card in inventory.cards}
        offers = [offer for offer in inventory.offers if offer.offer_id not in known]
        if offers:
            self._heading("Can be installed")
        for offer in offers:
            self._add(_offer_row(offer))
        self.blockSignals(False)
        if before is None or not self.choose(before.key):
            self._choose_first()

    def choose(self, key: str) -> bool:
        """Choose the line of a model; False where there is none."""
        for place in range(self.count()):
            row = _row_of(self.item(place))
            if row is not None and row.key == key:
                self.setCurrentRow(place)
                self.row_chosen.emit(row)
                return True
        return False

    def _choose_first(self) -> None:
        first = next((place for place in range(self.count()) if _row_of(self.item(place)) is not None), -1)
        self.setCurrentRow(first)
        self.row_chosen.emit(self.chosen())

    def _heading(self, text: str) -> None:
        item = QListWidgetItem(text)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        self.addItem(item)

    def _add(self, row: Row) -> None:
        item = QListWidgetItem(row.name)
        item.setData(_ROW, row)
        item.setToolTip(f"{row.name}\n{row.words}")
        said = ", ".join(part for part in (row.name, row.mark, row.words) if part)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, said)
        self.addItem(item)

    def sizeHint(self) -> QSize:
        return QSize(360, 400)


def _row_of(item: QListWidgetItem | None) -> Row | None:
    row: Any = item.data(_ROW) if item is not None else None
    return row if isinstance(row, Row) else None


def _card_row(card: ModelCard, whole: bool | None, *, idle: bool) -> Row:
    mark, colour = "", theme.MUTED
    if whole is False:
        mark, colour = "damaged", theme.ERROR
    elif card.proof is not None and card.proof.kind == "none-published":
        mark, colour = "unproven", theme.CAUTION
    elif whole:
        mark = "whole"
    if card.serves:
        return Row("card", card.model_id, card.name, serving_text(card, idle=idle), mark, colour)
    who = population_text(card) or "any film"
    return Row("card", card.model_id, card.name, f"{card.version}, {who}", mark, colour)


def _offer_row(offer: Offer) -> Row:
    mark = "recommended" if offer.recommended else ""
    return Row(
        "offer", offer.offer_id, offer.name, f"{size_text(offer.size_bytes)}. {offer.summary}", mark, theme.ACCENT
    )


class _RowPainter(QStyledItemDelegate):
    """Name and mark on the first line, the rest muted on the second."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, _ROW_PX if index.data(_ROW) is not None else _HEADING_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        area: QRect = option.rect
        inner = area.adjusted(theme.SPACE_PX + 2, 4, -theme.SPACE_PX, -4)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        row = index.data(_ROW)
        painter.save()
        font = QFont(option.font)
        if row is None:
            painter.setPen(QColor(theme.MUTED))
            painter.setFont(font)
            painter.drawText(inner, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, str(index.data()))
            painter.restore()
            return
        state = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, QColor(theme.ACCENT_DARK))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(area, QColor(theme.RAISED))
        metrics = QFontMetrics(font)
        line = QRect(inner.left(), inner.top(), inner.width(), metrics.height() + 2)
        painter.setFont(font)
        mark_px = metrics.horizontalAdvance(row.mark) + theme.SPACE_PX if row.mark else 0
        painter.setPen(QColor(theme.TEXT if state & QStyle.StateFlag.State_Selected else row.colour))
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, row.mark)
        painter.setPen(QColor(theme.TEXT))
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(line, left, metrics.elidedText(row.name, elide, line.width() - mark_px))
        painter.setPen(QColor(theme.TEXT if state & QStyle.StateFlag.State_Selected else theme.MUTED))
        second = line.translated(0, line.height())
        painter.drawText(second, left, metrics.elidedText(row.words, elide, second.width()))
        painter.restore()
