"""Torn JPEG 2000: what is there is shown, and what is called whole is whole."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openjpeg
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import get_frame

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, dicomfile, packets

CANON = "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"  # by resolution, precincts, 20 layers, 6 tile-parts
LATERAL = "dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"  # one packet for each resolution
PHILIPS = "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm"  # 9/7
HAND = "dicom-other/cr_hand_kodak.dcm"  # by layer, 12 of them, 12 tile-parts
CANON_HT = "dicom/tx_dx_canon_htj2k_lossless.dcm"
JP2 = "hostile/pydicom_pylibjpeg-data__MAROTECH_CT_JP2Lossy.dcm"  # a JP2 file around the codestream
FILMS = (CANON, LATERAL, PHILIPS, HAND, CANON_HT)


def local(data: bytes) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, 0)


def codestream(path: Path) -> bytes:
    return get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)


def difference(film: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.abs(film.astype(np.int64) - whole.astype(np.int64))


@pytest.mark.parametrize("name", [*FILMS, JP2])
def test_the_packets_of_a_whole_film_are_walked_to_their_end(name: str, need_data: Callable[[str], Path]) -> None:
    data = codestream(need_data(name))
    whole = openjpeg.decode(data)
    rebuilt = packets.rebuild(data)
    assert rebuilt is not None
    assert (rebuilt.halvings, rebuilt.whole_rows) == (0, len(whole))
    assert np.array_equal(openjpeg.decode(rebuilt.codestream), whole)


@pytest.mark.parametrize("name", FILMS)
def test_a_torn_film_is_shown_and_told(name: str, need_data: Callable[[str], Path]) -> None:
    data = need_data(name).read_bytes()
    whole = local(data).stored
    before = 0.15 * whole.std()  # of a picture with nothing but its lowest resolutions
    for share in (0.3, 0.6, 0.97):
        film = local(data[: int(share * len(data))])
        assert film.damaged
        assert film.padding is None
        (caution,) = [caution for caution in film.cautions if caution.code == "truncated"]
        mean = float(difference(film.stored, whole).mean())
        assert 0 < mean < before
        before = mean
        upper = re.search(r"upper (\d+) % is whole", caution.text)
        rows = int(upper.group(1)) * film.rows // 100 if upper else 0
        assert np.array_equal(film.stored[:rows], whole[:rows])
        assert upper or "coarser" in caution.text
    assert rows > 0.4 * len(whole)


@pytest.mark.parametrize("name", [CANON, LATERAL, PHILIPS, CANON_HT])
def test_next_to_nothing_of_it_is_refused(name: str, need_data: Callable[[str], Path]) -> None:
    data = need_data(name).read_bytes()
    with pytest.raises(ReadError) as caught:
        local(data[: int(0.012 * len(data))])
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("name", [CANON, CANON_HT])
def test_any_end_gives_a_picture_or_a_sentence(name: str, need_data: Callable[[str], Path]) -> None:
    data = need_data(name).read_bytes()
    whole = local(data).stored
    for end in np.random.default_rng(7).integers(len(data) // 50, len(data) - 100, 6):
        film = local(data[: int(end)])
        assert film.damaged
        assert difference(film.stored, whole).mean() < 0.2 * whole.std()


def test_a_picture_that_stops_inside_a_whole_file_is_shown(need_data: Callable[[str], Path]) -> None:
    ds = pydicom.dcmread(need_data(LATERAL))
    part = codestream(need_data(LATERAL))[:2_000_000]
    ds.PixelData = pydicom.encaps.encapsulate([part])
    buffer = io.BytesIO()
    ds.save_as(buffer)
    film = local(buffer.getvalue())
    assert film.damaged
    assert "truncated" in [caution.code for caution in film.cautions]


# ---------------------------------------------------------------- other ways to write one


@pytest.fixture(scope="module")
def crop(shared_data: Path) -> NDArray[np.uint16]:
    path = shared_data / CANON
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return local(path.read_bytes()).stored[600:1113, 500:1200].astype(np.uint16)


def written(pixels: NDArray[np.uint16], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", no_jp2=True, irreversible=False, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> NDArray[np.uint16]:
    """By Pillow, which knows pictures that do not begin at the origin of their grid."""
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("progression", ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precinct_size": (128, 128), "codeblock_size": (32, 32)},
        {"quality_mode": "rates", "quality_layers": [40, 10, 1]},
        {"tile_size": (256, 256), "precinct_size": (64, 128)},
        {"tile_size": (200, 150), "tile_offset": (30, 20), "offset": (45, 33)},
    ],
    ids=["plain", "precincts", "layers", "tiles", "offsets"],
)
def test_every_order_of_packets(progression: str, options: dict[str, object], crop: NDArray[np.uint16]) -> None:
    data = written(crop, progression=progression, **options)
    whole = decoded(data)
    for share in (1.0, 0.9, 0.5):
        rebuilt = packets.rebuild(data[: int(share * len(data))])
        assert rebuilt is not None
        picture = decoded(rebuilt.codestream)
        assert np.array_equal(picture[: rebuilt.whole_rows], whole[: rebuilt.whole_rows])
        assert (rebuilt.whole_rows == len(whole)) == (share == 1.0)
        if rebuilt.halvings < 4:
            assert difference(picture, whole).mean() < 0.5 * crop.std()


def test_what_is_not_walked_is_refused(crop: NDArray[np.uint16]) -> None:
    data = written(crop)
    assert packets.rebuild(b"") is None
    assert packets.rebuild(data[:60]) is None
    assert packets.rebuild(data.replace(b"\xff\x64", b"\xff\x5f", 1)) is None  # a change of progression
    colour = io.BytesIO()
    Image.fromarray(np.dstack([crop >> 8] * 3).astype(np.uint8)).save(colour, "JPEG2000", no_jp2=True)
    assert packets.rebuild(colour.getvalue()) is None


def test_a_header_of_very_many_precincts_is_refused(crop: NDArray[np.uint16]) -> None:
    data = bytearray(written(crop, precinct_size=(128, 128)))
    coding = data.index(b"\xff\x52")
    data[coding + 6 : coding + 8] = b"\xff\xff"  # layers
    assert packets.rebuild(bytes(data)) is None


def test_zeros_inside_a_packet_are_told_from_empty_packets(need_data: Callable[[str], Path]) -> None:
    data = codestream(need_data(CANON))
    middle = len(data) // 2
    assert packets.has_zeros_in_code(data, 24) is False
    assert packets.has_zeros_in_code(data[:middle] + bytes(100) + data[middle + 100 :], 24) is True
    torn = packets.rebuild(data[:middle])
    assert torn is not None
    assert bytes(500) in torn.codestream  # empty packets
    assert packets.has_zeros_in_code(torn.codestream, 24) is False


def test_zeros_in_high_throughput_code_are_told(need_data: Callable[[str], Path]) -> None:
    data = need_data(CANON_HT).read_bytes()
    assert not local(data).damaged
    told = []
    for middle in range(len(data) // 4, len(data), len(data) // 8):
        try:
            film = local(data[:middle] + bytes(400) + data[middle + 400 :])
        except ReadError:  # most such runs break a code-block
            continue
        told.append(film.damaged)
    assert told
    assert all(told)
    assert packets.has_zeros_in_code(codestream(need_data(CANON_HT)), 24) is False
