"""The list of attributes: the same as pydicom's where pydicom gives one, and something sensible where it does not."""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.tags import TagList, TagRow
from cxr_viewer.sources import tags
from cxr_viewer.sources.answers import Tags
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = ("dicom", "dicom-other", "hostile")
SENTENCES = {"empty.dcm": "empty-file", "deflate_bomb_1GiB.dcm": "memory"}
NOT_COMPLETE = {
    "many_elements_500k.dcm",
    "nested_sq_300.dcm",
    "nested_sq_5000.dcm",
    "nested_sq_100000.dcm",
    "trunc_half.dcm",
    "trunc_header.dcm",
    "pixel_len_4GiB.dcm",
    "text_len_2GiB.dcm",
    "pydicom_pydicom__MR_truncated.dcm",
    "pydicom_pydicom__rtplan_truncated.dcm",
}
GUESSED = "pydicom_pydicom-data__bad_sequence.dcm"
"""pydicom guesses that a value of VR UN is a sequence; the standard gives no such right."""
MakeBytes = Callable[..., bytes]


def files() -> list[Path]:
    found = (path for folder in FOLDERS for path in sorted((SHARED / folder).rglob("*")))
    return [path for path in found if path.is_file() and path.suffix not in (".csv", ".txt")]


def listed(data: bytes) -> TagList:
    return tags.tag_list(io.BytesIO(data))


def row(tag_list: TagList, keyword: str) -> TagRow:
    return next(row for row in tag_list.rows if row.keyword == keyword)


# ---------------------------------------------------------------- every file at hand


@pytest.mark.parametrize("path", files() or [SHARED / "dicom"], ids=lambda path: path.name[-50:])
def test_a_list_or_a_sentence(path: Path, sandbox: Sandbox, need_data: Callable[[str], Path]) -> None:
    need_data(os.path.relpath(path, SHARED))
    if path.name in SENTENCES:
        with pytest.raises(ReadError) as fault:
            sandbox.ask(Tags, "tags", CancelToken(), path=str(path))
        assert fault.value.code == SENTENCES[path.name]
        return
    answer = sandbox.ask(Tags, "tags", CancelToken(), path=str(path))
    found = answer.tags
    assert len(found.rows) <= tags.MOST_ROWS
    assert all(one.depth <= tags.DEEPEST and len(one.value) < 1200 and one.value.isprintable() for one in found.rows)
    if path.name in NOT_COMPLETE:
        assert not found.complete
        assert found.rows


