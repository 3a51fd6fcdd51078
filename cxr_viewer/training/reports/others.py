"""``evaluation.html`` and ``evaluation.json`` of models that give no findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cxr_viewer.training.evaluate_others import OtherMeasured
from cxr_viewer.training.reports import html
from cxr_viewer.training.reports.evaluation import JSON_NAME, PAGE_NAME, metric_dict, model_dict


def save(found: OtherMeasured, folder: Path) -> None:
    """Write both files into ``folder``. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    html.write(other_page(found), folder / PAGE_NAME)
    content = {
        "model": model_dict(found.card),
        "data": found.data,
        "films": found.films,
        "patients": found.patients,
        "metrics": [metric_dict(metric) for metric in found.metrics],
        "tables": [{"of": one.title, "names": one.names, "films": one.counts} for one in found.tables],
        "not_measured": found.skipped,
        "unreadable": [place for place, _ in found.unreadable],
    }
    (folder / JSON_NAME).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def other_page(found: OtherMeasured) -> str:
    """The page as one text."""
    under = f"{found.data}: {found.films} films of {found.patients} patients. {found.card.intended_use}"
    rows = [(one.name, one.count, html.value_text(one), html.interval_text(one)) for one in found.metrics]
    tables = []
    for one in found.tables:
        lines = [(name, *counts) for name, counts in zip(one.names, one.counts, strict=True)]
        heads = ("Films that are", *(f"said: {name}" for name in one.names))
        tables += [html.heading(one.title.capitalize()), html.table(heads, lines, range(1, len(heads)))]
    parts = [
        html.note(*_cautions(found)),
        html.section("Figures", html.table(("Figure", "Films", "Value", "95 %"), rows, (1, 2)), *tables),
        html.section("Model", html.paragraph(f"{found.card.model_id}, sha256 {found.card.sha256}")),
    ]
    return html.page(f"{found.card.name} {found.card.version}", under, parts)


def _cautions(found: OtherMeasured) -> Iterator[str]:
    for why, count in found.skipped.items():
        yield f"{count} of {found.films} films were not measured: {why}"
    yield from html.left_out(found.unreadable)


def as_lines(found: OtherMeasured) -> list[str]:
    """What was measured, for a terminal."""
    lines = [f"{found.card.name} {found.card.version} on {found.data}: {found.films} films, {found.patients} patients"]
    lines += [f"  {one.name}: {html.value_text(one)}  (95 % {html.interval_text(one)})" for one in found.metrics]
    lines += [f"Not measured, {html.films_text(count)}: {why}" for why, count in found.skipped.items()]
    return lines + [f"Left out, cannot be read: {place}: {why}" for place, why in found.unreadable]
