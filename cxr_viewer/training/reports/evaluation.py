"""``evaluation.html``, ``evaluation.json`` and ``scores.csv`` of one model on one's own films."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.findings import Metric, ModelCard, ScoreKind
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.evaluating import LabelFigures, Measured
from cxr_viewer.training.measure import AUC, LEAST, SENSITIVITY, SPECIFICITY
from cxr_viewer.training.reports import html
from cxr_viewer.training.reports.pictures import Picture
from cxr_viewer.training.reports.plots import as_image, curves

PAGE_NAME, JSON_NAME, SCORES_NAME = "evaluation.html", "evaluation.json", "scores.csv"
_GROUP_HEADS = ("Part of the films", "Films", "With it", "AUC", "95 %", "Sensitivity", "95 %", "Specificity", "95 %")


def save(
    found: Measured,
    answers: Answers,
    folder: Path,
    pictures: Mapping[tuple[int, str], Picture] | None = None,
    *,
    names: bool = False,
) -> None:
    """Write the three files into ``folder``.

    Args:
        pictures: of the worst errors, by row of the answers and finding.
        names: also tell file names; otherwise films go by their number, which ``scores.csv`` gives with the line of the
            index.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html.write(evaluation_page(found, answers, pictures or {}, names=names), folder / PAGE_NAME)
    text = json.dumps(as_dict(found), indent=1, allow_nan=False) + "\n"
    (folder / JSON_NAME).write_text(text, encoding="utf-8")
    save_scores(answers, folder / SCORES_NAME, names=names)


