"""The attributes of a file as a table of the rows in sight: folded sequences and what the search leaves out are not.

A flat table, not a tree: a tree view asks for every row when it is laid out, a table for those on screen only.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from cxr_viewer.core.tags import TagList, TagRow
from cxr_viewer.ui import theme

HIDDEN = "\N{EN DASH}"
_FOLDED, _UNFOLDED = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} ", "\N{BLACK DOWN-POINTING SMALL TRIANGLE} "
_STEP = "\N{EN SPACE}"
_DEEPEST_STEP = 8  # deeper levels are drawn no further to the right
_LONGEST_TIP = 400
_Index = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    TAG = 0
    NAME = 1
    VR = 2
    VALUE = 3


_TITLES = {Column.TAG: "Tag", Column.NAME: "Name", Column.VR: "VR", Column.VALUE: "Value"}


class TagModel(QAbstractTableModel):
    """Rows of one file. Search and hiding work on all of them, what is drawn are those left."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[TagRow, ...] = ()
        self._parents: list[int] = []
        self._words: list[str] = []
        self._folded: set[int] = set()
        self._shown: list[int] = []
        self._terms: tuple[str, ...] = ()
        self._hide_identity = True

    # ------------------------------------------------------------ what is shown

    def set_tags(self, tags: TagList) -> None:
        """Show these rows, every sequence unfolded."""
        self._rows = tags.rows
        self._parents = _parents(tags.rows)
        self._words = [_searched(row) for row in tags.rows]
        self._folded.clear()
        self._lay_out()

    def set_query(self, text: str) -> None:
        """Leave the rows in which every word of ``text`` is found, with the sequences around them.

        Tags are found with or without comma and brackets; values that are hidden are not searched.
        """
        self._terms = tuple(word.strip("()") for word in text.lower().split())
        self._lay_out()

    def set_hide_identity(self, hide: bool) -> None:
        """Replace values that may tell who the patient is by a dash."""
        if hide != self._hide_identity:
            self._hide_identity = hide
            self._lay_out()

    def toggle(self, place: int) -> None:
        """Fold or unfold the sequence in the ``place``-th row in sight; nothing for other rows."""
        number = self._shown[place]
        if self._rows[number].vr == "SQ" and not self._terms:
            self._folded ^= {number}
            self._lay_out()

    def set_folded(self, place: int, folded: bool) -> None:
        """Fold or unfold as said."""
        if (self._shown[place] in self._folded) is not folded:
            self.toggle(place)

    @property
    def total(self) -> int:
        return len(self._rows)

    @property
    def matching(self) -> int:
        """Rows in sight, item heads apart."""
        return sum(bool(self._rows[number].vr) for number in self._shown)

    def row(self, place: int) -> TagRow:
        """The ``place``-th row in sight, with its true value."""
        return self._rows[self._shown[place]]

    def value(self, place: int) -> str:
        """What may be seen and copied of its value."""
        row = self.row(place)
        return HIDDEN if self._hide_identity and row.identity and row.value else row.value

    def line(self, place: int) -> str:
        """The row as one line to be copied: tag, name, VR and value, apart by tabs."""
        row = self.row(place)
        return "\t".join((row.tag, row.keyword, row.vr, self.value(place)))

    def place_of(self, row: TagRow) -> int | None:
        """Where a row is in sight now."""
        return next((place for place, number in enumerate(self._shown) if self._rows[number] is row), None)

    def _lay_out(self) -> None:
        self.beginResetModel()
        self._shown = self._matches() if self._terms else self._unfolded()
        self.endResetModel()

    def _unfolded(self) -> list[int]:
        if not self._folded:
            return list(range(len(self._rows)))
        shown, closed_at = [], -1
        for number, row in enumerate(self._rows):
            if 0 <= closed_at < row.depth:
                continue
            closed_at = row.depth if number in self._folded else -1
            shown.append(number)
        return shown

    def _matches(self) -> list[int]:
        found: set[int] = set()
        for number, row in enumerate(self._rows):
            if all(term in self._words[number] or self._in_value(row, term) for term in self._terms):
                while number >= 0 and number not in found:
                    found.add(number)
                    number = self._parents[number]
        return sorted(found)

    def _in_value(self, row: TagRow, term: str) -> bool:
        return not (self._hide_identity and row.identity) and term in row.value.lower()

    # ------------------------------------------------------------ what Qt asks

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[Column(section)]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        place, column = index.row(), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(place, column)
        if role == Qt.ItemDataRole.ToolTipRole and column in (Column.NAME, Column.VALUE):
            return self._tip(place, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.line(place).replace("\t", ", ")
        if role == Qt.ItemDataRole.ForegroundRole and (column in (Column.TAG, Column.VR) or not self.row(place).vr):
            return QColor(theme.MUTED)
        return None

    def _tip(self, place: int, column: int) -> str:
        """What a narrow column cuts. Escaped, because tool tips take what looks like markup for markup."""
        text = self._text(place, column)
        return f"<span>{html.escape(text[:_LONGEST_TIP])}</span>" if text else ""

    def _text(self, place: int, column: int) -> str:
        row = self.row(place)
        if column == Column.TAG:
            return f"{_STEP * min(row.depth, _DEEPEST_STEP)}{self._mark(place, row)}{row.tag.strip('()')}"
        if column == Column.NAME:
            return name_text(row)
        return row.vr if column == Column.VR else self.value(place)

    def _mark(self, place: int, row: TagRow) -> str:
        if row.vr != "SQ" or self._terms:
            return ""
        return _FOLDED if self._shown[place] in self._folded else _UNFOLDED


def name_text(row: TagRow) -> str:
    """The keyword, or why there is none."""
    if row.keyword or not row.vr:
        return row.keyword
    digit = row.tag[4:5]
    if row.tag.endswith(",0000)"):
        return "group length"
    return "private" if digit.isalnum() and int(digit, 16) % 2 else "unknown"


def _searched(row: TagRow) -> str:
    plain = row.tag.strip("()").lower()
    return f"{plain} {plain.replace(',', '')} {name_text(row).lower()} {row.vr.lower()}"


def _parents(rows: Sequence[TagRow]) -> list[int]:
    """Row of the item a row lies in, of the sequence an item lies in; -1 at the top."""
    parents: list[int] = []
    sequences: dict[int, int] = {}  # the last one at each depth
    items: dict[int, int] = {}
    for number, row in enumerate(rows):
        if not row.vr and row.depth:
            parents.append(sequences.get(row.depth - 1, -1))
            items[row.depth] = number
        else:
            parents.append(items.get(row.depth, -1) if row.depth else -1)
            if row.vr == "SQ":
                sequences[row.depth] = number
    return parents
