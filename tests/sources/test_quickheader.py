"""The quick way through a header gives what pydicom gives, on every file at hand and on damaged ones, or gives up."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_viewer.sources import dicomfile, quickheader
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.dicomfile import _LISTED_BY_NUMBER, DicomFile

CHARACTER_SET = BaseTag(0x00080005)
CHARACTER_SETS = ("", "ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "ISO 2022 IR 87", "GB18030", "nonsense")
WORDS = ("PatientName", "PatientID", "StudyDescription", "StudyDate", "StudyTime", "ViewPosition", "StudyInstanceUID")


def by_pydicom(data: bytes) -> DicomFile:
    return dicomfile._parse(io.BytesIO(data), None)


def plain(ds: Dataset) -> dict[int, object]:
    """Every element as it lies in the file; sequences and the character set as pydicom understands them."""
    found: dict[int, object] = {}
    for tag in list(ds.keys()):
        element = ds.get_item(tag, keep_deferred=True)
        raw = (
            isinstance(element, RawDataElement) and tag != CHARACTER_SET and (element.VR or dictionary_VR(tag)) != "SQ"
        )
        found[int(tag)] = (element.VR, element.value) if raw else _in_words(ds, tag)
    return found


def _in_words(ds: Dataset, tag: BaseTag) -> str:
    try:
        return str(ds[tag].value)
    except Exception as error:
        return type(error).__name__


def agree(data: bytes) -> bool:
    """Compare both ways; False where the quick one gave up."""
    quick = quickheader.read(io.BytesIO(data), _LISTED_BY_NUMBER)
    if quick is None:
        return False
    slow = by_pydicom(data)
    assert (quick.syntax, quick.pixel_keyword, quick.pixel_length) == (
        slow.syntax,
        slow.pixel_keyword,
        slow.pixel_length,
    )
    mine, theirs = plain(quick.header), plain(slow.header)
    assert mine == theirs
    assert quick.header.original_encoding == slow.header.original_encoding
    assert quick.header.original_character_set == slow.header.original_character_set
    for keyword in ("TransferSyntaxUID", "MediaStorageSOPClassUID"):
        assert tol.text(quick.header.file_meta, keyword) == tol.text(slow.header.file_meta, keyword)
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("folder", "most_odd"), [("dicom", 3), ("dicom-other", 40), ("hostile", 60)])
def test_every_file_at_hand(need_data: Callable[[str], Path], folder: str, most_odd: int) -> None:
    files = [path for path in sorted(need_data(folder).rglob("*")) if path.is_file()]
    heads = [path.read_bytes() for path in files]
    films = [data for data in heads if dicomfile.looks_like_dicom(data[:4096])]
    given_up = sum(not agree(data) for data in films)
    assert given_up <= most_odd
    assert given_up < len(films)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_words_of_a_header_are_read_as_pydicom_reads_them(dicom_bytes: Callable[..., bytes], syntax: str) -> None:
    assert agree(dicom_bytes(syntax=syntax, PatientName="Doe^Jane", PatientID="", Modality="DX"))


def test_what_is_odd_is_left_to_pydicom(dicom_bytes: Callable[..., bytes]) -> None:
    good = dicom_bytes()
    assert agree(good)
    for odd in (
        dicom_bytes(meta=False),
        dicom_bytes(syntax=ExplicitVRBigEndian),
        dicom_bytes(PixelData=None),
        good[:200],
        b"",
        good.replace(b"CS\x02\x00CR", b"??\x02\x00CR"),
    ):
        assert quickheader.read(io.BytesIO(odd), _LISTED_BY_NUMBER) is None


def test_sequences_of_undefined_length_are_passed_over(dicom_bytes: Callable[..., bytes]) -> None:
    inner, item = Dataset(), Dataset()
    inner.CodeValue = "X"
    inner.is_undefined_length_sequence_item = True
    item.ConceptNameCodeSequence = [inner]
    item["ConceptNameCodeSequence"].is_undefined_length = True
    item.CodeValue, item.CodeMeaning = "399348003", "Antero-posterior"
    item.is_undefined_length_sequence_item = True
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        data = dicom_bytes(syntax=syntax, ViewCodeSequence=[item, item], RequestAttributesSequence=[item])
        ds = read_partial(io.BytesIO(data), force=True)
        for keyword in ("ViewCodeSequence", "RequestAttributesSequence"):
            ds[keyword].is_undefined_length = True
        stream = io.BytesIO()
        ds.save_as(stream)
        assert stream.getvalue() != data
        assert agree(stream.getvalue())


def test_a_header_longer_than_the_window(dicom_bytes: Callable[..., bytes]) -> None:
    notes = dicom_bytes(
        AdditionalPatientHistory="x" * 60_000, InstitutionName="Far behind", PatientComments="y" * 9_000
    )
    assert len(notes) > 2 * quickheader._WINDOW
    assert agree(notes)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(128, 700), change=st.binary(min_size=1, max_size=4))
def test_damage_never_makes_the_two_ways_differ(dicom_bytes: Callable[..., bytes], place: int, change: bytes) -> None:
    good = dicom_bytes(PatientName="Doe^Jane", StudyDescription="CHEST PA", InstanceNumber="3", ViewPosition="PA")
    damaged = good[:place] + change + good[place + len(change) :]
    try:
        by_pydicom(damaged)
    except Exception:
        assert quickheader.read(io.BytesIO(damaged), _LISTED_BY_NUMBER) is None
        return
    agree(damaged)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(keyword="PatientName", charset="", value=b"=", vr="PN")
@given(
    keyword=st.sampled_from(WORDS),
    charset=st.sampled_from(CHARACTER_SETS),
    value=st.binary(max_size=24) | st.text(alphabet=" ^=\\.0123456789aPÄ~\0", max_size=24).map(str.encode),
    vr=st.sampled_from(["AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UI", "LT", "UN", None]),
)
def test_plain_words_are_those_pydicom_finds(keyword: str, charset: str, value: bytes, vr: str | None) -> None:
    tag = tol.tag_of(keyword)
    assert tag is not None

    def words(by_quick_way: bool) -> list[str]:
        raw = RawDataElement(tag, vr, len(value), value or None, 0, vr is None, True)
        ds = Dataset({tag: raw})
        ds.set_original_encoding(vr is None, True, quickheader._encodings(charset.encode()))
        if not by_quick_way:
            try:
                ds[tag]  # from here on the element is pydicom's own
            except Exception:
                return tol.strings(ds, keyword)
        return tol.strings(ds, keyword)

    assert config.settings.reading_validation_mode == config.IGNORE
    assert words(True) == words(False)


def test_headers_are_searched_without_comparing_tags(dicom_bytes: Callable[..., bytes]) -> None:
    quick = quickheader.read(io.BytesIO(dicom_bytes()), _LISTED_BY_NUMBER)
    assert quick is not None
    keys = list(quick.header.keys())
    assert all(tol.tag_of(keyword_for_tag(key)) is key is tol.tag_of(int(key)) for key in keys)