def save_scores(answers: Answers, path: Path, *, names: bool) -> None:
    """One line per film: number, line of the index, split, view, then truth, score and logit of each finding."""
    heads = ["number", "line", "split", "view", "film_check", *(["file"] if names else [])]
    heads += [f"{label} {what}" for label in answers.labels for what in ("truth", "score", "logit")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        for row, record in enumerate(answers.records):
            values = np.stack([answers.truth[row], answers.scores[row], answers.logits[row]], axis=1).ravel()
            about = [row + 1, record.place, record.split, record.view, " ".join(answers.blocked[row])]
            about += [record.path.name] if names else []
            writer.writerow([*about, *(f"{value:.6g}" if np.isfinite(value) else "" for value in values)])


def as_dict(found: Measured) -> dict[str, Any]:
    """What was measured as plain values; documented in docs/evaluating.md."""
    return {
        "model": model_dict(found.card),
        "data": found.data,
        "films": found.films,
        "patients": found.patients,
        "device": found.device,
        "refused": dict(found.refused),
        "unreadable": [place for place, _ in found.unreadable],
        "film_check": dict(found.blocked),
        "not_measured": dict(found.left_out),
        "too_few_for": {label: list(groups) for label, groups in found.small.items()},
        "labels": [_label_dict(label) for label in found.labels],
    }


def model_dict(card: ModelCard) -> dict[str, Any]:
    """Which model, which weights and whose calibration."""
    site = None if card.site is None else card.site.text
    return {"id": card.model_id, "name": card.name, "version": card.version, "sha256": card.sha256, "calibration": site}


def metric_dict(metric: Metric) -> dict[str, Any]:
    return {name: value for name, value in asdict(metric).items() if value not in ("", None)}


def _label_dict(found: LabelFigures) -> dict[str, Any]:
    return {
        "name": found.name,
        "score": found.kind.value,
        "threshold": found.threshold,
        "films": found.films,
        "positives": found.positives,
        "metrics": [metric_dict(metric) for metric in (*found.metrics, *found.groups)],
        "confusion": [list(row) for row in found.confusion],
        "classification_report": found.report,
        "roc": found.roc.round(5).tolist(),
        "precision_recall": found.precision_recall.round(5).tolist(),
        "reliability": [asdict(part) for part in found.bins],
    }


# ---------------------------------------------------------------- the page


def evaluation_page(
    found: Measured, answers: Answers, pictures: Mapping[tuple[int, str], Picture], *, names: bool
) -> str:
    """The page as one text."""
    card = found.card
    calibration = "as shipped" if card.site is None else f"calibrated for {card.site.text}"
    under = f"{found.data}: {found.films} films of {found.patients} patients. Scores {calibration}. {card.intended_use}"
    parts = [
        html.note(*_cautions(found)),
        html.section("All findings", _overview(found)) if len(found.labels) > 1 else "",
        *(_label_section(found, label, answers, pictures, names=names) for label in found.labels),
        html.section("What is behind these figures", *_behind(found)),
    ]
    return html.page(f"{card.name} {card.version}", under, parts)


def _cautions(found: Measured) -> Iterator[str]:
    for sentence, count in found.refused.items():
        yield f"{count} of {html.films_text(found.films)} got no score: {sentence}"
    yield from html.left_out(found.unreadable)
    for code, count in found.blocked.items():
        yield (
            f"The film check would have kept {count} of {found.films} films back ({code}); they are counted here, and "
            "the films it passes stand among the parts of the films."
        )
    for label in found.labels:
        without = label.films - label.positives
        fewer = min(label.positives, without)
        if fewer < 2 * LEAST:
            films = html.films_text(fewer)
            kind = "with" if fewer == label.positives else "without"
            yield f"Only {films} {kind} {label.name}: its figures say little."


def _overview(found: Measured) -> str:
    rows = []
    for label in found.labels:
        cells: list[object] = [label.name, label.films, label.positives]
        for name in (AUC, SENSITIVITY, SPECIFICITY):
            cells += [html.value_text(label.metric(name)), html.interval_text(label.metric(name))]
        rows.append(cells)
    return html.table(("Finding", *_GROUP_HEADS[1:]), rows, numbers=(1, 2, 3, 5, 7))


def _label_section(
    found: Measured,
    label: LabelFigures,
    answers: Answers,
    pictures: Mapping[tuple[int, str], Picture],
    *,
    names: bool,
) -> str:
    share = label.positives / label.films
    (tn, fp), (fn, tp) = label.confusion
    return html.section(
        label.name,
        html.paragraph(
            f"{label.positives} of {label.films} films show it ({share:.1%}). The number is {_kind_words(label.kind)}; "
            f"operating point {label.threshold:.3g}."
        ),
        html.image(as_image(curves(label)), f"Curves of {label.name}"),
        html.heading("Figures"),
        html.table(
            ("Figure", "Value", "95 %"),
            [(m.name, html.value_text(m), html.interval_text(m)) for m in label.metrics],
            numbers=(1,),
        ),
        html.heading("Confusion matrix"),
        html.table(
            ("Films", f"said: no {label.name}", f"said: {label.name}"),
            [(f"no {label.name}", tn, fp), (label.name, fn, tp)],
            numbers=(1, 2),
        ),
        html.heading("Parts of the films"),
        _groups(found, label),
        html.heading("Classification report"),
        html.pre(label.report.rstrip()),
        _wrong(label, "Films with it that score lowest", label.missed, answers, pictures, names=names),
        _wrong(label, "Films without it that score highest", label.alarms, answers, pictures, names=names),
    )


def _kind_words(kind: ScoreKind) -> str:
    return {
        ScoreKind.CALIBRATED: "meant as a probability",
        ScoreKind.UNCALIBRATED: "a score, not a probability",
        ScoreKind.OPERATING_POINT: "a score on which 0.5 is the operating point, not a probability",
        ScoreKind.LOGIT: "a raw value, not a probability",
    }[kind]


def _groups(found: Measured, label: LabelFigures) -> str:
    by_group: dict[str, dict[str, Metric]] = {}
    for metric in label.groups:
        by_group.setdefault(metric.group, {})[metric.name] = metric
    rows = []
    for group, metrics in by_group.items():
        any_one = next(iter(metrics.values()))
        cells: list[object] = [group, any_one.count, any_one.positives]
        for name in (AUC, SENSITIVITY, SPECIFICITY):
            cells += [html.value_text(metrics.get(name)), html.interval_text(metrics.get(name))]
        rows.append(cells)
    few = found.small.get(label.name, ())
    told = f"Fewer than {LEAST} films with or without it, and so not measured: {', '.join(few)}." if few else ""
    if not rows:
        return html.paragraph(told or "The index names no parts (view, sex, age, site).")
    return html.table(_GROUP_HEADS, rows, numbers=(1, 2, 3, 5, 7)) + (html.paragraph(told) if told else "")


def _wrong(
    label: LabelFigures,
    title: str,
    rows: tuple[int, ...],
    answers: Answers,
    pictures: Mapping[tuple[int, str], Picture],
    *,
    names: bool,
) -> str:
    column = answers.labels.index(label.name)
    figures = []
    for row in rows:
        picture = pictures.get((row, label.name))
        if picture is None:
            continue
        record = answers.records[row]
        words = [f"Film {picture.number}", f"score {answers.scores[row, column]:.3g}"]
        words += [record.view] if record.view else []
        words += [record.path.name] if names else []
        figures.append(html.figure(picture.address, ", ".join(words)))
    return html.heading(title) + html.films(figures) if figures else ""


def _behind(found: Measured) -> Iterator[str]:
    card = found.card
    yield html.table(
        ("", ""),
        [
            ("Model", f"{card.name} {card.version} ({card.model_id})"),
            ("Weights", f"sha256 {card.sha256}"),
            ("Trained on", card.trained_on),
            ("Films", f"{found.data}; {found.films} films of {found.patients} patients"),
            ("Computed on", found.device or "-"),
        ],
    )
    yield html.paragraph(
        "Sensitivity, specificity and accuracy hold at the operating point; predictive values and accuracy also depend "
        "on how common the finding is among these films. The calibration error compares score and share over ten parts "
        "of equal number of films; chance makes it larger, the more so the fewer the films. Pictures show the film and "
        "beside it, the map of what raised the score."
    )
    if found.left_out:
        yield html.heading("Not measured")
        yield html.table(("Finding", "Why"), list(found.left_out.items()))
    if card.cautions:
        yield html.heading("What the model's card warns of")
        yield "<ul>" + "".join(f"<li>{html.said(text)}</li>" for text in card.cautions) + "</ul>"
