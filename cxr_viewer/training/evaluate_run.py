"""One evaluation from index to page."""

from __future__ import annotations

from pathlib import Path

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.training.asking import Asked, Runner, ask, listed
from cxr_viewer.training.evaluating import Measured, measured
from cxr_viewer.training.measure import ACCURACY, AUC, SENSITIVITY, SPECIFICITY
from cxr_viewer.training.reports import evaluation
from cxr_viewer.training.reports.html import films_text, interval_text, value_text
from cxr_viewer.training.reports.pictures import pictures


def evaluate_classifier(
    card: ModelCard, runner: Runner, asked: Asked, out: Path, *, device: str = "auto", names: bool = False
) -> Measured:
    """Score the films, measure and write page, figures and scores into ``out``.

    Raises:
        CxrError: whatever is wrong with index, films or model.
        OSError: ``out`` cannot be written.
    """
    films = listed(asked, card)
    answers = ask(films, card, runner, asked, device=device)
    found = measured(answers, card, asked.words(films.split), missing=films.missing)
    wrong = [(row, label.name) for label in found.labels for row in (*label.missed, *label.alarms)]
    evaluation.save(found, answers, out, pictures(wrong, answers, card, runner), names=names)
    return found


def as_lines(found: Measured) -> list[str]:
    """What was measured, for a terminal."""
    lines = [f"{found.card.name} {found.card.version} on {found.data}: {found.films} films, {found.patients} patients"]
    for label in found.labels:
        lines.append(f"{label.name}: {label.positives} of {label.films} films show it")
        for name in (AUC, SENSITIVITY, SPECIFICITY, ACCURACY):
            metric = label.metric(name)
            if metric is not None:
                lines.append(f"  {name:<12} {value_text(metric)}  (95 % {interval_text(metric)})")
    lines += [f"{name}: not measured. {why}" for name, why in found.left_out.items()]
    lines += [f"{films_text(count)} got no score: {why}" for why, count in found.refused.items()]
    lines += [f"Left out, cannot be read: {place}: {why}" for place, why in found.unreadable]
    lines += [
        f"{films_text(count)} would be kept back by the film check ({code})" for code, count in found.blocked.items()
    ]
    return lines
