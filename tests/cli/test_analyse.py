"""Scores and heat maps of files and folders, without a window."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxr_viewer import cli
from cxr_viewer.cli import answers, parts
from cxr_viewer.core.findings import MapTrust, Proof
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.catalog import BundleCatalog

NODULE = "dicom/dx_nih_00002527_nodule_f37.dcm"
ADULTS, CHILDREN = "adult-findings", "paediatric-pneumonia"
NeedData = Callable[[str], Path]


def analysed(arguments: list[str], tmp_path: Path, status: int = 0) -> dict[str, dict[str, Any]]:
    """Run ``analyse`` and give its answers by file name."""
    out = tmp_path / "answers.json"
    assert cli.main(["analyse", *arguments, "--json", str(out)]) == status
    listed = json.loads(out.read_text(encoding="utf-8"))
    assert isinstance(listed, list)
    for answer in listed:
        check_form(answer)
    return {Path(answer["file"]).name: answer for answer in listed}


def check_form(answer: dict[str, Any]) -> None:
    """Every answer has every field, whatever became of the file."""
    assert answer["status"] in ("ok", "refused", "failed")
    assert isinstance(answer["file"], str)
    assert set(answer["model"]) == {"id", "name", "version", "sha256", "intended_use", "proof", "reason"}
    assert bool(answer["model"]["intended_use"]) is bool(answer["model"]["id"])
    asked = answer["status"] != "failed" or bool(answer["model"]["id"])  # a film that cannot be read suits no model
    assert len(answer["model"]["sha256"]) == (64 if asked else 0)
    assert answer["model"]["reason"].endswith(".") is asked
    assert answer["seconds"] >= 0
    for finding in answer["findings"]:
        assert {"label", "score", "kind", "threshold", "positive"} <= set(finding)
        assert finding["positive"] is (finding["score"] >= finding["threshold"])
    if answer["status"] == "ok":
        assert answer["findings"]
        assert answer["reason"] == ""
    else:
        assert answer["reason"].endswith(".")
        assert answer["findings"] == []
    if answer["status"] == "ok":  # the shipped film check and anatomy model have looked
        assert answer["check"]["sentence"].endswith(".")
        assert answer["anatomy"]["sentence"]
        assert answer["calibration"] == {"used": "as shipped"}
    if answer["image"] is not None:
        wanted = {"rows", "columns", "view", "photometric", "spacing", "cautions"}
        assert wanted <= set(answer["image"])


def test_every_kind_of_file(need_data: NeedData, tmp_path: Path) -> None:
    names = (NODULE, "dicom-other/cr_hand_kodak.dcm", "dicom-other/not_dicom.dcm", "dicom-other/ct_small.dcm")
    found = analysed([*(str(need_data(name)) for name in names), str(tmp_path / "nowhere.dcm")], tmp_path, status=1)
    assert {name: answer["status"] for name, answer in found.items()} == {
        "dx_nih_00002527_nodule_f37.dcm": "ok",
        "cr_hand_kodak.dcm": "refused",
        "not_dicom.dcm": "failed",
        "ct_small.dcm": "refused",
        "nowhere.dcm": "failed",
    }
    nodule = found["dx_nih_00002527_nodule_f37.dcm"]
    assert (nodule["image"]["rows"], nodule["image"]["columns"]) == (1024, 1024)
    assert nodule["image"]["photometric"] == "MONOCHROME2"
    assert nodule["image"]["spacing"] is None
    assert (nodule["model"]["id"], nodule["limits"]) == (ADULTS, [])
    seen = nodule["seen"]
    assert min(seen["width"], seen["height"]) >= max(nodule["image"]["rows"], nodule["image"]["columns"]) / 2
    assert {finding["label"] for finding in nodule["findings"]} == {
        "Cardiomegaly",
        "Effusion",
        "Pneumothorax",
        "Fibrosis",
    }
    for finding in nodule["findings"]:
        assert finding["map"] == {"method": "Grad-CAM", "trust": "map not tested"}
        assert finding["kind"] == "uncalibrated score"
    assert found["cr_hand_kodak.dcm"]["seen"] is None
    assert found["not_dicom.dcm"]["image"] is None
    assert found["cr_hand_kodak.dcm"]["image"]["spacing"]["source"]


def test_a_model_asked_about_a_film_it_is_not_made_for_says_so(need_data: NeedData, tmp_path: Path) -> None:
    (nodule,) = analysed([str(need_data(NODULE)), "--model", CHILDREN], tmp_path).values()
    assert [limit["code"] for limit in nodule["limits"]] == ["age-outside"]
    assert [finding["map"] for finding in nodule["findings"]] == [
        {"method": "Grad-CAM", "trust": "map not reliable"},
    ]


def test_refused_alone_is_no_failure(need_data: NeedData, tmp_path: Path) -> None:
    found = analysed([str(need_data("dicom-other/cr_hand_kodak.dcm"))], tmp_path)
    assert found["cr_hand_kodak.dcm"]["status"] == "refused"


def test_a_folder_is_searched_and_nothing_in_it_is_lost(need_data: NeedData, tmp_path: Path) -> None:
    folder = tmp_path / "films" / "deeper"
    folder.mkdir(parents=True)
    shutil.copy(need_data(NODULE), folder / "a.dcm")
    data = need_data(NODULE).read_bytes()
    (folder / "cut.dcm").write_bytes(data[: len(data) // 2])
    (folder / "stub.dcm").write_bytes(data[:5000])
    (folder / "notes.txt").write_text("not a film", encoding="utf-8")
    (folder / ".hidden.dcm").write_bytes(data)
    found = analysed([str(tmp_path / "films"), str(folder / "a.dcm")], tmp_path, status=1)
    assert {name: answer["status"] for name, answer in found.items()} == {
        "a.dcm": "ok",
        "cut.dcm": "refused",
        "stub.dcm": "failed",
    }
    assert found["cut.dcm"]["code"] == "damaged-film"
    assert found["stub.dcm"]["code"] == "truncated"


def test_a_dicomdir_names_its_films(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    directory = need_data("dicom/media_set_dicomdir") / "DICOMDIR"
    assert cli.main(["analyse", str(directory), "--json", str(out)]) == 0
    listed = json.loads(out.read_text(encoding="utf-8"))
    assert len(listed) == 7
    assert len({answer["file"] for answer in listed}) == 7
    assert sorted(answer["status"] for answer in listed) == ["ok"] * 6 + ["refused"]
    (lateral,) = (answer for answer in listed if answer["status"] == "refused")
    assert (lateral["code"], lateral["check"]["kind"]) == ("lateral", "lateral")


def test_an_empty_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["analyse", str(tmp_path / "empty"), "--json", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert "No images were found" in told.err


def test_json_on_standard_output_is_json_and_lines_are_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = sorted(str(path) for path in (resources_dir() / "samples").glob("child-*.png"))
    assert cli.main(["analyse", *samples, "--json", "-"]) == 0
    told = capsys.readouterr()
    assert [Path(answer["file"]).name for answer in json.loads(told.out)] == [Path(path).name for path in samples]
    assert told.err == ""  # progress is for terminals
    assert cli.main(["analyse", *samples, "--json", str(tmp_path / "a.jsonl")]) == 0
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "ok"]


def test_words_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    sample = resources_dir() / "samples" / "adult-3-nodule.dcm"
    assert cli.main(["analyse", str(sample)]) == 0
    told = capsys.readouterr().out
    for label in ("Cardiomegaly", "Effusion", "Pneumothorax", "Fibrosis"):
        assert f"{label}: " in told
    assert "(uncalibrated score), below the operating point of 0.027." in told
    assert "does not hold" not in told
    assert cli.main(["analyse", str(sample), "--model", CHILDREN]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{sample}: ok. Pneumonia: ")
    assert "The score does not hold for this film: Trained on children" in told


def test_heat_maps_are_named_after_the_digest(need_data: NeedData, tmp_path: Path) -> None:
    named = tmp_path / "Quellmalz^Xaver.dcm"
    shutil.copy(need_data(NODULE), named)
    folder = tmp_path / "new" / "maps"
    found = analysed([str(named), "--heatmaps", str(folder)], tmp_path)
    answer = found[named.name]
    assert len(answer["heatmaps"]) == len(answer["findings"]) == 4
    for heatmap in answer["heatmaps"]:
        assert heatmap["trust"] in {trust.value for trust in MapTrust}
        assert heatmap["file"] == f"{answer['image']['sha256'][:16]}-{heatmap['label'].casefold()}.png"
        with Image.open(folder / heatmap["file"]) as picture:
            assert picture.width == 1024
            assert picture.height > 1024
    assert {path.name for path in folder.iterdir()} == {heatmap["file"] for heatmap in answer["heatmaps"]}


def test_the_score_is_the_same_every_time_and_through_every_codec(need_data: NeedData, tmp_path: Path) -> None:
    names = ["dx_canon_pa_mono1_12bit_j2klossless.dcm", "tx_dx_canon_jpegls_lossless.dcm"]
    found = analysed([str(need_data(f"dicom/{name}")) for name in names], tmp_path)
    first, second = (found[name]["findings"][0]["score"] for name in names)
    assert first == second


def test_what_was_answered_stays_when_the_user_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (str(path) for path in sorted((resources_dir() / "samples").glob("child-*.png")))
    real = parts.read_film

    def stopped(films: Any, path: Path) -> Any:
        if str(path) == second:
            raise KeyboardInterrupt
        return real(films, path)

    monkeypatch.setattr(parts, "read_film", stopped)
    found = analysed([first, second], tmp_path, status=130)
    assert list(found) == [Path(first).name]


def test_answers_are_not_lost_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    sample = resources_dir() / "samples" / "child-1-normal.png"
    assert cli.main(["analyse", str(sample), "--json", str(tmp_path / "a.json")]) == 1
    told = capsys.readouterr()
    assert "There is no room on the disk" in told.err
    assert [answer["status"] for answer in json.loads(told.out)] == ["ok"]
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_fail_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = tmp_path / "models"
    shutil.copytree(resources_dir() / "models", bundles)
    weights = bundles / ADULTS / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\1"[-1:])
    monkeypatch.setattr(parts, "catalog", lambda: BundleCatalog([bundles]))
    sample = resources_dir() / "samples" / "adult-3-nodule.dcm"
    (answer,) = analysed([str(sample)], tmp_path, status=1).values()
    assert answer["code"] == "weights-damaged"
    assert answer["image"]["rows"] == 1024  # what is known of the film is said all the same
    assert cli.main(["report", str(sample), "-o", str(tmp_path / "a.png")]) == 1
    assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_no_model_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "catalog", lambda: BundleCatalog([tmp_path]))
    for arguments in (["analyse", "a.dcm"], ["report", "a.dcm", "-o", "a.png"], ["models", "list"]):
        assert cli.main(arguments) == 1
        assert "No model is installed." in capsys.readouterr().err


def test_cautions_stand_beside_the_scores_on_a_terminal_too(capsys: pytest.CaptureFixture[str]) -> None:
    card = replace(parts.choose_card(BundleCatalog(), None), proof=Proof("none-published"))
    answer = answers.failed(Path("a.dcm"), parts.failure_from(parts.no_such_file(), job="read"), card, None)
    assert answer["model"]["proof"] == "none-published"
    caution = {"code": "unproven", "text": "Not proven.", "tag": ""}
    answers.LineWriter().put(answer | {"status": "ok", "cautions": [caution]})
    assert "Caution: Not proven." in capsys.readouterr().out


def test_whose_calibration_a_score_carries_is_told_on_a_terminal_too(capsys: pytest.CaptureFixture[str]) -> None:
    card = parts.choose_card(BundleCatalog(), None)
    answer = answers.failed(Path("a.dcm"), parts.failure_from(parts.no_such_file(), job="read"), card, None)
    site = {"used": "site", "site": "St. Anna", "made": "2026-11-22", "films": 412, "patients": 400, "labels": ["x"]}
    answers.LineWriter().put(answer | {"status": "ok", "calibration": site})
    answers.LineWriter().put(answer | {"status": "ok", "calibration": {"used": "as shipped"}})
    first, second = capsys.readouterr().out.splitlines()
    assert "Scores calibrated for St. Anna (412 films, 2026-11-22)." in first
    assert "alibrated for" not in second


def test_a_name_that_is_no_text_does_not_stop_the_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"caf\xe9.dcm")
    card = parts.choose_card(BundleCatalog(), None)
    fault = parts.failure_from(parts.no_such_file(), job="read")
    answer = answers.failed(Path(odd), fault, card, None)
    answers.LineWriter().put(answer)
    assert "There is no such file." in capsys.readouterr().out
    writer = answers.JsonWriter(str(tmp_path / "a.json"))
    writer.put(answer)
    writer.close()
    assert (
        b"caf\xe9.dcm" in (tmp_path / "a.json").read_bytes() or b"caf\\udce9.dcm" in (tmp_path / "a.json").read_bytes()
    )
