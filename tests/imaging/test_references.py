"""Real films beside two renderers that share no code with this one, and the standard written out in float64.

Two correct renderers differ by at most 1 of 255, by 0.9 on average. The known faults of the references are tested as
such, so that a mended reference is noticed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import levels, render
from cxr_viewer.sources import attributes, dicomfile

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # pictures the reference script opens
    pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning"),  # pydicom on what real films carry
]

ReadFilm = Callable[[Path], Radiograph]

FILMS = (
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "cr_rsna_ap_viral2_jpegbaseline.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "dx_nih_00000001_000_pa_cardiomegaly.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
    "syn_dx_canon_multiwindow.dcm",
    "syn_dx_canon_presentationlut_inverse.dcm",
    "syn_dx_canon_sigmoid_window.dcm",
    "syn_dx_canon_voilutsequence3.dcm",
    "tx_dx_canon_jpegls_lossless.dcm",
)
OTHERS = ("cr_dental_panoramic_modalitylut.dcm", "cr_hand_kodak.dcm", "mr_small.dcm")
PLAIN = "syn_dx_canon_nospacing.dcm"
"""The film the edited ones below are made of."""

NOT_BY_PYDICOM = {"syn_dx_canon_voilutsequence3.dcm"}
"""The reference script cannot put this one before pydicom: a bare dataset has no byte order."""


def assert_same(ours: NDArray[np.uint8], reference: NDArray[Any], name: str) -> None:
    off = np.abs(ours.astype(np.int16) - reference)
    assert off.max() <= 1, f"{name}: {(off > 1).sum()} pixels differ by up to {off.max()}"
    assert off.mean() <= 0.9, f"{name}: {off.mean():.2f} on average"


def check(film: Radiograph, ref_render: ModuleType, mode: str, place: int, skipped: frozenset[str]) -> dict[str, Any]:
    """Hold one VOI against every reference that is here and not ``skipped``; returns the references' pictures."""
    voi = None if mode == "minmax" else film.voi[place]
    report, references = ref_render.render(str(film.path), mode=mode, idx=place)
    ours = render.render_grey(film, voi, False)
    wanted = {"std", "pyd", "dcmtk"} - skipped - (set() if shutil.which("dcmj2pnm") else {"dcmtk"})
    assert wanted <= references.keys(), report
    for name in wanted:
        assert_same(ours, references[name], name)
    return {"ours": ours, **references}


@pytest.mark.parametrize("name", FILMS)
def test_a_real_chest_film_is_as_the_references_show_it(
    name: str, need_data: Callable[[str], Path], read_film: ReadFilm, ref_render: ModuleType
) -> None:
    film = read_film(need_data(f"dicom/{name}"))
    mode = ref_render.pick_mode(pydicom.dcmread(film.path), "auto")
    check(film, ref_render, mode, 0, frozenset({"pyd"} if name in NOT_BY_PYDICOM else ()))


@pytest.mark.parametrize("name", OTHERS)
def test_other_grey_images_are_as_the_references_show_them(
    name: str, need_data: Callable[[str], Path], read_film: ReadFilm, ref_render: ModuleType
) -> None:
    film = read_film(need_data(f"dicom-other/{name}"))
    mode = ref_render.pick_mode(pydicom.dcmread(film.path), "auto")
    check(film, ref_render, mode, 0, frozenset())


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "mode"), [("syn_dx_canon_multiwindow.dcm", "window"), ("syn_dx_canon_voilutsequence3.dcm", "lut")]
)
def test_every_voi_a_film_offers(
    name: str, mode: str, place: int, need_data: Callable[[str], Path], read_film: ReadFilm, ref_render: ModuleType
) -> None:
    film = read_film(need_data(f"dicom/{name}"))
    check(film, ref_render, mode, place, frozenset({"pyd"} if name in NOT_BY_PYDICOM else ()))


def test_lowest_to_highest_value(need_data: Callable[[str], Path], read_film: ReadFilm, ref_render: ModuleType) -> None:
    check(read_film(need_data(f"dicom/{PLAIN}")), ref_render, "minmax", 0, frozenset())


def test_every_film_of_the_folder_through_the_programs_own_reader(
    need_data: Callable[[str], Path], ref_render: ModuleType
) -> None:
    """Decoders and attributes included; films one reference cannot decode are held against the others."""
    seen = 0
    for path in sorted(need_data("dicom").rglob("*")):
        if path.suffix not in (".dcm", "") or path.name == "DICOMDIR" or path.is_dir():
            continue
        film = attributes.radiograph(dicomfile.read_all(path.read_bytes()), path, "0" * 64, 0)
        ours = render.render_grey(film, render.default_voi(film), False)
        try:
            _, references = ref_render.render(str(path))
        except AttributeError:  # pydicom reads no film without a file meta group
            continue
        for name, reference in references.items():
            assert_same(ours, reference, f"{path.name} against {name}")
        seen += bool(references)
    assert seen > 25


