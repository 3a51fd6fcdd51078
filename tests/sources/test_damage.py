"""Damage that a decoder takes without an error: what can be noticed is told."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, damage, dicomfile
from cxr_viewer.sources.codestream import Codec
from cxr_viewer.sources.listening import listening

BARRE = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"


def local(data: bytes) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, 0)


def codes(film: Radiograph) -> set[str]:
    return {caution.code for caution in film.cautions}


def told_about(data: bytes) -> set[str]:
    """Codes of the error or of the cautions that come of a file."""
    try:
        return codes(local(data))
    except ReadError as error:
        return {error.code}


@pytest.mark.parametrize("command", [("dcmcjpeg", "+e1"), ("dcmcrle",)], ids=["jpeg-lossless", "rle"])
def test_zeros_in_the_middle_are_told(
    command: tuple[str, ...], need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool(*command, need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    sound = local(data)
    assert not sound.damaged
    middle = len(data) // 2
    film = local(data[:middle] + bytes(96) + data[middle + 96 :])
    assert not np.array_equal(film.stored, sound.stored)
    assert "damaged-pixels" in codes(film)
    assert film.damaged


def test_zeros_in_a_grey_jpeg_are_told(need_data: Callable[[str], Path]) -> None:
    data = need_data("dicom/cr_rsna_pa_normal2_jpegbaseline.dcm").read_bytes()
    middle = len(data) // 2
    assert "damaged-pixels" not in codes(local(data))
    assert "damaged-pixels" in codes(local(data[:middle] + bytes(96) + data[middle + 96 :]))


def test_a_piece_cut_out_of_the_fragment_is_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("dcmcjpeg", "+e1", need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    middle = len(data) // 2
    assert "damaged-pixels" in codes(local(data[:middle] + data[middle + 100 :] + bytes(100)))


def test_a_piece_lost_from_the_middle_of_a_file_is_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("dcmcjpeg", "+e1", need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    middle = len(data) // 2
    for lost in (1, 2, 100):
        film = local(data[:middle] + data[middle + lost :])
        assert film.damaged
        assert "cut-off" not in codes(film)


@pytest.mark.parametrize("name", ["dx_canon_pa_mono1_12bit_j2klossless", "tx_dx_canon_htj2k_lossless"])
def test_a_tile_of_the_wrong_length_is_told(name: str, need_data: Callable[[str], Path]) -> None:
    data = need_data(f"dicom/{name}.dcm").read_bytes()
    assert "damaged-pixels" not in codes(local(data))
    place = data.index(b"\xff\x90\x00\x0a") + 6
    (length,) = struct.unpack_from(">I", data, place)
    shorter = data[:place] + struct.pack(">I", length - 1000) + data[place + 4 :]
    assert "damaged-pixels" in told_about(shorter)


def test_zeros_in_arithmetic_code_are_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("gdcmconv", "--j2k", need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    assert "damaged-pixels" not in codes(local(data))
    middle = len(data) // 2
    assert "damaged-pixels" in told_about(data[:middle] + bytes(2000) + data[middle + 2000 :])


@pytest.mark.parametrize("command", [("gdcmconv", "--jpeg"), ("dcmcjpeg", "+e1")], ids=["16-bit", "as-stored"])
def test_changed_bytes_in_jpeg_lossless_are_told(
    command: tuple[str, ...], need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool(*command, need_data(BARRE), tmp_path / "plain.dcm")
    data = (tmp_path / "plain.dcm").read_bytes()
    sound = local(data)
    assert not sound.damaged
    shown = 0
    rng = np.random.default_rng(5)
    for _ in range(8):
        copy = bytearray(data)
        for place in rng.integers(len(data) // 10, len(data) - 1000, 6):
            copy[place] = int(rng.integers(0, 256))
        try:
            film = local(bytes(copy))
        except ReadError:
            continue
        shown += not np.array_equal(film.stored, sound.stored)
        assert film.damaged
    assert shown > 3


def test_zeros_in_runs_are_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("gdcmconv", "--rle", need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"), tmp_path / "rle.dcm")
    data = (tmp_path / "rle.dcm").read_bytes()
    assert not local(data).damaged
    for place in range(len(data) // 5, len(data) - 1000, len(data) // 5):  # in the high and in the low bytes
        assert local(data[:place] + bytes(300) + data[place + 300 :]).damaged


def test_literal_zeros_of_a_plain_encoder_are_no_damage() -> None:
    head = struct.pack("<16I", 1, 64, *[0] * 14)
    literal = b"\x7f" + bytes(128)
    assert damage.signs(head + 4 * literal + bytes(400), Codec.RLE, "") == ""
    assert damage.signs(head + 4 * literal + bytes(100) + literal, Codec.RLE, "") != ""


def test_a_few_zeros_in_layered_arithmetic_code_are_told(need_data: Callable[[str], Path]) -> None:
    data = need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm").read_bytes()
    middle = len(data) // 2
    assert "damaged-pixels" in codes(local(data[:middle] + bytes(40) + data[middle + 40 :]))


def test_the_rows_above_damage_in_a_jpeg_ls_are_shown(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("dcmcjpls", need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    sound = local(data)
    middle = len(data) // 2
    film = local(data[:middle] + bytes(96) + data[middle + 96 :])
    assert film.damaged
    (caution,) = [caution for caution in film.cautions if caution.code == "truncated"]
    assert "probably wrong" in caution.text
    assert film.padding == (1023, 1023)
    wrong = np.flatnonzero((film.stored != sound.stored).any(axis=1))
    assert 0.35 < wrong[0] / film.rows < 0.6
    assert (film.stored[-1] == 1023).all()


def test_a_jpeg_ls_without_its_end_mark_is_whole_and_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("dcmcjpls", need_data(BARRE), tmp_path / "other.dcm")
    data = (tmp_path / "other.dcm").read_bytes()
    mark = data.rindex(b"\xff\xd9")
    film = local(data[:mark] + bytes(2) + data[mark + 2 :])
    assert np.array_equal(film.stored, local(data).stored)
    assert film.damaged


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.JPEG_LOSSLESS, Codec.JPEG_LS])
def test_markers_inside_the_compressed_data(codec: Codec) -> None:
    head = b"\xff\xd8\xff\xda\x00\x04\x00\x00"
    right = b"\x12\xff\xd0\x34\xff\xd1\x56"
    assert damage.signs(head + right + b"\xff\xd9", codec, "") == ""
    assert "out of order" in damage.signs(head + b"\x12\xff\xd3\x34\xff\xd9", codec, "")
    assert "FFB1" in damage.signs(head + b"\x12\xff\xb1\x34\xff\xd9", codec, "")
    seven = damage.signs(head + b"\x12\xff\x71\x34\xff\xd9", codec, "")
    assert seven == "" if codec is Codec.JPEG_LS else "FF71" in seven  # behind FF, JPEG-LS stuffs a bit, JPEG a byte


def test_what_a_library_prints_is_heard() -> None:
    with listening() as heard:
        os.write(2, b"Corrupt JPEG data: premature end of data segment\n")
    assert heard.text.startswith("Corrupt JPEG data")
    assert "premature end" in damage.signs(b"", Codec.JPEG_LOSSLESS, heard.text)
    with listening() as heard:
        for _ in range(100):
            if not _writes(b"x" * 4096):
                break
        else:
            pytest.fail("the pipe never fills")
    assert 4096 <= len(heard.text) <= 1 << 16


def _writes(data: bytes) -> bool:
    try:
        return os.write(2, data) > 0
    except BlockingIOError:
        return False


def test_runs_are_unpacked_as_far_as_they_go() -> None:
    assert damage.unpack_bits(b"\x02abc\xfed\x80\x00e", 99) == b"abcddde"
    assert damage.unpack_bits(b"\x02ab", 99) == b"ab"
    assert damage.unpack_bits(b"\xfed", 2) == b"dd"
    assert damage.rle_segments(b"short") == []
    assert damage.rle_segments(struct.pack("<16I", 2, 64, 60, *[0] * 13)) == []
