"""Films rendered without a window, against renderers that share no code with this program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
