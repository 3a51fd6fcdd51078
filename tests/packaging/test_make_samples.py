"""The sample films are what their README says, hold no made-up facts, and can be made again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from cxr_viewer.core.resources import resources_dir

SAMPLES = resources_dir() / "samples"
FILMS = sorted(path for path in SAMPLES.iterdir() if path.suffix in (".dcm", ".png"))
DICOM = [path for path in FILMS if path.suffix == ".dcm"]


def test_readme_names_every_film_and_its_licence() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", (SAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == [path.name for path in FILMS]
    assert {licence for _, licence in rows} == {"no restrictions on use", "CC BY 4.0"}


def test_small_enough_to_travel() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) <= 6_000_000


@pytest.mark.parametrize("path", DICOM, ids=lambda path: path.name)
def test_nothing_points_to_a_person(path: Path) -> None:
    film = pydicom.dcmread(path)
    assert str(film.PatientName).startswith("SAMPLE^")
    assert film.PatientID.startswith("SAMPLE-")
    for name in ("PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"):
        assert not film[name].value
    assert "InstitutionName" not in film
    assert film.PatientIdentityRemoved == "YES"
    assert film.ViewPosition == "PA"
    assert film.pixel_array.shape == (1024, 1024)


def test_studies_are_apart() -> None:
    films = [pydicom.dcmread(path, stop_before_pixels=True) for path in DICOM]
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert len({film[name].value for film in films}) == len(films)


def test_children_have_their_shape_again() -> None:
    for path in FILMS:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.mode == "L"
                assert picture.height == 192
                assert picture.width > picture.height


def test_can_be_made_again(repository: Path, need_data: Callable[[str], Path], tmp_path: Path) -> None:
    script = repository / "packaging" / "make_samples.py"
    out, probes = tmp_path / "samples", tmp_path / "probes"
    arguments = ["--dicom", need_data("dicom"), "--images", need_data("images"), "--out", out, "--probes", probes]
    subprocess.run([sys.executable, script, *arguments], check=True, timeout=100)
    assert sorted(path.name for path in out.iterdir()) == [path.name for path in FILMS]
    for path in DICOM:  # PNG of another library version may be packed otherwise
        assert pydicom.dcmread(out / path.name) == pydicom.dcmread(path)
    pictures = [path.relative_to(SAMPLES.parent) for path in FILMS if path.suffix == ".png"]
    pictures += [path.relative_to(SAMPLES.parent) for path in (SAMPLES.parent / "probes").glob("*.png")]
    assert len(pictures) == 5
    for picture in pictures:
        with Image.open(tmp_path / picture) as again, Image.open(SAMPLES.parent / picture) as kept:
            assert again.tobytes() == kept.tobytes()
