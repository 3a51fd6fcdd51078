"""Stored values against gdcm and dcmtk on real films, and the corners of the Image Pixel module."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import luts
from cxr_viewer.sources import attributes, dicomfile

ReadPath = Callable[[Path], Radiograph]
Film = Callable[..., Radiograph]
ClaimSyntax = Callable[[bytes, str], bytes]

CANON = "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
REAL = (
    CANON,
    "dicom/tx_dx_canon_jpegls_lossless.dcm",
    "dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "dicom/cr_barre_fuji_pa_mono1_10bit.dcm",
    "dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm",
    "dicom-other/cr_dental_panoramic_modalitylut.dcm",
    "dicom-other/cr_hand_kodak.dcm",
    "dicom-other/ct_scout_like_barre_ct_chest.dcm",
    "dicom-other/ct_wrong_transfer_syntax.dcm",
    "hostile/pydicom_pydicom-data__mlut_18.dcm",
    "hostile/pydicom_pylibjpeg-data__RG2_JLSN.dcm",
    "hostile/robyoung_dicom-test-files__RG2_J2KI",
    "hostile/pydicom_pylibjpeg-data__RG3_J2KI.dcm",
)


def native_values(path: Path) -> NDArray[np.int32]:
    """Stored values of an uncompressed single-frame file, straight from its bytes."""
    ds = pydicom.dcmread(path)
    words = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}", ds.Rows * ds.Columns).astype(np.int32)
    words = words.reshape(ds.Rows, ds.Columns) & ((1 << ds.BitsStored) - 1)
    sign = 1 << (ds.BitsStored - 1)
    return (words ^ sign) - sign if ds.PixelRepresentation else words


def local(data: bytes, frame: int = 0) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, frame)


def told_about(data: bytes) -> set[str]:
    """Codes of the error or of the cautions that come of a file."""
    try:
        return {caution.code for caution in local(data).cautions}
    except ReadError as error:
        return {error.code}


@pytest.mark.parametrize("name", REAL)
def test_stored_values_are_those_of_gdcm(
    name: str, need_data: Callable[[str], Path], read_path: ReadPath, run_tool: Callable[..., None], tmp_path: Path
) -> None:
    path = need_data(name)
    run_tool("gdcmconv", "--raw", path, tmp_path / "raw.dcm")
    assert np.array_equal(read_path(path).stored, native_values(tmp_path / "raw.dcm"))


@pytest.mark.parametrize("name", ["tx_dx_canon_jpegls_lossless.dcm", "tx_dx_canon_htj2k_lossless.dcm"])
def test_transcodes_hold_the_pixels_of_their_source(
    name: str, need_data: Callable[[str], Path], read_path: ReadPath
) -> None:
    assert np.array_equal(read_path(need_data(f"dicom/{name}")).stored, read_path(need_data(CANON)).stored)


@pytest.mark.parametrize(
    ("command", "decoder"),
    [
        (("dcmcrle",), "pylibjpeg-rle"),
        (("dcmcjpeg", "+e1"), "gdcm"),
        (("dcmcjpeg", "+el"), "gdcm"),
        (("dcmcjpls",), "pyjpegls"),
        (("gdcmconv", "--j2k"), "pylibjpeg-openjpeg"),
        (("dcmconv", "+tb"), "numpy"),
        (("dcmconv", "+ti"), "numpy"),
        (("dcmconv", "+td"), "numpy"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else value,
)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_lossless_syntax_gives_the_same_film(
    command: tuple[str, ...],
    decoder: str,
    signed: bool,
    need_data: Callable[[str], Path],
    run_tool: Callable[..., None],
    tmp_path: Path,
) -> None:
    name = "dicom-other/ct_small.dcm" if signed else "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"
    source = need_data(name)
    target = tmp_path / "other.dcm"
    run_tool(*command, source, target)
    film = local(target.read_bytes())
    assert film.decoder == decoder
    assert film.stored.dtype == (np.int16 if signed else np.uint16)
    assert np.array_equal(film.stored, native_values(source))
    assert not [caution for caution in film.cautions if caution.code in ("wrong-syntax", "unused-bits", "no-end-mark")]


@pytest.mark.parametrize("name", ["cr_rsna_pa_normal2_jpegbaseline.dcm"])
def test_lossy_jpeg_differs_from_dcmtk_by_rounding_only(
    name: str, need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    path = need_data(f"dicom/{name}")
    run_tool("dcmdjpeg", path, tmp_path / "raw.dcm")
    difference = np.abs(local(path.read_bytes()).stored.astype(int) - native_values(tmp_path / "raw.dcm"))
    assert difference.max() <= 1


def test_a_wrong_scan_header_is_put_right(need_data: Callable[[str], Path]) -> None:
    broken = local(need_data("hostile/pydicom_pylibjpeg-data__RG2_JPLY.dcm").read_bytes())
    mended = local(need_data("hostile/pydicom_pylibjpeg-data__RG2_JPLY_fixed.dcm").read_bytes())
    assert np.array_equal(broken.stored, mended.stored)


# ---------------------------------------------------------------- half a file


@pytest.mark.parametrize("command", [("dcmcjpeg", "+e1"), ("dcmcjpls",), ("gdcmconv", "--j2k")])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_half_a_film_is_told_or_refused(
    command: tuple[str, ...],
    share: float,
    need_data: Callable[[str], Path],
    run_tool: Callable[..., None],
    tmp_path: Path,
) -> None:
    run_tool(*command, need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm"), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    assert "truncated" in told_about(data[: int(share * len(data))])


@pytest.mark.parametrize(
    "command",
    [("dcmcrle",), ("dcmcjpeg", "+e1"), ("dcmcjpls",), ()],
    ids=["rle", "jpeg-lossless", "jpeg-ls", "native"],
)
@pytest.mark.parametrize("share", [0.7, 0.97])
def test_the_rows_that_are_there_are_shown_and_the_rest_is_black(
    command: tuple[str, ...],
    share: float,
    need_data: Callable[[str], Path],
    run_tool: Callable[..., None],
    tmp_path: Path,
) -> None:
    source = need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm")
    whole = local(source.read_bytes())
    if command:
        run_tool(*command, source, tmp_path / "other.dcm")
        source = tmp_path / "other.dcm"
    data = source.read_bytes()
    film = local(data[: int(share * len(data))])
    assert film.damaged
    (caution,) = [caution for caution in film.cautions if caution.code == "truncated"]
    assert caution.tag == "PixelData (7FE0,0010)"
    assert film.padding == (1023, 1023)  # MONOCHROME1: the highest value is black
    there = int(np.flatnonzero((film.stored != 1023).any(axis=1))[-1]) + 1
    assert 0.3 < there / film.rows < share + 0.01
    assert np.array_equal(film.stored[:there], whole.stored[:there])
    assert (film.stored[there:] == 1023).all()
    assert (luts.apply(film.stored, luts.compose(film, None, False))[there:] == 0).all()
    assert f"{100 * there / film.rows:.0f} %" in caution.text


@pytest.mark.parametrize("share", [0.35, 0.6, 0.95])
def test_the_blocks_of_a_torn_jpeg_are_shown(share: float, need_data: Callable[[str], Path]) -> None:
    data = need_data("dicom/cr_rsna_pa_normal2_jpegbaseline.dcm").read_bytes()
    whole, film = local(data), local(data[: int(share * len(data))])
    there = int(np.flatnonzero((film.stored != 0).any(axis=1))[-1]) + 1
    assert there % 8 == 0
    assert 0.5 * share < there / film.rows < share
    assert np.array_equal(film.stored[:there], whole.stored[:there])
    assert film.damaged
    assert film.padding == (0, 0)


def test_a_file_that_stops_behind_its_picture_is_whole(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("dcmcjpeg", "+e1", need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm"), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    end = data.rindex(b"\xff\xd9") + 2
    longer = data[:end] + bytes(40) + data[end:]
    length = data.rindex(b"\xfe\xff\x00\xe0", 0, end) + 4
    (said,) = struct.unpack_from("<I", data, length)
    longer = longer[:length] + struct.pack("<I", said + 40) + longer[length + 4 :]
    film = local(longer[: end + 10])
    assert np.array_equal(film.stored, local(data).stored)
    assert "cut-off" in [caution.code for caution in film.cautions]
    assert not film.damaged


@pytest.mark.parametrize("keep", [0, 2_000, 60_000])
def test_next_to_nothing_of_a_film_is_refused(keep: int, need_data: Callable[[str], Path]) -> None:
    data = need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm").read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00")
    with pytest.raises(ReadError) as caught:
        local(data[: start + 12 + keep])
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("command", [("dcmcrle",), ("dcmcjpeg", "+e1"), ("dcmcjpls",), ("gdcmconv", "--j2k")])
def test_a_compressed_film_whose_rest_is_zeros_is_refused_or_told(
    command: tuple[str, ...], need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool(*command, need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm"), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    half = len(data) // 2
    assert told_about(data[:half] + bytes(len(data) - half)) & {"damaged-pixels", "truncated", "no-end-mark"}


# ---------------------------------------------------------------- the corners of the module


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("bits", [8, 16])
def test_native_bytes_in_any_order(syntax: str, bits: int, film: Film) -> None:
    values = np.arange(24).reshape(4, 6) * (1 if bits == 8 else 170)
    little = syntax != ExplicitVRBigEndian
    data = values.astype(f"{'<' if little else '>'}u{bits // 8}").tobytes()
    if bits == 8 and not little:  # OW in a big-endian file: bytes stand in swapped words (PS3.5 annex A.3)
        data = np.frombuffer(data, "<u2").astype(">u2").tobytes()
    image = film(syntax=syntax, BitsAllocated=bits, BitsStored=min(bits, 12), HighBit=min(bits, 12) - 1, PixelData=data)
    assert np.array_equal(image.stored, values)
    assert image.stored.dtype == (np.uint8 if bits == 8 else np.uint16)


def test_bits_stored_high_in_the_word(film: Film) -> None:
    values = np.arange(24, dtype=np.uint16).reshape(4, 6) * 170
    image = film(HighBit=15, PixelData=(values << 4).astype("<u2").tobytes())
    assert np.array_equal(image.stored, values)
    assert image.bits_stored == 12


@pytest.mark.parametrize("extended", [True, False])
def test_negative_values_with_and_without_repeated_sign(extended: bool, film: Film) -> None:
    values = np.linspace(-2048, 2047, 24).astype(np.int16).reshape(4, 6)
    words = values.astype("<i2").view("<u2") & (0xFFFF if extended else 0x0FFF)
    image = film(PixelRepresentation=1, PixelData=words.tobytes())
    assert image.stored.dtype == np.int16
    assert np.array_equal(image.stored, values)
    assert not image.cautions


def test_an_overlay_in_unused_bits_is_left_out_and_told(film: Film) -> None:
    values = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    words = values.copy()
    words[1, 2] |= 0x8000
    image = film(PixelData=words.astype("<u2").tobytes())
    assert np.array_equal(image.stored, values)
    assert [caution.code for caution in image.cautions] == ["unused-bits"]


def test_one_bit_pixels(film: Film) -> None:
    bits = (np.arange(24).reshape(4, 6) % 3 == 0).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes() + b"\0"
    image = film(BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=data)
    assert np.array_equal(image.stored, bits)
    assert image.bits_stored == 1


def test_one_bit_frames_that_do_not_end_on_a_byte(film: Film) -> None:
    bits = (np.arange(2 * 15).reshape(2, 3, 5) % 4 == 0).astype(np.uint8)
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    shape = {"Rows": 3, "Columns": 5, "NumberOfFrames": 2}
    image = film(frame=1, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=data, **shape)
    assert np.array_equal(image.stored, bits[1])
    assert image.key.frame == 1


def test_a_frame_that_is_not_there(film: Film) -> None:
    with pytest.raises(ReadError, match="no frame 3"):
        film(frame=2, NumberOfFrames=2, PixelData=bytes(96))


@pytest.mark.parametrize("planar", [0, 1])
def test_grey_stored_as_colour_stays_grey(planar: int, film: Film) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    rgb = np.stack([values] * 3, axis=0 if planar else -1)
    image = film(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=rgb.tobytes(),
    )
    assert np.array_equal(image.stored, values)
    assert not image.colour


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_becomes_its_brightness(planar: int, film: Film) -> None:
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[0, 0], rgb[1, 1], rgb[2, 2], rgb[3, 3] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
    image = film(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=(rgb.transpose(2, 0, 1) if planar else rgb).tobytes(),
    )
    assert [int(image.stored[i, i]) for i in range(4)] == [76, 150, 29, 255]  # ITU-R BT.601
    assert image.colour
    assert "colour" in [caution.code for caution in image.cautions]


def test_unknown_polarity_is_told(film: Film) -> None:
    image = film(PhotometricInterpretation=None)
    assert image.photometric == "MONOCHROME2"
    assert [caution.code for caution in image.cautions] == ["no-photometric"]


# ---------------------------------------------------------------- a transfer syntax that lies


@pytest.mark.parametrize("claimed", [JPEGBaseline8Bit, RLELossless])
def test_a_codestream_names_itself(claimed: str, need_data: Callable[[str], Path], claim_syntax: ClaimSyntax) -> None:
    data = need_data("dicom/tx_dx_canon_jpegls_lossless.dcm").read_bytes()
    film, true = local(claim_syntax(data, claimed)), local(data)
    assert np.array_equal(film.stored, true.stored)
    assert film.decoder == "pyjpegls"
    assert [c.tag for c in film.cautions if c.code == "wrong-syntax"] == ["TransferSyntaxUID (0002,0010)"]


def test_native_pixels_under_a_compressed_name(dicom_bytes: Callable[..., bytes], claim_syntax: ClaimSyntax) -> None:
    values = np.arange(24, dtype="<u2")
    film = local(claim_syntax(dicom_bytes(PixelData=values.tobytes()), JPEG2000Lossless))
    assert np.array_equal(film.stored.ravel(), values)
    assert [caution.code for caution in film.cautions] == ["wrong-syntax"]


def test_fragments_under_a_native_name(need_data: Callable[[str], Path], claim_syntax: ClaimSyntax) -> None:
    data = need_data("dicom/tx_dx_canon_jpegls_lossless.dcm").read_bytes()
    film = local(claim_syntax(data, ExplicitVRLittleEndian))
    assert np.array_equal(film.stored, local(data).stored)
    assert "wrong-syntax" in [caution.code for caution in film.cautions]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.113619.5.2", "1.2.3.4.5.6.7"])
def test_a_syntax_that_nothing_decodes(
    syntax: str, dicom_bytes: Callable[..., bytes], claim_syntax: ClaimSyntax
) -> None:
    with pytest.raises(ReadError) as caught:
        local(claim_syntax(dicom_bytes(), syntax))
    assert caught.value.code == "unsupported-transfer-syntax"


def test_pixels_of_the_wrong_length_under_a_compressed_name(
    dicom_bytes: Callable[..., bytes], claim_syntax: ClaimSyntax
) -> None:
    with pytest.raises(ReadError) as caught:
        local(claim_syntax(dicom_bytes(PixelData=bytes(40)), JPEG2000Lossless))
    assert caught.value.code == "wrong-transfer-syntax"


def test_noise_in_place_of_a_codestream(dicom_bytes: Callable[..., bytes]) -> None:
    noise: Any = np.random.default_rng(5).integers(0, 256, 400, np.uint8).tobytes()
    with pytest.raises(ReadError) as caught:
        local(dicom_bytes(syntax=JPEG2000Lossless, PixelData=encapsulate([noise])))
    assert caught.value.code == "damaged-pixels"
