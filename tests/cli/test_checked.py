"""The film check and the cardiothoracic ratio in the answers of ``analyse``, and what may be wished of a film."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_viewer.cli import parts
from cxr_viewer.cli.answers import LineWriter, answer_of
from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.filmcheck import FilmCheck, FilmCheckError, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Finding, ScoreKind, SiteCalibration, Withheld
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import Caution, ImageKey, Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.services.ports import ModelRunner
from cxr_viewer.services.state import Pane

CALLIPERS = Callipers((Point(50, 0), Point(50, 100)), (Point(40, 50), Point(82.5, 50)), (Point(0, 60), Point(90, 60)))
FOUND = Anatomy(
    "anatomy",
    "Anatomy",
    "1",
    "a" * 64,
    (ImageRect(0, 0, 45, 90), ImageRect(50, 0, 40, 90)),
    ImageRect(40, 40, 42.5, 30),
    (),
    CALLIPERS,
    0.04,
    trusted=True,
    heart_side=0.3,
)


class Guarded(ModelRunner):
    """A model behind a guard that stops every film that is not given to it turned by ``needs``."""

    def __init__(self, needs: int, severity: Severity = Severity.BLOCK) -> None:
        self.needs, self.severity = needs, severity
        self.requests: list[AnalysisRequest] = []

    def analyse(self, request: AnalysisRequest, cancel: CancelToken, report: Callable[[str], None]) -> AnalysisResult:
        self.requests.append(request)
        wrong = request.turns != self.needs
        signs = (Sign("turned", "This film is turned.", self.severity, "Turn it."),) if wrong else ()
        check = FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.NETWORK, self.needs, signs, "guard", "1", "b" * 64)
        if check.blocking and not request.override:
            raise FilmCheckError(check)
        return AnalysisResult(
            request.pane,
            request.generation,
            request.image.key,
            request.model_id,
            "Model",
            "1",
            "0" * 64,
            (Finding("Effusion", 0.7, ScoreKind.CALIBRATED, 0.5),),
            (),
            ImageRect(0, 0, 8, 8),
            "CPU",
            0.1,
            limits=tuple(sign.caution for sign in signs),
            anatomy=FOUND,
            check=check,
            overridden=tuple(sign.code for sign in signs),
            turns=request.turns,
            withheld=(Withheld("Edema", "Offered on AP films only; this is a PA film."),),
            site=SiteCalibration("St. Anna", "2026-11-22", 400, 390, ()),
        )


@pytest.fixture
def film() -> Radiograph:
    stored = np.arange(64, dtype=np.uint8).reshape(8, 8)
    return Radiograph(ImageKey("1", "2", "3"), Path("film.dcm"), stored, 8, "MONOCHROME2", "DX")


def asked(film: Radiograph, model: Guarded, wish: parts.Wish) -> Pane:
    return parts.ask(parts.opened(film, "model", "auto"), model, wish).panes[0]


def answered(film: Radiograph, model: Guarded, wish: parts.Wish) -> dict[str, Any]:
    answer = answer_of(film.path, asked(film, model, wish), None)
    told: dict[str, Any] = json.loads(json.dumps(answer, allow_nan=False))
    return told


def test_a_stopped_film_is_refused_with_all_that_was_seen(film: Radiograph) -> None:
    answer = answered(film, Guarded(1), parts.Wish())
    assert (answer["status"], answer["code"], answer["hint"]) == ("refused", "turned", "Turn it.")
    assert answer["check"]["upright_turns"] == 1
    (sign,) = answer["check"]["signs"]
    assert (sign["code"], sign["severity"], sign["share"]) == ("turned", "block", 1.0)
    assert (answer["check"]["kind"], answer["check"]["view"], answer["check"]["view_source"]) == (
        "frontal",
        "PA",
        "network",
    )
    assert answer["anatomy"] is None
    assert answer["findings"] == []


@pytest.mark.parametrize(
    ("wish", "requests", "overridden"),
    [
        (parts.Wish(turn="90"), [(1, False)], []),
        (parts.Wish(turn="auto"), [(0, False), (1, False)], []),
        (parts.Wish(override=True), [(0, False), (0, True)], ["turned"]),
        (parts.Wish(turn="270", override=True), [(3, False), (3, True)], ["turned"]),
        (parts.Wish(turn="auto", override=True), [(0, False), (1, False)], []),
    ],
)
def test_wishes_are_done_as_in_the_window(
    film: Radiograph, wish: parts.Wish, requests: list[tuple[int, bool]], overridden: list[str]
) -> None:
    model = Guarded(1)
    answer = answered(film, model, wish)
    assert [(request.turns, request.override) for request in model.requests] == requests
    assert (answer["status"], answer["overridden"], answer["turns"]) == ("ok", overridden, requests[-1][0])


def test_a_film_with_nothing_against_it_is_asked_about_once(film: Radiograph) -> None:
    model = Guarded(0)
    answer = answered(film, model, parts.Wish(turn="auto", override=True))
    assert len(model.requests) == 1
    assert answer["overridden"] == []


def test_ratio_boxes_and_callipers_are_told_in_pixels(film: Radiograph) -> None:
    anatomy = answered(film, Guarded(0), parts.Wish())["anatomy"]
    assert (anatomy["ctr"], anatomy["error"], anatomy["trusted"]) == (round(42.5 / 90, 4), 0.04, True)
    assert anatomy["lungs"][1] == {"x": 50, "y": 0, "width": 40, "height": 90}
    assert anatomy["heart"]["width"] == 42.5
    assert anatomy["callipers"]["heart"] == [[40, 50], [82.5, 50]]
    assert anatomy["sentence"].startswith("Cardiothoracic ratio 0.47 \N{PLUS-MINUS SIGN} 0.04.")
    assert anatomy["model"]["sha256"] == "a" * 64


def test_withheld_findings_and_the_calibration_are_told(film: Radiograph) -> None:
    answer = answered(film, Guarded(0), parts.Wish())
    assert answer["withheld"] == [{"label": "Edema", "reason": "Offered on AP films only; this is a PA film."}]
    assert (answer["calibration"]["used"], answer["calibration"]["site"]) == ("site", "St. Anna")


def test_a_line_says_what_was_checked_and_measured(film: Radiograph, capsys: pytest.CaptureFixture[str]) -> None:
    LineWriter().put(answered(film, Guarded(1), parts.Wish(override=True)) | {"seconds": 0.1})
    first, second = capsys.readouterr().out.splitlines()
    assert "Edema: Offered on AP films only; this is a PA film." in first
    assert second.startswith("  Film check: Frontal film, PA read from the picture")
    assert "Cardiothoracic ratio 0.47" in second
    assert second.endswith("Scored all the same: This film is turned.")


def test_no_ratio_is_told_with_its_reason(film: Radiograph, monkeypatch: pytest.MonkeyPatch) -> None:
    caution = Caution("anatomy-not-trusted", "Only one lung was found on this film; nothing is measured.")
    without = replace(FOUND, callipers=None, trusted=False, lungs=(), heart=None, cautions=(caution,))
    monkeypatch.setitem(globals(), "FOUND", without)
    anatomy = answered(film, Guarded(0), parts.Wish())["anatomy"]
    assert (anatomy["ctr"], anatomy["callipers"], anatomy["heart"], anatomy["lungs"]) == (None, None, None, [])
    assert anatomy["sentence"] == f"No cardiothoracic ratio. {caution.text}"
