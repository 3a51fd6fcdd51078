"""What the audit trail is told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytestqt.qtbot import QtBot

from cxr_viewer.core.findings import AnalysisResult, InputSpec, LabelSpec, ModelCard, Proof, ScoreKind
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.services import events as ev
from cxr_viewer.services.audit import AuditTrail
from cxr_viewer.services.records import Redactor
from cxr_viewer.ui.recorder import Recorder


def test_a_film_whose_preview_came_first_was_opened_once(
    make_film: Callable[..., Radiograph], qtbot: QtBot, tmp_path: Path
) -> None:
    film = make_film([[0, 1], [2, 3]])
    other = replace(film, key=replace(film.key, frame=1))
    recorder = Recorder(AuditTrail(tmp_path / "audit.jsonl"), Redactor())
    for event in (
        ev.ImageLoaded(0, 4, replace(film, preview=True)),
        ev.ImageLoaded(0, 4, film),
        ev.ImageLoaded(1, 5, film),
        ev.ImageLoaded(0, 6, other),
    ):
        recorder.happened(event)
    recorder.close()
    written = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in written] == ["opened"] * 3


def test_models_that_come_and_go_and_answers_shown_again_are_written_down(
    make_film: Callable[..., Radiograph], qtbot: QtBot, tmp_path: Path
) -> None:
    film, whole = make_film([[0, 1], [2, 3]]), ImageRect(0, 0, 2, 2)
    card = ModelCard(
        "adult", "Adult", "2", "n", "ab" * 32, "", (LabelSpec("A", 0.5),), ScoreKind.CALIBRATED,
        InputSpec(64, "pad", False, 0.5, 0.2), 1.0, 0.0, None, (), "Tests.", "nothing", proof=Proof("none-published"),
    )  # fmt: skip
    answer = AnalysisResult(0, 1, film.key, "adult", "Adult", "2", "ab" * 32, (), (), whole, "CPU (OpenVINO int8)", 0.1)
    recorder = Recorder(AuditTrail(tmp_path / "audit.jsonl"), Redactor())
    for event in (
        ev.ModelsChanged((card,)),
        ev.AnalysisArrived(answer),
        ev.AnalysisArrived(replace(answer, kept=True, cautions=(Caution("unproven", "Not proven."),))),
        ev.ModelsChanged(()),
    ):
        recorder.happened(event)
    recorder.close()
    written = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in written] == ["models", "analysed", "analysed", "models"]
    there = {"model": "adult", "version": "2", "sha256": "ab" * 32, "proof": "none-published"}
    assert (written[0]["models"], written[3]["models"]) == ([there], [])
    assert [(entry["kept"], entry["cautions"]) for entry in written[1:3]] == [(False, []), (True, ["unproven"])]
    assert written[1]["device"] == "CPU (OpenVINO int8)"