@pytest.mark.parametrize("path", files() or [SHARED / "dicom"], ids=lambda path: path.name[-50:])
def test_the_same_attributes_as_pydicom_lists(path: Path, need_data: Callable[[str], Path]) -> None:
    need_data(os.path.relpath(path, SHARED))
    if path.name in NOT_COMPLETE or path.name in SENTENCES:
        pytest.skip("not read whole by either")
    with path.open("rb") as file:
        found = tags.tag_list(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = pydicom.dcmread(path)
            theirs = [(0, int(element.tag)) for element in data_set.file_meta] + list(walked(data_set, 0))
    except Exception as error:
        pytest.skip(f"pydicom gives no list: {type(error).__name__}")
    ours = [(one.depth, int(one.tag[1:5] + one.tag[6:10], 16)) for one in found.rows if one.vr]
    if found.complete and path.name != GUESSED:
        assert ours == theirs
    else:
        assert not (
            Counter(ours) - Counter(theirs) and Counter(theirs) - Counter(ours)
        )  # one lists a part of the other


def walked(data_set: Dataset, depth: int) -> Iterator[tuple[int, int]]:
    for element in data_set:
        yield depth, int(element.tag)
        if element.VR == "SQ":
            for item in element.value:
                yield from walked(item, depth + 1)


# ---------------------------------------------------------------- values


def test_values_read_as_the_file_has_them(dicom_bytes: MakeBytes) -> None:
    found = listed(
        dicom_bytes(
            WindowCenter=[40, 2048.5],
            WindowWidth=[400, 4096],
            SmallestImagePixelValue=7,
            FrameIncrementPointer=[0x00181063, 0x00280009],
            TableTopVerticalPosition="1.5",
            ExposureTimeInms=12.5,
        )
    )
    assert row(found, "WindowCenter").value == "40.0\\2048.5"
    assert row(found, "Rows").value == "4"
    assert row(found, "FrameIncrementPointer").value == "(0018,1063)\\(0028,0009)"
    assert row(found, "ExposureTimeInms").value == "12.5"
    assert row(found, "PixelData").value == "pixels, 48 bytes"
    assert found.complete


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_way_to_write_a_data_set_gives_the_same_list(dicom_bytes: MakeBytes, syntax: str) -> None:
    item = Dataset()
    item.CodeMeaning = "postero-anterior"
    parts = {"ViewCodeSequence": Sequence([item]), "WindowCenter": 40, "ExposureTimeInms": 12.5}
    plain, other = (listed(dicom_bytes(**parts, **more)).rows for more in ({}, {"syntax": syntax}))
    assert body(other) == body(plain)


def body(rows: tuple[TagRow, ...]) -> list[tuple[int, str, str, str]]:
    return [(one.depth, one.tag, one.vr, one.value) for one in rows if not one.tag.startswith("(0002")]


def test_values_that_may_be_signed_follow_the_pixels(dicom_bytes: MakeBytes) -> None:
    padding = DataElement("PixelPaddingValue", "SS", -2000)
    data = dicom_bytes(syntax=ImplicitVRLittleEndian, PixelRepresentation=1, PixelPaddingValue=padding)
    assert row(listed(data), "PixelPaddingValue").value == "-2000"


def test_a_file_without_preamble_and_meta_information(dicom_bytes: MakeBytes) -> None:
    found = listed(dicom_bytes(meta=False, PatientName="Invented^Ida"))
    assert row(found, "PatientName").value == "Invented^Ida"
    assert found.complete


def test_names_in_other_scripts(dicom_bytes: MakeBytes) -> None:
    for character_set, name in (
        ("ISO_IR 192", "Ямада^太郎"),
        ("ISO_IR 144", "Дания"),
        ("ISO_IR 100", "Büc^Jérôme"),
    ):
        found = listed(dicom_bytes(SpecificCharacterSet=character_set, PatientName=name))
        assert row(found, "PatientName").value == name


def test_an_unknown_character_set_still_gives_text(dicom_bytes: MakeBytes) -> None:
    data = dicom_bytes(SpecificCharacterSet="ISO_IR 100", PatientName="Büc").replace(b"ISO_IR 100", b"NO_SUCH_IR")
    assert row(listed(data), "PatientName").value == "Büc"


def test_control_characters_do_not_reach_the_screen(dicom_bytes: MakeBytes) -> None:
    found = listed(dicom_bytes(ImageComments="a\x1b[31mred\x07\r\nnext\u202eback", SpecificCharacterSet="ISO_IR 192"))
    assert row(found, "ImageComments").value == "a[31mred nextback"


def test_long_values_are_cut_and_say_how_long_they_are(dicom_bytes: MakeBytes) -> None:
    found = listed(dicom_bytes(ImageComments="x" * 9000, VectorGridData=b"\0" * 4000))
    value = row(found, "ImageComments").value
    assert value.startswith("xxxx")
    assert value.endswith("(9,000 bytes)")
    assert len(value) < 1100
    assert row(found, "VectorGridData").value == "4,000 bytes"


def test_sequences_are_indented_and_counted(dicom_bytes: MakeBytes) -> None:
    inner, first, second = Dataset(), Dataset(), Dataset()
    inner.CodeValue = "inner"
    first.CodeValue, second.CodeValue = "one", "two"
    first.ViewModifierCodeSequence = Sequence([inner])
    found = listed(dicom_bytes(ViewCodeSequence=Sequence([first, second])))
    start = next(number for number, one in enumerate(found.rows) if one.keyword == "ViewCodeSequence")
    told = [(one.depth, one.keyword or one.tag, one.value) for one in found.rows[start : start + 8]]
    assert told == [
        (0, "ViewCodeSequence", "2 items"),
        (1, "Item 1", ""),
        (1, "CodeValue", "one"),
        (1, "ViewModifierCodeSequence", "1 item"),
        (2, "Item 1", ""),
        (2, "CodeValue", "inner"),
        (1, "Item 2", ""),
        (1, "CodeValue", "two"),
    ]


# ---------------------------------------------------------------- identity


def test_identity_is_marked_also_inside_sequences(dicom_bytes: MakeBytes) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    reference.Rows = 5
    found = listed(dicom_bytes(PatientName="Invented^Ida", ReferencedPatientSequence=Sequence([reference]), KVP=120))
    marked = {one.keyword or one.tag for one in found.rows if one.identity}
    assert {"PatientName", "SOPInstanceUID", "ReferencedPatientSequence", "Item 1", "ReferencedSOPClassUID"} <= marked
    assert not marked & {"KVP", "SOPClassUID", "Modality", "PhotometricInterpretation", "PixelData"}
    rows = [one.identity for one in found.rows if one.keyword == "Rows"]
    assert rows == [True, False]  # the one inside the patient's sequence, and the picture's own


# ---------------------------------------------------------------- damage


@given(st.data())
def test_whatever_is_cut_off_or_changed_gives_rows_and_no_fault(data: st.DataObject) -> None:
    whole = bytearray(_SMALL)
    for _ in range(data.draw(st.integers(0, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    try:
        found = listed(bytes(whole[:end]))
    except ReadError:
        return  # a changed byte may claim that the rest is deflated
    assert all(one.value.isprintable() for one in found.rows)


def _small() -> bytes:
    """Nested sequences of known and unknown length, texts and numbers, explicit little endian."""

    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        long = vr in (b"SQ", b"OB", b"UN")
        length = struct.pack("<2xI", len(value)) if long else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + vr + length + value

    def item(value: bytes, known: bool) -> bytes:
        if known:
            return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
        return struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + value + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)

    inner = item(element(8, 0x0100, b"SH", b"CODE"), known=False)
    outer = item(element(8, 0x1115, b"SQ", inner) + element(0x28, 0x10, b"US", b"\x02\x00"), known=True)
    head = struct.pack("<HH", 8, 0x1140) + b"SQ\0\0" + struct.pack("<I", 0xFFFFFFFF)
    open_sequence = head + outer + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    meta = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
    body = element(8, 0x60, b"CS", b"DX") + open_sequence + element(0x10, 0x10, b"PN", b"A^B ")
    return bytes(128) + b"DICM" + meta + body + element(0x7FE0, 0x10, b"OB", bytes(8))


_SMALL = _small()


def test_the_small_file_of_these_tests_is_read_whole() -> None:
    found = listed(_SMALL)
    assert found.complete
    assert [one.depth for one in found.rows] == [0, 0, 0, 1, 1, 2, 2, 1, 0, 0]


# ---------------------------------------------------------------- the reader's own


def test_tags_of_another_image_are_not_given(reader: SandboxReader, dicom_bytes: MakeBytes, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom_bytes(SOPInstanceUID="1.2.3.4"))
    node = reader.describe(path, CancelToken()).image
    assert row(reader.tags(node, CancelToken()), "Modality").value == "CR"
    frame = replace(node, key=replace(node.key, frame=3))
    assert reader.tags(frame, CancelToken()).rows
    path.write_bytes(dicom_bytes(SOPInstanceUID="1.2.3.5"))
    with pytest.raises(ReadError) as fault:
        reader.tags(node, CancelToken())
    assert fault.value.code == "file-changed"


def test_a_picture_has_no_attributes(reader: SandboxReader, repository: Path) -> None:
    path = repository / "resources" / "samples" / "child-2-pneumonia.png"
    node = reader.describe(path, CancelToken()).image
    assert reader.tags(node, CancelToken()) == TagList(())


def test_a_file_that_is_gone_costs_a_sentence(reader: SandboxReader, dicom_bytes: MakeBytes, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom_bytes())
    node = reader.describe(path, CancelToken()).image
    path.unlink()
    with pytest.raises(ReadError) as fault:
        reader.tags(node, CancelToken())
    assert fault.value.code == "file-missing"
