"""Files that lead elsewhere, or in a circle, and files under another name than usual."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources.listing import is_archive
from cxr_viewer.sources.rasterformat import has_endless_directories
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

ReadPath = Callable[[Path], Radiograph]
META = "ObjectType = Image\nNDims = 2\n{}DimSize = 8 6\nElementType = MET_SHORT\n{}"
NRRD = "NRRD0004\ntype: short\ndimension: 2\nsizes: 8 6\nencoding: raw\nendian: little\n{}\n"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mha", META.format("Comment = ElementDataFile = LOCAL\n", "ElementDataFile = {}\n")),
        ("b.mha", META.format("", "ElementDataFile={}\nElementDataFile = LOCAL\n")),
        ("c.mha", META.format("", "ElementDataFile = LOCAL\nElementDataFile = {}\n")),
        ("d.nrrd", NRRD.format("# " + "x" * 5000 + "\ndata file: {}\n")),
        ("e.nrrd", NRRD.format("Data File: {}\n")),
    ],
)
def test_a_header_that_names_another_file_is_refused(
    name: str, header: str, tmp_path: Path, read_path: ReadPath
) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(range(96)))
    folder = tmp_path / "chosen"
    folder.mkdir()
    for target in ("../secret.raw", str(tmp_path / "secret.raw")):
        (folder / name).write_text(header.replace("{}", target), newline="\n")
        with pytest.raises(ReadError) as caught:
            read_path(folder / name)
        assert caught.value.code == "not-an-image"


@pytest.mark.parametrize("header", [META.format("", "ElementDataFile = LOCAL\n"), NRRD.format("")])
def test_pixels_in_the_file_itself_are_read(header: str, tmp_path: Path, read_path: ReadPath) -> None:
    pixels = np.arange(48, dtype="<i2").reshape(6, 8)
    path = tmp_path / ("a.mha" if header.startswith("Object") else "a.nrrd")
    path.write_bytes(header.encode() + pixels.tobytes())
    assert np.array_equal(read_path(path).stored, pixels)


def test_a_tiff_whose_directories_lead_in_a_circle(tmp_path: Path, read_path: ReadPath) -> None:
    done, packed = cv2.imencode(".tif", np.zeros((6, 8), np.uint8))
    assert done
    data = bytearray(packed.tobytes())
    assert not has_endless_directories(bytes(data))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    path = tmp_path / "circle.tif"
    path.write_bytes(data)
    with pytest.raises(ReadError) as caught:
        read_path(path)
    assert caught.value.code == "damaged"


def test_grey_with_opacity(tmp_path: Path, read_path: ReadPath) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.merge("LA", (Image.fromarray(grey), Image.fromarray(255 - grey))).save(tmp_path / "la.png")
    assert np.array_equal(read_path(tmp_path / "la.png").stored, grey)


def test_a_chosen_dicomdir_of_any_name_is_one(
    need_data: Callable[[str], Path], tmp_path: Path, sandbox: Sandbox
) -> None:
    disc = tmp_path / "disc"
    shutil.copytree(need_data("dicom/media_set_dicomdir"), disc)
    (directory,) = (file for file in disc.rglob("*") if file.name.upper() == "DICOMDIR")

    def found(path: Path) -> set[Path]:
        return {f.image.path for batch in FolderScanner(sandbox).scan([path], CancelToken()) for f in batch.found}

    named = found(directory)
    other = directory.rename(directory.with_name("contents.dcm"))
    assert named
    assert found(other) == named


def test_a_film_whose_preamble_looks_like_an_archive_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(b"PK\3\4" + bytes(124) + b"DICM")
    assert not is_archive(path)
    path.write_bytes(b"PK\3\4" + bytes(200))
    assert is_archive(path)
