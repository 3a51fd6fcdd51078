"""The picture that comes first: close to the film it stands for, and not there where anything is unusual."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openjpeg.utils
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEG2000Lossless

from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import attributes, codestream, compressed, decoder, dicomfile, functional, pixelformat, preview
from cxr_viewer.sources.dicomfile import DicomFile
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.tolerant import Cautions

CANON = "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
FILMS = (
    CANON,
    "dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "dicom/tx_dx_canon_htj2k_lossless.dcm",
    "dicom-other/cr_hand_kodak.dcm",
)
AS_EACH_OTHER = (
    "voi",
    "spacing",
    "view",
    "photometric",
    "bits_stored",
    "modality_lut",
    "presentation_lut_shape",
    "study",
)


def near(early: NDArray[Any], whole: NDArray[Any], times: int) -> None:
    """Both blurred as far as the preview is coarse: much closer than when laid one coarse pixel beside each other."""
    step = float(1 << times)
    soft, film = (cv2.GaussianBlur(picture.astype(np.float64), (0, 0), step) for picture in (early, whole))
    low, high = np.percentile(whole, (1, 99))
    inside = (slice(64, -64), slice(64, -64))
    apart = float(np.abs(soft - film)[inside].mean())
    for shift in (-(step - 1) / 2, (step - 1) / 2):
        moved = cv2.warpAffine(soft, np.array([[1.0, 0, shift], [0, 1.0, shift]]), film.shape[::-1])
        assert apart < 0.35 * float(np.abs(moved - film)[inside].mean())
    assert apart < 0.002 * (high - low)


def frame_of(file: DicomFile) -> tuple[bytes, codestream.Codestream, pixelformat.PixelFormat]:
    assert file.pixels is not None
    form = pixelformat.pixel_format(functional.flattened(file.header, 0, Cautions()), Cautions())
    return *compressed.codestream_of(file.pixels, 0, form, Cautions()), form


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_each_resolution_is_the_film(name: str, times: int, need_data: Callable[[str], Path]) -> None:
    file = dicomfile.read_all(need_data(name).read_bytes())
    data, stream, form = frame_of(file)
    words = preview.reduced(data, stream, times, form.bits_stored)
    assert words is not None
    whole = attributes.radiograph(file, Path("film.dcm"), "", 0)
    early, bits = decoder.typed(words, stream.precision, form)
    assert (early.shape, early.dtype, bits) == (whole.stored.shape, whole.stored.dtype, whole.bits_stored)
    near(early, whole.stored, times)


@pytest.mark.parametrize("name", [FILMS[0], FILMS[1], FILMS[4]])
def test_the_preview_comes_through_the_reader_process_and_the_whole_film_after_it(
    name: str, reader: SandboxReader, need_data: Callable[[str], Path]
) -> None:
    node = reader.describe(need_data(name), CancelToken()).image
    early: list[Radiograph] = []
    film = reader.read(node, CancelToken(), early.append)
    (first,) = early
    assert first.preview
    assert not film.preview
    assert first.key == film.key == node.key
    assert first.path == node.path
    assert (first.rows, first.columns, first.stored.dtype) == (film.rows, film.columns, film.stored.dtype)
    for field in AS_EACH_OTHER:
        assert getattr(first, field) == getattr(film, field), field
    assert {caution.code for caution in first.cautions} == {caution.code for caution in film.cautions}
    assert first.source_sha256 == film.source_sha256
    assert np.array_equal(reader.read(node, CancelToken()).stored, film.stored)


@pytest.mark.parametrize(
    "name", ["dicom/cr_barre_fuji_pa_mono1_10bit.dcm", "dicom/tx_dx_canon_jpegls_lossless.dcm", FILMS[2], FILMS[3]]
)
def test_films_that_are_there_at_once_have_none(
    name: str, reader: SandboxReader, need_data: Callable[[str], Path]
) -> None:
    node = reader.describe(need_data(name), CancelToken()).image
    early: list[Radiograph] = []
    assert not reader.read(node, CancelToken(), early.append).preview
    assert early == []


# ---------------------------------------------------------------- codestreams made for one purpose each

MakeFile = Callable[..., DicomFile]


@pytest.fixture(scope="module")
def canon(need_data: Callable[[str], Path]) -> NDArray[Any]:
    """A real film, uint16 with 12 bits, 2128 x 2000."""
    film = attributes.radiograph(dicomfile.read_all(need_data(CANON).read_bytes()), Path("film.dcm"), "", 0)
    return np.asarray(film.stored)


@pytest.fixture
def make_file(parse: Callable[..., DicomFile]) -> MakeFile:
    def make(stream: bytes, shape: tuple[int, ...], **elements: Any) -> DicomFile:
        size = {"Rows": shape[0], "Columns": shape[1], "PixelData": encapsulate([stream])}
        return parse(syntax=elements.pop("syntax", JPEG2000Lossless), **(size | elements))

    return make


def by_pillow(pixels: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000", no_jp2=True, **options)
    return stream.getvalue()


def attempted(file: DicomFile) -> Radiograph | None:
    return preview.attempt(file, Path("film.dcm"), 0)


@pytest.mark.parametrize("bits", [12, 16])
def test_signed_films(bits: int, canon: NDArray[Any], make_file: MakeFile) -> None:
    """Where Pillow alone is wrong by half the range."""
    pixels = (canon.astype(np.int32) * (1 << (bits - 12)) - (1 << (bits - 1))).astype(np.int16)
    stream = openjpeg.utils.encode_array(pixels, bits_stored=bits, photometric_interpretation=2)
    elements = {"PixelRepresentation": 1, "BitsStored": bits, "HighBit": bits - 1}
    file = make_file(bytes(stream), pixels.shape, **elements)
    first, film = attempted(file), attributes.radiograph(file, Path("film.dcm"), "", 0)
    assert np.array_equal(film.stored, pixels)
    assert first is not None
    assert first.stored.dtype == np.int16
    near(first.stored, film.stored, 2)


def test_a_signed_film_in_an_unsigned_codestream_has_none(canon: NDArray[Any], make_file: MakeFile) -> None:
    words = (canon.astype(np.int32) - 2048).astype(np.int16).view(np.uint16) & 0x0FFF
    stream = openjpeg.utils.encode_array(words, bits_stored=12, photometric_interpretation=2)
    assert attempted(make_file(bytes(stream), words.shape, PixelRepresentation=1)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"tile_size": (512, 512)},
        {"tile_size": (700, 300)},
        {"num_resolutions": 3},
        {"irreversible": True, "quality_mode": "rates", "quality_layers": [20]},
        {"progression": "RPCL"},
    ],
)
def test_tiles_and_other_ways_to_write_a_codestream(
    options: dict[str, Any], canon: NDArray[Any], make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "LEAST_BYTES", dict.fromkeys(preview.LEAST_BYTES, 0))
    pixels = np.ascontiguousarray(canon[: 2128 - 7, : 2000 - 13])  # sides that no power of two divides
    file = make_file(by_pillow(pixels, **options), pixels.shape, BitsStored=16, HighBit=15, syntax=JPEG2000)
    first, film = attempted(file), attributes.radiograph(file, Path("film.dcm"), "", 0)
    assert first is not None
    near(first.stored, film.stored, 2)


def test_eight_bits(canon: NDArray[Any], make_file: MakeFile) -> None:
    pixels = (canon >> 4).astype(np.uint8)
    file = make_file(by_pillow(pixels), pixels.shape, BitsAllocated=8, BitsStored=8, HighBit=7)
    first = attempted(file)
    assert first is not None
    assert first.stored.dtype == np.uint8
    near(first.stored.astype(np.int16) - 1, pixels, 2)  # the reversible transform rounds up by half a step each time


def test_a_codestream_that_cannot_be_halved_has_none(canon: NDArray[Any], make_file: MakeFile) -> None:
    for resolutions in (1, 2):  # the second is enlarged from too large a picture to be cheap
        stream = by_pillow(canon, num_resolutions=resolutions)
        assert preview.wavelet_of(stream) == preview.Wavelet(resolutions - 1, 0, 0)
        assert attempted(make_file(stream, canon.shape, BitsStored=16, HighBit=15)) is None


def test_what_is_out_of_the_ordinary_has_none(
    canon: NDArray[Any], make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, shape = by_pillow(canon), canon.shape
    assert attempted(make_file(stream, shape, BitsStored=16, HighBit=15)) is not None
    cases = {
        "no end mark": make_file(stream[:-2], shape, BitsStored=16, HighBit=15),
        "half": make_file(stream[: len(stream) // 2], shape, BitsStored=16, HighBit=15),
        "another size": make_file(stream, (shape[0] - 1, shape[1]), BitsStored=16, HighBit=15),
        "palette": make_file(stream, shape, BitsStored=16, HighBit=15, PhotometricInterpretation="PALETTE COLOR"),
        "small": make_file(by_pillow(canon[:1000, :1000]), (1000, 1000), BitsStored=16, HighBit=15),
        "noise": make_file(b"\xff\x4f\xff\x51" + bytes(200), shape, BitsStored=16, HighBit=15),
    }
    assert {name: attempted(file) is None for name, file in cases.items()} == dict.fromkeys(cases, True)
    monkeypatch.setattr(preview, "LEAST_BYTES", dict.fromkeys(preview.LEAST_BYTES, len(stream) + 2))
    assert attempted(make_file(stream, shape, BitsStored=16, HighBit=15)) is None
    monkeypatch.undo()
    monkeypatch.setattr(preview, "MOST_MEGAPIXELS", 4.0)
    assert attempted(make_file(stream, shape, BitsStored=16, HighBit=15)) is None


def headers(stream: bytes) -> Iterator[bytes]:
    """The main header with one byte after another cut off or overwritten."""
    for place in range(200):
        yield stream[:place]
        for value in (b"\0", b"\xff", b"\x53"):
            yield stream[:place] + value + stream[place + 1 :]


def test_broken_headers_are_no_fault_of_ours(canon: NDArray[Any]) -> None:
    stream = by_pillow(canon[:64, :64])[:300]
    found = [preview.wavelet_of(broken) for broken in headers(stream)]
    assert None in found
    assert preview.wavelet_of(stream) == preview.Wavelet(5, 0, 0)


def test_where_the_pixels_of_a_lower_resolution_lie() -> None:
    """ISO 15444-1 B.5: sample k of a picture halved r times stands at k * 2**r of the reference grid."""
    columns = np.arange(103, dtype=np.uint16) * 10
    for left in (0, 1, 5):
        wavelet = preview.Wavelet(3, left, 0)
        width, _ = wavelet.size(1, 100, 2)
        first, _ = wavelet.first(2)
        small = np.tile(np.array([(first + k) * 4 * 10 for k in range(width)], np.uint16), (3, 1))
        large = preview.enlarged(small, 2, wavelet, (10, 100))
        expected = columns[:100].astype(int) + 10 * left
        edge = slice(4, 96)
        assert np.abs(large[0].astype(int) - expected)[edge].max() <= 1


def test_the_radiograph_of_a_preview_has_all_fields_of_the_film(
    reader: SandboxReader, need_data: Callable[[str], Path]
) -> None:
    """A field that is added later has to be thought of here too."""
    differs = {"stored", "preview", "decoder", "chain", "opening"}
    node = reader.describe(need_data(CANON), CancelToken()).image
    early: list[Radiograph] = []
    film = reader.read(node, CancelToken(), early.append)
    for field in dataclasses.fields(Radiograph):
        if field.name not in differs:
            assert getattr(early[0], field.name) == getattr(film, field.name), field.name
