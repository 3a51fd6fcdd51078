"""A report is made of what the pane shows, and of nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.findings import (
    AnalysisResult,
    Finding,
    InputSpec,
    LabelSpec,
    ModelCard,
    Refusal,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import Failure
from cxr_viewer.services.report import make_report
from cxr_viewer.services.session import default_display
from cxr_viewer.services.state import AnalysisStatus, Pane, PaneStatus

CREATED = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
KEY = ImageKey("1", "2", "3")
IMAGE = Radiograph(KEY, Path("film.dcm"), np.zeros((8, 8), np.uint8), 8, "MONOCHROME2", "DX")
CARD = ModelCard(
    "m", "Model", "1", "net", "ab" * 32, "", (LabelSpec("A", 0.5),), ScoreKind.CALIBRATED,
    InputSpec(64, "pad", False, 0.5, 0.2), 1.0, 0.0, None, (), "Tests.", "nothing",
)  # fmt: skip
RESULT = AnalysisResult(
    pane=0, generation=1, key=KEY, model_id="m", model_name="Model", model_version="1", model_sha256="ab" * 32,
    findings=(
        Finding("Low", 0.2, ScoreKind.CALIBRATED, 0.5),
        Finding("Rare but called", 0.3, ScoreKind.CALIBRATED, 0.1),
        Finding("High", 0.9, ScoreKind.CALIBRATED, 0.5),
    ),
    heatmaps=(), seen=ImageRect(0, 0, 8, 8), device="CPU", elapsed_s=0.1,
)  # fmt: skip
PANE = Pane(status=PaneStatus.SHOWN, image=IMAGE, display=default_display(IMAGE), opinion="Fine.")


def test_what_is_on_screen_is_in_the_report() -> None:
    marks = (Mark(1, MarkKind.TEXT, (Point(1, 1),), "here"),)
    pane = replace(PANE, marks=marks, result=RESULT, analysis=AnalysisStatus.READY)
    report = make_report(pane, CARD, with_identity=True, program_version="1.2", created=CREATED)
    assert (report.image, report.display, report.marks) == (IMAGE, pane.display, marks)
    assert (report.opinion, report.with_identity, report.program_version) == ("Fine.", True, "1.2")
    assert report.created == CREATED
    assert report.card is CARD
    assert report.result is not None
    assert [finding.label for finding in report.result.findings] == ["High", "Rare but called", "Low"]
    assert report.no_result_reason == ""


def test_hidden_marks_stay_hidden() -> None:
    pane = replace(PANE, marks=(Mark(1, MarkKind.TEXT, (Point(1, 1),), "here"),))
    report = make_report(pane, None, with_identity=False, program_version="1", created=CREATED, marks_visible=False)
    assert report.marks == ()


def test_the_card_of_other_weights_is_not_taken() -> None:
    pane = replace(PANE, result=RESULT, analysis=AnalysisStatus.READY)
    other = replace(CARD, sha256="cd" * 32)
    assert make_report(pane, other, with_identity=False, program_version="1", created=CREATED).card is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "No model has looked at this film."),
        ({"analysis": AnalysisStatus.RUNNING}, "The model had not finished when this report was made."),
        (
            {"analysis": AnalysisStatus.REFUSED, "refusal": Refusal(0, 1, KEY, "m", "x", "It is a hand.")},
            "The model did not look at this film: It is a hand.",
        ),
        (
            {"analysis": AnalysisStatus.FAILED, "analysis_failure": Failure(0, 1, "analysis", "x", "It broke.")},
            "The analysis failed: It broke.",
        ),
    ],
)
def test_why_there_are_no_findings(changes: dict[str, object], reason: str) -> None:
    pane = replace(PANE, **changes)  # type: ignore[arg-type]
    report = make_report(pane, CARD, with_identity=False, program_version="1", created=CREATED)
    assert report.result is None
    assert report.no_result_reason == reason


def test_without_a_film_there_is_no_report() -> None:
    with pytest.raises(ExportError) as caught:
        make_report(Pane(), CARD, with_identity=False, program_version="1", created=CREATED)
    assert caught.value.code == "no-film"


def test_a_preview_is_not_reported() -> None:
    with pytest.raises(ExportError) as refused:
        make_report(
            replace(PANE, image=replace(IMAGE, preview=True)),
            CARD,
            with_identity=False,
            program_version="1",
            created=CREATED,
        )
    assert refused.value.code == "preview"
    assert "lower resolution" in refused.value.summary
    assert refused.value.hint
