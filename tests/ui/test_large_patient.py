"""One patient with hundreds of studies, as a collection without names makes one: rows that did not change stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPersistentModelIndex
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from cxr_viewer.core.study import FoundImage, ReadStatus, StudyNode
from cxr_viewer.services.library import Library
from cxr_viewer.ui.study_model import StudyModel
from cxr_viewer.ui.study_rows import Row

STUDIES = 300


@pytest.fixture
def library(tmp_path: Path, make_found: Callable[..., FoundImage]) -> Iterator[Library]:
    library = Library(tmp_path / "library.sqlite")
    library.add(make_found(f"/films/{n}/{k}", study=str(n), sop=f"{n}.{k}") for n in range(STUDIES) for k in range(2))
    yield library
    library.close()


@pytest.fixture
def model(library: Library, qapp: QApplication) -> StudyModel:
    model = StudyModel()
    model.checker = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)  # type: ignore[attr-defined]
    model.take(library.studies())
    model.show_changes()
    return model


def rows(model: StudyModel) -> dict[str, Row]:
    (patient,) = model.top_rows()
    return {row.studies[0].study_uid: row for row in model.shown_children(patient)}


def shown(model: StudyModel) -> list[StudyNode]:
    top = model.index(0, 0)
    found = [model.row(model.index(place, 0, top)) for place in range(model.rowCount(top))]
    return [row.studies[0] for row in found if row is not None]


def by_uid(study: StudyNode) -> str:
    return study.study_uid


def test_a_changed_study_costs_its_own_row_only(model: StudyModel, library: Library) -> None:
    before = rows(model)
    old = QPersistentModelIndex(model.index_of(before["1.2.7"]))
    model.take(library.set_status("1.2.7", ReadStatus.READ))
    model.show_changes()
    after = rows(model)
    assert [uid for uid in before if after[uid] is not before[uid]] == ["1.2.7"]
    row = model.row(old)
    assert row is after["1.2.7"]
    assert row.status is ReadStatus.READ
    assert sorted(shown(model), key=by_uid) == sorted(library.studies(), key=by_uid)


def test_unfolded_rows_of_a_changed_study_stay_unfolded(model: StudyModel, library: Library) -> None:
    study = rows(model)["1.2.7"]
    film = QPersistentModelIndex(model.index_of(model.shown_children(study)[1]))
    model.take(library.set_status("1.2.7", ReadStatus.READ))
    model.show_changes()
    row = model.row(film)
    assert row is not None
    assert row.image == library.study("1.2.7").images[1]  # type: ignore[union-attr]


def test_studies_come_and_go(model: StudyModel, library: Library, make_found: Callable[..., FoundImage]) -> None:
    model.shown_children(model.top_rows()[0])
    model.take(library.add([make_found("/films/new", study="new")]))
    model.drop("1.2.9")
    library.remove("1.2.9")
    model.show_changes()
    assert len(rows(model)) == STUDIES
    assert sorted(study.study_uid for study in shown(model)) == sorted(study.study_uid for study in library.studies())
    model.set_query("nobody")
    assert model.rowCount() == 0
    model.set_query("")
    assert len(shown(model)) == STUDIES


def test_the_search_knows_what_has_changed(
    model: StudyModel, library: Library, make_found: Callable[..., FoundImage]
) -> None:
    while model.warm(1.0):
        pass
    model.take(library.add([make_found("/films/7/3", study="7", sop="7.3", description="THORAX SEITLICH")]))
    model.show_changes()
    model.set_query("seitlich")
    assert [study.study_uid for study in shown(model)] == ["1.2.7"]
