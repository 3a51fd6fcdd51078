"""Real films, and reports about them, for the tests of what is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.display import DisplayState, OverlayState
from cxr_viewer.core.findings import (
    AnalysisResult,
    Finding,
    Heatmap,
    InputSpec,
    LabelSpec,
    ModelCard,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, PatientInfo, Radiograph, StudyInfo
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.report import Report
from cxr_viewer.services.session import default_display
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

ReadFilm = Callable[[str], Radiograph]
MakeReport = Callable[..., Report]

SECRETS = {
    "name": "Quellmalz^Xaver=山田^太郎",
    "id": "PID-778899",
    "born": dt.date(1957, 11, 23),
    "accession": "ACC-554433",
    "institution": "Hospital Quisisana",
    "description": "Thorax Quellmalz",
    "series": "Serie Quellmalz",
    "date": dt.date(2019, 8, 27),
}


@pytest.fixture(scope="session")
def film(need_data: Callable[[str], Path]) -> ReadFilm:
    """``film("dicom/x.dcm")``: a film of the shared data, read once by the program's own reader."""
    known: dict[str, Radiograph] = {}

    def read(relative: str) -> Radiograph:
        if relative not in known:
            token = CancelToken()
            reader = SandboxReader(Sandbox(1))
            try:
                known[relative] = reader.read(reader.describe(need_data(relative), token).image, token)
            finally:
                reader.close()
        return known[relative]

    return read


@pytest.fixture(scope="session")
def grey_film() -> Callable[..., Radiograph]:
    """``grey_film(rows, columns, **changes)``: a film with a different value in each corner region."""

    def make(rows: int = 120, columns: int = 90, **changes: Any) -> Radiograph:
        y, x = np.mgrid[0:rows, 0:columns]
        stored = (x * 150 // columns + y * 100 // rows).astype(np.uint8)
        fields: dict[str, Any] = {
            "key": ImageKey("1", "2", "3"),
            "path": Path("film.dcm"),
            "stored": stored,
            "bits_stored": 8,
            "photometric": "MONOCHROME2",
            "modality": "DX",
            "source_sha256": "0f" * 32,
        }
        return Radiograph(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return ModelCard(
        model_id="test-model",
        name="Test model",
        version="2.3.4",
        network="cxr-small",
        sha256="c0ffee00" * 8,
        licence="Apache-2.0",
        labels=(LabelSpec("Pneumonia", 0.42),),
        score_kind=ScoreKind.CALIBRATED,
        input=InputSpec(192, "stretch", True, 0.5, 0.25),
        temperature=1.0,
        bias=0.0,
        intended_ages=(1.0, 5.0),
        intended_views=("PA", "AP"),
        intended_use="For tests only.",
        trained_on="nothing",
    )


@pytest.fixture(scope="session")
def make_report(card: ModelCard) -> MakeReport:
    """``make_report(image, score=0.8, map_shown=True, **changes)``: a report with one finding and its map."""

    def make(
        image: Radiograph,
        *,
        score: float | None = 0.8,
        limits: tuple[Any, ...] = (),
        overlay: OverlayState | None = None,
        display: DisplayState | None = None,
        **changes: Any,
    ) -> Report:
        shown = display or default_display(image)
        result = None if score is None else result_for(image, card, score, limits)
        fields: dict[str, Any] = {
            "image": image,
            "display": replace(shown, overlay=overlay) if overlay else shown,
            "marks": (),
            "result": result,
            "card": card,
            "no_result_reason": "" if result else "Nobody asked.",
            "opinion": "",
            "with_identity": False,
            "created": dt.datetime(2026, 3, 4, 5, 6, tzinfo=dt.UTC),
            "program_version": "9.9.9",
        }
        return Report(**(fields | changes))

    return make


def result_for(image: Radiograph, card: ModelCard, score: float, limits: tuple[Any, ...]) -> AnalysisResult:
    values = np.zeros((8, 8), np.float32)
    values[5, 2] = 1.0
    extent = ImageRect(0, 0, image.columns, image.rows)
    finding = Finding("Pneumonia", score, ScoreKind.CALIBRATED, 0.42)
    heatmap = Heatmap("Pneumonia", values, extent)
    return AnalysisResult(
        pane=0,
        generation=1,
        key=image.key,
        model_id=card.model_id,
        model_name=card.name,
        model_version=card.version,
        model_sha256=card.sha256,
        findings=(finding,),
        heatmaps=(heatmap,),
        seen=extent,
        device="CPU (test)",
        elapsed_s=0.25,
        limits=limits,
    )


@pytest.fixture(scope="session")
def with_secrets() -> Callable[[Radiograph], Radiograph]:
    """A film with a patient and a study whose every word is easy to find again."""

    def tell(image: Radiograph) -> Radiograph:
        patient = PatientInfo(SECRETS["id"], SECRETS["name"], SECRETS["born"], "M", 61.8)
        study = StudyInfo(
            SECRETS["date"],
            "134501.000",
            SECRETS["description"],
            SECRETS["series"],
            SECRETS["accession"],
            SECRETS["institution"],
        )
        return replace(image, patient=patient, study=study, path=Path("/films/Quellmalz/778899.dcm"))

    return tell


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every piece of text that reaches the picture, in order, as it reaches Pillow."""
    from PIL import ImageDraw

    seen: list[str] = []
    real = ImageDraw.ImageDraw.text

    def spy(self: Any, xy: Any, text: str, *args: Any, **options: Any) -> None:
        seen.append(text)
        real(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", spy)
    return seen
