"""Search finds what a reader means, whatever the script and however it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.image import PatientInfo, View
from cxr_viewer.core.study import FoundImage, StudyNode
from cxr_viewer.services.library import Library
from cxr_viewer.services.search import display_name, fold, matches, patient_identity, study_text


@pytest.fixture
def listed(tmp_path: Path, make_found: Callable[..., FoundImage]) -> Callable[..., StudyNode]:
    def make(**values: object) -> StudyNode:
        library = Library(tmp_path / "library.sqlite")
        (study,) = library.add([make_found("/films/a", **values)])
        library.close()
        return study

    return make


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("Müller^Jürgen", "muller jurgen"),
        ("MÜLLER^JÜRGEN", "müller"),
        ("\u0418\u0432\u0430\u043d\u043e\u0432^\u041f\u0451\u0442\u0440", "\u0438\u0432\u0430\u043d\u043e\u0432"),
        ("\u0418\u0432\u0430\u043d\u043e\u0432^\u041f\u0451\u0442\u0440", "\u043f\u0435\u0442\u0440"),
        ("\u0418\u0412\u0410\u041d\u041e\u0412", "\u0438\u0432\u0430\u043d"),
        ("Łuczak^Søren", "luczak soren"),
        ("Straße", "STRASSE"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまた"),
        ("Wang^XiaoDong=王^小東", "xiaodong"),
        ("\uff24\uff2f\uff25^\uff2a\uff41\uff4e\uff45", "doe jane"),
        ("김^희중", "희중"),
        ("DOE^JANE", "jane doe"),
        ("Doe^^^^Jr", "doe jr"),
    ],
)
def test_a_name_is_found_as_it_is_typed(written: str, typed: str) -> None:
    assert matches(fold(written), fold(typed))


def test_every_word_has_to_be_found() -> None:
    assert not matches(fold("DOE^JANE"), fold("doe john"))
    assert matches(fold("DOE^JANE"), "")


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    "typed",
    [
        "invented",
        "P1",
        "2024-03-05",
        "20240305",
        "05.03.2024",
        "1960-02-29",
        "chest",
        "lat",
        "DX",
        "ida 2024",
        "CHEST pa",
    ],
)
def test_a_study_is_found_by_all_that_is_shown_of_it(listed: Callable[..., StudyNode], typed: str) -> None:
    assert matches(study_text(listed(view=View.LATERAL)), fold(typed))


def test_a_picture_without_a_name_is_found_by_its_file(tmp_path: Path, make_found: Callable[..., FoundImage]) -> None:
    library = Library(tmp_path / "library.sqlite")
    (study,) = library.add([make_found("/films/thorax_017.png", name="", patient="", is_dicom=False)])
    library.close()
    assert matches(study_text(study), "thorax_017")


def test_folders_are_not_searched(listed: Callable[..., StudyNode]) -> None:
    assert not matches(study_text(listed()), "films")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("DOE^JANE", "DOE, JANE"),
        ("Doe^Jane^Ann^Dr.^Jr", "Doe, Jane Ann"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
        ("", ""),
        ("^^^^", ""),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎)"),
        ("=山田^太郎", "山田, 太郎"),
        ("Two\nlines\x1b[31m^Red", "Two lines [31m, Red"),
        ("  Spaced   out ^ Name ", "Spaced out, Name"),
    ],
)
def test_names_are_shown_as_readers_write_them(stored: str, shown: str) -> None:
    assert display_name(stored) == shown


def test_one_patient_is_one_however_the_name_is_written() -> None:
    def identity(patient_id: str, name: str) -> str:
        return patient_identity(PatientInfo(patient_id, name))

    assert identity("P1", "DOE^JANE") == identity("p1 ", "Doe^Jane^^^")
    assert identity("P1", "DOE^JANE") != identity("P1", "DOE^JOHN"), "ids of two hospitals collide"
    assert identity("P1", "DOE^JANE") != identity("P2", "DOE^JANE")
    assert identity("", "") == ""
