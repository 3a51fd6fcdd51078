"""Codestreams that contradict the header in the sign or the number of their bits."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, get_frame

from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, dicomfile

FUJI, SIGNED_CT = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm", "dicom-other/ct_small.dcm"
CANON = "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
SIGN, BITS = "PixelRepresentation (0028,0103)", "BitsStored (0028,0101)"
_SIZ_DEPTH = 42


def local(ds: pydicom.Dataset) -> Radiograph:
    target = io.BytesIO()
    ds.save_as(target)
    return attributes.radiograph(dicomfile.read_all(target.getvalue()), Path("film.dcm"), "0" * 64, 0)


def tags(film: Radiograph) -> set[str]:
    return {caution.tag for caution in film.cautions}


def patched(ds: pydicom.Dataset, mark: bytes, offset: int, value: int) -> None:
    """Another byte ``offset`` behind the first ``mark`` of the only frame."""
    frame = bytearray(get_frame(ds.PixelData, 0, number_of_frames=1))
    frame[frame.index(mark) + offset] = value
    ds.PixelData = encapsulate([bytes(frame)])


def j2k_of(
    native: pydicom.Dataset, words: NDArray[Any], sign: int, run_tool: Callable[..., None], folder: Path
) -> pydicom.Dataset:
    """The words of a film, coded with the sign that is asked for."""
    native.PixelRepresentation = sign
    native.PixelData = words.tobytes()
    native.save_as(folder / "native.dcm")
    run_tool("gdcmconv", "--j2k", folder / "native.dcm", folder / "j2k.dcm")
    return pydicom.dcmread(folder / "j2k.dcm")


@pytest.mark.parametrize("sign", [0, 1])
def test_signed_values_are_shown_whatever_the_header_says(
    sign: int, need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("gdcmconv", "--j2k", need_data(SIGNED_CT), tmp_path / "j2k.dcm")
    ds = pydicom.dcmread(tmp_path / "j2k.dcm")
    true = local(ds).stored
    ds.PixelRepresentation = sign
    film = local(ds)
    assert np.array_equal(film.stored, true)
    assert (SIGN in tags(film)) == (sign == 0)


def test_twos_complement_in_an_unsigned_codestream(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    native = pydicom.dcmread(need_data(SIGNED_CT))
    values = native.pixel_array.astype("<i2") - 1000
    ds = j2k_of(native, values.view("<u2"), 0, run_tool, tmp_path)
    ds.PixelRepresentation = 1
    film = local(ds)
    assert film.stored.min() < 0
    assert np.array_equal(film.stored, values)
    assert np.array_equal(film.stored, ds.pixel_array)
    assert SIGN in tags(film)


def test_unsigned_words_in_a_signed_codestream(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    native = pydicom.dcmread(need_data(FUJI))
    words = native.pixel_array.astype("<u2") * 60
    native.BitsStored, native.HighBit = 16, 15
    ds = j2k_of(native, words, 1, run_tool, tmp_path)
    ds.PixelRepresentation = 0
    film = local(ds)
    assert film.stored.max() > 1 << 15
    assert np.array_equal(film.stored, words)
    assert SIGN in tags(film)


def test_a_sign_set_in_the_codestream_of_an_unsigned_film(need_data: Callable[[str], Path]) -> None:
    ds = pydicom.dcmread(need_data(CANON))
    true = local(ds)
    patched(ds, b"\xff\x4f\xff\x51", _SIZ_DEPTH, 0x8B)
    film = local(ds)
    assert np.array_equal(film.stored, true.stored)
    assert SIGN in tags(film)
    assert SIGN not in tags(true)


@pytest.mark.parametrize("name", [CANON, "dicom/tx_dx_canon_jpegls_lossless.dcm"])
def test_more_bits_in_the_header_are_told(name: str, need_data: Callable[[str], Path]) -> None:
    ds = pydicom.dcmread(need_data(name))
    true = local(ds)
    ds.BitsStored, ds.HighBit = 13, 12
    film = local(ds)
    assert np.array_equal(film.stored, true.stored)
    assert BITS in tags(film)
    assert BITS not in tags(true)


def test_fewer_bits_in_the_codestream_are_told(
    need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path
) -> None:
    run_tool("gdcmconv", "--jpeg", need_data(CANON), tmp_path / "other.dcm")
    ds = pydicom.dcmread(tmp_path / "other.dcm")
    assert BITS not in tags(local(ds))
    patched(ds, b"\xff\xc3", 4, 11)
    assert BITS in tags(local(ds))


def test_values_far_beyond_the_header_are_told_in_a_lossy_film(need_data: Callable[[str], Path]) -> None:
    ds = pydicom.dcmread(need_data("dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm"))
    assert BITS not in tags(local(ds))
    ds.BitsStored, ds.HighBit = 10, 9
    assert BITS in tags(local(ds))
