"""The Image Pixel module of headers that are broken: the value that fits, with a caution, or a refusal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, dicomfile
from cxr_viewer.sources.attributes import FileFacts

Film = Callable[..., Radiograph]

VALUES = np.arange(24, dtype="<u2").reshape(4, 6) * 100
WORDS = {"PixelData": VALUES.tobytes()}


def told(film: Radiograph) -> list[tuple[str, str]]:
    return [(caution.code, caution.tag) for caution in film.cautions]


@pytest.mark.parametrize("allocated", [None, 0, 12, 17, 200])
@pytest.mark.parametrize("bits", [8, 16])
def test_bits_allocated_by_the_length_of_the_data(allocated: int | None, bits: int, film: Film) -> None:
    values = VALUES if bits == 16 else (VALUES // 100).astype(np.uint8)
    image = film(
        BitsAllocated=allocated, BitsStored=min(bits, 12), HighBit=min(bits, 12) - 1, PixelData=values.tobytes()
    )
    assert np.array_equal(image.stored, values)
    assert told(image) == [("bad-format", "BitsAllocated (0028,0100)")]


@pytest.mark.parametrize("length", [46, 20, 96])
def test_bits_allocated_that_nothing_explains_are_refused(length: int, film: Film) -> None:
    with pytest.raises(ReadError) as caught:
        film(BitsAllocated=17, PixelData=bytes(length))
    assert caught.value.code == "impossible-header"


@pytest.mark.parametrize(
    ("stored", "high", "bits"), [(17, 11, 12), (0, 11, 12), (0, 99, 16), (40, None, 16), (17, 15, 16)]
)
def test_bits_stored_by_the_high_bit(stored: int, high: int | None, bits: int, film: Film) -> None:
    image = film(BitsStored=stored, HighBit=high, **WORDS)
    assert image.bits_stored == bits
    assert np.array_equal(image.stored, VALUES)
    assert ("bad-format", "BitsStored (0028,0101)") in told(image)


@pytest.mark.parametrize("samples", [0, 7, 65535])
def test_samples_by_the_photometric_interpretation(samples: int, film: Film) -> None:
    image = film(SamplesPerPixel=samples, **WORDS)
    assert np.array_equal(image.stored, VALUES)
    assert told(image) == [("bad-format", "SamplesPerPixel (0028,0002)")]
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PhotometricInterpretation": "RGB"}
    colours = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    picture = film(SamplesPerPixel=samples, **eight, PixelData=colours.tobytes())
    assert picture.rgb is not None
    assert np.array_equal(picture.rgb, colours)


def test_an_impossible_sign_is_none(film: Film) -> None:
    image = film(PixelRepresentation=DataElement("PixelRepresentation", "US", 9), **WORDS)
    assert image.stored.dtype == np.uint16
    assert told(image) == [("bad-format", "PixelRepresentation (0028,0103)")]


@pytest.mark.parametrize(("frames", "code"), [(0, "bad-frames"), (-5, "bad-frames"), ("x", "bad-frames")])
def test_an_impossible_number_of_frames(frames: Any, code: str, film: Film) -> None:
    image = film(NumberOfFrames=DataElement("NumberOfFrames", "LT", str(frames)), **WORDS)
    assert (image.frames, told(image)) == (1, [(code, "NumberOfFrames (0028,0008)")])


def test_billions_of_frames_cost_nothing(film: Film) -> None:
    image = film(NumberOfFrames=2_000_000_000, **WORDS)
    assert (image.frames, told(image)) == (1, [("bad-frames", "NumberOfFrames (0028,0008)")])
    assert np.array_equal(image.stored, VALUES)
    with pytest.raises(ReadError) as caught:
        film(frame=1, NumberOfFrames=2_000_000_000, **WORDS)
    assert caught.value.code == "no-such-frame"


@pytest.mark.parametrize("claimed", [13, 10_000, 2_147_483_647])
@pytest.mark.parametrize("kept", [12, 3.9, 3.1, 3, 1, 0.5])
def test_frames_are_those_that_are_there(
    claimed: int, kept: float, need_data: Callable[[str], Path], read_path: Callable[[Path], Radiograph], tmp_path: Path
) -> None:
    """A real run of 12, of which ``kept`` are left; of a frame that is cut, a fifth suffices."""
    ds = pydicom.dcmread(need_data("dicom-other/xa_catheter_12frames.dcm"))
    ds.decompress()
    one, whole = ds.Rows * ds.Columns * ds.BitsAllocated // 8, ds.PixelData
    ds.NumberOfFrames, ds.PixelData = str(claimed), whole[: int(kept * one) // 2 * 2]
    ds.save_as(tmp_path / "film.dcm")
    film, data = read_path(tmp_path / "film.dcm"), (tmp_path / "film.dcm").read_bytes()
    there = {12: 12, 3.9: 4, 3.1: 3, 3: 3, 1: 1, 0.5: 1}[kept]
    assert film.frames == there
    assert ("bad-frames", "NumberOfFrames (0028,0008)") in told(film)
    assert film.stored[:20].tobytes() == whole[: film.stored[:20].nbytes]
    last = attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, there - 1)
    assert ("truncated" in [code for code, _ in told(last)]) == (there > kept)
    header = dicomfile.read_header(io.BytesIO(data))
    assert attributes.found_image(header, FileFacts(Path("film.dcm"), 0, 0), "0" * 64).image.frames == there


def test_an_honest_run_of_frames_is_told_nothing(
    need_data: Callable[[str], Path], read_path: Callable[[Path], Radiograph], tmp_path: Path
) -> None:
    ds = pydicom.dcmread(need_data("dicom-other/xa_catheter_12frames.dcm"))
    ds.decompress()
    ds.save_as(tmp_path / "film.dcm")
    film = read_path(tmp_path / "film.dcm")
    assert (film.frames, [code for code, _ in told(film) if code == "bad-frames"]) == (12, [])


def test_a_real_compressed_film_whose_header_says_nothing_of_bits(
    need_data: Callable[[str], Path], tmp_path: Path
) -> None:
    source = need_data("dicom/tx_dx_canon_jpegls_lossless.dcm")
    ds = pydicom.dcmread(source)
    ds.BitsAllocated, ds.SamplesPerPixel = 0, 0
    ds.save_as(tmp_path / "odd.dcm")
    read = [
        attributes.radiograph(dicomfile.read_all(path.read_bytes()), path, "0" * 64, 0)
        for path in (source, tmp_path / "odd.dcm")
    ]
    assert np.array_equal(read[0].stored, read[1].stored)
    assert {tag for code, tag in told(read[1]) if code == "bad-format"} == {
        "BitsAllocated (0028,0100)",
        "SamplesPerPixel (0028,0002)",
    }
