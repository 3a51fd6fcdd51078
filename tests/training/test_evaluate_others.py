"""Outlines and the film check, measured on films whose answer is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import AnalysisRequest, LabelSpec, ModelCard, ScoreKind, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.heatmaps import Heatmap, MapScale
from cxr_viewer.core.image import View
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.training.asking import Asked
from cxr_viewer.training.evaluate_others import dice, evaluate_check, evaluate_outlines, outline_distance
from cxr_viewer.training.reports import others


def _disc(radius: float, side: int = 96) -> NDArray[np.bool_]:
    y, x = np.indices((side, side)) - (side - 1) / 2
    return np.asarray(np.hypot(x, y) <= radius)


def test_dice_and_distance_of_discs() -> None:
    small, large = _disc(20), _disc(25)
    assert dice(small, small) == 1
    assert dice(small, ~small & (_disc(200))) == 0
    assert dice(small, large) == pytest.approx(2 * 20**2 / (20**2 + 25**2), abs=0.01)
    assert outline_distance(small, small) == 0
    assert outline_distance(small, large) == pytest.approx(5, abs=0.5)  # an outline is made of whole cells
    assert np.isnan(outline_distance(small, np.zeros_like(small)))


def _card(task: Task, *names: str) -> ModelCard:
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    labels = tuple(LabelSpec(name, 0.5) for name in names)
    return replace(card, task=task, labels=labels, score_kind=ScoreKind.UNCALIBRATED)


def _films(folder: Path, rows: list[dict[str, str]]) -> Asked:
    chance = np.random.default_rng(0)
    for row in rows:
        cv2.imwrite(str(folder / row["path"]), chance.integers(0, 255, (96, 96), dtype=np.uint8))
    with (folder / "site.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Asked(folder / "site.csv", quiet=True)


class _Runner:
    """Answers every film by its file's name."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.views: list[View] = []

    def analyse(self, request: AnalysisRequest, cancel: object, report: Callable[[str], None]) -> Any:
        self.views.append(request.image.view)
        return self.answers[request.image.path.name]


def _outlined(**masks: NDArray[np.bool_]) -> Any:
    extent = ImageRect(0, 0, 96, 96)
    maps = [
        Heatmap(name, mask.astype(np.float32), extent, "outline", MapScale.PROBABILITY) for name, mask in masks.items()
    ]
    return SimpleNamespace(heatmaps=tuple(maps))


def test_outlines_are_held_against_masks(tmp_path: Path) -> None:
    names = ["one.png", "two.png", "three.png"]
    rows = [{"path": name, "patient": name, "mask": f"mask-{name}" if name != "three.png" else ""} for name in names]
    truth = _disc(40).astype(np.uint8)
    truth[_disc(15)] = 2
    for name in names[:2]:
        cv2.imwrite(str(tmp_path / f"mask-{name}"), truth)
    asked = _films(tmp_path, rows)
    right = _outlined(Lungs=_disc(40) & ~_disc(15), Heart=_disc(15))
    wrong = _outlined(Lungs=_disc(40) & ~_disc(15), Heart=_disc(20))
    runner = _Runner({"one.png": right, "two.png": wrong, "three.png": right})
    found = evaluate_outlines(_card(Task.SEGMENT, "Lungs", "Heart"), runner, asked)
    by = {metric.name: metric for metric in found.metrics}
    assert by["Dice, Lungs"].value == pytest.approx(1, abs=0.01)
    assert by["Dice, Heart"].value == pytest.approx((1 + dice(_disc(15), _disc(20))) / 2, abs=0.02)
    assert by["distance of the outlines, in % of the film's height, Heart"].value == pytest.approx(
        100 * (5 / 2) / 96, abs=0.4
    )
    assert by["Dice, Heart"].count == 2
    assert found.skipped == {"no mask": 1}
    others.save(found, tmp_path / "out")
    assert "1 of 3 films were not measured: no mask" in (tmp_path / "out" / "evaluation.html").read_text("utf-8")


def test_a_mask_of_one_value_is_of_the_first_structure(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), _disc(30).astype(np.uint8) * 255)
    asked = _films(tmp_path, [{"path": "one.png", "patient": "1", "mask": "mask.png"}])
    runner = _Runner({"one.png": _outlined(Lungs=_disc(30), Heart=_disc(10))})
    found = evaluate_outlines(_card(Task.SEGMENT, "Lungs", "Heart"), runner, asked)
    assert {metric.name.split(", ")[-1] for metric in found.metrics} == {"Lungs"}


def test_an_index_without_masks_is_refused(tmp_path: Path) -> None:
    asked = _films(tmp_path, [{"path": "one.png", "patient": "1"}])
    with pytest.raises(CxrError, match="names no masks"):
        evaluate_outlines(_card(Task.SEGMENT, "Lungs"), _Runner({}), asked)


