"""Figures that mean what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.training.evaluate import as_text, auc, evaluate, save, subset_metrics
from cxr_viewer.training.films import FilmSet
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.plots import save_plots

SPEC = InputSpec(64, "stretch", crop_border=False, mean=0.0, std=1.0)


class _Brightness(nn.Module):
    """Scores by the mean grey of the middle (or of the frame)."""

    def __init__(self, *, frame: bool) -> None:
        super().__init__()
        self.frame = frame
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        middle = x[:, :, 16:48, 16:48].mean(dim=(2, 3))
        corner = x[:, :, :5, :5].mean(dim=(2, 3))
        return 20 * self.one * ((corner if self.frame else middle) - 0.5)


def _films(*, frame: bool) -> FilmSet:
    """Two hundred films of a hundred patients; the label is in the middle or in the frame."""
    chance = np.random.default_rng(1)
    labels = chance.integers(0, 2, 200)
    grey = chance.integers(0, 256, (200, 192, 192)).astype(np.uint8) // 4 + 90
    for film, label in zip(grey, labels, strict=True):
        level = int(np.clip(chance.normal(170 if label else 85, 30), 0, 255))
        if frame:
            film[:24], film[-24:], film[:, :24], film[:, -24:] = level, level, level, level
        else:
            film[40:-40, 40:-40] = level
    areas = np.tile(np.array([0.0, 0.0, 192.0, 192.0]), (200, 1))
    records = tuple(FilmRecord(Path(f"{i}.png"), (float(label),), f"p{i // 2}") for i, label in enumerate(labels))
    return FilmSet(grey, areas, labels[:, None].astype(np.float32), records)


def test_figures_agree_with_the_confusion_matrix() -> None:
    films = _films(frame=False)
    found = evaluate(_Brightness(frame=False), films, SPEC, Calibration(), 0.5, "made films", resamples=200)
    (tn, fp), (fn, tp) = found.confusion
    assert tn + fp + fn + tp == found.films == 200
    assert tp + fn == found.positives == int(films.labels.sum())
    assert found.patients == 100
    assert found.metric("sensitivity").value == pytest.approx(tp / (tp + fn))
    assert found.metric("specificity").value == pytest.approx(tn / (tn + fp))
    assert found.metric("accuracy").value == pytest.approx((tn + tp) / 200)
    assert found.metric("AUC").value > 0.9
    for metric in found.metrics:
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.value <= metric.high or metric.name == "calibration error (ECE)"


def test_leaning_on_the_frame_is_found_out() -> None:
    cheat = evaluate(_Brightness(frame=True), _films(frame=True), SPEC, Calibration(), 0.5, "x", resamples=50)
    assert cheat.metric("AUC, centre blanked 70%").value > 0.9
    assert cheat.metric("AUC of the frame's own label").value > 0.9
    assert cheat.metric("AUC, frame of another film").value < 0.65
    fair = evaluate(_Brightness(frame=False), _films(frame=False), SPEC, Calibration(), 0.5, "x", resamples=50)
    assert fair.metric("AUC, centre blanked 70%").value == pytest.approx(0.5, abs=0.1)
    assert fair.metric("AUC of the frame's own label").value == pytest.approx(0.5, abs=0.12)
    assert fair.metric("AUC, frame of another film").value > 0.9


def test_intervals_draw_patients_not_films() -> None:
    """Ten films of each of twenty patients are as uncertain as twenty films, not as two hundred."""
    films = _films(frame=False)
    records = tuple(replace(films.records[i // 10], patient=f"p{i // 10}") for i in range(200))
    few = FilmSet(
        np.repeat(films.grey[:20], 10, axis=0), films.areas, np.repeat(films.targets[:20], 10, axis=0), records
    )
    narrow = evaluate(_Brightness(frame=False), films, SPEC, Calibration(), 0.5, "x", resamples=200, probes=False)
    wide = evaluate(_Brightness(frame=False), few, SPEC, Calibration(), 0.5, "x", resamples=200, probes=False)

    def width(name: str) -> tuple[float, float]:
        pair = []
        for found in (narrow, wide):
            metric = found.metric(name)
            assert metric.low is not None
            assert metric.high is not None
            pair.append(metric.high - metric.low)
        return pair[0], pair[1]

    small, large = width("Brier score")
    assert large > 1.8 * small


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    chance = np.random.default_rng(4)
    labels = chance.integers(0, 2, 500)
    scores = np.round(chance.normal(labels, 1.0), 1)  # with ties
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert np.isnan(auc(np.ones(5, dtype=np.int64), scores[:5]))


def test_a_subset_is_measured_at_the_same_operating_point() -> None:
    found = evaluate(_Brightness(frame=False), _films(frame=False), SPEC, Calibration(), 0.5, "x", probes=False)
    half = subset_metrics(found, lambda _, patient: int(patient[1:]) < 50, "half")
    assert half[0].count == 100
    whole = subset_metrics(found, lambda *_: True, "whole")
    assert [m.value for m in whole] == pytest.approx([m.value for m in found.metrics])


def test_what_is_saved_can_be_read(tmp_path: Path) -> None:
    found = evaluate(
        _Brightness(frame=False), _films(frame=False), SPEC, Calibration(), 0.5, "made films", resamples=50
    )
    save(found, tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert content["metrics"][0]["name"] == "AUC"
    assert len((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()) == 201
    text = (tmp_path / "evaluation.txt").read_text(encoding="utf-8")
    assert text == as_text(found)
    for word in ("Confusion matrix", "precision", "calibration error", "centre blanked"):
        assert word in text
    for plot in save_plots(found, tmp_path):
        assert plot.read_bytes().startswith(b"\x89PNG")
