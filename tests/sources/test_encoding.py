"""Data sets written otherwise than the meta information of their file says: shown all the same, with a caution."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import attributes, dicomfile, encoding, tagwalk
from cxr_viewer.sources.reader import SandboxReader

FILM = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"
SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
TAG = "TransferSyntaxUID (0002,0010)"


def written(source: bytes, syntax: str) -> bytes:
    """The data set of a file without its meta information."""
    read = pydicom.dcmread(io.BytesIO(source))
    read.decode()
    ds = Dataset()
    ds.update({element.tag: element for element in read})
    ds.SpecificCharacterSet = "ISO_IR 100"
    little = syntax != ExplicitVRBigEndian
    if not little:
        ds.PixelData = np.frombuffer(read.PixelData, "<u2").astype(">u2").tobytes()
    stream = io.BytesIO()
    ds.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little)
    if syntax != DeflatedExplicitVRLittleEndian:
        return stream.getvalue()
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(stream.getvalue()) + packer.flush()


def lying(source: bytes, claimed: str, actual: str) -> bytes:
    """A real film written in one way under the name of another."""
    meta, stream = FileMetaDataset(), io.BytesIO()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4"
    meta.TransferSyntaxUID = claimed
    write_file_meta_info(stream, meta)
    return bytes(128) + b"DICM" + stream.getvalue() + written(source, actual)


def local(data: bytes) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, 0)


def told(film: Radiograph) -> list[str]:
    return [caution.tag for caution in film.cautions if caution.code == "wrong-syntax"]


@pytest.mark.parametrize("actual", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("claimed", SYNTAXES, ids=lambda uid: uid.name)
def test_the_film_is_shown_whatever_the_meta_information_says(
    claimed: str, actual: str, need_data: Callable[[str], Path], recwarn: pytest.WarningsRecorder
) -> None:
    source = need_data(FILM).read_bytes()
    film, true = local(lying(source, claimed, actual)), local(source)
    assert np.array_equal(film.stored, true.stored)
    assert (film.transfer_syntax, film.patient, film.voi) == (actual, true.patient, true.voi)
    assert told(film) == ([] if claimed == actual else [TAG])
    passed = [text for step in film.chain if step.stage is Stage.FILE for text in step.passed_over]
    assert bool(passed) == (claimed != actual)
    assert not list(recwarn)


@pytest.mark.parametrize("actual", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("claimed", SYNTAXES, ids=lambda uid: uid.name)
def test_its_header_is_listed_and_its_attributes_too(
    claimed: str, actual: str, need_data: Callable[[str], Path]
) -> None:
    source = need_data(FILM).read_bytes()
    data = lying(source, claimed, actual)
    header = dicomfile.read_header(io.BytesIO(data))
    assert (header.header.Rows, header.pixel_keyword, header.pixel_length) == (440, "PixelData", 440 * 440 * 2)
    walk = tagwalk.Walk(io.BytesIO(data))
    wanted = [int(element.tag) for element in pydicom.dcmread(io.BytesIO(source)) if element.tag.element]
    assert set(wanted) <= {element.tag for element in walk}
    assert not walk.damaged


def test_through_the_reader_process(reader: SandboxReader, need_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = need_data(FILM)
    (tmp_path / "film.dcm").write_bytes(lying(source.read_bytes(), ExplicitVRLittleEndian, ExplicitVRBigEndian))
    node = reader.describe(tmp_path / "film.dcm", CancelToken()).image
    assert (node.rows, node.columns, node.problem) == (440, 440, "")
    assert told(reader.read(node, CancelToken())) == [TAG]


@pytest.mark.parametrize("actual", SYNTAXES[:3], ids=lambda uid: uid.name)
def test_letters_that_cannot_be_used_are_passed_over_there_too(actual: str, need_data: Callable[[str], Path]) -> None:
    source = need_data(FILM).read_bytes()
    data = lying(source, DeflatedExplicitVRLittleEndian, actual)
    assert data.count(b"ISO_IR 100") == 1
    film = local(data.replace(b"ISO_IR 100", b"ISO" + bytes(4) + b"100"))
    assert np.array_equal(film.stored, local(source).stored)
    assert {"character-set", "wrong-syntax"} <= {caution.code for caution in film.cautions}


@pytest.mark.parametrize(
    "start",
    [b"", b"\x08\0", bytes(64), b"\xff" * 64, b"DICM" * 16, b"\x08\0\x05\0\xff\xff\xff\x7f" + bytes(8)],
    ids=["empty", "cut", "zeros", "ones", "text", "a first element of 2 GiB"],
)
@pytest.mark.parametrize("claimed", SYNTAXES, ids=lambda uid: uid.name)
def test_what_nothing_speaks_against_is_believed(claimed: str, start: bytes) -> None:
    assert encoding.actual(claimed, start) == claimed


def test_compressed_films_are_not_judged() -> None:
    assert encoding.actual(JPEGBaseline8Bit, b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100") == JPEGBaseline8Bit


def test_a_packed_bomb_under_a_plain_name_is_refused(need_data: Callable[[str], Path]) -> None:
    source = need_data(FILM).read_bytes()
    film = lying(source, ExplicitVRLittleEndian, ExplicitVRLittleEndian)
    meta_end = 144 + int.from_bytes(film[140:144], "little")  # by its own length (0002,0000)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    first = written(source, ExplicitVRLittleEndian)[:1000]
    zeros: Iterable[bytes] = (bytes(1 << 20) for _ in range(64))
    bomb = packer.compress(first) + b"".join(map(packer.compress, zeros)) + packer.flush()
    with pytest.raises(ReadError) as refused:
        dicomfile.read_all(film[:meta_end] + bomb)
    assert refused.value.code == "memory"