# ---------------------------------------------------------------- edited films: the rare parts of the chain


@pytest.fixture
def edited(need_data: Callable[[str], Path], tmp_path: Path, read_film: ReadFilm) -> Callable[..., Radiograph]:
    """``edited(RescaleSlope=-1)``: a real film, uncompressed, with attributes changed, written and read again."""

    def edit(**changes: Any) -> Radiograph:
        ds = pydicom.dcmread(need_data(f"dicom/{PLAIN}"))
        ds.decompress()
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        path = tmp_path / "edited.dcm"
        ds.save_as(path)
        return read_film(path)

    return edit


def test_a_negative_slope_where_pydicom_inverts(edited: Callable[..., Radiograph], ref_render: ModuleType) -> None:
    film = edited(RescaleSlope="-1", RescaleIntercept="4095", WindowCenter="2048", WindowWidth="3000")
    pictures = check(film, ref_render, "window", 0, frozenset({"pyd"}))
    wrong = np.abs(pictures["pyd"] - pictures["ours"])
    assert wrong.max() > 100, "pydicom has mended its negative slopes: take it back among the references"


def test_linear_exact_that_dcmtk_ignores(edited: Callable[..., Radiograph], ref_render: ModuleType) -> None:
    film = edited(VOILUTFunction="LINEAR_EXACT", WindowCenter="2000", WindowWidth="8")
    pictures = check(film, ref_render, "window", 0, frozenset({"dcmtk"}))
    if "dcmtk" in pictures:
        wrong = np.abs(pictures["dcmtk"] - pictures["ours"].astype(np.int16))
        assert wrong.max() > 1, "dcmtk has learnt LINEAR_EXACT: take it back among the references"


@pytest.mark.parametrize(
    "changes",
    [
        {"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "IDENTITY"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
        {"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "INVERSE"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-1000", "WindowCenter": "24.25", "WindowWidth": "1500.5"},
        {"WindowCenter": "1800", "WindowWidth": "2"},
        {"VOILUTFunction": "SIGMOID", "WindowCenter": "1800", "WindowWidth": "300"},
    ],
    ids=lambda changes: ", ".join(f"{keyword} {value}" for keyword, value in changes.items()),
)
def test_polarity_slopes_and_narrow_windows(
    changes: dict[str, str], edited: Callable[..., Radiograph], ref_render: ModuleType
) -> None:
    check(edited(**changes), ref_render, "window", 0, frozenset())


# ---------------------------------------------------------------- what is made of the grey film


def test_a_drag_from_a_voi_lut_starts_without_a_jump(need_data: Callable[[str], Path], read_film: ReadFilm) -> None:
    film = read_film(need_data("dicom/syn_dx_canon_voilutsequence3.dcm"))
    for voi in film.voi:
        with_table = render.render_grey(film, voi, False).astype(np.int16)
        with_window = render.render_grey(film, levels.equivalent_window(film, voi), False)
        off = np.abs(with_table - with_window)
        unlike = np.abs(with_table - render.render_grey(film, None, False))
        assert off.mean() < 12
        assert off.mean() <= unlike.mean()


@pytest.mark.parametrize("name", FILMS)
def test_the_automatic_window_shows_the_chest(name: str, need_data: Callable[[str], Path], read_film: ReadFilm) -> None:
    """Hardly anything of the middle of the film is flat black or white, and its contrast is no less than at the
    widest window."""
    film = read_film(need_data(f"dicom/{name}"))
    grey = render.render_grey(film, levels.auto_window(film), False)
    middle = np.s_[film.rows // 5 : -film.rows // 5, film.columns // 5 : -film.columns // 5]
    assert ((grey[middle] == 0) | (grey[middle] == 255)).mean() < 0.08
    assert grey[middle].std() >= 0.99 * render.render_grey(film, None, False)[middle].std()


def test_a_thumbnail_is_the_film_seen_small(need_data: Callable[[str], Path], read_film: ReadFilm) -> None:
    film = read_film(need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm"))
    whole = render.render_grey(film, film.voi[0], False)
    small = render.thumbnail(film, 110)
    assert small.shape == (110, 110)
    averaged = whole.reshape(110, 4, 110, 4).mean(axis=(1, 3))
    assert np.abs(small - averaged).max() <= 1
    assert np.array_equal(render.oriented(small, Orientation()), small)
