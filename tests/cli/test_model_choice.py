"""Without ``--model`` each film is put before the installed model that is meant for it, and the answer says why."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image

from cxr_viewer import cli
from cxr_viewer.core.findings import LabelSpec, Task
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import CARD_NAME, read_card, write_card

SAMPLES = resources_dir() / "samples"
BUNDLED = resources_dir() / "models" / "paediatric-pneumonia"
ADULT, CHILD = SAMPLES / "adult-2-cardiomegaly.dcm", SAMPLES / "child-2-pneumonia.png"


@pytest.fixture
def home(tmp_path: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with a model of the reader, the bundled weights under another card, for adults."""
    home = tmp_path / "home"
    folder = home / "data" / "models" / "adults"
    shutil.copytree(BUNDLED, folder)
    card = read_card(folder)
    card = replace(
        card,
        model_id="adults",
        name="For adults",
        intended_ages=(18.0, 95.0),
        labels=(LabelSpec("Opacity", 0.5),),
        map_evidence=(),
        metrics=(),
        cautions=(),
    )
    write_card(card, folder / CARD_NAME)
    (home / "cache").symlink_to(graphs, target_is_directory=True)
    monkeypatch.setenv("CXR_VIEWER_HOME", str(home))
    return home


def analysed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    assert cli.main(["analyse", *arguments, "--json", "-"]) == status
    answers: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return answers


@pytest.fixture
def small_child(tmp_path: Path) -> Path:
    """The film of an adult whose header says three years: only what the file says is asked about here."""
    film = pydicom.dcmread(ADULT)
    film.PatientAge = "003Y"
    film.save_as(tmp_path / "three-years.dcm")
    return tmp_path / "three-years.dcm"


def test_the_programs_own_models_share_the_ages_among_them(
    small_child: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adult, child, unknown = analysed(capsys, str(ADULT), str(small_child), str(CHILD))
    assert adult["model"]["id"] == "adult-findings"
    assert adult["model"]["reason"] == "It is meant for adults of 18 to 100 years, PA and AP films."
    assert adult["findings"][0]["label"] == "Cardiomegaly"
    assert child["model"]["id"] == "paediatric-pneumonia"
    assert [finding["label"] for finding in child["findings"]] == ["Pneumonia"]
    assert adult["limits"] == child["limits"] == []
    assert unknown["model"]["id"] == "adult-findings"  # no age is known of a PNG
    assert [limit["code"] for limit in unknown["limits"]] == ["age-unknown"]


def test_each_film_gets_the_model_meant_for_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model made for fewer ages goes before the program's own, and after it where the age is not known."""
    adult, unknown = analysed(capsys, str(ADULT), str(CHILD))
    assert adult["model"]["id"] == "adults"
    assert adult["model"]["reason"] == "It is meant for adults of 18 to 95 years, PA and AP films."
    assert [finding["label"] for finding in adult["findings"]] == ["Opacity"]
    assert adult["limits"] == []
    assert unknown["model"]["id"] == "adult-findings"  # no age is known of a PNG: the widest range of ages
    assert [limit["code"] for limit in unknown["limits"]] == ["age-unknown"]
    assert unknown["model"]["reason"].startswith("The patient's age is not known; of the 3 installed models")


def test_a_model_that_is_named_is_asked_whatever_it_is_meant_for(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adult, child = analysed(capsys, str(ADULT), str(CHILD), "--model", "paediatric-pneumonia")
    assert {answer["model"]["id"] for answer in (adult, child)} == {"paediatric-pneumonia"}
    assert adult["limits"][0]["code"] == "age-outside"
    assert adult["model"]["reason"] == "You chose this model."


def test_a_film_that_cannot_be_read_names_no_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nowhere,) = analysed(capsys, str(home / "nowhere.dcm"), status=1)
    assert not any(nowhere["model"].values())


def test_the_report_is_of_the_model_meant_for_the_film(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.png"
    assert cli.main(["report", str(ADULT), "-o", str(out), "--finding", "opacity"]) == 0
    with Image.open(out) as picture:
        assert picture.info["Model"].startswith("adults ")
    assert cli.main(["report", str(ADULT), "-o", str(out), "--finding", "pneumonia"]) == 2
    assert "It has: Opacity." in capsys.readouterr().err


def test_outlines_alone_answer_nothing_unasked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxr_viewer.inference.catalog import BundleCatalog

    usual = BundleCatalog.cards
    monkeypatch.setattr(
        BundleCatalog, "cards", lambda catalog: tuple(replace(card, task=Task.SEGMENT) for card in usual(catalog))
    )
    assert cli.main(["analyse", str(ADULT)]) != 0
    assert "No installed model gives findings. Name one with --model" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "localise"])
def test_models_of_the_user_can_be_measured_by_their_id(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    given = [command, "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), "--model"]
    assert cli.main([*given, "adults"]) == 1
    assert "There is no model" not in capsys.readouterr().err  # but no films
    assert cli.main([*given, "nobodys"]) == 2
    told = capsys.readouterr().err
    assert "There is no model “nobodys”. Installed: " in told
    assert "adults, paediatric-pneumonia" in told