def test_films_and_masks_that_cannot_be_read_are_left_out_where_that_is_allowed(tmp_path: Path) -> None:
    rows = [{"path": f"{name}.png", "patient": name, "mask": f"mask-{name}.png"} for name in ("one", "two", "three")]
    asked = _films(tmp_path, rows)
    for name in ("one", "two"):
        cv2.imwrite(str(tmp_path / f"mask-{name}.png"), _disc(30).astype(np.uint8))
    (tmp_path / "mask-three.png").write_bytes(b"no picture")
    (tmp_path / "two.png").write_bytes(b"no picture")
    card, runner = _card(Task.SEGMENT, "Lungs"), _Runner({"one.png": _outlined(Lungs=_disc(30))})
    with pytest.raises(CxrError, match=r"(?s)A film cannot be read:.*line 4: The mask “mask-three.png”"):
        evaluate_outlines(card, runner, asked)
    assert runner.views == []  # masks are looked at before any film is asked about
    with pytest.raises(CxrError, match=r"(?s)line 4: .*line 3: two.png: ") as fault:
        evaluate_outlines(card, runner, replace(asked, allowed=1))
    assert "now 1" in fault.value.hint
    found = evaluate_outlines(card, runner, replace(asked, allowed=2))
    assert {metric.count for metric in found.metrics} == {1}
    assert [place for place, _ in found.unreadable] == ["site.csv, line 4", "site.csv, line 3"]
    others.save(found, tmp_path / "out")
    page = (tmp_path / "out" / "evaluation.html").read_text("utf-8")
    assert "because they could not be read: 2 (site.csv, line 4, site.csv, line 3)" in page
    assert any("two.png" in line for line in others.as_lines(found))
    (tmp_path / "one.png").unlink()
    (tmp_path / "one.png").write_bytes(b"no picture")
    with pytest.raises(CxrError, match=r"None of 3 films could be measured \(none could be read\)"):
        evaluate_outlines(card, runner, replace(asked, allowed=3))


def _check(kind: FilmKind, turns: int, *codes: str, view: View = View.PA) -> Any:
    signs = tuple(Sign(code, code, Severity.BLOCK) for code in codes)
    return SimpleNamespace(check=FilmCheck(kind, view, ViewSource.NETWORK, turns, signs))


def test_the_film_check_is_held_against_the_index(tmp_path: Path) -> None:
    rows = [
        {"path": "a.png", "patient": "1", "kind": "frontal", "turn": "0", "polarity": "normal", "view": "PA"},
        {"path": "b.png", "patient": "2", "kind": "frontal", "turn": "90", "polarity": "inverted", "view": "AP"},
        {"path": "c.png", "patient": "3", "kind": "lateral", "turn": "", "polarity": "", "view": ""},
        {"path": "d.png", "patient": "4", "kind": "", "turn": "", "polarity": "", "view": "PA"},
    ]
    asked = _films(tmp_path, rows)
    runner = _Runner(
        {
            "a.png": _check(FilmKind.FRONTAL, 0),
            "b.png": _check(FilmKind.FRONTAL, 1, "turned"),
            "c.png": _check(FilmKind.FRONTAL, 0),
            "d.png": _check(FilmKind.FRONTAL, 0, view=View.UNKNOWN),
        }
    )
    found = evaluate_check(_card(Task.GUARD, "x"), _card(Task.CLASSIFY, "x"), runner, asked)
    assert runner.views == [View.UNKNOWN] * 4  # not told what it is to find out
    by = {metric.name: (round(metric.value, 3), metric.count) for metric in found.metrics}
    assert by == {
        "accuracy, kind": (0.667, 3),
        "accuracy, turn": (1.0, 2),
        "accuracy, polarity": (0.5, 2),
        "share with an answer, view": (0.667, 3),
        "accuracy, view where answered": (0.5, 2),
    }
    kind = next(table for table in found.tables if table.title == "kind")
    assert (kind.names, kind.counts) == (("frontal", "lateral"), ((2, 0), (1, 0)))
    others.save(found, tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["tables"][0]["films"] == [[2, 0], [1, 0]]


def test_the_film_check_leaves_out_what_cannot_be_read_where_that_is_allowed(tmp_path: Path) -> None:
    asked = _films(tmp_path, [{"path": f"{name}.png", "patient": name, "kind": "frontal"} for name in "ab"])
    (tmp_path / "b.png").write_bytes(b"no picture")
    cards = _card(Task.GUARD, "x"), _card(Task.CLASSIFY, "x")
    runner = _Runner({"a.png": _check(FilmKind.FRONTAL, 0)})
    with pytest.raises(CxrError, match=r"(?s)A film cannot be read:.*line 3: b.png: "):
        evaluate_check(*cards, runner, asked)
    found = evaluate_check(*cards, runner, replace(asked, allowed=1))
    assert [(one.name, one.value, one.count) for one in found.metrics] == [("accuracy, kind", 1.0, 1)]
    assert [place for place, _ in found.unreadable] == ["site.csv, line 3"]


def test_an_index_that_says_nothing_of_the_check_is_told_before_any_film_is_asked_about(tmp_path: Path) -> None:
    asked = _films(tmp_path, [{"path": "a.png", "patient": "1"}])
    runner = _Runner({})
    with pytest.raises(CxrError, match="nothing in the columns kind, turn, polarity, view"):
        evaluate_check(_card(Task.GUARD, "x"), _card(Task.CLASSIFY, "x"), runner, asked)
    assert runner.views == []
