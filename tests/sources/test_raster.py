"""PNG, JPEG, TIFF and their kin as films: grey values kept, polarity and turning as the file says."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import PatientInfo, Radiograph, Rescale
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.imaging import luts
from cxr_viewer.sources.raster import FULL_8_BIT
from cxr_viewer.sources.reader import SandboxReader

sitk: Any = SimpleITK
ReadPath = Callable[[Path], Radiograph]
GREY = (np.arange(5 * 7) * 7 % 256).astype(np.uint8).reshape(5, 7)


def write(path: Path, pixels: NDArray[Any]) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3), str(path))
    return path


def codes(image: Radiograph) -> list[str]:
    return [caution.code for caution in image.cautions]


def test_a_real_film(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    path = sorted(need_data("images/nih384").iterdir())[0]
    image = read_path(path)
    assert np.array_equal(image.stored, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    assert not image.is_dicom
    assert image.spacing is None
    assert image.patient == PatientInfo()
    assert codes(image) == ["not-dicom"]
    assert image.voi == (FULL_8_BIT,)
    grey = luts.apply(image.stored, luts.compose(image, image.voi[0], False))
    assert np.array_equal(grey, image.stored)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.mha", "a.nrrd", "a.nii", "a.nii.gz", "a.bmp", "a.pgm", "A.PNG"])
def test_grey_values_are_kept(name: str, tmp_path: Path, read_path: ReadPath) -> None:
    path = tmp_path / name
    if path.suffix in (".bmp", ".pgm"):
        assert cv2.imwrite(str(path), GREY)
    else:
        write(path, GREY)
    image = read_path(path)
    assert image.stored.dtype == np.uint8
    assert np.array_equal(image.stored, GREY)
    assert image.bits_stored == 8


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [(np.uint16, ".png"), (np.uint16, ".tif"), (np.uint16, ".mha"), (np.int16, ".tif"), (np.int16, ".mha")],
)
def test_sixteen_bits_are_kept(dtype: Any, suffix: str, tmp_path: Path, read_path: ReadPath) -> None:
    values = GREY.astype(dtype) * 16 - (2000 if dtype == np.int16 else 0)
    image = read_path(write(tmp_path / f"a{suffix}", values.astype(dtype)))
    assert image.stored.dtype == dtype
    assert np.array_equal(image.stored, values)
    assert image.voi == ()  # 12 bits in a 16-bit file would be all but black at full range


def test_the_content_decides_not_the_name(
    tmp_path: Path, read_path: ReadPath, need_data: Callable[[str], Path]
) -> None:
    for name in ("film", "film.dcm", "film.jpg"):
        (tmp_path / name).write_bytes(write(tmp_path / "a.png", GREY).read_bytes())
        assert np.array_equal(read_path(tmp_path / name).stored, GREY)
    assert read_path(need_data("hostile/png_renamed.dcm")).decoder == "SimpleITK"


def test_floats_become_sixteen_bits_and_lead_back(tmp_path: Path, read_path: ReadPath) -> None:
    values = (GREY.astype(np.float32) / 3 - 20).astype(np.float32)
    image = read_path(write(tmp_path / "a.tif", values))
    assert isinstance(image.modality_lut, Rescale)
    back = image.stored * image.modality_lut.slope + image.modality_lut.intercept
    assert np.abs(back - values).max() <= image.modality_lut.slope / 2 + 1e-6
    assert codes(image) == ["not-dicom", "rounded"]


def test_holes_in_floats_are_told(tmp_path: Path, read_path: ReadPath) -> None:
    values = GREY.astype(np.float32)
    values[0, 0], values[1, 1] = np.nan, np.inf
    image = read_path(write(tmp_path / "a.tif", values))
    assert "not-finite" in codes(image)
    assert luts.modality_range(image) == pytest.approx((7, 238), abs=0.01)
    with pytest.raises(ReadError):
        read_path(write(tmp_path / "b.tif", np.full((4, 4), np.nan, np.float32)))


def test_whole_numbers_that_fit_are_not_rounded(tmp_path: Path, read_path: ReadPath) -> None:
    image = read_path(write(tmp_path / "a.mha", GREY.astype(np.int32) * 100))
    assert np.array_equal(image.stored, GREY.astype(np.int32) * 100)
    assert image.modality_lut == Rescale()


def test_colour_and_grey_stored_as_colour(tmp_path: Path, read_path: ReadPath) -> None:
    same = read_path(write(tmp_path / "grey.png", np.stack([GREY] * 3, axis=-1)))
    assert np.array_equal(same.stored, GREY)
    assert not same.colour
    rgb = np.zeros((1, 3, 3), np.uint8)
    rgb[0] = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for suffix in (".png", ".bmp"):
        path = tmp_path / f"colour{suffix}"
        if suffix == ".bmp":
            assert cv2.imwrite(str(path), rgb[..., ::-1])
        else:
            write(path, rgb)
        colour = read_path(path)
        assert colour.stored[0].tolist() == [76, 150, 29]  # ITU-R BT.601
        assert colour.colour
        assert codes(colour) == ["not-dicom", "colour"]


def test_opacity_is_left_out(tmp_path: Path, read_path: ReadPath) -> None:
    rgba = np.stack([GREY, GREY, GREY, 255 - GREY], axis=-1)
    assert np.array_equal(read_path(write(tmp_path / "a.png", rgba)).stored, GREY)


def tiff(pixels: NDArray[np.uint8], photometric: int, orientation: int) -> bytes:
    """A TIFF by hand, because no library at hand writes these tags."""
    rows, columns = pixels.shape
    entries = [(256, columns), (257, rows), (258, 8), (259, 1), (262, photometric), (273, 8), (274, orientation)]
    entries += [(277, 1), (278, rows), (279, pixels.size)]
    body = pixels.tobytes() + b"\0" * (pixels.size % 2)
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + bytes(4)


@pytest.mark.parametrize(("photometric", "expected"), [(0, "MONOCHROME1"), (1, "MONOCHROME2")])
def test_a_tiff_whose_lowest_value_is_white(
    photometric: int, expected: str, tmp_path: Path, read_path: ReadPath
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(GREY, photometric, 1))
    image = read_path(tmp_path / "a.tif")
    assert image.photometric == expected
    assert np.array_equal(image.stored, GREY)


# Rows from the top and columns from the left of the picture as it is meant, of a corner pixel (EXIF 2.3, table 6).
UPRIGHT = {
    1: GREY,
    2: GREY[:, ::-1],
    3: GREY[::-1, ::-1],
    4: GREY[::-1],
    5: GREY.T,
    6: GREY[::-1].T,
    7: GREY[::-1, ::-1].T,
    8: GREY.T[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_pictures_are_turned_as_the_camera_noted(orientation: int, tmp_path: Path, read_path: ReadPath) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(GREY, 1, orientation))
    image = read_path(tmp_path / "a.tif")
    assert np.array_equal(image.stored, UPRIGHT[orientation])
    assert ("turned" in codes(image)) == (orientation != 1)


def test_the_orientation_of_a_jpeg(tmp_path: Path, read_path: ReadPath) -> None:
    done, data = cv2.imencode(".jpg", cv2.resize(GREY, (64, 32)))
    assert done
    (tmp_path / "plain.jpg").write_bytes(data.tobytes())
    directory = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 274, 3, 1, 6, 0) + bytes(4)
    segment = b"Exif\0\0" + directory
    turned = data.tobytes()[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data.tobytes()[2:]
    (tmp_path / "turned.jpg").write_bytes(turned)
    plain, image = read_path(tmp_path / "plain.jpg"), read_path(tmp_path / "turned.jpg")
    assert np.array_equal(image.stored, np.rot90(plain.stored, -1))  # 6: a quarter turn clockwise sets it upright


def test_several_pictures_in_one_file(tmp_path: Path, reader: SandboxReader) -> None:
    write_stack = sitk.GetImageFromArray(np.stack([GREY, 255 - GREY, GREY]))
    sitk.WriteImage(write_stack, str(tmp_path / "a.tif"))
    node = reader.describe(tmp_path / "a.tif", CancelToken()).image
    assert node.frames == 3
    image = reader.read(node, CancelToken())
    assert np.array_equal(image.stored, GREY)
    assert "multi-frame" in codes(image)


def test_identity_is_the_content(tmp_path: Path, reader: SandboxReader) -> None:
    write(tmp_path / "a.png", GREY)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    write(tmp_path / "c.png", 255 - GREY)
    first, copy, other = (reader.describe(tmp_path / name, CancelToken()).image for name in ("a.png", "b.png", "c.png"))
    assert first.key == copy.key
    assert first.key != other.key
    assert (first.rows, first.columns) == GREY.shape


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.nrrd", b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 7 5\nencoding: raw\ndata file: /etc/passwd\n\n"),
        ("a.mhd", b"ObjectType = Image\nNDims = 2\nDimSize = 7 5\nElementType = MET_UCHAR\nElementDataFile = x.raw\n"),
        ("a.gif", b"GIF89a" + bytes(40)),
    ],
)
def test_headers_that_point_to_other_files_and_unknown_formats(
    name: str, data: bytes, tmp_path: Path, read_path: ReadPath
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ReadError) as caught:
        read_path(tmp_path / name)
    assert caught.value.code == "not-an-image"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".nii", ".nii.gz", ".mha", ".nrrd", ".pgm"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_half_a_picture_is_no_picture(
    suffix: str, share: float, tmp_path: Path, read_path: ReadPath, need_data: Callable[[str], Path]
) -> None:
    film = cv2.imread(str(sorted(need_data("images/nih384").iterdir())[0]), cv2.IMREAD_GRAYSCALE)
    whole = tmp_path / f"whole{suffix}"
    if suffix in (".bmp", ".pgm"):
        assert cv2.imwrite(str(whole), film)
    else:
        write(whole, film)
    data = whole.read_bytes()
    half = tmp_path / f"half{suffix}"
    half.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ReadError) as caught:
        read_path(half)
    assert caught.value.code in ("damaged", "truncated")


def test_a_picture_that_claims_to_be_huge(tmp_path: Path, read_path: ReadPath) -> None:
    data = bytearray(write(tmp_path / "a.png", GREY).read_bytes())
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "huge.png").write_bytes(data)
    with pytest.raises(ReadError) as caught:
        read_path(tmp_path / "huge.png")
    assert caught.value.code == "image-too-large"
