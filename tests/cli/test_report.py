"""Reports and model cards, without a window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_viewer import cli
from cxr_viewer.core.resources import resources_dir

NODULE = "dicom/dx_nih_00002527_nodule_f37.dcm"
NeedData = Callable[[str], Path]


def test_report_of_a_real_film(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    arguments = ["report", str(need_data(NODULE)), "-o", str(out), "--finding", "effusion", "--comment", "Nodule."]
    assert cli.main(arguments) == 0
    with Image.open(out) as picture:
        assert picture.mode == "RGB"
        assert max(picture.size) >= 2000
        assert picture.info["Model"].startswith("adult-findings ")


def test_report_shows_the_map_that_was_asked_for(tmp_path: Path) -> None:
    sample = str(resources_dir() / "samples" / "child-2-pneumonia.png")
    plain, mapped = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["report", sample, "-o", str(plain)]) == 0
    assert cli.main(["report", sample, "-o", str(mapped), "--finding", "Cardiomegaly"]) == 0

    def coloured(path: Path) -> float:
        """The share of the film that is not grey: callipers are lines, a map is a field."""
        with Image.open(path) as picture:
            film = np.asarray(picture)[100:1500, 100:2000].astype(int)
        return float((film.max(axis=2) > film.min(axis=2)).mean())

    assert coloured(plain) < 0.02  # the age of the child is not known, so no map is shown unasked
    assert coloured(mapped) > 0.2


def test_report_shows_what_the_model_saw(tmp_path: Path) -> None:
    sample = str(resources_dir() / "samples" / "child-2-pneumonia.png")
    plain, seen = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["report", sample, "-o", str(plain)]) == 0
    assert cli.main(["report", sample, "-o", str(seen), "--seen"]) == 0

    with Image.open(plain) as picture:
        words_from = picture.width - 1240  # the film beside them is equally wide in both

    def grey(path: Path) -> int:
        """Pixels of middle grey among the words, on white paper."""
        with Image.open(path) as picture:
            page = np.asarray(picture)[:, words_from:].astype(int)
        even = page.max(axis=2) == page.min(axis=2)
        return int((even & (page[..., 0] > 110) & (page[..., 0] < 220)).sum())

    assert grey(seen) > grey(plain) + 50_000  # a picture of 480 x 480 pixels is among them


def test_report_of_a_film_the_model_refuses(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    assert cli.main(["report", str(need_data("dicom-other/cr_hand_kodak.dcm")), "-o", str(out)]) == 0
    with Image.open(out) as picture:
        assert "Model" not in picture.info
        assert picture.info["Title"] == "Radiograph: annotated report"


def test_report_without_a_model(tmp_path: Path) -> None:
    sample = str(resources_dir() / "samples" / "adult-1-no-finding.dcm")
    out = tmp_path / "a.png"
    assert cli.main(["report", sample, "-o", str(out), "--without-model", "--with-identity", "--invert"]) == 0
    with Image.open(out) as picture:
        assert "Model" not in picture.info


def test_report_of_one_frame_of_several(
    need_data: NeedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, films = str(need_data("dicom-other/xa_catheter_12frames.dcm")), []
    for frame in ("1", "12"):
        out = tmp_path / f"{frame}.png"
        assert cli.main(["report", path, "-o", str(out), "--without-model", "--frame", frame]) == 0
        with Image.open(out) as picture:
            films.append(np.asarray(picture)[100:2000, 100:2000])
    assert (films[0] != films[1]).mean() > 0.1
    assert cli.main(["report", path, "-o", str(tmp_path / "13.png"), "--without-model", "--frame", "13"]) == 1
    assert "frame" in capsys.readouterr().err


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    for model_id, ages in (("paediatric-pneumonia", "1 to 5"), ("adult-findings", "18 to 100")):
        assert f"{model_id}  " in listed
        assert cli.main(["models", "info", model_id]) == 0
        card = capsys.readouterr().out
        assert "Intended use: " in card
        assert f"Ages:         {ages} years" in card
        assert "AUC" in card
    assert cli.main(["models", "info"]) == 0
    assert capsys.readouterr().out == card  # the first of the list
