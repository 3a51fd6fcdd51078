"""Films rendered without a window, against renderers that share no code with this program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels.processing import apply_color_lut

from cxr_viewer import cli
from cxr_viewer.core.resources import resources_dir

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # pictures the reference script opens
    pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning"),  # pydicom on what real films carry
]

FILMS = (
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "cr_rsna_ap_viral2_jpegbaseline.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "syn_dx_canon_presentationlut_inverse.dcm",
    "syn_dx_canon_sigmoid_window.dcm",
    "syn_dx_canon_voilutsequence3.dcm",
    "tx_dx_canon_jpegls_lossless.dcm",
)
NODULE = "dicom/dx_nih_00002527_nodule_f37.dcm"
NeedData = Callable[[str], Path]


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


@pytest.mark.parametrize("name", FILMS)
def test_render_is_within_one_grey_level_of_the_standard(
    name: str, need_data: NeedData, reference: ModuleType, tmp_path: Path
) -> None:
    path, out = need_data(f"dicom/{name}"), tmp_path / "film.png"
    assert cli.main(["render", str(path), "-o", str(out)]) == 0
    _, references = reference.render(str(path))
    assert np.abs(pixels(out).astype(int) - references["std"]).max() <= 1


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", ["syn_dx_canon_multiwindow.dcm", "syn_dx_canon_voilutsequence3.dcm"])
def test_every_window_of_the_file(
    name: str, number: int, need_data: NeedData, reference: ModuleType, tmp_path: Path
) -> None:
    path, out = need_data(f"dicom/{name}"), tmp_path / "film.png"
    assert cli.main(["render", str(path), "-o", str(out), "--window", f"file:{number}"]) == 0
    _, references = reference.render(str(path), idx=number - 1)
    assert np.abs(pixels(out).astype(int) - references["std"]).max() <= 1


def test_invert_and_a_window_below_zero(need_data: NeedData, tmp_path: Path) -> None:
    path = str(need_data(NODULE))
    upright, inverted = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", path, "-o", str(upright), "--window", "-20.5,600"]) == 0
    assert cli.main(["render", path, "-o", str(inverted), "--window=-20.5,600", "--invert"]) == 0
    assert (pixels(upright).astype(int) + pixels(inverted) == 255).all()
    assert pixels(upright).min() > 100  # 0 lies above the centre


def test_automatic_window_shows_a_film_whose_own_does_not(
    need_data: NeedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(need_data("dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"))
    own, automatic = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", path, "-o", str(own)]) == 0
    assert "--window auto" in capsys.readouterr().err
    assert cli.main(["render", path, "-o", str(automatic), "--window", "auto"]) == 0
    assert pixels(own).std() < 10 < 40 < pixels(automatic).std()


def test_a_frame_of_several(need_data: NeedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(need_data("dicom-other/xa_catheter_12frames.dcm")), tmp_path / "film.png"
    seen = []
    for frame in ("1", "12"):
        assert cli.main(["render", path, "-o", str(out), "--frame", frame]) == 0
        assert f"Frame {frame} of 12 is shown. [NumberOfFrames (0028,0008)]" in capsys.readouterr().err
        seen.append(pixels(out))
    assert (seen[0] != seen[1]).any()
    for frame in ("0", "13"):
        assert cli.main(["render", path, "-o", str(out), "--frame", frame]) == 1
        assert "frame" in capsys.readouterr().err


def test_render_takes_raster_pictures(tmp_path: Path) -> None:
    picture = resources_dir() / "samples" / "child-1-normal.png"
    out = tmp_path / "a.png"
    assert cli.main(["render", str(picture), "-o", str(out)]) == 0
    np.testing.assert_array_equal(pixels(out), pixels(picture))


# ---------------------------------------------------------------- what the file lays over its film


def with_layers(path: Path, target: Path) -> pydicom.Dataset:
    """A real film with padding on its left, a rectangular shutter and one line of graphics."""
    ds = pydicom.dcmread(path)
    ds.decompress()
    stored = ds.pixel_array.copy()
    stored[:, :50] = 4000
    ds.PixelData = stored.tobytes()
    ds.add_new("PixelPaddingValue", "US", 4000)
    ds.ShutterShape = "RECTANGULAR"
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 21, ds.Columns
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 101, ds.Rows
    ds.ShutterPresentationValue = 0x8080
    bits = np.zeros(stored.shape, np.uint8)
    bits[700, :] = 1
    for element, vr, value in (
        (0x10, "US", ds.Rows),
        (0x11, "US", ds.Columns),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 1),
        (0x102, "US", 0),
        (0x3000, "OW", np.packbits(bits.ravel(), bitorder="little").tobytes()),
    ):
        ds.add_new((0x6000, element), vr, value)
    ds.save_as(target)
    return ds


@pytest.fixture
def layered(need_data: NeedData, tmp_path: Path) -> Path:
    target = tmp_path / "layered.dcm"
    with_layers(need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"), target)
    return target


def test_by_itself_render_masks_padding_and_draws_and_covers_nothing(
    layered: Path, reference: ModuleType, tmp_path: Path
) -> None:
    out, chain = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", str(layered), "-o", str(out)]) == 0
    assert cli.main(["render", str(layered), "-o", str(chain), "--no-padding-mask"]) == 0
    _, references = reference.render(str(layered))
    assert np.abs(pixels(chain).astype(int) - references["std"]).max() <= 1
    stored = pydicom.dcmread(layered).pixel_array
    assert not pixels(out)[stored == 4000].any()
    np.testing.assert_array_equal(pixels(out)[stored != 4000], pixels(chain)[stored != 4000])


def test_the_shutter_covers_when_asked_to(layered: Path, tmp_path: Path) -> None:
    plain, shut = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", str(layered), "-o", str(plain), "--no-shutter"]) == 0
    assert cli.main(["render", str(layered), "-o", str(shut), "--shutter"]) == 0
    covered = np.ones(pixels(plain).shape, bool)
    covered[100:, 20:] = False
    assert (pixels(shut)[covered] == 128).all()
    np.testing.assert_array_equal(pixels(shut)[~covered], pixels(plain)[~covered])


def test_graphics_are_drawn_in_colour_when_asked_for(layered: Path, tmp_path: Path) -> None:
    plain, drawn = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", str(layered), "-o", str(plain)]) == 0
    assert cli.main(["render", str(layered), "-o", str(drawn), "--overlays"]) == 0
    with Image.open(drawn) as picture:
        assert picture.mode == "RGB"
        shown = np.asarray(picture)
    green = (shown == (124, 227, 139)).all(axis=2)
    assert green[700].all()
    assert green.sum() == shown.shape[1]
    away = np.r_[0:699, 702 : len(shown)]
    np.testing.assert_array_equal(shown[away], np.repeat(pixels(plain)[away][..., None], 3, axis=2))


def test_a_colour_film_is_written_in_its_colours(need_data: NeedData, tmp_path: Path) -> None:
    path, out = need_data("dicom-other/palette_color.dcm"), tmp_path / "a.png"
    assert cli.main(["render", str(path), "-o", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.mode == "RGB"
        shown = np.asarray(picture).astype(int)
    ds = pydicom.dcmread(path)
    expected = apply_color_lut(ds.pixel_array, ds) / 65535 * 255
    assert np.abs(shown - expected).max() <= 1
