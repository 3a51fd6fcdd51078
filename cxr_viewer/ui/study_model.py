"""The study list as a Qt model: sorted, searched as the reader types, and changed without losing the reader's place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.study import ImageNode, StudyNode
from cxr_viewer.services.search import fold, matches
from cxr_viewer.services.settings import BrowserSort
from cxr_viewer.ui.study_rows import (
    Level,
    Patient,
    Row,
    StudyKey,
    has_children,
    make_children,
    patient_ident,
    study_key,
    study_row,
    tooltip,
)

AnyIndex = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_LARGE_PATIENT = 200  # studies


class StudyModel(QAbstractItemModel):
    """Patients with their studies, one column.

    It sorts and searches itself: a proxy would ask Python about each of 10,000 rows at each key. A change is announced
    as a change of layout in which indexes keep pointing at what they pointed at, so that selection, unfolded rows and
    a click under way survive it. ``take`` and ``drop`` only note changes; :meth:`show_changes` makes them visible, so
    that the batches of a scan cost one layout together. Items are told by ``createIndex(row, 0, number)``, never by
    pointer: an index that outlived its row finds nothing.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._patients: dict[Hashable, Patient] = {}
        self._studies: dict[str, dict[StudyKey, StudyNode]] = {}
        self._rows: dict[int, Row] = {}
        self._numbers: dict[Hashable, int] = {}
        self._top: list[Row] = []
        self._changed: dict[Hashable, dict[StudyKey, StudyNode]] = {}
        self._prepared: dict[Hashable, Patient] = {}
        self._query = ""
        self._shown_count = 0
        self._sort = BrowserSort.DATE
        self._warming: Iterator[Patient] = iter(())

    # ------------------------------------------------------------ content

    def clear(self) -> None:
        """Note that every study has left the list."""
        self._changed = {ident: {} for ident in self._patients}
        self._prepared = {}
        self._studies = {}

    def take(self, studies: Iterable[StudyNode]) -> None:
        """Note studies that are new or changed; one without series has left the list."""
        for study in studies:
            key = study_key(study)
            of_patient = self._changing(patient_ident(study))
            if study.series:
                of_patient[key] = study
                self._studies.setdefault(study.study_uid, {})[key] = study
            else:
                of_patient.pop(key, None)
                self._studies.get(study.study_uid, {}).pop(key, None)

    def drop(self, study_uid: str) -> None:
        """Note that a study has left the list."""
        for key, study in self._studies.pop(study_uid, {}).items():
            self._changing(patient_ident(study)).pop(key, None)

    def _changing(self, ident: Hashable) -> dict[StudyKey, StudyNode]:
        if ident not in self._changed:
            patient = self._patients.get(ident)
            self._changed[ident] = dict(patient.studies) if patient else {}
        self._prepared.pop(ident, None)
        return self._changed[ident]

    def prepare(self, most: int = _LARGE_PATIENT) -> None:
        """Do the part of :meth:`show_changes` that needs no view, so that it can be done in pieces.

        Patients with more than ``most`` studies wait: each further study would mean to begin them anew.
        """
        for ident, studies in self._changed.items():
            if 0 < len(studies) <= most and ident not in self._prepared:
                patient = self._prepared[ident] = Patient(ident, studies)
                patient.sort_key(self._sort)

    def show_changes(self) -> bool:
        """Make what was taken and dropped visible; False when there was nothing."""
        if not self._changed:
            return False
        self.prepare(most=sys.maxsize)
        self._relayout(self._apply_changes)
        return True

    def _apply_changes(self) -> None:
        for ident, studies in self._changed.items():
            former = self._patients.pop(ident, None)
            if not studies:
                if former is not None:
                    self._forget(former.row)
                continue
            patient = self._patients[ident] = self._prepared[ident]
            if former is not None:
                self._replace(former, patient)
            else:
                self._register(patient.row)
        self._changed, self._prepared = {}, {}
        self._warming = iter(tuple(self._patients.values()))

    def _replace(self, former: Patient, patient: Patient) -> None:
        patient.take_texts_of(former)
        row, before = patient.row, former.row
        if row.level is before.level is Level.PATIENT and before.children is not None:
            self._rows.pop(before.number, None)
            self._register(row)
            self._keep_children(row, before.children)
        else:
            self._forget(before)
            self._register(row)
            self._rebuild_children(row, before)

    def _keep_children(self, row: Row, children: Sequence[Row]) -> None:
        """Rows of studies that have not changed stay: one patient may have thousands (a collection without names)."""
        same = {id(child.studies[0]): child for child in children}
        row.children = [same.pop(id(study)) if id(study) in same else study_row(study, row) for study in row.studies]
        gone = {child.ident: child for child in same.values()}
        for child in gone.values():
            self._forget(child)
        for child in row.children:
            child.parent = row
            if child.number < 0:
                self._register(child)
                if child.ident in gone:
                    self._rebuild_children(child, gone[child.ident])
        self._arrange_children(row)

    def _register(self, row: Row) -> None:
        row.number = self._numbers.setdefault(row.ident, len(self._numbers))
        self._rows[row.number] = row

    def _forget(self, row: Row) -> None:
        self._rows.pop(row.number, None)
        for child in row.children or ():
            self._forget(child)

    def _rebuild_children(self, row: Row, former: Row) -> None:
        """Make the rows anew that had been asked for before, so that indexes to them find them again."""
        if former.children is None or not has_children(row):
            return
        before = {child.ident: child for child in former.children}
        for child in self._children(row):
            if child.ident in before:
                self._rebuild_children(child, before[child.ident])

    def _children(self, row: Row) -> list[Row]:
        """All children of a row, made when first asked for; ``row.shown`` holds those that pass the search."""
        if row.children is None:
            row.children = make_children(row)
            for child in row.children:
                self._register(child)
            self._arrange_children(row)
        return row.children

    # ------------------------------------------------------------ search and order

    @property
    def query(self) -> str:
        """What is searched for, folded."""
        return self._query

    def set_query(self, text: str) -> None:
        """Show studies in which every word of ``text`` is found; all when it is empty."""
        query = fold(text)
        if query != self._query:
            narrower = bool(self._query) and query.startswith(self._query)
            self._query = query
            # One more letter can only take away: what was hidden need not be asked again.
            among = [self._patients[row.ident] for row in self._top] if narrower else None
            self._relayout(lambda: None, among)

    def set_sort(self, sort: BrowserSort) -> None:
        """Order patients; the studies of one patient always go newest first."""
        if sort is not self._sort:
            self._sort = sort
            self._relayout(lambda: None)

    def warm(self, budget_s: float) -> bool:
        """Prepare texts for searching for about ``budget_s``; True when there is more to do."""
        until = perf_counter() + budget_s
        for patient in self._warming:
            patient.study_texts()
            if perf_counter() > until:
                return True
        return False

    def _relayout(self, change: Callable[[], None], among: list[Patient] | None = None) -> None:
        """Announce, change, arrange; ``among`` are the patients that may be shown, in order (None: all, unsorted)."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        change()
        self._arrange(self._sorted() if among is None else among)
        self.changePersistentIndexList(before, [self._index_of(index.internalId()) for index in before])
        self.layoutChanged.emit()

    def _sorted(self) -> list[Patient]:
        sort = self._sort
        return sorted(self._patients.values(), key=lambda patient: patient.sort_key(sort))

    def _arrange(self, patients: list[Patient]) -> None:
        for row in self._top:
            row.position = -1
        if self._query:
            words = self._query.split()
            hits = [(patient, _hits(patient, words)) for patient in patients]
            patients = [patient for patient, count in hits if count]
            self._shown_count = sum(count for _, count in hits)
        else:
            self._shown_count = sum(len(patient.studies) for patient in patients)
        self._top = [patient.row for patient in patients]
        for position, row in enumerate(self._top):
            row.position = position
            if row.children is not None and row.level is Level.PATIENT:
                self._arrange_children(row)

    def _arrange_children(self, row: Row) -> None:
        children = row.children or []
        row.shown = children
        if self._query and row.level is Level.PATIENT:
            texts = self._patients[row.ident].study_texts()
            row.shown = [child for child, text in zip(children, texts, strict=True) if matches(text, self._query)]
            for child in children:
                child.position = -1
        for position, child in enumerate(row.shown):
            child.position = position

    # ------------------------------------------------------------ asking

    @property
    def total(self) -> int:
        """Studies in the list, shown or not."""
        return sum(len(patient.studies) for patient in self._patients.values())

    @property
    def shown_count(self) -> int:
        """Studies that pass the search."""
        return self._shown_count

    def shown_studies(self) -> list[StudyNode]:
        """The studies that pass the search, in the order of the list."""
        if not self._query:
            return [study for row in self._top for study in row.studies]
        texts = ((row, self._patients[row.ident].study_texts()) for row in self._top)
        return [
            study
            for row, folded in texts
            for study, text in zip(row.studies, folded, strict=True)
            if matches(text, self._query)
        ]

    def step(self, study_uid: str | None, step: int) -> StudyNode | None:
        """The study ``step`` places further down among those shown; the first or last when ``study_uid`` is not."""
        shown = self.shown_studies()
        at = next((place for place, study in enumerate(shown) if study.study_uid == study_uid), None)
        if at is None:
            return (shown[0] if step > 0 else shown[-1]) if shown else None
        return shown[at + step] if 0 <= at + step < len(shown) else None

    def study(self, study_uid: str) -> StudyNode | None:
        """The study with this UID as last taken, shown or not."""
        return next(iter(self._studies.get(study_uid, {}).values()), None)

    def study_of(self, node: ImageNode) -> StudyNode | None:
        """The study this very file is listed in."""
        studies = tuple(self._studies.get(node.key.study_uid, {}).values())
        exact = (study for study in studies if any(image.is_file(node.path, node.member) for image in study.images))
        return next(exact, studies[0] if studies else None)

    def row(self, index: AnyIndex) -> Row | None:
        """The row an index points at; None for an invalid index or one that outlived its row."""
        return self._rows.get(index.internalId()) if index.isValid() else None

    def top_rows(self) -> Sequence[Row]:
        """Visible patients in order."""
        return self._top

    def rows_of(self, numbers: Iterable[int]) -> list[Row]:
        """The rows with these numbers (``QModelIndex.internalId``) that exist, outer ones first."""
        rows = [self._rows[number] for number in numbers if number in self._rows]
        return sorted(rows, key=lambda row: row.level)

    def shown_children(self, row: Row) -> Sequence[Row]:
        """The rows below that pass the search."""
        if not has_children(row):
            return ()
        self._children(row)
        return row.shown

    def index_of(self, row: Row) -> QModelIndex:
        """The index of a row, also when the row was made anew since; invalid while it is hidden."""
        return self._index_of(row.number)

    def _index_of(self, number: int) -> QModelIndex:
        row = self._rows.get(number)
        if row is None or row.position < 0:
            return _ROOT
        above = row.parent
        while above is not None:
            if above.position < 0:
                return _ROOT
            above = above.parent
        return self.createIndex(row.position, 0, number)

    def find(self, key: ImageKey, path: Path | None = None, member: str = "") -> QModelIndex:
        """The innermost row that stands for an image (of this very file if ``path`` is given); invalid when hidden."""
        for study in self._studies.get(key.study_uid, {}).values():
            patient = self._patients.get(patient_ident(study))
            row = self._find(patient.row, key, path, member) if patient else None
            if row is not None:
                return self.index_of(row)
        return _ROOT

    def _find(self, row: Row, key: ImageKey, path: Path | None, member: str) -> Row | None:
        if not any(image.key == key and (path is None or image.is_file(path, member)) for image in row.images):
            return None
        children = self._children(row) if has_children(row) else ()
        return next((found for child in children if (found := self._find(child, key, path, member))), row)

    # ------------------------------------------------------------ Qt's questions

    def index(self, row: int, column: int, parent: AnyIndex = _ROOT) -> QModelIndex:
        if not parent.isValid():
            siblings: Sequence[Row] = self._top
        else:
            above = self._rows.get(parent.internalId())
            siblings = self.shown_children(above) if above is not None else ()
        if column != 0 or not 0 <= row < len(siblings):
            return _ROOT
        return self.createIndex(row, 0, siblings[row].number)

    def parent(self, index: AnyIndex = _ROOT) -> QModelIndex:  # type: ignore[override]  # QObject.parent() as well
        row = self._rows.get(index.internalId()) if index.isValid() else None
        if row is None or row.parent is None:
            return _ROOT
        return self.createIndex(row.parent.position, 0, row.parent.number)

    def rowCount(self, parent: AnyIndex = _ROOT) -> int:
        if not parent.isValid():
            return len(self._top)
        row = self._rows.get(parent.internalId())
        return len(self.shown_children(row)) if row is not None else 0

    def columnCount(self, parent: AnyIndex = _ROOT) -> int:
        return 1

    def hasChildren(self, parent: AnyIndex = _ROOT) -> bool:
        if not parent.isValid():
            return bool(self._top)
        row = self._rows.get(parent.internalId())
        return row is not None and has_children(row)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row(index)
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return row.lines()[0]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return tooltip(row).replace("\n", ", ")
        return None


def _hits(patient: Patient, words: list[str]) -> int:
    """How many studies hold every word; see ``services.search.matches``."""
    texts = patient.study_texts()
    if len(words) == 1:
        word = words[0]
        return sum(word in text for text in texts) if len(texts) > 1 else int(word in texts[0])
    return sum(all(word in text for word in words) for text in texts)
