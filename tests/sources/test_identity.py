"""Patient, study, identity and view of an image."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import identity, words
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.tolerant import Cautions

Film = Callable[..., Radiograph]


def code_item(value: str, meaning: str = "") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    return item


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "PA"}, View.PA),
        ({"ViewPosition": "AP"}, View.AP),
        ({"ViewPosition": "LL"}, View.LATERAL),
        ({"ViewPosition": "RL"}, View.LATERAL),
        ({"ViewPosition": "LLD"}, View.OTHER),
        ({"ViewPosition": "LLO"}, View.OTHER),
        ({"ViewCodeSequence": [code_item("399348003")]}, View.AP),
        ({"ViewCodeSequence": [code_item("R-10214", "postero-anterior")]}, View.PA),
        ({"ViewCodeSequence": [code_item("399173006", "left lateral")]}, View.LATERAL),
        ({"ViewCodeSequence": [code_item("X1", "Antero-posterior")]}, View.AP),
        ({"ViewCodeSequence": [code_item("399182000", "oblique")]}, View.OTHER),
        ({"ViewPosition": "PA", "ViewCodeSequence": [code_item("399348003")]}, View.PA),
        ({"PatientOrientation": ["P", "F"]}, View.LATERAL),
        ({"PatientOrientation": ["L", "F"]}, View.UNKNOWN),
        ({"PatientOrientation": ["L", "F"], "SeriesDescription": "Thorax p.a."}, View.PA),
        ({"SeriesDescription": "view: AP"}, View.AP),
        ({"SeriesDescription": "CHEST_LAT"}, View.LATERAL),
        ({"StudyDescription": "CHEST PA AND LATERAL"}, View.UNKNOWN),
        ({"StudyDescription": "CHEST PA AND LATERAL", "SeriesDescription": "PA"}, View.PA),
        ({"StudyDescription": "Chest AP portable"}, View.AP),
        ({"StudyDescription": "Paediatric chest, apnoea, palate"}, View.UNKNOWN),
        ({"SeriesDescription": "left lateral decubitus"}, View.UNKNOWN),
        ({}, View.UNKNOWN),
    ],
)
def test_view(elements: dict[str, object], view: View, film: Film) -> None:
    assert film(**elements).view is view


def test_a_lateral_film_called_pa_is_told(film: Film) -> None:
    image = film(ViewPosition="PA", PatientOrientation=["A", "F"])
    assert image.view is View.PA
    assert [(c.code, c.tag) for c in image.cautions] == [("view-conflict", "ViewPosition (0018,5101)")]


def test_the_real_lateral_film(need_data: Callable[[str], Path], read_path: Callable[[Path], Radiograph]) -> None:
    image = read_path(need_data("dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"))
    assert image.view is View.LATERAL
    assert image.patient_orientation == ("P", "F")


@pytest.mark.parametrize(
    ("age", "birth", "taken", "years"),
    [
        ("062Y", None, None, 62),
        ("006M", None, None, 0.5),
        ("002W", None, None, 14 / 365.25),
        ("010D", None, None, 10 / 365.25),
        ("58", None, None, 58),
        ("999Y", None, None, None),
        ("-01Y", None, None, None),
        ("", "19400305", "20190505", 79.17),
        (None, "20190505", "19400305", None),
        (None, "18500101", "20200101", None),
        (None, "19400305", None, None),
        ("062Y", "19400305", "20190505", 62),
    ],
)
def test_age(age: str | None, birth: str | None, taken: str | None, years: float | None, film: Film) -> None:
    found = film(PatientAge=age, PatientBirthDate=birth, StudyDate=taken).patient.age_years
    assert found == (None if years is None else pytest.approx(years, abs=0.01))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^M^Dr^", "Doe, Jane M Dr"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("=山田^太郎", "山田, 太郎"),
        ("^Jane", "Jane"),
        ("", ""),
        ("^^^^", ""),
    ],
)
def test_person_name(written: str, shown: str) -> None:
    assert identity.person_name(written) == shown


def test_dates_and_times(film: Film) -> None:
    study = film(StudyDate="20200110", StudyTime="102341.5").study
    assert (study.date, study.time) == (dt.date(2020, 1, 10), "10:23:41")
    old = film(StudyDate="1994.02.27", StudyTime="10:23").study
    assert (old.date, old.time) == (dt.date(1994, 2, 27), "10:23")
    none = film(StudyDate="99999999", StudyTime="2599").study
    assert (none.date, none.time) == (None, "")


def test_what_would_deceive_the_eye_is_gone(
    need_data: Callable[[str], Path], read_path: Callable[[Path], Radiograph]
) -> None:
    image = read_path(need_data("hostile/pn_inject.dcm"))
    for text in (image.patient.name, image.study.description):
        assert text
        assert text.isprintable()
    assert len(read_path(need_data("hostile/pn_1MB.dcm")).patient.name) <= words.MAX_TEXT


def test_a_uid_never_holds_a_path(reader: SandboxReader, need_data: Callable[[str], Path]) -> None:
    key = reader.describe(need_data("hostile/uid_traversal.dcm"), CancelToken()).image.key
    for uid in (key.study_uid, key.series_uid, key.sop_uid):
        assert re.fullmatch(r"[0-9.]{1,64}", uid)


def test_missing_uids_are_made_of_the_file_and_stay_the_same(
    reader: SandboxReader, dicom_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    left_out = dict.fromkeys(("SOPInstanceUID", "StudyInstanceUID"))
    for name, value in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).write_bytes(dicom_bytes(**left_out, InstanceNumber=value, meta=False))
    first, same, other = (reader.describe(tmp_path / name, CancelToken()).image for name in "abc")
    assert first.key == same.key
    assert first.key.series_uid == other.key.series_uid == "1.2.3.1"
    assert first.key.sop_uid != other.key.sop_uid
    assert reader.read(first, CancelToken()).key == first.key


@given(st.text(max_size=80))
def test_clean_text_is_one_printable_line(text: str) -> None:
    shown = words.clean(text, 40)
    assert shown.isprintable()
    assert len(shown) <= 40
    assert words.clean(shown, 40) == shown


@given(
    st.dictionaries(st.sampled_from(["PatientAge", "PatientName", "StudyDate", "ViewPosition"]), st.text(max_size=20))
)
def test_any_text_anywhere_gives_values(elements: dict[str, str]) -> None:
    ds = Dataset()
    for keyword, value in elements.items():
        ds.add_new(keyword, "LT", value)
    patient = identity.patient_info(ds)
    assert patient.age_years is None or 0 <= patient.age_years <= identity.OLDEST_AGE_YEARS
    assert identity.view(ds, Cautions()) in View
    assert identity.study_info(ds).date is None or identity.study_info(ds).date.year >= 1800  # type: ignore[union-attr]
