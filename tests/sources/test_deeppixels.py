"""Pixels of more than 16 bits: the numbers of the file come back within half a step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph, Rescale, VoiWindow
from cxr_viewer.imaging import luts
from cxr_viewer.sources import attributes, dicomfile

Film = Callable[..., Radiograph]

DEEP = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}
FLOAT = {"PixelData": None, "BitsStored": None, "HighBit": None, "PixelRepresentation": None}


def codes(film: Radiograph) -> list[str]:
    return [caution.code for caution in film.cautions]


@pytest.mark.parametrize("frame", [0, 7, 14])
def test_a_real_dose_keeps_its_numbers(frame: int, need_data: Callable[[str], Path]) -> None:
    path = need_data("dicom-other/rtdose_multiframe.dcm")
    film = attributes.radiograph(dicomfile.read_all(path.read_bytes()), path, "0" * 64, frame)
    wanted = pydicom.dcmread(path).pixel_array[frame].astype(np.float64)
    assert isinstance(film.modality_lut, Rescale)
    assert np.abs(luts.modality_values(film) - wanted).max() <= 0.51 * film.modality_lut.slope + 0.1
    assert [c.tag for c in film.cautions if c.code == "deep-pixels"] == ["BitsAllocated (0028,0100)"]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [0, 1])
def test_whole_numbers_that_lie_close_keep_their_steps(syntax: str, signed: int, film: Film) -> None:
    values = (np.arange(24).reshape(4, 6) * 2000 + 100_000) * (-1 if signed else 1)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = values.astype(f"{order}i4").tobytes()
    image = film(syntax=syntax, **DEEP, PixelRepresentation=signed, PixelData=data, RescaleSlope=2, RescaleIntercept=1)
    assert image.stored.dtype == np.uint16
    assert np.array_equal(luts.modality_values(image), 2 * values + 1)


@pytest.mark.parametrize(("keyword", "bits"), [("FloatPixelData", 32), ("DoubleFloatPixelData", 64)])
def test_floating_point_numbers(keyword: str, bits: int, film: Film) -> None:
    values = np.linspace(-3, 11, 24).reshape(4, 6).astype(f"<f{bits // 8}")
    values[0, 0], values[1, 1] = np.nan, np.inf
    image = film(**FLOAT, BitsAllocated=bits, **{keyword: values.tobytes()}, WindowCenter=4, WindowWidth=8)
    finite = np.isfinite(values)
    assert np.abs(luts.modality_values(image) - values)[finite].max() < 2e-4
    assert (image.stored[~finite] == 0).all()
    assert image.voi == (VoiWindow(4, 8),)
    assert codes(image) == ["not-finite", "deep-pixels"]


def test_a_torn_one_shows_the_rows_that_are_there(film: Film) -> None:
    data = (np.arange(24, dtype="<u4") * 1_000_000).tobytes()
    image = film(**DEEP, PixelData=data[: 2 * 24 + 3])
    assert image.damaged
    assert not image.stored[2:].any()
    assert np.abs(luts.modality_values(image)[:2].ravel() - np.arange(12) * 1e6).max() < 200


@pytest.mark.parametrize(
    "elements",
    [
        {"BitsAllocated": 64, "BitsStored": 64, "HighBit": 63, "PixelData": bytes(192)},
        {**FLOAT, "BitsAllocated": 16, "FloatPixelData": bytes(96)},
    ],
)
def test_what_nobody_writes_is_refused(elements: dict[str, Any], film: Film) -> None:
    with pytest.raises(ReadError) as caught:
        film(**elements)
    assert caught.value.code == "unsupported-depth"


def test_no_number_at_all(film: Film) -> None:
    with pytest.raises(ReadError) as caught:
        film(**FLOAT, BitsAllocated=32, FloatPixelData=np.full(24, np.nan, "<f4").tobytes())
    assert caught.value.code == "damaged"
