"""Uncompressed colour in every way the standard ever had, and files whose own words on it cannot be true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph

Film = Callable[..., Radiograph]
ReadPath = Callable[[Path], Radiograph]
ROWS, COLUMNS = 6, 8
EIGHT = {"Rows": ROWS, "Columns": COLUMNS, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PlanarConfiguration": 0}


def samples(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(count).integers(0, 256, (ROWS, COLUMNS, count), np.uint8)


def codes(film: Radiograph) -> list[str]:
    return [caution.code for caution in film.cautions]


@pytest.mark.parametrize(
    ("photometric", "most"), [("HSV", 4), ("YBR_PARTIAL_422", 2), ("YBR_FULL_422", 1)]
)  # dcmtk turns HSV in whole numbers
def test_retired_and_halved_colours_are_those_of_dcmtk(
    photometric: str, most: int, read_path: ReadPath, run_tool: Callable[..., None], tmp_path: Path
) -> None:
    ds = Dataset()
    for keyword, value in EIGHT.items():
        setattr(ds, keyword, value)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 3, photometric, 0
    ds.PixelData = samples(3 if photometric == "HSV" else 2).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    run_tool("dcmj2pnm", "-O", "+op", tmp_path / "a.dcm", tmp_path / "judge.ppm")
    judge = cv2.imread(str(tmp_path / "judge.ppm"))
    assert judge is not None
    rgb = read_path(tmp_path / "a.dcm").rgb
    assert rgb is not None
    assert np.abs(rgb.astype(int) - judge[..., ::-1]).max() <= most


def test_colours_that_claim_to_be_halved_and_are_not(film: Film) -> None:
    whole = samples(3)
    told = film(**EIGHT, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL", PixelData=whole.tobytes())
    wrong = film(**EIGHT, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PixelData=whole.tobytes())
    assert told.rgb is not None
    assert np.array_equal(told.rgb, wrong.rgb)
    assert "photometric" not in codes(told)
    assert "photometric" in codes(wrong)


@pytest.mark.parametrize("planar", [0, 1])
def test_four_samples_are_shown_with_a_caution(planar: int, film: Film) -> None:
    four = samples(4)
    data = (four.transpose(2, 0, 1) if planar else four).tobytes()
    plain = {**EIGHT, "PlanarConfiguration": planar, "SamplesPerPixel": 4, "PixelData": data}
    argb = film(**plain, PhotometricInterpretation="ARGB")
    assert np.array_equal(argb.rgb, four[..., 1:])
    assert "photometric" in codes(argb)
    cmyk = film(**plain, PhotometricInterpretation="CMYK")
    assert cmyk.rgb is not None
    assert cmyk.rgb[four[..., 3] == four[..., 3].max()].max() < 10  # black ink covers all
    assert "photometric" in codes(cmyk)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "PALETTE COLOR", "XYB", "YBR_ICT"])
def test_three_samples_under_a_name_they_cannot_have(photometric: str, film: Film) -> None:
    three = samples(3)
    image = film(**EIGHT, SamplesPerPixel=3, PhotometricInterpretation=photometric, PixelData=three.tobytes())
    assert np.array_equal(image.rgb, three)
    assert {"photometric", "colour"} <= set(codes(image))


@pytest.mark.parametrize("claimed", [2, 3, 4])
def test_grey_pixels_that_claim_more_samples_than_are_there(claimed: int, film: Film) -> None:
    grey = samples(1)[..., 0]
    image = film(**EIGHT, SamplesPerPixel=claimed, PhotometricInterpretation="MONOCHROME2", PixelData=grey.tobytes())
    assert np.array_equal(image.stored, grey)
    assert "bad-format" in codes(image)


def test_two_samples_that_are_there(film: Film) -> None:
    two = samples(2)
    image = film(**EIGHT, SamplesPerPixel=2, PhotometricInterpretation="MONOCHROME2", PixelData=two.tobytes())
    assert np.array_equal(image.stored, two[..., 0])
    assert "photometric" in codes(image)


def test_colours_of_sixteen_bits_in_big_endian(read_path: ReadPath, tmp_path: Path) -> None:
    words = np.random.default_rng(1).integers(0, 1 << 16, (ROWS, COLUMNS, 3), np.uint16)
    ds = Dataset()
    for keyword, value in {**EIGHT, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}.items():
        setattr(ds, keyword, value)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 3, "RGB", 0
    ds[0x7FE00010] = DataElement(0x7FE00010, "OW", words.astype(">u2").tobytes())
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.array_equal(read_path(tmp_path / "a.dcm").rgb, words)


def test_a_palette_for_signed_numbers(film: Film) -> None:
    numbers = np.arange(-24, 24, dtype=np.int16).reshape(ROWS, COLUMNS)
    table = np.arange(48, dtype="<u2") * 1024
    palette: dict[str, Any] = {}
    for name in ("Red", "Green", "Blue"):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [48, -24, 16]
        palette[f"{name}PaletteColorLookupTableData"] = (table if name == "Red" else table[::-1]).tobytes()
    image = film(
        **EIGHT | {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        SamplesPerPixel=1,
        PixelRepresentation=1,
        PhotometricInterpretation="PALETTE COLOR",
        PixelData=numbers.tobytes(),
        **palette,
    )
    assert image.rgb is not None
    assert np.array_equal(image.rgb[..., 0].ravel(), np.arange(48) * 4)


def test_colours_of_thirty_two_bits_are_told(film: Film) -> None:
    with pytest.raises(ReadError) as caught:
        film(
            **EIGHT | {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
            SamplesPerPixel=3,
            PhotometricInterpretation="RGB",
            PixelData=bytes(ROWS * COLUMNS * 12),
        )
    assert caught.value.code == "unsupported-depth"


def test_more_pixels_than_rows_and_columns_ask_for_are_told(film: Film) -> None:
    grey = samples(1)[..., 0]
    plain = {**EIGHT, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    assert "excess-pixels" not in codes(film(**plain, PixelData=grey.tobytes()))
    assert "excess-pixels" not in codes(film(**plain, PixelData=grey.tobytes() + b"\0"))
    assert "excess-pixels" in codes(film(**plain | {"Rows": ROWS // 2}, PixelData=grey.tobytes()))


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_pixels_that_share_colours_in_squares_are_refused(frames: int, film: Film) -> None:
    """YBR_PARTIAL_420 has one and a half samples for each pixel (PS3.3 C.7.6.3.1.2): two frames look like one whole."""
    squares = samples(3).tobytes()[: ROWS * COLUMNS * 3 // 2] * frames
    plain = {**EIGHT, "SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_PARTIAL_420"}
    with pytest.raises(ReadError) as refused:
        film(**plain, NumberOfFrames=frames, PixelData=squares)
    assert refused.value.code == "unsupported-photometric"
    whole = film(**plain, PixelData=samples(3).tobytes())
    assert whole.rgb is not None
    assert whole.rgb.shape == (ROWS, COLUMNS, 3)


def test_a_real_picture_with_colours_shared_in_squares_is_refused_not_cut(
    need_data: Callable[[str], Path], read_path: ReadPath, tmp_path: Path
) -> None:
    ds = pydicom.dcmread(need_data("dicom-other/us_ybr_multiframe.dcm"))
    colours = ds.pixel_array[0]
    rows, columns = colours.shape[0] // 2 * 2, colours.shape[1] // 2 * 2
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.PlanarConfiguration = rows, columns, 1, 0
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "YBR_PARTIAL_420", 3
    ds.PixelData = colours[:rows, :columns].tobytes()[: rows * columns * 3 // 2]
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = False
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(tmp_path / "film.dcm")
    with pytest.raises(ReadError, match="YBR_PARTIAL_420"):
        read_path(tmp_path / "film.dcm")
