"""Colour pictures in their colours: against dcmtk, and in the forms that few real files have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.image import Radiograph, Rescale, VoiWindow, WindowFunction
from cxr_viewer.core.provenance import Stage
from cxr_viewer.imaging import luts
from cxr_viewer.inference import guards

Film = Callable[..., Radiograph]
ReadPath = Callable[[Path], Radiograph]

EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
RGB = {**EIGHT_BITS, "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
AS_STORED = VoiWindow(127.5, 255, WindowFunction.LINEAR_EXACT, "As stored")


def codes(film: Radiograph) -> list[str]:
    return [caution.code for caution in film.cautions]


def on_screen(film: Radiograph) -> NDArray[np.uint8]:
    """The picture through its own grey chain, (rows, columns, 3)."""
    assert film.rgb is not None
    table = luts.compose(film, film.voi[0], False)
    return np.stack([luts.apply(np.ascontiguousarray(film.rgb[..., c]), table) for c in range(3)], axis=-1)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("dicom-other/palette_color.dcm", 1),
        ("hostile/pydicom_pydicom__SC_rgb_jpeg_app14_dcmd.dcm", 1),
        ("hostile/pydicom_pydicom__SC_rgb_jpeg_lossy_gdcm.dcm", 2),
        ("dicom-other/us_ybr_multiframe.dcm", 3),  # the two libraries fill in halved chroma differently
    ],
)
def test_colours_are_those_of_dcmtk(
    name: str,
    most: int,
    need_data: Callable[[str], Path],
    read_path: ReadPath,
    run_tool: Callable[..., None],
    tmp_path: Path,
) -> None:
    path = need_data(name)
    run_tool("dcmj2pnm", "-O", "+F", "1", "+op", path, tmp_path / "judge.ppm")
    judge = cv2.imread(str(tmp_path / "judge.ppm"))
    assert judge is not None
    film = read_path(path)
    assert film.colour
    assert "colour" in codes(film)
    difference = np.abs(on_screen(film).astype(int) - judge[..., ::-1])
    assert difference.max() <= most
    assert difference.mean() < 0.05
    with pytest.raises(RefusalError):
        guards.refuse(film)


@pytest.mark.parametrize("planar", [0, 1])
def test_the_file_s_windows_do_not_touch_colours(planar: int, film: Film) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    data = (rgb.transpose(2, 0, 1) if planar else rgb).tobytes()
    chain = {"WindowCenter": 40, "WindowWidth": 10, "RescaleSlope": 3, "RescaleIntercept": 1, "PixelPaddingValue": 0}
    image = film(**RGB | {"PlanarConfiguration": planar}, PixelData=data, **chain)
    assert image.rgb is not None
    assert np.array_equal(image.rgb, rgb)
    assert not image.rgb.flags.writeable
    assert image.rgb.flags.c_contiguous
    assert (image.voi, image.modality_lut, image.padding) == ((AS_STORED,), Rescale(), None)
    assert np.array_equal(on_screen(image), rgb)
    (voi,) = [step for step in image.chain if step.stage is Stage.VOI]
    assert voi.passed_over == ("What the file says holds for grey pixels only and is passed over.",)


def test_twelve_bits_of_colour_reach_white(film: Film) -> None:
    rgb = np.full((4, 6, 3), (4095, 0, 2048), "<u2")
    image = film(**RGB | {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}, PixelData=rgb.tobytes())
    assert image.rgb is not None
    assert image.rgb.dtype == image.stored.dtype == np.uint16
    assert on_screen(image)[0, 0].tolist() == [255, 0, 128]


def test_grey_stored_as_colour_is_shown_as_stored(film: Film) -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    image = film(**RGB, PixelData=np.repeat(grey[..., None], 3, axis=-1).tobytes(), WindowCenter=5, WindowWidth=2)
    assert (image.rgb, image.colour) == (None, False)
    assert np.array_equal(luts.apply(image.stored, luts.compose(image, image.voi[0], False)), grey)


def test_a_torn_colour_picture_is_black_below(film: Film) -> None:
    rgb = np.full((4, 6, 3), (200, 100, 50), np.uint8)
    image = film(**RGB, PixelData=rgb.tobytes()[: 2 * 18 + 4])
    assert image.rgb is not None
    assert np.array_equal(image.rgb[:2], rgb[:2])
    assert not image.rgb[2:].any()
    assert image.damaged


# ---------------------------------------------------------------- palettes

PALETTE = {**EIGHT_BITS, "PhotometricInterpretation": "PALETTE COLOR", "PixelData": bytes(range(24))}


def palette(bits: int, count: int = 24, first: int = 0, *, segmented: bool = False) -> dict[str, Any]:
    """Red rises, green falls, blue stays."""
    highest = (1 << bits) - 1
    ramps = {
        "Red": np.linspace(0, highest, count),
        "Green": np.linspace(highest, 0, count),
        "Blue": np.full(count, highest // 2),
    }
    elements: dict[str, Any] = {}
    for name, ramp in ramps.items():
        kind = "Segmented" if segmented else ""
        descriptor = f"{name}PaletteColorLookupTableDescriptor"
        elements[descriptor] = DataElement(descriptor, "US", [count, first, bits])
        values = np.round(ramp).astype("<u2")
        if segmented:  # one value, then a straight line to the last
            values = np.array([0, 1, values[0], 1, count - 1, values[-1]], "<u2")
        data = f"{kind}{name}PaletteColorLookupTableData"
        elements[data] = DataElement(data, "OW", values.tobytes())
    return elements


@pytest.mark.parametrize("segmented", [False, True])
def test_a_palette_of_sixteen_bits(segmented: bool, film: Film) -> None:
    image = film(**PALETTE, **palette(16, segmented=segmented))
    assert image.rgb is not None
    assert image.rgb.dtype == np.uint8
    assert image.bits_stored == 8
    shown = on_screen(image).reshape(24, 3).astype(int)
    assert np.abs(shown[:, 0] - np.linspace(0, 255, 24)).max() <= 1
    assert np.abs(shown[:, 1] - np.linspace(255, 0, 24)).max() <= 1
    assert set(shown[:, 2]) <= {127, 128}


def test_entries_of_eight_bits_in_words(film: Film) -> None:
    image = film(**PALETTE, **palette(8))
    assert image.rgb is not None
    assert image.rgb.reshape(24, 3)[[0, 23]].tolist() == [[0, 255, 127], [255, 0, 127]]


def test_indices_below_the_palette_take_its_first_colour(film: Film) -> None:
    image = film(**PALETTE, **palette(16, count=14, first=10))
    assert image.rgb is not None
    assert (image.rgb.reshape(24, 3)[:11] == image.rgb[0, 0]).all()
    assert image.rgb[3, 5, 0] == 255


def test_a_broken_palette_shows_its_numbers_as_grey(film: Film) -> None:
    image = film(**PALETTE, **palette(16) | {"GreenPaletteColorLookupTableData": None})
    assert image.rgb is None
    assert image.colour  # no model looks at the numbers of colours
    assert np.array_equal(image.stored.ravel(), np.arange(24))
    caution = image.cautions[0]
    assert (caution.code, caution.tag) == ("bad-palette", "RedPaletteColorLookupTableDescriptor (0028,1101)")


# ---------------------------------------------------------------- raster formats


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_raster_pictures_keep_their_colours(suffix: str, dtype: Any, tmp_path: Path, read_path: ReadPath) -> None:
    if dtype == np.uint16 and suffix in (".bmp", ".tif"):
        pytest.skip("this format is read with 8 bits of colour")
    rgb = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (5, 7, 3), dtype)
    assert cv2.imwrite(str(tmp_path / f"colour{suffix}"), rgb[..., ::-1])
    film = read_path(tmp_path / f"colour{suffix}")
    assert film.rgb is not None
    assert film.rgb.dtype == film.stored.dtype == dtype
    assert np.array_equal(film.rgb, rgb)
    assert film.voi[0].label == "As stored"
    assert np.abs(on_screen(film).astype(int) - rgb / (np.iinfo(dtype).max / 255)).max() <= 0.51
    assert [step.stage for step in film.chain][:3] == [Stage.FILE, Stage.PIXELS, Stage.DECODER]
